//! Block execution for the Ethereum Virtual Machine: exact on every fork, with its state as a value and one
//! ChangeSet per block. Knows no Python, no file format and no network.
//!
//! The folders, in the order in which a transaction passes them: `chain` (values and encodings), `state` (what is
//! read), `evm` (one transaction in the interpreter), `parallel` (many at once), `block` (the four phases of a block), `trie` (the root),
//! `trace` (what a person reads when it went wrong).

mod ahead;
pub mod block;
pub mod chain;
pub mod error;
pub mod evm;
pub mod parallel;
pub mod state;
pub mod trace;
pub mod trie;

pub use block::{BlockOutcome, ExecuteOptions, Policy, execute_block};
pub use chain::{Block, Chain, Fork, Header, Receipt, Transaction};
pub use error::{Code, EngineError, Fault, Rejection};
pub use parallel::Parallel;
pub use state::{ChangeSet, MemoryState, StateReader};
