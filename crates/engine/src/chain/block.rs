//! A block as it comes off the wire: header, transactions, ommers, withdrawals.

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_rlp::{Decodable, Header as RlpHeader};

use super::transaction::{Transaction, split_envelopes};
use crate::error::{Code, Rejection};

/// The most bytes that a block may have on the wire (a limit on parsing, above every consensus limit).
pub const MAX_BLOCK_BYTES: usize = 64 * 1024 * 1024;

/// A decoded block. Whether it is valid is another question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// Transactions in order, senders recovered.
    pub transactions: Vec<Transaction>,
    /// Ommer headers (proof of work only).
    pub ommers: Vec<Header>,
    /// Withdrawals, from Shanghai on.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// Bytes on the wire, where the block was decoded from them.
    pub size: Option<usize>,
}

fn structure(error: impl std::fmt::Display) -> Rejection {
    Rejection::new(Code::RlpStructures, error.to_string())
}

/// Takes the next list off `cursor` and returns its payload.
fn next_list<'a>(cursor: &mut &'a [u8], name: &str) -> Result<&'a [u8], Rejection> {
    let header = RlpHeader::decode(cursor).map_err(|error| structure(format!("{name}: {error}")))?;
    if !header.list || header.payload_length > cursor.len() {
        return Err(structure(format!("{name}: not a list")));
    }
    let (payload, rest) = cursor.split_at(header.payload_length);
    *cursor = rest;
    Ok(payload)
}

impl Block {
    /// Decodes the RLP of a whole block and recovers every sender.
    pub fn decode(raw: &[u8]) -> Result<Self, Rejection> {
        if raw.len() > MAX_BLOCK_BYTES {
            return Err(structure(format!("{} bytes", raw.len())));
        }
        let mut outer = raw;
        let mut payload = next_list(&mut outer, "block")?;
        if !outer.is_empty() {
            return Err(structure("bytes after the block"));
        }
        let cursor = &mut payload;
        let header = Header::decode(cursor)
            .map_err(|error| Rejection::new(Code::IncorrectBlockFormat, format!("header: {error}")))?;
        let envelopes = split_envelopes(next_list(cursor, "transactions")?).map_err(structure)?;
        let mut ommers_payload = next_list(cursor, "ommers")?;
        let mut ommers = Vec::new();
        while !ommers_payload.is_empty() {
            ommers.push(Header::decode(&mut ommers_payload).map_err(|e| structure(format!("ommers: {e}")))?);
        }
        let withdrawals = if cursor.is_empty() {
            None
        } else {
            let mut list = next_list(cursor, "withdrawals")?;
            let mut withdrawals = Vec::new();
            while !list.is_empty() {
                let withdrawal = Withdrawal::decode(&mut list);
                withdrawals.push(withdrawal.map_err(|e| structure(format!("withdrawals: {e}")))?);
            }
            Some(withdrawals)
        };
        if !cursor.is_empty() {
            return Err(structure("too many elements in the block"));
        }
        let transactions = envelopes
            .iter()
            .enumerate()
            .map(|(index, raw)| Transaction::decode(raw).map_err(|rejection| rejection.at(index)))
            .collect::<Result<_, _>>()?;
        Ok(Self { header, transactions, ommers, withdrawals, size: Some(raw.len()) })
    }
}
