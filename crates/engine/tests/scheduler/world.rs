//! A machine and its workers, one event at a time, and what must hold after each.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use solder_engine::parallel::scheduler::{
    Finish, MAX_EXECUTIONS, MIN_CHAIN_CONFLICTS, Phase, Scheduler, Task,
};
use solder_engine::state::Ticket;

/// Groups that may prove to be chains, by transaction.
pub const GROUPS: [[u32; 2]; 3] = [[1, 2], [2, 3], [1, 3]];
/// What transactions are expected to cost: every third so much that it begins before its turn.
pub fn cost(tx: usize) -> u64 {
    if tx % 3 == 2 { 100 } else { 1 }
}

/// What the search asks of a machine; broken ones change an answer.
pub trait Machine: Clone + std::fmt::Debug {
    fn inner(&self) -> &Scheduler;
    fn inner_mut(&mut self) -> &mut Scheduler;

    fn has_task(&self) -> bool {
        self.inner().spare_tasks() > 0
    }
    fn next_task(&mut self, worker: usize) -> Task {
        self.inner_mut().next_task(worker)
    }
    fn finish(&mut self, tx: usize) -> Finish {
        self.inner_mut().finish(tx)
    }
    fn published(&mut self, tx: usize) -> bool {
        self.inner_mut().published(tx)
    }
    fn invalidate(&mut self, tx: usize) -> bool {
        self.inner_mut().invalidate(tx)
    }
    fn committed(&mut self) -> Option<usize> {
        self.inner_mut().committed()
    }
    fn claim(&mut self) -> usize {
        self.inner_mut().claim()
    }
    fn committed_below(&mut self, tx: usize) {
        self.inner_mut().committed_below(tx);
    }
    fn take_head(&mut self) -> Option<(usize, usize)> {
        self.inner_mut().take_head(&|_| true)
    }
    fn resume(&mut self, tx: usize) {
        self.inner_mut().resume(tx);
    }
    fn block(&mut self, tx: usize, on: usize) {
        self.inner_mut().block(tx, on);
    }
}

impl Machine for Scheduler {
    fn inner(&self) -> &Scheduler {
        self
    }
    fn inner_mut(&mut self) -> &mut Scheduler {
        self
    }
}

/// Where a worker is between two calls to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Worker {
    /// Asks next.
    Free,
    /// Was told that there is nothing to do; looks again when there is.
    Asleep,
    /// Runs a transaction.
    Executing(usize),
    /// Writes its values where others see them.
    Publishing(usize),
    /// Holds the baton; `true` once it ran the transaction at its commit position. What it goes on to before it comes back
    /// ends there.
    Committing(usize, bool, usize),
    /// Waits for a state read.
    Awaiting(usize),
    /// Was told that the block is complete.
    Left,
}

/// One thing that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Ask(usize),
    Finish(usize),
    Park(usize),
    Block(usize, usize),
    Published(usize),
    /// What a transaction read is stale; `true`: both belong to a group, which is taken for a chain from now on.
    Invalidate(usize, usize, bool),
    Stale(usize),
    /// Whoever commits several gives back what it has not begun.
    GiveBack(usize),
    /// `true`: the worker goes on with the head that nobody has begun, or that is to run again.
    Committed(usize, bool),
    Resume(usize),
}

impl Event {
    pub fn kind(self) -> &'static str {
        match self {
            Self::Ask(_) => "ask",
            Self::Finish(_) => "finish",
            Self::Park(_) => "park",
            Self::Block(..) => "block",
            Self::Published(_) => "published",
            Self::Invalidate(..) => "invalidate",
            Self::Stale(_) => "stale",
            Self::GiveBack(_) => "give back",
            Self::Committed(..) => "committed",
            Self::Resume(_) => "resume",
        }
    }
}

/// A machine with its workers.
#[derive(Clone)]
pub struct World<M> {
    pub machine: M,
    pub workers: Vec<Worker>,
    /// How often each transaction may still meet a read without an answer, or a write that is to come.
    pub parks_left: Vec<u8>,
    /// How many are committed.
    pub commits: usize,
    /// How often each was started, parked starts left out.
    pub started: Vec<usize>,
}

impl<M: Machine> World<M> {
    pub fn new(machine: M, transactions: usize, workers: usize, parks: u8) -> Self {
        Self {
            machine,
            workers: vec![Worker::Free; workers],
            parks_left: vec![parks; transactions],
            commits: 0,
            started: vec![0; transactions],
        }
    }

    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (index, worker) in self.workers.iter().enumerate() {
            match *worker {
                Worker::Free => events.push(Event::Ask(index)),
                Worker::Asleep if self.machine.has_task() => events.push(Event::Ask(index)),
                Worker::Asleep | Worker::Left => {}
                Worker::Executing(tx) => {
                    events.push(Event::Finish(index));
                    if self.parks_left[tx] > 0 {
                        events.push(Event::Park(index));
                        self.blockages(index, tx, &mut events);
                    }
                }
                Worker::Publishing(tx) => {
                    events.push(Event::Published(index));
                    self.invalidations(index, tx, &mut events);
                }
                Worker::Committing(tx, repeated, end) => {
                    events.push(Event::Committed(index, false));
                    if tx + 1 == end {
                        events.push(Event::Committed(index, true));
                    }
                    if self.is_claim(tx, end) {
                        events.push(Event::GiveBack(index));
                    }
                    if !repeated {
                        events.push(Event::Stale(index));
                    }
                    self.invalidations(index, tx, &mut events);
                }
                Worker::Awaiting(_) => events.push(Event::Resume(index)),
            }
        }
        events
    }

    /// Whoever writes may find that a higher transaction read something else, wherever that one is by now.
    pub fn invalidations(&self, worker: usize, tx: usize, events: &mut Vec<Event>) {
        for other in tx + 1..self.started.len() {
            if self.started[other] > 0 {
                events.extend([false, true].map(|chained| Event::Invalidate(worker, other, chained)));
            }
        }
    }

    /// It met a write of a lower one that was to run again when it looked; that one may have moved on since.
    pub fn blockages(&self, worker: usize, tx: usize, events: &mut Vec<Event>) {
        let ran = |on: &usize| self.machine.inner().phase(*on) != Phase::Waiting;
        events.extend((0..tx).filter(ran).map(|on| Event::Block(worker, on)));
    }

    /// Makes it happen. `Err` names the broken promise.
    pub fn apply(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Ask(worker) => self.ask(worker)?,
            Event::Finish(worker) => {
                let Worker::Executing(tx) = self.workers[worker] else { return Err("finish".into()) };
                self.workers[worker] = match self.machine.finish(tx) {
                    Finish::Commit => self.take_baton(tx)?,
                    Finish::Publish => Worker::Publishing(tx),
                };
            }
            Event::Park(worker) => {
                let Worker::Executing(tx) = self.workers[worker] else { return Err("park".into()) };
                self.parks_left[tx] -= 1;
                self.started[tx] -= 1;
                self.machine.inner_mut().park(tx, Ticket(tx as u64));
                self.workers[worker] = Worker::Free;
            }
            Event::Block(worker, on) => {
                let Worker::Executing(tx) = self.workers[worker] else { return Err("block".into()) };
                self.parks_left[tx] -= 1;
                self.started[tx] -= 1;
                self.machine.block(tx, on);
                self.workers[worker] = Worker::Free;
            }
            Event::Published(worker) => {
                let Worker::Publishing(tx) = self.workers[worker] else { return Err("published".into()) };
                let commits = self.machine.published(tx);
                self.workers[worker] = if commits { self.take_baton(tx)? } else { Worker::Free };
            }
            Event::Invalidate(worker, tx, chained) => {
                let (Worker::Publishing(by) | Worker::Committing(by, ..)) = self.workers[worker] else {
                    return Err("invalidate".into());
                };
                if chained {
                    let machine = self.machine.inner_mut();
                    if !machine.knows_groups() {
                        let groups = (0..self.started.len()).map(|tx| GROUPS[tx % GROUPS.len()]);
                        machine.set_groups(groups.collect());
                    }
                    for _ in 0..MIN_CHAIN_CONFLICTS {
                        machine.conflicted(tx, by);
                    }
                }
                self.machine.invalidate(tx);
            }
            Event::Stale(worker) => self.stale(worker)?,
            Event::GiveBack(worker) => {
                let Worker::Committing(tx, repeated, end) = self.workers[worker] else {
                    return Err("give back".into());
                };
                self.give_back(tx, end);
                self.workers[worker] = Worker::Committing(tx, repeated, tx + 1);
            }
            Event::Committed(worker, goes_on) => self.committed(worker, goes_on)?,
            Event::Resume(worker) => {
                let Worker::Awaiting(tx) = self.workers[worker] else { return Err("resume".into()) };
                self.machine.resume(tx);
                self.workers[worker] = Worker::Free;
            }
        }
        self.check()
    }

    fn stale(&mut self, worker: usize) -> Result<(), String> {
        let Worker::Committing(tx, false, end) = self.workers[worker] else { return Err("stale".into()) };
        self.give_back(tx, end);
        let incarnation = self.machine.inner_mut().repeat_at_head();
        if incarnation != self.started[tx] {
            return Err(format!("incarnation {incarnation} of {tx} at its commit position"));
        }
        self.count_start(tx)?;
        self.workers[worker] = Worker::Committing(tx, true, tx + 1);
        Ok(())
    }

    fn committed(&mut self, worker: usize, goes_on: bool) -> Result<(), String> {
        let Worker::Committing(tx, _, end) = self.workers[worker] else { return Err("commit".into()) };
        if tx != self.commits {
            return Err(format!("transaction {tx} is committed as number {}", self.commits));
        }
        self.commits += 1;
        if tx + 1 < end {
            self.workers[worker] = Worker::Committing(tx + 1, false, end);
            return Ok(());
        }
        let next = self.machine.committed();
        self.workers[worker] = Worker::Free;
        if let Some(next) = next {
            self.take_baton(next)?;
            self.workers[worker] = Worker::Committing(next, false, self.machine.claim());
        } else if goes_on && let Some((head, incarnation)) = self.machine.take_head() {
            if head != self.commits || incarnation != self.started[head] {
                return Err(format!("incarnation {incarnation} of {head} at the head"));
            }
            self.count_start(head)?;
            self.take_baton(head)?;
            self.workers[worker] = Worker::Committing(head, true, head + 1);
        }
        Ok(())
    }

    pub fn ask(&mut self, worker: usize) -> Result<(), String> {
        let promised = self.machine.has_task();
        let before = self.machine.clone();
        let task = self.machine.next_task(worker);
        // More may be promised than there is; and who asks unpromised may begin what has not begun in its turn.
        let begins = matches!(task, Task::Execute { tx, .. } if before.inner().phase(tx) == Phase::Waiting);
        if !promised && !begins && task != Task::Idle {
            return Err(format!("nothing to do is promised, next_task gives {task:?}"));
        }
        self.workers[worker] = match task {
            Task::Execute { tx, incarnation, at_head } => {
                if at_head != (tx == self.commits) {
                    return Err(format!("transaction {tx} runs at the head: {at_head}"));
                }
                if incarnation != self.started[tx] {
                    return Err(format!("incarnation {incarnation} of {tx}, started {}", self.started[tx]));
                }
                self.count_start(tx)?;
                Worker::Executing(tx)
            }
            Task::Commit { tx } => self.take_baton(tx)?,
            Task::Await { tx, ticket } => {
                if ticket != Ticket(tx as u64) {
                    return Err(format!("{ticket:?} for transaction {tx}"));
                }
                Worker::Awaiting(tx)
            }
            Task::Idle => Worker::Asleep,
            Task::Done => Worker::Left,
        };
        Ok(())
    }

    pub fn count_start(&mut self, tx: usize) -> Result<(), String> {
        self.started[tx] += 1;
        if tx < self.commits {
            return Err(format!("transaction {tx} runs after its commit"));
        }
        if self.started[tx] > MAX_EXECUTIONS {
            return Err(format!("transaction {tx} runs {} times", self.started[tx]));
        }
        Ok(())
    }

    pub fn take_baton(&self, tx: usize) -> Result<Worker, String> {
        if self.workers.iter().any(|worker| matches!(worker, Worker::Committing(..))) {
            return Err("two workers hold the baton".into());
        }
        Ok(Worker::Committing(tx, false, tx + 1))
    }

    /// Whether the machine knows less, or has promised more, than the commit of `tx` alone.
    fn is_claim(&self, tx: usize, end: usize) -> bool {
        self.machine.inner().head() < tx || tx + 1 < end
    }

    fn give_back(&mut self, tx: usize, end: usize) {
        if self.is_claim(tx, end) {
            self.machine.committed_below(tx);
        }
    }

    /// What holds in every state.
    pub fn check(&self) -> Result<(), String> {
        let machine = self.machine.inner();
        let committing = self.workers.iter().find_map(|worker| match *worker {
            Worker::Committing(tx, ..) => Some(tx),
            _ => None,
        });
        // Whoever commits several says how far it came when it comes back.
        let told = committing.unwrap_or(machine.head());
        if told != self.commits || machine.head() > told {
            return Err(format!("head {} after {} commits", machine.head(), self.commits));
        }
        if machine.is_done() != (self.commits == self.started.len()) {
            return Err(format!("done is {} after {} commits", machine.is_done(), self.commits));
        }
        if self.workers.contains(&Worker::Left) && !machine.is_done() {
            return Err("a worker left before the end".into());
        }
        for tx in 0..self.started.len() {
            let holders = self.workers.iter().filter(|worker| match **worker {
                Worker::Executing(it) | Worker::Publishing(it) => it == tx,
                Worker::Committing(_, _, end) => (machine.head()..end).contains(&tx),
                Worker::Awaiting(it) => it == tx,
                Worker::Free | Worker::Asleep | Worker::Left => false,
            });
            let expected = match machine.phase(tx) {
                Phase::Executing | Phase::Committing => 1..=1,
                Phase::Blocked => 0..=0,
                // Not every parked transaction has a worker that waits for it.
                Phase::Parked => 0..=1,
                Phase::Waiting | Phase::Executed | Phase::Redo | Phase::Committed => 0..=0,
            };
            let holders = holders.count();
            if !expected.contains(&holders) {
                return Err(format!("{holders} workers have transaction {tx} in {:?}", machine.phase(tx)));
            }
        }
        Ok(())
    }

    /// The state as a number, workers but the first in no order: they are alike.
    pub fn fingerprint(&self) -> u128 {
        let mut workers = self.workers.clone();
        workers[1..].sort_unstable();
        let text = format!("{:?}", self.machine);
        let hash = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, &text, &workers, &self.parks_left).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        hash(0) << 64 | hash(1)
    }
}
