//! The difficulty of proof of work (EIP-2, EIP-100 and the delays of its bomb).

use alloy_primitives::U256;

use crate::chain::{Fork, Header};

const MINIMUM: i128 = 131_072;
const BOUND_DIVISOR: i128 = 2048;
const BOMB_PERIOD_BLOCKS: u64 = 100_000;

/// How many blocks the fork pretends not to have happened when it computes the bomb.
const fn bomb_delay_blocks(fork: Fork) -> u64 {
    match fork {
        Fork::Byzantium => 3_000_000,
        Fork::Constantinople | Fork::Petersburg | Fork::Istanbul => 5_000_000,
        Fork::MuirGlacier | Fork::Berlin => 9_000_000,
        Fork::London => 9_700_000,
        Fork::ArrowGlacier => 10_700_000,
        Fork::GrayGlacier => 11_400_000,
        _ => 0,
    }
}

/// The difficulty that a block with this number and timestamp must have.
pub fn block_difficulty(
    fork: Fork,
    number: u64,
    timestamp: u64,
    parent: &Header,
    parent_has_ommers: bool,
) -> U256 {
    let parent_difficulty =
        i128::try_from(u128::try_from(parent.difficulty).unwrap_or(u128::MAX >> 1)).unwrap_or(i128::MAX >> 1);
    let elapsed = i128::from(timestamp) - i128::from(parent.timestamp);
    let step = parent_difficulty / BOUND_DIVISOR;
    let factor = if fork >= Fork::Byzantium {
        (if parent_has_ommers { 2 } else { 1 }) - elapsed.div_euclid(9)
    } else if fork >= Fork::Homestead {
        1 - elapsed.div_euclid(10)
    } else if elapsed < 13 {
        1
    } else {
        -1
    };
    let adjusted = parent_difficulty.saturating_add(step.saturating_mul(factor.max(-99)));
    let adjusted = adjusted.max(MINIMUM);
    let fake_number = number.saturating_sub(bomb_delay_blocks(fork));
    let periods = fake_number / BOMB_PERIOD_BLOCKS;
    let bomb = if periods >= 2 { U256::from(1) << (periods - 2) } else { U256::ZERO };
    U256::from(adjusted.unsigned_abs()) + bomb
}
