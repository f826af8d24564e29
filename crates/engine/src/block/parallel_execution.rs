//! The transactions of a block on several workers: the block's own rules, asked in block order.

use alloy_primitives::{Address, TxKind, map::HashMap};
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

/// What a transaction is expected to take, from what was measured over the mainnet blocks: serially, and on one of
/// several workers, which record, publish and commit it beside.
#[derive(Clone, Copy, Default)]
struct Expected {
    serial: u64,
    shared: u64,
}

/// Without call data it is nearly always a plain transfer, whatever its gas limit.
const TRANSFER: Expected = Expected { serial: 550, shared: 1_000 };
/// Whatever else a call or a creation does, in nanoseconds.
const CALL_NANOSECONDS: u64 = 500;
/// Calls use some of what their gas limit allows: picoseconds for a unit of it, up to a bound.
const CALL_PICOSECONDS_PER_GAS: u64 = 30;
const MOST_CALL_NANOSECONDS: u64 = 20_000;
/// Percent that a call takes longer on a worker.
const CALL_SHARED_PERCENT: u64 = 110;
/// Until another worker is awake and at work, and gone again.
const WAKING_NANOSECONDS: u64 = 50_000;

fn expected(tx: &Transaction) -> Expected {
    if !tx.to.is_create() && tx.input.is_empty() {
        return TRANSFER;
    }
    let by_gas = tx.gas_limit.saturating_mul(CALL_PICOSECONDS_PER_GAS) / 1_000;
    let serial = (CALL_NANOSECONDS + by_gas).min(MOST_CALL_NANOSECONDS);
    Expected { serial, shared: serial * CALL_SHARED_PERCENT / 100 }
}

/// A block that takes longer is shared whatever its calls depend on: repairing is cheap beside it.
const SURELY_NANOSECONDS: u64 = 500_000;

/// Whether several workers are expected to end sooner than one that runs the block serially. In a small block, calls of
/// one sender to one contract are taken to wait for each other.
fn is_worth_sharing(transactions: &[Transaction], workers: usize) -> bool {
    let (mut serial, mut shared) = (0, 0);
    for cost in transactions.iter().map(expected) {
        serial += cost.serial;
        shared += cost.shared;
    }
    shared /= workers.max(1) as u64;
    if WAKING_NANOSECONDS + shared > serial || serial > SURELY_NANOSECONDS {
        return WAKING_NANOSECONDS + shared <= serial;
    }
    let mut chains: HashMap<(Address, TxKind), u64> = HashMap::default();
    for tx in transactions.iter().filter(|tx| !tx.input.is_empty()) {
        *chains.entry((tx.sender, tx.to)).or_default() += expected(tx).serial;
    }
    let longest = chains.into_values().max().unwrap_or(0);
    WAKING_NANOSECONDS + shared.max(longest) <= serial
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
    let workers = asked.workers.clamp(1, transactions);
    if is_worth_sharing(&job.block.transactions, workers) { Ok(workers) } else { Err(Clamp::Small) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(count: usize, gas_limit: u64) -> Vec<Transaction> {
        let call = |number| Transaction {
            sender: Address::with_last_byte(number as u8),
            gas_limit,
            input: vec![1; 68].into(),
            ..Transaction::default()
        };
        (0..count).map(call).collect()
    }

    #[test]
    fn a_block_is_shared_when_that_is_expected_to_pay() {
        let transfers = |count| vec![Transaction::default(); count];
        assert!(!is_worth_sharing(&[], 2));
        assert!(!is_worth_sharing(&calls(10, 50_000), 2));
        assert!(is_worth_sharing(&calls(100, 100_000), 2));
        assert!(is_worth_sharing(&calls(8, 30_000_000), 2));
        assert!(!is_worth_sharing(&vec![calls(1, 100_000)[0].clone(); 100], 2));
        // A transfer is hardly more than the work of sharing it, which more workers share, too.
        assert!(!is_worth_sharing(&transfers(300), 2));
        assert!(is_worth_sharing(&transfers(300), 8));
        assert!(is_worth_sharing(&transfers(5_000), 2));
        assert!(!is_worth_sharing(&calls(100, 100_000), 1));
        assert!(is_worth_sharing(&calls(100, u64::MAX), 2));
    }
}
