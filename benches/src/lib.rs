//! What benchmarks share: generated blocks (`workloads`), real ones (`data`), plain revm as the baseline that every
//! ratio is taken against (`baseline`), the clock (`clock`), how far apart the cores are (`round_trip`), and the comparison of
//! outcomes without which no figure counts (`agreement`). What is run in which order is in the binaries.

pub mod agreement;
pub mod baseline;
pub mod clock;
pub mod data;
pub mod failure;
pub mod provenance;
pub mod round_trip;
pub mod workloads;

pub use failure::Failure;
pub use workloads::Workload;
