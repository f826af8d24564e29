//! From a template and its indexes to a transaction; and the transaction's bytes compared with it.

use alloy_primitives::{Address, B256, U256};
use solder_engine::{Rejection, Transaction};

use super::format::{Indexes, Template};
use crate::fixture::{AccessEntry, Wide};
use crate::run::Mismatch;

/// Why a template gives no transaction: a number is larger than a transaction can carry. Only the transaction's
/// bytes can say how it is refused.
pub(super) struct TooLarge(pub &'static str);

fn narrow<T: TryFrom<U256>>(value: Wide, field: &'static str) -> Result<T, TooLarge> {
    value.0.and_then(|value| T::try_from(value).ok()).ok_or(TooLarge(field))
}

/// The address of a secret key.
pub(super) fn address_of(key: &B256) -> Option<Address> {
    let key = secp256k1::SecretKey::from_byte_array(key.0).ok()?;
    let public = secp256k1::PublicKey::from_secret_key(secp256k1::SECP256K1, &key);
    Some(Address::from_raw_public_key(&public.serialize_uncompressed()[1..]))
}

/// The transaction at these indexes, unsigned.
pub(super) fn build(
    template: &Template,
    indexes: Indexes,
    sender: Address,
    chain_id: u64,
) -> Result<Transaction, TooLarge> {
    let access_list = template.access_lists.as_ref().and_then(|lists| lists.get(indexes.data)?.as_ref());
    let tx_type = if template.authorization_list.is_some() {
        4
    } else if template.max_fee_per_blob_gas.is_some() || template.blob_versioned_hashes.is_some() {
        3
    } else if template.max_fee_per_gas.is_some() {
        2
    } else {
        u8::from(access_list.is_some())
    };
    let price = |value: Option<Wide>, field| value.map(|value| narrow::<u128>(value, field)).transpose();
    let dynamic = tx_type >= 2;
    let gas_price = if dynamic {
        price(template.max_fee_per_gas, "maxFeePerGas")?
    } else {
        price(template.gas_price, "gasPrice")?
    };
    let tip = price(template.max_priority_fee_per_gas, "maxPriorityFeePerGas")?;
    let mut tx = Transaction {
        tx_type,
        chain_id: (tx_type != 0).then_some(chain_id),
        nonce: narrow(template.nonce, "nonce")?,
        gas_price: gas_price.unwrap_or_default(),
        max_priority_fee_per_gas: dynamic.then(|| tip.unwrap_or_default()),
        gas_limit: narrow(template.gas_limit[indexes.gas], "gasLimit")?,
        to: template.to,
        value: template.value[indexes.value].0.ok_or(TooLarge("value"))?,
        input: template.data[indexes.data].clone(),
        max_fee_per_blob_gas: price(template.max_fee_per_blob_gas, "maxFeePerBlobGas")?.unwrap_or_default(),
        blob_versioned_hashes: template.blob_versioned_hashes.clone().unwrap_or_default(),
        sender,
        ..Default::default()
    };
    tx.access_list.extend(access_list.into_iter().flatten().map(AccessEntry::to_item));
    for entry in template.authorization_list.iter().flatten() {
        tx.authorization_list.push(entry.to_signed().ok_or(TooLarge("authorizationList.yParity"))?);
    }
    tx.recover_authorities();
    Ok(tx)
}

/// The transaction that the test's bytes hold.
pub(super) fn decode(bytes: &[u8]) -> Result<Transaction, Rejection> {
    Transaction::decode_unrecovered(bytes)
}

/// Compares the decoded bytes with what the template gave. The chain id of a legacy transaction is not in the
/// template, and neither is the signature.
pub(super) fn compare_bytes(built: &Transaction, decoded: &Transaction, out: &mut Vec<Mismatch>) {
    let mut check = |field: &str, built: String, decoded: String| {
        if built != decoded {
            out.push(Mismatch::new(format!("txbytes.{field}"), built, decoded));
        }
    };
    let same = built.tx_type == decoded.tx_type
        && built.nonce == decoded.nonce
        && built.gas_price == decoded.gas_price
        && built.max_priority_fee_per_gas == decoded.max_priority_fee_per_gas
        && built.gas_limit == decoded.gas_limit
        && built.to == decoded.to
        && built.value == decoded.value
        && built.input == decoded.input
        && built.access_list == decoded.access_list
        && built.blob_versioned_hashes == decoded.blob_versioned_hashes
        && built.max_fee_per_blob_gas == decoded.max_fee_per_blob_gas
        && built.authorization_list == decoded.authorization_list
        && (built.tx_type == 0 || built.chain_id == decoded.chain_id);
    if same {
        return;
    }
    check("type", built.tx_type.to_string(), decoded.tx_type.to_string());
    check("nonce", built.nonce.to_string(), decoded.nonce.to_string());
    check("gasPrice", built.gas_price.to_string(), decoded.gas_price.to_string());
    let tip = |tx: &Transaction| format!("{:?}", tx.max_priority_fee_per_gas);
    check("maxPriorityFeePerGas", tip(built), tip(decoded));
    check("gasLimit", built.gas_limit.to_string(), decoded.gas_limit.to_string());
    check("to", format!("{:?}", built.to), format!("{:?}", decoded.to));
    check("value", built.value.to_string(), decoded.value.to_string());
    check("data", built.input.to_string(), decoded.input.to_string());
    check("accessList", format!("{:?}", built.access_list), format!("{:?}", decoded.access_list));
    let blobs = |tx: &Transaction| format!("{:?}", tx.blob_versioned_hashes);
    check("blobVersionedHashes", blobs(built), blobs(decoded));
    check(
        "maxFeePerBlobGas",
        built.max_fee_per_blob_gas.to_string(),
        decoded.max_fee_per_blob_gas.to_string(),
    );
    let authorizations = |tx: &Transaction| format!("{:?}", tx.authorization_list);
    check("authorizationList", authorizations(built), authorizations(decoded));
    if built.tx_type != 0 {
        check("chainId", format!("{:?}", built.chain_id), format!("{:?}", decoded.chain_id));
    }
}
