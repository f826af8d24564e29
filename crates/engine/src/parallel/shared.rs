//! What the workers of one block share, and how a transaction becomes part of the block.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_primitives::U256;
use revm::context::result::ExecutionResult;
use revm::primitives::hardfork::SpecId;

use super::apart::Apart;
use super::cells::{Cells, Delta, Recent};
use super::chains::Chains;
use super::expected::expected_costs;
use super::interleave::Turns;
use super::journal::{Accesses, Executed, Published};
use super::machine::Rules;
use super::news::News;
use super::outline::Outline;
use super::scheduler::Scheduler;
use super::timeline::Pace;
use super::{Parallel, collect};
use crate::chain::Transaction;
use crate::error::{EngineError, Fault, Rejection};
use crate::evm::AccessRecorder;
use crate::state::{ChangeSet, StateReader, reader::read_now};

/// Decides in block order: what the block's own rules say of a transaction, and what becomes of its result.
pub trait Sequencer: Send {
    /// Whether the transaction fits what is left of the block.
    fn admit(&mut self, index: usize, tx: &Transaction) -> Result<(), Rejection>;

    /// Takes a result. `changes` are those of the block so far.
    fn accept(
        &mut self,
        index: usize,
        tx: &Transaction,
        result: ExecutionResult,
        changes: &dyn Fn() -> Result<ChangeSet, Fault>,
    ) -> Result<(), EngineError>;

    /// Takes an invalid transaction; an error rejects the block.
    fn refuse(&mut self, index: usize, rejection: Rejection) -> Result<(), EngineError>;
}

/// What is known of a transaction between its execution and its commit.
#[derive(Default)]
pub struct Attempted {
    /// The last incarnation that ended.
    pub executed: Option<Box<Executed>>,
    /// Where its writes are published.
    pub published: Published,
}

/// What a worker that committed a transaction does next.
pub enum Turn<L> {
    /// Commit those that are next, which are ready.
    Commit(L, Range<usize>),
    /// Run the next one, this attempt of it, and commit it.
    Run(L, usize, usize),
    /// The baton is free.
    Over,
}

/// Spins before a worker without a task goes to sleep.
const IDLE_SPINS: usize = 300;
/// The same for the caller, where the others run the last transactions: waking takes longer than most of these.
const ENDING_SPINS: usize = 3_000;
/// How long it sleeps at most before it looks again.
const IDLE_SLEEP: Duration = Duration::from_millis(1);

/// A block on its workers.
pub struct Shared<'a> {
    /// Rules and environment.
    pub rules: Rules<'a>,
    /// The cells.
    pub cells: &'a Cells,
    /// The state before the block.
    pub reader: &'a dyn StateReader,
    /// The transactions.
    pub transactions: &'a [Transaction],
    /// How to run.
    pub options: Parallel,
    /// Turns, where workers take turns.
    pub turns: Option<Turns>,
    /// The clock, where the schedule is recorded.
    pub pace: Option<Pace>,
    /// Set when the block failed: nobody needs more.
    pub stop: AtomicBool,
    /// The block access list as it grows.
    pub access_list: Mutex<Option<AccessRecorder>>,
    /// Attempts by transaction.
    pub attempts: Vec<Mutex<Attempted>>,
    /// Their outlines.
    pub outlines: Vec<Outline>,
    /// What each transaction was expected to cost.
    pub expected: Vec<u64>,
    /// How many transactions are committed, to be read without the scheduler's lock.
    head: Apart<AtomicUsize>,
    /// The cell of the block's producer.
    beneficiary: u32,
    scheduler: Apart<Mutex<Scheduler>>,
    failure: Mutex<Option<EngineError>>,
    pub(super) chains: Chains,
    events: Apart<AtomicU64>,
    idlers: Apart<AtomicUsize>,
    sleepers: AtomicUsize,
    bed: Mutex<()>,
    bell: Condvar,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Shared<'a> {
    /// A block that has not begun.
    pub fn new(
        rules: Rules<'a>,
        cells: &'a Cells,
        reader: &'a dyn StateReader,
        transactions: &'a [Transaction],
        options: Parallel,
    ) -> Self {
        let beneficiary = cells.account_number(0, &mut Recent::default(), rules.env.beneficiary, None);
        let is_asked = options.workers > 1 || options.record;
        let expected = if is_asked { expected_costs(transactions) } else { Vec::new() };
        let scheduler = Scheduler::new(transactions.len(), options.workers, &|tx| expected[tx]);
        let listed = rules.cfg.spec.is_enabled_in(SpecId::AMSTERDAM);
        Self {
            rules,
            cells,
            reader,
            transactions,
            options,
            turns: options.interleave.map(|seed| Turns::new(options.workers, seed)),
            pace: options.record.then(Pace::new),
            stop: AtomicBool::new(false),
            access_list: Mutex::new(listed.then(AccessRecorder::default)),
            attempts: (0..transactions.len()).map(|_| Mutex::default()).collect(),
            outlines: (0..transactions.len()).map(|_| Outline::default()).collect(),
            head: Apart::default(),
            beneficiary,
            expected,
            scheduler: Apart(Mutex::new(scheduler)),
            failure: Mutex::default(),
            chains: Chains::default(),
            events: Apart::default(),
            idlers: Apart::default(),
            sleepers: AtomicUsize::new(0),
            bed: Mutex::new(()),
            bell: Condvar::new(),
        }
    }

    /// The position of a transaction.
    pub fn position(index: usize) -> u32 {
        // A block has fewer transactions than a list of them fits memory.
        index as u32 + 1
    }

    /// Whether empty accounts are deleted when touched.
    pub fn state_clear(&self) -> bool {
        self.rules.cfg.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON)
    }

    /// The state machine.
    pub fn scheduler(&self) -> MutexGuard<'_, Scheduler> {
        lock(&self.scheduler)
    }

    /// How many transactions are committed. All that they wrote can be seen.
    #[inline]
    pub fn head(&self) -> usize {
        self.head.load(Ordering::Acquire)
    }

    /// The head is committed, to be followed by others that were claimed with it.
    pub fn advance(&self, head: usize) {
        self.head.store(head, Ordering::Release);
    }

    /// The head and what was claimed with it are committed, and up to the position of its `news` somebody may have seen
    /// something else. The line goes on with the baton. Whoever idles looks again where there is more to do.
    pub fn committed<L>(&self, line: L, news: &News, free: bool) -> (Turn<L>, bool) {
        let mut scheduler = self.scheduler();
        let next = scheduler.committed();
        let head = scheduler.head();
        self.head.store(head, Ordering::Release);
        // Among several workers short ones are handed out by runs.
        let is_wanted = |tx: usize| self.options.workers == 1 || !self.is_short(tx);
        let own = if free && next.is_none() { scheduler.take_head(&is_wanted) } else { None };
        let turn = match (next, own) {
            (Some(tx), _) => Turn::Commit(line, tx..scheduler.claim()),
            (None, Some((tx, incarnation))) => Turn::Run(line, tx, incarnation),
            // Nobody takes the baton before the line is free.
            (None, None) => {
                drop(line);
                Turn::Over
            }
        };
        let is_told = news.highest().is_some_and(|highest| scheduler.has_executed(head..highest as usize));
        // An idler counts itself before it looks for the last time.
        let spare = if self.idlers.load(Ordering::SeqCst) > 0 { scheduler.spare_tasks() } else { 0 };
        drop(scheduler);
        // What is not handed out to this worker here it will ask for itself.
        if spare > usize::from(matches!(turn, Turn::Over)) {
            self.ring();
        }
        (turn, is_told)
    }

    /// Whether a transaction is probably so short that several are better begun at once.
    #[inline]
    pub fn is_short(&self, tx: usize) -> bool {
        let transaction = &self.transactions[tx];
        transaction.input.is_empty() && !transaction.to.is_create()
    }

    /// Abandons the block.
    pub fn fail(&self, error: EngineError) {
        lock(&self.failure).get_or_insert(error);
        self.stop.store(true, Ordering::SeqCst);
        self.notify(0);
    }

    /// Why the block was abandoned, if it was.
    pub fn take_failure(&self) -> Option<EngineError> {
        lock(&self.failure).take()
    }

    /// Something changed: whoever idles looks again. Waking costs more than a small transaction, so it is done only
    /// where there is something to do beyond the `own` tasks that the caller takes itself.
    pub fn notify(&self, own: usize) {
        if self.idlers.load(Ordering::SeqCst) == 0 {
            return;
        }
        if self.stop.load(Ordering::SeqCst) || self.scheduler().spare_tasks() > own {
            self.ring();
        }
    }

    fn ring(&self) {
        self.events.fetch_add(1, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            drop(lock(&self.bed));
            self.bell.notify_all();
        }
    }

    /// How many changes there were: to be read before a worker asks for a task.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::SeqCst)
    }

    /// Waits until something changes after `seen`.
    pub fn idle(&self, seen: u64, is_ending: bool) {
        self.idlers.fetch_add(1, Ordering::SeqCst);
        // What came up before this worker counted as idle was not announced.
        if self.scheduler().spare_tasks() == 0 && !self.stop.load(Ordering::SeqCst) {
            self.wait_for_event(seen, if is_ending { ENDING_SPINS } else { IDLE_SPINS });
        }
        self.idlers.fetch_sub(1, Ordering::SeqCst);
    }

    fn wait_for_event(&self, seen: u64, spins: usize) {
        for _ in 0..spins {
            if self.events() != seen {
                return;
            }
            std::hint::spin_loop();
        }
        let bed = lock(&self.bed);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        if self.events() == seen {
            let _woken = self.bell.wait_timeout(bed, IDLE_SLEEP);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether commits need what was observed as a record: for the block access list.
    pub fn keeps_records(&self) -> bool {
        self.rules.cfg.spec.is_enabled_in(SpecId::AMSTERDAM)
    }

    /// Makes an incarnation's writes part of the block. Gives what higher transactions may have seen otherwise.
    pub fn commit(&self, accesses: &mut Accesses, position: u32, before: &Published) -> Result<News, Fault> {
        let state_clear = self.state_clear();
        if self.rules.cfg.spec.is_enabled_in(SpecId::AMSTERDAM)
            && let Some(recorder) = &mut *lock(&self.access_list)
        {
            self.list_accesses(recorder, accesses);
        }
        let news = accesses.commit(self.cells, position, before, state_clear);
        if let Some(amount) = accesses.reward {
            self.reward(amount, position)?;
        }
        Ok(news)
    }

    /// Credits the block's producer with what a transaction paid.
    pub fn reward(&self, amount: U256, position: u32) -> Result<(), Fault> {
        let mut cell = self.cells.account(self.beneficiary);
        read_now(self.reader, |reader| cell.ensure_loaded(reader))?;
        // revm leaves a balance alone that would overflow.
        let fits = cell.now().balance.checked_add(amount).is_some();
        let delta = Delta { negative: false, amount: if fits { amount } else { U256::ZERO } };
        cell.commit_move(position, delta, None, self.state_clear());
        Ok(())
    }

    /// Writes the block access list (EIP-7928), with balances as they are at this position.
    fn list_accesses(&self, recorder: &mut AccessRecorder, accesses: &mut Accesses) {
        for access in &mut accesses.accounts {
            let Some(mut account) = access.journaled.take() else { continue };
            let cell = self.cells.account(access.cell);
            let (now, seen) = (cell.now(), access.seen());
            // What was not observed may be another by now: only what this transaction changed is its own.
            let delta = Delta::between(seen.balance, account.info.balance);
            account.info.balance = delta.apply(now.balance);
            if account.info.nonce == seen.nonce {
                account.info.nonce = now.nonce;
            }
            if account.info.code_hash == seen.code_hash {
                account.info.code_hash = now.code_hash;
            }
            let original = account.original_info_mut();
            (original.balance, original.nonce, original.code_hash) = (now.balance, now.nonce, now.code_hash);
            recorder.list.update_account(recorder.index, cell.address(), &account);
        }
    }

    /// The changes of the block so far.
    pub fn changes(&self) -> Result<ChangeSet, Fault> {
        collect::collect(self.cells, self.reader)
    }
}
