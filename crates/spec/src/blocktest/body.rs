//! A decoded block, held against what the test shows of it.

use alloy_primitives::U256;
use solder_engine::chain::Withdrawal;
use solder_engine::{Block, Header, Transaction};

use super::format::{BlockEntry, TransactionFields, WithdrawalFields};
use crate::run::Mismatch;

/// Compares header, transactions, ommers and withdrawals.
pub(super) fn compare(prefix: &str, entry: &BlockEntry, block: &Block, out: &mut Vec<Mismatch>) {
    if let Some(header) = &entry.block_header {
        header.compare(&format!("{prefix}.blockHeader"), &block.header, block.header.hash_slow(), out);
    }
    if let Some(shown) = &entry.transactions {
        let field = format!("{prefix}.transactions");
        compare_count(&field, shown.len(), block.transactions.len(), out);
        for (index, (shown, tx)) in shown.iter().zip(&block.transactions).enumerate() {
            compare_transaction(&|| format!("{field}.{index}"), shown, tx, out);
        }
    }
    if let Some(shown) = &entry.uncle_headers {
        let field = format!("{prefix}.uncleHeaders");
        compare_count(&field, shown.len(), block.ommers.len(), out);
        for (index, (shown, ommer)) in shown.iter().zip(&block.ommers).enumerate() {
            shown.compare(&format!("{field}.{index}"), ommer, Header::hash_slow(ommer), out);
        }
    }
    if let (Some(shown), Some(withdrawals)) = (&entry.withdrawals, &block.withdrawals) {
        let field = format!("{prefix}.withdrawals");
        compare_count(&field, shown.len(), withdrawals.len(), out);
        for (index, (shown, withdrawal)) in shown.iter().zip(withdrawals).enumerate() {
            compare_withdrawal(&|| format!("{field}.{index}"), shown, withdrawal, out);
        }
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
    number("gasPrice", shown.gas_price.map(|price| price.0), U256::from(tx.gas_price));
    number("maxFeePerGas", shown.max_fee_per_gas.map(|price| price.0), U256::from(tx.gas_price));
    let tip = U256::from(tx.max_priority_fee_per_gas.unwrap_or_default());
    number("maxPriorityFeePerGas", shown.max_priority_fee_per_gas.map(|price| price.0), tip);
    let blob_fee = U256::from(tx.max_fee_per_blob_gas);
    number("maxFeePerBlobGas", shown.max_fee_per_blob_gas.map(|price| price.0), blob_fee);
    number("gasLimit", Some(U256::from(shown.gas_limit.0)), U256::from(tx.gas_limit));
    number("value", Some(shown.value.0), tx.value);
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
    if let Some(hashes) = &shown.blob_versioned_hashes
        && *hashes != tx.blob_versioned_hashes
    {
        let show = |hashes: &[alloy_primitives::B256]| format!("{hashes:?}");
        let field = format!("{}.blobVersionedHashes", prefix());
        out.push(Mismatch::new(field, show(hashes), show(&tx.blob_versioned_hashes)));
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
