//! What others may know of an execution that waits for its commit without touching it: which cells it observed, and where
//! it lies. Whoever commits asks for the memory of the next ones while it commits one, so that the waits overlap.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::cells::Cells;
use super::journal::{AccountAccess, Executed, SlotAccess};
use super::news::{News, SIGNATURE_WORDS};
use crate::ahead;

/// Cells of a kind that are noted.
const NOTED: usize = 8;
/// Marks a cell that was written.
const WRITTEN: u32 = 1 << 31;
/// More of a list is not fetched ahead.
const MOST_BYTES: usize = 2_048;

/// The outline of a transaction's last attempt that ended. Everything in it was written before the scheduler heard of
/// that; what is read while another attempt writes is of no consequence.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Outline {
    observed: [AtomicU64; SIGNATURE_WORDS],
    executed: AtomicUsize,
    /// The lists of accounts and slots, and how many are in them.
    lists: [AtomicUsize; 2],
    counts: [AtomicU32; 2],
    cells: [[AtomicU32; NOTED]; 2],
}

const _: () = assert!(size_of::<Outline>() == 128);

impl Outline {
    /// Notes an execution that ended, before anybody is told of it. What an earlier attempt observed is forgotten: this one
    /// began after that one was found to be stale, and has seen what was changed before.
    #[inline]
    pub fn note(&self, executed: &Executed) {
        let accesses = &executed.accesses;
        let signature = accesses.observed_cells();
        for (word, observed) in self.observed.iter().zip(signature.words()) {
            word.store(observed, Ordering::Relaxed);
        }
        let lists = [accesses.accounts.as_ptr().addr(), accesses.slots.as_ptr().addr()];
        let counts = [accesses.accounts.len(), accesses.slots.len()];
        for place in 0..2 {
            self.lists[place].store(lists[place], Ordering::Relaxed);
            self.counts[place].store(counts[place] as u32, Ordering::Relaxed);
        }
        let mark = |cell: u32, is_written: bool| cell | if is_written { WRITTEN } else { 0 };
        for (place, access) in self.cells[0].iter().zip(&accesses.accounts) {
            place.store(mark(access.cell, access.write.is_some()), Ordering::Relaxed);
        }
        for (place, access) in self.cells[1].iter().zip(&accesses.slots) {
            place.store(mark(access.cell, access.write.is_some()), Ordering::Relaxed);
        }
        self.executed.store(std::ptr::from_ref(executed).addr(), Ordering::Relaxed);
    }

    /// Whether it may have observed a cell that changed. To be asked once the scheduler has told that it ended.
    #[inline]
    pub fn meets(&self, news: &News) -> bool {
        let changed = news.cells().words();
        self.observed.iter().zip(changed).any(|(word, changed)| word.load(Ordering::Relaxed) & changed != 0)
    }

    /// Asks for the execution and its lists.
    pub fn fetch_lists(&self) {
        let executed = self.executed.load(Ordering::Relaxed);
        if executed == 0 {
            return;
        }
        ahead::claim_at(executed, size_of::<Executed>());
        let sizes = [size_of::<AccountAccess>(), size_of::<SlotAccess>()];
        for ((list, count), size) in self.lists.iter().zip(&self.counts).zip(sizes) {
            let bytes = count.load(Ordering::Relaxed) as usize * size;
            ahead::claim_at(list.load(Ordering::Relaxed), bytes.min(MOST_BYTES));
        }
    }

    /// Asks for its cells.
    pub fn fetch_cells(&self, cells: &Cells) {
        let noted = |kind: usize| {
            let count = self.counts[kind].load(Ordering::Relaxed) as usize;
            let noted = self.cells[kind].iter().take(count).map(|cell| cell.load(Ordering::Relaxed));
            noted.map(|marked| (marked & !WRITTEN, marked & WRITTEN != 0))
        };
        for (cell, is_written) in noted(0) {
            let cell = cells.account_cell(cell);
            if is_written { ahead::claim(cell) } else { ahead::fetch(cell) }
        }
        for (cell, is_written) in noted(1) {
            let cell = cells.slot_cell(cell);
            if is_written { ahead::claim(cell) } else { ahead::fetch(cell) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::journal::Accesses;

    #[test]
    fn whoever_observed_a_changed_cell_is_met() {
        let outline = Outline::default();
        let slot = |cell, seen| SlotAccess { cell, seen, reset: 0, before: Default::default(), write: None };
        let slots = vec![slot(1_000, Some(3)), slot(7, None)];
        let executed =
            Executed { accesses: Accesses { slots, ..Accesses::default() }, ..Executed::default() };
        outline.note(&executed);
        for cell in 0..2_000 {
            let (mut account, mut slot) = (News::default(), News::default());
            account.of_account(cell, Some(9));
            slot.of_slot(cell, Some(9));
            assert!(!outline.meets(&account));
            assert_eq!(outline.meets(&slot), cell % 192 == 1_000 % 192, "{cell}");
        }
        outline.note(&Executed::default());
        let mut all = News::default();
        (0..2_000).for_each(|cell| all.of_slot(cell, Some(9)));
        assert!(!outline.meets(&all));
    }

    #[test]
    fn fetching_needs_nothing_to_be_there() {
        let (outline, cells) = (Outline::default(), Cells::default());
        outline.fetch_lists();
        outline.fetch_cells(&cells);
        {
            let executed = Box::new(Executed::default());
            outline.note(&executed);
        }
        outline.fetch_lists();
    }
}
