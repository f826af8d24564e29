//! Many transactions at once, with the outcome of one after the other.

mod apart;
mod arena;
pub mod cells;
mod chains;
mod collect;
mod commit;
mod expected;
mod interleave;
pub mod journal;
pub mod machine;
mod news;
mod observed;
mod outline;
pub mod pool;
pub mod record;
pub mod recorder;
pub mod recording;
mod run;
pub mod scheduler;
mod shared;
mod spares;
pub mod speculate;
mod timeline;
mod worker;

pub use record::{Clamp, Counters, Report, Schedule};
pub use recording::Recording;
pub use run::ParallelBlock;
pub use shared::{Sequencer, Shared};

/// How to run in parallel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parallel {
    /// Threads that take part, the caller's included; at least 1.
    pub workers: usize,
    /// Take the parallel path whatever the size of the block and the number of workers.
    pub forced: bool,
    /// Before anything else, run an incarnation of each transaction that is given wrong values everywhere and throw it
    /// away, so that a block of one transaction meets validation and repetition too. For tests.
    pub mislead: bool,
    /// Take turns in an order drawn from this seed: one worker runs at a time, and the same seed gives the same run. For
    /// tests.
    pub interleave: Option<u64>,
    /// Record the schedule.
    pub record: bool,
}

impl Default for Parallel {
    fn default() -> Self {
        Self { workers: 1, forced: false, mislead: false, interleave: None, record: false }
    }
}

/// The most workers that take part in a block.
pub const MAX_WORKERS: usize = 128;
