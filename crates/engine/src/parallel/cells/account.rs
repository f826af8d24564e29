//! The cell of an account.

use std::collections::VecDeque;
use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_primitives::{Address, B256, U256};
use revm::state::{AccountId, Bytecode};

use super::words::{Reader, Words};
use super::{AccountWrite, Fields, Life, Named, Pending};
use crate::error::Fault;
use crate::parallel::observed;
use crate::state::{AccountFields, Read, StateReader};

/// What a look without the lock gives: balance, nonce, code hash, flags and the last reset.
const WORDS: usize = 10;
const LOADED: u64 = 1;
/// Published writes wait here: what a transaction sees depends on its position.
const PENDING: u64 = 1 << 1;
const EXISTS: u64 = 1 << 2;
const TOUCHED: u64 = 1 << 3;
/// Four bits: which fields a committed transaction wrote.
const WRITTEN_SHIFT: u32 = 4;
const RESET_SHIFT: u32 = 32;

/// The cell: the account, and a copy of its committed fields to look at without the lock.
#[derive(Debug, Default)]
pub struct AccountCell {
    /// The address, zeros behind it.
    name: [AtomicU64; 3],
    words: Words<WORDS>,
    /// The reader's own name for it, and one: 0 where it has none.
    hint: AtomicUsize,
    reader: Reader,
    state: Mutex<AccountState>,
}

impl AccountCell {
    /// The account, locked.
    #[inline]
    pub fn lock(&self) -> AccountGuard<'_> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        AccountGuard { cell: self, state, changed: false }
    }

    /// What every transaction sees, noting the one at `position` as a reader. `None` where that depends on the
    /// position, or the state before the block was not asked yet: [`AccountGuard::view`] tells.
    #[inline]
    pub fn look(&self, position: u32) -> Option<Fields> {
        self.reader.note(position);
        self.peek()
    }

    /// The same for whoever is no reader.
    #[inline]
    pub fn peek(&self) -> Option<Fields> {
        let words = self.words.read()?;
        let flags = words[9];
        (flags & (LOADED | PENDING) == LOADED).then(|| Fields {
            balance: U256::from_limbs([words[0], words[1], words[2], words[3]]),
            nonce: words[4],
            code_hash: hash_of([words[5], words[6], words[7], words[8]]),
            exists: flags & EXISTS != 0,
            reset: (flags >> RESET_SHIFT) as u32,
        })
    }

    /// The reader's own name for the account, where it was asked and has one.
    #[inline]
    pub fn hint(&self) -> Option<AccountId> {
        AccountId::new(self.hint.load(Ordering::Relaxed).checked_sub(1)?)
    }

    /// Which fields committed transactions wrote, a bit each: balance, nonce, code, existence.
    #[inline]
    pub fn written(&self) -> u8 {
        (self.words.word::<9>() >> WRITTEN_SHIFT) as u8 & 0xf
    }

    /// Whose cell it is.
    pub fn name(&self) -> Address {
        let words = self.name.each_ref().map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
        Address::from_slice(&words.as_flattened()[..20])
    }

    /// A committed transaction touched the account and changed nothing.
    #[inline]
    pub fn touch(&self) {
        if self.words.read().is_none_or(|words| words[9] & TOUCHED == 0) {
            self.lock().touched = true;
        }
    }
}

impl Named for AccountCell {
    type Name = Address;

    #[inline]
    fn is_named(&self, name: Address) -> bool {
        self.name
            .iter()
            .zip(words_of_address(name))
            .all(|(word, of_name)| word.load(Ordering::Relaxed) == of_name)
    }

    fn begin(&self, name: Address, reader: Option<&dyn StateReader>) {
        for (word, of_name) in self.name.iter().zip(words_of_address(name)) {
            word.store(of_name, Ordering::Relaxed);
        }
        self.reader.clear();
        let mut cell = self.lock();
        cell.begin(name);
        if let Some(reader) = reader {
            // An error comes again when the account is looked at.
            let _asked = cell.ensure_loaded(reader);
        }
    }

    #[inline]
    fn hash(name: Address, hasher: &mut impl Hasher) {
        words_of_address(name).into_iter().for_each(|word| hasher.write_u64(word));
    }
}

#[inline]
fn words_of_address(address: Address) -> [u64; 3] {
    let mut bytes = [0; 24];
    bytes[..20].copy_from_slice(address.as_slice());
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|at| u64::from_ne_bytes(words[at]))
}

fn words_of(hash: B256) -> [u64; 4] {
    U256::from_be_bytes(hash.0).into_limbs()
}

fn hash_of(words: [u64; 4]) -> B256 {
    B256::from(U256::from_limbs(words).to_be_bytes())
}

/// An account, locked. Whatever is changed is there for those who look without the lock when the guard goes.
#[derive(Debug)]
pub struct AccountGuard<'c> {
    cell: &'c AccountCell,
    state: MutexGuard<'c, AccountState>,
    changed: bool,
}

impl std::ops::Deref for AccountGuard<'_> {
    type Target = AccountState;

    #[inline]
    fn deref(&self) -> &AccountState {
        &self.state
    }
}

impl std::ops::DerefMut for AccountGuard<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut AccountState {
        self.changed = true;
        &mut self.state
    }
}

impl Drop for AccountGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.show();
    }
}

impl AccountGuard<'_> {
    /// Shows what changed.
    #[inline]
    fn show(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.cell.words.write(self.state.words());
            let hint = self.state.hint.map_or(0, |hint| hint.get() + 1);
            self.cell.hint.store(hint, Ordering::Relaxed);
        }
    }

    /// The highest reader above a write that matters to readers, once it can be seen.
    fn readers_above(&mut self, position: u32, is_news: bool) -> Option<u32> {
        if !is_news {
            return None;
        }
        self.show();
        self.cell.reader.above(position)
    }

    /// What a transaction at `position` sees, which becomes a reader.
    pub fn view(
        &mut self,
        reader: &dyn StateReader,
        position: u32,
        state_clear: bool,
    ) -> Result<Read<Fields>, Fault> {
        if !self.loaded
            && let Read::Pending(ticket) = self.ensure_loaded(reader)?
        {
            return Ok(Read::Pending(ticket));
        }
        self.cell.reader.note(position);
        Ok(Read::Ready(self.fields_at(position, state_clear).unwrap_or_else(|| self.now.clone())))
    }

    /// A published write's transaction is to run again. Gives the highest reader above.
    pub fn mark_estimate(&mut self, position: u32) -> Option<u32> {
        let matters = self.estimate(position);
        self.readers_above(position, matters)
    }

    /// Publishes a write. Gives the highest reader above it that may have seen something else, if any: code, a
    /// creation and a destruction matter to those; balances and nonces are checked where they are committed.
    pub fn publish(&mut self, position: u32, write: &AccountWrite) -> Option<u32> {
        let is_news = self.insert(position, write);
        self.readers_above(position, is_news)
    }

    /// Takes back what an earlier incarnation published.
    pub fn withdraw(&mut self, position: u32) -> Option<u32> {
        let count = self.pending.len();
        self.pending.retain(|pending| pending.position != position);
        let is_news = self.pending.len() != count;
        self.readers_above(position, is_news)
    }

    /// Makes a write part of the block.
    pub fn commit(&mut self, position: u32, write: AccountWrite, state_clear: bool) -> Option<u32> {
        let is_news = self.apply(position, write, state_clear);
        self.readers_above(position, is_news)
    }
}

/// An account.
#[derive(Debug, Default)]
pub struct AccountState {
    /// Whose.
    pub address: Address,
    loaded: bool,
    /// The reader's own name for it.
    hint: Option<AccountId>,
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
    /// Who wrote last: balance, nonce, code, existence.
    pub writers: [u32; 4],
}

impl AccountState {
    fn begin(&mut self, address: Address) {
        let pending = std::mem::take(&mut self.pending);
        *self = Self { address, pending, ..Self::default() };
        self.pending.clear();
    }

    fn words(&self) -> [u64; WORDS] {
        let [b0, b1, b2, b3] = self.now.balance.into_limbs();
        let [c0, c1, c2, c3] = words_of(self.now.code_hash);
        let mut flags = u64::from(self.now.reset) << RESET_SHIFT;
        let set = [
            (LOADED, self.loaded),
            (PENDING, !self.pending.is_empty()),
            (EXISTS, self.now.exists),
            (TOUCHED, self.touched),
        ];
        for (flag, _) in set.into_iter().filter(|(_, on)| *on) {
            flags |= flag;
        }
        for (field, writer) in self.writers.iter().enumerate() {
            flags |= u64::from(*writer != 0) << (WRITTEN_SHIFT + field as u32);
        }
        [b0, b1, b2, b3, self.now.nonce, c0, c1, c2, c3, flags]
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

    /// Marks a published write as one that will be written again. Whether that matters to readers.
    fn estimate(&mut self, position: u32) -> bool {
        let Some(found) = self.pending.iter_mut().find(|pending| pending.position == position) else {
            return false;
        };
        found.estimate = true;
        let write = &found.write;
        write.code.is_some() || write.nonce.is_some() || write.life != Life::Touched
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

    /// Inserts a published write. Whether it matters to readers.
    fn insert(&mut self, position: u32, write: &AccountWrite) -> bool {
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
        is_news
    }

    /// Applies a committed write. Whether it matters to readers.
    fn apply(&mut self, position: u32, write: AccountWrite, state_clear: bool) -> bool {
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
        is_news
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
