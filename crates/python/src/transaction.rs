//! `Transaction`: decoded, with its sender.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use solder_engine::{Block, Transaction};

use crate::convert::{bytes, int};
use crate::errors::Failure;

/// One transaction: its own, or one of a block, which it keeps alive.
#[pyclass(frozen, name = "Transaction", module = "solder")]
pub struct PyTransaction {
    place: Place,
}

enum Place {
    Alone(Box<Transaction>),
    InBlock(Arc<Block>, usize),
}

/// Address and storage keys of one access list entry.
type AccessListEntry<'py> = (Bound<'py, PyBytes>, Vec<Bound<'py, PyBytes>>);

impl PyTransaction {
    /// Every transaction of a block.
    pub fn all_of(block: &Arc<Block>) -> Vec<Self> {
        (0..block.transactions.len()).map(|i| Self { place: Place::InBlock(block.clone(), i) }).collect()
    }

    pub fn tx(&self) -> &Transaction {
        match &self.place {
            Place::Alone(tx) => tx,
            Place::InBlock(block, index) => &block.transactions[*index],
        }
    }
}

#[pymethods]
impl PyTransaction {
    /// Decodes an EIP-2718 envelope and recovers the sender.
    #[staticmethod]
    fn decode(raw: &[u8]) -> Result<Self, Failure> {
        Ok(Self { place: Place::Alone(Box::new(Transaction::decode(raw)?)) })
    }

    /// The EIP-2718 envelope.
    fn encode<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.tx().encode())
    }

    #[getter]
    fn r#type(&self) -> u8 {
        self.tx().tx_type
    }

    #[getter]
    fn hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.tx().hash())
    }

    #[getter]
    fn sender<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.tx().sender)
    }

    #[getter]
    fn nonce(&self) -> u64 {
        self.tx().nonce
    }

    #[getter]
    fn gas_limit(&self) -> u64 {
        self.tx().gas_limit
    }

    #[getter]
    fn gas_price(&self) -> u128 {
        self.tx().gas_price
    }

    #[getter]
    fn max_priority_fee_per_gas(&self) -> Option<u128> {
        self.tx().max_priority_fee_per_gas
    }

    #[getter]
    fn to<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.tx().to.to().map(|address| bytes(py, address))
    }

    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        int(py, self.tx().value)
    }

    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.tx().input)
    }

    #[getter]
    fn chain_id(&self) -> Option<u64> {
        self.tx().chain_id
    }

    #[getter]
    fn access_list<'py>(&self, py: Python<'py>) -> Vec<AccessListEntry<'py>> {
        let keys = |keys: &[alloy_primitives::B256]| keys.iter().map(|key| bytes(py, key)).collect();
        self.tx().access_list.iter().map(|item| (bytes(py, item.address), keys(&item.storage_keys))).collect()
    }

    #[getter]
    fn blob_versioned_hashes<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.tx().blob_versioned_hashes.iter().map(|hash| bytes(py, hash)).collect()
    }

    #[getter]
    fn max_fee_per_blob_gas(&self) -> u128 {
        self.tx().max_fee_per_blob_gas
    }

    #[getter]
    fn authorization_count(&self) -> usize {
        self.tx().authorization_list.len()
    }

    fn __repr__(&self) -> String {
        format!("<Transaction {} type {}>", self.tx().hash(), self.tx().tx_type)
    }
}
