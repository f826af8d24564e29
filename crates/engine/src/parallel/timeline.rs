//! What a worker did and when. Where no schedule is asked for, nothing here reads the clock or remembers anything.

use std::time::Instant;

use alloy_primitives::map::HashMap;
use revm::context::result::ExecutionResult;

use super::cells::position_of;
use super::journal::{Accesses, Conflict, field_location};
use super::record::{Ending, Location, ReadRecord, Schedule, Span, TransactionRecord};
use super::shared::Shared;

/// A worker's part of the schedule.
#[derive(Debug)]
pub struct Timeline {
    began: Option<Instant>,
    spans: Vec<Span>,
    aborted: Vec<((usize, usize), Option<Conflict>)>,
    kept: Vec<(usize, Kept)>,
}

/// A committed transaction, with its locations by name.
#[derive(Debug, Default)]
struct Kept {
    gas_used: u64,
    execution: u64,
    commit: u64,
    reads: Vec<(Location, u32)>,
    writes: Vec<Location>,
}

impl Timeline {
    /// A timeline that records, or one that does not.
    pub fn new(records: bool, began: Instant) -> Self {
        Self { began: records.then_some(began), spans: Vec::new(), aborted: Vec::new(), kept: Vec::new() }
    }

    /// Nanoseconds since the block began.
    #[inline]
    pub fn now(&self) -> u64 {
        // A block does not take centuries.
        self.began.map_or(0, |began| began.elapsed().as_nanos() as u64)
    }

    /// Ends a span now. Gives its place and its length.
    #[inline]
    pub fn note(&mut self, mut span: Span) -> (usize, u64) {
        if self.began.is_none() {
            return (0, 0);
        }
        span.end = self.now();
        self.spans.push(span);
        (self.spans.len() - 1, span.end - span.start)
    }

    /// The execution of a span (of any worker) was thrown away.
    pub fn abort(&mut self, span: (usize, usize), conflict: Option<Conflict>) {
        if self.began.is_some() {
            self.aborted.push((span, conflict));
        }
    }

    /// An incarnation is kept: its reads with the writes that they saw, before it is committed.
    pub fn keep(
        &mut self,
        tx: usize,
        shared: &Shared<'_>,
        accesses: &Accesses,
        execution: u64,
        result: &ExecutionResult,
    ) {
        if self.began.is_none() {
            return;
        }
        let mut kept = Kept { gas_used: result.gas().tx_gas_used(), execution, ..Kept::default() };
        for access in &accesses.accounts {
            let cell = shared.cells.account(access.cell);
            let written = access.written_fields();
            for (field, observed) in access.observed_fields().into_iter().enumerate() {
                if observed {
                    // What holds on the state before the block too depends on nobody.
                    let free = access.held_before(field, &cell);
                    let writer = if free { 0 } else { cell.writers[field] };
                    kept.reads.push((field_location(cell.address, field), writer));
                }
                if written[field] {
                    kept.writes.push(field_location(cell.address, field));
                }
            }
        }
        for access in &accesses.slots {
            let (account, key) = {
                let slot = shared.cells.slot(access.cell);
                (slot.account, slot.key)
            };
            let location = Location::Slot(shared.cells.account(account).address, key);
            if let Some(version) = access.seen {
                kept.reads.push((location, position_of(version)));
            }
            if access.write.is_some() {
                kept.writes.push(location);
            }
        }
        self.kept.push((tx, kept));
    }

    /// The transaction that was kept last is committed.
    pub fn committed(&mut self, tx: usize, nanoseconds: u64) {
        if let Some((_, kept)) = self.kept.last_mut().filter(|(kept, _)| *kept == tx) {
            kept.commit = nanoseconds;
        }
    }

    /// Puts the workers' timelines together.
    pub fn join(timelines: Vec<Self>, transactions: usize, wall: u64) -> Schedule {
        let mut schedule = Schedule { workers: timelines.len() as u32, wall, ..Schedule::default() };
        schedule.transactions.resize_with(transactions, TransactionRecord::default);
        let mut names = Names::default();
        let mut firsts = Vec::new();
        for timeline in &timelines {
            firsts.push(schedule.spans.len());
            schedule.spans.extend(&timeline.spans);
        }
        for timeline in timelines {
            for ((worker, place), conflict) in timeline.aborted {
                let ending = match conflict {
                    Some(conflict) => Ending::Aborted {
                        location: names.number(conflict.location),
                        by: transaction_at(conflict.by),
                    },
                    None => continue,
                };
                schedule.spans[firsts[worker] + place].ending = ending;
            }
            for (tx, kept) in timeline.kept {
                let reads = kept.reads.into_iter().map(|(location, position)| ReadRecord {
                    location: names.number(location),
                    writer: transaction_at(position),
                });
                schedule.transactions[tx] = TransactionRecord {
                    gas_used: kept.gas_used,
                    execution: kept.execution,
                    commit: kept.commit,
                    reads: reads.collect(),
                    writes: kept.writes.into_iter().map(|location| names.number(location)).collect(),
                };
            }
        }
        schedule.locations = names.locations;
        schedule
    }
}

/// The transaction at a position; `None` before the first.
fn transaction_at(position: u32) -> Option<u32> {
    position.checked_sub(1)
}

#[derive(Default)]
struct Names {
    numbers: HashMap<Location, u32>,
    locations: Vec<Location>,
}

impl Names {
    fn number(&mut self, location: Location) -> u32 {
        *self.numbers.entry(location).or_insert_with(|| {
            self.locations.push(location);
            self.locations.len() as u32 - 1
        })
    }
}
