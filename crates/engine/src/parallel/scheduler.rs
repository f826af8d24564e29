//! Who does what next: a plain state machine without threads, time or memory of its own. Workers ask it under one lock;
//! the simulator asks the same machine in virtual time, and a test explores every order of its events on small blocks.
//!
//! A transaction is executed speculatively (its writes are *published*), perhaps once again when a lower one proves
//! what it read to be stale, and is *committed* in order by whichever worker holds the baton. What is committed was
//! either validated against the committed state or executed on it, so a transaction runs at most
//! [`MAX_EXECUTIONS`] times.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::state::Ticket;

/// The most times that one transaction runs: speculatively, early again, and at its commit position.
pub const MAX_EXECUTIONS: usize = 3;
/// How far speculation runs ahead of the commit position, for each worker.
pub const WINDOW_PER_WORKER: usize = 32;

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nobody has run it.
    Waiting,
    /// A worker runs it.
    Executing,
    /// It ran, and its writes are published.
    Executed,
    /// It is to run again.
    Redo,
    /// It waits for a state read.
    Parked,
    /// The worker with the baton commits it.
    Committing,
    /// Done.
    Committed,
}

/// What a worker should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// Run the transaction; `incarnation` counts from 0.
    Execute {
        /// Index in the block.
        tx: usize,
        /// Which attempt.
        incarnation: usize,
        /// Everything below is committed: what it sees is final.
        at_head: bool,
    },
    /// Commit the transaction: the worker holds the baton now.
    Commit {
        /// Index in the block.
        tx: usize,
    },
    /// Wait for the answer to a state read, then call [`Scheduler::resume`].
    Await {
        /// Index in the block.
        tx: usize,
        /// What it waits for.
        ticket: Ticket,
    },
    /// Nothing to do until something changes.
    Idle,
    /// The block is complete.
    Done,
}

/// What follows when an execution ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finish {
    /// It is next in order and the baton is taken: commit at once, nothing needs to be published.
    Commit,
    /// Lower transactions are not committed yet: publish, then call [`Scheduler::published`].
    Publish,
}

/// The state machine of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduler {
    phases: Vec<Phase>,
    executions: Vec<u8>,
    head: usize,
    next: usize,
    window: usize,
    baton: bool,
    redo: Lowest,
    parked: VecDeque<(usize, Ticket)>,
}

/// A heap that gives the lowest first.
#[derive(Clone, Debug, Default)]
struct Lowest(BinaryHeap<Reverse<usize>>);

impl PartialEq for Lowest {
    fn eq(&self, other: &Self) -> bool {
        self.0.clone().into_sorted_vec() == other.0.clone().into_sorted_vec()
    }
}

impl Eq for Lowest {}

impl Scheduler {
    /// A block of `transactions` on `workers`.
    pub fn new(transactions: usize, workers: usize) -> Self {
        Self {
            phases: vec![Phase::Waiting; transactions],
            executions: vec![0; transactions],
            head: 0,
            next: 0,
            window: WINDOW_PER_WORKER * workers.max(1),
            baton: false,
            redo: Lowest::default(),
            parked: VecDeque::new(),
        }
    }

    /// How many transactions are committed: the index of the next one.
    pub fn head(&self) -> usize {
        self.head
    }

    /// Where a transaction is.
    pub fn phase(&self, tx: usize) -> Phase {
        self.phases[tx]
    }

    /// Whether a transaction is executed and not yet committed.
    pub fn is_executed(&self, tx: usize) -> bool {
        self.phases[tx] == Phase::Executed
    }

    /// How often a transaction was started.
    pub fn executions(&self, tx: usize) -> usize {
        usize::from(self.executions[tx])
    }

    /// Whether all are committed.
    pub fn is_done(&self) -> bool {
        self.head == self.phases.len()
    }

    /// Whether [`Self::next_task`] would give something to do.
    pub fn has_task(&self) -> bool {
        self.is_done()
            || (!self.baton && self.phases[self.head] == Phase::Executed)
            || !self.redo.0.is_empty()
            || !self.parked.is_empty()
            || self.can_start()
    }

    fn can_start(&self) -> bool {
        self.next < self.phases.len() && self.next < self.head + self.window
    }

    /// The next thing to do: commit before anything else, then what must run again (lowest first), then what has
    /// not run yet, then waiting for a read.
    pub fn next_task(&mut self) -> Task {
        if self.is_done() {
            return Task::Done;
        }
        if !self.baton && self.phases[self.head] == Phase::Executed {
            return self.take_baton();
        }
        if let Some(Reverse(tx)) = self.redo.0.pop() {
            return self.start(tx);
        }
        if self.can_start() {
            self.next += 1;
            return self.start(self.next - 1);
        }
        match self.parked.pop_front() {
            Some((tx, ticket)) => Task::Await { tx, ticket },
            None => Task::Idle,
        }
    }

    fn start(&mut self, tx: usize) -> Task {
        self.phases[tx] = Phase::Executing;
        let incarnation = self.executions(tx);
        self.executions[tx] += 1;
        Task::Execute { tx, incarnation, at_head: tx == self.head }
    }

    fn take_baton(&mut self) -> Task {
        self.baton = true;
        self.phases[self.head] = Phase::Committing;
        Task::Commit { tx: self.head }
    }

    /// An execution ended. The next in order is committed at once.
    pub fn finish(&mut self, tx: usize) -> Finish {
        debug_assert_eq!(self.phases[tx], Phase::Executing);
        if tx == self.head && !self.baton {
            self.take_baton();
            return Finish::Commit;
        }
        Finish::Publish
    }

    /// The writes of an execution are published. True if it became next in order meanwhile: the caller commits it.
    pub fn published(&mut self, tx: usize) -> bool {
        debug_assert_eq!(self.phases[tx], Phase::Executing);
        self.phases[tx] = Phase::Executed;
        if tx == self.head && !self.baton {
            self.take_baton();
            return true;
        }
        false
    }

    /// What a transaction read is stale. True if it will run again early; one that did so already waits for its
    /// commit position, which bounds the number of executions.
    pub fn invalidate(&mut self, tx: usize) -> bool {
        if self.phases[tx] != Phase::Executed || self.executions(tx) + 1 >= MAX_EXECUTIONS {
            return false;
        }
        self.phases[tx] = Phase::Redo;
        self.redo.0.push(Reverse(tx));
        true
    }

    /// What the transaction read does not hold at its commit position: it runs there once more.
    pub fn repeat_at_head(&mut self) -> usize {
        debug_assert!(self.baton);
        let incarnation = self.executions(self.head);
        self.executions[self.head] += 1;
        incarnation
    }

    /// The head is committed. Gives the next one to commit if it is ready; else the baton is free.
    pub fn committed(&mut self) -> Option<usize> {
        debug_assert!(self.baton);
        self.phases[self.head] = Phase::Committed;
        self.head += 1;
        self.baton = false;
        if self.is_done() || self.phases[self.head] != Phase::Executed {
            return None;
        }
        self.take_baton();
        Some(self.head)
    }

    /// An execution met a state read that is not answered yet. It does not count as an execution.
    pub fn park(&mut self, tx: usize, ticket: Ticket) {
        debug_assert_eq!(self.phases[tx], Phase::Executing);
        self.executions[tx] -= 1;
        self.phases[tx] = Phase::Parked;
        self.parked.push_back((tx, ticket));
    }

    /// The read is answered: the transaction can run again.
    pub fn resume(&mut self, tx: usize) {
        debug_assert_eq!(self.phases[tx], Phase::Parked);
        self.phases[tx] = Phase::Redo;
        self.redo.0.push(Reverse(tx));
    }
}
