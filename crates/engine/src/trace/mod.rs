//! What a person reads when a transaction went wrong: its calls, what it looked at, one JSON line a step. A
//! traced transaction gives the same outcome as an untraced one; it only takes longer.

pub mod calls;
pub mod failure;
pub mod meter;
pub mod pricing;
pub mod steps;

pub use calls::{CallTrace, CallTracer};
pub use failure::Failure;
pub use steps::{StepFormat, StepTracer, TraceFields, TraceSink};
