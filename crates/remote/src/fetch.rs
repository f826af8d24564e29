//! Questions become requests, and answers what is known. A node is asked by the block's hash and with proofs where it can; what
//! it cannot is found out by its first refusal:
//!
//! ```text
//! by hash, proofs -> by hash, plain -> by number, proofs -> by number, plain -> refused
//! ```
//! Without proofs the values are what the node says. By number, the block's hash is asked for before and after.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use alloy_primitives::{Address, B256, U256};
use revm::primitives::KECCAK_EMPTY;
use revm::state::AccountInfo;
use serde_json::{Value, json};
use solder_engine::state::memory::analyse;

use crate::error::{Kind, RemoteError};
use crate::header::{Pinned, bytes, quantity, small, word};
use crate::known::{Key, Known};
use crate::options::{Counts, Verify};
use crate::proof::{self, ProofFailure};
use crate::rpc::{Answer, Request, Rpc, RpcFailure};

/// The most slots that one proof is asked for.
const MAX_PROOF_SLOTS: usize = 100;
/// How far back ancestors are followed.
const MAX_ANCESTORS: u64 = 512;
/// The ways to ask, and so the most tries of one fetch.
const MANNERS: usize = 4;

/// How a node is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// By the block's hash (EIP-1898), or by its number.
    pub by_hash: bool,
    /// With proofs.
    pub proofs: bool,
}

/// An answer, and whether it follows from the block's hash.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    /// What.
    pub known: Known,
    /// Whether a proof says so.
    pub verified: bool,
}

/// Asks a node about one block.
pub struct Fetcher {
    /// The node.
    pub rpc: Rpc,
    /// The block.
    pub pinned: Pinned,
    /// What is checked.
    pub verify: Verify,
    manner: Mutex<Manner>,
}

/// What a request was for.
#[derive(Clone, Debug)]
enum Purpose {
    Proof(Address, bool, Vec<U256>),
    Balance(Address),
    Nonce(Address),
    Code(Address),
    Slot(Address, U256),
    Ancestor(u64),
    SameBlock,
}

/// Why a round gave nothing.
enum Stop {
    /// The node refused a request.
    Refused(&'static str, RpcFailure, bool),
    /// For good.
    Failed(RemoteError),
}

impl From<RemoteError> for Stop {
    fn from(error: RemoteError) -> Self {
        Self::Failed(error)
    }
}

impl Fetcher {
    /// A way to ask `rpc` about `pinned`.
    pub fn new(rpc: Rpc, pinned: Pinned, verify: Verify) -> Self {
        let manner = Manner { by_hash: true, proofs: verify != Verify::Never };
        Self { rpc, pinned, verify, manner: Mutex::new(manner) }
    }

    /// How the node is asked now.
    pub fn manner(&self) -> Manner {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for all keys at once. Either everything comes back, or nothing.
    pub fn fetch(&self, keys: &[Key]) -> Result<Vec<Fetched>, RemoteError> {
        let mut manner = self.manner();
        let wanted = manner;
        for _ in 0..MANNERS {
            match self.round(keys, manner) {
                Ok(fetched) => {
                    *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
                    Counts::add(&self.rpc.counts.fetched, keys.len());
                    return Ok(fetched);
                }
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Refused(method, failure, was_proof)) => {
                    let next = if was_proof && self.verify == Verify::Auto {
                        Some(Manner { proofs: false, ..manner })
                    } else if manner.by_hash {
                        Some(Manner { by_hash: false, proofs: wanted.proofs })
                    } else {
                        None
                    };
                    let Some(next) = next else { return Err(self.why(method, &failure)) };
                    manner = next;
                }
            }
        }
        Err(RemoteError::new(Kind::Refused, format!("{}: no way to ask is left", self.rpc.node.shown())))
    }

    /// A refusal; where the block is gone, that.
    fn why(&self, method: &str, failure: &RpcFailure) -> RemoteError {
        let refusal = self.rpc.refusal(method, failure);
        match self.rpc.ask(&[self.block_request(self.pinned.header.number)]) {
            Ok(answers) => match answers.first() {
                Some(Ok(block)) => self.same_block(block).err().unwrap_or(refusal),
                _ => refusal,
            },
            Err(_) => refusal,
        }
    }

    fn block_request(&self, number: u64) -> Request {
        Request::new("eth_getBlockByNumber", json!([format!("{number:#x}"), false]))
    }

    fn same_block(&self, block: &Value) -> Result<(), RemoteError> {
        let number = self.pinned.header.number;
        let found = block.get("hash").and_then(|hash| word::<32>(hash).ok()).map(B256::from);
        if found == Some(self.pinned.hash) {
            return Ok(());
        }
        let now = found.map_or("is not there any more".into(), |hash| format!("is {hash} now"));
        let detail = format!("{}: block {number} was {} and {now}", self.rpc.node.shown(), self.pinned.hash);
        Err(RemoteError::new(Kind::Reorganised, detail))
    }

    fn round(&self, keys: &[Key], manner: Manner) -> Result<Vec<Fetched>, Stop> {
        let plan = self.plan(keys, manner)?;
        let (purposes, requests): (Vec<_>, Vec<_>) = plan.into_iter().unzip();
        let answers = self.rpc.ask(&requests)?;
        if let Some((request, failure)) = refused(&requests, &answers) {
            return Err(Stop::Refused(request.method, failure.clone(), request.method == "eth_getProof"));
        }
        let values: Vec<Value> = answers.into_iter().filter_map(Result::ok).collect();
        Ok(self.read(purposes, &values, manner)?)
    }

    /// The requests for `keys`, with what each is for.
    fn plan(&self, keys: &[Key], manner: Manner) -> Result<Vec<(Purpose, Request)>, RemoteError> {
        let number = self.pinned.header.number;
        let block = if manner.by_hash {
            json!({"blockHash": self.pinned.hash})
        } else {
            json!(format!("{number:#x}"))
        };
        let mut accounts: BTreeMap<Address, (bool, Vec<U256>)> = BTreeMap::new();
        let mut oldest: Option<u64> = None;
        for key in keys {
            match key {
                Key::Account(address) => accounts.entry(*address).or_default().0 = true,
                Key::Slot(address, slot) => accounts.entry(*address).or_default().1.push(*slot),
                Key::BlockHash(ancestor) => oldest = Some(oldest.map_or(*ancestor, |old| old.min(*ancestor))),
            }
        }
        let mut plan = Vec::new();
        let mut ask = |purpose, method, params: Value| plan.push((purpose, Request::new(method, params)));
        let same = json!([format!("{number:#x}"), false]);
        if !manner.by_hash {
            ask(Purpose::SameBlock, "eth_getBlockByNumber", same.clone());
        }
        for (address, (whole, slots)) in accounts {
            if !manner.proofs {
                if whole {
                    ask(Purpose::Balance(address), "eth_getBalance", json!([address, block]));
                    ask(Purpose::Nonce(address), "eth_getTransactionCount", json!([address, block]));
                    ask(Purpose::Code(address), "eth_getCode", json!([address, block]));
                }
                for slot in slots {
                    let params = json!([address, B256::from(slot), block]);
                    ask(Purpose::Slot(address, slot), "eth_getStorageAt", params);
                }
                continue;
            }
            // An account without slots is one proof too.
            let mut parts: Vec<&[U256]> = slots.chunks(MAX_PROOF_SLOTS).collect();
            if parts.is_empty() {
                parts.push(&[]);
            }
            for (index, part) in parts.into_iter().enumerate() {
                let names: Vec<B256> = part.iter().map(|slot| B256::from(*slot)).collect();
                let purpose = Purpose::Proof(address, whole && index == 0, part.to_vec());
                ask(purpose, "eth_getProof", json!([address, names, block]));
            }
            if whole {
                ask(Purpose::Code(address), "eth_getCode", json!([address, block]));
            }
        }
        if let Some(oldest) = oldest {
            if oldest >= number || number - oldest > MAX_ANCESTORS {
                let detail = format!("the hash of block {oldest}, seen from block {number}");
                return Err(RemoteError::new(Kind::Unsupported, detail));
            }
            // Each names its parent: with all of them the oldest follows from the pinned one.
            for ancestor in oldest..number {
                let params = json!([format!("{ancestor:#x}"), false]);
                ask(Purpose::Ancestor(ancestor), "eth_getBlockByNumber", params);
            }
        }
        if !manner.by_hash {
            ask(Purpose::SameBlock, "eth_getBlockByNumber", same);
        }
        for (purpose, request) in &mut plan {
            if let Purpose::Proof(_, _, slots) = purpose {
                request.weight = 1 + slots.len();
            }
        }
        Ok(plan)
    }

    fn read(
        &self,
        purposes: Vec<Purpose>,
        values: &[Value],
        manner: Manner,
    ) -> Result<Vec<Fetched>, RemoteError> {
        let bad = |what: String| move |detail: String| self.rpc.reply(format!("{what}: {detail}"));
        let mut parts: BTreeMap<Address, Parts> = BTreeMap::new();
        let mut fetched = Vec::new();
        let mut ancestors = Vec::new();
        let found = |known| Fetched { known, verified: manner.proofs };
        for (purpose, value) in purposes.into_iter().zip(values) {
            match purpose {
                Purpose::SameBlock => self.same_block(value)?,
                Purpose::Balance(address) => {
                    let balance = quantity(value).map_err(bad(format!("balance of {address}")))?;
                    parts.entry(address).or_default().balance = balance;
                }
                Purpose::Nonce(address) => {
                    let nonce = small(value).map_err(bad(format!("nonce of {address}")))?;
                    parts.entry(address).or_default().nonce = nonce;
                }
                Purpose::Code(address) => {
                    let code = bytes(value).map_err(bad(format!("code of {address}")))?;
                    parts.entry(address).or_default().code = code;
                }
                Purpose::Slot(address, slot) => {
                    let value = quantity(value).map_err(bad(format!("slot {slot:#x} of {address}")))?;
                    fetched.push(found(Known::Slot(address, slot, value)));
                }
                Purpose::Ancestor(number) => ancestors.push((number, value)),
                Purpose::Proof(address, whole, slots) => {
                    let proven = proof::check(self.pinned.header.state_root, address, &slots, value);
                    let proven = proven.map_err(|failure| self.unproven(address, failure))?;
                    for (slot, value) in slots.into_iter().zip(proven.slots) {
                        fetched.push(found(Known::Slot(address, slot, value)));
                    }
                    if whole {
                        let part = parts.entry(address).or_default();
                        part.proven = Some(proven.account.map(|(_, _, code_hash)| code_hash));
                        (part.nonce, part.balance) =
                            proven.account.map_or((0, U256::ZERO), |(nonce, balance, _)| (nonce, balance));
                    }
                }
            }
        }
        for (address, parts) in parts {
            fetched.push(found(Known::Account(address, self.account(address, parts)?)));
        }
        fetched.extend(self.linked(&ancestors)?);
        Ok(fetched)
    }

    fn account(&self, address: Address, parts: Parts) -> Result<Option<AccountInfo>, RemoteError> {
        let (code_hash, code) = analyse(parts.code);
        let exists = match parts.proven {
            Some(Some(proven)) if proven == code_hash || (proven.is_zero() && code_hash == KECCAK_EMPTY) => {
                true
            }
            Some(None) if code_hash == KECCAK_EMPTY => false,
            Some(proven) => {
                let proven = proven.unwrap_or(KECCAK_EMPTY);
                let detail = format!(
                    "{}: the code of {address} has hash {code_hash}, not {proven}",
                    self.rpc.node.shown()
                );
                return Err(RemoteError::new(Kind::Mismatch, detail));
            }
            // An empty account and none are the same since Spurious Dragon.
            None => parts.nonce != 0 || !parts.balance.is_zero() || code_hash != KECCAK_EMPTY,
        };
        Ok(exists.then(|| AccountInfo {
            balance: parts.balance,
            nonce: parts.nonce,
            code_hash,
            code: Some(code),
            ..Default::default()
        }))
    }

    fn unproven(&self, address: Address, failure: ProofFailure) -> RemoteError {
        match failure {
            ProofFailure::Form(detail) => self.rpc.reply(format!("proof of {address}: {detail}")),
            ProofFailure::False(detail) => {
                let hint = "a node whose state was set by hand, or one that forks another chain, is read with verify=\"never\"";
                let detail = format!("{}: {detail} ({hint})", self.rpc.node.shown());
                RemoteError::new(Kind::Mismatch, detail)
            }
        }
    }

    /// Ancestors by their headers, from the oldest to the pinned block's parent: each is the parent of the next.
    fn linked(&self, ancestors: &[(u64, &Value)]) -> Result<Vec<Fetched>, RemoteError> {
        let mut expected = self.pinned.header.parent_hash;
        let mut fetched = Vec::with_capacity(ancestors.len());
        for (number, block) in ancestors.iter().rev() {
            let bad = |detail: String| self.rpc.reply(format!("block {number}: {detail}"));
            if block.is_null() {
                return Err(bad("the node does not have it".into()));
            }
            let ancestor = Pinned::parse(block).map_err(bad)?;
            if ancestor.header.number != *number || ancestor.hash != expected {
                let (got, hash) = (ancestor.header.number, ancestor.hash);
                let detail = format!(
                    "{}: block {got} with hash {hash} instead of block {number} with hash {expected}",
                    self.rpc.node.shown()
                );
                return Err(RemoteError::new(Kind::Mismatch, detail));
            }
            if self.verify != Verify::Never {
                ancestor.check().map_err(|detail| {
                    RemoteError::new(Kind::Mismatch, format!("{}: {detail}", self.rpc.node.shown()))
                })?;
            }
            let verified = self.verify != Verify::Never;
            fetched.push(Fetched { known: Known::BlockHash(*number, ancestor.hash), verified });
            expected = ancestor.header.parent_hash;
        }
        Ok(fetched)
    }
}

/// What the plain requests for one account gave.
#[derive(Default)]
struct Parts {
    nonce: u64,
    balance: U256,
    code: alloy_primitives::Bytes,
    /// The hash of the code, if there is an account, where a proof says so.
    proven: Option<Option<B256>>,
}

/// The first request that was refused; one that is no proof before one that is.
fn refused<'r>(requests: &'r [Request], answers: &'r [Answer]) -> Option<(&'r Request, &'r RpcFailure)> {
    let failed = || {
        requests.iter().zip(answers).filter_map(|(request, answer)| Some((request, answer.as_ref().err()?)))
    };
    failed().find(|(request, _)| request.method != "eth_getProof").or_else(|| failed().next())
}
