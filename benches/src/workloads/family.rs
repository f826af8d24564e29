//! The kinds of generated blocks, by the names that benchmarks report.

use super::{
    Contracts, Workload, chain_sender, erc20_transfers, hot_slot, native_transfers, one_pool, uniswap_swaps,
};

/// A kind of generated block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Transfers of ether between many.
    Native,
    /// Transfers of one token between many.
    Erc20,
    /// Swaps on several pools.
    Uniswap,
    /// A chain: one account sends everything.
    ChainSender,
    /// A chain: everybody writes one slot.
    HotSlot,
    /// A chain: everybody swaps on one pool.
    OnePool,
}

impl Family {
    /// Every kind, in the order of reports.
    pub const ALL: [Self; 6] =
        [Self::Native, Self::Erc20, Self::Uniswap, Self::ChainSender, Self::HotSlot, Self::OnePool];

    /// The stable name; a block's name is this, `_` and its size in Mgas.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Erc20 => "erc20",
            Self::Uniswap => "uniswap",
            Self::ChainSender => "chain_sender",
            Self::HotSlot => "hot_slot",
            Self::OnePool => "one_pool",
        }
    }

    /// The kind with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    /// A block of about `gas`. `None` where it runs contracts and there are none.
    pub fn generate(self, contracts: Option<&Contracts>, gas: u64, seed: u64) -> Option<Workload> {
        match self {
            Self::Native => Some(native_transfers(gas, seed)),
            Self::Erc20 => contracts.map(|contracts| erc20_transfers(contracts, gas, seed)),
            Self::Uniswap => contracts.map(|contracts| uniswap_swaps(contracts, gas, seed)),
            Self::ChainSender => Some(chain_sender(gas, seed)),
            Self::HotSlot => Some(hot_slot(gas, seed)),
            Self::OnePool => contracts.map(|contracts| one_pool(contracts, gas, seed)),
        }
    }
}
