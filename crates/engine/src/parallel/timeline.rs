//! What a worker did and when. Where no schedule is asked for, nothing here reads the clock or remembers anything.

use std::time::Instant;

use alloy_primitives::map::HashMap;
use revm::context::result::ExecutionResult;

use super::cells::Cells;
use super::journal::{Conflict, field_location};
use super::record::{Ending, Location, ReadRecord, Schedule, Span, TransactionRecord};

/// A worker's part of the schedule.
#[derive(Debug)]
pub struct Timeline {
    began: Option<Instant>,
    spans: Vec<Span>,
    aborted: Vec<((usize, usize), Option<Conflict>)>,
    kept: Vec<Kept>,
    reads: Vec<(Place, u32)>,
    writes: Vec<Place>,
}

/// A committed transaction: its numbers, and where its part of the flat lists ends.
#[derive(Debug)]
struct Kept {
    transaction: usize,
    gas_used: u64,
    execution: u64,
    commit: u64,
    reads: usize,
    writes: usize,
}

/// A location by the number of its cell: an account's field, or a slot. Names are looked up when the block is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Balance, nonce, code or existence (0 to 3) of an account's cell.
    Field(u32, u8),
    /// A slot's cell.
    Slot(u32),
}

impl Place {
    fn location(self, cells: &Cells) -> Location {
        match self {
            Self::Field(account, field) => field_location(cells.account(account).address, usize::from(field)),
            Self::Slot(slot) => {
                let (account, key) = {
                    let slot = cells.slot(slot);
                    (slot.account, slot.key)
                };
                Location::Slot(cells.account(account).address, key)
            }
        }
    }
}

impl Timeline {
    /// A timeline that records, or one that does not.
    pub fn new(records: bool, began: Instant) -> Self {
        Self {
            began: records.then_some(began),
            spans: Vec::new(),
            aborted: Vec::new(),
            kept: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
        }
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
        transaction: usize,
        execution: u64,
        result: &ExecutionResult,
        seen: impl FnOnce(&mut Vec<(Place, u32)>, &mut Vec<Place>),
    ) {
        if self.began.is_none() {
            return;
        }
        seen(&mut self.reads, &mut self.writes);
        self.kept.push(Kept {
            transaction,
            gas_used: result.gas().tx_gas_used(),
            execution,
            commit: 0,
            reads: self.reads.len(),
            writes: self.writes.len(),
        });
    }

    /// The transaction that was kept last is committed.
    pub fn committed(&mut self, tx: usize, nanoseconds: u64) {
        if let Some(kept) = self.kept.last_mut().filter(|kept| kept.transaction == tx) {
            kept.commit = nanoseconds;
        }
    }

    /// Puts the workers' timelines together.
    pub fn join(timelines: Vec<Self>, expected: &[u64], wall: u64, cells: &Cells) -> Schedule {
        let mut schedule = Schedule { workers: timelines.len() as u32, wall, ..Schedule::default() };
        let record =
            |expected: &u64| TransactionRecord { expected: *expected, ..TransactionRecord::default() };
        schedule.transactions.extend(expected.iter().map(record));
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
            let (mut reads, mut writes) = (0, 0);
            for kept in timeline.kept {
                let read = |(place, position): &(Place, u32)| ReadRecord {
                    location: names.place(*place, cells),
                    writer: transaction_at(*position),
                };
                let reads_of = timeline.reads[reads..kept.reads].iter().map(read).collect();
                let write = |place: &Place| names.place(*place, cells);
                let writes_of = timeline.writes[writes..kept.writes].iter().map(write).collect();
                (reads, writes) = (kept.reads, kept.writes);
                let record = &mut schedule.transactions[kept.transaction];
                (record.gas_used, record.execution, record.commit) =
                    (kept.gas_used, kept.execution, kept.commit);
                (record.reads, record.writes) = (reads_of, writes_of);
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
    places: HashMap<Place, u32>,
    numbers: HashMap<Location, u32>,
    locations: Vec<Location>,
}

impl Names {
    fn place(&mut self, place: Place, cells: &Cells) -> u32 {
        if let Some(number) = self.places.get(&place) {
            return *number;
        }
        let number = self.number(place.location(cells));
        self.places.insert(place, number);
        number
    }

    fn number(&mut self, location: Location) -> u32 {
        *self.numbers.entry(location).or_insert_with(|| {
            self.locations.push(location);
            self.locations.len() as u32 - 1
        })
    }
}
