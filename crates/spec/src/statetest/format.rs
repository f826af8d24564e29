//! The JSON of state tests.

use alloy_primitives::{Address, B256, Bytes, TxKind};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use crate::fixture::{AccessEntry, Alloc, AuthorizationEntry, Config, Count, Pairs, Quantity, Wide};

/// One test: a state, a block, a template of transactions, and by fork what they lead to.
#[derive(Debug, Deserialize)]
pub struct StateTest {
    /// The block.
    pub env: Env,
    /// The state before.
    pub pre: Alloc,
    /// The transactions.
    pub transaction: Template,
    /// What comes out.
    pub post: Pairs<String, Vec<Post>>,
    /// Chain settings.
    pub config: Option<Config>,
}

/// The block around the transaction.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Env {
    pub current_coinbase: Address,
    pub current_gas_limit: Count,
    pub current_number: Count,
    pub current_timestamp: Count,
    pub current_difficulty: Option<Quantity>,
    pub current_random: Option<B256>,
    pub current_base_fee: Option<Count>,
    pub current_excess_blob_gas: Option<Count>,
    pub slot_number: Option<Count>,
}

/// Transactions by three indexes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Template {
    pub nonce: Wide,
    pub gas_price: Option<Wide>,
    pub max_fee_per_gas: Option<Wide>,
    pub max_priority_fee_per_gas: Option<Wide>,
    pub max_fee_per_blob_gas: Option<Wide>,
    pub gas_limit: Vec<Wide>,
    #[serde(deserialize_with = "recipient")]
    pub to: TxKind,
    pub value: Vec<Wide>,
    pub data: Vec<Bytes>,
    pub sender: Option<Address>,
    pub secret_key: Option<B256>,
    pub access_lists: Option<Vec<Option<Vec<AccessEntry>>>>,
    pub blob_versioned_hashes: Option<Vec<B256>>,
    pub authorization_list: Option<Vec<AuthorizationEntry>>,
}

/// What one transaction leads to.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Post {
    pub hash: B256,
    pub logs: B256,
    pub txbytes: Option<Bytes>,
    pub indexes: Indexes,
    pub state: Option<Alloc>,
    #[serde(rename = "expectException")]
    pub expect_exception: Option<String>,
}

/// Which data, gas limit and value.
#[derive(Clone, Copy, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Indexes {
    pub data: usize,
    pub gas: usize,
    pub value: usize,
}

impl Indexes {
    /// Every index must point into its list.
    pub fn check(&self, template: &Template) -> Result<(), (String, &'static str)> {
        let lists = [
            ("data", self.data, template.data.len()),
            ("gas", self.gas, template.gas_limit.len()),
            ("value", self.value, template.value.len()),
        ];
        match lists.iter().find(|(_, index, length)| index >= length) {
            Some((name, ..)) => Err((format!("post.indexes.{name}"), "points past the end of its list")),
            None => Ok(()),
        }
    }
}

fn recipient<'de, D: Deserializer<'de>>(json: D) -> Result<TxKind, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(json)?;
    if text.is_empty() || text == "0x" {
        return Ok(TxKind::Create);
    }
    text.parse().map(TxKind::Call).map_err(|_| D::Error::custom(format!("{text:?} is no address")))
}
