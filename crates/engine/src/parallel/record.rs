//! What a run tells of itself: counters always, and the schedule when it is asked for.

use alloy_primitives::{Address, U256};

use super::recording::Recording;

/// Something that transactions can conflict on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Location {
    /// An account's balance, where its exact value or a bound of it was observed.
    Balance(Address),
    /// An account's nonce.
    Nonce(Address),
    /// An account's code.
    Code(Address),
    /// Whether an account exists, or is empty.
    Existence(Address),
    /// A storage slot.
    Slot(Address, U256),
}

/// What a worker did in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activity {
    /// Ran a transaction.
    Execute,
    /// Compared what a transaction read with what is there now.
    Validate,
    /// Made a transaction's changes part of the block.
    Commit,
    /// Waited for a state read.
    Await,
    /// The protocol's calls before the transactions.
    PreExecution,
    /// Rewards, withdrawals and requests after them.
    PostExecution,
    /// Put the block's changes together.
    Collect,
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Nothing to say: not an execution, or one that was committed.
    Kept,
    /// What it read was stale. `by` is the transaction that wrote there, where known.
    Aborted {
        /// Index into [`Schedule::locations`].
        location: u32,
        /// The transaction that wrote.
        by: Option<u32>,
    },
    /// It met a state read without an answer.
    Parked,
}

/// A span of a worker's time. Times are nanoseconds since the block began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which worker, from 0.
    pub worker: u32,
    /// What it did.
    pub activity: Activity,
    /// For which transaction, where it was for one.
    pub transaction: Option<u32>,
    /// Which attempt, from 0.
    pub incarnation: u32,
    /// When it began.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// How it ended.
    pub ending: Ending,
}

/// A read that the committed incarnation of a transaction made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRecord {
    /// Index into [`Schedule::locations`].
    pub location: u32,
    /// The transaction whose write it saw; `None` for the state before the block.
    pub writer: Option<u32>,
}

/// What the committed incarnation of a transaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionRecord {
    /// Gas.
    pub gas_used: u64,
    /// What it was expected to cost, as [`super::expected`] counts; 0 where nobody asked.
    pub expected: u64,
    /// Whether it is begun in one go with others like it.
    pub short: bool,
    /// Nanoseconds of the committed incarnation.
    pub execution: u64,
    /// Nanoseconds of its commit.
    pub commit: u64,
    /// Nanoseconds that this record took, before the commit: what a run that is not recorded does not need.
    pub recording: u64,
    /// Reads that a write of a lower transaction invalidates.
    pub reads: Vec<ReadRecord>,
    /// Locations written, as indices into [`Schedule::locations`].
    pub writes: Vec<u32>,
}

/// Who did what, when, on which worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Workers that ran.
    pub workers: u32,
    /// Nanoseconds from the first phase to the last.
    pub wall: u64,
    /// Picoseconds that one reading of the clock takes: what is measured by two readings holds one.
    pub reading: u64,
    /// Ordered by worker, then by time.
    pub spans: Vec<Span>,
    /// One for each transaction, in order.
    pub transactions: Vec<TransactionRecord>,
    /// What the indices name.
    pub locations: Vec<Location>,
}

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transactions of the block.
    pub transactions: u64,
    /// Attempts, the kept ones included.
    pub executions: u64,
    /// Attempts that were thrown away.
    pub conflicts: u64,
    /// Of those, found at the commit position.
    pub late_conflicts: u64,
    /// Attempts that stopped at a state read without an answer; not counted as executions.
    pub parked: u64,
    /// Transactions that were published before they were committed.
    pub published: u64,
}

impl Counters {
    /// Adds what another worker counted. `transactions` is the block's, not a worker's.
    pub fn add(&mut self, other: &Self) {
        self.executions += other.executions;
        self.conflicts += other.conflicts;
        self.late_conflicts += other.late_conflicts;
        self.parked += other.parked;
        self.published += other.published;
    }
}

/// Why a block ran on fewer workers than were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clamp {
    /// It would take less time than waking a worker is worth.
    Small,
    /// It has fewer transactions than workers.
    FewTransactions,
    /// A step trace was asked for, which is serial by nature.
    Traced,
}

impl Clamp {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::FewTransactions => "few_transactions",
            Self::Traced => "traced",
        }
    }
}

/// What a parallel run tells beside its outcome.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Workers asked for.
    pub workers: usize,
    /// Workers that took part; 1 and a clamp where the block ran where it was.
    pub workers_used: usize,
    /// Why fewer than asked for.
    pub clamp: Option<Clamp>,
    /// In numbers.
    pub counters: Counters,
    /// In detail, where asked for.
    pub recording: Option<Recording>,
}

impl Report {
    /// Who did what, when, where that was recorded. It is put together at each call.
    pub fn schedule(&self) -> Option<Schedule> {
        self.recording.as_ref().map(Recording::schedule)
    }
}
