//! What a block would take on another number of workers: the engine's own scheduler, asked in virtual time.
//!
//! Each execution takes the time that was recorded for that incarnation (a later one than any recorded: the last one's). Its
//! reads are spread over that time in their order, and see what is published or committed then; one that meets a write
//! which is to be written again stops the execution there until that has happened. Publishing makes higher executions stale
//! whose reads would now see something else; what is stale at its commit position runs there once more. What the recorded
//! run lost around its tasks (waking workers, going from one task to the next, the phases of one thread) is measured from
//! its spans and charged in the same places. The same schedule and workers give the same result.

mod alone;
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

pub(crate) use alone::costs;
pub use alone::{Alone, Cost};
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
    /// A worker has looked whether what another transaction read still holds.
    Validated { reader: usize },
    /// A worker begins the next commit.
    Commits { tx: usize },
    /// A commit ends.
    Committed { tx: usize },
}

/// What a worker goes on with when it has told the readers of some news.
#[derive(Clone, Copy)]
enum After {
    /// The next thing of its own.
    GoOn,
    /// The scheduler is told later of an execution within a run.
    KeptInRun { tx: usize },
    /// The next commit, which is ready.
    Commit { tx: usize },
    /// The head, which it runs and commits.
    RunHead { tx: usize, incarnation: usize },
    /// The head again, which was stale.
    Repeat { tx: usize },
    /// It has given the baton away.
    Over,
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
    /// By worker: the readers that it has still to look at, and what it does then.
    telling: Vec<(BTreeSet<usize>, After)>,
    conflicts: u64,
    blocked: u64,
    end: u64,
}

/// Runs the block on `workers` in virtual time, by what was recorded while that many workers shared it.
pub fn simulate(schedule: &Schedule, workers: usize) -> Simulation {
    run(schedule, Durations::of(schedule), workers)
}

impl Alone {
    /// Runs the block that `schedule` records on one worker in virtual time, by what that costs alone.
    pub fn simulate(&self, schedule: &Schedule) -> Simulation {
        run(schedule, Durations::alone(self), 1)
    }
}

fn run(schedule: &Schedule, durations: Durations, workers: usize) -> Simulation {
    let workers = workers.clamp(1, schedule.transactions.len().max(1));
    let mut run = Run::new(schedule, durations, workers);
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
    fn new(schedule: &Schedule, durations: Durations, workers: usize) -> Self {
        let records = &schedule.transactions;
        let mut scheduler = Scheduler::new(records.len(), workers, &|tx| records[tx].expected);
        scheduler.set_groups(groups(schedule));
        Self {
            durations,
            scheduler,
            runs: Runs::new(schedule, workers),
            versions: Versions::new(schedule),
            events: BinaryHeap::new(),
            arisen: 0,
            idle: BTreeSet::new(),
            begun: vec![false; workers],
            owed: vec![None; workers],
            telling: vec![(BTreeSet::new(), After::GoOn); workers],
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
            Event::Validated { reader } => self.validated(time, worker, reader),
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
            if self.scheduler.head() == tx {
                self.scheduler.began_at_head(tx);
            }
            self.begin(time, worker, tx, 0);
        } else if let Some(next) = self.runs.tell(worker, &mut self.scheduler) {
            // The last one of the run stopped at an estimate.
            self.commit(time, worker, next, false);
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
        let time = time + self.durations.publishing(worker);
        if self.runs.is_shown(tx) {
            self.versions.publish(tx, incarnation);
            self.tell_readers(time, worker, tx, After::KeptInRun { tx });
        } else {
            self.follow(time, worker, After::KeptInRun { tx });
        }
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
            let time = time + self.durations.publishing(worker);
            self.tell_readers(time, worker, tx, After::GoOn);
        }
    }

    /// Looks whether what higher transactions read of a transaction's news still holds.
    fn tell_readers(&mut self, time: u64, worker: usize, tx: usize, after: After) {
        self.telling[worker] = (self.readers_above(tx, Versions::is_news), after);
        self.validate(time, worker);
    }

    /// On to the next reader that a worker has to look at. The others go on meanwhile.
    fn validate(&mut self, time: u64, worker: usize) {
        while let Some(reader) = self.telling[worker].0.pop_first() {
            if self.scheduler.phase(reader) == Phase::Executed {
                let end = time + self.durations.validation(worker);
                return self.push(end, worker, Event::Validated { reader });
            }
        }
        self.follow(time, worker, self.telling[worker].1);
    }

    /// Has a stale one run again. What it wrote is an estimate from then on, and its readers are looked at in turn.
    fn validated(&mut self, time: u64, worker: usize, reader: usize) {
        if let Some(by) = self.versions.stale(reader, false)
            && self.scheduler.invalidate(reader)
        {
            self.abort(reader, by);
            let readers = self.readers_above(reader, Versions::is_marked);
            self.telling[worker].0.extend(readers);
        }
        self.validate(time, worker);
    }

    fn follow(&mut self, time: u64, worker: usize, after: After) {
        match after {
            After::GoOn => self.go_on(time, worker),
            After::KeptInRun { tx } => {
                let first = self.runs.keep(worker, tx);
                if first == self.scheduler.head()
                    && let Some(next) = self.runs.tell(worker, &mut self.scheduler)
                {
                    return self.commit(time, worker, next, false);
                }
                self.go_on(time, worker);
            }
            After::Commit { tx } => self.push(time, worker, Event::Commits { tx }),
            After::RunHead { tx, incarnation } => {
                let start = time + self.durations.before_execution(worker);
                self.repeat(start, worker, tx, incarnation);
            }
            After::Repeat { tx } => {
                let incarnation = self.scheduler.repeat_at_head();
                self.repeat(time, worker, tx, incarnation);
            }
            After::Over => match self.owed[worker].take() {
                Some(owed) => self.tell_readers(time, worker, owed, After::GoOn),
                None => self.go_on(time, worker),
            },
        }
    }

    /// Runs the head, which is committed then.
    fn repeat(&mut self, start: u64, worker: usize, tx: usize, incarnation: usize) {
        let end = start + self.durations.execution(worker, tx, incarnation);
        self.push(end, worker, Event::Repeated { tx });
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
        self.telling[worker] = (self.readers_above(tx, Versions::is_marked), After::Repeat { tx });
        self.validate(time, worker);
    }

    fn committed(&mut self, time: u64, worker: usize, tx: usize) {
        let is_news = self.versions.commit(tx, self.scheduler.executions(tx) - 1);
        self.end = time;
        let after = match self.scheduler.committed() {
            Some(tx) => After::Commit { tx },
            // Whoever commits goes on with a head that nobody runs, and keeps the baton.
            None if self.runs.is_over(worker) && !self.runs.owes(worker) => {
                let head = self.scheduler.take_head(&|tx| self.runs.is_taken_at_head(tx));
                head.map_or(After::Over, |(tx, incarnation)| After::RunHead { tx, incarnation })
            }
            None => After::Over,
        };
        if is_news {
            self.tell_readers(time, worker, tx, after);
        } else {
            self.follow(time, worker, after);
        }
    }
}
