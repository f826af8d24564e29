//! Runs a block under the meter.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use solder_engine::trace::meter::{Costs, MeterSink, Ticks, TransactionBill};
use solder_engine::{
    Block, BlockOutcome, Chain, EngineError, ExecuteOptions, Fork, Policy, StateReader, execute_block,
};

/// The bills of a block's transactions, and the time around them.
#[derive(Clone, Debug)]
pub struct BlockBill {
    /// One for each transaction, in order.
    pub transactions: Vec<TransactionBill>,
    /// Ticks of the whole block, the meter's own included.
    pub ticks: u64,
    /// Nanoseconds of a tick.
    pub nanoseconds_per_tick: f64,
    /// What executing gave.
    pub outcome: BlockOutcome,
}

struct Collected<'a> {
    costs: &'a Costs,
    bills: Mutex<Vec<TransactionBill>>,
}

impl MeterSink for Collected<'_> {
    fn costs(&self) -> &Costs {
        self.costs
    }

    fn bill(&self, bill: TransactionBill) {
        self.bills.lock().unwrap_or_else(PoisonError::into_inner).push(bill);
    }
}

/// A block with all that it runs on.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Whose rules hold.
    pub chain: &'a Chain,
    /// Which of them.
    pub fork: Fork,
    /// The block.
    pub block: &'a Block,
    /// The state before it, which stays as it was.
    pub state: &'a dyn StateReader,
    /// Leave out the protocol's own calls around the transactions.
    pub transactions_only: bool,
    /// Set from another thread to stop.
    pub cancel: Option<&'a AtomicBool>,
}

impl Subject<'_> {
    /// Executes the block one transaction after the other, metered or not; the ticks that it took.
    pub(crate) fn execute(
        &self,
        ticks: &Ticks,
        meter: Option<&dyn MeterSink>,
    ) -> Result<(BlockOutcome, u64), EngineError> {
        let options = ExecuteOptions {
            policy: Policy::Reject,
            cancel: self.cancel,
            transactions_only: self.transactions_only,
            meter,
            ..ExecuteOptions::default()
        };
        let start = ticks.now();
        let outcome = execute_block(self.chain, self.fork, self.block, self.state, &options)?;
        Ok((outcome, ticks.now() - start))
    }
}

/// Meters a block `repeat` times, at least once. Of each transaction, and of what is around them, the fastest run
/// counts.
pub fn profile_block(subject: &Subject<'_>, costs: &Costs, repeat: u32) -> Result<BlockBill, EngineError> {
    let (mut bill, mut around) = run_once(subject, costs)?;
    for _ in 1..repeat {
        let (next, next_around) = run_once(subject, costs)?;
        around = around.min(next_around);
        keep_least(&mut bill.transactions, next.transactions, |bill| bill.ticks);
    }
    bill.ticks = around + bill.transactions.iter().map(|bill| bill.ticks).sum::<u64>();
    Ok(bill)
}

/// Keeps of each pair the one with the lesser key.
pub(crate) fn keep_least<T>(kept: &mut Vec<T>, next: Vec<T>, key: impl Fn(&T) -> u64) {
    if kept.is_empty() {
        *kept = next;
        return;
    }
    for (kept, next) in kept.iter_mut().zip(next) {
        if key(&next) < key(kept) {
            *kept = next;
        }
    }
}

/// One run, and the ticks around its transactions.
fn run_once(subject: &Subject<'_>, costs: &Costs) -> Result<(BlockBill, u64), EngineError> {
    let bills = Mutex::new(Vec::with_capacity(subject.block.transactions.len()));
    let collected = Collected { costs, bills };
    let (outcome, ticks) = subject.execute(&costs.ticks, Some(&collected))?;
    let transactions = collected.bills.into_inner().unwrap_or_else(PoisonError::into_inner);
    let inside = transactions.iter().map(|bill| bill.ticks).sum();
    let bill = BlockBill { transactions, ticks, nanoseconds_per_tick: costs.ticks.nanoseconds(), outcome };
    Ok((bill, ticks.saturating_sub(inside)))
}
