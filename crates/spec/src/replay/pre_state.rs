//! `pre_state.json`: the accounts that a block touches, as they were before it. Code is named by its hash.

use std::fmt;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, map::HashSet};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use solder_engine::state::memory::{MemoryState, StateAccount, UnknownBlockHash};

use super::sidecar::{BlockHashes, Codes};
use crate::InputError;
use crate::fixture::{Count, Pairs, Quantity};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountJson {
    balance: Quantity,
    nonce: Nonce,
    code_hash: Option<B256>,
    storage: Pairs<Quantity, Quantity>,
}

pub(super) type PreStateJson = Pairs<Address, AccountJson>;

/// A number, or its hex text.
#[derive(Clone, Copy, Debug)]
struct Nonce(u64);

struct NonceVisitor;

impl Visitor<'_> for NonceVisitor {
    type Value = Nonce;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of up to 64 bits")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Nonce, E> {
        Ok(Nonce(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Nonce, E> {
        Count::deserialize(serde::de::value::StrDeserializer::new(text)).map(|count: Count| Nonce(count.0))
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(NonceVisitor)
    }
}

/// The state that these accounts are. Hashes of blocks that are not known are those of the number in decimal.
pub(super) fn build(
    path: &str,
    accounts: PreStateJson,
    codes: &Codes,
    hashes: &BlockHashes,
) -> Result<MemoryState, InputError> {
    let mut state = MemoryState::new(UnknownBlockHash::HashOfNumber);
    for (number, hash) in hashes.iter() {
        state.insert_block_hash(number, hash);
    }
    for (address, json) in accounts.0 {
        let field = |name: &str| format!("{address:#x}{name}");
        if state.get(&address).is_some() {
            return Err(InputError::field(path, field(""), "this address is there twice"));
        }
        let account = build_account(json, codes)
            .map_err(|(name, detail)| InputError::field(path, field(&name), detail))?;
        state.insert(address, account);
    }
    Ok(state)
}

fn build_account(json: AccountJson, codes: &Codes) -> Result<StateAccount, (String, String)> {
    let mut account = match json.code_hash.filter(|hash| *hash != KECCAK256_EMPTY) {
        None => StateAccount::new(0, U256::ZERO, Bytes::new()),
        Some(hash) => codes.account(hash).ok_or_else(|| {
            (".code_hash".to_owned(), format!("no code with hash {hash} in {}", codes.path()))
        })?,
    };
    account.info.nonce = json.nonce.0;
    account.info.balance = json.balance.0;
    let mut seen: HashSet<U256> = HashSet::default();
    for (slot, value) in json.storage.0 {
        if !seen.insert(slot.0) {
            return Err((format!(".storage.{:#x}", slot.0), "this slot is there twice".into()));
        }
        account.storage.insert(slot.0, value.0);
    }
    Ok(account)
}
