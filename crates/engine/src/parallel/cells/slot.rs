//! The cell of a slot.

use std::collections::VecDeque;
use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_primitives::{Address, U256};
use revm::state::AccountId;

use super::words::{Reader, Words};
use super::{Named, Pending};
use crate::error::Fault;
use crate::state::{Read, StateReader};

/// A slot's write with its version.
type SlotWrite = (u32, U256);

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

/// What a look without the lock gives: the value, flags and the version.
const WORDS: usize = 5;
const LOADED: u64 = 1;
/// Published writes wait here: what a transaction sees depends on its position.
const PENDING: u64 = 1 << 1;
const VERSION_SHIFT: u32 = 32;

/// The cell: the slot, and a copy of its committed value to look at without the lock.
#[derive(Debug, Default)]
pub struct SlotCell {
    /// The account's cell and the key.
    name: [AtomicU64; 5],
    words: Words<WORDS>,
    reader: Reader,
    state: Mutex<SlotState>,
}

impl SlotCell {
    /// The slot, locked.
    #[inline]
    pub fn lock(&self) -> SlotGuard<'_> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        SlotGuard { cell: self, state, changed: false }
    }

    /// What every transaction sees, noting the one at `position` as a reader, for an account that was last reset at
    /// `reset`. `None` where that depends on the position, or the state before the block was not asked yet.
    #[inline]
    pub fn look(&self, position: u32, reset: u32) -> Option<SlotView> {
        self.reader.note(position);
        self.peek(reset)
    }

    /// The account's cell, and the key.
    pub fn name(&self) -> (u32, U256) {
        let [account, k0, k1, k2, k3] = self.name.each_ref().map(|word| word.load(Ordering::Relaxed));
        (account as u32, U256::from_limbs([k0, k1, k2, k3]))
    }

    /// Whether a committed transaction wrote it.
    #[inline]
    pub fn is_written(&self) -> bool {
        self.words.read().is_none_or(|words| words[WORDS - 1] >> VERSION_SHIFT != 0)
    }

    /// The same for whoever is no reader.
    #[inline]
    pub fn peek(&self, reset: u32) -> Option<SlotView> {
        let [v0, v1, v2, v3, flags] = self.words.read()?;
        if flags & PENDING != 0 {
            return None;
        }
        let (value, version) = (U256::from_limbs([v0, v1, v2, v3]), (flags >> VERSION_SHIFT) as u32);
        seen_above(reset, value, version, false, flags & LOADED != 0)
    }
}

impl Named for SlotCell {
    type Name = (u32, U256);

    #[inline]
    fn is_named(&self, name: Self::Name) -> bool {
        self.name
            .iter()
            .zip(words_of_name(name))
            .all(|(word, of_name)| word.load(Ordering::Relaxed) == of_name)
    }

    fn begin(&self, name: Self::Name, _reader: Option<&dyn StateReader>) {
        for (word, of_name) in self.name.iter().zip(words_of_name(name)) {
            word.store(of_name, Ordering::Relaxed);
        }
        self.reader.clear();
        self.lock().begin(name.0, name.1);
    }

    #[inline]
    fn hash(name: Self::Name, hasher: &mut impl Hasher) {
        words_of_name(name).into_iter().for_each(|word| hasher.write_u64(word));
    }
}

#[inline]
fn words_of_name((account, key): (u32, U256)) -> [u64; 5] {
    let [k0, k1, k2, k3] = key.into_limbs();
    [u64::from(account), k0, k1, k2, k3]
}

/// A version as it is seen above a reset.
#[inline]
fn seen_above(reset: u32, value: U256, version: u32, estimate: bool, loaded: bool) -> Option<SlotView> {
    if position_of(version) < reset {
        let version = reset << INCARNATION_BITS | RESET;
        return Some(SlotView { value: U256::ZERO, version, estimate: false });
    }
    (version != 0 || loaded).then_some(SlotView { value, version, estimate })
}

/// A slot, locked. Whatever is changed is there for those who look without the lock when the guard goes.
#[derive(Debug)]
pub struct SlotGuard<'c> {
    cell: &'c SlotCell,
    state: MutexGuard<'c, SlotState>,
    changed: bool,
}

impl std::ops::Deref for SlotGuard<'_> {
    type Target = SlotState;

    #[inline]
    fn deref(&self) -> &SlotState {
        &self.state
    }
}

impl std::ops::DerefMut for SlotGuard<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut SlotState {
        self.changed = true;
        &mut self.state
    }
}

impl Drop for SlotGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.show();
    }
}

impl SlotGuard<'_> {
    /// Shows what changed.
    #[inline]
    fn show(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.cell.words.write(self.state.words());
        }
    }

    /// The latest write below `position`, for an account that was last reset at `reset`. `None`: the state before the
    /// block must be asked first.
    #[inline]
    pub fn view(&self, position: u32, reset: u32) -> Option<SlotView> {
        self.cell.reader.note(position);
        self.at(position, reset)
    }

    /// The highest position above that may have seen something else than what is written now at `position`: whoever is
    /// above the next writer has seen that one's value.
    fn readers_above(&mut self, position: u32, is_news: bool) -> Option<u32> {
        if !is_news {
            return None;
        }
        self.show();
        let next = self.pending.iter().map(|pending| pending.position).find(|next| *next > position);
        self.cell.reader.above(position).map(|reader| reader.min(next.unwrap_or(u32::MAX)))
    }

    /// A published write's transaction is to run again. Gives the highest reader above.
    pub fn mark_estimate(&mut self, position: u32) -> Option<u32> {
        let found = self.pending.iter_mut().find(|pending| pending.position == position)?;
        found.estimate = true;
        self.readers_above(position, true)
    }

    /// Publishes a write. An equal value of an earlier incarnation keeps its version, so that who read it stays valid.
    pub fn publish(&mut self, position: u32, incarnation: usize, value: U256) -> Option<u32> {
        let is_news = self.insert(position, incarnation, value);
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
    pub fn commit(&mut self, position: u32, incarnation: usize, value: U256) -> Option<u32> {
        let is_news = self.apply(position, incarnation, value);
        self.readers_above(position, is_news)
    }
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
    pending: VecDeque<Pending<SlotWrite>>,
}

impl SlotState {
    fn begin(&mut self, account: u32, key: U256) {
        let pending = std::mem::take(&mut self.pending);
        *self = Self { account, key, pending, ..Self::default() };
        self.pending.clear();
    }

    fn words(&self) -> [u64; WORDS] {
        let [v0, v1, v2, v3] = self.now.into_limbs();
        let loaded = if self.loaded { LOADED } else { 0 };
        let pending = if self.pending.is_empty() { 0 } else { PENDING };
        [v0, v1, v2, v3, u64::from(self.version) << VERSION_SHIFT | loaded | pending]
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

    #[inline]
    fn at(&self, position: u32, reset: u32) -> Option<SlotView> {
        let written = self.pending.iter().rev().find(|pending| pending.position < position);
        let (version, value, estimate) = match written {
            Some(Pending { write: (version, value), estimate, .. }) => (*version, *value, *estimate),
            None => (self.version, self.now, false),
        };
        seen_above(reset, value, version, estimate, self.loaded)
    }

    /// The version that a transaction at `position` would see now, and whether it is to be written again.
    #[inline]
    pub fn version_at(&self, position: u32, reset: u32) -> (u32, bool) {
        self.at(position, reset).map_or((0, false), |view| (view.version, view.estimate))
    }

    /// Inserts a published write. Whether readers may have seen something else.
    fn insert(&mut self, position: u32, incarnation: usize, value: U256) -> bool {
        let place = self.pending.partition_point(|pending| pending.position < position);
        let write = (version(position, incarnation), value);
        let new = Pending { position, estimate: false, write };
        match self.pending.get_mut(place) {
            Some(old) if old.position == position => {
                old.estimate = false;
                if old.write.1 == value {
                    return false;
                }
                *old = new;
            }
            _ => self.pending.insert(place, new),
        }
        true
    }

    /// Applies a committed write. Whether readers may have seen something else.
    fn apply(&mut self, position: u32, incarnation: usize, value: U256) -> bool {
        let mut committed = version(position, incarnation);
        let mut is_news = true;
        let place = self.pending.iter().position(|pending| pending.position == position);
        let removed = place.and_then(|place| self.pending.remove(place)).map(|pending| pending.write);
        if let Some((published, old)) = removed
            && old == value
        {
            committed = published;
            is_news = false;
        }
        self.now = value;
        self.version = committed;
        is_news
    }

    /// The committed value; `None` where no transaction wrote and nobody asked.
    pub fn committed(&self, reset: u32) -> Option<U256> {
        if position_of(self.version) < reset {
            return Some(U256::ZERO);
        }
        (self.version != 0 || self.loaded).then_some(self.now)
    }

    /// Whether the state before the block was asked.
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }
}
