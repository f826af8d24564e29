//! The transactions of a block on several workers: the block's own rules, asked in block order.

use revm::context::result::ExecutionResult;

use super::execution::{GasCounters, receipt};
use super::{BlockOutcome, Job, Policy, Skipped, validation};
use crate::chain::Transaction;
use crate::error::{EngineError, Fault, Rejection};
use crate::parallel::{Clamp, Parallel, Sequencer};
use crate::state::ChangeSet;

/// Takes the transactions' results in order.
pub(crate) struct InOrder<'j, 'a> {
    job: &'j Job<'a>,
    outcome: &'j mut BlockOutcome,
    gas: GasCounters,
}

impl<'j, 'a> InOrder<'j, 'a> {
    pub fn new(job: &'j Job<'a>, outcome: &'j mut BlockOutcome) -> Self {
        outcome.receipts.reserve(job.block.transactions.len());
        Self { job, outcome, gas: GasCounters::default() }
    }

    /// After the last one.
    pub fn finish(self) {
        self.outcome.gas_used = self.gas.block_gas_used(self.job.spec);
        self.outcome.blob_gas_used = self.gas.blob;
    }
}

impl Sequencer for InOrder<'_, '_> {
    fn admit(&mut self, _index: usize, tx: &Transaction) -> Result<(), Rejection> {
        validation::validate_transaction(self.job, tx, &self.gas)
    }

    fn accept(
        &mut self,
        _index: usize,
        tx: &Transaction,
        result: ExecutionResult,
        changes: &dyn Fn() -> Result<ChangeSet, Fault>,
    ) -> Result<(), EngineError> {
        let receipt = receipt(self.job, changes, tx, result, &mut self.gas)?;
        self.outcome.receipts.push(receipt);
        Ok(())
    }

    fn refuse(&mut self, index: usize, rejection: Rejection) -> Result<(), EngineError> {
        match self.job.options.policy {
            Policy::Skip => {
                self.outcome.skipped.push(Skipped { index, rejection: rejection.at(index) });
                Ok(())
            }
            Policy::Reject => Err(rejection.at(index).into()),
        }
    }
}

/// Nanoseconds that a kind of transaction takes, measured over the mainnet blocks: gas is a bad measure of it. Without
/// call data it is nearly always a plain transfer, whatever its gas limit.
const TRANSFER_NANOSECONDS: u64 = 700;
const CALL_NANOSECONDS: u64 = 9_000;
const CREATE_NANOSECONDS: u64 = 60_000;
/// A block that takes less is done before another worker is awake.
const WORTH_SHARING_NANOSECONDS: u64 = 40_000;
fn expected_nanoseconds(tx: &Transaction) -> u64 {
    if tx.to.is_create() {
        CREATE_NANOSECONDS
    } else if tx.input.is_empty() {
        TRANSFER_NANOSECONDS
    } else {
        CALL_NANOSECONDS
    }
}

/// Why a block is better run where it is, or on how many workers it is worth to run.
pub(crate) fn workers_for(job: &Job<'_>, asked: &Parallel) -> Result<usize, Clamp> {
    if job.options.trace.is_some() {
        return Err(Clamp::Traced);
    }
    let transactions = job.block.transactions.len();
    if asked.forced {
        return Ok(asked.workers.max(1));
    }
    if transactions < 2 {
        return Err(Clamp::FewTransactions);
    }
    let mut expected = 0;
    for tx in &job.block.transactions {
        expected += expected_nanoseconds(tx);
        if expected >= WORTH_SHARING_NANOSECONDS {
            return Ok(asked.workers.clamp(1, transactions));
        }
    }
    Err(Clamp::Small)
}
