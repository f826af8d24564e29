//! Traces of one transaction in the formats of geth's tracers: calls, selectors, the state before and what changed. The
//! transaction runs once, traced (`subject`); what that kept is compact, and each format is made when it is asked for.
//!
//! `calls` is geth's callTracer and 4byteTracer, `prestate` its prestateTracer, `steps` its struct logger and EIP-3155 as a
//! stream (which runs the transaction again), `reason` what it makes of a revert, `json` how all of it is written.

pub mod calls;
pub mod json;
pub mod prestate;
pub mod reason;
pub mod steps;
pub mod subject;

pub use calls::{CallField, CallFormat};
pub use prestate::PrestateFormat;
pub use steps::{Chunk, Steps};
pub use subject::{Subject, Traced};
