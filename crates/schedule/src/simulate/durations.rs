//! How long things take, measured from a recorded schedule.

use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::{Activity, Ending, Span};
use solder_engine::parallel::scheduler::MAX_EXECUTIONS;

use super::alone::{Alone, Cost};
use super::gaps::{Gaps, is_task, median, without};
use super::speeds::Speeds;

/// Nanoseconds of everything that the simulator lets pass.
pub(super) struct Durations {
    /// From the block's begin until worker 0 starts its first transaction.
    pub(super) head: u64,
    /// How much of that is calling the others.
    pub(super) calling: u64,
    /// How much later the other workers do.
    pub(super) wake: u64,
    /// From the last commit to the block's end.
    pub(super) tail: u64,
    gaps: Gaps,
    validation: u64,
    speeds: Speeds,
    /// By transaction and attempt.
    executions: Vec<[u64; MAX_EXECUTIONS]>,
    commits: Vec<u64>,
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
        let speeds = Speeds::of(schedule);
        let gaps = Gaps::of(schedule, &speeds);
        let begun = schedule.spans.iter().filter(|span| span.activity == Activity::PreExecution);
        let called = begun.map(|span| span.end).max().map_or(0, |end| head.saturating_sub(end));
        let calling = if schedule.workers > 1 { called.saturating_sub(gaps.before_execution) } else { 0 };
        Self {
            head,
            calling,
            wake: median(&mut woken.collect::<Vec<_>>()),
            tail: last.map_or(schedule.wall, |end| schedule.wall.saturating_sub(end)),
            validation: without(schedule, median(&mut lengths(schedule, Activity::Validate)), 1),
            executions: executions(schedule, &speeds),
            commits: commits(schedule, &speeds),
            gaps,
            speeds,
        }
    }

    /// Of one worker that shares nothing.
    pub(super) fn alone(alone: &Alone) -> Self {
        let Alone { head, tail, before_execution, before_commit, costs, .. } = alone;
        Self {
            head: *head,
            calling: 0,
            wake: 0,
            tail: *tail,
            gaps: Gaps {
                before_execution: *before_execution,
                before_own_commit: *before_commit,
                before_next_commit: *before_commit,
                ..Gaps::default()
            },
            validation: 0,
            speeds: Speeds::default(),
            executions: costs.iter().map(|cost| [cost.execution; MAX_EXECUTIONS]).collect(),
            commits: costs.iter().map(|cost| cost.commit).collect(),
        }
    }

    /// Before an execution, and between that and its commit, on the mean worker.
    pub(super) fn gaps(&self) -> [u64; 2] {
        [self.gaps.before_execution, self.gaps.before_own_commit]
    }

    /// Of each transaction's last execution and of its commit, on the mean worker.
    pub(super) fn costs(&self) -> Vec<Cost> {
        let last = self.executions.iter().map(|attempts| attempts[MAX_EXECUTIONS - 1]);
        last.zip(&self.commits).map(|(execution, commit)| Cost { execution, commit: *commit }).collect()
    }

    fn on(&self, worker: usize, length: u64) -> u64 {
        (length as f64 * self.speeds.factor(worker)).round() as u64
    }

    pub(super) fn execution(&self, worker: usize, tx: usize, incarnation: usize) -> u64 {
        self.on(worker, self.executions[tx][incarnation.min(MAX_EXECUTIONS - 1)])
    }

    pub(super) fn commit(&self, worker: usize, tx: usize) -> u64 {
        self.on(worker, self.commits[tx])
    }

    /// From one task of a worker to its next execution.
    pub(super) fn before_execution(&self, worker: usize) -> u64 {
        self.on(worker, self.gaps.before_execution)
    }

    pub(super) fn publishing(&self, worker: usize) -> u64 {
        self.on(worker, self.gaps.publishing)
    }

    /// From the execution that a worker ended, or else from its last commit, to a commit.
    pub(super) fn before_commit(&self, worker: usize, own: bool) -> u64 {
        self.on(worker, if own { self.gaps.before_own_commit } else { self.gaps.before_next_commit })
    }

    /// Of looking whether what one transaction read still holds, and of going on from there.
    pub(super) fn validation(&self, worker: usize) -> u64 {
        self.on(worker, self.validation + self.gaps.between_validations)
    }
}

fn lengths(schedule: &Schedule, activity: Activity) -> Vec<u64> {
    let spans = schedule.spans.iter().filter(|span| span.activity == activity);
    spans.map(|span| span.end - span.start).collect()
}

/// Each commit without the execution that it may hold: a repetition at the commit position.
fn commits(schedule: &Schedule, speeds: &Speeds) -> Vec<u64> {
    let mut commits: Vec<u64> = schedule.transactions.iter().map(|record| record.commit).collect();
    let mut held: Vec<Option<&Span>> = vec![None; commits.len()];
    let of_transaction =
        |span: &Span| span.transaction.map(|tx| tx as usize).filter(|tx| *tx < schedule.transactions.len());
    for span in schedule.spans.iter().filter(|span| span.activity == Activity::Commit) {
        of_transaction(span).into_iter().for_each(|tx| held[tx] = Some(span));
    }
    for span in schedule.spans.iter().filter(|span| span.activity == Activity::Execute) {
        if let Some((tx, commit)) = of_transaction(span).and_then(|tx| Some((tx, held[tx]?)))
            && commit.start <= span.start
            && span.end <= commit.end
        {
            commits[tx] = commits[tx].saturating_sub(span.end - span.start);
        }
    }
    for (commit, span) in commits.iter_mut().zip(&held) {
        if let Some(span) = span {
            *commit = speeds.alike(span, without(schedule, *commit, 1));
        }
    }
    commits
}

/// What was recorded for each attempt. One that was not needed takes as long as the last one that was.
fn executions(schedule: &Schedule, speeds: &Speeds) -> Vec<[u64; MAX_EXECUTIONS]> {
    let mut found: Vec<[Option<u64>; MAX_EXECUTIONS]> =
        vec![[None; MAX_EXECUTIONS]; schedule.transactions.len()];
    for span in schedule.spans.iter().filter(|span| span.activity == Activity::Execute) {
        if span.ending != Ending::Parked
            && let Some(attempts) = span.transaction.and_then(|tx| found.get_mut(tx as usize))
            && let Some(attempt) = attempts.get_mut(span.incarnation as usize)
        {
            *attempt = Some(speeds.alike(span, without(schedule, span.end - span.start, 1)));
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
