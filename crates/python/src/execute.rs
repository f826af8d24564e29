//! `execute_block` and `replay_block`: one block, on a state that stays as it was.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use solder_engine::trie::state_root;
use solder_engine::{
    Block, BlockOutcome, Chain, ChangeSet, ExecuteOptions, Fork, MemoryState, Policy,
    execute_block as execute,
};
use solder_spec::replay::{FalseClaim, replay};

use crate::block::PyBlock;
use crate::errors::Failure;
use crate::result::PyBlockResult;
use crate::run::detached;
use crate::state::PyState;

/// A block with what it runs on, shared with the engine's thread.
struct Input {
    block: Arc<Block>,
    chain: Arc<Chain>,
    fork: Fork,
    state: Arc<MemoryState>,
}

impl Input {
    fn new(block: &PyBlock, state: &PyState) -> Self {
        Self {
            block: block.inner.clone(),
            chain: block.chain.clone(),
            fork: block.fork,
            state: state.inner.clone(),
        }
    }

    fn execute(&self, options: &ExecuteOptions<'_>) -> Result<BlockOutcome, Failure> {
        Ok(execute(&self.chain, self.fork, &self.block, &*self.state, options)?)
    }
}

/// Executes a block. Before Byzantium each receipt carries the state root after its transaction.
#[pyfunction]
#[pyo3(signature = (block, state, policy = "reject"))]
pub fn execute_block(
    py: Python<'_>,
    block: &PyBlock,
    state: &PyState,
    policy: &str,
) -> PyResult<PyBlockResult> {
    let policy = match policy {
        "reject" => Policy::Reject,
        "skip" => Policy::Skip,
        other => return Err(Failure::field("policy", format!("{other:?} is neither reject nor skip")).into()),
    };
    let input = Input::new(block, state);
    detached(py, move |cancel| {
        let root_after = |changes: &ChangeSet| {
            let mut after = MemoryState::clone(&input.state);
            after.apply(changes);
            state_root(&after)
        };
        let options = ExecuteOptions {
            policy,
            cancel: Some(cancel),
            intermediate_root: (input.fork < Fork::Byzantium).then_some(&root_after),
            ..ExecuteOptions::default()
        };
        input.execute(&options).map(PyBlockResult::from)
    })
}

/// Executes a block `repeat` times under the clock and holds the outcome against the header. `error` names what the
/// header says of the block itself and is not so.
#[pyfunction]
pub fn replay_block<'py>(
    py: Python<'py>,
    block: &PyBlock,
    state: &PyState,
    repeat: u32,
) -> PyResult<Bound<'py, PyDict>> {
    let input = Input::new(block, state);
    let found = detached(py, move |cancel| {
        let Input { block, chain, fork, state } = &input;
        Ok(replay(chain, *fork, block, &**state, repeat, Some(cancel))?)
    })?;
    let claim = |claim: &FalseClaim| {
        format!("{}: the header says {}, it is {}", claim.field, claim.claimed, claim.found)
    };
    let claims: Vec<_> = block.false_claims.iter().map(claim).collect();
    let report = PyDict::new(py);
    report.set_item("block", found.block)?;
    report.set_item("fork", found.fork.name())?;
    report.set_item("transactions", found.transactions)?;
    report.set_item("gas_used", found.gas_used)?;
    report.set_item("gas_used_ok", found.gas_used_ok)?;
    report.set_item("receipts_root_ok", found.receipts_root_ok)?;
    report.set_item("logs_bloom_ok", found.logs_bloom_ok)?;
    report.set_item("state_digest", found.state_digest.to_string())?;
    report.set_item("serial_seconds", found.serial_seconds)?;
    report.set_item("serial_cpu_seconds", found.serial_cpu_seconds)?;
    report.set_item("error", Some(claims.join("; ")).filter(|text| !text.is_empty()))?;
    Ok(report)
}
