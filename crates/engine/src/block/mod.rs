//! A block in four phases, each a file: it is validated, pre-executed (calls of the protocol), executed
//! (transactions in order) and post-executed (rewards, withdrawals, requests). `import` joins them and checks the
//! outcome against the header.

pub mod check;
pub mod dao;
pub mod difficulty;
pub mod execution;
pub mod import;
pub mod ommers;
pub mod post_execution;
pub mod pre_execution;
pub mod requests;
pub mod validation;

use std::sync::atomic::AtomicBool;

use alloy_eip7928::BlockAccessList;
use alloy_primitives::{B256, Bytes};
use revm::primitives::hardfork::SpecId;

use crate::chain::{Block, Chain, Fork, Receipt, Transaction};
use crate::error::{EngineError, Rejection};
use crate::evm::{Machine, Setup, Transact, environment};
use crate::state::{ChangeSet, StateReader};
use crate::trace::{StepTracer, TraceSink};

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
pub type IntermediateRoot<'a> = &'a dyn Fn(&ChangeSet) -> B256;

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
    let calls = pre_execution::SystemCalls::new(&job);
    let idle = Transaction::default();
    let cfg = environment::config(chain, fork, &block.header);
    let env = environment::block_env(chain, fork, &block.header);
    let setup = Setup {
        cfg,
        env,
        reader: state,
        record_accesses: spec.is_enabled_in(SpecId::AMSTERDAM),
        net_gas_metering: fork == Fork::Constantinople,
        cancel: options.cancel,
    };
    match options.trace {
        None => run_phases(&job, &calls, Machine::new(setup, &idle, ())),
        Some(sink) => run_phases(&job, &calls, Machine::new(setup, &idle, StepTracer::new(sink.fields()))),
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
    match post_execution::run(job, calls, &mut machine, &mut outcome) {
        Err(EngineError::Rejected(rejection)) if job.options.policy == Policy::Skip => {
            outcome.rejection = Some(rejection);
        }
        result => result?,
    }
    outcome.keccak_memo = machine.keccak_memo();
    let (changes, list) = machine.finish()?;
    outcome.changes = changes;
    outcome.block_access_list = list.map(|list| list.into_alloy_bal());
    Ok(outcome)
}
