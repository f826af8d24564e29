//! Real blocks on a part of the state: reading block folders, and replaying a block against its header under the
//! clock. A block folder holds `block.json` (as `eth_getBlockByNumber` gives it, transactions in full) and
//! `pre_state.json` (the accounts that the block touches); `codes.bin` and `block_hashes.bincode` lie in it or in its
//! parent. Archives of such folders are read in place.
//!
//! The state is partial, so its root is not checked. An RPC block names its ommers by hash only: their rewards are not
//! paid here, nor the producer's share for including them.

mod block_json;
mod clock;
mod comparison;
mod loader;
mod pre_state;
mod sidecar;
mod transaction_json;

pub use block_json::FalseClaim;
pub use clock::{
    FALLBACK_SECONDS, ParallelReplay, Recorded, Replay, ReplayOptions, replay, thread_cpu_seconds,
};
pub use comparison::difference;
pub use loader::{LoadedBlock, Loader, find, load};
