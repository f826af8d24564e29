//! `Chain`: which fork governs which block, on a public chain or on one's own.

use alloy_primitives::U256;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use solder_engine::chain::Activation;
use solder_engine::chain::fork::DEPOSIT_CONTRACT;
use solder_engine::{Chain, Fork};

use crate::convert::{address, u64_of, u256};
use crate::errors::Failure;

/// The rules of one chain.
#[pyclass(frozen, name = "Chain", module = "solder")]
pub struct PyChain {
    pub inner: Chain,
}

#[pymethods]
impl PyChain {
    /// A chain of one's own. `schedule` lists `(fork, "block" | "timestamp" | "total_difficulty", value)`, oldest
    /// first, the first one active from 0; `blob_schedule` replaces a fork's blob parameters:
    /// `{fork: {"target": int, "max": int, "base_fee_update_fraction": int}}`.
    #[new]
    #[pyo3(signature = (id, schedule, *, blob_schedule = None, deposit_contract = None))]
    fn new(
        id: u64,
        schedule: &Bound<'_, PyAny>,
        blob_schedule: Option<&Bound<'_, PyDict>>,
        deposit_contract: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let schedule = read_schedule(schedule)?;
        let dao_fork_block = schedule.iter().find_map(|entry| match entry {
            (Fork::Dao, Activation::Block(number)) => Some(*number),
            _ => None,
        });
        let mut blobs = Vec::new();
        for (name, values) in blob_schedule.into_iter().flatten() {
            let fork = Fork::parse(&name.extract::<String>()?).map_err(Failure::from)?;
            let field = format!("blob_schedule.{}", fork.name());
            let mut params =
                fork.blob_params().ok_or_else(|| Failure::field(&field, "the fork has no blobs"))?;
            let values = values.cast::<PyDict>().map_err(|_| Failure::field(&field, "not a dict"))?;
            let number = |name: &str| -> PyResult<u64> {
                let field = format!("{field}.{name}");
                u64_of(&values.get_item(name)?.ok_or_else(|| Failure::field(&field, "missing"))?, &field)
            };
            params.target_blob_count = number("target")?;
            params.max_blob_count = number("max")?;
            params.update_fraction = number("base_fee_update_fraction")?.into();
            if values.len() != 3
                || params.update_fraction == 0
                || params.max_blob_count < params.target_blob_count
            {
                let detail =
                    "target, max (not below target) and base_fee_update_fraction (not 0), and nothing else";
                return Err(Failure::field(field, detail).into());
            }
            blobs.push((fork, params));
        }
        let deposit_contract = match deposit_contract {
            Some(value) => address(value, "deposit_contract")?,
            None => DEPOSIT_CONTRACT,
        };
        Ok(Self { inner: Chain { id, schedule, blob_schedule: blobs, dao_fork_block, deposit_contract } })
    }

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

/// Forks in their order, each with one activation; of one kind, activations do not go back.
fn read_schedule(schedule: &Bound<'_, PyAny>) -> PyResult<Vec<(Fork, Activation)>> {
    let mut read: Vec<(Fork, Activation)> = Vec::new();
    for (index, entry) in schedule.try_iter()?.enumerate() {
        let field = format!("schedule[{index}]");
        let parts: (String, String, Bound<'_, PyAny>) =
            entry?.extract().map_err(|_| Failure::field(&field, "not (fork, kind, value)"))?;
        let fork = Fork::parse(&parts.0).map_err(Failure::from)?;
        let activation = match parts.1.as_str() {
            "block" => Activation::Block(u64_of(&parts.2, &field)?),
            "timestamp" => Activation::Timestamp(u64_of(&parts.2, &field)?),
            "total_difficulty" => {
                let value: U256 = u256(&parts.2, &field)?;
                let value =
                    u128::try_from(value).map_err(|_| Failure::field(&field, "more than 2**128 - 1"))?;
                Activation::TotalDifficulty(value)
            }
            other => return Err(Failure::field(field, format!("{other:?} is no kind of activation")).into()),
        };
        if read.last().is_some_and(|(earlier, _)| *earlier >= fork) {
            return Err(Failure::field(field, format!("{} is out of order", fork.name())).into());
        }
        if read.iter().any(|(_, earlier)| goes_back(*earlier, activation)) {
            return Err(Failure::field(field, "before an older fork").into());
        }
        read.push((fork, activation));
    }
    match read.first() {
        Some((_, Activation::Block(0) | Activation::Timestamp(0) | Activation::TotalDifficulty(0))) => {
            Ok(read)
        }
        _ => Err(Failure::field("schedule", "no fork is active from 0").into()),
    }
}

fn goes_back(earlier: Activation, later: Activation) -> bool {
    match (earlier, later) {
        (Activation::Block(a), Activation::Block(b))
        | (Activation::Timestamp(a), Activation::Timestamp(b)) => b < a,
        (Activation::TotalDifficulty(a), Activation::TotalDifficulty(b)) => b < a,
        _ => false,
    }
}
