//! What a worker did and when, in raw form: ticks and cell numbers, to be read and named when somebody asks. Where no
//! schedule is asked for, nothing here reads the clock or remembers anything.

use std::sync::{LazyLock, Mutex};

use quanta::Clock;
use revm::context::result::ExecutionResult;

use super::journal::Conflict;
use super::record::Activity;
use super::shared::lock;

/// Readings of the clock in a round, and rounds, to see how long one takes.
const READINGS: u64 = 16;
const READING_ROUNDS: usize = 8;

/// The most timelines whose memory is kept for later records.
const MAX_KEPT_TIMELINES: usize = 16;
/// The most spans that one may have room for then.
const MAX_KEPT_SPANS: usize = 1 << 18;

/// Memory of records that nobody needs any more: a block's worth of fresh pages would cost a record more than what it notes.
static KEPT: Mutex<Vec<Lists>> = Mutex::new(Vec::new());

/// The clock of a block whose schedule is recorded: the processor's counter where it is reliable.
#[derive(Clone, Debug)]
pub struct Pace {
    clock: &'static Clock,
    began: u64,
}

/// One for the process: making one asks the processor what it can, which takes tens of microseconds on a virtual one.
static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::new);

impl Pace {
    /// A clock that begins now.
    pub fn new() -> Self {
        let clock = &*CLOCK;
        let began = clock.raw();
        Self { clock, began }
    }

    /// Ticks since the block began.
    #[inline]
    pub(super) fn ticks(&self) -> u64 {
        self.clock.raw().saturating_sub(self.began)
    }

    /// Picoseconds of one reading among others, in the fastest of some rounds.
    pub(super) fn reading(&self) -> u64 {
        let round = || {
            let start = self.ticks();
            (1..READINGS).for_each(|_| {
                std::hint::black_box(self.ticks());
            });
            self.ticks() - start
        };
        let least = (0..READING_ROUNDS).map(|_| round()).min().unwrap_or(0);
        self.nanoseconds(least * 1000 / READINGS)
    }

    /// How long so many ticks are.
    pub(super) fn nanoseconds(&self, ticks: u64) -> u64 {
        self.clock.delta_as_nanos(0, ticks)
    }
}

/// What a worker did, in ticks since the block began.
#[derive(Clone, Copy, Debug)]
pub struct Noted {
    /// What.
    pub activity: Activity,
    /// For which transaction.
    pub transaction: Option<u32>,
    /// Which attempt.
    pub incarnation: u8,
    /// It met a state read without an answer.
    pub parked: bool,
    /// When it began.
    pub start: u64,
    /// When it ended.
    pub end: u64,
}

impl Noted {
    /// Something that began at `start`.
    pub fn new(activity: Activity, transaction: Option<u32>, start: u64) -> Self {
        Self { activity, transaction, incarnation: 0, parked: false, start, end: 0 }
    }
}

/// A worker's part of the schedule.
#[derive(Debug)]
pub struct Timeline {
    pace: Option<Pace>,
    pub(super) lists: Lists,
}

/// What is noted, in lists that grow with the block.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub spans: Vec<Noted>,
    pub aborted: Vec<((usize, usize), Option<Conflict>)>,
    pub kept: Vec<Kept>,
    pub places: Places,
}

impl Drop for Timeline {
    fn drop(&mut self) {
        if self.pace.is_none() || self.lists.spans.capacity() > MAX_KEPT_SPANS {
            return;
        }
        let mut lists = std::mem::take(&mut self.lists);
        lists.spans.clear();
        lists.aborted.clear();
        lists.kept.clear();
        lists.places.reads.clear();
        lists.places.writes.clear();
        let mut kept = lock(&KEPT);
        if kept.len() < MAX_KEPT_TIMELINES {
            kept.push(lists);
        }
    }
}

/// Flat lists of what the kept transactions observed, with the position of the write that they saw, and wrote.
#[derive(Debug, Default)]
pub struct Places {
    /// Observed.
    pub reads: Vec<(Place, u32)>,
    /// Written.
    pub writes: Vec<Place>,
}

/// A committed transaction: its numbers, and where its part of the flat lists ends.
#[derive(Debug)]
pub(super) struct Kept {
    pub transaction: usize,
    pub gas_used: u64,
    pub execution: u64,
    pub commit: u64,
    pub recording: u64,
    pub reads: usize,
    pub writes: usize,
}

/// A location by the number of its cell: an account's field, or a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Balance, nonce, code or existence (0 to 3) of an account's cell.
    Field(u32, u8),
    /// A slot's cell.
    Slot(u32),
}

impl Timeline {
    /// A timeline that records, or one that does not.
    pub fn new(pace: Option<Pace>) -> Self {
        let kept = pace.as_ref().and_then(|_| lock(&KEPT).pop());
        Self { pace, lists: kept.unwrap_or_default() }
    }

    /// Ticks since the block began.
    #[inline]
    pub fn now(&self) -> u64 {
        self.pace.as_ref().map_or(0, Pace::ticks)
    }

    /// Ends a span now. Gives its place and its length.
    #[inline]
    pub fn note(&mut self, mut span: Noted) -> (usize, u64) {
        let Some(pace) = &self.pace else { return (0, 0) };
        span.end = pace.ticks();
        self.lists.spans.push(span);
        (self.lists.spans.len() - 1, span.end - span.start)
    }

    /// The execution of a span (of any worker) was thrown away.
    pub fn abort(&mut self, span: (usize, usize), conflict: Option<Conflict>) {
        if self.pace.is_some() {
            self.lists.aborted.push((span, conflict));
        }
    }

    /// An incarnation is kept: what it saw, before it is committed.
    pub fn keep(
        &mut self,
        transaction: usize,
        execution: u64,
        result: &ExecutionResult,
        seen: impl FnOnce(&mut Places),
    ) {
        let start = self.now();
        seen(&mut self.lists.places);
        self.lists.kept.push(Kept {
            transaction,
            gas_used: result.gas().tx_gas_used(),
            execution,
            commit: 0,
            recording: 0,
            reads: self.lists.places.reads.len(),
            writes: self.lists.places.writes.len(),
        });
        let took = self.now() - start;
        self.lists.kept.last_mut().into_iter().for_each(|kept| kept.recording = took);
    }

    /// The transaction that was kept last is committed.
    pub fn committed(&mut self, tx: usize, ticks: u64) {
        if let Some(kept) = self.lists.kept.last_mut().filter(|kept| kept.transaction == tx) {
            kept.commit = ticks;
        }
    }
}
