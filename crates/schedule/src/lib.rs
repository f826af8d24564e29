//! The schedule of a parallel run, made visible: saved as Chrome trace events that a trace viewer opens, read back under
//! limits, analysed (utilisation, critical path, hottest locations), simulated on other numbers of workers with the
//! engine's own scheduler, and drawn. Executes nothing and knows no Python.

pub mod analysis;
pub mod conflicts;
pub mod contracts;
mod error;
pub mod picture;
pub mod simulate;
pub mod summary;
pub mod trace;

use alloy_primitives::Address;
use solder_engine::parallel::Schedule;

pub use error::TraceError;
pub use simulate::{Alone, Cost, Simulation, simulate};
pub use summary::{Filter, PREDICTED_WORKERS, Sharing, Summary, predicted_from_shared, predicted_seconds};
pub use trace::{read_trace, write_trace};

/// Which block a schedule belongs to, and how long the block took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockLabel {
    /// Its number.
    pub number: u64,
    /// Gas that its transactions used.
    pub gas_used: u64,
    /// How many transactions it has.
    pub transactions: u64,
    /// Who is credited with the fees: named among the hottest locations.
    pub beneficiary: Option<Address>,
    /// Wall time of serial execution in the same run, where it was measured.
    pub serial_seconds: Option<f64>,
    /// Wall time of the parallel execution that is held against it.
    pub parallel_seconds: Option<f64>,
}

/// One recorded block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockSchedule {
    /// Which block.
    pub label: BlockLabel,
    /// What happened.
    pub schedule: Schedule,
    /// Nanoseconds of the recorded run before its first phase and after its last.
    pub around: u64,
    /// What the same transactions cost on one worker, where that was recorded too.
    pub alone: Option<Alone>,
}
