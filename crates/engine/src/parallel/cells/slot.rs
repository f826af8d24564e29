//! The cell of a slot: three cache lines, of which a slot that nobody has published needs two. The third one holds the
//! published write where there is one; more than one are kept elsewhere.

use std::collections::VecDeque;
use std::hash::Hasher;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use alloy_primitives::{Address, U256};
use revm::state::AccountId;

use super::words::{Reader, Sequence};
use super::{Asked, Named, Pending};
use crate::ahead;
use crate::error::Fault;
use crate::state::{Read, StateReader};

/// A slot's write with its version.
type SlotWrite = (u32, U256);
/// Published writes in the order of their positions.
type Published = VecDeque<Pending<SlotWrite>>;

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

const LOADED: u64 = 1;
/// Published writes wait here: what a transaction sees depends on its position.
const PENDING: u64 = 1 << 1;
/// Published writes are in the list: there was more than one at some time.
const LISTED: u64 = 1 << 2;
/// The one published write is an estimate.
const ESTIMATE: u64 = 1 << 3;
/// The version of the committed value.
const VERSION_SHIFT: u32 = 32;

/// The cell. Everything in it is changed under the lock, but for a cell that nobody knows yet; all but the published
/// writes is looked at without it.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct SlotCell {
    sequence: Sequence,
    reader: Reader,
    flags: AtomicU64,
    now: [AtomicU64; 4],
    lock: Mutex<()>,
    /// The account's cell.
    account: AtomicU32,
    key: [AtomicU64; 4],
    before: [AtomicU64; 4],
    /// The one published write.
    shown: [AtomicU64; 4],
    shown_position: AtomicU32,
    shown_version: AtomicU32,
    listed: OnceLock<Box<Mutex<Published>>>,
}

/// Looks leave the third line alone, and commits of what is not published.
const _: () =
    assert!(std::mem::offset_of!(SlotCell, key) == 64 && std::mem::offset_of!(SlotCell, shown) == 128);
const _: () = assert!(size_of::<SlotCell>() == 192);

impl SlotCell {
    /// The slot, locked.
    #[inline]
    pub fn lock(&self) -> SlotGuard<'_> {
        SlotGuard { cell: self, _held: self.lock.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// What every transaction sees, noting the one at `position` as a reader, for an account that was last reset at
    /// `reset`. `None` where that depends on the position, or the state before the block was not asked yet.
    #[inline]
    pub fn look(&self, position: u32, reset: u32) -> Option<SlotView> {
        self.reader.note(position);
        self.peek(reset)
    }

    /// The same for whoever is no reader.
    #[inline]
    pub fn peek(&self, reset: u32) -> Option<SlotView> {
        let (flags, value) = self.sequence.read(|| (self.flags(), load(&self.now)))?;
        if flags & PENDING != 0 {
            return None;
        }
        seen_above(reset, value, version_in(flags), false, flags & LOADED != 0)
    }

    /// The same after the committed prefix.
    #[inline]
    pub fn peek_committed(&self, reset: u32) -> Option<SlotView> {
        let (flags, value) = self.sequence.read(|| (self.flags(), load(&self.now)))?;
        seen_above(reset, value, version_in(flags), false, flags & LOADED != 0)
    }

    /// Asks for the memory of a write that is published soon.
    #[inline]
    pub fn claim_shown(&self) {
        ahead::claim(&self.shown);
    }

    #[inline]
    fn flags(&self) -> u64 {
        self.flags.load(Ordering::Relaxed)
    }

    /// The account's cell, and the key.
    #[inline]
    pub fn name(&self) -> (u32, U256) {
        (self.account.load(Ordering::Relaxed), load(&self.key))
    }

    /// Whether a committed transaction wrote it.
    #[inline]
    pub fn is_written(&self) -> bool {
        version_in(self.flags()) != 0
    }

    /// Whether the state before the block was asked.
    #[inline]
    pub fn is_loaded(&self) -> bool {
        self.flags() & LOADED != 0
    }

    /// Before the block, where it was asked.
    #[inline]
    pub fn before(&self) -> U256 {
        load(&self.before)
    }

    /// The committed value; `None` where no transaction wrote and nobody asked. Nobody commits meanwhile.
    #[inline]
    pub fn committed(&self, reset: u32) -> Option<U256> {
        let flags = self.flags();
        let seen = seen_above(reset, load(&self.now), version_in(flags), false, flags & LOADED != 0);
        seen.map(|view| view.value)
    }

    /// Makes the cell `name`'s, with what the state before the block said, if it was asked. Nobody knows the cell yet.
    pub(super) fn begin_with(&self, (account, key): (u32, U256), value: Option<U256>, reader: u32) {
        if self.flags() & LISTED != 0 {
            self.listed().clear();
        }
        self.account.store(account, Ordering::Relaxed);
        store(&self.key, key);
        self.reader.begin(reader);
        let before = value.unwrap_or_default();
        store(&self.before, before);
        store(&self.now, before);
        self.flags.store(if value.is_some() { LOADED } else { 0 }, Ordering::Relaxed);
    }

    fn listed(&self) -> MutexGuard<'_, Published> {
        self.listed.get_or_init(Box::default).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[inline]
fn load(words: &[AtomicU64; 4]) -> U256 {
    U256::from_limbs(words.each_ref().map(|word| word.load(Ordering::Relaxed)))
}

#[inline]
fn store(words: &[AtomicU64; 4], value: U256) {
    for (word, limb) in words.iter().zip(value.as_limbs()) {
        word.store(*limb, Ordering::Relaxed);
    }
}

#[inline]
fn version_in(flags: u64) -> u32 {
    (flags >> VERSION_SHIFT) as u32
}

impl Named for SlotCell {
    type Name = (u32, U256);

    #[inline]
    fn is_named(&self, name: Self::Name) -> bool {
        self.name() == name
    }

    #[inline]
    fn claim(&self) {
        ahead::claim(&self.sequence);
        ahead::claim(&self.key);
    }

    #[inline]
    fn hash((account, key): Self::Name, hasher: &mut impl Hasher) {
        hasher.write_u64(account.into());
        key.as_limbs().iter().for_each(|word| hasher.write_u64(*word));
    }
}

/// A slot's state before the block, asked where its cell is made.
#[derive(Clone, Copy)]
pub struct SlotAsked<'r> {
    /// Whom.
    pub asked: Asked<'r>,
    /// Its account.
    pub address: Address,
    /// The reader's own name for the account.
    pub hint: Option<AccountId>,
}

impl SlotAsked<'_> {
    /// The value, unless that takes longer: then it is asked again by whoever needs it, as is what failed.
    #[inline]
    pub(super) fn answer(&self, key: U256) -> Option<U256> {
        match self.asked.reader.storage(self.address, self.hint, key) {
            Ok(Read::Ready(value)) => Some(value),
            _ => None,
        }
    }
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

/// A slot, locked.
#[derive(Debug)]
pub struct SlotGuard<'c> {
    cell: &'c SlotCell,
    _held: MutexGuard<'c, ()>,
}

impl SlotGuard<'_> {
    /// The latest write below `position`, for an account that was last reset at `reset`. `None`: the state before the
    /// block must be asked first.
    #[inline]
    pub fn view(&self, position: u32, reset: u32) -> Option<SlotView> {
        self.cell.reader.note(position);
        self.at(position, reset)
    }

    /// The version that a transaction at `position` would see now, and whether it is to be written again.
    #[inline]
    pub fn version_at(&self, position: u32, reset: u32) -> (u32, bool) {
        self.at(position, reset).map_or((0, false), |view| (view.version, view.estimate))
    }

    #[inline]
    fn at(&self, position: u32, reset: u32) -> Option<SlotView> {
        let flags = self.flags();
        let is_loaded = flags & LOADED != 0;
        if let Some(found) = self.last_below(flags, position) {
            let (version, value) = found.write;
            return seen_above(reset, value, version, found.estimate, is_loaded);
        }
        seen_above(reset, load(&self.cell.now), version_in(flags), false, is_loaded)
    }

    /// Asks the state before the block, once.
    pub fn load(
        &mut self,
        reader: &dyn StateReader,
        address: Address,
        hint: Option<AccountId>,
    ) -> Result<Read<()>, Fault> {
        let flags = self.cell.flags();
        if flags & LOADED != 0 {
            return Ok(Read::Ready(()));
        }
        match reader.storage(address, hint, load(&self.cell.key))? {
            Read::Ready(value) => {
                store(&self.cell.before, value);
                self.cell.sequence.write(|| {
                    if version_in(flags) == 0 {
                        store(&self.cell.now, value);
                    }
                    self.cell.flags.store(flags | LOADED, Ordering::Relaxed);
                });
                Ok(Read::Ready(()))
            }
            Read::Pending(ticket) => Ok(Read::Pending(ticket)),
        }
    }

    #[inline]
    fn flags(&self) -> u64 {
        self.cell.flags()
    }

    fn show_flags(&self, flags: u64) {
        self.cell.sequence.write(|| self.cell.flags.store(flags, Ordering::Relaxed));
    }

    /// The one published write.
    #[inline]
    fn shown(&self, flags: u64) -> Option<Pending<SlotWrite>> {
        (flags & (PENDING | LISTED) == PENDING).then(|| Pending {
            position: self.cell.shown_position.load(Ordering::Relaxed),
            estimate: flags & ESTIMATE != 0,
            write: (self.cell.shown_version.load(Ordering::Relaxed), load(&self.cell.shown)),
        })
    }

    /// The last published write below a position.
    #[inline]
    fn last_below(&self, flags: u64, position: u32) -> Option<Pending<SlotWrite>> {
        if flags & LISTED == 0 {
            return self.shown(flags).filter(|it| it.position < position);
        }
        self.cell.listed().iter().rev().find(|it| it.position < position).cloned()
    }

    /// The highest position above that may have seen something else than what is written now at `position`: whoever is
    /// above the next writer has seen that one's value.
    fn readers_above(&self, position: u32, is_news: bool) -> Option<u32> {
        if !is_news {
            return None;
        }
        let reader = self.cell.reader.above(position)?;
        let flags = self.flags();
        let next = if flags & LISTED == 0 {
            self.shown(flags).map(|it| it.position).filter(|next| *next > position)
        } else {
            self.cell.listed().iter().map(|it| it.position).find(|next| *next > position)
        };
        Some(reader.min(next.unwrap_or(u32::MAX)))
    }

    /// A published write's transaction is to run again. Gives the highest reader above.
    pub fn mark_estimate(&mut self, position: u32) -> Option<u32> {
        let flags = self.flags();
        if flags & LISTED == 0 {
            self.shown(flags).filter(|it| it.position == position)?;
            self.show_flags(flags | ESTIMATE);
        } else {
            self.cell.listed().iter_mut().find(|it| it.position == position)?.estimate = true;
        }
        self.readers_above(position, true)
    }

    /// Publishes a write. An equal value of an earlier incarnation keeps its version, so that who read it stays valid.
    pub fn publish(&mut self, position: u32, incarnation: usize, value: U256) -> Option<u32> {
        let write = (version(position, incarnation), value);
        let is_news = self.insert(Pending { position, estimate: false, write });
        self.readers_above(position, is_news)
    }

    /// Takes back what an earlier incarnation published.
    pub fn withdraw(&mut self, position: u32) -> Option<u32> {
        let (removed, left) = self.take(self.flags(), position);
        self.show_flags(left);
        self.readers_above(position, removed.is_some())
    }

    /// Makes a write part of the block.
    pub fn commit(&mut self, position: u32, incarnation: usize, value: U256) -> Option<u32> {
        let (removed, left) = self.take(self.flags(), position);
        let (committed, is_news) = match removed {
            Some((published, old)) if old == value => (published, false),
            _ => (version(position, incarnation), true),
        };
        let cell = self.cell;
        cell.sequence.write(|| {
            store(&cell.now, value);
            let flags = left & u64::from(u32::MAX) | u64::from(committed) << VERSION_SHIFT;
            cell.flags.store(flags, Ordering::Relaxed);
        });
        self.readers_above(position, is_news)
    }

    /// Inserts a published write and shows that there is one. Whether readers may have seen something else.
    fn insert(&mut self, new: Pending<SlotWrite>) -> bool {
        let flags = self.flags();
        let only = self.shown(flags);
        if flags & LISTED == 0 && only.as_ref().is_none_or(|old| old.position == new.position) {
            let is_news = only.is_none_or(|old| old.write.1 != new.write.1);
            // An equal value keeps its version.
            if is_news {
                let cell = self.cell;
                cell.shown_position.store(new.position, Ordering::Relaxed);
                cell.shown_version.store(new.write.0, Ordering::Relaxed);
                store(&cell.shown, new.write.1);
            }
            self.show_flags(flags & !ESTIMATE | PENDING);
            return is_news;
        }
        let mut listed = self.cell.listed();
        listed.extend(only);
        let place = listed.partition_point(|it| it.position < new.position);
        match listed.get_mut(place) {
            Some(old) if old.position == new.position => {
                old.estimate = false;
                if old.write.1 == new.write.1 {
                    return false;
                }
                *old = new;
            }
            _ => listed.insert(place, new),
        }
        drop(listed);
        self.show_flags(flags & !ESTIMATE | PENDING | LISTED);
        true
    }

    /// Takes a published write out. Gives the flags without it, which are not shown yet.
    #[inline]
    fn take(&mut self, flags: u64, position: u32) -> (Option<SlotWrite>, u64) {
        if flags & LISTED == 0 {
            let found = self.shown(flags).filter(|it| it.position == position);
            let left = if found.is_some() { flags & !(PENDING | ESTIMATE) } else { flags };
            return (found.map(|it| it.write), left);
        }
        let mut listed = self.cell.listed();
        let place = listed.iter().position(|it| it.position == position);
        let removed = place.and_then(|place| listed.remove(place)).map(|it| it.write);
        (removed, if listed.is_empty() { flags & !(PENDING | LISTED) } else { flags })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const POSITIONS: u32 = 6;

    /// The published writes in a plain map, where the cell keeps one apart from several.
    #[derive(Default)]
    struct Plain {
        committed: (u32, U256),
        published: BTreeMap<u32, (u32, U256, bool)>,
    }

    impl Plain {
        fn at(&self, position: u32) -> SlotView {
            let (version, value) = self.committed;
            let (version, value, estimate) = self
                .published
                .range(..position)
                .next_back()
                .map_or((version, value, false), |(_, write)| *write);
            SlotView { value, version, estimate }
        }

        fn publish(&mut self, position: u32, incarnation: usize, value: U256) {
            let kept = self.published.get(&position).filter(|(_, old, _)| *old == value);
            let version = kept.map_or(version(position, incarnation), |(version, ..)| *version);
            self.published.insert(position, (version, value, false));
        }

        fn commit(&mut self, position: u32, incarnation: usize, value: U256) {
            let kept = self.published.remove(&position).filter(|(_, old, _)| *old == value);
            self.committed = (kept.map_or(version(position, incarnation), |(version, ..)| version), value);
        }
    }

    #[test]
    fn one_published_write_and_several_are_seen_alike() {
        let cell = SlotCell::default();
        let (mut seed, mut alone, mut several) = (7u64, 0, 0);
        let mut below = |bound: u32| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as u32 % bound
        };
        for _ in 0..2_000 {
            cell.begin_with((1, U256::from(2)), Some(U256::ZERO), 0);
            let mut plain = Plain::default();
            let mut head = 1;
            while head <= POSITIONS {
                let (position, value) = (head + below(POSITIONS + 1 - head), U256::from(below(2)));
                let incarnation = below(3) as usize;
                match below(5) {
                    0 | 1 => {
                        cell.lock().publish(position, incarnation, value);
                        plain.publish(position, incarnation, value);
                    }
                    2 => {
                        cell.lock().withdraw(position);
                        plain.published.remove(&position);
                    }
                    3 => {
                        cell.lock().mark_estimate(position);
                        plain.published.entry(position).and_modify(|write| write.2 = true);
                    }
                    _ => {
                        cell.lock().commit(head, incarnation, value);
                        plain.commit(head, incarnation, value);
                        head += 1;
                    }
                }
                for position in head..=POSITIONS + 1 {
                    assert_eq!(cell.lock().at(position, 0), Some(plain.at(position)));
                }
                let (version, value) = plain.committed;
                let committed = SlotView { value, version, estimate: false };
                assert_eq!(cell.peek_committed(0), Some(committed));
                assert_eq!(cell.peek(0), plain.published.is_empty().then_some(committed));
                alone += usize::from(plain.published.len() == 1);
                several += usize::from(plain.published.len() > 1);
            }
        }
        assert!(alone > 1_000 && several > 1_000, "{alone} {several}");
    }

    #[test]
    fn what_an_abandoned_block_left_is_forgotten() {
        let cell = SlotCell::default();
        cell.begin_with((1, U256::ZERO), Some(U256::ZERO), 0);
        for position in [2, 4] {
            cell.lock().publish(position, 0, U256::from(position));
        }
        cell.begin_with((2, U256::ONE), None, 0);
        assert_eq!(cell.lock().view(5, 0), None);
        for position in [1, 3] {
            cell.lock().publish(position, 0, U256::from(position));
        }
        let seen = [2, 3, 4, 5].map(|position| cell.lock().at(position, 0).map(|view| view.value));
        assert_eq!(seen, [1, 1, 3, 3].map(|value| Some(U256::from(value))));
    }
}
