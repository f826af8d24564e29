//! Transfers of ether.

use alloy_primitives::Bytes;

use super::Workload;
use super::builder::Builder;

const GAS: u64 = 21_000;

/// Each sender sends once, to a random other account: hardly any two transactions touch each other.
pub fn native_transfers(gas: u64, seed: u64) -> Workload {
    let mut builder = Builder::new(seed);
    let count = (gas / GAS).max(1) as usize;
    let senders = builder.accounts(count);
    let recipients = builder.accounts(count);
    for sender in senders {
        let to = recipients[builder.rng.below(count)];
        let value = 1 + builder.rng.next_u64() % 1_000_000;
        builder.send(sender, 0, to, GAS, value, Bytes::new());
    }
    builder.finish("native", gas)
}

/// One account sends everything: each transaction depends on the one before.
pub fn chain_sender(gas: u64, seed: u64) -> Workload {
    let mut builder = Builder::new(seed);
    let count = (gas / GAS).max(1) as usize;
    let sender = builder.accounts(1)[0];
    let recipients = builder.accounts(count);
    for nonce in 0..count {
        let to = recipients[builder.rng.below(count)];
        builder.send(sender, nonce as u64, to, GAS, 1, Bytes::new());
    }
    builder.finish("chain_sender", gas)
}
