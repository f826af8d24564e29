//! A decoded block, held against what the test shows of it.

use std::fmt::Debug;

use alloy_primitives::U256;
use serde::Deserialize;
use solder_engine::chain::Withdrawal;
use solder_engine::{Block, Header, Transaction};

use super::format::{BlockEntry, ShownBlock, TransactionFields, WithdrawalFields};
use crate::fixture::{AccessEntry, AuthorizationEntry, HeaderFields};
use crate::run::Mismatch;

/// Compares everything that is shown with a decoded block.
pub(super) fn compare(prefix: &str, entry: &BlockEntry, block: &Block, out: &mut Vec<Mismatch>) {
    compare_header(prefix, entry.block_header.as_ref(), block, out);
    compare_transactions(prefix, entry.transactions.as_deref(), block, out);
    compare_ommers(prefix, entry.uncle_headers.as_deref(), block, out);
    compare_withdrawals(prefix, entry.withdrawals.as_deref(), block, out);
    // An invalid block may hold what its fields cannot be written as; then there is nothing to compare.
    let decoded = entry.rlp_decoded.as_ref().map(ShownBlock::deserialize);
    if let Some(Ok(shown)) = decoded {
        let prefix = format!("{prefix}.rlp_decoded");
        let header = shown.block_header.as_ref().filter(|header| !header.has_gap());
        compare_header(&prefix, header, block, out);
        compare_transactions(&prefix, shown.transactions.as_deref(), block, out);
        compare_ommers(&prefix, shown.uncle_headers.as_deref(), block, out);
        compare_withdrawals(&prefix, shown.withdrawals.as_deref(), block, out);
    }
}

fn compare_header(prefix: &str, shown: Option<&HeaderFields>, block: &Block, out: &mut Vec<Mismatch>) {
    if let Some(header) = shown {
        header.compare(&format!("{prefix}.blockHeader"), &block.header, block.header.hash_slow(), out);
    }
}

fn compare_transactions(
    prefix: &str,
    shown: Option<&[TransactionFields]>,
    block: &Block,
    out: &mut Vec<Mismatch>,
) {
    let Some(shown) = shown else { return };
    let field = format!("{prefix}.transactions");
    compare_count(&field, shown.len(), block.transactions.len(), out);
    for (index, (shown, tx)) in shown.iter().zip(&block.transactions).enumerate() {
        compare_transaction(&|| format!("{field}.{index}"), shown, tx, out);
    }
}

fn compare_ommers(prefix: &str, shown: Option<&[HeaderFields]>, block: &Block, out: &mut Vec<Mismatch>) {
    let Some(shown) = shown else { return };
    let field = format!("{prefix}.uncleHeaders");
    compare_count(&field, shown.len(), block.ommers.len(), out);
    for (index, (shown, ommer)) in shown.iter().zip(&block.ommers).enumerate() {
        shown.compare(&format!("{field}.{index}"), ommer, Header::hash_slow(ommer), out);
    }
}

fn compare_withdrawals(
    prefix: &str,
    shown: Option<&[WithdrawalFields]>,
    block: &Block,
    out: &mut Vec<Mismatch>,
) {
    let (Some(shown), Some(withdrawals)) = (shown, &block.withdrawals) else { return };
    let field = format!("{prefix}.withdrawals");
    compare_count(&field, shown.len(), withdrawals.len(), out);
    for (index, (shown, withdrawal)) in shown.iter().zip(withdrawals).enumerate() {
        compare_withdrawal(&|| format!("{field}.{index}"), shown, withdrawal, out);
    }
}

fn compare_count(field: &str, shown: usize, got: usize, out: &mut Vec<Mismatch>) {
    if shown != got {
        out.push(Mismatch::new(field, format!("{shown} elements"), got));
    }
}

fn compare_transaction(
    prefix: &dyn Fn() -> String,
    shown: &TransactionFields,
    tx: &Transaction,
    out: &mut Vec<Mismatch>,
) {
    let mut number = |field: &str, shown: Option<U256>, got: U256| {
        if let Some(shown) = shown
            && shown != got
        {
            out.push(Mismatch::new(format!("{}.{field}", prefix()), shown, got));
        }
    };
    number("type", shown.tx_type.map(|kind| U256::from(kind.0)), U256::from(tx.tx_type));
    if let Some(chain_id) = tx.chain_id {
        number("chainId", shown.chain_id.map(|id| U256::from(id.0)), U256::from(chain_id));
    }
    number("nonce", Some(U256::from(shown.nonce.0)), U256::from(tx.nonce));
    if tx.tx_type < 2 {
        // Beside the fees of later types some tests show the price that was paid in the end.
        number("gasPrice", shown.gas_price.map(|price| price.0), U256::from(tx.gas_price));
    }
    number("maxFeePerGas", shown.max_fee_per_gas.map(|price| price.0), U256::from(tx.gas_price));
    let tip = U256::from(tx.max_priority_fee_per_gas.unwrap_or_default());
    number("maxPriorityFeePerGas", shown.max_priority_fee_per_gas.map(|price| price.0), tip);
    let blob_fee = U256::from(tx.max_fee_per_blob_gas);
    number("maxFeePerBlobGas", shown.max_fee_per_blob_gas.map(|price| price.0), blob_fee);
    number("gasLimit", Some(U256::from(shown.gas_limit.0)), U256::from(tx.gas_limit));
    number("value", Some(shown.value.0), tx.value);
    number("v", Some(shown.v.0), written_v(tx));
    number("r", Some(shown.r.0), tx.signature.r);
    number("s", Some(shown.s.0), tx.signature.s);
    let to = tx.to.to().map_or_else(String::new, |address| format!("{address:#x}"));
    if !shown.to.eq_ignore_ascii_case(&to) {
        out.push(Mismatch::new(format!("{}.to", prefix()), &shown.to, to));
    }
    if shown.data != tx.input {
        out.push(Mismatch::new(format!("{}.data", prefix()), &shown.data, &tx.input));
    }
    if let Some(sender) = shown.sender
        && sender != tx.sender
    {
        out.push(Mismatch::new(format!("{}.sender", prefix()), sender, tx.sender));
    }
    compare_lists(prefix, shown, tx, out);
}

fn compare_lists(
    prefix: &dyn Fn() -> String,
    shown: &TransactionFields,
    tx: &Transaction,
    out: &mut Vec<Mismatch>,
) {
    let mut differ = |field: &str, shown: &dyn Debug, got: &dyn Debug| {
        out.push(Mismatch::new(format!("{}.{field}", prefix()), format!("{shown:?}"), format!("{got:?}")));
    };
    if let Some(hashes) = &shown.blob_versioned_hashes
        && *hashes != tx.blob_versioned_hashes
    {
        differ("blobVersionedHashes", hashes, &tx.blob_versioned_hashes);
    }
    if let Some(list) = &shown.access_list
        && !list.iter().map(AccessEntry::to_item).eq(tx.access_list.iter().cloned())
    {
        differ("accessList", list, &tx.access_list);
    }
    if let Some(list) = &shown.authorization_list
        && !list.iter().map(AuthorizationEntry::to_signed).eq(tx.authorization_list.iter().cloned().map(Some))
    {
        differ("authorizationList", list, &tx.authorization_list);
    }
}

/// `v` as a legacy transaction writes it; the parity of others.
fn written_v(tx: &Transaction) -> U256 {
    let parity = U256::from(tx.signature.y_parity);
    match (tx.tx_type, tx.chain_id) {
        (0, Some(id)) => U256::from(id) * U256::from(2) + U256::from(35) + parity,
        (0, None) => U256::from(27) + parity,
        _ => parity,
    }
}

fn compare_withdrawal(
    prefix: &dyn Fn() -> String,
    shown: &WithdrawalFields,
    got: &Withdrawal,
    out: &mut Vec<Mismatch>,
) {
    let numbers = [
        ("index", shown.index.0, got.index),
        ("validatorIndex", shown.validator_index.0, got.validator_index),
        ("amount", shown.amount.0, got.amount),
    ];
    for (field, shown, got) in numbers {
        if shown != got {
            out.push(Mismatch::new(format!("{}.{field}", prefix()), shown, got));
        }
    }
    if shown.address != got.address {
        out.push(Mismatch::new(format!("{}.address", prefix()), shown.address, got.address));
    }
}
