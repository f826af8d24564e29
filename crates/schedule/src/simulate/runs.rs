//! Short transactions, which a worker begins in one go and tells the scheduler of once: by worker, what it has still to run
//! and what it has not told yet.

use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::Location;
use solder_engine::parallel::scheduler::Scheduler;

pub(super) struct Runs {
    workers: usize,
    short: Vec<bool>,
    /// Whether a transaction only moves amounts, by itself: nobody is told before its commit.
    moves: Vec<bool>,
    begun: Vec<Vec<usize>>,
    untold: Vec<Vec<usize>>,
    /// Executed after untold ones, of which the scheduler is told when those are committed.
    ended: Vec<Option<(usize, usize)>>,
}

impl Runs {
    pub(super) fn new(schedule: &Schedule, workers: usize) -> Self {
        let records = &schedule.transactions;
        let moves = |location: &u32| {
            !matches!(schedule.locations[*location as usize], Location::Slot(..) | Location::Code(_))
        };
        Self {
            workers,
            short: records.iter().map(|record| record.short).collect(),
            moves: records.iter().map(|record| record.writes.iter().all(moves)).collect(),
            begun: vec![Vec::new(); workers],
            untold: vec![Vec::new(); workers],
            ended: vec![None; workers],
        }
    }

    /// A worker begins `tx` for the first time: those that follow, as long as they are short.
    pub(super) fn begin(&mut self, worker: usize, tx: usize, scheduler: &mut Scheduler) {
        if !self.short[tx] {
            return;
        }
        let most = scheduler.most_beside(self.workers);
        let (run, short) = (&mut self.begun[worker], &self.short);
        while run.len() < most
            && let Some(tx) = scheduler.begin_next(&|tx| short[tx])
        {
            run.push(tx);
        }
        run.reverse();
    }

    /// Whether whoever commits goes on with it, if nobody has begun it: among several workers, short ones are left to runs.
    pub(super) fn is_taken_at_head(&self, tx: usize) -> bool {
        self.workers == 1 || !self.short[tx]
    }

    /// The next one of a worker's run.
    pub(super) fn next(&mut self, worker: usize) -> Option<usize> {
        self.begun[worker].pop()
    }

    /// Whether a worker has none left to run.
    pub(super) fn is_over(&self, worker: usize) -> bool {
        self.begun[worker].is_empty()
    }

    /// Whether what a transaction writes is shown before its commit.
    pub(super) fn is_shown(&self, tx: usize) -> bool {
        !self.moves[tx]
    }

    /// The scheduler is told of it later. Gives the first of those that it was not told of.
    pub(super) fn keep(&mut self, worker: usize, tx: usize) -> usize {
        self.untold[worker].push(tx);
        self.untold[worker][0]
    }

    /// Whether there is something to tell.
    pub(super) fn owes(&self, worker: usize) -> bool {
        !self.untold[worker].is_empty()
    }

    /// Tells the scheduler. Gives the one to commit, if the worker has the baton now.
    pub(super) fn tell(&mut self, worker: usize, scheduler: &mut Scheduler) -> Option<usize> {
        let mut next = None;
        for tx in self.untold[worker].drain(..) {
            if scheduler.published(tx) {
                next = Some(tx);
            }
        }
        next
    }

    /// An execution whose end is told after commits.
    pub(super) fn put_off(&mut self, worker: usize, tx: usize, incarnation: usize) {
        self.ended[worker] = Some((tx, incarnation));
    }

    /// That execution.
    pub(super) fn take_put_off(&mut self, worker: usize) -> Option<(usize, usize)> {
        self.ended[worker].take()
    }
}
