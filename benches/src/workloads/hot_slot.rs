//! Everybody adds one to the same slot: each transaction depends on the one before, in storage only.

use alloy_primitives::{Bytes, U256};

use super::Workload;
use super::builder::Builder;

/// `PUSH0 SLOAD PUSH1 1 ADD PUSH0 SSTORE STOP`.
const CODE: [u8; 8] = [0x5f, 0x54, 0x60, 0x01, 0x01, 0x5f, 0x55, 0x00];
/// 21,000, a cold slot read, a write to a slot that is not zero, and ten for the rest.
const GAS: u64 = 21_000 + 2_100 + 2_900 + 10;

/// Different senders, one counter.
pub fn hot_slot(gas: u64, seed: u64) -> Workload {
    let mut builder = Builder::new(seed);
    let counter = builder.rng.address();
    builder.contract(counter, &Bytes::from_static(&CODE), U256::ZERO, [(U256::ZERO, U256::from(1))]);
    let count = (gas / GAS).max(1) as usize;
    for sender in builder.accounts(count) {
        builder.send(sender, 0, counter, 50_000, 0, Bytes::new());
    }
    builder.finish("hot_slot", gas)
}
