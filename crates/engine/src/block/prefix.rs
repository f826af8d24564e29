//! The state in the middle of a block: what the protocol does before the first transaction, and the first few of them.

use std::sync::atomic::AtomicBool;

use super::{BlockOutcome, ExecuteOptions, Job, execution, pre_execution};
use crate::chain::{Block, Chain, Fork, Transaction};
use crate::error::EngineError;
use crate::evm::{Machine, Setup, environment};
use crate::state::{ChangeSet, StateReader};

/// What changes up to and with the transaction before number `count`. The header is taken at its word.
pub fn execute_prefix(
    chain: &Chain,
    fork: Fork,
    block: &Block,
    count: usize,
    state: &dyn StateReader,
    cancel: &AtomicBool,
) -> Result<ChangeSet, EngineError> {
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
    execution::run(&job, &mut machine, &mut BlockOutcome::default())?;
    Ok(machine.finish()?.0)
}
