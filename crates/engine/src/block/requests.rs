//! Requests from the execution layer to the consensus layer (EIP-7685): deposits are read from logs (EIP-6110),
//! the others are what system contracts return (EIP-7002, 7251).

use alloy_primitives::{Address, B256, Bytes, b256};

use crate::chain::Receipt;
use crate::error::{Code, Rejection};

const DEPOSIT_REQUEST_TYPE: u8 = 0x00;
/// keccak256 of `DepositEvent(bytes,bytes,bytes,bytes,bytes)`.
const DEPOSIT_EVENT_TOPIC: B256 = b256!("0x649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");
const DEPOSIT_EVENT_BYTES: usize = 576;
/// Where each field's length stands in the event's data, and what it must be: public key, withdrawal
/// credentials, amount, signature, index.
const DEPOSIT_FIELDS: [(usize, usize); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];

/// All deposit requests of a block as one request, or `None` where there are none.
pub fn deposits(receipts: &[Receipt], contract: Address) -> Result<Option<Bytes>, Rejection> {
    let mut request = vec![DEPOSIT_REQUEST_TYPE];
    for log in receipts.iter().flat_map(|receipt| &receipt.logs) {
        if log.address == contract && log.topics().first() == Some(&DEPOSIT_EVENT_TOPIC) {
            append_deposit(&log.data.data, &mut request)?;
        }
    }
    Ok((request.len() > 1).then(|| request.into()))
}

fn append_deposit(data: &[u8], request: &mut Vec<u8>) -> Result<(), Rejection> {
    let invalid =
        |what: String| Err(Rejection::new(Code::InvalidDepositEventLayout, format!("deposit event: {what}")));
    if data.len() != DEPOSIT_EVENT_BYTES {
        return invalid(format!("{} bytes, expected {DEPOSIT_EVENT_BYTES}", data.len()));
    }
    for (index, (offset, _)) in DEPOSIT_FIELDS.iter().enumerate() {
        if read_word(data, 32 * index) != Some(*offset) {
            return invalid(format!("offset of field {index}"));
        }
    }
    for (index, (offset, length)) in DEPOSIT_FIELDS.iter().enumerate() {
        if read_word(data, *offset) != Some(*length) {
            return invalid(format!("length of field {index}"));
        }
        request.extend_from_slice(&data[offset + 32..offset + 32 + length]);
    }
    Ok(())
}

/// The word at `offset` as a small number.
fn read_word(data: &[u8], offset: usize) -> Option<usize> {
    let word = data.get(offset..offset + 32)?;
    let (high, low) = word.split_at(24);
    if high.iter().any(|byte| *byte != 0) {
        return None;
    }
    let mut bytes = [0u8; 8];
    bytes.copy_from_slice(low);
    usize::try_from(u64::from_be_bytes(bytes)).ok()
}
