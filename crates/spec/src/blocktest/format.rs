//! The JSON of blockchain tests.

use alloy_primitives::{Address, B256, Bytes};
use serde::Deserialize;

use crate::fixture::{AccessEntry, Alloc, AuthorizationEntry, Config, Count, HeaderFields, Quantity};

/// One test.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct BlockTest {
    pub network: String,
    pub genesis_block_header: HeaderFields,
    #[serde(rename = "genesisRLP")]
    pub genesis_rlp: Option<Bytes>,
    pub pre: Alloc,
    pub post_state: Option<Alloc>,
    pub post_state_hash: Option<B256>,
    pub lastblockhash: B256,
    pub config: Option<Config>,
    pub blocks: Vec<BlockEntry>,
}

/// One block: its bytes, and what a test shows of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct BlockEntry {
    pub rlp: Bytes,
    pub expect_exception: Option<String>,
    pub block_header: Option<HeaderFields>,
    pub transactions: Option<Vec<TransactionFields>>,
    pub uncle_headers: Option<Vec<HeaderFields>>,
    pub withdrawals: Option<Vec<WithdrawalFields>>,
    /// What an invalid block holds, as far as that can be shown.
    #[serde(rename = "rlp_decoded")]
    pub rlp_decoded: Option<serde_json::Value>,
}

/// What a test shows of a block.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ShownBlock {
    pub block_header: Option<HeaderFields>,
    pub transactions: Option<Vec<TransactionFields>>,
    pub uncle_headers: Option<Vec<HeaderFields>>,
    pub withdrawals: Option<Vec<WithdrawalFields>>,
}

/// A transaction as a test shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct TransactionFields {
    #[serde(rename = "type")]
    pub tx_type: Option<Count>,
    pub chain_id: Option<Count>,
    pub nonce: Count,
    pub gas_price: Option<Quantity>,
    pub max_fee_per_gas: Option<Quantity>,
    pub max_priority_fee_per_gas: Option<Quantity>,
    pub max_fee_per_blob_gas: Option<Quantity>,
    pub gas_limit: Count,
    pub to: String,
    pub value: Quantity,
    pub data: Bytes,
    pub v: Quantity,
    pub r: Quantity,
    pub s: Quantity,
    pub sender: Option<Address>,
    pub blob_versioned_hashes: Option<Vec<B256>>,
    pub access_list: Option<Vec<AccessEntry>>,
    pub authorization_list: Option<Vec<AuthorizationEntry>>,
}

/// A withdrawal as a test shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct WithdrawalFields {
    pub index: Count,
    pub validator_index: Count,
    pub address: Address,
    pub amount: Count,
}
