//! A block in four phases, each a file: it is validated, pre-executed (calls of the protocol), executed
//! (transactions in order) and post-executed (rewards, withdrawals, requests). `import` joins them and checks the
//! outcome against the header.

pub mod check;
pub mod dao;
pub mod difficulty;
pub mod execution;
pub mod import;
pub mod ommers;
mod parallel_execution;
mod phases;
pub mod post_execution;
pub mod pre_execution;
pub mod prefix;
pub mod requests;
pub mod validation;

use std::sync::atomic::AtomicBool;

use alloy_eip7928::BlockAccessList;
use alloy_primitives::{B256, Bytes};
use revm::context::{BlockEnv, CfgEnv};
use revm::primitives::hardfork::SpecId;

use crate::chain::{Block, Chain, Fork, Receipt, Transaction};
use crate::error::{EngineError, Rejection};
use crate::evm::interrupt::NEVER;
use crate::evm::metering::Metered;
use crate::evm::{Machine, Setup, Transact, environment};
use crate::parallel::machine::Rules;
use crate::parallel::pool::KeptCells;
use crate::parallel::{Clamp, Counters, Parallel, ParallelBlock, Report, Shared};
use crate::state::{ChangeSet, StateReader};
use crate::trace::meter::MeterSink;
use crate::trace::{StepTracer, TraceSink};
use parallel_execution::{InOrder, workers_for};

/// What to do with an invalid transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The whole block is rejected: importing somebody's block.
    #[default]
    Reject,
    /// The transaction is left out, with its reason: building a block.
    Skip,
}

/// Computes the state root after the changes so far: what receipts held before Byzantium.
pub type IntermediateRoot<'a> = &'a (dyn Fn(&ChangeSet) -> B256 + Sync);

/// How to execute.
#[derive(Clone, Copy, Default)]
pub struct ExecuteOptions<'a> {
    /// What to do with an invalid transaction.
    pub policy: Policy,
    /// Set from another thread to stop, in the middle of a transaction too.
    pub cancel: Option<&'a AtomicBool>,
    /// Needed for receipts before Byzantium; without it they carry a zero root.
    pub intermediate_root: Option<IntermediateRoot<'a>>,
    /// A block reward to pay instead of the fork's (t8n); `None` for the fork's own.
    pub reward: Option<Reward>,
    /// Leave out the system calls before and after the transactions (state tests).
    pub transactions_only: bool,
    /// Where step traces go; `None` for no tracing.
    pub trace: Option<&'a dyn TraceSink>,
    /// Where the bills of gas and time go; `None` for no metering. A metered block runs one transaction after the other.
    pub meter: Option<&'a dyn MeterSink>,
    /// Run transactions at once; `None` for one after the other.
    pub parallel: Option<Parallel>,
}

/// Who pays a block's producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reward {
    /// Nobody: not even a touch.
    Disabled,
    /// This many wei.
    Fixed(u128),
}

/// A transaction that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its index in the list that was given.
    pub index: usize,
    /// Why.
    pub rejection: Rejection,
}

/// What executing a block gave.
#[derive(Clone, Debug, Default)]
pub struct BlockOutcome {
    /// One receipt for every transaction that ran.
    pub receipts: Vec<Receipt>,
    /// Gas that counts against the block's limit.
    pub gas_used: u64,
    /// Blob gas of the transactions that ran.
    pub blob_gas_used: u64,
    /// EIP-7685 requests, type byte first; `None` before Prague.
    pub requests: Option<Vec<Bytes>>,
    /// What changed.
    pub changes: ChangeSet,
    /// Transactions left out under [`Policy::Skip`].
    pub skipped: Vec<Skipped>,
    /// What makes the block itself invalid although its transactions ran; only under [`Policy::Skip`], where a
    /// builder wants to see the rest too. Under [`Policy::Reject`] it is the error.
    pub rejection: Option<Rejection>,
    /// The block access list, from Amsterdam on.
    pub block_access_list: Option<BlockAccessList>,
    /// 64-byte hashes answered from memory, and computed.
    pub keccak_memo: (u64, u64),
    /// What the workers did, where [`ExecuteOptions::parallel`] asked for them.
    pub parallel: Option<Report>,
}

impl BlockOutcome {
    /// keccak256 of the RLP of the block access list.
    pub fn block_access_list_hash(&self) -> Option<B256> {
        self.block_access_list.as_ref().map(|list| alloy_primitives::keccak256(alloy_rlp::encode(list)))
    }

    /// The EIP-7685 commitment to the requests.
    pub fn requests_hash(&self) -> Option<B256> {
        let requests = self.requests.clone()?;
        Some(alloy_eips::eip7685::Requests::new(requests).requests_hash())
    }
}

/// One block, set up to run.
pub(crate) struct Job<'a> {
    pub chain: &'a Chain,
    pub fork: Fork,
    pub spec: SpecId,
    pub block: &'a Block,
    pub options: &'a ExecuteOptions<'a>,
}

/// Executes a block on the state before it. The header is taken at its word; what it claims of the outcome is
/// checked by [`check::check_outcome`].
pub fn execute_block(
    chain: &Chain,
    fork: Fork,
    block: &Block,
    state: &dyn StateReader,
    options: &ExecuteOptions<'_>,
) -> Result<BlockOutcome, EngineError> {
    let spec = fork.spec_id();
    let job = Job { chain, fork, spec, block, options };
    let (cfg, env) =
        (environment::config(chain, fork, &block.header), environment::block_env(chain, fork, &block.header));
    let Some(asked) = options.parallel.as_ref().filter(|_| options.meter.is_none()) else {
        return execute_serially(&job, state, cfg, env);
    };
    match workers_for(&job, asked) {
        Ok(workers) => execute_at_once(&job, state, cfg, env, Parallel { workers, ..*asked }),
        Err(clamp) if asked.record && clamp != Clamp::Traced => {
            // A schedule is recorded where the workers are, if only one.
            let options = Parallel { workers: 1, ..*asked };
            let mut outcome = execute_at_once(&job, state, cfg, env, options)?;
            if let Some(report) = &mut outcome.parallel {
                (report.workers, report.clamp) = (asked.workers, Some(clamp));
            }
            Ok(outcome)
        }
        Err(clamp) => {
            let mut outcome = execute_serially(&job, state, cfg, env)?;
            let transactions = block.transactions.len() as u64;
            let counters = Counters { transactions, executions: transactions, ..Counters::default() };
            let workers = asked.workers;
            outcome.parallel =
                Some(Report { workers, workers_used: 1, clamp: Some(clamp), counters, recording: None });
            Ok(outcome)
        }
    }
}

fn execute_serially(
    job: &Job<'_>,
    state: &dyn StateReader,
    cfg: CfgEnv,
    env: BlockEnv,
) -> Result<BlockOutcome, EngineError> {
    let calls = pre_execution::SystemCalls::new(job);
    let idle = Transaction::default();
    let setup = Setup {
        cfg,
        env,
        reader: state,
        record_accesses: job.spec.is_enabled_in(SpecId::AMSTERDAM),
        net_gas_metering: job.fork == Fork::Constantinople,
        cancel: job.options.cancel,
    };
    match (job.options.trace, job.options.meter) {
        (None, None) => run_phases(job, &calls, Machine::new(setup, &idle, ()).with_stack_runs()),
        (None, Some(sink)) => run_phases(job, &calls, Machine::new(setup, &idle, Metered::new(sink))),
        (Some(sink), _) => {
            run_phases(job, &calls, Machine::new(setup, &idle, StepTracer::new(sink.fields())))
        }
    }
}

/// Gas for which a block of mainnet meets another account beyond senders and recipients, roughly; it sizes a table.
const GAS_PER_ACCOUNT: usize = 20_000;
/// Gas for which it meets another slot.
const GAS_PER_SLOT: usize = 8_000;

/// The phases with the transactions on several workers.
fn execute_at_once(
    job: &Job<'_>,
    state: &dyn StateReader,
    cfg: CfgEnv,
    env: BlockEnv,
    options: Parallel,
) -> Result<BlockOutcome, EngineError> {
    let calls = pre_execution::SystemCalls::new(job);
    let idle = Transaction::default();
    let (transactions, gas) = (job.block.transactions.len(), job.block.header.gas_limit as usize);
    let cells =
        KeptCells::take(options.workers, 2 * transactions + gas / GAS_PER_ACCOUNT, gas / GAS_PER_SLOT);
    let cancel = job.options.cancel.unwrap_or(&NEVER);
    let net_gas_metering = job.fork == Fork::Constantinople;
    let rules = Rules { cfg, env, net_gas_metering, cancel, idle: &idle };
    let shared = Shared::new(rules, &cells, state, &job.block.transactions, options);
    let mut machine = ParallelBlock::new(&shared);
    let mut outcome = BlockOutcome::default();
    pre_execution::run(job, &calls, &mut machine)?;
    let mut in_order = InOrder::new(job, &mut outcome);
    machine.transactions(&mut in_order)?;
    in_order.finish();
    finish_phases(job, post_execution::run(job, &calls, &mut machine, &mut outcome), &mut outcome)?;
    let done = machine.finish()?;
    outcome.keccak_memo = done.keccak_memo;
    outcome.changes = done.changes;
    outcome.block_access_list = done.access_list.map(|list| list.into_alloy_bal());
    outcome.parallel = Some(done.report);
    Ok(outcome)
}

/// What makes the block itself invalid is the error, or data where the policy is to skip.
fn finish_phases(
    job: &Job<'_>,
    result: Result<(), EngineError>,
    outcome: &mut BlockOutcome,
) -> Result<(), EngineError> {
    match result {
        Err(EngineError::Rejected(rejection)) if job.options.policy == Policy::Skip => {
            outcome.rejection = Some(rejection);
            Ok(())
        }
        result => result,
    }
}

/// The phases, on whichever machine.
fn run_phases<'a, INSP>(
    job: &Job<'a>,
    calls: &'a pre_execution::SystemCalls,
    mut machine: Machine<'a, INSP>,
) -> Result<BlockOutcome, EngineError>
where
    Machine<'a, INSP>: Transact<'a>,
{
    let mut outcome = BlockOutcome::default();
    pre_execution::run(job, calls, &mut machine)?;
    execution::run(job, &mut machine, &mut outcome)?;
    finish_phases(job, post_execution::run(job, calls, &mut machine, &mut outcome), &mut outcome)?;
    outcome.keccak_memo = machine.keccak_memo();
    let (changes, list) = machine.finish()?;
    outcome.changes = changes;
    outcome.block_access_list = list.map(|list| list.into_alloy_bal());
    Ok(outcome)
}
