//! The state in the middle of a block: what the protocol does before the first transaction, and the first few of them.

use std::sync::atomic::AtomicBool;

use super::{BlockOutcome, ExecuteOptions, Job, execution, pre_execution};
use crate::chain::{Block, Chain, Fork, Transaction};
use crate::error::EngineError;
use crate::evm::{Machine, Setup, environment};
use crate::state::{ChangeSet, StateReader};

/// What the beginning of a block did.
#[derive(Clone, Debug, Default)]
pub struct Prefix {
    /// What changed.
    pub changes: ChangeSet,
    /// How many logs its transactions wrote.
    pub logs: u64,
}

/// What changes up to and with the transaction before number `count`. The header is taken at its word.
pub fn execute_prefix(
    chain: &Chain,
    fork: Fork,
    block: &Block,
    count: usize,
    state: &dyn StateReader,
    cancel: &AtomicBool,
) -> Result<ChangeSet, EngineError> {
    Ok(execute_beginning(chain, fork, block, count, state, cancel)?.changes)
}

/// The same, with the number of logs.
pub fn execute_beginning(
    chain: &Chain,
    fork: Fork,
    block: &Block,
    count: usize,
    state: &dyn StateReader,
    cancel: &AtomicBool,
) -> Result<Prefix, EngineError> {
    let transactions = block.transactions.iter().take(count).cloned().collect();
    let cut = Block { header: block.header.clone(), transactions, ..Default::default() };
    let options = ExecuteOptions { cancel: Some(cancel), ..ExecuteOptions::default() };
    let job = Job { chain, fork, spec: fork.spec_id(), block: &cut, options: &options };
    let calls = pre_execution::SystemCalls::new(&job);
    let idle = Transaction::default();
    let setup = Setup {
        cfg: environment::config(chain, fork, &cut.header),
        env: environment::block_env(chain, fork, &cut.header),
        reader: state,
        record_accesses: false,
        net_gas_metering: fork == Fork::Constantinople,
        cancel: Some(cancel),
    };
    let mut machine = Machine::new(setup, &idle, ());
    pre_execution::run(&job, &calls, &mut machine)?;
    let mut outcome = BlockOutcome::default();
    execution::run(&job, &mut machine, &mut outcome)?;
    let logs = outcome.receipts.iter().map(|receipt| receipt.logs.len() as u64).sum();
    Ok(Prefix { changes: machine.finish()?.0, logs })
}
