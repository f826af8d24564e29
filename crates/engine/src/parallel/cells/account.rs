//! The cell of an account: three cache lines, of which an account without code needs two. What is rare (code, writes that
//! wait for their turn, fields before the block that do not fit) is kept elsewhere.

use std::hash::Hasher;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use alloy_primitives::{Address, B256, U256};
use revm::primitives::KECCAK_EMPTY;
use revm::state::{AccountId, AccountInfo, Bytecode};

use super::rest::Rest;
use super::words::{Reader, Sequence};
use super::{AccountWrite, Delta, Fields, Life, Named};
use crate::ahead;
use crate::error::Fault;
use crate::parallel::observed;
use crate::state::reader::AccountAnswer;
use crate::state::{AccountFields, Read, StateReader};

const LOADED: u64 = 1;
/// Published writes wait in the rest: what a transaction sees depends on its position.
const PENDING: u64 = 1 << 1;
const EXISTS: u64 = 1 << 2;
/// A committed transaction touched it.
const TOUCHED: u64 = 1 << 3;
/// Four bits: which fields a committed transaction wrote.
const WRITTEN_SHIFT: u32 = 4;
const WRITTEN: u64 = 0xf << WRITTEN_SHIFT;
/// A committed transaction destroyed it.
const DESTROYED: u64 = 1 << 8;
/// There is code: its hash is in the third line.
const CODED: u64 = 1 << 9;
/// There was an account before the block.
const EXISTED: u64 = 1 << 10;
/// The fields before the block are in the rest: the balance takes more than 128 bits, or the code is another now.
const BEFORE_KEPT: u64 = 1 << 11;
/// The block uses the rest.
const REST: u64 = 1 << 12;
const RESET_SHIFT: u32 = 32;

/// The cell. Everything in it is changed under the lock, but for the names of a cell that nobody knows yet; the first
/// line and the hash of the code are looked at without it.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct AccountCell {
    sequence: Sequence,
    reader: Reader,
    flags: AtomicU64,
    balance: [AtomicU64; 4],
    nonce: AtomicU64,
    lock: Mutex<()>,
    /// The address but for its last four bytes, and those.
    name: [AtomicU64; 2],
    name_end: AtomicU32,
    /// The reader's own name for it, and one: 0 where it has none.
    hint: AtomicU32,
    before_balance: [AtomicU64; 2],
    before_nonce: AtomicU64,
    /// Who wrote balance, nonce, code and existence last, where the flags say that somebody has.
    writers: [AtomicU32; 4],
    code_hash: [AtomicU64; 4],
    rest: OnceLock<Box<Mutex<Rest>>>,
}

/// An account without code leaves the third line alone.
const _: () = assert!(std::mem::offset_of!(AccountCell, code_hash) == 128 && size_of::<AccountCell>() == 192);

impl AccountCell {
    /// The account, locked.
    #[inline]
    pub fn lock(&self) -> AccountGuard<'_> {
        // Most of those who lock it write there.
        ahead::claim(&self.name);
        AccountGuard { cell: self, _held: self.lock.lock().unwrap_or_else(PoisonError::into_inner) }
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
        let (flags, fields) = self.read()?;
        (flags & (LOADED | PENDING) == LOADED).then_some(fields)
    }

    /// The same after the committed prefix.
    #[inline]
    pub fn peek_committed(&self) -> Option<Fields> {
        let (flags, fields) = self.read()?;
        (flags & LOADED != 0).then_some(fields)
    }

    #[inline]
    fn read(&self) -> Option<(u64, Fields)> {
        self.sequence.read(|| {
            let flags = self.flags();
            (flags, self.fields(flags))
        })
    }

    /// The committed fields. Without the lock they may be of different moments.
    #[inline]
    fn fields(&self, flags: u64) -> Fields {
        Fields {
            balance: U256::from_limbs(self.balance.each_ref().map(|word| word.load(Ordering::Relaxed))),
            nonce: self.nonce.load(Ordering::Relaxed),
            code_hash: self.code_hash(flags),
            exists: flags & EXISTS != 0,
            reset: (flags >> RESET_SHIFT) as u32,
        }
    }

    #[inline]
    fn flags(&self) -> u64 {
        self.flags.load(Ordering::Relaxed)
    }

    /// The reader's own name for the account, where it was asked and has one.
    #[inline]
    pub fn hint(&self) -> Option<AccountId> {
        AccountId::new(self.hint.load(Ordering::Relaxed).checked_sub(1)? as usize)
    }

    /// Which fields committed transactions wrote, a bit each: balance, nonce, code, existence.
    #[inline]
    pub fn written(&self) -> u8 {
        ((self.flags() & WRITTEN) >> WRITTEN_SHIFT) as u8
    }

    /// Whose cell it is.
    pub fn name(&self) -> Address {
        let mut address = Address::ZERO;
        let words = self.name.each_ref().map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
        address[..16].copy_from_slice(words.as_flattened());
        address[16..].copy_from_slice(&self.name_end.load(Ordering::Relaxed).to_ne_bytes());
        address
    }

    /// What committed transactions made of the account, where one touched or destroyed it. Nobody commits meanwhile.
    #[inline]
    pub fn settled(&self) -> Option<Settled> {
        let flags = self.flags();
        let is_destroyed = flags & DESTROYED != 0;
        let met = is_destroyed || flags & TOUCHED != 0;
        met.then(|| Settled { before: self.before(flags), now: self.fields(flags), is_destroyed })
    }

    /// Before the block.
    #[inline]
    fn before(&self, flags: u64) -> Option<AccountFields> {
        if flags & EXISTED == 0 {
            return None;
        }
        if flags & BEFORE_KEPT != 0 {
            return self.rest().before;
        }
        let [low, high] = self.before_balance.each_ref().map(|word| word.load(Ordering::Relaxed));
        Some(AccountFields {
            nonce: self.before_nonce.load(Ordering::Relaxed),
            balance: U256::from_limbs([low, high, 0, 0]),
            code_hash: self.code_hash(flags),
        })
    }

    #[inline]
    fn code_hash(&self, flags: u64) -> B256 {
        if flags & CODED == 0 {
            return KECCAK_EMPTY;
        }
        let words = self.code_hash.each_ref().map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
        B256::from_slice(words.as_flattened())
    }

    /// A committed transaction touched the account and changed nothing.
    #[inline]
    pub fn touch(&self) {
        if self.flags() & TOUCHED == 0 {
            let guard = self.lock();
            self.sequence.write(|| self.flags.store(guard.flags() | TOUCHED, Ordering::Relaxed));
        }
    }

    /// The state before the block. Nobody else changes the cell meanwhile.
    fn fill(&self, info: Option<AccountInfo>) {
        let mut flags = self.flags() | LOADED;
        let Some(info) = info else { return self.show_flags(flags) };
        let AccountInfo { balance, nonce, code_hash, account_id, code, .. } = info;
        self.hint.store(account_id.map_or(0, |hint| hint.get() as u32 + 1), Ordering::Relaxed);
        flags |= EXISTS | EXISTED;
        let [b0, b1, b2, b3] = balance.into_limbs();
        self.before_balance[0].store(b0, Ordering::Relaxed);
        self.before_balance[1].store(b1, Ordering::Relaxed);
        self.before_nonce.store(nonce, Ordering::Relaxed);
        let fields = Fields { balance, nonce, code_hash, exists: true, reset: 0 };
        if code_hash != KECCAK_EMPTY {
            flags |= CODED | REST;
            self.rest().code = code;
        }
        if b2 | b3 != 0 {
            flags |= BEFORE_KEPT | REST;
            self.rest().before = Some(AccountFields { nonce, balance, code_hash });
        }
        self.show(&fields, flags);
    }

    fn show_flags(&self, flags: u64) {
        self.sequence.write(|| self.flags.store(flags, Ordering::Relaxed));
    }

    /// Shows new fields.
    #[inline]
    fn show(&self, fields: &Fields, flags: u64) {
        self.sequence.write(|| {
            for (word, limb) in self.balance.iter().zip(fields.balance.as_limbs()) {
                word.store(*limb, Ordering::Relaxed);
            }
            self.nonce.store(fields.nonce, Ordering::Relaxed);
            if flags & CODED != 0 {
                let (hash, _) = fields.code_hash.as_chunks::<8>();
                for (word, bytes) in self.code_hash.iter().zip(hash) {
                    word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
                }
            }
            self.flags.store(flags, Ordering::Relaxed);
        });
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.get_or_init(Box::default).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Named for AccountCell {
    type Name = Address;

    #[inline]
    fn is_named(&self, name: Address) -> bool {
        let ([first, second], end) = words_of(name);
        self.name[0].load(Ordering::Relaxed) == first
            && self.name[1].load(Ordering::Relaxed) == second
            && self.name_end.load(Ordering::Relaxed) == end
    }

    #[inline]
    fn claim(&self) {
        ahead::claim(&self.sequence);
        ahead::claim(&self.name);
    }

    #[inline]
    fn hash(name: Address, hasher: &mut impl Hasher) {
        let ([first, second], end) = words_of(name);
        hasher.write_u64(first);
        hasher.write_u64(second);
        hasher.write_u64(end.into());
    }
}

impl AccountCell {
    /// Makes the cell `name`'s, with what the state before the block said, if it was asked, for its first reader. Nobody
    /// knows the cell yet.
    pub(super) fn begin_with(&self, name: Address, answer: Option<AccountAnswer>, position: u32) {
        if self.flags() & REST != 0 {
            self.rest().clear();
        }
        let (words, end) = words_of(name);
        for (word, of_name) in self.name.iter().zip(words) {
            word.store(of_name, Ordering::Relaxed);
        }
        self.name_end.store(end, Ordering::Relaxed);
        self.reader.begin(position);
        self.hint.store(0, Ordering::Relaxed);
        let missing = Fields::default();
        // An error comes again when the account is looked at.
        match answer {
            Some(Ok(Read::Ready(Some(info)))) => {
                self.flags.store(0, Ordering::Relaxed);
                self.fill(Some(info));
            }
            Some(Ok(Read::Ready(None))) => self.show(&missing, LOADED),
            _ => self.show(&missing, 0),
        }
    }
}

#[inline]
fn words_of(address: Address) -> ([u64; 2], u32) {
    let (words, end) = address.0.as_chunks::<8>();
    let end = end.first_chunk().copied().unwrap_or_default();
    ([u64::from_ne_bytes(words[0]), u64::from_ne_bytes(words[1])], u32::from_ne_bytes(end))
}

/// What a block made of an account.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Before the block.
    pub before: Option<AccountFields>,
    /// After the committed prefix.
    pub now: Fields,
    /// It was destroyed on the way.
    pub is_destroyed: bool,
}

/// An account, locked.
#[derive(Debug)]
pub struct AccountGuard<'c> {
    cell: &'c AccountCell,
    _held: MutexGuard<'c, ()>,
}

impl AccountGuard<'_> {
    #[inline]
    fn flags(&self) -> u64 {
        self.cell.flags()
    }

    fn has(&self, flag: u64) -> bool {
        self.flags() & flag != 0
    }

    /// Whose.
    pub fn address(&self) -> Address {
        self.cell.name()
    }

    /// After the committed prefix.
    #[inline]
    pub fn now(&self) -> Fields {
        self.cell.fields(self.flags())
    }

    /// The fields before the block.
    pub fn fields_before(&self) -> Fields {
        self.cell.before(self.flags()).map_or_else(Fields::default, |before| Fields {
            balance: before.balance,
            nonce: before.nonce,
            code_hash: before.code_hash,
            exists: true,
            reset: 0,
        })
    }

    /// Asks the state before the block, once.
    pub fn ensure_loaded(&mut self, reader: &dyn StateReader) -> Result<Read<()>, Fault> {
        if self.has(LOADED) {
            return Ok(Read::Ready(()));
        }
        match reader.account(self.address())? {
            Read::Ready(info) => self.cell.fill(info),
            Read::Pending(ticket) => return Ok(Read::Pending(ticket)),
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
        self.cell.reader.note(position);
        Ok(Read::Ready(self.fields_at(position, state_clear)))
    }

    /// The fields as a transaction at `position` sees them.
    pub fn fields_at(&self, position: u32, state_clear: bool) -> Fields {
        let mut fields = self.now();
        if self.has(PENDING) {
            self.cell.rest().fold_below(position, &mut fields, state_clear);
        }
        fields
    }

    /// The highest transaction below `position` that is to run again and wrote here, and which fields.
    pub fn estimate_below(&self, position: u32) -> Option<(u32, u8)> {
        if !self.has(PENDING) {
            return None;
        }
        let rest = self.cell.rest();
        let (by, write) = rest.estimate_below(position)?;
        let mut fields = 0;
        for (field, written) in [
            (observed::EXACT_BALANCE, !write.delta.amount.is_zero()),
            (observed::NONCE, write.nonce.is_some()),
            (observed::CODE, write.code.is_some()),
            (observed::EXISTENCE | observed::ALIVE | observed::RESET, write.life != Life::Touched),
        ] {
            fields |= if written || write.life == Life::Destroyed { field } else { 0 };
        }
        Some((by, fields))
    }

    /// The position of the last committed write to balance, nonce, code or existence (0 to 3); 0 for none.
    pub fn writer(&self, field: usize) -> u32 {
        let written = self.has(1 << (WRITTEN_SHIFT + field as u32));
        if written { self.cell.writers[field].load(Ordering::Relaxed) } else { 0 }
    }

    /// The position of the last write to it below `position`, published ones included.
    pub fn last_writer(&self, position: u32, field: usize) -> u32 {
        let published = if self.has(PENDING) { self.cell.rest().last_writer(position, field) } else { None };
        published.unwrap_or_else(|| self.writer(field))
    }

    /// The code with this hash as a transaction at `position` sees it; `None` to ask the reader.
    pub fn code(&self, hash: B256, position: u32) -> Option<Bytecode> {
        if !self.has(REST) {
            return None;
        }
        let rest = self.cell.rest();
        let written = rest.code_below(hash, position);
        written.or_else(|| rest.code.clone().filter(|_| self.now().code_hash == hash))
    }

    /// Keeps code that the reader gave.
    pub fn keep_code(&mut self, hash: B256, code: &Bytecode) {
        if self.now().code_hash == hash {
            self.cell.show_flags(self.flags() | REST);
            self.cell.rest().code.get_or_insert_with(|| code.clone());
        }
    }

    /// The committed code, where a write of this block left any.
    pub fn committed_code(&self) -> Option<Bytecode> {
        if self.has(REST) { self.cell.rest().code.clone() } else { None }
    }

    /// The highest reader above a write that matters to readers, once it can be seen.
    fn readers_above(&self, position: u32, is_news: bool) -> Option<u32> {
        if is_news { self.cell.reader.above(position) } else { None }
    }

    /// Shows whether anything waits in the rest.
    fn show_rest(&self, is_pending: bool) {
        let pending = if is_pending { PENDING } else { 0 };
        self.cell.show_flags((self.flags() & !PENDING) | REST | pending);
    }

    /// A published write's transaction is to run again. Gives the highest reader above.
    pub fn mark_estimate(&mut self, position: u32) -> Option<u32> {
        let matters = self.has(PENDING) && self.cell.rest().estimate(position);
        self.readers_above(position, matters)
    }

    /// Publishes a write. Gives the highest reader above it that may have seen something else, if any: code, a
    /// creation and a destruction matter to those; balances and nonces are checked where they are committed.
    pub fn publish(&mut self, position: u32, write: &AccountWrite) -> Option<u32> {
        let is_news = self.cell.rest().insert(position, write);
        self.show_rest(true);
        self.readers_above(position, is_news)
    }

    /// Takes back what an earlier incarnation published.
    pub fn withdraw(&mut self, position: u32) -> Option<u32> {
        if !self.has(PENDING) {
            return None;
        }
        let (removed, is_pending) = self.cell.rest().remove(position);
        self.show_rest(is_pending);
        self.readers_above(position, removed.is_some())
    }

    /// Makes a write part of the block.
    pub fn commit(&mut self, position: u32, write: AccountWrite, state_clear: bool) -> Option<u32> {
        let is_news = self.apply(position, write, state_clear);
        self.readers_above(position, is_news)
    }

    /// The same for a write that only moves an amount and uses a nonce, which matters to no reader.
    pub fn commit_move(&mut self, position: u32, delta: Delta, nonce: Option<u64>, state_clear: bool) {
        let mut flags = self.flags();
        if flags & PENDING != 0 {
            self.apply(position, AccountWrite { delta, nonce, ..AccountWrite::default() }, state_clear);
            return;
        }
        let cell = self.cell;
        let before = cell.balance.each_ref().map(|word| word.load(Ordering::Relaxed));
        let balance = delta.apply(U256::from_limbs(before));
        let new_nonce = nonce.unwrap_or_else(|| cell.nonce.load(Ordering::Relaxed));
        let is_alive = new_nonce != 0 || flags & CODED != 0;
        let exists = if state_clear && !is_alive && balance.is_zero() { 0 } else { EXISTS };
        let written = [!delta.amount.is_zero(), nonce.is_some(), false, flags & EXISTS != exists];
        for (field, _) in written.into_iter().enumerate().filter(|(_, is_written)| *is_written) {
            cell.writers[field].store(position, Ordering::Relaxed);
            flags |= 1 << (WRITTEN_SHIFT + field as u32);
        }
        let flags = (flags & !EXISTS) | exists | TOUCHED;
        cell.sequence.write(|| {
            for (word, limb) in cell.balance.iter().zip(balance.as_limbs()) {
                word.store(*limb, Ordering::Relaxed);
            }
            cell.nonce.store(new_nonce, Ordering::Relaxed);
            cell.flags.store(flags, Ordering::Relaxed);
        });
    }

    /// Applies a committed write. Whether it matters to readers.
    fn apply(&mut self, position: u32, write: AccountWrite, state_clear: bool) -> bool {
        let mut is_news = write.code.is_some() || write.life != Life::Touched;
        let mut flags = self.flags();
        if flags & PENDING != 0 {
            let (removed, is_pending) = self.cell.rest().remove(position);
            if let Some(old) = removed {
                // Whoever looked after the publication has seen this.
                is_news &=
                    old.life != write.life || old.code.map(|it| it.0) != write.code.as_ref().map(|it| it.0);
            }
            flags = if is_pending { flags } else { flags & !PENDING };
        }
        if (write.code.is_some() || write.life == Life::Destroyed)
            && flags & (EXISTED | BEFORE_KEPT) == EXISTED
        {
            let before = self.cell.before(flags);
            self.cell.rest().before = before;
            flags |= BEFORE_KEPT | REST;
        }
        let mut fields = self.cell.fields(flags);
        let existed = fields.exists;
        fields.fold(&write, position, state_clear);
        let mut written = [!write.delta.amount.is_zero(), write.nonce.is_some(), write.code.is_some(), false];
        if write.life == Life::Destroyed {
            flags = (flags & !TOUCHED) | DESTROYED;
            written = [true; 4];
        } else {
            flags |= TOUCHED;
            written[3] = existed != fields.exists || write.life == Life::Created;
        }
        if write.life == Life::Destroyed || write.code.is_some() {
            self.cell.rest().code = write.code.map(|code| code.1);
            flags |= REST;
        }
        for (field, _) in written.into_iter().enumerate().filter(|(_, is_written)| *is_written) {
            self.cell.writers[field].store(position, Ordering::Relaxed);
            flags |= 1 << (WRITTEN_SHIFT + field as u32);
        }
        flags &= !(EXISTS | CODED | u64::from(u32::MAX) << RESET_SHIFT);
        flags |= if fields.exists { EXISTS } else { 0 };
        flags |= if fields.code_hash == KECCAK_EMPTY { 0 } else { CODED };
        flags |= u64::from(fields.reset) << RESET_SHIFT;
        self.cell.show(&fields, flags);
        is_news
    }
}
