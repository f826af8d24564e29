//! What a transaction may cost before anybody has run it: enough to begin long ones before their turn.

use crate::chain::Transaction;

/// A block's gas limits, and its call data, are worth this much each.
const WHOLE: u128 = 1 << 32;

/// The share of each transaction in the block's gas limits plus its share in the block's call data, out of 2 x 2^32. A
/// gas limit alone misses proofs: they are long (milliseconds of elliptic curves) but cheap, and their call data shows it.
pub fn expected_costs(transactions: &[Transaction]) -> Vec<u64> {
    let gas = transactions.iter().map(|tx| u128::from(tx.gas_limit)).sum::<u128>().max(1);
    let bytes = transactions.iter().map(|tx| tx.input.len() as u128).sum::<u128>().max(1);
    let share = |part: u128, all: u128| (part * WHOLE / all) as u64;
    transactions
        .iter()
        .map(|tx| share(tx.gas_limit.into(), gas) + share(tx.input.len() as u128, bytes))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_gas_limit_does_not_hide_much_call_data() {
        let of = |gas_limit: u64, bytes: usize| Transaction {
            gas_limit,
            input: vec![1; bytes].into(),
            ..Transaction::default()
        };
        let costs = expected_costs(&[of(21_000, 0), of(500_000, 4), of(300_000, 2_000), of(0, 0)]);
        assert!(costs[2] > costs[1] && costs[1] > costs[0], "{costs:?}");
        assert_eq!(costs[3], 0);
        let whole: u64 = costs.iter().sum();
        assert!((2 * WHOLE as u64 - 8..=2 * WHOLE as u64).contains(&whole), "{whole}");
        assert_eq!(expected_costs(&[of(0, 0)]), [0]);
    }
}
