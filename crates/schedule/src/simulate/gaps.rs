//! What lies between a worker's tasks: telling what it ran and finding the next, validation, the scheduler's lock. Where it
//! had to wait for others says nothing of that and is left out, and so is what the record itself took.

use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::{Activity, Ending, Span};
use solder_engine::parallel::scheduler::WINDOW_PER_WORKER;

use super::speeds::Speeds;

/// Who is away for longer has lost the processor to somebody else.
const LOST_PROCESSOR: u64 = 20_000;

/// Readings of the clock between a task and the commit that follows it.
const READINGS_BEFORE_COMMIT: u64 = 3;
const PICOSECONDS: u64 = 1000;

/// Nanoseconds on the mean worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gaps {
    /// Of publishing what was executed, where it is not committed at once.
    pub(super) publishing: u64,
    /// Between looking at two readers of what a transaction wrote.
    pub(super) between_validations: u64,
    /// Before an execution: finding it, and looking ahead for those that follow.
    pub(super) before_execution: u64,
    /// Before the commit of what the worker executed just now.
    pub(super) before_own_commit: u64,
    /// Before the commit that follows another.
    pub(super) before_next_commit: u64,
}

pub(super) fn is_task(span: &Span) -> bool {
    matches!(span.activity, Activity::Execute | Activity::Validate | Activity::Commit)
}

/// What a gap lies between.
#[derive(Clone, Copy)]
enum Kind {
    AfterExecution,
    AfterCommit,
    OwnCommit,
    NextCommit,
    Validations,
}

/// How long the gaps of each kind were.
#[derive(Default)]
struct Lengths([Vec<u64>; 5]);

impl Gaps {
    pub(super) fn of(schedule: &Schedule, speeds: &Speeds) -> Self {
        let mut spans: Vec<&Span> = schedule.spans.iter().collect();
        spans.sort_by_key(|span| (span.worker, span.start, span.end));
        spans.retain(|span| is_task(span));
        let ended = Ended::of(schedule);
        let mut lengths = Lengths::default();
        for pair in spans.windows(2) {
            let [before, after] = pair else { continue };
            if before.worker != after.worker || after.start < before.end {
                continue;
            }
            let Some((kind, length)) = ended.kind_of(schedule, before, after) else { continue };
            let readings = if after.activity == Activity::Commit { READINGS_BEFORE_COMMIT } else { 1 };
            let length = without(schedule, length, readings);
            lengths.0[kind as usize].push(speeds.alike(before, length));
        }
        lengths.gaps()
    }
}

impl Lengths {
    fn gaps(mut self) -> Gaps {
        let [after_execution, after_commit, own, next, validations] = &mut self.0;
        // What an execution that is published has more before the next one than an execution that was committed.
        let both = !after_execution.is_empty() && !after_commit.is_empty();
        let more = median(after_execution).saturating_sub(median(after_commit));
        let publishing = if both { more } else { 0 };
        let without = after_execution.iter().map(|length| length.saturating_sub(publishing));
        let before_execution = mean(without.chain(after_commit.iter().copied()));
        let (own, next) = (mean(own.iter().copied()), mean(next.iter().copied()));
        Gaps {
            publishing,
            between_validations: mean(validations.iter().copied()).unwrap_or(0),
            before_execution: before_execution.unwrap_or(0),
            before_own_commit: own.or(next).unwrap_or(0),
            before_next_commit: next.or(own).unwrap_or(0),
        }
    }
}

/// When each transaction's last execution and its commit ended.
struct Ended {
    executions: Vec<u64>,
    commits: Vec<u64>,
    /// Commits by time.
    order: Vec<u64>,
}

impl Ended {
    fn of(schedule: &Schedule) -> Self {
        let count = schedule.transactions.len();
        let mut found = Self { executions: vec![0; count], commits: vec![0; count], order: Vec::new() };
        for span in &schedule.spans {
            let Some(tx) = span.transaction.map(|tx| tx as usize).filter(|tx| *tx < count) else { continue };
            match span.activity {
                Activity::Execute => found.executions[tx] = found.executions[tx].max(span.end),
                Activity::Commit => found.commits[tx] = span.end,
                _ => {}
            }
        }
        found.order = found.commits.clone();
        found.order.sort_unstable();
        found
    }

    /// What a gap is and how long, without what the record took; nothing where the worker may have waited.
    fn kind_of(&self, schedule: &Schedule, before: &Span, after: &Span) -> Option<(Kind, u64)> {
        let tx = after.transaction.map(|tx| tx as usize).filter(|tx| *tx < self.executions.len())?;
        let length = after.start - before.end;
        match (before.activity, after.activity) {
            (Activity::Validate, Activity::Validate) => Some((Kind::Validations, length)),
            (_, Activity::Execute) if !self.could_begin(schedule, tx, after, before.end) => None,
            (Activity::Execute, Activity::Execute) => Some((Kind::AfterExecution, length)),
            (_, Activity::Execute) => Some((Kind::AfterCommit, length)),
            (_, Activity::Commit) if tx > 0 && self.commits[tx - 1] > before.end => None,
            (_, Activity::Commit) => {
                let own = before.activity == Activity::Execute && before.transaction == after.transaction;
                let next = before.activity == Activity::Commit && self.executions[tx] <= before.end;
                let kind = if own { Kind::OwnCommit } else { Kind::NextCommit };
                let length = length.saturating_sub(schedule.transactions[tx].recording);
                (own || next).then_some((kind, length))
            }
            _ => None,
        }
    }

    /// Whether an execution could have begun at a time: nothing that it waited for ended later.
    fn could_begin(&self, schedule: &Schedule, tx: usize, span: &Span, time: u64) -> bool {
        let head = self.order.partition_point(|end| *end <= time);
        let window = WINDOW_PER_WORKER * schedule.workers.max(1) as usize;
        let mut writers = schedule.transactions[tx].reads.iter().filter_map(|read| read.writer);
        span.incarnation == 0
            && span.ending != Ending::Parked
            && tx < head + window
            && writers.all(|writer| self.executions[writer as usize] <= time)
    }
}

/// A length without so many readings of the clock.
pub(super) fn without(schedule: &Schedule, length: u64, readings: u64) -> u64 {
    length.saturating_sub(schedule.reading * readings / PICOSECONDS)
}

pub(super) fn median(values: &mut [u64]) -> u64 {
    if values.is_empty() {
        return 0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable(middle).1
}

/// Of those during which the worker kept its processor. A median would miss what comes now and then and takes long, such as
/// looking ahead for a dozen transactions.
fn mean(values: impl Iterator<Item = u64>) -> Option<u64> {
    let (sum, count) = values
        .filter(|value| *value < LOST_PROCESSOR)
        .fold((0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count)
}
