//! What benchmarks share: generated blocks (`workloads`), real ones (`data`), and plain revm as the baseline that
//! every ratio is taken against (`baseline`). Measuring itself is in the binaries.

pub mod baseline;
pub mod data;
pub mod workloads;

pub use workloads::Workload;
