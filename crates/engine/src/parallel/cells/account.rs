//! The cell of an account.

use std::collections::VecDeque;

use alloy_primitives::{Address, B256};
use revm::state::{AccountId, Bytecode};

use super::{AccountWrite, Fields, Life, Pending};
use crate::error::Fault;
use crate::parallel::observed;
use crate::state::{AccountFields, Read, StateReader};

/// An account.
#[derive(Debug, Default)]
pub struct AccountState {
    /// Whose.
    pub address: Address,
    loaded: bool,
    /// The reader's own name for it.
    pub hint: Option<AccountId>,
    /// Before the block.
    pub before: Option<AccountFields>,
    /// After the committed prefix.
    pub now: Fields,
    code: Option<Bytecode>,
    /// A committed transaction touched it.
    pub touched: bool,
    /// A committed transaction created a contract there.
    pub created: bool,
    /// A committed transaction destroyed it.
    pub destroyed: bool,
    pending: VecDeque<Pending<AccountWrite>>,
    /// The highest position that looked at it.
    reader: u32,
    /// Who wrote last: balance, nonce, code, existence.
    pub writers: [u32; 4],
}

impl AccountState {
    pub(super) fn begin(&mut self, address: Address) {
        let pending = std::mem::take(&mut self.pending);
        *self = Self { address, pending, ..Self::default() };
        self.pending.clear();
    }

    /// Asks the state before the block, once.
    pub fn ensure_loaded(&mut self, reader: &dyn StateReader) -> Result<Read<()>, Fault> {
        if self.loaded {
            return Ok(Read::Ready(()));
        }
        let info = match reader.account(self.address)? {
            Read::Ready(info) => info,
            Read::Pending(ticket) => return Ok(Read::Pending(ticket)),
        };
        self.loaded = true;
        if let Some(info) = info {
            let (balance, nonce, code_hash) = (info.balance, info.nonce, info.code_hash);
            self.before = Some(AccountFields { nonce, balance, code_hash });
            self.now = Fields { balance, nonce, code_hash, exists: true, reset: 0 };
            self.hint = info.account_id;
            self.code = info.code;
        }
        Ok(Read::Ready(()))
    }

    /// What a transaction at `position` sees, which becomes a reader.
    pub fn view(
        &mut self,
        reader: &dyn StateReader,
        position: u32,
        state_clear: bool,
    ) -> Result<Read<Fields>, Fault> {
        if let Read::Pending(ticket) = self.ensure_loaded(reader)? {
            return Ok(Read::Pending(ticket));
        }
        self.reader = self.reader.max(position);
        Ok(Read::Ready(self.fields_at(position, state_clear).unwrap_or_else(|| self.now.clone())))
    }

    /// The fields as a transaction at `position` sees them, where published writes make them differ from `now`.
    pub fn fields_at(&self, position: u32, state_clear: bool) -> Option<Fields> {
        if self.pending.front().is_none_or(|first| first.position >= position) {
            return None;
        }
        let mut fields = self.now.clone();
        for pending in self.pending.iter().take_while(|pending| pending.position < position) {
            fields.fold(&pending.write, pending.position, state_clear);
        }
        Some(fields)
    }

    /// The highest transaction below `position` that is to run again and wrote here, and which fields.
    pub fn estimate_below(&self, position: u32) -> Option<(u32, u8)> {
        let mut below = self.pending.iter().rev().filter(|pending| pending.position < position);
        let found = below.find(|pending| pending.estimate)?;
        let write = &found.write;
        let mut fields = 0;
        for (field, written) in [
            (observed::EXACT_BALANCE, !write.delta.amount.is_zero()),
            (observed::NONCE, write.nonce.is_some()),
            (observed::CODE, write.code.is_some()),
            (observed::EXISTENCE | observed::ALIVE | observed::RESET, write.life != Life::Touched),
        ] {
            fields |= if written || write.life == Life::Destroyed { field } else { 0 };
        }
        Some((found.position, fields))
    }

    /// A published write's transaction is to run again. Gives the highest reader above.
    pub fn mark_estimate(&mut self, position: u32) -> Option<u32> {
        let found = self.pending.iter_mut().find(|pending| pending.position == position)?;
        found.estimate = true;
        let write = &found.write;
        let matters = write.code.is_some() || write.nonce.is_some() || write.life != Life::Touched;
        (matters && self.reader > position).then_some(self.reader)
    }

    /// The position of the last write below `position` to balance, nonce, code or existence (0 to 3); 0 for none.
    pub fn last_writer(&self, position: u32, field: usize) -> u32 {
        let writes = |write: &AccountWrite| match field {
            0 => !write.delta.amount.is_zero() || write.life == Life::Destroyed,
            1 => write.nonce.is_some() || write.life == Life::Destroyed,
            2 => write.code.is_some() || write.life == Life::Destroyed,
            _ => true,
        };
        let mut below = self.pending.iter().rev().filter(|pending| pending.position < position);
        let last = below.find(|pending| writes(&pending.write));
        last.map_or(self.writers[field], |pending| pending.position)
    }

    /// The code with this hash as a transaction at `position` sees it; `None` to ask the reader.
    pub fn code(&self, hash: B256, position: u32) -> Option<Bytecode> {
        let written = self.pending.iter().rev().filter(|pending| pending.position < position);
        for (found, code) in written.filter_map(|pending| pending.write.code.as_ref()) {
            if *found == hash {
                return Some(code.clone());
            }
        }
        self.code.as_ref().filter(|_| self.now.code_hash == hash).cloned()
    }

    /// Keeps code that the reader gave.
    pub fn keep_code(&mut self, hash: B256, code: &Bytecode) {
        if self.code.is_none() && self.now.code_hash == hash {
            self.code = Some(code.clone());
        }
    }

    /// Publishes a write. Gives the highest reader above it that may have seen something else, if any: code, a
    /// creation and a destruction matter to those; balances and nonces are checked where they are committed.
    pub fn publish(&mut self, position: u32, write: &AccountWrite) -> Option<u32> {
        let place = self.pending.partition_point(|pending| pending.position < position);
        let matters = |write: &AccountWrite| write.code.is_some() || write.life != Life::Touched;
        let mut is_news = matters(write);
        let new = Pending { position, estimate: false, write: write.clone() };
        match self.pending.get_mut(place) {
            Some(old) if old.position == position => {
                is_news |= matters(&old.write);
                *old = new;
            }
            _ => self.pending.insert(place, new),
        }
        (is_news && self.reader > position).then_some(self.reader)
    }

    /// Takes back what an earlier incarnation published.
    pub fn withdraw(&mut self, position: u32) -> Option<u32> {
        let count = self.pending.len();
        self.pending.retain(|pending| pending.position != position);
        (self.pending.len() != count && self.reader > position).then_some(self.reader)
    }

    /// Makes a write part of the block.
    pub fn commit(&mut self, position: u32, write: AccountWrite, state_clear: bool) -> Option<u32> {
        let mut is_news = write.code.is_some() || write.life != Life::Touched;
        let place = self.pending.iter().position(|pending| pending.position == position);
        if let Some(old) = place.and_then(|place| self.pending.remove(place)).map(|pending| pending.write) {
            // Whoever looked after the publication has seen this.
            is_news &=
                old.life != write.life || old.code.map(|it| it.0) != write.code.as_ref().map(|it| it.0);
        }
        let existed = self.now.exists;
        self.now.fold(&write, position, state_clear);
        match write.life {
            Life::Destroyed => {
                self.destroyed = true;
                self.touched = false;
                self.created = false;
                self.code = None;
                self.writers = [position; 4];
            }
            life => {
                self.touched = true;
                self.created |= life == Life::Created;
                if !write.delta.amount.is_zero() {
                    self.writers[0] = position;
                }
                if write.nonce.is_some() {
                    self.writers[1] = position;
                }
            }
        }
        if let Some((_, code)) = write.code {
            self.code = Some(code);
            self.writers[2] = position;
        }
        if existed != self.now.exists || write.life == Life::Created {
            self.writers[3] = position;
        }
        (is_news && self.reader > position).then_some(self.reader)
    }

    /// The fields before the block.
    pub fn fields_before(&self) -> Fields {
        self.before.map_or_else(Fields::default, |before| Fields {
            balance: before.balance,
            nonce: before.nonce,
            code_hash: before.code_hash,
            exists: true,
            reset: 0,
        })
    }

    /// The committed code, where a write of this block left any.
    pub fn committed_code(&self) -> Option<&Bytecode> {
        self.code.as_ref()
    }
}
