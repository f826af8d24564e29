//! What a block would take on another number of workers: the engine's own scheduler, asked in virtual time.
//!
//! Each execution takes the time that was recorded for that incarnation (a later one than any recorded: the last one's). Its
//! reads are spread over that time in their order, and see what is published or committed then. Publishing makes higher
//! executions stale whose reads would now see something else; what is stale at its commit position runs there once more.
//! What the recorded run lost around its tasks (waking workers, going from one task to the next, the phases of one thread)
//! is measured from its spans and charged in the same places. The same schedule and workers give the same result.

mod durations;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::{Location, ReadRecord, TransactionRecord};
use solder_engine::parallel::scheduler::{Finish, Phase, Scheduler, Task};

use durations::Durations;

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
    /// The most attempts that one transaction needed.
    pub most_attempts: usize,
}

/// Which attempt of which transaction wrote what a read saw: `None` is the state before the block.
type Version = Option<(u32, u8)>;

/// A read that depends on a lower transaction.
struct Dependency {
    location: u32,
    /// The transaction whose write the committed incarnation saw.
    writer: u32,
    /// Where in the execution it happens, in parts of [`WHOLE`].
    position: u32,
    seen: Version,
}

/// The length of an execution in the units of a position.
const WHOLE: u32 = 1 << 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A worker looks for something to do.
    Asks,
    /// An execution ends.
    Executed { tx: usize, incarnation: usize, start: u64 },
    /// The repetition at the commit position ends.
    Repeated { tx: usize },
    /// A worker that validated others begins the next commit.
    Commits { tx: usize },
    /// A commit ends.
    Committed { tx: usize },
}

struct Run<'a> {
    schedule: &'a Schedule,
    durations: Durations,
    scheduler: Scheduler,
    /// By time, then in the order in which they arose.
    events: BinaryHeap<Reverse<(u64, u64, usize, Event)>>,
    arisen: u64,
    idle: BTreeSet<usize>,
    /// By transaction: its dependencies, and when which attempt was published.
    dependencies: Vec<Vec<Dependency>>,
    published: Vec<Vec<(u64, u8)>>,
    /// By location: who writes there, and who depends on it, each in order.
    writers: Vec<Vec<u32>>,
    readers: Vec<Vec<u32>>,
    /// By worker: whose readers it still has to tell, after the commits that it went on to.
    owed: Vec<Option<usize>>,
    conflicts: u64,
    end: u64,
}

/// Runs the block on `workers` in virtual time.
pub fn simulate(schedule: &Schedule, workers: usize) -> Simulation {
    let workers = workers.clamp(1, schedule.transactions.len().max(1));
    let mut run = Run::new(schedule, workers);
    for worker in 0..workers {
        let start = run.durations.head + if worker == 0 { 0 } else { run.durations.wake };
        run.push(start, worker, Event::Asks);
    }
    // Each transaction causes a bounded number of events, and the scheduler bounds the attempts.
    while let Some(Reverse((time, _, worker, event))) = run.events.pop() {
        run.step(time, worker, event);
    }
    let attempts = (0..schedule.transactions.len()).map(|tx| run.scheduler.executions(tx));
    Simulation {
        workers,
        makespan: run.end.max(run.durations.head) + run.durations.tail,
        executions: attempts.clone().map(|count| count as u64).sum(),
        conflicts: run.conflicts,
        most_attempts: attempts.max().unwrap_or(0),
    }
}

/// The reads that depend on a lower transaction. Accounts come before slots in a record, each in the order in which they
/// were first read; both are spread over the whole execution.
fn dependencies_of(schedule: &Schedule, record: &TransactionRecord) -> Vec<Dependency> {
    let is_slot = |read: &ReadRecord| matches!(schedule.locations[read.location as usize], Location::Slot(..));
    let (slots, fields): (Vec<_>, Vec<_>) = record.reads.iter().partition(|read| is_slot(read));
    let spread = |reads: Vec<ReadRecord>| {
        let count = reads.len() as u64;
        reads.into_iter().enumerate().filter_map(move |(place, ReadRecord { location, writer })| {
            let position = ((2 * place as u64 + 1) * u64::from(WHOLE) / (2 * count)) as u32;
            Some(Dependency { location, writer: writer?, position, seen: None })
        })
    };
    spread(fields).chain(spread(slots)).collect()
}

impl<'a> Run<'a> {
    fn new(schedule: &'a Schedule, workers: usize) -> Self {
        let count = schedule.transactions.len();
        let mut writers = vec![Vec::new(); schedule.locations.len()];
        let mut readers = vec![Vec::new(); schedule.locations.len()];
        let mut dependencies = Vec::with_capacity(count);
        for (tx, record) in schedule.transactions.iter().enumerate() {
            record.writes.iter().for_each(|location| writers[*location as usize].push(tx as u32));
            record.reads.iter().for_each(|read| readers[read.location as usize].push(tx as u32));
            dependencies.push(dependencies_of(schedule, record));
        }
        Self {
            schedule,
            durations: Durations::of(schedule),
            scheduler: Scheduler::new(count, workers),
            events: BinaryHeap::new(),
            arisen: 0,
            idle: BTreeSet::new(),
            dependencies,
            published: vec![Vec::new(); count],
            writers,
            readers,
            owed: vec![None; workers],
            conflicts: 0,
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
            Event::Executed { tx, incarnation, start } => self.executed(time, worker, tx, incarnation, start),
            Event::Repeated { tx } => self.push(time + self.durations.commit(tx), worker, Event::Committed { tx }),
            Event::Commits { tx } => self.commit(time, worker, tx),
            Event::Committed { tx } => self.committed(time, worker, tx),
        }
        // Whoever had nothing to do looks again when there is something: a worker each, lowest first.
        while self.scheduler.has_task()
            && let Some(worker) = self.idle.pop_first()
        {
            self.ask(time, worker);
        }
    }

    fn ask(&mut self, time: u64, worker: usize) {
        match self.scheduler.next_task() {
            Task::Execute { tx, incarnation, .. } => {
                let start = time + self.durations.between;
                let end = start + self.durations.execution(tx, incarnation);
                self.push(end, worker, Event::Executed { tx, incarnation, start });
            }
            Task::Commit { tx } => self.commit(time, worker, tx),
            // Nothing is parked here: a read is part of the recorded time.
            Task::Idle | Task::Await { .. } => {
                self.idle.insert(worker);
            }
            Task::Done => {}
        }
    }

    fn executed(&mut self, time: u64, worker: usize, tx: usize, incarnation: usize, start: u64) {
        self.observe(tx, start, time);
        if self.scheduler.finish(tx) == Finish::Commit {
            return self.commit(time, worker, tx);
        }
        self.published[tx].push((time, incarnation as u8));
        if self.scheduler.published(tx) {
            self.owed[worker] = Some(tx);
            self.commit(time, worker, tx);
        } else {
            let time = time + self.tell_readers(tx);
            self.push(time, worker, Event::Asks);
        }
    }

    /// What each read saw, each at its own time.
    fn observe(&mut self, tx: usize, start: u64, end: u64) {
        let mut own = std::mem::take(&mut self.dependencies[tx]);
        for dependency in &mut own {
            let at = start + (end - start) * u64::from(dependency.position) / u64::from(WHOLE);
            dependency.seen = self.visible(dependency, at);
        }
        self.dependencies[tx] = own;
    }

    /// The highest version at a location, up to the one that the committed incarnation saw, that is published at `time`.
    fn visible(&self, dependency: &Dependency, time: u64) -> Version {
        let writers = &self.writers[dependency.location as usize];
        let upto = writers.partition_point(|writer| *writer <= dependency.writer);
        let at_time = |writer: &u32| {
            let latest = self.published[*writer as usize].iter().rev().find(|(since, _)| *since <= time);
            latest.map(|(_, incarnation)| (*writer, *incarnation))
        };
        writers[..upto].iter().rev().find_map(at_time)
    }

    fn is_stale(&self, tx: usize) -> bool {
        self.dependencies[tx].iter().any(|dependency| dependency.seen != self.visible(dependency, u64::MAX))
    }

    /// Looks whether what higher transactions read still holds, and has the stale ones run again. Balances, nonces and
    /// existence wait for the commit. Gives how long it takes.
    fn tell_readers(&mut self, tx: usize) -> u64 {
        let highest = self.schedule.transactions[tx].writes.iter().filter_map(|location| {
            let news = matches!(self.schedule.locations[*location as usize], Location::Slot(..) | Location::Code(_));
            let readers = &self.readers[*location as usize];
            // They are started in order: who waits has not looked yet.
            let looked = readers.partition_point(|reader| self.scheduler.phase(*reader as usize) != Phase::Waiting);
            readers[..looked].last().filter(|_| news).map(|reader| *reader as usize)
        });
        let highest = highest.max().unwrap_or(0);
        let mut taken = 0;
        for reader in tx + 1..=highest {
            if self.scheduler.phase(reader) == Phase::Executed {
                taken += self.durations.validation;
                if self.is_stale(reader) && self.scheduler.invalidate(reader) {
                    self.conflicts += 1;
                }
            }
        }
        taken
    }

    fn commit(&mut self, time: u64, worker: usize, tx: usize) {
        if self.is_stale(tx) {
            self.conflicts += 1;
            let incarnation = self.scheduler.repeat_at_head();
            let end = time + self.durations.execution(tx, incarnation);
            self.push(end, worker, Event::Repeated { tx });
        } else {
            let end = time + self.durations.before_commit + self.durations.commit(tx);
            self.push(end, worker, Event::Committed { tx });
        }
    }

    fn committed(&mut self, time: u64, worker: usize, tx: usize) {
        let last = self.scheduler.executions(tx) - 1;
        let is_news = self.published[tx].last().is_none_or(|(_, incarnation)| usize::from(*incarnation) != last);
        if is_news {
            self.published[tx].push((time, last as u8));
        }
        self.end = time;
        let next = self.scheduler.committed();
        let mut time = time + if is_news { self.tell_readers(tx) } else { 0 };
        if let Some(next) = next {
            return self.push(time, worker, Event::Commits { tx: next });
        }
        if let Some(owed) = self.owed[worker].take() {
            time += self.tell_readers(owed);
        }
        self.push(time, worker, Event::Asks);
    }
}
