//! A snapshot as bytes: what pickling, `save` and `load` use.
//!
//! ```text
//! "SOLDERST"  version (4 bytes, little-endian)  RLP list  keccak256 of all before (32 bytes)
//! RLP list:    [environment, codes, accounts, block hashes, rule]
//! environment: [[chain id, [[fork, kind, value]], [[fork, target, max, fraction]], [dao block]?, deposit contract],
//!               fork, [number, timestamp, beneficiary, gas limit, [base fee]?, prevrandao, difficulty,
//!               [excess blob gas]?, [slot number]?, parent hash], sender]
//! codes:       [code]                     each once, by hash
//! accounts:    [[address, nonce, balance, code (place in `codes`, from 1; 0: none), [[slot, value]]]]   by address
//! block hashes: [[number, hash]]          rule: 0 an unknown hash is a fault, 1 it is keccak256 of the number in decimal
//! ```
//! `kind` is 0 for a block, 1 for a timestamp, 2 for a total difficulty. `[x]?` is a list of one or none.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};
use revm::primitives::KECCAK_EMPTY;
use solder_engine::chain::Activation;
use solder_engine::state::StateAccount;
use solder_engine::state::memory::{UnknownBlockHash, analyse};
use solder_engine::{Chain, Fault, Fork, Header, MemoryState};

use crate::environment::Environment;
use crate::error::SimulateError;
use crate::snapshot::Snapshot;

const MAGIC: &[u8; 8] = b"SOLDERST";
const VERSION: u32 = 1;
const START: usize = MAGIC.len() + 4;
const DIGEST: usize = 32;
/// The most bytes of one saved state.
pub const MAX_BYTES: usize = 1 << 32;
/// The most forks of a schedule.
const MAX_FORKS: usize = 1024;

/// The bytes of a snapshot; a fault where its base is not in memory.
pub fn encode(snapshot: &Snapshot) -> Result<Vec<u8>, SimulateError> {
    let memory = snapshot.memory()?;
    let mut payload = Vec::new();
    encode_environment(snapshot.environment(), &mut payload);
    encode_accounts(&memory, &mut payload)?;
    let hashes: Vec<_> = memory
        .block_hashes()
        .map(|(number, hash)| {
            list_of(|out| {
                number.encode(out);
                hash.encode(out);
            })
        })
        .collect();
    append_list(&hashes.concat(), &mut payload);
    u8::from(memory.unknown_block_hash() == UnknownBlockHash::HashOfNumber).encode(&mut payload);
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    append_list(&payload, &mut bytes);
    let digest = keccak256(&bytes);
    bytes.extend_from_slice(digest.as_slice());
    if bytes.len() > MAX_BYTES {
        return Err(SimulateError::input(
            "state",
            format!("{} bytes are more than {MAX_BYTES}", bytes.len()),
        ));
    }
    Ok(bytes)
}

fn encode_environment(environment: &Environment, out: &mut Vec<u8>) {
    let chain = &environment.chain;
    let schedule: Vec<u8> = chain
        .schedule
        .iter()
        .flat_map(|(fork, activation)| {
            list_of(|out| {
                let (kind, value) = match *activation {
                    Activation::Block(number) => (0u8, u128::from(number)),
                    Activation::Timestamp(time) => (1, u128::from(time)),
                    Activation::TotalDifficulty(difficulty) => (2, difficulty),
                };
                fork.name().encode(out);
                kind.encode(out);
                value.encode(out);
            })
        })
        .collect();
    let blobs: Vec<u8> = chain
        .blob_schedule
        .iter()
        .flat_map(|(fork, params)| {
            list_of(|out| {
                fork.name().encode(out);
                params.target_blob_count.encode(out);
                params.max_blob_count.encode(out);
                params.update_fraction.encode(out);
            })
        })
        .collect();
    let chain = list_of(|out| {
        chain.id.encode(out);
        append_list(&schedule, out);
        append_list(&blobs, out);
        encode_option(chain.dao_fork_block, out);
        chain.deposit_contract.encode(out);
    });
    let header = &environment.header;
    let block = list_of(|out| {
        header.number.encode(out);
        header.timestamp.encode(out);
        header.beneficiary.encode(out);
        header.gas_limit.encode(out);
        encode_option(header.base_fee_per_gas, out);
        header.mix_hash.encode(out);
        header.difficulty.encode(out);
        encode_option(header.excess_blob_gas, out);
        encode_option(header.slot_number, out);
        header.parent_hash.encode(out);
    });
    out.extend(list_of(|out| {
        out.extend_from_slice(&chain);
        environment.fork.name().encode(out);
        out.extend_from_slice(&block);
        environment.sender.encode(out);
    }));
}

fn encode_accounts(memory: &MemoryState, out: &mut Vec<u8>) -> Result<(), SimulateError> {
    let mut all: Vec<_> = memory.iter().collect();
    all.sort_unstable_by_key(|(address, _)| **address);
    let mut codes: BTreeMap<B256, (Bytes, u64)> = BTreeMap::new();
    for (address, account) in &all {
        let info = &account.info;
        if info.code_hash == KECCAK_EMPTY || codes.contains_key(&info.code_hash) {
            continue;
        }
        let code = info.code.as_ref().or_else(|| memory.get_code(&info.code_hash));
        let code = code.ok_or_else(|| Fault::StateRead(format!("the code of {address} is not known")))?;
        codes.insert(info.code_hash, (code.original_bytes(), 0));
    }
    let mut list = Vec::new();
    for (place, (code, number)) in codes.values_mut().enumerate() {
        *number = place as u64 + 1;
        code.encode(&mut list);
    }
    append_list(&list, out);
    let mut accounts = Vec::new();
    for (address, account) in all {
        let mut slots: Vec<_> = account.storage.iter().collect();
        slots.sort_unstable();
        let slots: Vec<u8> = slots
            .into_iter()
            .flat_map(|(slot, value)| {
                list_of(|out| {
                    slot.encode(out);
                    value.encode(out);
                })
            })
            .collect();
        accounts.extend(list_of(|out| {
            address.encode(out);
            account.info.nonce.encode(out);
            account.info.balance.encode(out);
            codes.get(&account.info.code_hash).map_or(0, |(_, number)| *number).encode(out);
            append_list(&slots, out);
        }));
    }
    append_list(&accounts, out);
    Ok(())
}

fn list_of(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut payload = Vec::new();
    write(&mut payload);
    let mut list = Vec::with_capacity(payload.len() + 9);
    append_list(&payload, &mut list);
    list
}

fn append_list(payload: &[u8], out: &mut Vec<u8>) {
    RlpHeader { list: true, payload_length: payload.len() }.encode(out);
    out.extend_from_slice(payload);
}

fn encode_option(value: Option<u64>, out: &mut Vec<u8>) {
    out.extend(list_of(|out| value.iter().for_each(|value| value.encode(out))));
}

type Decoded<T> = Result<T, SimulateError>;

/// Reads what [`encode`] wrote. Every length is checked against the bytes that are there.
pub fn decode(bytes: &[u8]) -> Decoded<Snapshot> {
    if bytes.len() > MAX_BYTES {
        return Err(bad("state", format!("{} bytes are more than {MAX_BYTES}", bytes.len())));
    }
    let Some(length) = bytes.len().checked_sub(DIGEST).filter(|length| *length > START) else {
        return Err(bad("state", format!("{} bytes are too few for a saved state", bytes.len())));
    };
    let (content, digest) = bytes.split_at(length);
    if !content.starts_with(MAGIC) {
        return Err(bad("state", "these bytes are no saved state"));
    }
    let version =
        content.get(MAGIC.len()..START).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    if version != Some(VERSION) {
        return Err(bad("version", format!("{} is not {VERSION}", version.unwrap_or_default())));
    }
    if keccak256(content).as_slice() != digest {
        return Err(bad("digest", "the saved state is damaged: its digest is another"));
    }
    let mut rest = &content[START..];
    let mut fields = next_list(&mut rest, "state")?;
    end(rest, "state")?;
    let environment = decode_environment(next_list(&mut fields, "environment")?)?;
    let codes = next_list(&mut fields, "codes")?;
    let accounts = next_list(&mut fields, "accounts")?;
    let hashes = next_list(&mut fields, "block hashes")?;
    let rule = match next::<u8>(&mut fields, "rule")? {
        0 => UnknownBlockHash::Fault,
        1 => UnknownBlockHash::HashOfNumber,
        other => return Err(bad("rule", format!("{other} is neither 0 nor 1"))),
    };
    end(fields, "state")?;
    let mut memory = MemoryState::new(rule);
    decode_accounts(codes, accounts, &mut memory)?;
    let mut hashes = hashes;
    while !hashes.is_empty() {
        let mut entry = next_list(&mut hashes, "block hashes")?;
        memory.insert_block_hash(next(&mut entry, "block hashes")?, next(&mut entry, "block hashes")?);
        end(entry, "block hashes")?;
    }
    Ok(Snapshot::new(Arc::new(memory), environment))
}

fn decode_accounts(mut codes: &[u8], mut accounts: &[u8], memory: &mut MemoryState) -> Decoded<()> {
    let mut known = Vec::new();
    while !codes.is_empty() {
        known.push(analyse(next::<Bytes>(&mut codes, "codes")?));
    }
    let mut last: Option<Address> = None;
    while !accounts.is_empty() {
        let mut fields = next_list(&mut accounts, "accounts")?;
        let address: Address = next(&mut fields, "address")?;
        if last.is_some_and(|last| last >= address) {
            return Err(bad("accounts", format!("{address} is out of order")));
        }
        last = Some(address);
        let mut account =
            StateAccount::new(next(&mut fields, "nonce")?, next(&mut fields, "balance")?, Bytes::new());
        let code: u64 = next(&mut fields, "code")?;
        if code != 0 {
            let found = usize::try_from(code - 1).ok().and_then(|place| known.get(place));
            let (hash, code) = found.ok_or_else(|| bad("code", format!("there is no code {code}")))?;
            (account.info.code_hash, account.info.code) = (*hash, Some(code.clone()));
        }
        let mut slots = next_list(&mut fields, "storage")?;
        while !slots.is_empty() {
            let mut pair = next_list(&mut slots, "storage")?;
            let (slot, value): (U256, U256) = (next(&mut pair, "storage")?, next(&mut pair, "storage")?);
            end(pair, "storage")?;
            account.storage.insert(slot, value);
        }
        end(fields, "accounts")?;
        memory.insert(address, account);
    }
    Ok(())
}

fn decode_environment(mut fields: &[u8]) -> Decoded<Environment> {
    let chain = decode_chain(next_list(&mut fields, "chain")?)?;
    let fork = decode_fork(&mut fields)?;
    let mut block = next_list(&mut fields, "block")?;
    let cursor = &mut block;
    let header = Header {
        number: next(cursor, "number")?,
        timestamp: next(cursor, "timestamp")?,
        beneficiary: next(cursor, "beneficiary")?,
        gas_limit: next(cursor, "gas_limit")?,
        base_fee_per_gas: next_option(cursor, "base_fee_per_gas")?,
        mix_hash: next(cursor, "prevrandao")?,
        difficulty: next(cursor, "difficulty")?,
        excess_blob_gas: next_option(cursor, "excess_blob_gas")?,
        slot_number: next_option(cursor, "slot_number")?,
        parent_hash: next(cursor, "parent_hash")?,
        ..Default::default()
    };
    end(block, "block")?;
    let sender = next(&mut fields, "sender")?;
    end(fields, "environment")?;
    Ok(Environment { chain, fork, header, sender })
}

fn decode_chain(mut fields: &[u8]) -> Decoded<Chain> {
    let id = next(&mut fields, "chain id")?;
    let mut chain = Chain { id, ..Chain::mainnet() };
    chain.schedule.clear();
    let mut schedule = next_list(&mut fields, "schedule")?;
    while !schedule.is_empty() && chain.schedule.len() < MAX_FORKS {
        let mut entry = next_list(&mut schedule, "schedule")?;
        let fork = decode_fork(&mut entry)?;
        let (kind, value): (u8, u128) = (next(&mut entry, "schedule")?, next(&mut entry, "schedule")?);
        let short = || u64::try_from(value).map_err(|_| bad("schedule", format!("{value} is too large")));
        let activation = match kind {
            0 => Activation::Block(short()?),
            1 => Activation::Timestamp(short()?),
            2 => Activation::TotalDifficulty(value),
            other => return Err(bad("schedule", format!("{other} is no kind of activation"))),
        };
        end(entry, "schedule")?;
        chain.schedule.push((fork, activation));
    }
    end(schedule, "schedule")?;
    let mut blobs = next_list(&mut fields, "blob schedule")?;
    while !blobs.is_empty() && chain.blob_schedule.len() < MAX_FORKS {
        let mut entry = next_list(&mut blobs, "blob schedule")?;
        let fork = decode_fork(&mut entry)?;
        let mut params =
            fork.blob_params().ok_or_else(|| bad("blob schedule", format!("{fork} has no blobs")))?;
        params.target_blob_count = next(&mut entry, "blob schedule")?;
        params.max_blob_count = next(&mut entry, "blob schedule")?;
        params.update_fraction = next(&mut entry, "blob schedule")?;
        end(entry, "blob schedule")?;
        if params.update_fraction == 0 {
            return Err(bad("blob schedule", "the update fraction is 0"));
        }
        chain.blob_schedule.push((fork, params));
    }
    end(blobs, "blob schedule")?;
    chain.dao_fork_block = next_option(&mut fields, "dao block")?;
    chain.deposit_contract = next(&mut fields, "deposit contract")?;
    end(fields, "chain")?;
    Ok(chain)
}

fn decode_fork(fields: &mut &[u8]) -> Decoded<Fork> {
    let name: String = next(fields, "fork")?;
    Fork::parse(&name).map_err(|unknown| bad("fork", unknown))
}

fn bad(field: &str, detail: impl std::fmt::Display) -> SimulateError {
    SimulateError::input(field, detail.to_string())
}

fn next<T: Decodable>(fields: &mut &[u8], field: &str) -> Decoded<T> {
    T::decode(fields).map_err(|error| bad(field, error))
}

fn next_list<'b>(fields: &mut &'b [u8], field: &str) -> Decoded<&'b [u8]> {
    RlpHeader::decode_bytes(fields, true).map_err(|error| bad(field, error))
}

fn next_option(fields: &mut &[u8], field: &str) -> Decoded<Option<u64>> {
    let mut list = next_list(fields, field)?;
    let value = if list.is_empty() { None } else { Some(next(&mut list, field)?) };
    end(list, field)?;
    Ok(value)
}

fn end(fields: &[u8], field: &str) -> Decoded<()> {
    if fields.is_empty() { Ok(()) } else { Err(bad(field, "more than belongs there")) }
}
