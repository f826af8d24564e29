//! What a block's transactions share: a cell for each account and each slot that any of them met. A cell holds the
//! state before the block (read once, by whoever comes first), the committed prefix of the block, and the published
//! writes that are not committed yet, by position.
//!
//! Positions: 0 is before the first transaction, `i + 1` is transaction `i`, `n + 1` is after the last.

use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, DefaultHashBuilder, HashMap},
};
use revm::primitives::KECCAK_EMPTY;
use revm::state::{AccountId, Bytecode};

use super::arena::Arena;
use super::observed;
use crate::error::Fault;
use crate::state::{AccountFields, Read, StateReader};

/// Shards of the index from addresses and slots to cells.
const SHARDS: usize = 64;
/// The most cells of a kind, and entries of an index, whose memory is kept between blocks.
const MAX_KEPT: usize = 131_072;

/// An amount to add to a balance or to take from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Whether it is taken.
    pub negative: bool,
    /// How much.
    pub amount: U256,
}

impl Delta {
    /// What leads from one balance to another.
    #[inline]
    pub fn between(before: U256, after: U256) -> Self {
        match after.checked_sub(before) {
            Some(amount) => Self { negative: false, amount },
            None => Self { negative: true, amount: before.wrapping_sub(after) },
        }
    }

    /// The balance afterwards. Wraps only where the bounds that the writer observed do not hold; then the writer runs
    /// again before anything is committed.
    #[inline]
    pub fn apply(self, balance: U256) -> U256 {
        if self.negative { balance.wrapping_sub(self.amount) } else { balance.wrapping_add(self.amount) }
    }
}

/// What a transaction did to an account as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// Touched it.
    #[default]
    Touched,
    /// Created a contract there: its slots begin at zero.
    Created,
    /// Destroyed it: nothing of it is left.
    Destroyed,
}

/// A transaction's write to an account. A touch is a write without content.
#[derive(Clone, Debug, Default)]
pub struct AccountWrite {
    /// Touched, created or destroyed.
    pub life: Life,
    /// Change of the balance.
    pub delta: Delta,
    /// New nonce.
    pub nonce: Option<u64>,
    /// New code with its hash.
    pub code: Option<(B256, Bytecode)>,
}

/// The fields of an account at some position.
#[derive(Clone, Debug)]
pub struct Fields {
    /// Wei.
    pub balance: U256,
    /// Nonce.
    pub nonce: u64,
    /// keccak256 of the code.
    pub code_hash: B256,
    /// Whether there is an account at all.
    pub exists: bool,
    /// Position of the last creation or destruction; 0 for none in this block.
    pub reset: u32,
}

impl Default for Fields {
    fn default() -> Self {
        Self { balance: U256::ZERO, nonce: 0, code_hash: KECCAK_EMPTY, exists: false, reset: 0 }
    }
}

impl Fields {
    /// Whether nonce or code make it non-empty, whatever its balance.
    #[inline]
    pub fn is_alive(&self) -> bool {
        self.nonce != 0 || self.code_hash != KECCAK_EMPTY
    }

    /// Makes a write. `state_clear`: touched empty accounts are deleted (EIP-161).
    #[inline]
    fn fold(&mut self, write: &AccountWrite, position: u32, state_clear: bool) {
        if write.life == Life::Destroyed {
            *self = Self { reset: position, ..Self::default() };
            return;
        }
        if write.life == Life::Created {
            self.reset = position;
        }
        self.balance = write.delta.apply(self.balance);
        if let Some(nonce) = write.nonce {
            self.nonce = nonce;
        }
        if let Some((hash, _)) = &write.code {
            self.code_hash = *hash;
        }
        self.exists = !(state_clear && self.balance.is_zero() && !self.is_alive());
    }
}

/// A write that is published and not committed yet.
#[derive(Debug)]
struct Pending<T> {
    position: u32,
    /// Its transaction is to run again: it will probably write here again, and something else.
    estimate: bool,
    write: T,
}

/// A slot's write with its version.
type SlotWrite = (u32, U256);

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
    pending: Vec<Pending<AccountWrite>>,
    /// The highest position that looked at it.
    reader: u32,
    /// Who wrote last: balance, nonce, code, existence.
    pub writers: [u32; 4],
}

impl AccountState {
    fn begin(&mut self, address: Address) {
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
        if self.pending.first().is_none_or(|first| first.position >= position) {
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
        if let Some(place) = self.pending.iter().position(|pending| pending.position == position) {
            let old = self.pending.remove(place).write;
            // Whoever looked after the publication has seen this.
            is_news &= old.life != write.life || old.code.map(|it| it.0) != write.code.as_ref().map(|it| it.0);
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

/// What a slot's reader saw: the value and which write it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotView {
    /// The value.
    pub value: U256,
    /// Position and incarnation of the write, or of the reset below which it lies; 0 for the state before the block.
    pub version: u32,
    /// The transaction that wrote it is to run again.
    pub estimate: bool,
}

/// Bits of a version below the position.
const INCARNATION_BITS: u32 = 3;
/// In place of an incarnation: the slot is zero because its account was reset at that position.
const RESET: u32 = (1 << INCARNATION_BITS) - 1;

/// The version of a write.
#[inline]
pub fn version(position: u32, incarnation: usize) -> u32 {
    // An incarnation is at most MAX_EXECUTIONS, which fits below RESET.
    position << INCARNATION_BITS | (incarnation as u32 + 1)
}

/// The position that a version names.
#[inline]
pub fn position_of(version: u32) -> u32 {
    version >> INCARNATION_BITS
}

/// A storage slot.
#[derive(Debug, Default)]
pub struct SlotState {
    /// The cell of its account.
    pub account: u32,
    /// Its key.
    pub key: U256,
    loaded: bool,
    /// Before the block, where it was asked.
    pub before: U256,
    now: U256,
    version: u32,
    pending: Vec<Pending<SlotWrite>>,
    reader: u32,
}

impl SlotState {
    fn begin(&mut self, account: u32, key: U256) {
        let pending = std::mem::take(&mut self.pending);
        *self = Self { account, key, pending, ..Self::default() };
        self.pending.clear();
    }

    /// Asks the state before the block, once.
    pub fn load(
        &mut self,
        reader: &dyn StateReader,
        address: Address,
        hint: Option<AccountId>,
    ) -> Result<Read<()>, Fault> {
        if self.loaded {
            return Ok(Read::Ready(()));
        }
        match reader.storage(address, hint, self.key)? {
            Read::Ready(value) => {
                self.before = value;
                if self.version == 0 {
                    self.now = value;
                }
                self.loaded = true;
                Ok(Read::Ready(()))
            }
            Read::Pending(ticket) => Ok(Read::Pending(ticket)),
        }
    }

    /// The latest write below `position`, for an account that was last reset at `reset`. `None`: the state before the
    /// block must be asked first.
    #[inline]
    pub fn view(&mut self, position: u32, reset: u32) -> Option<SlotView> {
        self.reader = self.reader.max(position);
        self.peek(position, reset)
    }

    #[inline]
    fn peek(&self, position: u32, reset: u32) -> Option<SlotView> {
        let written = self.pending.iter().rev().find(|pending| pending.position < position);
        let (version, value, estimate) = match written {
            Some(Pending { write: (version, value), estimate, .. }) => (*version, *value, *estimate),
            None => (self.version, self.now, false),
        };
        if position_of(version) < reset {
            let version = reset << INCARNATION_BITS | RESET;
            return Some(SlotView { value: U256::ZERO, version, estimate: false });
        }
        (version != 0 || self.loaded).then_some(SlotView { value, version, estimate })
    }

    /// The version that a transaction at `position` would see now, and whether it is to be written again.
    #[inline]
    pub fn version_at(&self, position: u32, reset: u32) -> (u32, bool) {
        self.peek(position, reset).map_or((0, false), |view| (view.version, view.estimate))
    }

    /// A published write's transaction is to run again. Gives the highest reader above.
    pub fn mark_estimate(&mut self, position: u32) -> Option<u32> {
        let found = self.pending.iter_mut().find(|pending| pending.position == position)?;
        found.estimate = true;
        (self.reader > position).then_some(self.reader)
    }

    /// Publishes a write. An equal value of an earlier incarnation keeps its version, so that who read it stays valid.
    pub fn publish(&mut self, position: u32, incarnation: usize, value: U256) -> Option<u32> {
        let place = self.pending.partition_point(|pending| pending.position < position);
        let write = (version(position, incarnation), value);
        let new = Pending { position, estimate: false, write };
        match self.pending.get_mut(place) {
            Some(old) if old.position == position => {
                old.estimate = false;
                if old.write.1 == value {
                    return None;
                }
                *old = new;
            }
            _ => self.pending.insert(place, new),
        }
        (self.reader > position).then_some(self.reader)
    }

    /// Takes back what an earlier incarnation published.
    pub fn withdraw(&mut self, position: u32) -> Option<u32> {
        let count = self.pending.len();
        self.pending.retain(|pending| pending.position != position);
        (self.pending.len() != count && self.reader > position).then_some(self.reader)
    }

    /// Makes a write part of the block.
    pub fn commit(&mut self, position: u32, incarnation: usize, value: U256) -> Option<u32> {
        let mut committed = version(position, incarnation);
        let mut is_news = true;
        if let Some(place) = self.pending.iter().position(|pending| pending.position == position) {
            let (published, old) = self.pending.remove(place).write;
            if old == value {
                committed = published;
                is_news = false;
            }
        }
        self.now = value;
        self.version = committed;
        (is_news && self.reader > position).then_some(self.reader)
    }

    /// The committed value; `None` where no transaction wrote and nobody asked.
    pub fn committed(&self, reset: u32) -> Option<U256> {
        if position_of(self.version) < reset {
            return Some(U256::ZERO);
        }
        (self.version != 0 || self.loaded).then_some(self.now)
    }

    /// The version of the last committed write.
    pub fn committed_version(&self) -> u32 {
        self.version
    }

    /// Whether the state before the block was asked.
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }
}

#[derive(Default)]
struct Shard {
    accounts: AddressMap<u32>,
    slots: HashMap<(u32, U256), u32>,
}

/// All cells of a block.
pub struct Cells {
    accounts: Arena<Mutex<AccountState>>,
    slots: Arena<Mutex<SlotState>>,
    shards: Box<[Mutex<Shard>]>,
    hasher: DefaultHashBuilder,
}

impl Default for Cells {
    fn default() -> Self {
        Self {
            accounts: Arena::default(),
            slots: Arena::default(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

/// A worker that panicked has already failed the block; what it left is not used.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cells {
    fn shard(&self, key: impl std::hash::Hash) -> MutexGuard<'_, Shard> {
        use std::hash::BuildHasher;
        // The low bits choose a bucket in the shard's own table.
        let hash = self.hasher.hash_one(key);
        lock(&self.shards[(hash >> 32) as usize % SHARDS])
    }

    /// The number of an account's cell.
    pub fn account_number(&self, address: Address) -> u32 {
        *self.shard(address).accounts.entry(address).or_insert_with(|| {
            let number = self.accounts.take();
            self.account(number).begin(address);
            number
        })
    }

    /// The number of a slot's cell.
    pub fn slot_number(&self, account: u32, key: U256) -> u32 {
        *self.shard((account, key)).slots.entry((account, key)).or_insert_with(|| {
            let number = self.slots.take();
            self.slot(number).begin(account, key);
            number
        })
    }

    /// An account's cell.
    #[inline]
    pub fn account(&self, number: u32) -> MutexGuard<'_, AccountState> {
        lock(self.accounts.get(number))
    }

    /// A slot's cell.
    #[inline]
    pub fn slot(&self, number: u32) -> MutexGuard<'_, SlotState> {
        lock(self.slots.get(number))
    }

    /// How many accounts and slots there are.
    pub fn len(&self) -> (u32, u32) {
        (self.accounts.len(), self.slots.len())
    }

    /// Forgets the block but keeps the memory that a block of usual size needs.
    pub fn clear(&mut self) {
        self.accounts.clear(MAX_KEPT);
        self.slots.clear(MAX_KEPT);
        for shard in &mut self.shards {
            let shard = shard.get_mut().unwrap_or_else(PoisonError::into_inner);
            if shard.accounts.capacity() > MAX_KEPT / SHARDS || shard.slots.capacity() > MAX_KEPT / SHARDS {
                *shard = Shard::default();
            }
            shard.accounts.clear();
            shard.slots.clear();
        }
    }
}
