//! What a schedule says of its block: how busy the workers were, the longest chain of dependencies, the hottest locations.

use std::collections::HashMap;

use alloy_primitives::Address;
use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::{Activity, Ending, Location, Span};

use crate::BlockSchedule;

/// Nanoseconds in which workers did something; waiting for a state read is not counted. Overlapping spans count once.
pub fn busy(schedule: &Schedule) -> u64 {
    let mut spans: Vec<&Span> =
        schedule.spans.iter().filter(|span| span.activity != Activity::Await).collect();
    spans.sort_by_key(|span| (span.worker, span.start));
    let (mut sum, mut worker, mut until) = (0, 0, 0);
    for span in spans {
        if span.worker != worker {
            (worker, until) = (span.worker, 0);
        }
        let start = span.start.max(until);
        until = until.max(span.end);
        sum += until.saturating_sub(start);
    }
    sum
}

/// The chain that no number of workers can shorten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// Its length: the phases before and after the transactions, and the executions along the chain.
    pub nanoseconds: u64,
    /// Transactions along it, lowest first: each read what the one before it wrote.
    pub chain: Vec<u32>,
}

/// Nanoseconds of the phases that the protocol puts before and after the transactions.
fn phases(schedule: &Schedule) -> u64 {
    let phase = |span: &&Span| matches!(span.activity, Activity::PreExecution | Activity::PostExecution);
    schedule.spans.iter().filter(phase).map(|span| span.end - span.start).sum()
}

/// The longest chain of kept executions, by recorded time, over true dependencies: a transaction begins when all those
/// whose writes it read have ended (one that reads late can in truth overlap with them a little). Commits, validation and collecting the changes are the machinery's own and not part of
/// it, so a slow machinery lowers a prediction and never the limit that it is held against.
pub fn critical_path(schedule: &Schedule) -> CriticalPath {
    let count = schedule.transactions.len();
    let (mut ends, mut before) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for record in &schedule.transactions {
        let writers = record.reads.iter().filter_map(|read| read.writer);
        let latest = writers.max_by_key(|writer| ends.get(*writer as usize).copied().unwrap_or(0));
        let start: u64 = latest.and_then(|writer| ends.get(writer as usize).copied()).unwrap_or(0);
        ends.push(start + record.execution);
        before.push(latest);
    }
    let last = (0..count).rev().max_by_key(|tx| ends[*tx]);
    let mut chain = Vec::new();
    let mut next = last.map(|tx| tx as u32);
    while let Some(tx) = next {
        chain.push(tx);
        next = before[tx as usize];
    }
    chain.reverse();
    CriticalPath { nanoseconds: phases(schedule) + last.map_or(0, |tx| ends[tx]), chain }
}

/// All recorded work that a serial run does too: the phases, and each transaction's kept execution.
pub fn work(schedule: &Schedule) -> u64 {
    phases(schedule) + schedule.transactions.iter().map(|record| record.execution).sum::<u64>()
}

/// A location and how often it stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hot {
    /// Which.
    pub location: Location,
    /// Executions that were thrown away because of it.
    pub aborts: u64,
    /// Reads that saw what a lower transaction of the block wrote.
    pub dependencies: u64,
    /// Whether it belongs to the account that is credited with the fees.
    pub of_beneficiary: bool,
}

/// The `most` hottest locations over several blocks: by aborts, then by dependencies.
pub fn hottest<'a>(blocks: impl IntoIterator<Item = &'a BlockSchedule>, most: usize) -> Vec<Hot> {
    let mut counts: HashMap<Location, (u64, u64)> = HashMap::new();
    let mut beneficiaries: Vec<Address> = Vec::new();
    for BlockSchedule { label, schedule, .. } in blocks {
        beneficiaries.extend(label.beneficiary);
        for span in schedule.spans.iter().filter(|span| span.activity == Activity::Execute) {
            if let Ending::Aborted { location, .. } = span.ending
                && let Some(location) = schedule.locations.get(location as usize)
            {
                counts.entry(*location).or_default().0 += 1;
            }
        }
        for read in schedule.transactions.iter().flat_map(|record| &record.reads) {
            if read.writer.is_some()
                && let Some(location) = schedule.locations.get(read.location as usize)
            {
                counts.entry(*location).or_default().1 += 1;
            }
        }
    }
    let mut hot: Vec<Hot> = counts
        .into_iter()
        .map(|(location, (aborts, dependencies))| Hot {
            location,
            aborts,
            dependencies,
            of_beneficiary: beneficiaries.contains(crate::contracts::owner(&location)),
        })
        .collect();
    hot.sort_unstable_by(|a, b| {
        (b.aborts, b.dependencies).cmp(&(a.aborts, a.dependencies)).then(a.location.cmp(&b.location))
    });
    hot.truncate(most);
    hot
}
