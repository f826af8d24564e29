//! A transaction inside `block.json`. Its hash and its sender are recomputed and compared with what the file says.

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use serde::Deserialize;
use solder_engine::chain::envelope::parse_v;
use solder_engine::chain::{Signature, Transaction};

use crate::fixture::{Count, Quantity};

/// A field of the transaction and what is wrong with it.
pub(super) type Wrong = (&'static str, String);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransactionJson {
    hash: B256,
    #[serde(default, rename = "type")]
    tx_type: Count,
    pub chain_id: Option<Count>,
    nonce: Count,
    from: Address,
    to: Option<Address>,
    value: Quantity,
    gas: Count,
    gas_price: Option<Quantity>,
    max_fee_per_gas: Option<Quantity>,
    max_priority_fee_per_gas: Option<Quantity>,
    max_fee_per_blob_gas: Option<Quantity>,
    input: Bytes,
    #[serde(default)]
    access_list: Vec<AccessListJson>,
    #[serde(default)]
    blob_versioned_hashes: Vec<B256>,
    #[serde(default)]
    authorization_list: Vec<AuthorizationJson>,
    v: Quantity,
    r: Quantity,
    s: Quantity,
    y_parity: Option<Quantity>,
    block_hash: Option<B256>,
    block_number: Option<Count>,
    transaction_index: Option<Count>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessListJson {
    address: Address,
    storage_keys: Vec<B256>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationJson {
    chain_id: Quantity,
    address: Address,
    nonce: Count,
    y_parity: Quantity,
    r: Quantity,
    s: Quantity,
}

fn differ<T: PartialEq + std::fmt::Display>(field: &'static str, said: T, found: T) -> Result<(), Wrong> {
    if said == found {
        Ok(())
    } else {
        Err((field, format!("is {said}, but {found} follows from the other fields")))
    }
}

/// A price in wei, which must be there.
fn price(field: &'static str, value: Option<Quantity>) -> Result<u128, Wrong> {
    let value = value.ok_or_else(|| (field, "is missing".to_owned()))?;
    u128::try_from(value.0).map_err(|_| (field, format!("{} exceeds 128 bits", value.0)))
}

fn parity(field: &'static str, value: U256) -> Result<bool, Wrong> {
    match value {
        U256::ZERO => Ok(false),
        value if value == U256::from(1) => Ok(true),
        value => Err((field, format!("{value} is neither 0 nor 1"))),
    }
}

impl TransactionJson {
    /// Where the transaction says it stands, against where it stands.
    pub fn check_place(&self, index: usize, number: u64, block_hash: B256) -> Result<(), Wrong> {
        differ("transactionIndex", self.transaction_index.map_or(index as u64, |said| said.0), index as u64)?;
        differ("blockNumber", self.block_number.map_or(number, |said| said.0), number)?;
        differ("blockHash", self.block_hash.unwrap_or(block_hash), block_hash)
    }

    /// The transaction with its sender.
    pub fn decode(&self, base_fee: Option<u64>) -> Result<Transaction, Wrong> {
        let mut tx = self.payload()?;
        tx.signature.r = self.r.0;
        tx.signature.s = self.s.0;
        if tx.tx_type == 0 {
            (tx.chain_id, tx.signature.y_parity) =
                parse_v(self.v.0).map_err(|rejection| ("v", rejection.detail))?;
            if let Some(said) = self.chain_id {
                differ(
                    "chainId",
                    said.0.to_string(),
                    tx.chain_id.map_or_else(|| "none".into(), |id| id.to_string()),
                )?;
            }
        } else {
            tx.signature.y_parity = parity("v", self.v.0)?;
            tx.chain_id = Some(self.chain_id.ok_or_else(|| ("chainId", "is missing".to_owned()))?.0);
        }
        if let Some(said) = self.y_parity {
            differ("yParity", parity("yParity", said.0)?, tx.signature.y_parity)?;
        }
        if let (Some(said), Some(priority)) = (self.gas_price, tx.max_priority_fee_per_gas) {
            let paid = tx.gas_price.min(priority.saturating_add(u128::from(base_fee.unwrap_or_default())));
            differ("gasPrice", said.0, U256::from(paid))?;
        }
        tx.recover_authorities();
        tx.recover_sender().map_err(|rejection| ("r", rejection.detail))?;
        differ("hash", self.hash, tx.hash())?;
        differ("from", self.from, tx.sender)?;
        Ok(tx)
    }

    /// Everything that is signed, but the chain id.
    fn payload(&self) -> Result<Transaction, Wrong> {
        let tx_type = u8::try_from(self.tx_type.0).ok().filter(|tx_type| *tx_type <= 4);
        let tx_type = tx_type.ok_or_else(|| ("type", format!("{} is not known", self.tx_type.0)))?;
        let dynamic = tx_type >= 2;
        Ok(Transaction {
            tx_type,
            chain_id: None,
            nonce: self.nonce.0,
            gas_price: if dynamic {
                price("maxFeePerGas", self.max_fee_per_gas)?
            } else {
                price("gasPrice", self.gas_price)?
            },
            max_priority_fee_per_gas: dynamic
                .then(|| price("maxPriorityFeePerGas", self.max_priority_fee_per_gas))
                .transpose()?,
            gas_limit: self.gas.0,
            to: self.to.map_or(TxKind::Create, TxKind::Call),
            value: self.value.0,
            input: self.input.clone(),
            access_list: self.access_list().0,
            blob_versioned_hashes: self.blob_versioned_hashes.clone(),
            max_fee_per_blob_gas: if tx_type == 3 {
                price("maxFeePerBlobGas", self.max_fee_per_blob_gas)?
            } else {
                0
            },
            authorization_list: self
                .authorization_list
                .iter()
                .enumerate()
                .map(|(index, json)| json.decode(index))
                .collect::<Result<_, _>>()?,
            authorities: Vec::new(),
            signature: Signature::default(),
            sender: Address::ZERO,
        })
    }

    fn access_list(&self) -> AccessList {
        let item = |json: &AccessListJson| AccessListItem {
            address: json.address,
            storage_keys: json.storage_keys.clone(),
        };
        AccessList(self.access_list.iter().map(item).collect())
    }
}

impl AuthorizationJson {
    fn decode(&self, index: usize) -> Result<SignedAuthorization, Wrong> {
        let inner = Authorization { chain_id: self.chain_id.0, address: self.address, nonce: self.nonce.0 };
        let y_parity = u8::try_from(self.y_parity.0).map_err(|_| {
            ("authorizationList", format!("[{index}].yParity: {} exceeds 8 bits", self.y_parity.0))
        })?;
        Ok(SignedAuthorization::new_unchecked(inner, y_parity, self.r.0, self.s.0))
    }
}
