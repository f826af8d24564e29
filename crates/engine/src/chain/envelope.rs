//! The wire format of transactions: RLP lists behind a type byte. What a list may hold is checked here, what a
//! fork allows is not (see `block::validation`).

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_rlp::{BufMut, Decodable, Encodable, Header as RlpHeader};
use revm::context_interface::transaction::AccessListItem;

use super::transaction::{Signature, Transaction, rlp};
use crate::error::{Code, Rejection};

fn field<T: Decodable>(cursor: &mut &[u8], name: &str) -> Result<T, Rejection> {
    T::decode(cursor).map_err(|error| rlp(format!("{name}: {error}")))
}

/// Reads the header of the one list that must fill `raw`.
fn list(raw: &[u8]) -> Result<&[u8], Rejection> {
    let mut rest = raw;
    let header = RlpHeader::decode(&mut rest).map_err(|error| rlp(error.to_string()))?;
    if !header.list || header.payload_length != rest.len() {
        return Err(rlp("not one list"));
    }
    Ok(rest)
}

/// A price in wei per gas: more than 128 bits can be paid by nobody.
fn price(cursor: &mut &[u8], name: &str) -> Result<u128, Rejection> {
    let value: U256 = field(cursor, name)?;
    u128::try_from(value)
        .map_err(|_| Rejection::new(Code::GasLimitPriceProductOverflow, format!("{name}: {value}")))
}

fn recipient(cursor: &mut &[u8]) -> Result<TxKind, Rejection> {
    let bytes: Bytes = field(cursor, "to")?;
    match bytes.len() {
        0 => Ok(TxKind::Create),
        20 => Ok(TxKind::Call(Address::from_slice(&bytes))),
        length => Err(rlp(format!("to: {length} bytes"))),
    }
}

fn parity(cursor: &mut &[u8]) -> Result<bool, Rejection> {
    match field::<U256>(cursor, "yParity")? {
        U256::ZERO => Ok(false),
        value if value == U256::from(1) => Ok(true),
        value => Err(Rejection::new(Code::InvalidSignatureVrs, format!("yParity {value}"))),
    }
}

/// A half of a signature: one that does not fit is no signature, rather than a broken encoding.
fn scalar(cursor: &mut &[u8], name: &str) -> Result<U256, Rejection> {
    U256::decode(cursor).map_err(|error| match error {
        alloy_rlp::Error::Overflow => Rejection::new(Code::InvalidSignatureVrs, format!("{name}: overflow")),
        error => rlp(format!("{name}: {error}")),
    })
}

fn finish(cursor: &[u8], mut tx: Transaction) -> Result<Transaction, Rejection> {
    if !cursor.is_empty() {
        return Err(rlp("too many elements"));
    }
    tx.recover_authorities();
    Ok(tx)
}

pub(super) fn decode_legacy(raw: &[u8]) -> Result<Transaction, Rejection> {
    let mut payload = list(raw)?;
    let cursor = &mut payload;
    let mut tx = Transaction {
        nonce: field(cursor, "nonce")?,
        gas_price: price(cursor, "gasPrice")?,
        gas_limit: field(cursor, "gasLimit")?,
        to: recipient(cursor)?,
        value: field(cursor, "value")?,
        input: field(cursor, "data")?,
        ..Default::default()
    };
    let v: U256 = field(cursor, "v")?;
    tx.signature.r = scalar(cursor, "r")?;
    tx.signature.s = scalar(cursor, "s")?;
    (tx.chain_id, tx.signature.y_parity) = parse_v(v)?;
    finish(cursor, tx)
}

/// `v` of a legacy signature: 27 or 28, or 35 + 2 x chain id + parity (EIP-155).
pub fn parse_v(v: U256) -> Result<(Option<u64>, bool), Rejection> {
    let invalid = || Rejection::new(Code::InvalidSignatureVrs, format!("v is {v}"));
    let v = u64::try_from(v).map_err(|_| invalid())?;
    match v {
        27 | 28 => Ok((None, v == 28)),
        35.. => Ok((Some((v - 35) / 2), (v - 35) % 2 == 1)),
        _ => Err(invalid()),
    }
}

pub(super) fn decode_typed(tx_type: u8, raw: &[u8]) -> Result<Transaction, Rejection> {
    let mut payload = list(raw)?;
    let cursor = &mut payload;
    if tx_type == 3 && cursor.first().is_some_and(|first| *first >= 0xc0) {
        return Err(Rejection::new(Code::Type3WithFullBlobs, "the network form carries blobs"));
    }
    let mut tx = Transaction { tx_type, ..Default::default() };
    tx.chain_id = Some(field(cursor, "chainId")?);
    tx.nonce = field(cursor, "nonce")?;
    if tx_type >= 2 {
        tx.max_priority_fee_per_gas = Some(price(cursor, "maxPriorityFeePerGas")?);
    }
    tx.gas_price = price(cursor, if tx_type >= 2 { "maxFeePerGas" } else { "gasPrice" })?;
    tx.gas_limit = field(cursor, "gasLimit")?;
    tx.to = recipient(cursor)?;
    if tx.to.is_create() {
        match tx_type {
            3 => {
                return Err(Rejection::new(
                    Code::Type3ContractCreation,
                    "a blob transaction needs a recipient",
                ));
            }
            4 => {
                return Err(Rejection::new(
                    Code::Type4ContractCreation,
                    "a set-code transaction needs a recipient",
                ));
            }
            _ => {}
        }
    }
    tx.value = field(cursor, "value")?;
    tx.input = field(cursor, "data")?;
    tx.access_list = field::<Vec<AccessListItem>>(cursor, "accessList")?;
    if tx_type == 3 {
        tx.max_fee_per_blob_gas = price(cursor, "maxFeePerBlobGas")?;
        tx.blob_versioned_hashes = field::<Vec<B256>>(cursor, "blobVersionedHashes")?;
    }
    if tx_type == 4 {
        tx.authorization_list = field(cursor, "authorizationList")?;
    }
    tx.signature = Signature { y_parity: parity(cursor)?, r: field(cursor, "r")?, s: field(cursor, "s")? };
    finish(cursor, tx)
}

/// Encodes `tx`; without its signature this is what the sender signs.
pub(super) fn encode(tx: &Transaction, signed: bool) -> Vec<u8> {
    let mut body = Vec::with_capacity(128 + tx.input.len());
    if tx.tx_type == 0 {
        encode_legacy(tx, signed, &mut body)
    } else {
        encode_typed(tx, signed, &mut body)
    }
    let mut out = Vec::with_capacity(body.len() + 10);
    if tx.tx_type != 0 {
        out.push(tx.tx_type);
    }
    RlpHeader { list: true, payload_length: body.len() }.encode(&mut out);
    out.extend_from_slice(&body);
    out
}

fn encode_recipient(to: TxKind, out: &mut Vec<u8>) {
    match to {
        TxKind::Create => out.push(0x80),
        TxKind::Call(address) => address.encode(out),
    }
}

fn encode_legacy(tx: &Transaction, signed: bool, out: &mut Vec<u8>) {
    tx.nonce.encode(out);
    tx.gas_price.encode(out);
    tx.gas_limit.encode(out);
    encode_recipient(tx.to, out);
    tx.value.encode(out);
    tx.input.encode(out);
    match (signed, tx.chain_id) {
        (true, chain_id) => {
            let parity = u128::from(tx.signature.y_parity);
            chain_id.map_or(27 + parity, |id| 35 + 2 * u128::from(id) + parity).encode(out);
            tx.signature.r.encode(out);
            tx.signature.s.encode(out);
        }
        (false, Some(chain_id)) => {
            chain_id.encode(out);
            out.put_u8(0x80);
            out.put_u8(0x80);
        }
        (false, None) => {}
    }
}

fn encode_typed(tx: &Transaction, signed: bool, out: &mut Vec<u8>) {
    tx.chain_id.unwrap_or_default().encode(out);
    tx.nonce.encode(out);
    if tx.tx_type >= 2 {
        tx.max_priority_fee_per_gas.unwrap_or_default().encode(out);
    }
    tx.gas_price.encode(out);
    tx.gas_limit.encode(out);
    encode_recipient(tx.to, out);
    tx.value.encode(out);
    tx.input.encode(out);
    tx.access_list.encode(out);
    if tx.tx_type == 3 {
        tx.max_fee_per_blob_gas.encode(out);
        tx.blob_versioned_hashes.encode(out);
    }
    if tx.tx_type == 4 {
        tx.authorization_list.encode(out);
    }
    if signed {
        tx.signature.y_parity.encode(out);
        tx.signature.r.encode(out);
        tx.signature.s.encode(out);
    }
}
