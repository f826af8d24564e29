//! What a block's transactions share: a cell for each account and each slot that any of them met. A cell holds the
//! state before the block (read once, by whoever comes first), the committed prefix of the block, and the published
//! writes that are not committed yet, by position.
//!
//! Positions: 0 is before the first transaction, `i + 1` is transaction `i`, `n + 1` is after the last.

mod account;
mod fields;
mod foreseen;
mod index;
mod recent;
mod rest;
mod slot;
mod words;

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use alloy_primitives::{
    Address, U256,
    map::{DefaultHashBuilder, HashMap},
};

pub use account::{AccountCell, AccountGuard, Settled};
pub use fields::{AccountWrite, Delta, Fields, Life};
pub use foreseen::Foreseen;
pub use recent::Recent;
pub use slot::{SlotAsked, SlotCell, SlotGuard, SlotView, position_of, version};

use super::MAX_WORKERS;
use super::apart::Apart;
use super::arena::Arena;
use super::recording::CellNames;
use crate::state::StateReader;
use index::Index;

/// The most cells of a kind, and places of an index, whose memory is kept between blocks.
const MAX_KEPT: usize = 131_072;
/// Numbers that a worker takes together: its cells lie side by side, and a later block finds them in the same worker's
/// cache.
const RANGE: u32 = 32;

/// A write that is published and not committed yet.
#[derive(Clone, Debug)]
struct Pending<T> {
    position: u32,
    /// Its transaction is to run again: it will probably write here again, and something else.
    estimate: bool,
    write: T,
}

/// Who is asked for the state before the block where a cell is made. What cannot be answered yet, and what fails, is asked
/// again by whoever needs it.
#[derive(Clone, Copy)]
pub struct Asked<'r> {
    /// The state before the block.
    pub reader: &'r dyn StateReader,
    /// On whose behalf: the cell's first reader, by position; 0 for none.
    pub position: u32,
}

/// What has a cell: an account or a slot.
trait Named {
    /// Address, or the account's cell and the key.
    type Name: Copy + Eq + Hash;

    /// Whether the cell is this one's.
    fn is_named(&self, name: Self::Name) -> bool;

    /// Asks for the memory of a cell that is made soon.
    fn claim(&self);

    /// Adds the name to a hash, word by word.
    fn hash(name: Self::Name, hasher: &mut impl Hasher);
}

/// All cells of one kind.
struct Kind<C: Named> {
    cells: Arena<C>,
    index: Index,
    /// Names for which the index has no place.
    overflow: Mutex<HashMap<C::Name, u32>>,
    /// How many cells each worker has taken.
    taken: Box<[Apart<AtomicU32>]>,
    workers: u32,
    hasher: DefaultHashBuilder,
}

impl<C: Named + Default> Default for Kind<C> {
    fn default() -> Self {
        Self {
            cells: Arena::default(),
            index: Index::default(),
            overflow: Mutex::default(),
            taken: (0..MAX_WORKERS).map(|_| Apart::default()).collect(),
            workers: 1,
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl<C: Named + Default> Kind<C> {
    fn begin(&mut self, workers: usize, names: usize) {
        self.index.begin(names);
        self.workers = workers.clamp(1, MAX_WORKERS) as u32;
    }

    fn clear(&mut self) {
        self.cells.clear(MAX_KEPT);
        self.index.shrink(MAX_KEPT);
        *self.overflow.get_mut().unwrap_or_else(PoisonError::into_inner) = HashMap::default();
        for taken in &mut self.taken {
            *taken.get_mut() = 0;
        }
    }

    #[inline]
    fn hash(&self, name: C::Name) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        C::hash(name, &mut hasher);
        hasher.finish()
    }

    /// The number of a name's cell, where the worker has found it before.
    #[inline]
    fn recent(&self, recent: &Recent, name: C::Name, hash: u64) -> Option<u32> {
        recent.find(hash).filter(|number| self.cells.get(*number).is_named(name))
    }

    /// The number of a name's cell, made on behalf of a worker if there is none.
    #[inline]
    fn number(&self, worker: usize, recent: &mut Recent, name: C::Name, begin: impl FnMut(&C)) -> u32 {
        let hash = self.hash(name);
        if let Some(number) = self.recent(recent, name, hash) {
            return number;
        }
        let (number, is_new) = self.number_at(worker, name, hash, begin);
        // Most names are met once.
        if !is_new {
            recent.keep(hash, number);
        }
        number
    }

    /// The same for a name whose hash is known and that was not found lately, and whether a cell was made.
    #[inline]
    fn number_at(&self, worker: usize, name: C::Name, hash: u64, mut begin: impl FnMut(&C)) -> (u32, bool) {
        let is_named = |number| self.cells.get(number).is_named(name);
        let mut is_new = false;
        let mut make = || {
            is_new = true;
            let taken = &self.taken[worker];
            let count = taken.load(Ordering::Relaxed);
            let number = self.number_of(worker as u32, count);
            // The next one will be needed soon.
            if let Some(next) = self.cells.find(self.number_of(worker as u32, count + 1)) {
                next.claim();
            }
            begin(self.cells.get(number));
            taken.store(count + 1, Ordering::Release);
            number
        };
        let number = self.index.number(hash, is_named, &mut make).unwrap_or_else(|| {
            let mut overflow = self.overflow.lock().unwrap_or_else(PoisonError::into_inner);
            *overflow.entry(name).or_insert_with(make)
        });
        (number, is_new)
    }

    /// The number of a worker's cell.
    #[inline]
    fn number_of(&self, worker: u32, count: u32) -> u32 {
        (count / RANGE * self.workers + worker) * RANGE + count % RANGE
    }

    /// The numbers of all cells that are in use, and some that were made for nothing, worker by worker.
    fn numbers(&self) -> Vec<u32> {
        let mut all = Vec::new();
        for (worker, taken) in (0..self.workers).zip(&self.taken) {
            let count = taken.load(Ordering::Acquire);
            all.extend((0..count).map(|count| self.number_of(worker, count)));
        }
        all
    }
}

/// All cells of a block.
#[derive(Default)]
pub struct Cells {
    accounts: Kind<AccountCell>,
    slots: Kind<SlotCell>,
}

impl Cells {
    /// Begins a block of `workers` that will meet about that many accounts and slots; more cost time, not correctness.
    pub fn begin(&mut self, workers: usize, accounts: usize, slots: usize) {
        self.accounts.begin(workers, accounts);
        self.slots.begin(workers, slots);
    }

    /// The number of an account's cell. Each worker asks in its own name, and remembers what it has found before.
    pub fn account_number(
        &self,
        worker: usize,
        recent: &mut Recent,
        address: Address,
        asked: Option<Asked<'_>>,
    ) -> u32 {
        self.accounts.number(worker, recent, address, |cell| {
            let answer = asked.map(|asked| asked.reader.account(address));
            cell.begin_with(address, answer, asked.map_or(0, |asked| asked.position));
        })
    }

    /// The number of a slot's cell.
    pub fn slot_number(
        &self,
        worker: usize,
        recent: &mut Recent,
        account: u32,
        key: U256,
        asked: Option<SlotAsked<'_>>,
    ) -> u32 {
        self.slots.number(worker, recent, (account, key), |cell| {
            let value = asked.and_then(|asked| asked.answer(key));
            cell.begin_with((account, key), value, asked.map_or(0, |asked| asked.asked.position));
        })
    }

    /// An account's cell.
    #[inline]
    pub fn account_cell(&self, number: u32) -> &AccountCell {
        self.accounts.cells.get(number)
    }

    /// A slot's cell.
    #[inline]
    pub fn slot_cell(&self, number: u32) -> &SlotCell {
        self.slots.cells.get(number)
    }

    /// An account, locked.
    #[inline]
    pub fn account(&self, number: u32) -> AccountGuard<'_> {
        self.account_cell(number).lock()
    }

    /// A slot, locked.
    #[inline]
    pub fn slot(&self, number: u32) -> SlotGuard<'_> {
        self.slot_cell(number).lock()
    }

    /// The numbers of all accounts and of all slots, in no order. Every slot's account is among the accounts: workers may
    /// be at work, and the slots are counted first.
    pub fn numbers(&self) -> (Vec<u32>, Vec<u32>) {
        let slots = self.slots.numbers();
        (self.accounts.numbers(), slots)
    }

    /// What the cells in use are called, by number.
    pub fn names(&self) -> CellNames {
        let (mut accounts, mut slots) = self.numbers();
        accounts.sort_unstable();
        slots.sort_unstable();
        CellNames {
            accounts: accounts.into_iter().map(|number| (number, self.account_cell(number).name())).collect(),
            slots: slots.into_iter().map(|number| (number, self.slot_cell(number).name())).collect(),
        }
    }

    /// Forgets the block but keeps the memory that a block of usual size needs.
    pub fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
    }
}
