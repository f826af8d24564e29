//! The official formats of Ethereum's tests and tools, run on `solder-engine`: state tests, blockchain tests, RLP,
//! trie and transaction vectors. Reads files under limits, runs cases on worker threads, and says of a failing case
//! which field was expected to be what. Knows no Python and prints nothing.

pub mod blocktest;
pub mod fixture;
pub mod input_error;
pub mod replay;
pub mod run;
pub mod source;
pub mod statetest;
pub mod t8n;
pub mod vector;

pub use input_error::InputError;
pub use run::{CaseReport, Format, Next, Options, Run, RunError, Verdict};
