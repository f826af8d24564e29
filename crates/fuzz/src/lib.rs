//! Search for bugs: hostile blocks from seeds, run in parallel and compared with serial execution on everything that
//! a block leaves behind. Plain bytecode, put together by an assembler of our own; no signatures, because senders and
//! authorities are given. The scheduler's state machine is explored elsewhere (`solder-engine`, tests/scheduler/).

pub mod assembler;
pub mod blocks;
pub mod case;
pub mod cast;
pub mod check;
pub mod contracts;
pub mod difference;
pub mod motif;
pub mod program;
pub mod random;
pub mod reluctant;
pub mod shrink;
pub mod step;
pub mod watch;

pub use case::Case;
pub use check::{Mismatch, Mode, Tally, check, modes};
pub use watch::Watch;
