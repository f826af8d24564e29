//! Who sees whose write: what is published, as versions instead of values.

use std::collections::BTreeSet;

use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::{Location, ReadRecord, TransactionRecord};

/// Where in an execution something happens, in parts of [`WHOLE`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position(u32);

const WHOLE: u64 = 1 << 16;

impl Position {
    /// In nanoseconds, for an execution of that length.
    pub(super) fn of(self, length: u64) -> u64 {
        // Lengths are bounded by the file format, far below 2^48.
        length * u64::from(self.0) / WHOLE
    }
}

/// Which attempt of which transaction wrote it: `None` is the state before the block.
type Version = Option<(u32, u8)>;

/// A read that depends on a lower transaction.
struct Dependency {
    location: u32,
    /// The transaction whose write the committed incarnation saw.
    writer: u32,
    position: Position,
    seen: Version,
}

/// What a read meets.
pub(super) enum Seen {
    /// A version, which is noted.
    Version,
    /// A write that is to be written again.
    Estimate {
        /// By whom.
        by: usize,
    },
}

/// What a transaction has published.
#[derive(Clone, Copy)]
struct Published {
    incarnation: u8,
    estimate: bool,
}

pub(super) struct Versions {
    dependencies: Vec<Vec<Dependency>>,
    published: Vec<Option<Published>>,
    /// By transaction: the locations that it writes.
    writes: Vec<Vec<u32>>,
    /// By location: who writes there, and who reads there, in order.
    writers: Vec<Vec<u32>>,
    readers: Vec<Vec<u32>>,
    /// By location: whether its publication is told to readers, and whether it is marked when it is to be written again.
    news: Vec<bool>,
    marked: Vec<bool>,
}

impl Versions {
    pub(super) fn new(schedule: &Schedule) -> Self {
        let (records, locations) = (&schedule.transactions, &schedule.locations);
        let (mut writers, mut readers) =
            (vec![Vec::new(); locations.len()], vec![Vec::new(); locations.len()]);
        for (tx, record) in (0..).zip(records) {
            record.writes.iter().for_each(|location| writers[*location as usize].push(tx));
            record.reads.iter().for_each(|read| readers[read.location as usize].push(tx));
        }
        // Balances and existence wait for the commit.
        let is_news = |location: &Location| matches!(location, Location::Slot(..) | Location::Code(_));
        let is_marked = |location: &Location| is_news(location) || matches!(location, Location::Nonce(_));
        Self {
            dependencies: records.iter().map(|record| dependencies_of(locations, record)).collect(),
            published: vec![None; records.len()],
            writes: records.iter().map(|record| record.writes.clone()).collect(),
            writers,
            readers,
            news: locations.iter().map(is_news).collect(),
            marked: locations.iter().map(is_marked).collect(),
        }
    }

    pub(super) fn is_news(&self, location: u32) -> bool {
        self.news[location as usize]
    }

    pub(super) fn is_marked(&self, location: u32) -> bool {
        self.marked[location as usize]
    }

    /// An execution begins: it has seen nothing.
    pub(super) fn begin(&mut self, tx: usize) {
        self.dependencies[tx].iter_mut().for_each(|dependency| dependency.seen = None);
    }

    /// Where in its execution a transaction makes a read that depends on a lower one.
    pub(super) fn position(&self, tx: usize, place: usize) -> Option<Position> {
        self.dependencies[tx].get(place).map(|dependency| dependency.position)
    }

    pub(super) fn read(&mut self, tx: usize, place: usize) -> Seen {
        match self.visible(&self.dependencies[tx][place]) {
            Some((by, Published { estimate: true, .. })) => Seen::Estimate { by: by as usize },
            found => {
                self.dependencies[tx][place].seen = version(found);
                Seen::Version
            }
        }
    }

    /// The highest published write at a location, up to the one that the committed incarnation saw: what lies above that
    /// one and below the reader did not matter to it.
    fn visible(&self, dependency: &Dependency) -> Option<(u32, Published)> {
        let writers = &self.writers[dependency.location as usize];
        let upto = writers.partition_point(|writer| *writer <= dependency.writer);
        let published = |writer: &u32| self.published[*writer as usize].map(|published| (*writer, published));
        writers[..upto].iter().rev().find_map(published)
    }

    /// Whose write makes what a transaction read stale, if it is. Before the commit position, a write that is to be
    /// written again does too.
    pub(super) fn stale(&self, tx: usize, at_commit: bool) -> Option<usize> {
        self.dependencies[tx].iter().find_map(|dependency| {
            let found = self.visible(dependency);
            let estimate = !at_commit && found.is_some_and(|(_, published)| published.estimate);
            let stale = version(found) != dependency.seen || estimate;
            stale.then(|| found.map_or(dependency.writer, |(writer, _)| writer) as usize)
        })
    }

    pub(super) fn publish(&mut self, tx: usize, incarnation: usize) {
        self.published[tx] = Some(Published { incarnation: incarnation as u8, estimate: false });
    }

    /// The transaction is to run again.
    pub(super) fn mark_estimate(&mut self, tx: usize) {
        if let Some(published) = &mut self.published[tx] {
            published.estimate = true;
        }
    }

    /// The attempt is part of the block. True if that is news: it was not published.
    pub(super) fn commit(&mut self, tx: usize, incarnation: usize) -> bool {
        let is_news =
            self.published[tx].is_none_or(|published| usize::from(published.incarnation) != incarnation);
        self.publish(tx, incarnation);
        is_news
    }

    /// The transactions above `tx` that read where `tx` writes, among the locations that count, up to the first of each
    /// location that has not `looked` yet. Whoever is above the next published writer has seen that one's write.
    pub(super) fn readers_above(
        &self,
        tx: usize,
        counts: fn(&Self, u32) -> bool,
        looked: impl Fn(usize) -> bool,
        into: &mut BTreeSet<usize>,
    ) {
        for location in self.writes[tx].iter().filter(|location| counts(self, **location)) {
            let readers = &self.readers[*location as usize];
            let above = readers.partition_point(|reader| *reader as usize <= tx);
            let writers = &self.writers[*location as usize];
            let higher = writers.partition_point(|writer| *writer as usize <= tx);
            let next = writers[higher..].iter().find(|writer| self.published[**writer as usize].is_some());
            let bound = next.copied().unwrap_or(u32::MAX);
            let reached = |reader: &&u32| **reader <= bound && looked(**reader as usize);
            into.extend(readers[above..].iter().take_while(reached).map(|reader| *reader as usize));
        }
    }
}

fn version(found: Option<(u32, Published)>) -> Version {
    found.map(|(writer, published)| (writer, published.incarnation))
}

/// The reads that depend on a lower transaction, in the order in which they happen. Accounts come before slots in a record,
/// each in the order in which they were first read; both are spread over the whole execution.
fn dependencies_of(locations: &[Location], record: &TransactionRecord) -> Vec<Dependency> {
    let is_slot = |read: &ReadRecord| matches!(locations[read.location as usize], Location::Slot(..));
    let (slots, fields): (Vec<_>, Vec<_>) = record.reads.iter().partition(|read| is_slot(read));
    let spread = |reads: Vec<ReadRecord>| {
        let count = reads.len() as u64;
        reads.into_iter().enumerate().filter_map(move |(place, ReadRecord { location, writer })| {
            let position = Position(((2 * place as u64 + 1) * WHOLE / (2 * count)) as u32);
            Some(Dependency { location, writer: writer?, position, seen: None })
        })
    };
    let mut found: Vec<_> = spread(fields).chain(spread(slots)).collect();
    found.sort_by_key(|dependency| dependency.position);
    found
}
