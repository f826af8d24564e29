//! What few accounts have in a block: code, published writes, and fields before the block beyond the cell's room.

use std::collections::VecDeque;

use alloy_primitives::B256;
use revm::state::Bytecode;

use super::{AccountWrite, Fields, Life, Pending};
use crate::state::AccountFields;

/// The rest of an account.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Before the block, where the cell does not hold it.
    pub before: Option<AccountFields>,
    /// The committed code, where anybody needed it.
    pub code: Option<Bytecode>,
    pending: VecDeque<Pending<AccountWrite>>,
}

impl Rest {
    /// Forgets everything but the memory.
    pub fn clear(&mut self) {
        self.before = None;
        self.code = None;
        self.pending.clear();
    }

    /// Makes the published writes below `position`.
    pub fn fold_below(&self, position: u32, fields: &mut Fields, state_clear: bool) {
        for pending in self.pending.iter().take_while(|pending| pending.position < position) {
            fields.fold(&pending.write, pending.position, state_clear);
        }
    }

    fn below(&self, position: u32) -> impl Iterator<Item = &Pending<AccountWrite>> {
        self.pending.iter().rev().filter(move |pending| pending.position < position)
    }

    /// The highest transaction below `position` that is to run again, and what it wrote.
    pub fn estimate_below(&self, position: u32) -> Option<(u32, &AccountWrite)> {
        let found = self.below(position).find(|pending| pending.estimate)?;
        Some((found.position, &found.write))
    }

    /// The last published write below `position` to balance, nonce, code or existence (0 to 3).
    pub fn last_writer(&self, position: u32, field: usize) -> Option<u32> {
        let writes = |write: &AccountWrite| match field {
            0 => !write.delta.amount.is_zero() || write.life == Life::Destroyed,
            1 => write.nonce.is_some() || write.life == Life::Destroyed,
            2 => write.code.is_some() || write.life == Life::Destroyed,
            _ => true,
        };
        let last = self.below(position).find(|pending| writes(&pending.write));
        last.map(|pending| pending.position)
    }

    /// Published code with this hash.
    pub fn code_below(&self, hash: B256, position: u32) -> Option<Bytecode> {
        let mut written = self.below(position).filter_map(|pending| pending.write.code.as_deref());
        written.find(|(found, _)| *found == hash).map(|(_, code)| code.clone())
    }

    /// Marks a published write as one that will be written again. Whether that matters to readers.
    pub fn estimate(&mut self, position: u32) -> bool {
        let Some(found) = self.pending.iter_mut().find(|pending| pending.position == position) else {
            return false;
        };
        found.estimate = true;
        let write = &found.write;
        write.code.is_some() || write.nonce.is_some() || write.life != Life::Touched
    }

    /// Inserts a published write. Whether it matters to readers.
    pub fn insert(&mut self, position: u32, write: &AccountWrite) -> bool {
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

    /// Takes a published write out. Whether others are left.
    pub fn remove(&mut self, position: u32) -> (Option<AccountWrite>, bool) {
        let place = self.pending.iter().position(|pending| pending.position == position);
        let removed = place.and_then(|place| self.pending.remove(place)).map(|pending| pending.write);
        (removed, !self.pending.is_empty())
    }
}
