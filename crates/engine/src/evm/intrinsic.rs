//! The gas that a transaction costs before its first instruction. The formula and its prices are revm's; what is ours
//! is the counting of call data: revm counts it twice, byte by byte, which is two percent of a block full of swaps.

use revm::context_interface::Transaction as _;
use revm::context_interface::cfg::{gas::InitialAndFloorGas, gas_params::GasParams};

use crate::chain::Transaction;

/// Bytes counted at a time, so that the count of one lane fits a byte and the compiler can use its widest registers.
const LANE: usize = 255;

/// How many bytes are zero.
pub fn count_zero_bytes(input: &[u8]) -> u64 {
    let lane = |bytes: &[u8]| bytes.iter().map(|byte| u8::from(*byte == 0)).fold(0u8, u8::wrapping_add);
    input.chunks(LANE).map(|bytes| u64::from(lane(bytes))).sum()
}

/// What revm's `initial_tx_gas_for_tx` gives, with the call data counted once.
pub fn initial_gas(prices: &GasParams, tx: &Transaction) -> InitialAndFloorGas {
    let storages = tx.access_list.iter().map(|item| item.storage_keys.len() as u64).sum();
    let (accounts, create) = (tx.access_list.len() as u64, tx.to.is_create());
    let authorizations = tx.authorization_list_len() as u64;
    let mut gas = prices.initial_tx_gas(&[], create, accounts, storages, authorizations, None);
    let zero = count_zero_bytes(&tx.input);
    let other = tx.input.len() as u64 - zero;
    let weight = prices.tx_token_non_zero_byte_multiplier();
    let mut regular = gas.initial_regular_gas + (zero + other * weight) * prices.tx_token_cost();
    if create {
        regular += prices.tx_initcode_cost(tx.input.len());
    }
    let floor_tokens = zero * prices.tx_floor_token_zero_byte_multiplier() + other * weight;
    let floor = gas.floor_gas() + prices.tx_floor_cost_per_token() * floor_tokens;
    gas.set_initial_regular_gas(regular);
    gas.set_floor_gas(floor);
    gas
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, TxKind};
    use revm::context_interface::transaction::AccessListItem;

    use super::*;
    use crate::chain::Fork;

    #[test]
    fn counting_once_gives_what_revm_gives() {
        let mut seed = 0x9e37_79b9_7f4a_7c15u64;
        for fork in Fork::ALL {
            let prices = GasParams::new_spec(fork.spec_id());
            for length in [0, 1, 4, 31, 254, 255, 256, 700, 5_000] {
                let mut input = vec![0u8; length];
                for byte in &mut input {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    *byte = if seed >> 62 == 0 { 0 } else { (seed >> 33) as u8 };
                }
                let to = if length % 2 == 0 { TxKind::Create } else { TxKind::default() };
                let item = AccessListItem { storage_keys: vec![Default::default(); 3], ..Default::default() };
                let access_list = vec![item; length % 5];
                let tx = Transaction {
                    tx_type: 1,
                    input: Bytes::from(input),
                    to,
                    access_list,
                    ..Default::default()
                };
                assert_eq!(
                    initial_gas(&prices, &tx),
                    prices.initial_tx_gas_for_tx(&tx, None),
                    "{fork} {length}"
                );
            }
        }
    }
}
