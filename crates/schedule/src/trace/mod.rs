//! The file: a JSON object of the Chrome trace event format, with one key of our own beside the events.
//!
//! ```text
//! traceEvents   what a viewer draws: a process per block, a track per worker, flow arrows for conflicts, counters
//! solder        what analysis reads:
//!   version     of this layout
//!   blocks[]    number gas_used transactions beneficiary? serial_seconds? parallel_seconds? workers wall around reading
//!     alone?       head tail around before_execution before_commit costs; costs is [execution, commit, execution, commit, ...]
//!     locations[]  [field, address] or ["slot", address, slot]
//!     spans[]      [worker, activity, transaction, incarnation, start, end, ending, location, by]; -1 is "none"
//!     records[]    [gas_used, expected, short, execution, commit, recording, reads, writes]; reads is [location, writer, location, writer, ...]
//! ```
//! Times under `solder` are nanoseconds since the block began. The events can be derived from it, so only it is read.

mod events;
mod read;
mod write;

use solder_engine::parallel::record::{Activity, Location};

pub use read::{parse_trace, read_trace};
pub use write::{write_events, write_trace};

/// Of the layout under `solder`.
pub const VERSION: u64 = 4;
/// A file larger than this is not read.
pub const MAX_FILE_BYTES: u64 = 512 << 20;
/// Blocks of a file.
pub const MAX_BLOCKS: usize = 10_000;
/// Transactions of a block.
pub const MAX_TRANSACTIONS: usize = 1 << 18;
/// Spans of a block: some for each transaction, and the phases.
pub const MAX_SPANS: usize = 16 * MAX_TRANSACTIONS;
/// Locations of a block.
pub const MAX_LOCATIONS: usize = 1 << 22;
/// Reads or writes of a transaction.
pub const MAX_ACCESSES: usize = 1 << 20;
/// A block takes less than an hour: sums over a block then fit 64 bits.
pub const MAX_NANOSECONDS: u64 = 3_600_000_000_000;
/// Picoseconds of one reading of a clock at most.
pub const MAX_READING: u64 = 1_000_000;
/// What a transaction is expected to cost at most.
pub const MAX_EXPECTED: u64 = 1 << 34;

const ACTIVITIES: [(Activity, &str); 7] = [
    (Activity::Execute, "execute"),
    (Activity::Validate, "validate"),
    (Activity::Commit, "commit"),
    (Activity::Await, "await"),
    (Activity::PreExecution, "pre_execution"),
    (Activity::PostExecution, "post_execution"),
    (Activity::Collect, "collect"),
];

/// The stable name of an activity.
pub fn activity_name(activity: Activity) -> &'static str {
    ACTIVITIES.iter().find(|(known, _)| *known == activity).map_or("", |(_, name)| name)
}

/// The stable name of the field that a location is.
pub fn field_name(location: &Location) -> &'static str {
    match location {
        Location::Balance(_) => "balance",
        Location::Nonce(_) => "nonce",
        Location::Code(_) => "code",
        Location::Existence(_) => "existence",
        Location::Slot(..) => "slot",
    }
}
