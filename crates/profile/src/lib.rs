//! Where the gas and the time of a transaction or a block go, part by part, and which parts are structured work that a
//! coprocessor could take over. The engine's meter counts; this crate calibrates it, runs it, and makes the bill:
//! parts, totals by contract and function, Amdahl's estimate, a tree for flame graphs. Knows no Python and draws
//! nothing.

pub mod calibrate;
pub mod case;
mod document;
pub mod recovery;
mod reference;
pub mod report;
pub mod run;

pub use calibrate::calibrate;
pub use document::{Order, profile_to_json};
pub use recovery::recovery_nanoseconds;
pub use report::{Report, ReportOptions};
pub use run::{BlockBill, Subject, profile_block};
