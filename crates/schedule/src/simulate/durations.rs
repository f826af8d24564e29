//! How long things take, measured from a recorded schedule.

use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::{Activity, Ending, Span};
use solder_engine::parallel::scheduler::MAX_EXECUTIONS;

/// Nanoseconds of everything that the simulator lets pass.
pub(super) struct Durations {
    /// From the block's begin until worker 0 starts its first transaction.
    pub(super) head: u64,
    /// How much later the other workers do.
    pub(super) wake: u64,
    /// From one task of a worker to its next execution.
    pub(super) between: u64,
    /// From there to its next commit.
    pub(super) before_commit: u64,
    /// Of looking whether what one transaction read still holds.
    pub(super) validation: u64,
    /// From the last commit to the block's end.
    pub(super) tail: u64,
    /// By transaction and attempt.
    executions: Vec<[u64; MAX_EXECUTIONS]>,
    commits: Vec<u64>,
}

fn is_task(span: &Span) -> bool {
    matches!(span.activity, Activity::Execute | Activity::Validate | Activity::Commit)
}

impl Durations {
    pub(super) fn of(schedule: &Schedule) -> Self {
        let tasks = || schedule.spans.iter().filter(|span| is_task(span));
        let first = |worker: u32| tasks().filter(|span| span.worker == worker).map(|span| span.start).min();
        let head = first(0).or_else(|| tasks().map(|span| span.start).min()).unwrap_or(0);
        // One that never did would have come too late.
        let woken =
            (1..schedule.workers).map(|worker| first(worker).unwrap_or(schedule.wall).saturating_sub(head));
        let last = tasks().map(|span| span.end).max();
        Self {
            head,
            wake: median(woken.collect()),
            between: median(gaps(schedule, Activity::Execute)),
            before_commit: median(gaps(schedule, Activity::Commit)),
            validation: median(lengths(schedule, Activity::Validate)),
            tail: last.map_or(schedule.wall, |end| schedule.wall.saturating_sub(end)),
            executions: executions(schedule),
            commits: commits(schedule),
        }
    }

    pub(super) fn execution(&self, tx: usize, incarnation: usize) -> u64 {
        self.executions[tx][incarnation.min(MAX_EXECUTIONS - 1)]
    }

    pub(super) fn commit(&self, tx: usize) -> u64 {
        self.commits[tx]
    }
}

fn median(mut values: Vec<u64>) -> u64 {
    if values.is_empty() {
        return 0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable(middle).1
}

fn lengths(schedule: &Schedule, activity: Activity) -> Vec<u64> {
    let spans = schedule.spans.iter().filter(|span| span.activity == activity);
    spans.map(|span| span.end - span.start).collect()
}

/// Between a worker's task and its next one of a kind.
fn gaps(schedule: &Schedule, kind: Activity) -> Vec<u64> {
    let mut tasks: Vec<&Span> = schedule.spans.iter().filter(|span| is_task(span)).collect();
    tasks.sort_by_key(|span| (span.worker, span.start));
    let follows = |pair: &[&Span]| match pair {
        [before, after] if before.worker == after.worker && after.activity == kind => {
            // An execution within a commit follows nothing.
            after.start.checked_sub(before.end)
        }
        _ => None,
    };
    tasks.windows(2).filter_map(follows).collect()
}

/// Each commit without the execution that it may hold: a repetition at the commit position.
fn commits(schedule: &Schedule) -> Vec<u64> {
    let mut commits: Vec<u64> = schedule.transactions.iter().map(|record| record.commit).collect();
    let mut bounds = vec![(u64::MAX, 0); commits.len()];
    let of_transaction = |span: &Span| span.transaction.map(|tx| tx as usize).filter(|tx| *tx < bounds.len());
    let by_transaction = |activity| {
        let spans = schedule.spans.iter().filter(move |span| span.activity == activity);
        spans.filter_map(|span| Some((of_transaction(span)?, span.start, span.end))).collect::<Vec<_>>()
    };
    let (held, executed) = (by_transaction(Activity::Commit), by_transaction(Activity::Execute));
    for (tx, start, end) in held {
        bounds[tx] = (start, end);
    }
    for (tx, start, end) in executed {
        if bounds[tx].0 <= start && end <= bounds[tx].1 {
            commits[tx] = commits[tx].saturating_sub(end - start);
        }
    }
    commits
}

/// What was recorded for each attempt. One that was not needed takes as long as the last one that was.
fn executions(schedule: &Schedule) -> Vec<[u64; MAX_EXECUTIONS]> {
    let mut found: Vec<[Option<u64>; MAX_EXECUTIONS]> =
        vec![[None; MAX_EXECUTIONS]; schedule.transactions.len()];
    for span in schedule.spans.iter().filter(|span| span.activity == Activity::Execute) {
        if span.ending != Ending::Parked
            && let Some(attempts) = span.transaction.and_then(|tx| found.get_mut(tx as usize))
            && let Some(attempt) = attempts.get_mut(span.incarnation as usize)
        {
            *attempt = Some(span.end - span.start);
        }
    }
    let filled = |(attempts, kept): (&[Option<u64>; MAX_EXECUTIONS], u64)| {
        let mut last = attempts.iter().flatten().next().copied().unwrap_or(kept);
        attempts.map(|attempt| {
            last = attempt.unwrap_or(last);
            last
        })
    };
    let kept = schedule.transactions.iter().map(|record| record.execution);
    found.iter().zip(kept).map(filled).collect()
}
