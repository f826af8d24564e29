//! The three outputs, in the field names of geth's tool and, where it has more or other ones, of the
//! specification's.

use std::collections::BTreeMap;

use alloy_consensus::{Eip658Value, proofs::calculate_withdrawals_root};
use alloy_eips::eip7685::Requests;
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, U64, U256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles};
use serde::Serialize;
use solder_engine::chain::receipt::logs_bloom;
use solder_engine::state::{MemoryState, StateAccount};
use solder_engine::{Fault, Fork, Receipt, Rejection, Transaction};

use super::Outputs;
use super::error::T8nError;
use super::transition::Transition;

/// `result`. What is `None` is left out, except for the two that the specification's tool writes as null.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultJson<'a> {
    state_root: B256,
    tx_root: B256,
    receipts_root: B256,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawals_root: Option<B256>,
    logs_hash: B256,
    logs_bloom: Bloom,
    receipts: Vec<ReceiptJson<'a>>,
    rejected: Vec<RejectedJson>,
    current_difficulty: Option<U256>,
    gas_used: U64,
    current_base_fee: Option<U64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_excess_blob_gas: Option<U64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_gas_used: Option<U64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_hash: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<&'a [Bytes]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_exception: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_access_list_hash: Option<B256>,
}

#[derive(Serialize)]
struct RejectedJson {
    index: usize,
    error: String,
}

/// A receipt: geth's fields, and `succeeded`, `post_state` and `bloom` as the specification's tool names them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptJson<'a> {
    #[serde(rename = "type")]
    tx_type: U64,
    root: Bytes,
    status: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    succeeded: Option<bool>,
    #[serde(rename = "post_state", skip_serializing_if = "Option::is_none")]
    post_state: Option<B256>,
    cumulative_gas_used: U64,
    logs_bloom: Bloom,
    bloom: Bloom,
    logs: Vec<LogJson<'a>>,
    transaction_hash: B256,
    contract_address: Address,
    gas_used: U64,
    effective_gas_price: U256,
    transaction_index: U64,
}

#[derive(Serialize)]
struct LogJson<'a> {
    address: Address,
    topics: &'a [B256],
    data: &'a Bytes,
}

/// An account of `alloc`; what is zero or empty is left out.
#[derive(Serialize)]
struct AccountJson {
    #[serde(skip_serializing_if = "U256::is_zero")]
    balance: U256,
    #[serde(skip_serializing_if = "U64::is_zero")]
    nonce: U64,
    #[serde(skip_serializing_if = "no_bytes")]
    code: Bytes,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    storage: BTreeMap<B256, U256>,
}

fn no_bytes(bytes: &Bytes) -> bool {
    bytes.is_empty()
}

/// Writes the outputs of a transition.
pub(super) fn write(done: &Transition) -> Result<Outputs, T8nError> {
    Ok(Outputs {
        result: json(&result(done))?,
        alloc: json(&alloc(&done.state))?,
        body: json(&Bytes::from(body(&done.listed)))?,
    })
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, T8nError> {
    serde_json::to_vec_pretty(value).map_err(|error| Fault::Interpreter(format!("JSON: {error}")).into())
}

fn result(done: &Transition) -> ResultJson<'_> {
    let (header, outcome) = (&done.env.header, &done.outcome);
    let logs: Vec<&Log> = outcome.receipts.iter().flat_map(|receipt| &receipt.logs).collect();
    let transactions = done.listed.iter().map(Vec::as_slice).enumerate();
    let encoded: Vec<_> = outcome.receipts.iter().map(Receipt::encode).collect();
    let places = done.included.iter().map(|(_, place)| *place);
    let rejected = done
        .rejected
        .iter()
        .map(|(index, rejection)| RejectedJson { index: *index, error: reason(rejection) });
    // A block that failed while its requests were gathered has none of them.
    let requests = (done.env.fork >= Fork::Prague).then(|| outcome.requests.as_deref().unwrap_or_default());
    ResultJson {
        state_root: done.state_root,
        tx_root: indexed_root(transactions),
        receipts_root: indexed_root(places.zip(encoded.iter().map(Vec::as_slice))),
        withdrawals_root: done.env.withdrawals.as_deref().map(calculate_withdrawals_root),
        logs_hash: logs_hash(&logs),
        logs_bloom: logs_bloom(&outcome.receipts),
        receipts: receipts(done),
        rejected: rejected.collect(),
        current_difficulty: Some(header.difficulty).filter(|difficulty| !difficulty.is_zero()),
        gas_used: U64::from(outcome.gas_used),
        current_base_fee: header.base_fee_per_gas.filter(|fee| *fee > 0).map(U64::from),
        current_excess_blob_gas: header.excess_blob_gas.map(U64::from),
        blob_gas_used: header.excess_blob_gas.map(|_| U64::from(outcome.blob_gas_used)),
        requests_hash: requests.map(|list| Requests::new(list.to_vec()).requests_hash()),
        requests,
        block_exception: outcome.rejection.as_ref().map(reason),
        block_access_list_hash: outcome.block_access_list_hash(),
    }
}

/// The official name, then the values.
fn reason(rejection: &Rejection) -> String {
    format!("{}: {}", rejection.code.name(), rejection.detail)
}

fn receipts(done: &Transition) -> Vec<ReceiptJson<'_>> {
    let base_fee = done.env.header.base_fee_per_gas.unwrap_or_default();
    let pairs = done.outcome.receipts.iter().zip(&done.included);
    let write = |(position, (receipt, (index, place))): (usize, (_, &(usize, usize)))| {
        receipt_json(receipt, &done.transactions[*index], keccak256(&done.listed[*place]), position, base_fee)
    };
    pairs.enumerate().map(write).collect()
}

fn receipt_json<'a>(
    receipt: &'a Receipt,
    tx: &Transaction,
    transaction_hash: B256,
    position: usize,
    base_fee: u64,
) -> ReceiptJson<'a> {
    let bloom = receipt.bloom();
    let (succeeded, post_state) = match receipt.status {
        Eip658Value::Eip658(success) => (Some(success), None),
        Eip658Value::PostState(root) => (None, Some(root)),
    };
    let log = |log: &'a Log| LogJson { address: log.address, topics: log.topics(), data: &log.data.data };
    ReceiptJson {
        tx_type: U64::from(receipt.tx_type),
        root: post_state.map(|root| Bytes::copy_from_slice(root.as_slice())).unwrap_or_default(),
        status: U64::from(receipt.success),
        succeeded,
        post_state,
        cumulative_gas_used: U64::from(receipt.cumulative_gas_used),
        logs_bloom: bloom,
        bloom,
        logs: receipt.logs.iter().map(log).collect(),
        transaction_hash,
        contract_address: receipt.contract_address.unwrap_or_default(),
        gas_used: U64::from(receipt.gas_used),
        effective_gas_price: U256::from(effective_gas_price(tx, base_fee)),
        transaction_index: U64::from(position),
    }
}

/// Wei per gas that the sender pays.
fn effective_gas_price(tx: &Transaction, base_fee: u64) -> u128 {
    match tx.max_priority_fee_per_gas {
        Some(priority) => tx.gas_price.min(priority.saturating_add(u128::from(base_fee))),
        None => tx.gas_price,
    }
}

/// keccak256 of the RLP list of all logs.
fn logs_hash(logs: &[&Log]) -> B256 {
    let mut out = Vec::new();
    alloy_rlp::encode_list::<&Log, Log>(logs, &mut out);
    keccak256(out)
}

/// The root of a trie whose keys are the RLP of indices, which need not be contiguous.
fn indexed_root<'a>(items: impl Iterator<Item = (usize, &'a [u8])>) -> B256 {
    let mut leaves: Vec<_> = items.map(|(index, value)| (alloy_rlp::encode(index), value)).collect();
    if leaves.is_empty() {
        return EMPTY_ROOT_HASH;
    }
    leaves.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let mut builder = HashBuilder::default();
    for (key, value) in &leaves {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    builder.root()
}

/// The transactions as a block's body holds them: typed ones as byte strings, legacy ones as lists.
fn body(listed: &[Vec<u8>]) -> Vec<u8> {
    let mut items = Vec::new();
    for raw in listed {
        if raw.first().is_some_and(|first| *first >= 0xc0) {
            items.extend_from_slice(raw);
        } else {
            raw.as_slice().encode(&mut items);
        }
    }
    let mut out = Vec::with_capacity(items.len() + 9);
    alloy_rlp::Header { list: true, payload_length: items.len() }.encode(&mut out);
    out.extend_from_slice(&items);
    out
}

fn alloc(state: &MemoryState) -> BTreeMap<Address, AccountJson> {
    state.iter().map(|(address, account)| (*address, account_json(state, account))).collect()
}

fn account_json(state: &MemoryState, account: &StateAccount) -> AccountJson {
    let info = &account.info;
    let code = info.code.as_ref().or_else(|| state.get_code(&info.code_hash));
    AccountJson {
        balance: info.balance,
        nonce: U64::from(info.nonce),
        code: code.map(|code| code.original_bytes()).unwrap_or_default(),
        storage: account.storage.iter().map(|(slot, value)| (B256::from(*slot), *value)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::proofs::ordered_trie_root_with_encoder;
    use alloy_rlp::BufMut;

    #[test]
    fn indexed_root_of_all_indices_is_the_ordered_root() {
        for count in [0usize, 1, 2, 127, 128, 129, 300] {
            let values: Vec<Vec<u8>> = (0..count).map(|index| vec![index as u8; 40]).collect();
            let ordered = ordered_trie_root_with_encoder(&values, |value, out| out.put_slice(value));
            assert_eq!(indexed_root(values.iter().map(Vec::as_slice).enumerate()), ordered, "{count}");
        }
    }

    #[test]
    fn indexed_root_keeps_a_gap() {
        let values = [vec![1u8; 40], vec![2u8; 40]];
        let slices = || values.iter().map(Vec::as_slice);
        let with_gap = indexed_root([0, 2].into_iter().zip(slices()));
        assert_ne!(with_gap, indexed_root(slices().enumerate()));
    }

    #[test]
    fn body_wraps_typed_transactions_alone() {
        let (legacy, typed) = (vec![0xc1, 0x01], vec![0x02, 0xc0]);
        assert_eq!(body(&[legacy, typed]), [0xc5, 0xc1, 0x01, 0x82, 0x02, 0xc0]);
    }
}
