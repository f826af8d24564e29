//! Who does what next: a plain state machine without threads, time or memory of its own. Workers ask it under one lock;
//! the simulator asks the same machine in virtual time, and a test explores every order of its events on small blocks.
//!
//! A transaction is executed speculatively (its writes are *published*), perhaps once again when a lower one proves
//! what it read to be stale, and is *committed* in order by whichever worker holds the baton. What is committed was
//! either validated against the committed state or executed on it, so a transaction runs at most
//! [`MAX_EXECUTIONS`] times.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::ops::Range;

use crate::state::Ticket;

/// The most times that one transaction runs: speculatively, early again, and at its commit position.
pub const MAX_EXECUTIONS: usize = 3;
/// How far speculation runs ahead of the commit position, for each worker.
pub const WINDOW_PER_WORKER: usize = 256;

/// The most long transactions that are begun out of order, for each worker.
pub const EARLY_PER_WORKER: usize = 4;
/// A transaction is long if it is expected to cost this many times the mean.
pub const LONG_TIMES_MEAN: u64 = 4;

/// The most short transactions that a worker begins in one go.
pub const MAX_RUN: usize = 12;

/// Transactions that must be free to begin before another worker is woken for them.
pub const MIN_ROOM: usize = 16;
/// The most transactions that are committed in one turn at the scheduler's lock.
pub const MAX_CLAIM: usize = 16;

/// Conflicts inside a group before it can be taken for a chain. Half of what it has begun must conflict, too: a router
/// leads to many pools.
pub const MIN_CHAIN_CONFLICTS: usize = 2;

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
    /// It met a write of a lower transaction that is to run again, and waits for it.
    Blocked,
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
    /// Which ran where everything below was committed.
    at_head: Vec<bool>,
    /// Which ran on what the one before in either group left for good, as far as that can be told: not what ran ahead on
    /// something stale before a chain was found.
    in_step: Vec<[bool; 2]>,
    head: usize,
    next: usize,
    window: usize,
    baton: bool,
    /// Up to where the holder of the baton commits before it comes back.
    claimed: usize,
    redo: Lowest,
    parked: VecDeque<(usize, Ticket)>,
    blocked: Waiters,
    /// Long transactions to begin before their turn, the longest last.
    early: Vec<usize>,
    groups: Vec<[u32; 2]>,
    /// The transaction before each in either of its groups, where a group proved to be a chain.
    before: Vec<[Option<u32>; 2]>,
    chained: Vec<u32>,
    conflicts: BTreeMap<u32, usize>,
    min_room: usize,
}

/// Who waits for whom: a list for each transaction, threaded through those that wait. Each waits for one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiters {
    first: Vec<u32>,
    next: Vec<u32>,
}

/// The end of a list.
const NOBODY: u32 = u32::MAX;

impl Waiters {
    fn new(transactions: usize) -> Self {
        Self { first: vec![NOBODY; transactions], next: vec![NOBODY; transactions] }
    }

    fn wait(&mut self, tx: usize, on: usize) {
        self.next[tx] = std::mem::replace(&mut self.first[on], tx as u32);
    }

    fn pop(&mut self, on: usize) -> Option<usize> {
        let tx = self.first[on];
        if tx == NOBODY {
            return None;
        }
        self.first[on] = std::mem::replace(&mut self.next[tx as usize], NOBODY);
        Some(tx as usize)
    }
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
    /// A block of `transactions` on `workers`. `cost` says what each is expected to cost.
    pub fn new(transactions: usize, workers: usize, cost: &dyn Fn(usize) -> u64) -> Self {
        Self {
            phases: vec![Phase::Waiting; transactions],
            executions: vec![0; transactions],
            at_head: vec![false; transactions],
            in_step: vec![[false; 2]; transactions],
            head: 0,
            next: 0,
            window: WINDOW_PER_WORKER * workers.max(1),
            baton: false,
            claimed: 0,
            redo: Lowest::default(),
            parked: VecDeque::new(),
            blocked: Waiters::new(transactions),
            early: early(transactions, workers, cost),
            groups: Vec::new(),
            before: Vec::new(),
            chained: Vec::new(),
            conflicts: BTreeMap::new(),
            min_room: MIN_ROOM,
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

    /// Those in `range` that are executed and not yet committed, the lowest first.
    pub fn executed(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        let end = range.end.min(self.phases.len());
        let start = range.start.min(end);
        let phases = self.phases[start..end].iter().enumerate();
        phases.filter(|(_, phase)| **phase == Phase::Executed).map(move |(place, _)| start + place)
    }

    /// Whether there is one.
    pub fn has_executed(&self, range: Range<usize>) -> bool {
        self.executed(range).next().is_some()
    }

    /// How often a transaction was started.
    pub fn executions(&self, tx: usize) -> usize {
        usize::from(self.executions[tx])
    }

    /// Whether all are committed.
    pub fn is_done(&self) -> bool {
        self.head == self.phases.len()
    }

    /// How many workers could find something to do, as far as two.
    pub fn spare_tasks(&self) -> usize {
        if self.is_done() {
            return 2;
        }
        let commit = usize::from(!self.baton && self.phases[self.head] == Phase::Executed);
        let room = self.phases.len().min(self.head + self.window).saturating_sub(self.next);
        // A window that moves on by one is no reason to wake anybody: whoever moved it will look there itself.
        let begin = if room >= self.min_room { 2 } else { 0 };
        (commit + self.redo.0.len() + self.parked.len() + begin).min(2)
    }

    /// The next thing for a worker to do: commit before anything else, then what must run again (lowest first), then a
    /// long transaction before its turn (not on worker 0, which keeps to the order), then what has not run yet, then
    /// waiting for a read.
    pub fn next_task(&mut self, worker: usize) -> Task {
        if self.is_done() {
            return Task::Done;
        }
        if !self.baton && self.phases[self.head] == Phase::Executed {
            return self.take_baton();
        }
        while let Some(Reverse(tx)) = self.redo.0.pop() {
            if !self.waits_in_chain(tx) {
                return self.start(tx);
            }
        }
        while worker > 0
            && let Some(tx) = self.early.pop()
        {
            if self.phases[tx] == Phase::Waiting && !self.waits_in_chain(tx) {
                return self.start(tx);
            }
        }
        let mut futile = false;
        while self.next < self.phases.len() && self.next < self.head + self.window {
            let tx = self.next;
            self.next += 1;
            if self.phases[tx] == Phase::Waiting && !self.waits_in_chain(tx) {
                if !self.is_in_chain(tx) {
                    self.min_room = MIN_ROOM;
                }
                return self.start(tx);
            }
            futile = true;
        }
        if futile {
            // All that could begin waits in a chain: the next look is worth less.
            self.min_room = (self.min_room * 2).min(self.window + 1);
        }
        match self.parked.pop_front() {
            Some((tx, ticket)) => Task::Await { tx, ticket },
            None => Task::Idle,
        }
    }

    /// One more to begin in the same go: the next in order, if it may begin and `is_wanted`. Handing out several short
    /// transactions at once saves as many turns at the lock.
    pub fn begin_next(&mut self, is_wanted: &dyn Fn(usize) -> bool) -> Option<usize> {
        let tx = self.next;
        let may_begin = tx < self.phases.len() && tx < self.head + self.window;
        if !may_begin || self.phases[tx] != Phase::Waiting || !is_wanted(tx) {
            return None;
        }
        self.next += 1;
        if self.waits_in_chain(tx) {
            return None;
        }
        self.start(tx);
        Some(tx)
    }

    /// How many short transactions a worker may begin besides one. The last ones are shared out.
    pub fn most_beside(&self, workers: usize) -> usize {
        (self.left() / (2 * workers)).min(MAX_RUN - 1)
    }

    /// How many transactions nobody has begun, save for long ones that were begun early.
    pub fn left(&self) -> usize {
        self.phases.len() - self.next
    }

    /// Whether everything has begun and nothing is to run again: whoever runs the last transactions does what may still
    /// come of them.
    pub fn is_ending(&self) -> bool {
        self.next == self.phases.len() && self.redo.0.is_empty() && self.parked.is_empty()
    }

    /// Whether a group of a transaction is taken for a chain.
    fn is_in_chain(&self, tx: usize) -> bool {
        self.groups.get(tx).is_some_and(|groups| self.chained.iter().any(|it| groups.contains(it)))
    }

    /// Whether a transaction is better left until the one before it in its chain has run, on what that one had to see; it
    /// is noted then.
    fn waits_in_chain(&mut self, tx: usize) -> bool {
        let Some(before) = self.before.get(tx).copied() else { return false };
        for (place, before) in before.into_iter().enumerate() {
            let Some(before) = before.map(|before| before as usize) else { continue };
            if !self.ran_in_step(before, place) && self.chained.contains(&self.groups[tx][place]) {
                self.phases[tx] = Phase::Blocked;
                self.blocked.wait(tx, before);
                return true;
            }
        }
        false
    }

    /// Whether the next one in that group can begin.
    fn ran_in_step(&self, tx: usize, place: usize) -> bool {
        self.phases[tx] == Phase::Committed || (self.has_run(tx) && self.in_step[tx][place])
    }

    /// In which of its groups a transaction that begins now follows what was left for good.
    fn steps(&self, tx: usize) -> [bool; 2] {
        if tx == self.head {
            return [true; 2];
        }
        // Nothing that is running says what it depends on before a chain is found.
        if self.chained.is_empty() {
            return [false; 2];
        }
        let before = self.before[tx];
        [0, 1].map(|place| before[place].is_none_or(|before| self.ran_in_step(before as usize, place)))
    }

    /// Whether [`Self::set_groups`] was called.
    pub fn knows_groups(&self) -> bool {
        !self.groups.is_empty()
    }

    /// The groups of each transaction: transactions of a group may turn out to be a chain.
    pub fn set_groups(&mut self, groups: Vec<[u32; 2]>) {
        let most = groups.iter().flatten().max().map_or(0, |most| *most as usize + 1);
        let mut last: Vec<Option<u32>> = vec![None; most];
        let link =
            |(tx, groups): (usize, &[u32; 2])| groups.map(|group| last[group as usize].replace(tx as u32));
        self.before = groups.iter().enumerate().map(link).collect();
        self.groups = groups;
    }

    /// A transaction read what a lower one wrote, too early. A group in which that happens often is taken for a chain
    /// from then on.
    pub fn conflicted(&mut self, tx: usize, by: usize) {
        if self.groups.is_empty() {
            return;
        }
        for group in self.groups[tx] {
            if !self.groups[by].contains(&group) || self.chained.contains(&group) {
                continue;
            }
            let kept = (0..self.head).filter(|tx| self.groups[*tx].contains(&group) && self.is_kept(*tx));
            let kept = kept.count();
            let conflicts = self.conflicts.entry(group).or_insert(0);
            *conflicts += 1;
            if *conflicts >= MIN_CHAIN_CONFLICTS && *conflicts >= kept {
                self.chained.push(group);
            }
        }
    }

    /// Whether a transaction ran ahead and was kept. One that ran at its turn says nothing of what it depends on, and one that
    /// has begun and is neither committed nor thrown away says nothing yet.
    pub fn is_kept(&self, tx: usize) -> bool {
        self.phases[tx] == Phase::Committed && !self.at_head[tx]
    }

    /// A transaction that was handed out with others began when everything below was committed.
    pub fn began_at_head(&mut self, tx: usize) {
        debug_assert!(self.phases[tx] == Phase::Executing && tx == self.head);
        self.at_head[tx] = true;
        self.in_step[tx] = [true; 2];
    }

    fn start(&mut self, tx: usize) -> Task {
        self.phases[tx] = Phase::Executing;
        self.at_head[tx] = tx == self.head;
        self.in_step[tx] = self.steps(tx);
        let incarnation = self.executions(tx);
        self.executions[tx] += 1;
        Task::Execute { tx, incarnation, at_head: tx == self.head }
    }

    /// Whether what a transaction wrote is there, and nobody runs it again.
    fn has_run(&self, tx: usize) -> bool {
        match self.phases[tx] {
            Phase::Executed | Phase::Committed => true,
            // The head may be about to run once more; what is claimed with it waits for its commit.
            Phase::Committing => tx > self.head,
            _ => false,
        }
    }

    fn take_baton(&mut self) -> Task {
        self.baton = true;
        self.claimed = self.head + 1;
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
        self.release(tx);
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
        if tx >= self.next {
            // Begun before its turn: the next attempt is in order.
            self.phases[tx] = Phase::Waiting;
        } else {
            self.phases[tx] = Phase::Redo;
            self.redo.0.push(Reverse(tx));
        }
        true
    }

    /// The transaction runs at its commit position: for the first time, or because what it read does not hold there.
    pub fn repeat_at_head(&mut self) -> usize {
        debug_assert!(self.baton);
        let incarnation = self.executions(self.head);
        self.executions[self.head] += 1;
        self.at_head[self.head] = true;
        self.in_step[self.head] = [true; 2];
        incarnation
    }

    /// The holder of the baton takes those that are ready after the head with it, to commit them before it comes back: it
    /// gives what is left of them back where one does not hold, or changes what the next may have seen. Gives where they
    /// end. In a chain others wait for each commit.
    pub fn claim(&mut self) -> usize {
        debug_assert!(self.baton);
        let end = self.phases.len().min(self.head + MAX_CLAIM);
        while self.chained.is_empty() && self.claimed < end && self.phases[self.claimed] == Phase::Executed {
            self.phases[self.claimed] = Phase::Committing;
            self.claimed += 1;
        }
        self.claimed
    }

    /// Those below `tx` are committed, and it is the head that is committed next. What was claimed above is given back.
    pub fn committed_below(&mut self, tx: usize) {
        debug_assert!(self.baton && self.head <= tx && tx < self.claimed);
        self.phases[tx + 1..self.claimed].fill(Phase::Executed);
        self.claimed = tx + 1;
        self.leave_behind(tx);
    }

    fn leave_behind(&mut self, end: usize) {
        for tx in self.head..end {
            self.phases[tx] = Phase::Committed;
            self.release(tx);
        }
        self.head = end;
    }

    /// The head is committed, and all that was claimed with it. Gives the next one to commit if it is ready; else the baton
    /// is free.
    pub fn committed(&mut self) -> Option<usize> {
        debug_assert!(self.baton);
        self.leave_behind(self.claimed);
        self.baton = false;
        if self.is_done() || self.phases[self.head] != Phase::Executed {
            return None;
        }
        self.take_baton();
        Some(self.head)
    }

    /// The head, if it is to run again, or nobody has begun it and it `is_wanted` or in a chain: whoever committed what is
    /// below runs it, keeps the baton and commits it. What it will read is in that worker's cache, and a chain stays on
    /// one worker, which passes the lock once for each transaction. Gives the transaction and which attempt this is.
    pub fn take_head(&mut self, is_wanted: &dyn Fn(usize) -> bool) -> Option<(usize, usize)> {
        if self.is_done() || self.baton {
            return None;
        }
        match self.phases[self.head] {
            Phase::Redo => {
                // Nothing that is to run again is lower than the head.
                let Reverse(lowest) = self.redo.0.pop()?;
                debug_assert_eq!(lowest, self.head);
            }
            // It may have been begun before its turn and thrown away.
            Phase::Waiting if self.is_in_chain(self.head) || is_wanted(self.head) => {
                self.next = self.next.max(self.head + 1);
            }
            _ => return None,
        }
        self.take_baton();
        Some((self.head, self.repeat_at_head()))
    }

    /// An execution met a state read that is not answered yet. It does not count as an execution.
    pub fn park(&mut self, tx: usize, ticket: Ticket) {
        debug_assert_eq!(self.phases[tx], Phase::Executing);
        self.executions[tx] -= 1;
        self.phases[tx] = Phase::Parked;
        self.parked.push_back((tx, ticket));
    }

    /// An execution met a write of `on`, a lower transaction that is to run again: this one goes on when that one has
    /// run. It does not count as an execution.
    pub fn block(&mut self, tx: usize, on: usize) {
        debug_assert_eq!(self.phases[tx], Phase::Executing);
        debug_assert!(on < tx);
        self.executions[tx] -= 1;
        if self.has_run(on) {
            self.phases[tx] = Phase::Redo;
            self.redo.0.push(Reverse(tx));
        } else {
            self.phases[tx] = Phase::Blocked;
            self.blocked.wait(tx, on);
        }
    }

    /// Lets those go on who wait for a transaction.
    fn release(&mut self, on: usize) {
        while let Some(tx) = self.blocked.pop(on) {
            self.phases[tx] = Phase::Redo;
            self.redo.0.push(Reverse(tx));
        }
    }

    /// The read is answered: the transaction can run again.
    pub fn resume(&mut self, tx: usize) {
        debug_assert_eq!(self.phases[tx], Phase::Parked);
        self.phases[tx] = Phase::Redo;
        self.redo.0.push(Reverse(tx));
    }
}

/// Transactions so long that the block ends sooner if they begin before their turn, the longest last.
fn early(transactions: usize, workers: usize, cost: &dyn Fn(usize) -> u64) -> Vec<usize> {
    if workers < 2 {
        return Vec::new();
    }
    let total: u64 = (0..transactions).map(cost).sum();
    let long = LONG_TIMES_MEAN * (total / transactions.max(1) as u64) + 1;
    let mut early: Vec<usize> = (0..transactions).filter(|tx| cost(*tx) >= long).collect();
    early.sort_by_key(|tx| Reverse((cost(*tx), Reverse(*tx))));
    early.truncate(EARLY_PER_WORKER * workers);
    early.reverse();
    early
}
