//! Whether two executions of a block came to the same: every field of the outcome, the changes in full.

use solder_engine::state::AccountChange;
use solder_engine::{BlockOutcome, ChangeSet, EngineError, Receipt};

/// The first field that differs between two executions of one block; `None` where they are equal. Both lists of
/// changes must be in canonical order ([`ChangeSet::sort`]). What a run tells of itself is no part of the outcome.
pub fn difference(left: &BlockOutcome, right: &BlockOutcome) -> Option<String> {
    receipts(&left.receipts, &right.receipts).or_else(|| changes(&left.changes, &right.changes)).or_else(
        || {
            let fields = [
                ("gas used", left.gas_used == right.gas_used),
                ("blob gas used", left.blob_gas_used == right.blob_gas_used),
                ("requests", left.requests == right.requests),
                ("skipped transactions", left.skipped == right.skipped),
                ("rejection", left.rejection == right.rejection),
                ("block access list", left.block_access_list == right.block_access_list),
            ];
            fields.into_iter().find(|(_, equal)| !equal).map(|(field, _)| field.to_owned())
        },
    )
}

/// Where the ways in which two executions ended differ: an outcome, or a rejection with its code and index.
/// Faults are neither and must be handled before.
pub(super) fn ending_difference(
    left: &Result<BlockOutcome, EngineError>,
    right: &Result<BlockOutcome, EngineError>,
) -> Option<String> {
    match (left, right) {
        (Ok(left), Ok(right)) => difference(left, right),
        (Err(left), Err(right)) if left == right => None,
        (Err(left), Err(right)) => Some(format!("{left}, not {right}")),
        (Ok(_), Err(error)) | (Err(error), Ok(_)) => Some(format!("only one is refused: {error}")),
    }
}

fn receipts(left: &[Receipt], right: &[Receipt]) -> Option<String> {
    let unequal = left.iter().zip(right).position(|(left, right)| left != right);
    let short = (left.len() != right.len()).then_some(left.len().min(right.len()));
    unequal.or(short).map(|index| format!("receipt {index}"))
}

fn changes(left: &ChangeSet, right: &ChangeSet) -> Option<String> {
    let mut pairs = left.accounts.iter().zip(&right.accounts);
    if let Some((left, right)) = pairs.find(|(left, right)| left != right) {
        return Some(account(left, right));
    }
    let (shorter, longer) = (left.accounts.len().min(right.accounts.len()), &left.accounts);
    let longer = if longer.len() > shorter { longer } else { &right.accounts };
    longer.get(shorter).map(|extra| format!("change of {}", extra.address))
}

fn account(left: &AccountChange, right: &AccountChange) -> String {
    if left.address != right.address {
        return format!("change of {}", left.address.min(right.address));
    }
    let field = [
        ("before", left.before == right.before),
        ("after", left.after == right.after),
        ("reset", left.reset == right.reset),
        ("code", left.code == right.code),
        ("storage", left.storage == right.storage),
    ];
    let field = field.into_iter().find(|(_, equal)| !equal).map_or("", |(field, _)| field);
    format!("change of {}: {field}", left.address)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use alloy_primitives::Address;

    fn touched(byte: u8) -> AccountChange {
        let address = Address::repeat_byte(byte);
        AccountChange { address, before: None, after: None, reset: false, code: None, storage: Vec::new() }
    }

    #[test]
    fn each_difference_is_named() {
        let mut left = BlockOutcome::default();
        left.changes.accounts = vec![touched(1), touched(2)];
        assert_eq!(difference(&left, &left), None);
        let mut right = left.clone();
        right.gas_used = 1;
        assert_eq!(difference(&left, &right).unwrap(), "gas used");
        right.changes.accounts.push(touched(3));
        for (one, other) in [(&left, &right), (&right, &left)] {
            assert_eq!(difference(one, other).unwrap(), format!("change of {}", Address::repeat_byte(3)));
        }
        right.changes.accounts[1].reset = true;
        assert_eq!(
            difference(&left, &right).unwrap(),
            format!("change of {}: reset", Address::repeat_byte(2))
        );
    }
}
