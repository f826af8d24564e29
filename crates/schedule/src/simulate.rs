//! What a block would take on another number of workers: the engine's own scheduler, asked in virtual time.
//!
//! Each execution takes the time that was recorded for that incarnation (a later one than any recorded: the last one's). Its
//! reads are spread over that time in their order, and see what is published or committed then; one that meets a write
//! which is to be written again stops the execution there until that has happened. Publishing makes higher executions stale
//! whose reads would now see something else; what is stale at its commit position runs there once more. What the recorded
//! run lost around its tasks (waking workers, going from one task to the next, the phases of one thread) is measured from
//! its spans and charged in the same places. The same schedule and workers give the same result.

mod durations;
mod gaps;
mod runs;
mod speeds;
mod versions;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use alloy_primitives::Address;
use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::{Location, TransactionRecord};
use solder_engine::parallel::scheduler::{Finish, Phase, Scheduler, Task};

use durations::Durations;
use runs::Runs;
use versions::{Seen, Versions};

/// What a simulated run gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Simulation {
    /// Workers that took part.
    pub workers: usize,
    /// Nanoseconds from the first phase to the last.
    pub makespan: u64,
    /// Attempts, the kept ones included.
    pub executions: u64,
    /// Attempts that were thrown away.
    pub conflicts: u64,
    /// Attempts that stopped at a write that was to be written again; not counted as executions.
    pub blocked: u64,
    /// The most attempts that one transaction needed.
    pub most_attempts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A worker looks for something to do.
    Asks,
    /// An execution reads what a lower transaction writes, its `place`th such read.
    Reads { tx: usize, incarnation: usize, start: u64, place: usize },
    /// An execution ends.
    Executed { tx: usize, incarnation: usize },
    /// An execution at the commit position ends.
    Repeated { tx: usize },
    /// A worker that validated others begins the next commit.
    Commits { tx: usize },
    /// A commit ends.
    Committed { tx: usize },
}

struct Run {
    durations: Durations,
    scheduler: Scheduler,
    runs: Runs,
    versions: Versions,
    /// By time, then in the order in which they arose.
    events: BinaryHeap<Reverse<(u64, u64, usize, Event)>>,
    arisen: u64,
    idle: BTreeSet<usize>,
    /// By worker: whether it has started its first transaction.
    begun: Vec<bool>,
    /// By worker: whose readers it still has to tell, after the commits that it went on to.
    owed: Vec<Option<usize>>,
    conflicts: u64,
    blocked: u64,
    end: u64,
}

/// Runs the block on `workers` in virtual time.
pub fn simulate(schedule: &Schedule, workers: usize) -> Simulation {
    let workers = workers.clamp(1, schedule.transactions.len().max(1));
    let mut run = Run::new(schedule, workers);
    // One worker calls nobody.
    let head = run.durations.head - if workers == 1 { run.durations.calling } else { 0 };
    for worker in 0..workers {
        let start = head + if worker == 0 { 0 } else { run.durations.wake };
        run.push(start, worker, Event::Asks);
    }
    // Each execution causes a bounded number of events, and the scheduler bounds the executions.
    while let Some(Reverse((time, _, worker, event))) = run.events.pop() {
        run.step(time, worker, event);
    }
    let attempts = (0..schedule.transactions.len()).map(|tx| run.scheduler.executions(tx));
    Simulation {
        workers,
        makespan: run.end.max(head) + run.durations.tail,
        executions: attempts.clone().map(|count| count as u64).sum(),
        conflicts: run.conflicts,
        blocked: run.blocked,
        most_attempts: attempts.max().unwrap_or(0),
    }
}

/// The groups that a transaction may form a chain in: its sender's, and that of whom it calls. A record names both: the
/// first nonce that is read is the sender's, and the first code that is not the sender's is the recipient's.
fn groups(schedule: &Schedule) -> Vec<[u32; 2]> {
    let mut numbers: HashMap<Address, u32> = HashMap::new();
    let mut number = |address: Address| {
        let next = 2 * numbers.len() as u32;
        *numbers.entry(address).or_insert(next)
    };
    let of_record = |record: &TransactionRecord| {
        let mut read = record.reads.iter().map(|read| &schedule.locations[read.location as usize]);
        let sender = read.clone().find_map(|location| match location {
            Location::Nonce(address) => Some(*address),
            _ => None,
        });
        let recipient = read.find_map(|location| match location {
            Location::Code(address) if Some(*address) != sender => Some(*address),
            _ => None,
        });
        // A sender and a recipient are never the same group.
        [number(sender.unwrap_or_default()), number(recipient.unwrap_or_default()) + 1]
    };
    schedule.transactions.iter().map(of_record).collect()
}

impl Run {
    fn new(schedule: &Schedule, workers: usize) -> Self {
        let records = &schedule.transactions;
        let mut scheduler = Scheduler::new(records.len(), workers, &|tx| records[tx].expected);
        scheduler.set_groups(groups(schedule));
        Self {
            durations: Durations::of(schedule),
            scheduler,
            runs: Runs::new(schedule, workers),
            versions: Versions::new(schedule),
            events: BinaryHeap::new(),
            arisen: 0,
            idle: BTreeSet::new(),
            begun: vec![false; workers],
            owed: vec![None; workers],
            conflicts: 0,
            blocked: 0,
            end: 0,
        }
    }

    fn push(&mut self, time: u64, worker: usize, event: Event) {
        self.arisen += 1;
        self.events.push(Reverse((time, self.arisen, worker, event)));
    }

    fn step(&mut self, time: u64, worker: usize, event: Event) {
        match event {
            Event::Asks => self.ask(time, worker),
            Event::Reads { tx, incarnation, start, place } => {
                self.read(time, worker, tx, incarnation, start, place)
            }
            Event::Executed { tx, incarnation } => self.executed(time, worker, tx, incarnation),
            Event::Repeated { tx } => {
                let before = self.durations.before_commit(worker, true);
                self.push(time + before + self.durations.commit(worker, tx), worker, Event::Committed { tx })
            }
            Event::Commits { tx } => self.commit(time, worker, tx, false),
            Event::Committed { tx } => self.committed(time, worker, tx),
        }
        // Whoever had nothing to do looks again when there is something, the lowest first.
        for worker in std::mem::take(&mut self.idle) {
            if self.scheduler.spare_tasks() > 0 {
                self.ask(time, worker);
            } else {
                self.idle.insert(worker);
            }
        }
    }

    fn ask(&mut self, time: u64, worker: usize) {
        match self.scheduler.next_task(worker) {
            Task::Execute { tx, incarnation, .. } => {
                if incarnation == 0 {
                    self.runs.begin(worker, tx, &mut self.scheduler);
                }
                self.begin(time, worker, tx, incarnation);
            }
            Task::Commit { tx } => self.commit(time, worker, tx, false),
            // Nothing is parked here: a read of the state before the block is part of the recorded time.
            Task::Idle | Task::Await { .. } => {
                self.idle.insert(worker);
            }
            Task::Done => {}
        }
    }

    fn begin(&mut self, time: u64, worker: usize, tx: usize, incarnation: usize) {
        self.versions.begin(tx);
        // The first one begins where the recorded one did.
        let found = if self.begun[worker] { self.durations.before_execution(worker) } else { 0 };
        self.begun[worker] = true;
        self.proceed(time + found, worker, tx, incarnation, 0);
    }

    /// What a worker does when a task is done: the rest of its run first.
    fn go_on(&mut self, time: u64, worker: usize) {
        if let Some((tx, incarnation)) = self.runs.take_put_off(worker) {
            self.tell_end(time, worker, tx, incarnation);
        } else if let Some(tx) = self.runs.next(worker) {
            self.begin(time, worker, tx, 0);
        } else {
            self.push(time, worker, Event::Asks);
        }
    }

    /// On to the next read of an execution that began at `start`, or to its end.
    fn proceed(&mut self, start: u64, worker: usize, tx: usize, incarnation: usize, place: usize) {
        let length = self.durations.execution(worker, tx, incarnation);
        match self.versions.position(tx, place) {
            Some(position) => {
                self.push(
                    start + position.of(length),
                    worker,
                    Event::Reads { tx, incarnation, start, place },
                );
            }
            None => self.push(start + length, worker, Event::Executed { tx, incarnation }),
        }
    }

    fn read(&mut self, time: u64, worker: usize, tx: usize, incarnation: usize, start: u64, place: usize) {
        match self.versions.read(tx, place) {
            Seen::Version => self.proceed(start, worker, tx, incarnation, place + 1),
            Seen::Estimate { by } => {
                self.blocked += 1;
                self.scheduler.block(tx, by);
                self.go_on(time, worker);
            }
        }
    }

    fn executed(&mut self, time: u64, worker: usize, tx: usize, incarnation: usize) {
        if !self.runs.is_over(worker) && self.scheduler.head() != tx {
            return self.executed_in_run(time, worker, tx, incarnation);
        }
        if self.runs.owes(worker)
            && let Some(next) = self.runs.tell(worker, &mut self.scheduler)
        {
            self.runs.put_off(worker, tx, incarnation);
            return self.commit(time, worker, next, false);
        }
        self.tell_end(time, worker, tx, incarnation);
    }

    /// Within a run the scheduler is told later, unless somebody waits for what was executed.
    fn executed_in_run(&mut self, time: u64, worker: usize, tx: usize, incarnation: usize) {
        let mut time = time + self.durations.publishing(worker);
        if self.runs.is_shown(tx) {
            self.versions.publish(tx, incarnation);
            time += self.tell_readers(worker, tx);
        }
        let first = self.runs.keep(worker, tx);
        if first == self.scheduler.head()
            && let Some(next) = self.runs.tell(worker, &mut self.scheduler)
        {
            return self.commit(time, worker, next, false);
        }
        self.go_on(time, worker);
    }

    /// The scheduler is told of an execution that ended.
    fn tell_end(&mut self, time: u64, worker: usize, tx: usize, incarnation: usize) {
        if self.scheduler.finish(tx) == Finish::Commit {
            return self.commit(time, worker, tx, true);
        }
        self.versions.publish(tx, incarnation);
        if self.scheduler.published(tx) {
            self.owed[worker] = Some(tx);
            self.commit(time, worker, tx, true);
        } else {
            let time = time + self.durations.publishing(worker) + self.tell_readers(worker, tx);
            self.go_on(time, worker);
        }
    }

    /// Looks whether what higher transactions read of a transaction's news still holds. Gives how long it takes.
    fn tell_readers(&mut self, worker: usize, tx: usize) -> u64 {
        self.validate(worker, tx, Versions::is_news)
    }

    /// Has the stale ones run again among the executed transactions that read where `tx` writes. What they wrote is an
    /// estimate from then on, and its readers are looked at in turn.
    fn validate(&mut self, worker: usize, tx: usize, counts: fn(&Versions, u32) -> bool) -> u64 {
        let mut taken = 0;
        let mut readers = self.readers_above(tx, counts);
        while let Some(reader) = readers.pop_first() {
            if self.scheduler.phase(reader) == Phase::Executed {
                taken += self.durations.validation(worker);
                if let Some(by) = self.versions.stale(reader, false)
                    && self.scheduler.invalidate(reader)
                {
                    self.abort(reader, by);
                    readers.append(&mut self.readers_above(reader, Versions::is_marked));
                }
            }
        }
        taken
    }

    fn readers_above(&self, tx: usize, counts: fn(&Versions, u32) -> bool) -> BTreeSet<usize> {
        // They are started in order, but for a few: who waits has not looked yet.
        let looked = |reader: usize| self.scheduler.phase(reader) != Phase::Waiting;
        let mut readers = BTreeSet::new();
        self.versions.readers_above(tx, counts, looked, &mut readers);
        readers
    }

    fn abort(&mut self, tx: usize, by: usize) {
        self.conflicts += 1;
        self.scheduler.conflicted(tx, by);
        self.versions.mark_estimate(tx);
    }

    /// `own`: the worker has just executed it.
    fn commit(&mut self, time: u64, worker: usize, tx: usize, own: bool) {
        let Some(by) = self.versions.stale(tx, true) else {
            let end = time + self.durations.before_commit(worker, own) + self.durations.commit(worker, tx);
            return self.push(end, worker, Event::Committed { tx });
        };
        self.abort(tx, by);
        let start = time + self.validate(worker, tx, Versions::is_marked);
        let incarnation = self.scheduler.repeat_at_head();
        self.push(start + self.durations.execution(worker, tx, incarnation), worker, Event::Repeated { tx });
    }

    fn committed(&mut self, time: u64, worker: usize, tx: usize) {
        let is_news = self.versions.commit(tx, self.scheduler.executions(tx) - 1);
        self.end = time;
        let next = self.scheduler.committed();
        let mut time = time + if is_news { self.tell_readers(worker, tx) } else { 0 };
        if let Some(next) = next {
            return self.push(time, worker, Event::Commits { tx: next });
        }
        if let Some(owed) = self.owed[worker].take() {
            time += self.tell_readers(worker, owed);
        }
        // Whoever commits goes on with a head that nobody runs, and keeps the baton.
        if self.runs.is_over(worker)
            && !self.runs.owes(worker)
            && let Some((tx, incarnation)) = self.scheduler.take_head(&|tx| self.runs.is_taken_at_head(tx))
        {
            let start = time + self.durations.before_execution(worker);
            let end = start + self.durations.execution(worker, tx, incarnation);
            return self.push(end, worker, Event::Repeated { tx });
        }
        self.go_on(time, worker);
    }
}
