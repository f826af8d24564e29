//! What a block's transactions share: a cell for each account and each slot that any of them met. A cell holds the
//! state before the block (read once, by whoever comes first), the committed prefix of the block, and the published
//! writes that are not committed yet, by position.
//!
//! Positions: 0 is before the first transaction, `i + 1` is transaction `i`, `n + 1` is after the last.

mod account;
mod fields;
mod slot;

use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_primitives::{
    Address, U256,
    map::{AddressMap, DefaultHashBuilder, HashMap},
};

pub use account::AccountState;
pub use fields::{AccountWrite, Delta, Fields, Life};
pub use slot::{SlotState, SlotView, position_of, version};

use super::arena::Arena;

/// Shards of the index from addresses and slots to cells.
const SHARDS: usize = 64;
/// The most cells of a kind, and entries of an index, whose memory is kept between blocks.
const MAX_KEPT: usize = 131_072;

/// A write that is published and not committed yet.
#[derive(Debug)]
struct Pending<T> {
    position: u32,
    /// Its transaction is to run again: it will probably write here again, and something else.
    estimate: bool,
    write: T,
}

/// A pair of cache lines of its own, since neighbours are other workers'.
#[derive(Default)]
#[repr(align(128))]
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

    /// How many accounts and slots there are. A cell gets its number before it forgets what an earlier block left in it,
    /// under the lock of its shard: with all of them held, none is in between.
    pub fn len(&self) -> (u32, u32) {
        let held: Vec<_> = self.shards.iter().map(lock).collect();
        let counts = (self.accounts.len(), self.slots.len());
        drop(held);
        counts
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
