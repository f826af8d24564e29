//! `Chain`: which fork governs which block.

use pyo3::prelude::*;
use solder_engine::Chain;

use crate::errors::Failure;

/// The rules of one chain.
#[pyclass(frozen, name = "Chain", module = "solder")]
pub struct PyChain {
    pub inner: Chain,
}

#[pymethods]
impl PyChain {
    /// Ethereum mainnet.
    #[staticmethod]
    fn mainnet() -> Self {
        Self { inner: Chain::mainnet() }
    }

    /// A network as the official tests name it: a fork, or a transition such as `BerlinToLondonAt5`.
    #[staticmethod]
    fn from_name(network: &str) -> Result<Self, Failure> {
        Ok(Self { inner: Chain::from_network(network)? })
    }

    /// A public chain by its id.
    #[staticmethod]
    fn from_id(chain_id: u64) -> Result<Self, Failure> {
        Ok(Self { inner: Chain::from_id(chain_id)? })
    }

    #[getter]
    fn chain_id(&self) -> u64 {
        self.inner.id
    }

    /// The name of the fork that governs a block. The total difficulty matters only where the merge hangs on it.
    #[pyo3(signature = (number, timestamp, parent_total_difficulty = 0))]
    fn fork_at(&self, number: u64, timestamp: u64, parent_total_difficulty: u128) -> &'static str {
        self.inner.fork_at(number, timestamp, parent_total_difficulty).name()
    }

    fn __repr__(&self) -> String {
        format!("<Chain {}>", self.inner.id)
    }
}
