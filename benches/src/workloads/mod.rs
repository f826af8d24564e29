//! Generated blocks, from 1 Mgas to 1 Ggas: the same size and seed give the same block on every machine. Each is
//! a Cancun block whose transactions carry no signatures (senders are given), so it starts where a decoded and
//! recovered block does.

mod builder;
mod contracts;
mod erc20;
mod family;
mod hot_slot;
mod native;
mod uniswap;

pub use builder::Rng;
pub use contracts::Contracts;
pub use erc20::erc20_transfers;
pub use family::Family;
pub use hot_slot::hot_slot;
pub use native::{chain_sender, native_transfers};
pub use uniswap::{UNISWAP_POOLS, one_pool, uniswap_swaps};

use solder_engine::{Block, Chain, Fork, MemoryState};

/// A block with everything that it runs on.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What reports call it.
    pub name: String,
    /// Whose rules hold.
    pub chain: Chain,
    /// Which of them.
    pub fork: Fork,
    /// The block.
    pub block: Block,
    /// The state before it.
    pub state: MemoryState,
}
