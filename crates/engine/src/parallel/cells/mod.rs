//! What a block's transactions share: a cell for each account and each slot that any of them met. A cell holds the
//! state before the block (read once, by whoever comes first), the committed prefix of the block, and the published
//! writes that are not committed yet, by position.
//!
//! Positions: 0 is before the first transaction, `i + 1` is transaction `i`, `n + 1` is after the last.

mod account;
mod fields;
mod foreseen;
mod index;
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
pub use slot::{SlotCell, SlotGuard, SlotState, SlotView, position_of, version};

use super::MAX_WORKERS;
use super::apart::Apart;
use super::arena::Arena;
use super::recording::CellNames;
use crate::ahead;
use crate::state::StateReader;
use index::Index;

/// The most cells of a kind, and places of an index, whose memory is kept between blocks.
const MAX_KEPT: usize = 131_072;
/// Numbers that a worker takes together: its cells lie side by side, and a later block finds them in the same worker's
/// cache.
const RANGE: u32 = 32;

/// A write that is published and not committed yet.
#[derive(Debug)]
struct Pending<T> {
    position: u32,
    /// Its transaction is to run again: it will probably write here again, and something else.
    estimate: bool,
    write: T,
}

/// What has a cell: an account or a slot.
trait Named {
    /// Address, or the account's cell and the key.
    type Name: Copy + Eq + Hash;

    /// Whether the cell is this one's.
    fn is_named(&self, name: Self::Name) -> bool;

    /// Forgets what an earlier block left. Where there is a reader, the state before the block is asked at once: what it
    /// cannot answer yet is asked again by whoever needs it.
    fn begin(&self, name: Self::Name, reader: Option<&dyn StateReader>);

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

    /// The number of a name's cell, made on behalf of a worker.
    #[inline]
    fn number(&self, worker: usize, name: C::Name, reader: Option<&dyn StateReader>) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        C::hash(name, &mut hasher);
        self.number_at(worker, name, hasher.finish(), |cell| cell.begin(name, reader))
    }

    /// The same for a name whose hash is known, and a cell that `begin` makes this name's.
    #[inline]
    fn number_at(&self, worker: usize, name: C::Name, hash: u64, mut begin: impl FnMut(&C)) -> u32 {
        let is_named = |number| self.cells.get(number).is_named(name);
        let mut make = || {
            let taken = &self.taken[worker];
            let count = taken.load(Ordering::Relaxed);
            let number = self.number_of(worker as u32, count);
            // The next one will be needed soon.
            if let Some(next) = self.cells.find(self.number_of(worker as u32, count + 1)) {
                ahead::fetch(next);
            }
            begin(self.cells.get(number));
            taken.store(count + 1, Ordering::Release);
            number
        };
        self.index.number(hash, is_named, &mut make).unwrap_or_else(|| {
            let mut overflow = self.overflow.lock().unwrap_or_else(PoisonError::into_inner);
            *overflow.entry(name).or_insert_with(make)
        })
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

    /// The number of an account's cell. Each worker asks in its own name. Where there is a reader, a cell that is made asks
    /// it at once.
    pub fn account_number(&self, worker: usize, address: Address, reader: Option<&dyn StateReader>) -> u32 {
        self.accounts.number(worker, address, reader)
    }

    /// The number of a slot's cell.
    pub fn slot_number(&self, worker: usize, account: u32, key: U256) -> u32 {
        self.slots.number(worker, (account, key), None)
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
