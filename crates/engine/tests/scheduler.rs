//! The scheduler's state machine, explored: every order of the events of small blocks, breadth first, and seeded
//! random walks through large ones. What the threads of a run decide by chance (who is next, whether a read was
//! stale, whether a state read is answered at once) is a choice here. A search that finds nothing proves little, so
//! machines that are broken on purpose must be found out too.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::hash::{Hash, Hasher};

use solder_engine::parallel::scheduler::{
    EARLY_PER_WORKER, Finish, MAX_EXECUTIONS, MIN_CHAIN_CONFLICTS, Phase, Scheduler, Task, WINDOW_PER_WORKER,
};
use solder_engine::state::Ticket;

/// What the search asks of a machine; broken ones change an answer.
trait Machine: Clone + std::fmt::Debug {
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
enum Worker {
    /// Asks next.
    Free,
    /// Was told that there is nothing to do; looks again when there is.
    Asleep,
    /// Runs a transaction.
    Executing(usize),
    /// Writes its values where others see them.
    Publishing(usize),
    /// Holds the baton; `true` once it ran the transaction at its commit position.
    Committing(usize, bool),
    /// Waits for a state read.
    Awaiting(usize),
    /// Was told that the block is complete.
    Left,
}

/// One thing that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Ask(usize),
    Finish(usize),
    Park(usize),
    Block(usize, usize),
    Published(usize),
    /// What a transaction read is stale; `true`: both belong to a group, which is taken for a chain from now on.
    Invalidate(usize, usize, bool),
    Stale(usize),
    /// `true`: the worker goes on with the head that nobody has begun, or that is to run again.
    Committed(usize, bool),
    Resume(usize),
}

impl Event {
    fn kind(self) -> &'static str {
        match self {
            Self::Ask(_) => "ask",
            Self::Finish(_) => "finish",
            Self::Park(_) => "park",
            Self::Block(..) => "block",
            Self::Published(_) => "published",
            Self::Invalidate(..) => "invalidate",
            Self::Stale(_) => "stale",
            Self::Committed(..) => "committed",
            Self::Resume(_) => "resume",
        }
    }
}

/// A machine with its workers.
#[derive(Clone)]
struct World<M> {
    machine: M,
    workers: Vec<Worker>,
    /// How often each transaction may still meet a read without an answer, or a write that is to come.
    parks_left: Vec<u8>,
    /// How many are committed.
    commits: usize,
    /// How often each was started, parked starts left out.
    started: Vec<usize>,
}

impl<M: Machine> World<M> {
    fn new(machine: M, transactions: usize, workers: usize, parks: u8) -> Self {
        Self {
            machine,
            workers: vec![Worker::Free; workers],
            parks_left: vec![parks; transactions],
            commits: 0,
            started: vec![0; transactions],
        }
    }

    fn events(&self) -> Vec<Event> {
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
                Worker::Committing(tx, repeated) => {
                    events.extend([false, true].map(|goes_on| Event::Committed(index, goes_on)));
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
    fn invalidations(&self, worker: usize, tx: usize, events: &mut Vec<Event>) {
        for other in tx + 1..self.started.len() {
            if self.started[other] > 0 {
                events.extend([false, true].map(|chained| Event::Invalidate(worker, other, chained)));
            }
        }
    }

    /// It met a write of a lower one that was to run again when it looked; that one may have moved on since.
    fn blockages(&self, worker: usize, tx: usize, events: &mut Vec<Event>) {
        let ran = |on: &usize| self.machine.inner().phase(*on) != Phase::Waiting;
        events.extend((0..tx).filter(ran).map(|on| Event::Block(worker, on)));
    }

    /// Makes it happen. `Err` names the broken promise.
    fn apply(&mut self, event: Event) -> Result<(), String> {
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
                let (Worker::Publishing(by) | Worker::Committing(by, _)) = self.workers[worker] else {
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
            Event::Stale(worker) => {
                let Worker::Committing(tx, false) = self.workers[worker] else { return Err("stale".into()) };
                self.machine.inner_mut().repeat_at_head();
                self.count_start(tx)?;
                self.workers[worker] = Worker::Committing(tx, true);
            }
            Event::Committed(worker, goes_on) => {
                let Worker::Committing(tx, _) = self.workers[worker] else { return Err("commit".into()) };
                if tx != self.commits {
                    return Err(format!("transaction {tx} is committed as number {}", self.commits));
                }
                self.commits += 1;
                let next = self.machine.committed();
                self.workers[worker] = Worker::Free;
                if let Some(next) = next {
                    self.workers[worker] = self.take_baton(next)?;
                } else if goes_on && let Some((head, incarnation)) = self.machine.take_head() {
                    if head != self.commits || incarnation != self.started[head] {
                        return Err(format!("incarnation {incarnation} of {head} at the head"));
                    }
                    self.count_start(head)?;
                    self.take_baton(head)?;
                    self.workers[worker] = Worker::Committing(head, true);
                }
            }
            Event::Resume(worker) => {
                let Worker::Awaiting(tx) = self.workers[worker] else { return Err("resume".into()) };
                self.machine.resume(tx);
                self.workers[worker] = Worker::Free;
            }
        }
        self.check()
    }

    fn ask(&mut self, worker: usize) -> Result<(), String> {
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

    fn count_start(&mut self, tx: usize) -> Result<(), String> {
        self.started[tx] += 1;
        if tx < self.commits {
            return Err(format!("transaction {tx} runs after its commit"));
        }
        if self.started[tx] > MAX_EXECUTIONS {
            return Err(format!("transaction {tx} runs {} times", self.started[tx]));
        }
        Ok(())
    }

    fn take_baton(&self, tx: usize) -> Result<Worker, String> {
        if self.workers.iter().any(|worker| matches!(worker, Worker::Committing(..))) {
            return Err("two workers hold the baton".into());
        }
        Ok(Worker::Committing(tx, false))
    }

    /// What holds in every state.
    fn check(&self) -> Result<(), String> {
        let machine = self.machine.inner();
        if machine.head() != self.commits {
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
                Worker::Committing(it, _) | Worker::Awaiting(it) => it == tx,
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
    fn fingerprint(&self) -> u128 {
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

/// What a search saw.
#[derive(Debug, Default)]
struct Explored {
    states: usize,
    ends: usize,
    /// Events after which a worker that was told to sleep has something to do: a run must wake one there.
    wakes: BTreeSet<&'static str>,
}

/// Groups that may prove to be chains, by transaction.
const GROUPS: [[u32; 2]; 3] = [[1, 2], [2, 3], [1, 3]];
/// What transactions are expected to cost: every third so much that it begins before its turn.
fn cost(tx: usize) -> u64 {
    if tx % 3 == 2 { 100 } else { 1 }
}

/// More states than this are a mistake in the size of the test.
const MAX_STATES: usize = 10_000_000;

fn explore<M: Machine>(
    machine: M,
    transactions: usize,
    workers: usize,
    parks: u8,
) -> Result<Explored, String> {
    let start = World::new(machine, transactions, workers, parks);
    let mut seen = HashSet::from([start.fingerprint()]);
    let mut queue = VecDeque::from([start]);
    let mut explored = Explored::default();
    while let Some(world) = queue.pop_front() {
        explored.states += 1;
        let events = world.events();
        if events.is_empty() {
            if world.commits < transactions {
                return Err(format!("nobody can go on: {:?} {:?}", world.workers, world.machine));
            }
            explored.ends += 1;
        }
        for event in events {
            let mut next = world.clone();
            next.apply(event).map_err(|broken| format!("{broken} after {event:?} in {:?}", world.machine))?;
            if next.workers.contains(&Worker::Asleep) && !world.machine.has_task() && next.machine.has_task()
            {
                explored.wakes.insert(event.kind());
            }
            if seen.insert(next.fingerprint()) {
                assert!(seen.len() <= MAX_STATES, "too many states");
                queue.push_back(next);
            }
        }
    }
    Ok(explored)
}

fn explored(transactions: usize, workers: usize, parks: u8) -> Explored {
    let machine = Scheduler::new(transactions, workers, &cost);
    let found = explore(machine, transactions, workers, parks).unwrap();
    println!("{transactions} transactions, {workers} workers, {parks} parks each: {found:?}");
    assert!(found.ends > 0);
    found
}

#[test]
fn every_order_of_a_small_block_ends_with_all_committed_in_order() {
    for (transactions, workers) in [(0, 2), (1, 1), (1, 3), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3)] {
        explored(transactions, workers, 0);
    }
    assert!(explored(4, 2, 0).states > 50_000);
}

#[test]
fn every_order_with_reads_that_are_not_answered_ends_too() {
    for (transactions, workers, parks) in [(1, 1, 2), (1, 2, 2), (2, 1, 1), (2, 2, 2), (2, 3, 1)] {
        explored(transactions, workers, parks);
    }
    assert!(explored(3, 2, 1).states > 100_000);
}

#[test]
#[ignore = "takes minutes: make fuzz WHAT=scheduler"]
fn every_order_of_larger_blocks_ends_too() {
    assert!(explored(3, 3, 1).states > 500_000);
    assert!(explored(4, 4, 0).states > 500_000);
    assert!(explored(5, 2, 0).states > 200_000);
    assert!(explored(4, 2, 1).states > 500_000);
}

/// A worker that sleeps must be woken after these events, and no others.
#[test]
fn events_that_make_work_are_known() {
    let mut wakes = explored(3, 2, 1).wakes;
    wakes.extend(explored(3, 3, 0).wakes);
    assert_eq!(wakes, BTreeSet::from(["block", "committed", "invalidate", "park", "published", "resume"]));
}

/// A machine that breaks one promise.
#[derive(Clone, Debug)]
struct Broken {
    machine: Scheduler,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// The head moved to a transaction while it was published, and nobody takes it.
    PublishedForgetsHead,
    /// The next one is ready, and the worker that committed does not hear of it.
    CommittedForgetsNext,
    /// Every execution that ends believes that it is next.
    FinishIgnoresBaton,
    /// An answered read wakes nobody.
    ResumeIsLost,
    /// Only transactions that never ran count as work.
    HasTaskForgetsRedo,
    /// "Done" is latched when the last transaction is started.
    DoneTooEarly,
    /// The head is given to whoever committed what is below, and to the next who asks.
    TakesHeadTwice,
}

impl Machine for Broken {
    fn inner(&self) -> &Scheduler {
        &self.machine
    }
    fn inner_mut(&mut self) -> &mut Scheduler {
        &mut self.machine
    }
    fn has_task(&self) -> bool {
        match self.how {
            How::HasTaskForgetsRedo => self.machine.is_done() || self.machine.clone().next_task_is_new(),
            _ => self.machine.has_task(),
        }
    }
    fn next_task(&mut self, worker: usize) -> Task {
        match (self.how, self.machine.next_task(worker)) {
            (How::DoneTooEarly, Task::Idle) => Task::Done,
            (_, task) => task,
        }
    }
    fn finish(&mut self, tx: usize) -> Finish {
        let finish = self.machine.finish(tx);
        if self.how == How::FinishIgnoresBaton { Finish::Commit } else { finish }
    }
    fn published(&mut self, tx: usize) -> bool {
        self.machine.published(tx) && self.how != How::PublishedForgetsHead
    }
    fn committed(&mut self) -> Option<usize> {
        self.machine.committed().filter(|_| self.how != How::CommittedForgetsNext)
    }
    fn take_head(&mut self) -> Option<(usize, usize)> {
        let before = self.machine.clone();
        let taken = self.machine.take_head(&|_| true);
        if self.how == How::TakesHeadTwice && taken.is_some() {
            self.machine = before;
        }
        taken
    }
    fn resume(&mut self, tx: usize) {
        if self.how != How::ResumeIsLost {
            self.machine.resume(tx);
        }
    }
}

/// For [`How::HasTaskForgetsRedo`].
trait NextTaskIsNew {
    fn next_task_is_new(self) -> bool;
}

impl NextTaskIsNew for Scheduler {
    fn next_task_is_new(mut self) -> bool {
        matches!(self.next_task(0), Task::Execute { incarnation: 0, .. })
    }
}

#[test]
fn a_broken_machine_is_found_out() {
    for how in [
        How::PublishedForgetsHead,
        How::CommittedForgetsNext,
        How::FinishIgnoresBaton,
        How::ResumeIsLost,
        How::HasTaskForgetsRedo,
        How::DoneTooEarly,
        How::TakesHeadTwice,
    ] {
        let machine = Broken { machine: Scheduler::new(3, 2, &cost), how };
        let broken = explore(machine, 3, 2, 1).expect_err(&format!("{how:?} was not found"));
        println!("{how:?}: {}", broken.split(" after ").next().unwrap_or_default());
    }
}

/// The smallest generator that is good enough to choose events (SplitMix64).
struct Choice(u64);

impl Choice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// Walks a large block to its end; returns how often transactions ran.
fn walk(seed: u64, transactions: usize, workers: usize, parks: u8) -> usize {
    let mut choice = Choice(seed);
    let mut world = World::new(Scheduler::new(transactions, workers, &cost), transactions, workers, parks);
    loop {
        let events = world.events();
        if events.is_empty() {
            assert_eq!(world.commits, transactions, "seed {seed}: nobody can go on");
            return world.started.iter().sum();
        }
        // Progress most of the time; staleness is a tenth of the rest.
        let event = events[choice.below(events.len())];
        let adverse =
            matches!(event, Event::Invalidate(..) | Event::Stale(_) | Event::Park(_) | Event::Block(..));
        if adverse && choice.below(3) > 0 {
            continue;
        }
        world.apply(event).unwrap_or_else(|broken| panic!("seed {seed}, {event:?}: {broken}"));
        let ahead = world.started.iter().skip(world.commits).filter(|started| **started > 0).count();
        let most = (WINDOW_PER_WORKER + EARLY_PER_WORKER) * workers;
        assert!(ahead <= most, "seed {seed}: {ahead} ahead of the commit position");
    }
}

#[test]
fn random_walks_through_large_blocks_end() {
    for seed in 0..40 {
        let (transactions, workers) = [(200, 1), (300, 2), (150, 8), (120, 32)][seed as usize % 4];
        let executions = walk(seed, transactions, workers, (seed % 3) as u8);
        assert!(executions >= transactions && executions <= MAX_EXECUTIONS * transactions);
    }
}

/// The same walks for as long as `SOLDER_FUZZ_SECONDS` says: `make fuzz WHAT=scheduler`.
#[test]
#[ignore = "runs for as long as SOLDER_FUZZ_SECONDS says"]
fn random_walks_for_a_while() {
    let seconds = std::env::var("SOLDER_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    let mut seed = 1_000;
    while std::time::Instant::now() < end {
        let mut choice = Choice(seed);
        let (transactions, workers) = (1 + choice.below(250), 1 + choice.below(33));
        walk(seed, transactions, workers, choice.below(4) as u8);
        seed += 1;
    }
    println!("walks: {}, the last seed {}", seed - 1_000, seed - 1);
}
