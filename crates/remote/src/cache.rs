//! What nodes answered, on disk, for the next process: one SQLite file in WAL mode, which several processes may read and write at
//! once. A pinned block does not change, so nothing in it is ever replaced by something else. Each entry has a
//! checksum over its block, key and value; a damaged one is taken for absent, and written again.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, Keccak256, U256, keccak256};
use revm::primitives::KECCAK_EMPTY;
use revm::state::{AccountInfo, Bytecode};
use rusqlite::{Connection, OptionalExtension, params};
use solder_engine::state::memory::analyse;

use crate::fetch::Fetched;
use crate::known::{Key, Known};

/// Number of the tables' form; another one is not read.
const FORM: i64 = 1;
/// How long one waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);
/// Bytes of a checksum.
const CHECK_BYTES: usize = 16;
/// The least room that a cache must be given.
const LEAST_BYTES: u64 = 64 << 10;

/// Which block of which chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The chain's id.
    pub chain_id: u64,
    /// The block's hash.
    pub block: B256,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Hits {
    /// Answers.
    pub known: Vec<Known>,
    /// Entries that were there and damaged.
    pub damaged: usize,
}

/// A cache on disk.
pub struct Cache {
    path: PathBuf,
    most_bytes: u64,
    /// SQLite's connection, and the process that it belongs to: it must not be used in a forked child.
    connection: Mutex<(u32, Connection)>,
}

impl Cache {
    /// Opens the file, or makes it.
    pub fn open(path: &Path, most_bytes: u64) -> Result<Self, String> {
        if most_bytes < LEAST_BYTES {
            return Err(format!("a cache of {most_bytes} bytes; {LEAST_BYTES} is the least"));
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let connection = connect(path, most_bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path: path.into(), most_bytes, connection: Mutex::new((std::process::id(), connection)) })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, String> {
        let failed = |error: rusqlite::Error| format!("{}: {error}", self.path.display());
        let mut owned = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if owned.0 != std::process::id() {
            let fresh = connect(&self.path, self.most_bytes).map_err(failed)?;
            // Closing the parent's connection here would take the parent's locks away.
            std::mem::forget(std::mem::replace(&mut *owned, (std::process::id(), fresh)));
        }
        work(&mut owned.1).map_err(failed)
    }

    /// Answers to as many of `keys` as are there; with `verified` only those that a proof stands behind.
    pub fn get(&self, place: Place, keys: &[Key], verified: bool) -> Result<Hits, String> {
        self.with(|connection| {
            let mut hits = Hits::default();
            let mut entry = connection
                .prepare("SELECT value, sum FROM entries WHERE chain = ?1 AND block = ?2 AND key = ?3")?;
            let mut code = connection.prepare("SELECT code FROM codes WHERE hash = ?1")?;
            let chain = place.chain_id as i64;
            for key in keys {
                let name = name_of(*key);
                let read = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(Vec<u8>, Vec<u8>)> {
                    Ok((row.get(0)?, row.get(1)?))
                };
                let Some((value, sum)) =
                    entry.query_row(params![chain, place.block.as_slice(), name], read).optional()?
                else {
                    continue;
                };
                if sum != checksum(place, &name, &value) {
                    hits.damaged += 1;
                    continue;
                }
                if verified && value.first() != Some(&1) {
                    continue;
                }
                let find = |hash: B256| -> rusqlite::Result<Option<Bytecode>> {
                    let raw: Option<Vec<u8>> =
                        code.query_row(params![hash.as_slice()], |row| row.get(0)).optional()?;
                    Ok(raw.filter(|raw| keccak256(raw) == hash).map(|raw| analyse(Bytes::from(raw)).1))
                };
                match decode(*key, &value, find)? {
                    Some(known) => hits.known.push(known),
                    None => hits.damaged += 1,
                }
            }
            Ok(hits)
        })
    }

    /// Keeps answers: all of them, or none.
    pub fn put(&self, place: Place, answers: &[Fetched]) -> Result<(), String> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            {
                let mut entry = transaction.prepare(
                    "INSERT OR REPLACE INTO entries (chain, block, key, value, sum) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?;
                let mut code =
                    transaction.prepare("INSERT OR REPLACE INTO codes (hash, code) VALUES (?1, ?2)")?;
                for answer in answers {
                    if let Known::Account(_, Some(info)) = &answer.known
                        && info.code_hash != KECCAK_EMPTY
                        && let Some(bytecode) = &info.code
                    {
                        code.execute(params![info.code_hash.as_slice(), bytecode.original_byte_slice()])?;
                    }
                    let name = name_of(answer.known.key());
                    let value = encode(answer);
                    let sum = checksum(place, &name, &value);
                    entry.execute(params![place.chain_id as i64, place.block.as_slice(), name, value, sum])?;
                }
            }
            transaction.commit()
        })
    }
}

fn connect(path: &Path, most_bytes: u64) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = i64::try_from(most_bytes).unwrap_or(i64::MAX) / page.max(1);
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    let form: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if form != FORM {
        // An older form has nothing that a node would not say again.
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE;
             DROP TABLE IF EXISTS entries;
             DROP TABLE IF EXISTS codes;
             CREATE TABLE entries (chain INTEGER, block BLOB, key BLOB, value BLOB NOT NULL, sum BLOB NOT NULL,
                                   PRIMARY KEY (chain, block, key)) WITHOUT ROWID;
             CREATE TABLE codes (hash BLOB PRIMARY KEY, code BLOB NOT NULL);
             PRAGMA user_version = {FORM};
             COMMIT;"
        ))?;
    }
    Ok(connection)
}

fn name_of(key: Key) -> Vec<u8> {
    match key {
        Key::Account(address) => [&[0][..], address.as_slice()].concat(),
        Key::Slot(address, slot) => [&[1][..], address.as_slice(), &slot.to_be_bytes::<32>()].concat(),
        Key::BlockHash(number) => [&[2][..], &number.to_be_bytes()].concat(),
    }
}

fn checksum(place: Place, name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut hasher = Keccak256::new();
    hasher.update(place.chain_id.to_be_bytes());
    hasher.update(place.block);
    hasher.update((name.len() as u64).to_be_bytes());
    hasher.update(name);
    hasher.update(value);
    hasher.finalize()[..CHECK_BYTES].to_vec()
}

/// One byte says whether it is verified; then the value.
fn encode(answer: &Fetched) -> Vec<u8> {
    let mut value = vec![u8::from(answer.verified)];
    match &answer.known {
        Known::Account(_, None) => {}
        Known::Account(_, Some(info)) => {
            value.extend(info.nonce.to_be_bytes());
            value.extend(info.balance.to_be_bytes::<32>());
            value.extend(info.code_hash);
        }
        Known::Slot(_, _, word) => value.extend(word.to_be_bytes::<32>()),
        Known::BlockHash(_, hash) => value.extend(hash),
    }
    value
}

fn decode(
    key: Key,
    value: &[u8],
    code: impl FnOnce(B256) -> rusqlite::Result<Option<Bytecode>>,
) -> rusqlite::Result<Option<Known>> {
    let Some((_, rest)) = value.split_first() else { return Ok(None) };
    Ok(match key {
        Key::Account(address) if rest.is_empty() => Some(Known::Account(address, None)),
        Key::Account(address) => account(address, rest, code)?,
        Key::Slot(address, slot) => {
            U256::try_from_be_slice(rest).map(|word| Known::Slot(address, slot, word))
        }
        Key::BlockHash(number) => B256::try_from(rest).ok().map(|hash| Known::BlockHash(number, hash)),
    })
}

fn account(
    address: Address,
    value: &[u8],
    code: impl FnOnce(B256) -> rusqlite::Result<Option<Bytecode>>,
) -> rusqlite::Result<Option<Known>> {
    const BYTES: usize = 8 + 32 + 32;
    if value.len() != BYTES {
        return Ok(None);
    }
    let nonce = value[..8].iter().fold(0, |nonce, byte| nonce << 8 | u64::from(*byte));
    let (balance, code_hash) = (U256::from_be_slice(&value[8..40]), B256::from_slice(&value[40..]));
    let code = if code_hash == KECCAK_EMPTY { Some(Bytecode::default()) } else { code(code_hash)? };
    Ok(code.map(|code| {
        let info = AccountInfo { balance, nonce, code_hash, code: Some(code), ..Default::default() };
        Known::Account(address, Some(info))
    }))
}
