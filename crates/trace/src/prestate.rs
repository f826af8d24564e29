//! geth's prestateTracer: the part of the state that a transaction looked at, as it was; in diff mode what it changed, before
//! and after.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::context_interface::transaction::AuthorizationTr;
use revm::primitives::KECCAK_EMPTY;
use revm::primitives::hardfork::SpecId;
use revm::state::Bytecode;
use solder_engine::state::AccountChange;
use solder_engine::{EngineError, Fault};

use crate::json::{write_hex, write_key, write_text};
use crate::subject::Traced;

/// What the prestate tracer is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrestateFormat {
    /// What changed, before and after, instead of all that was looked at.
    pub diff: bool,
    /// Without code.
    pub disable_code: bool,
    /// Without slots.
    pub disable_storage: bool,
    /// With accounts that do not exist; not together with `diff`.
    pub include_empty: bool,
}

/// An account as geth shows it; what is `None`, zero (the nonce) or empty is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Wei.
    pub balance: Option<U256>,
    /// Code.
    pub code: Option<Bytes>,
    /// keccak256 of it.
    pub code_hash: Option<B256>,
    /// Nonce.
    pub nonce: u64,
    /// Slots.
    pub storage: BTreeMap<B256, B256>,
    empty: bool,
}

/// Accounts by address.
pub type Accounts = BTreeMap<Address, Shown>;

impl Traced {
    /// The accounts of a format: those before, and in diff mode those after.
    pub fn prestate(&self, format: PrestateFormat) -> Result<(Accounts, Option<Accounts>), EngineError> {
        let mut pre = self.looked_at(format)?;
        let post = if format.diff { Some(self.difference(&mut pre, format)?) } else { None };
        if !format.include_empty {
            pre.retain(|_, shown| !shown.empty);
        }
        Ok((pre, post))
    }

    /// The same as one JSON object.
    pub fn prestate_json(&self, format: PrestateFormat) -> Result<String, EngineError> {
        let (pre, post) = self.prestate(format)?;
        let mut out = String::new();
        match post {
            None => write_accounts(&mut out, &pre),
            Some(post) => {
                out.push('{');
                write_key(&mut out, "post");
                write_accounts(&mut out, &post);
                write_key(&mut out, "pre");
                write_accounts(&mut out, &pre);
                out.push('}');
            }
        }
        Ok(out)
    }

    /// Who is looked at before the first instruction.
    fn parties(&self) -> Result<Vec<Address>, Fault> {
        let (snapshot, tx) = (&self.subject.snapshot, &self.subject.tx);
        let environment = snapshot.environment();
        let mut parties = vec![tx.sender, environment.header.beneficiary];
        match tx.to {
            TxKind::Create => {
                let nonce = snapshot.info(tx.sender)?.map_or(0, |info| info.nonce);
                parties.push(tx.sender.create(nonce));
            }
            TxKind::Call(to) => {
                parties.push(to);
                let code = snapshot.info(to)?.and_then(|info| info.code);
                let delegate = code.and_then(|code| code.eip7702_address());
                if environment.fork.spec_id().is_enabled_in(SpecId::PRAGUE) {
                    parties.extend(delegate);
                }
            }
        }
        parties.extend(tx.authorization_list.iter().filter_map(|authorization| authorization.authority()));
        Ok(parties)
    }

    fn looked_at(&self, format: PrestateFormat) -> Result<Accounts, EngineError> {
        let snapshot = &self.subject.snapshot;
        let mut accounts = Accounts::new();
        let owners = self.trace.slots.iter().map(|(owner, _)| *owner);
        let all: BTreeSet<_> =
            self.parties()?.into_iter().chain(self.trace.accounts.iter().copied()).chain(owners).collect();
        for address in all {
            let info = snapshot.info(address)?.unwrap_or_default();
            let code = info.code.as_ref().map(Bytecode::original_bytes).filter(|code| !code.is_empty());
            accounts.insert(
                address,
                Shown {
                    balance: Some(info.balance),
                    empty: info.balance.is_zero() && info.nonce == 0 && code.is_none(),
                    code_hash: code.is_some().then_some(info.code_hash),
                    code: code.filter(|_| !format.disable_code),
                    nonce: info.nonce,
                    storage: BTreeMap::new(),
                },
            );
        }
        if !format.disable_storage {
            for (owner, slot) in &self.trace.slots {
                let value = snapshot.slot(*owner, *slot)?;
                if let Some(shown) = accounts.get_mut(owner) {
                    shown.storage.insert(B256::from(*slot), B256::from(value));
                }
            }
        }
        Ok(accounts)
    }

    /// Leaves in `pre` what differs, and gives what it became.
    fn difference(&self, pre: &mut Accounts, format: PrestateFormat) -> Result<Accounts, EngineError> {
        let changes: HashMap<Address, &AccountChange> =
            self.changes.accounts.iter().map(|change| (change.address, change)).collect();
        let mut post = Accounts::new();
        let mut same = Vec::new();
        for (address, before) in pre.iter_mut() {
            if self.trace.destroyed.contains(address) {
                continue;
            }
            let change = changes.get(address).copied();
            match self.became(*address, before, change, format)? {
                Some(after) => drop(post.insert(*address, after)),
                None => same.push(*address),
            }
        }
        for address in same {
            pre.remove(&address);
        }
        Ok(post)
    }

    fn became(
        &self,
        address: Address,
        before: &mut Shown,
        change: Option<&AccountChange>,
        format: PrestateFormat,
    ) -> Result<Option<Shown>, EngineError> {
        let snapshot = &self.subject.snapshot;
        let mut after = Shown::default();
        let mut modified = false;
        let was = snapshot.info(address)?;
        let fields = match change {
            Some(change) => change.after.map(|after| (after.balance, after.nonce, after.code_hash)),
            None => was.as_ref().map(|info| (info.balance, info.nonce, info.code_hash)),
        };
        // geth gives an account that does not exist the hash 0, and takes one without code for one with the empty hash.
        let (balance, nonce, code_hash) = fields.unwrap_or_default();
        if before.balance != Some(balance) {
            (modified, after.balance) = (true, Some(balance));
        }
        if before.nonce != nonce {
            (modified, after.nonce) = (true, nonce);
        }
        if before.code_hash.unwrap_or(KECCAK_EMPTY) != code_hash {
            (modified, after.code_hash) = (true, Some(code_hash));
            let new = change.and_then(|change| change.code.as_ref());
            let code = new.map(Bytecode::original_bytes).unwrap_or_default();
            let had_code = before.code_hash.is_some();
            if !format.disable_code && (had_code || !code.is_empty()) {
                after.code = Some(code);
            }
        }
        before.storage.retain(|slot, value| {
            let now = value_after(change, U256::from_be_bytes(slot.0), U256::from_be_bytes(value.0));
            let now = B256::from(now);
            if now == *value {
                return false;
            }
            modified = true;
            if !now.is_zero() {
                after.storage.insert(*slot, now);
            }
            !value.is_zero()
        });
        Ok(modified.then_some(after))
    }
}

fn value_after(change: Option<&AccountChange>, slot: U256, before: U256) -> U256 {
    let Some(change) = change else { return before };
    match change.storage.iter().find(|changed| changed.slot == slot) {
        Some(changed) => changed.after,
        None if change.reset || change.after.is_none() => U256::ZERO,
        None => before,
    }
}

fn write_accounts(out: &mut String, accounts: &Accounts) {
    out.push('{');
    for (address, shown) in accounts {
        write_key(out, &format!("{address:#x}"));
        out.push('{');
        if let Some(balance) = shown.balance {
            write_key(out, "balance");
            write_text(out, &format!("{balance:#x}"));
        }
        if let Some(code) = &shown.code {
            write_key(out, "code");
            write_hex(out, code);
        }
        if let Some(code_hash) = &shown.code_hash {
            write_key(out, "codeHash");
            write_hex(out, code_hash.as_slice());
        }
        if shown.nonce != 0 {
            write_key(out, "nonce");
            out.push_str(&shown.nonce.to_string());
        }
        if !shown.storage.is_empty() {
            write_key(out, "storage");
            out.push('{');
            for (slot, value) in &shown.storage {
                write_key(out, &slot.to_string());
                write_hex(out, value.as_slice());
            }
            out.push('}');
        }
        out.push('}');
    }
    out.push('}');
}
