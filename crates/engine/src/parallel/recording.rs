//! The recorded schedule of a block. The workers leave ticks and numbers; times and names are made of them when somebody
//! asks, so that recording costs the block as little as can be.

use std::sync::Arc;

use alloy_primitives::{Address, U256, map::HashMap};

use super::journal::field_location;
use super::record::{Ending, Location, ReadRecord, Schedule, Span, TransactionRecord};
use super::shared::Shared;
use super::timeline::{Noted, Pace, Place, Timeline};

/// A schedule as the workers left it.
#[derive(Clone, Debug)]
pub struct Recording(Arc<Raw>);

#[derive(Debug)]
struct Raw {
    timelines: Vec<Timeline>,
    /// What each transaction was expected to cost, and whether it is short.
    expected: Vec<(u64, bool)>,
    pace: Pace,
    wall: u64,
    /// What giving the cells' names to this record took, after the block.
    naming: u64,
    cells: CellNames,
}

/// What the cells were called: by number, in order.
#[derive(Debug)]
pub struct CellNames {
    /// Accounts.
    pub accounts: Vec<(u32, Address)>,
    /// Slots: the account's cell, and the key.
    pub slots: Vec<(u32, (u32, U256))>,
}

impl Recording {
    /// Takes the workers' timelines, of a block that took `wall` ticks, before its cells are used again.
    pub(super) fn new(timelines: Vec<Timeline>, shared: &Shared<'_>, pace: Pace, wall: u64) -> Self {
        let start = pace.ticks();
        let expected = shared.expected.iter().enumerate().map(|(tx, cost)| (*cost, shared.is_short(tx)));
        let (expected, cells) = (expected.collect(), shared.cells.names());
        let naming = pace.ticks() - start;
        Self(Arc::new(Raw { timelines, expected, pace, wall, naming, cells }))
    }

    /// Nanoseconds from the first phase to the last.
    pub fn wall(&self) -> u64 {
        self.0.pace.nanoseconds(self.0.wall)
    }

    /// Nanoseconds of a run that took `seconds` which lie around its record: before the first phase and after the last. What
    /// the record itself took there is left out, since a run that is not recorded does not need it.
    pub fn around(&self, seconds: f64) -> u64 {
        let raw = &*self.0;
        let recorded = raw.pace.nanoseconds(raw.wall) + raw.pace.nanoseconds(raw.naming);
        ((seconds * 1e9) as u64).saturating_sub(recorded)
    }

    /// Times and names.
    pub fn schedule(&self) -> Schedule {
        let raw = &*self.0;
        let workers = raw.timelines.len() as u32;
        let mut schedule =
            Schedule { workers, wall: self.wall(), reading: raw.pace.reading(), ..Schedule::default() };
        let record = |&(expected, short): &(u64, bool)| TransactionRecord {
            expected,
            short,
            ..TransactionRecord::default()
        };
        schedule.transactions.extend(raw.expected.iter().map(record));
        let mut names = Names::over(&raw.cells);
        let mut firsts = Vec::new();
        for (worker, timeline) in (0..).zip(&raw.timelines) {
            firsts.push(schedule.spans.len());
            schedule.spans.extend(timeline.lists.spans.iter().map(|noted| raw.pace.span(worker, noted)));
        }
        for timeline in &raw.timelines {
            for ((worker, place), conflict) in &timeline.lists.aborted {
                let Some(conflict) = conflict else { continue };
                schedule.spans[firsts[*worker] + place].ending = Ending::Aborted {
                    location: names.number(conflict.location),
                    by: transaction_at(conflict.by),
                };
            }
            raw.list_kept(timeline, &mut names, &mut schedule.transactions);
        }
        schedule.locations = names.locations;
        schedule
    }
}

impl Raw {
    /// What a worker's kept transactions did.
    fn list_kept(&self, timeline: &Timeline, names: &mut Names<'_>, into: &mut [TransactionRecord]) {
        let (mut reads, mut writes) = (0, 0);
        for kept in &timeline.lists.kept {
            let read = |(place, position): &(Place, u32)| ReadRecord {
                location: names.place(*place),
                writer: transaction_at(*position),
            };
            let reads_of = timeline.lists.places.reads[reads..kept.reads].iter().map(read).collect();
            let write = |place: &Place| names.place(*place);
            let writes_of = timeline.lists.places.writes[writes..kept.writes].iter().map(write).collect();
            (reads, writes) = (kept.reads, kept.writes);
            let record = &mut into[kept.transaction];
            record.gas_used = kept.gas_used;
            record.execution = self.pace.nanoseconds(kept.execution);
            record.commit = self.pace.nanoseconds(kept.commit);
            record.recording = self.pace.nanoseconds(kept.recording);
            (record.reads, record.writes) = (reads_of, writes_of);
        }
    }
}

impl Pace {
    fn span(&self, worker: u32, noted: &Noted) -> Span {
        Span {
            worker,
            activity: noted.activity,
            transaction: noted.transaction,
            incarnation: noted.incarnation.into(),
            start: self.nanoseconds(noted.start),
            end: self.nanoseconds(noted.end),
            ending: if noted.parked { Ending::Parked } else { Ending::Kept },
        }
    }
}

/// The transaction at a position; `None` before the first.
fn transaction_at(position: u32) -> Option<u32> {
    position.checked_sub(1)
}

struct Names<'c> {
    cells: &'c CellNames,
    places: HashMap<Place, u32>,
    numbers: HashMap<Location, u32>,
    locations: Vec<Location>,
}

impl<'c> Names<'c> {
    fn over(cells: &'c CellNames) -> Self {
        Self { cells, places: HashMap::default(), numbers: HashMap::default(), locations: Vec::new() }
    }

    fn place(&mut self, place: Place) -> u32 {
        if let Some(number) = self.places.get(&place) {
            return *number;
        }
        let number = self.number(self.cells.location(place));
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

impl CellNames {
    fn location(&self, place: Place) -> Location {
        match place {
            Place::Field(account, field) => field_location(self.account(account), usize::from(field)),
            Place::Slot(slot) => {
                let (account, key) = name_of(&self.slots, slot);
                Location::Slot(self.account(account), key)
            }
        }
    }

    fn account(&self, number: u32) -> Address {
        name_of(&self.accounts, number)
    }
}

/// Every place that was recorded is that of a cell in use.
fn name_of<N: Copy + Default>(names: &[(u32, N)], number: u32) -> N {
    let found = names.binary_search_by_key(&number, |(number, _)| *number);
    debug_assert!(found.is_ok());
    found.map_or_else(|_| N::default(), |place| names[place].1)
}
