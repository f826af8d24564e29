//! `Block` and `Header`.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use solder_engine::{Block, Chain, Fork, Header};
use solder_spec::replay::FalseClaim;

use crate::chain::PyChain;
use crate::convert::{bytes, int, maybe_hash};
use crate::errors::Failure;
use crate::transaction::PyTransaction;

/// A decoded block with the chain whose rules hold for it.
#[pyclass(frozen, name = "Block", module = "solder")]
pub struct PyBlock {
    pub inner: Arc<Block>,
    pub chain: Arc<Chain>,
    pub fork: Fork,
    /// What the block's file says of it and is not so.
    pub false_claims: Vec<FalseClaim>,
}

/// Index, validator index, address, amount in Gwei.
type WithdrawalTuple<'py> = (u64, u64, Bound<'py, PyBytes>, u64);

#[pymethods]
impl PyBlock {
    /// Decodes a whole block; senders are recovered.
    #[staticmethod]
    #[pyo3(signature = (raw, chain, parent_total_difficulty = 0))]
    fn decode_rlp(raw: &[u8], chain: &PyChain, parent_total_difficulty: u128) -> Result<Self, Failure> {
        let block = Block::decode(raw)?;
        let (number, timestamp) = (block.header.number, block.header.timestamp);
        let fork = chain.inner.fork_at(number, timestamp, parent_total_difficulty);
        Ok(Self {
            inner: Arc::new(block),
            chain: Arc::new(chain.inner.clone()),
            fork,
            false_claims: Vec::new(),
        })
    }

    /// The same block under the rules of another chain.
    #[pyo3(signature = (chain, parent_total_difficulty = 0))]
    fn with_chain(&self, chain: &PyChain, parent_total_difficulty: u128) -> Self {
        let (number, timestamp) = (self.inner.header.number, self.inner.header.timestamp);
        Self {
            inner: self.inner.clone(),
            chain: Arc::new(chain.inner.clone()),
            fork: chain.inner.fork_at(number, timestamp, parent_total_difficulty),
            false_claims: self.false_claims.clone(),
        }
    }

    #[getter]
    fn header(&self) -> PyHeader {
        PyHeader { inner: self.inner.header.clone() }
    }

    #[getter]
    fn transactions(&self) -> Vec<PyTransaction> {
        PyTransaction::all_of(&self.inner)
    }

    #[getter]
    fn ommers(&self) -> Vec<PyHeader> {
        self.inner.ommers.iter().map(|inner| PyHeader { inner: inner.clone() }).collect()
    }

    #[getter]
    fn withdrawals<'py>(&self, py: Python<'py>) -> Option<Vec<WithdrawalTuple<'py>>> {
        let list = self.inner.withdrawals.as_ref()?;
        Some(list.iter().map(|w| (w.index, w.validator_index, bytes(py, w.address), w.amount)).collect())
    }

    #[getter]
    fn fork(&self) -> &'static str {
        self.fork.name()
    }

    #[getter]
    fn number(&self) -> u64 {
        self.inner.header.number
    }

    fn __repr__(&self) -> String {
        let count = self.inner.transactions.len();
        format!("<Block {} {}, {count} transactions>", self.inner.header.number, self.fork.name())
    }
}

/// A block header. Fields that its fork does not have are None.
#[pyclass(frozen, name = "Header", module = "solder")]
pub struct PyHeader {
    inner: Header,
}

#[pymethods]
impl PyHeader {
    #[getter]
    fn hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.hash_slow())
    }

    #[getter]
    fn parent_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.parent_hash)
    }

    #[getter]
    fn ommers_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.ommers_hash)
    }

    #[getter]
    fn beneficiary<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.beneficiary)
    }

    #[getter]
    fn state_root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.state_root)
    }

    #[getter]
    fn transactions_root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.transactions_root)
    }

    #[getter]
    fn receipts_root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.receipts_root)
    }

    #[getter]
    fn logs_bloom<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.logs_bloom)
    }

    #[getter]
    fn difficulty<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        int(py, self.inner.difficulty)
    }

    #[getter]
    fn number(&self) -> u64 {
        self.inner.number
    }

    #[getter]
    fn gas_limit(&self) -> u64 {
        self.inner.gas_limit
    }

    #[getter]
    fn gas_used(&self) -> u64 {
        self.inner.gas_used
    }

    #[getter]
    fn timestamp(&self) -> u64 {
        self.inner.timestamp
    }

    #[getter]
    fn extra_data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.extra_data)
    }

    #[getter]
    fn mix_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.mix_hash)
    }

    #[getter]
    fn nonce<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.nonce)
    }

    #[getter]
    fn base_fee_per_gas(&self) -> Option<u64> {
        self.inner.base_fee_per_gas
    }

    #[getter]
    fn withdrawals_root<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        maybe_hash(py, self.inner.withdrawals_root)
    }

    #[getter]
    fn blob_gas_used(&self) -> Option<u64> {
        self.inner.blob_gas_used
    }

    #[getter]
    fn excess_blob_gas(&self) -> Option<u64> {
        self.inner.excess_blob_gas
    }

    #[getter]
    fn parent_beacon_block_root<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        maybe_hash(py, self.inner.parent_beacon_block_root)
    }

    #[getter]
    fn requests_hash<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        maybe_hash(py, self.inner.requests_hash)
    }

    #[getter]
    fn block_access_list_hash<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        maybe_hash(py, self.inner.block_access_list_hash)
    }

    #[getter]
    fn slot_number(&self) -> Option<u64> {
        self.inner.slot_number
    }

    fn __repr__(&self) -> String {
        format!("<Header {} {}>", self.inner.number, self.inner.hash_slow())
    }
}
