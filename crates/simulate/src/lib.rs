//! Simulation on snapshots of a state: one call, or millions on all cores. Pure Rust; what Python sees of it is in
//! `solder-python`.
//!
//! In the order in which a call passes them: `environment` and `snapshot` (what it runs on; `layer` is what lies over a
//! shared base, `prefetch` how one waits for a base that answers later), `call` (one), `estimate` (gas and access lists by repeated calls), `deal` (tokens for free), `batch` (many
//! at once, with columns of results), `reason` (what a revert says), `file` (a snapshot as bytes).

pub mod batch;
pub mod call;
pub mod deal;
pub mod environment;
pub mod error;
pub mod estimate;
pub mod file;
pub mod layer;
pub mod prefetch;
pub mod reason;
pub mod snapshot;

pub use environment::{BlockOverrides, Environment};
pub use error::SimulateError;
pub use snapshot::{Base, Edit, Snapshot};
