//! The state of a chain that a node holds: read over JSON-RPC when it is needed, checked against the block's hash, and kept.
//! Knows no EVM and no Python: it is a `StateReader`.
//!
//! In the order in which a question passes them: `state` (what is known, what is wanted, who fetches), `cache` (on disk), `fetch` (questions
//! become requests), `rpc` (batches), `http` (attempts), `header` and `proof` (what an answer must agree with),
//! `known` (one flat base for all snapshots). `open` pins the block.

pub mod cache;
pub mod error;
pub mod fetch;
pub mod header;
pub mod http;
pub mod known;
pub mod open;
pub mod options;
pub mod proof;
pub mod rpc;
pub mod state;

pub use error::{Kind, OpenError, RemoteError};
pub use open::open;
pub use options::{BlockChoice, CacheChoice, RemoteOptions, Rules, Verify};
pub use state::{RemoteState, RemoteStatus};
