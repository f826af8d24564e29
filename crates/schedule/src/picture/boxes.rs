//! Spans as boxes. Neighbours of one kind that are too narrow to tell apart become one box, so that the picture of the
//! largest block stays small.

use std::collections::HashMap;

use solder_engine::parallel::record::{Activity, Ending, Span};

use super::{Scale, grouped};
use crate::BlockSchedule;
use crate::conflicts::thrown_away;
use crate::contracts::describe;

/// A box narrower than this is joined with a neighbour closer than this.
const NARROW: f64 = 0.5;

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Kept,
    Repeated,
    Aborted,
    Parked,
    Validate,
    Commit,
    Phase,
    Collect,
}

impl Kind {
    pub(super) const ALL: [Self; 8] = [
        Self::Kept,
        Self::Repeated,
        Self::Aborted,
        Self::Parked,
        Self::Validate,
        Self::Commit,
        Self::Phase,
        Self::Collect,
    ];

    fn of(span: &Span, thrown: bool) -> Self {
        match (span.activity, span.ending) {
            _ if thrown => Self::Aborted,
            (Activity::Execute, Ending::Parked) | (Activity::Await, _) => Self::Parked,
            (Activity::Execute, Ending::Kept) if span.incarnation > 0 => Self::Repeated,
            (Activity::Execute, _) => Self::Kept,
            (Activity::Validate, _) => Self::Validate,
            (Activity::Commit, _) => Self::Commit,
            (Activity::PreExecution | Activity::PostExecution, _) => Self::Phase,
            (Activity::Collect, _) => Self::Collect,
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Repeated => "repeated",
            Self::Aborted => "aborted",
            Self::Parked => "parked",
            Self::Validate => "validate",
            Self::Commit => "commit",
            Self::Phase => "phase",
            Self::Collect => "collect",
        }
    }

    /// As the legend puts it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Kept => "executed once, kept",
            Self::Repeated => "executed again, kept",
            Self::Aborted => "thrown away",
            Self::Parked => "stopped to wait",
            Self::Validate => "validation",
            Self::Commit => "commit",
            Self::Phase => "system calls, rewards",
            Self::Collect => "collecting the changes",
        }
    }

    pub(super) fn is_thin(self) -> bool {
        matches!(self, Self::Commit | Self::Validate)
    }

    pub(super) fn is_kept(self) -> bool {
        matches!(self, Self::Kept | Self::Repeated)
    }
}

/// One box, or several that are too narrow to tell apart.
pub(super) struct Shape {
    pub(super) worker: u32,
    pub(super) kind: Kind,
    pub(super) left: f64,
    pub(super) right: f64,
    /// None where several were joined.
    pub(super) transaction: Option<u32>,
    /// What it says when it is pointed at.
    pub(super) words: Option<String>,
}

pub(super) fn boxes(block: &BlockSchedule, scale: &Scale) -> Vec<Shape> {
    let mut shapes: Vec<Shape> = Vec::new();
    let mut latest: HashMap<(u32, Kind), usize> = HashMap::new();
    let spans = &block.schedule.spans;
    for (span, thrown) in spans.iter().zip(thrown_away(spans)) {
        let (worker, kind) = (span.worker, Kind::of(span, thrown));
        let (left, right) = (scale.x(span.start), scale.x(span.end));
        if let Some(before) = latest.get(&(worker, kind)).and_then(|place| shapes.get_mut(*place))
            && right - left < NARROW
            && (left - before.right).abs() < NARROW
        {
            before.right = before.right.max(right);
            (before.transaction, before.words) = (None, None);
            continue;
        }
        latest.insert((worker, kind), shapes.len());
        let words = Some(words(block, span, kind));
        shapes.push(Shape { worker, kind, left, right, transaction: span.transaction, words });
    }
    shapes
}

/// Holds nothing that XML escapes.
fn words(block: &BlockSchedule, span: &Span, kind: Kind) -> String {
    let time = format!("{:.1} µs", (span.end - span.start) as f64 / 1e3);
    let Some(tx) = span.transaction else { return format!("{}, {time}", kind.words()) };
    if span.activity != Activity::Execute {
        return format!("{} of transaction {tx}, {time}", kind.words());
    }
    let gas = block.schedule.transactions.get(tx as usize).map_or(0, |record| record.gas_used);
    let mut text = format!("transaction {tx}, {} gas, {time}, {}", grouped(gas), kind.words());
    if let Ending::Aborted { location, by } = span.ending {
        if let Some(location) = block.schedule.locations.get(location as usize) {
            text += &format!(": {}", describe(location, block.label.beneficiary.as_ref()));
        }
        if let Some(by) = by {
            text += &format!(", written by transaction {by}");
        }
    }
    text
}
