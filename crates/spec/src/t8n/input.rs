//! The two inputs that are not transactions: `alloc`, the state before the block, and `env`, its header as far as
//! the block's producer chooses it. What env leaves out follows from the parent's fields that it then must give.

use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, U256, map::HashSet};
use solder_engine::block::{difficulty::block_difficulty, validation};
use solder_engine::state::{MemoryState, StateAccount};
use solder_engine::{Chain, Fork};

use super::error::T8nError;
use super::fields::{Fields, Json, Problem, parse_address, parse_quantity};

/// An ommer is at most this many blocks older than the block that names it.
const OMMER_DELTA_MAXIMUM: u64 = 7;
/// `BLOCKHASH` reaches this many blocks back.
const BLOCK_HASH_WINDOW: u64 = 256;

/// Reads `alloc`.
pub(super) fn read_alloc(text: &[u8]) -> Result<MemoryState, T8nError> {
    let json = Json::parse(text).map_err(|problem| problem.of("alloc"))?;
    let accounts = json.object().map_err(|detail| Problem::new("", detail).of("alloc"))?;
    let mut state = MemoryState::default();
    for (key, value) in accounts.0 {
        let (address, account) =
            read_account(key, value).map_err(|problem| problem.within(key).of("alloc"))?;
        if state.get(&address).is_some() {
            return Err(Problem::new(key.as_ref(), "the account appears twice").of("alloc"));
        }
        state.insert(address, account);
    }
    Ok(state)
}

fn read_account(key: &str, value: &Json<'_>) -> Result<(Address, StateAccount), Problem> {
    let at_key = |detail| Problem::new("", detail);
    let address = parse_address(key).map_err(at_key)?;
    let fields = value.object().map_err(at_key)?;
    let nonce = fields.optional("nonce", Json::u64)?.unwrap_or_default();
    let balance = fields.optional("balance", Json::u256)?.unwrap_or_default();
    let code = fields.optional("code", Json::bytes)?.unwrap_or_default();
    let mut account = StateAccount::new(nonce, balance, code);
    let storage = fields.optional("storage", Json::object)?;
    for (slot, value) in storage.map_or(&[][..], |storage| storage.0) {
        let at_slot = |detail| Problem::new(format!("storage.{slot}"), detail);
        let slot = parse_quantity(slot).map_err(at_slot)?;
        if account.storage.insert(slot, value.u256().map_err(at_slot)?).is_some() {
            return Err(at_slot("the slot appears twice".into()));
        }
    }
    Ok((address, account))
}

/// The environment, with everything that follows from the parent worked out.
#[derive(Debug)]
pub(super) struct Env {
    /// The rules in force.
    pub chain: Chain,
    /// The fork that governs the block.
    pub fork: Fork,
    /// The header as far as it is known before execution.
    pub header: Header,
    /// Ommers: number and beneficiary alone.
    pub ommers: Vec<Header>,
    /// From Shanghai on.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// Hashes of ancestors by number.
    pub block_hashes: Vec<(u64, B256)>,
}

/// Reads `env` for a block of `network`.
pub(super) fn read_env(text: &[u8], network: &str, chain: Chain) -> Result<Env, T8nError> {
    let json = Json::parse(text).map_err(|problem| problem.of("env"))?;
    let fields = json.object().map_err(|detail| Problem::new("", detail).of("env"))?;
    env_from(fields, network, chain).map_err(|problem| problem.of("env"))
}

fn env_from(fields: Fields<'_, '_>, network: &str, mut chain: Chain) -> Result<Env, Problem> {
    let number = fields.required("currentNumber", Json::u64)?;
    let timestamp = fields.required("currentTimestamp", Json::u64)?;
    // A chain that merges by total difficulty: a block that has none of its own is after the merge.
    let has_difficulty =
        fields.optional("currentDifficulty", Json::u256)?.is_some_and(|value| !value.is_zero())
            || fields.get("parentDifficulty").is_some();
    let fork = chain.fork_at(number, timestamp, if has_difficulty { 0 } else { u128::MAX });
    if fork == Fork::Dao && Fork::parse(network).is_ok() {
        // The name of the fork alone, without a schedule, means the block at which it happens.
        chain.dao_fork_block = Some(number);
    }
    let mut header = Header {
        number,
        timestamp,
        beneficiary: fields.required("currentCoinbase", Json::address)?,
        gas_limit: fields.required("currentGasLimit", Json::u64)?,
        ..Default::default()
    };
    let parent = parent_header(fields, number)?;
    if fork >= Fork::Paris {
        header.mix_hash = fields.required("currentRandom", Json::word)?;
    } else {
        header.difficulty = difficulty(fields, fork, &header, &parent)?;
    }
    if fork >= Fork::London {
        header.base_fee_per_gas = Some(base_fee(fields, &parent)?);
    }
    if fork >= Fork::Cancun {
        let given = fields.optional("currentExcessBlobGas", Json::u64)?;
        header.excess_blob_gas = Some(match given {
            Some(excess) => excess,
            None => excess_blob_gas(fields, &chain, fork, &parent)?,
        });
        header.parent_beacon_block_root = Some(fields.required("parentBeaconBlockRoot", Json::hash)?);
    }
    if fork >= Fork::Amsterdam {
        header.slot_number = Some(fields.required("slotNumber", Json::u64)?);
    }
    let block_hashes = block_hashes(fields, number)?;
    if let Some((_, hash)) =
        block_hashes.iter().find(|(ancestor, _)| Some(*ancestor) == number.checked_sub(1))
    {
        header.parent_hash = *hash;
    } else if fork >= Fork::Prague && number > 0 {
        return Err(Problem::new(
            "blockHashes",
            format!("the hash of the parent, {}, is missing", number - 1),
        ));
    }
    let withdrawals = if fork >= Fork::Shanghai {
        Some(withdrawals(fields.required("withdrawals", Json::list)?)?)
    } else {
        None
    };
    // From Paris on an ommer means nothing.
    let ommers = if fork < Fork::Paris { ommers(fields, number)? } else { Vec::new() };
    Ok(Env { chain, fork, header, ommers, withdrawals, block_hashes })
}

/// The parent, as far as env names it.
fn parent_header(fields: Fields<'_, '_>, number: u64) -> Result<Header, Problem> {
    Ok(Header {
        number: number.saturating_sub(1),
        difficulty: fields.optional("parentDifficulty", Json::u256)?.unwrap_or_default(),
        timestamp: fields.optional("parentTimestamp", Json::u64)?.unwrap_or_default(),
        gas_limit: fields.optional("parentGasLimit", Json::u64)?.unwrap_or_default(),
        gas_used: fields.optional("parentGasUsed", Json::u64)?.unwrap_or_default(),
        base_fee_per_gas: fields.optional("parentBaseFee", Json::u64)?,
        excess_blob_gas: fields.optional("parentExcessBlobGas", Json::u64)?,
        blob_gas_used: fields.optional("parentBlobGasUsed", Json::u64)?,
        ommers_hash: fields.optional("parentUncleHash", Json::hash)?.unwrap_or(EMPTY_OMMER_ROOT_HASH),
        ..Default::default()
    })
}

/// Fails where env lacks what a missing field would follow from.
fn need(fields: Fields<'_, '_>, missing: &str, names: &[&str]) -> Result<(), Problem> {
    match names.iter().find(|name| fields.get(name).is_none()) {
        Some(name) => {
            Err(Problem::new(missing, format!("is missing, and so is {name}, to work it out from")))
        }
        None => Ok(()),
    }
}

fn difficulty(fields: Fields<'_, '_>, fork: Fork, header: &Header, parent: &Header) -> Result<U256, Problem> {
    if let Some(given) = fields.optional("currentDifficulty", Json::u256)? {
        return Ok(given);
    }
    need(fields, "currentDifficulty", &["parentDifficulty", "parentTimestamp"])?;
    if parent.timestamp >= header.timestamp {
        return Err(Problem::new("parentTimestamp", "is not before currentTimestamp"));
    }
    // geth's tool writes an absent hash as zeros.
    let has_ommers = parent.ommers_hash != EMPTY_OMMER_ROOT_HASH && !parent.ommers_hash.is_zero();
    Ok(block_difficulty(fork, header.number, header.timestamp, parent, has_ommers))
}

fn base_fee(fields: Fields<'_, '_>, parent: &Header) -> Result<u64, Problem> {
    if let Some(given) = fields.optional("currentBaseFee", Json::u64)? {
        return Ok(given);
    }
    need(fields, "currentBaseFee", &["parentBaseFee", "parentGasUsed", "parentGasLimit"])?;
    let parent_base_fee = parent.base_fee_per_gas.unwrap_or_default();
    Ok(validation::next_base_fee(parent.gas_limit, parent.gas_used, parent_base_fee))
}

fn excess_blob_gas(
    fields: Fields<'_, '_>,
    chain: &Chain,
    fork: Fork,
    parent: &Header,
) -> Result<u64, Problem> {
    // A parent before Cancun has neither field: then both count as zero.
    if fork >= Fork::Osaka {
        need(fields, "currentExcessBlobGas", &["parentBaseFee"])?;
    }
    let excess = parent.excess_blob_gas.unwrap_or_default();
    if excess.checked_add(parent.blob_gas_used.unwrap_or_default()).is_none() {
        return Err(Problem::new("parentExcessBlobGas", "and parentBlobGasUsed have more than 64 bits"));
    }
    Ok(validation::next_excess_blob_gas(chain, fork, parent))
}

/// The hashes that `BLOCKHASH` can reach. Keys are quantities; a hash outside the window is of no use and ignored.
fn block_hashes(fields: Fields<'_, '_>, number: u64) -> Result<Vec<(u64, B256)>, Problem> {
    let Some(given) = fields.optional("blockHashes", Json::object)? else { return Ok(Vec::new()) };
    let mut seen: HashSet<U256> = HashSet::default();
    let mut hashes = Vec::new();
    for (key, value) in given.0 {
        let at_key = |detail| Problem::new(format!("blockHashes.{key}"), detail);
        let ancestor = parse_quantity(key).map_err(at_key)?;
        let hash = value.hash().map_err(at_key)?;
        if !seen.insert(ancestor) {
            return Err(at_key("the block appears twice".into()));
        }
        if let Ok(ancestor) = u64::try_from(ancestor)
            && ancestor < number
            && number - ancestor <= BLOCK_HASH_WINDOW
        {
            hashes.push((ancestor, hash));
        }
    }
    Ok(hashes)
}

fn ommers(fields: Fields<'_, '_>, number: u64) -> Result<Vec<Header>, Problem> {
    let given = fields.optional("ommers", Json::list)?.unwrap_or_default();
    let read = |json: &Json<'_>| -> Result<Header, Problem> {
        let ommer = json.object().map_err(|detail| Problem::new("", detail))?;
        let delta = ommer.required("delta", Json::u64)?;
        if delta > OMMER_DELTA_MAXIMUM || delta > number {
            return Err(Problem::new("delta", format!("{delta} is too old for an ommer")));
        }
        let beneficiary = ommer.required("address", Json::address)?;
        Ok(Header { number: number - delta, beneficiary, ..Default::default() })
    };
    let read_at = |(index, json)| read(json).map_err(|problem| problem.within(format!("ommers[{index}]")));
    given.iter().enumerate().map(read_at).collect()
}

fn withdrawals(given: &[Json<'_>]) -> Result<Vec<Withdrawal>, Problem> {
    let read = |json: &Json<'_>| -> Result<Withdrawal, Problem> {
        let item = json.object().map_err(|detail| Problem::new("", detail))?;
        Ok(Withdrawal {
            index: item.required("index", Json::u64)?,
            validator_index: item.required("validatorIndex", Json::u64)?,
            address: item.required("address", Json::address)?,
            amount: item.required("amount", Json::u64)?,
        })
    };
    let read_at =
        |(index, json)| read(json).map_err(|problem| problem.within(format!("withdrawals[{index}]")));
    given.iter().enumerate().map(read_at).collect()
}
