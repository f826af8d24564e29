//! `execute_block` and `replay_block`: one block, on a state that stays as it was, by one worker or several.

use std::sync::Arc;
use std::time::Instant;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use solder_engine::parallel::MAX_WORKERS;
use solder_engine::trie::state_root;
use solder_engine::{
    Block, BlockOutcome, Chain, ChangeSet, ExecuteOptions, Fork, MemoryState, Parallel, Policy,
    execute_block as execute,
};
use solder_schedule::{Alone, BlockLabel, BlockSchedule};
use solder_spec::replay::{FalseClaim, ParallelReplay, Replay, ReplayOptions, replay};

use crate::block::PyBlock;
use crate::errors::Failure;
use crate::result::PyBlockResult;
use crate::run::detached;
use crate::schedule::PySchedule;
use crate::state::PyState;

/// A block with what it runs on, shared with the engine's thread.
struct Input {
    block: Arc<Block>,
    chain: Arc<Chain>,
    fork: Fork,
    state: Arc<MemoryState>,
}

impl Input {
    fn new(py: Python<'_>, block: &PyBlock, state: &PyState) -> PyResult<Self> {
        Ok(Self {
            block: block.inner.clone(),
            chain: block.chain.clone(),
            fork: block.fork,
            state: state.memory(py)?,
        })
    }

    fn execute(&self, options: &ExecuteOptions<'_>) -> Result<BlockOutcome, Failure> {
        Ok(execute(&self.chain, self.fork, &self.block, &*self.state, options)?)
    }
}

/// How to run in parallel, from the arguments that several functions share. One worker of whom nothing else is asked
/// is the serial engine.
pub fn parallel_of(
    workers: usize,
    forced: bool,
    mislead: bool,
    seed: Option<u64>,
    record: bool,
) -> Result<Option<Parallel>, Failure> {
    if !(1..=MAX_WORKERS).contains(&workers) {
        return Err(Failure::field("workers", format!("{workers} is not 1 to {MAX_WORKERS}")));
    }
    // Wrong values are of no use where the serial engine runs.
    let forced = forced || mislead;
    let wanted = workers > 1 || forced || seed.is_some() || record;
    Ok(wanted.then_some(Parallel { workers, forced, mislead, interleave: seed, record }))
}

/// Executes a block. Before Byzantium each receipt carries the state root after its transaction.
#[pyfunction]
#[pyo3(signature = (
    block, state, policy = "reject", *, workers = 1, schedule = false, forced = false, mislead = false, seed = None
))]
#[allow(clippy::too_many_arguments)]
pub fn execute_block(
    py: Python<'_>,
    block: &PyBlock,
    state: &PyState,
    policy: &str,
    workers: usize,
    schedule: bool,
    forced: bool,
    mislead: bool,
    seed: Option<u64>,
) -> PyResult<PyBlockResult> {
    let policy = match policy {
        "reject" => Policy::Reject,
        "skip" => Policy::Skip,
        other => return Err(Failure::field("policy", format!("{other:?} is neither reject nor skip")).into()),
    };
    let parallel = parallel_of(workers, forced, mislead, seed, schedule)?;
    let input = Input::new(py, block, state)?;
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
            parallel,
            ..ExecuteOptions::default()
        };
        let start = Instant::now();
        let outcome = input.execute(&options)?;
        Ok(PyBlockResult::new(&input.block, outcome, start.elapsed().as_secs_f64()))
    })
}

/// Executes a block `repeat` times under the clock and holds the outcome against the header. `error` names what the
/// header says of the block itself and is not so. With `workers` each repeat is a serial and a parallel run.
#[pyfunction]
#[pyo3(signature = (
    block, state, repeat, *, workers = None, schedule = false, forced = false, mislead = false, seed = None
))]
#[allow(clippy::too_many_arguments)]
pub fn replay_block<'py>(
    py: Python<'py>,
    block: &PyBlock,
    state: &PyState,
    repeat: u32,
    workers: Option<usize>,
    schedule: bool,
    forced: bool,
    mislead: bool,
    seed: Option<u64>,
) -> PyResult<Replayed<'py>> {
    let parallel = match workers {
        None => None,
        // One worker is compared with the serial engine too, even where it is the same.
        Some(workers) => parallel_of(workers, forced, mislead, seed, schedule)?
            .or(Some(Parallel { workers, ..Parallel::default() })),
    };
    let input = Input::new(py, block, state)?;
    let found = detached(py, move |cancel| {
        let Input { block, chain, fork, state } = &input;
        let options = ReplayOptions { repeat, parallel, cancel: Some(cancel) };
        Ok(replay(chain, *fork, block, &**state, &options)?)
    })?;
    let report = serial_report(py, block, &found)?;
    let Some(parallel) = &found.parallel else { return Ok((report, None, None)) };
    let schedule = parallel.recorded.as_ref().map(|recorded| {
        let label = BlockLabel {
            number: found.block,
            gas_used: found.gas_used,
            transactions: found.transactions as u64,
            beneficiary: Some(block.inner.header.beneficiary),
            serial_seconds: Some(found.serial_seconds),
            parallel_seconds: finite(parallel.seconds),
        };
        PySchedule::new(BlockSchedule {
            label,
            schedule: recorded.schedule.clone(),
            around: recorded.around,
            alone: parallel.alone.as_ref().map(|alone| Alone::of(&alone.schedule, alone.around)),
        })
    });
    Ok((report, Some(parallel_report(py, &found, parallel)?), schedule))
}

/// What the serial runs say, what the parallel ones add, and the schedule of one of these.
type Replayed<'py> = (Bound<'py, PyDict>, Option<Bound<'py, PyDict>>, Option<PySchedule>);

fn serial_report<'py>(py: Python<'py>, block: &PyBlock, found: &Replay) -> PyResult<Bound<'py, PyDict>> {
    let claim = |claim: &FalseClaim| {
        format!("{}: the header says {}, it is {}", claim.field, claim.claimed, claim.found)
    };
    let mut wrong: Vec<_> = block.false_claims.iter().map(claim).collect();
    let difference = found.parallel.as_ref().and_then(|parallel| parallel.difference.as_ref());
    wrong.extend(difference.map(|field| format!("parallel and serial differ: {field}")));
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
    report.set_item("error", Some(wrong.join("; ")).filter(|text| !text.is_empty()))?;
    Ok(report)
}

/// Infinite where no run came to its end.
fn finite(seconds: f64) -> Option<f64> {
    Some(seconds).filter(|seconds| seconds.is_finite())
}

fn parallel_report<'py>(
    py: Python<'py>,
    found: &Replay,
    parallel: &ParallelReplay,
) -> PyResult<Bound<'py, PyDict>> {
    let report = PyDict::new(py);
    report.set_item("workers", parallel.workers)?;
    report.set_item("workers_used", parallel.workers_used)?;
    report.set_item("clamp_reason", parallel.clamp.map(|clamp| clamp.name()))?;
    report.set_item("parallel_equals_serial", parallel.difference.is_none())?;
    report.set_item("parallel_seconds", finite(parallel.seconds))?;
    report.set_item("parallel_cpu_seconds", finite(parallel.cpu_seconds))?;
    report.set_item("executions", parallel.counters.executions)?;
    report.set_item("conflicts", parallel.counters.conflicts)?;
    report.set_item("serial_fallbacks", u32::from(parallel.is_fallback(found.serial_seconds)))?;
    Ok(report)
}
