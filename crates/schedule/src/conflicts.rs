//! Arrows: from the execution that wrote to the one that it made stale. They point forward in time, as viewers want them:
//! where the stale execution was over before the writer began, to the next attempt instead.

use std::collections::HashMap;

use solder_engine::parallel::record::{Activity, Ending, Span};

/// For each span, whether it is an execution that came to nothing: every execution of a transaction but its last. Not all
/// of them name a location that conflicted.
pub fn thrown_away(spans: &[Span]) -> Vec<bool> {
    let mut last: HashMap<u32, u32> = HashMap::new();
    let attempt = |span: &Span| match (span.activity, span.ending, span.transaction) {
        (Activity::Execute, Ending::Kept | Ending::Aborted { .. }, Some(tx)) => Some((tx, span.incarnation)),
        _ => None,
    };
    for (tx, incarnation) in spans.iter().filter_map(attempt) {
        let highest = last.entry(tx).or_default();
        *highest = incarnation.max(*highest);
    }
    let is_thrown = |span: &Span| attempt(span).is_some_and(|(tx, incarnation)| last[&tx] > incarnation);
    spans.iter().map(|span| is_thrown(span) || matches!(span.ending, Ending::Aborted { .. })).collect()
}

/// Who made whose reads stale, as two places in time. Each time lies within its span.
#[derive(Clone, Copy, Debug)]
pub struct Conflict<'a> {
    /// The writer's execution.
    pub from: &'a Span,
    /// Where the arrow begins.
    pub from_time: u64,
    /// The stale execution, or the next one.
    pub to: &'a Span,
    /// Where the arrow ends.
    pub to_time: u64,
}

/// Every conflict whose writer is known and was recorded.
pub fn conflicts(spans: &[Span]) -> Vec<Conflict<'_>> {
    let mut executions: HashMap<u32, Vec<&Span>> = HashMap::new();
    for span in spans.iter().filter(|span| span.activity == Activity::Execute) {
        if let Some(tx) = span.transaction {
            executions.entry(tx).or_default().push(span);
        }
    }
    for attempts in executions.values_mut() {
        attempts.sort_by_key(|span| (span.start, span.incarnation));
    }
    let attempts = |tx: u32| executions.get(&tx).map_or(&[][..], Vec::as_slice);
    let arrow = |stale| match stale {
        &Span { ending: Ending::Aborted { by: Some(by), .. }, transaction: Some(tx), .. } => {
            to_stale(stale, attempts(by)).or_else(|| to_next(stale, attempts(by), attempts(tx)))
        }
        _ => None,
    };
    spans.iter().filter_map(arrow).collect()
}

fn to_stale<'a>(stale: &'a Span, writers: &[&'a Span]) -> Option<Conflict<'a>> {
    let from = writers.iter().rev().find(|writer| writer.start < stale.end)?;
    let to_time = within(stale, u64::MAX);
    Some(Conflict { from, from_time: within(from, to_time), to: stale, to_time })
}

fn to_next<'a>(stale: &Span, writers: &[&'a Span], attempts: &[&'a Span]) -> Option<Conflict<'a>> {
    let from = writers.first()?;
    let to = attempts.iter().find(|next| next.start >= stale.end && next.end >= from.start)?;
    let from_time = within(from, within(to, u64::MAX));
    Some(Conflict { from, from_time, to, to_time: to.start.max(from_time) })
}

/// The latest time within a span that is not after `time`: at its very end a viewer takes it for over.
fn within(span: &Span, time: u64) -> u64 {
    span.end.saturating_sub(1).min(time).max(span.start)
}
