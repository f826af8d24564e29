//! What a person reads when a transaction went wrong: one JSON line a step (EIP-3155). A traced block gives the
//! same outcome as an untraced one; it only takes longer.

pub mod meter;
pub mod steps;

pub use steps::{StepTracer, TraceFields, TraceSink};
