//! The cell of a slot.

use std::collections::VecDeque;

use alloy_primitives::{Address, U256};
use revm::state::AccountId;

use super::Pending;
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
    reader: u32,
}

impl SlotState {
    pub(super) fn begin(&mut self, account: u32, key: U256) {
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

    /// The highest position above that may have seen something else than what is written now at `position`: whoever is
    /// above the next writer has seen that one's value.
    fn readers_above(&self, position: u32) -> Option<u32> {
        let next = self.pending.iter().map(|pending| pending.position).find(|next| *next > position);
        (self.reader > position).then(|| self.reader.min(next.unwrap_or(u32::MAX)))
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
        self.readers_above(position)
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
        self.readers_above(position)
    }

    /// Takes back what an earlier incarnation published.
    pub fn withdraw(&mut self, position: u32) -> Option<u32> {
        let count = self.pending.len();
        self.pending.retain(|pending| pending.position != position);
        if self.pending.len() == count { None } else { self.readers_above(position) }
    }

    /// Makes a write part of the block.
    pub fn commit(&mut self, position: u32, incarnation: usize, value: U256) -> Option<u32> {
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
        if is_news { self.readers_above(position) } else { None }
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
