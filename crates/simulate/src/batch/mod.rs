//! Many independent calls on one snapshot: each sees the snapshot, none sees another. Calls and results are columns, so
//! that a million of them is a few arrays and not a million objects.

pub mod calls;
pub mod columns;
mod own_code;
pub mod run;

pub use calls::{Calls, Column, Field, Input, MAX_CALLS};
pub use columns::{Columns, DiffColumns, LogColumns};
pub use run::{BatchOptions, Progress, simulate};
