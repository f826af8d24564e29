//! A block from end to end: the phases around the transactions on worker 0, the transactions on all of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use alloy_primitives::{Address, U256};
use revm::context::result::ExecutionResult;
use revm::primitives::hardfork::SpecId;
use revm::state::bal::Bal;

use super::journal::{Accesses, Published};
use super::pool;
use super::record::{Activity, Counters, Report};
use super::recording::Recording;
use super::shared::{Sequencer, Shared, lock};
use super::timeline::{Noted, Timeline};
use super::worker::{Line, Worker};
use crate::chain::Transaction;
use crate::error::{EngineError, Fault};
use crate::evm::TransactError;
use crate::state::ChangeSet;

/// A block under way.
pub struct ParallelBlock<'s> {
    shared: &'s Shared<'s>,
    first: Worker<'s>,
    position: u32,
    phase_began: u64,
    others: Vec<Finished>,
}

/// What a worker leaves.
type Finished = (usize, Counters, Timeline, (u64, u64));

impl<'s> ParallelBlock<'s> {
    /// A block before its first phase.
    pub fn new(shared: &'s Shared<'s>) -> Self {
        let first = Worker::new(shared, 0);
        Self { shared, first, position: 0, phase_began: 0, others: Vec::new() }
    }

    /// Runs a call of the protocol itself.
    pub fn system_call(&mut self, call: &'s Transaction) -> Result<ExecutionResult, TransactError> {
        let (result, accesses) = self.first.machine.system_call(call, self.position);
        let result = result?;
        self.commit(accesses)?;
        Ok(result)
    }

    /// The code at an address: whether a system contract is there.
    pub fn has_code(&mut self, address: Address) -> Result<bool, Fault> {
        self.first.machine.has_code(address, self.position)
    }

    /// Credits an account outside of any transaction, which touches it.
    pub fn credit(&mut self, address: Address, amount: U256) -> Result<(), Fault> {
        self.first.machine.credit(address, amount, self.position)
    }

    /// Takes the whole balance of an account.
    pub fn drain(&mut self, address: Address) -> Result<U256, Fault> {
        self.first.machine.drain(address, self.position)
    }

    /// Ends a phase outside of transactions, as a transaction ends.
    pub fn settle(&mut self) -> Result<(), Fault> {
        match self.first.machine.settle() {
            Some(accesses) => self.commit(accesses),
            None => Ok(()),
        }
    }

    /// Moves on to the next block access index.
    pub fn next_access_index(&mut self) {
        self.shared.next_access_index();
    }

    fn commit(&mut self, mut accesses: Accesses) -> Result<(), Fault> {
        self.shared.commit(&mut accesses, self.position, &Published::default()).map(|_| ())
    }

    fn end_phase(&mut self, activity: Activity) {
        let timeline = &mut self.first.timeline;
        timeline.note(Noted::new(activity, None, self.phase_began));
        self.phase_began = timeline.now();
    }

    /// Runs the transactions on all workers.
    pub fn transactions(&mut self, sequencer: &mut dyn Sequencer) -> Result<(), EngineError> {
        self.end_phase(Activity::PreExecution);
        let shared = self.shared;
        let workers = shared.options.workers;
        let line: Line<'_, '_> = Mutex::new(sequencer);
        if workers == 1 {
            take_part(shared, &mut self.first, 0, &line);
        } else {
            let others = Mutex::new(Vec::with_capacity(workers - 1));
            let first = &mut self.first;
            let help = |number: usize| help(shared, number, &line, &others);
            if shared.turns.is_some() {
                // All must arrive before the first turn, so these are not shared with other blocks.
                std::thread::scope(|scope| {
                    for number in 1..workers {
                        let help = &help;
                        scope.spawn(move || help(number));
                    }
                    take_part(shared, first, 0, &line);
                });
            } else {
                pool::run(workers, &help, || take_part(shared, first, 0, &line))?;
            }
            self.others = others.into_inner().unwrap_or_default();
        }
        if let Some(failure) = shared.take_failure() {
            return Err(failure);
        }
        self.position = Shared::position(shared.transactions.len());
        self.phase_began = self.first.timeline.now();
        Ok(())
    }

    /// Puts the outcome together.
    pub fn finish(mut self) -> Result<Outcome, Fault> {
        self.end_phase(Activity::PostExecution);
        let changes = self.shared.changes()?;
        self.end_phase(Activity::Collect);
        let access_list = lock(&self.shared.access_list).take().map(|recorder| recorder.list);
        let transactions = self.shared.transactions.len();
        let mut counters = Counters { transactions: transactions as u64, ..self.first.counters };
        let mut keccak_memo = self.first.machine.keccak_memo();
        let wall = self.first.timeline.now();
        self.others.sort_unstable_by_key(|(number, ..)| *number);
        let mut timelines = vec![self.first.timeline];
        for (number, counted, timeline, memo) in self.others {
            counters.add(&counted);
            keccak_memo = (keccak_memo.0 + memo.0, keccak_memo.1 + memo.1);
            timelines.resize_with(number, || Timeline::new(None));
            timelines.push(timeline);
        }
        let workers = self.shared.options.workers;
        let recording = self.shared.pace.clone().map(|pace| {
            timelines.resize_with(workers, || Timeline::new(None));
            Recording::new(timelines, self.shared, pace, wall)
        });
        let report = Report { workers, workers_used: workers, clamp: None, counters, recording };
        Ok(Outcome { changes, access_list, keccak_memo, report })
    }
}

/// What a block gave beside its receipts.
pub struct Outcome {
    /// What changed.
    pub changes: ChangeSet,
    /// The block access list, where the fork has one.
    pub access_list: Option<Bal>,
    /// 64-byte hashes answered from memory, and computed.
    pub keccak_memo: (u64, u64),
    /// What the workers did.
    pub report: Report,
}

/// The part of a worker other than the first.
fn help<'s>(shared: &'s Shared<'s>, number: usize, line: &Line<'_, '_>, all: &Mutex<Vec<Finished>>) {
    // A worker that wakes when all is done has nothing to set up for.
    if shared.turns.is_none() && shared.is_over() {
        return;
    }
    let Ok(mut worker) = catch_unwind(AssertUnwindSafe(|| Worker::new(shared, number))) else {
        return shared.fail(Fault::Interpreter("a worker panicked".into()).into());
    };
    take_part(shared, &mut worker, number, line);
    let memo = worker.machine.keccak_memo();
    lock(all).push((number, worker.counters, worker.timeline, memo));
}

/// A worker's part. A panic is a fault of the block, not of the thread.
fn take_part(shared: &Shared<'_>, worker: &mut Worker<'_>, number: usize, line: &Line<'_, '_>) {
    if let Some(turns) = &shared.turns {
        turns.enter(number);
    }
    if catch_unwind(AssertUnwindSafe(|| worker.work(line))).is_err() {
        shared.fail(Fault::Interpreter("a worker panicked".into()).into());
    }
    if let Some(turns) = &shared.turns {
        turns.leave(number);
    }
}

impl Shared<'_> {
    /// Moves on to the next block access index.
    pub fn next_access_index(&self) {
        if self.rules.cfg.spec.is_enabled_in(SpecId::AMSTERDAM)
            && let Some(recorder) = &mut *lock(&self.access_list)
        {
            recorder.index.increment();
        }
    }

    /// Whether nothing is left to do.
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.scheduler().is_done()
    }
}
