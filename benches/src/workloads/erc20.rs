//! Transfers of one ERC-20 token.

use alloy_primitives::U256;

use super::builder::{Builder, call_data, mapping_slot, word};
use super::{Contracts, Workload};

/// `transfer(address,uint256)`.
const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];
const BALANCES_SLOT: u64 = 1;
/// What one transfer between holders uses, about.
const GAS: u64 = 34_500;
const GAS_LIMIT: u64 = 60_000;

/// Each holder sends once, to a random other holder: two slots of the one token change.
pub fn erc20_transfers(contracts: &Contracts, gas: u64, seed: u64) -> Workload {
    let mut builder = Builder::new(seed);
    let token = builder.rng.address();
    let count = (gas / GAS).max(1) as usize;
    let holders = builder.accounts(2 * count);
    let balance = U256::from(1_000_000_000_000u64);
    let mut storage = vec![(U256::ZERO, balance * U256::from(holders.len()))];
    storage.extend(
        holders.iter().map(|holder| (mapping_slot(holder.into_word(), word(BALANCES_SLOT)), balance)),
    );
    builder.contract(token, &contracts.erc20, U256::ZERO, storage);
    for sender in &holders[..count] {
        let to = holders[count + builder.rng.below(count)];
        let amount = 1 + builder.rng.next_u64() % 1_000_000;
        builder.send(*sender, 0, token, GAS_LIMIT, 0, call_data(TRANSFER, &[to.into_word(), word(amount)]));
    }
    builder.finish("erc20", gas)
}
