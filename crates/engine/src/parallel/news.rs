//! Which cells changed, and who observed one of them: both as a few bits, so that whoever changes something can pass over
//! those who have not looked at it. A bit may stand for several cells. What is wrongly taken for observed costs a
//! validation; what is missed costs time only, since every observation is compared once more when it is committed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Words of a signature: one for accounts, the others for slots.
const WORDS: usize = 4;
const BITS: u32 = u64::BITS;

/// A set of cells, by bits. Cells that one worker made side by side have bits of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signature([u64; WORDS]);

impl Signature {
    /// Adds an account's cell.
    #[inline]
    pub fn add_account(&mut self, cell: u32) {
        self.0[0] |= 1 << (cell % BITS);
    }

    /// Adds a slot's cell.
    #[inline]
    pub fn add_slot(&mut self, cell: u32) {
        let bit = cell % (BITS * (WORDS as u32 - 1));
        self.0[1 + (bit / BITS) as usize] |= 1 << (bit % BITS);
    }

    fn add(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word |= other;
        }
    }
}

/// What a transaction changed that others may have seen otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    highest: Option<u32>,
    cells: Signature,
}

impl News {
    /// An account changed, which up to the position `highest` somebody may have seen.
    #[inline]
    pub fn of_account(&mut self, cell: u32, highest: Option<u32>) {
        if highest.is_some() {
            self.highest = self.highest.max(highest);
            self.cells.add_account(cell);
        }
    }

    /// The same for a slot.
    #[inline]
    pub fn of_slot(&mut self, cell: u32, highest: Option<u32>) {
        if highest.is_some() {
            self.highest = self.highest.max(highest);
            self.cells.add_slot(cell);
        }
    }

    /// Adds other news.
    #[inline]
    pub fn add(&mut self, other: &Self) {
        self.highest = self.highest.max(other.highest);
        self.cells.add(&other.cells);
    }

    /// The highest position that may have seen something else.
    #[inline]
    pub fn highest(&self) -> Option<u32> {
        self.highest
    }
}

/// What an execution observed, to be asked by others without touching it.
#[derive(Debug, Default)]
pub struct Observed([AtomicU64; WORDS]);

impl Observed {
    /// Notes what an execution observed, before anybody is told that it ended. What an earlier attempt observed is
    /// forgotten: this one began after that one was found to be stale, and has seen what was changed before.
    #[inline]
    pub fn note(&self, signature: &Signature) {
        for (word, observed) in self.0.iter().zip(signature.0) {
            word.store(observed, Ordering::Relaxed);
        }
    }

    /// Whether it may have observed a cell that changed. To be asked once the scheduler has told that it ended.
    #[inline]
    pub fn meets(&self, news: &News) -> bool {
        self.0.iter().zip(news.cells.0).any(|(word, changed)| word.load(Ordering::Relaxed) & changed != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_observed_a_changed_cell_is_met() {
        let observed = Observed::default();
        let mut signature = Signature::default();
        signature.add_account(70);
        signature.add_slot(1_000);
        observed.note(&signature);
        let mut all = News::default();
        for cell in 0..2_000 {
            let (mut account, mut slot) = (News::default(), News::default());
            account.of_account(cell, Some(9));
            slot.of_slot(cell, Some(cell));
            assert_eq!(observed.meets(&account), cell % 64 == 70 % 64, "{cell}");
            assert_eq!(observed.meets(&slot), cell % 192 == 1_000 % 192, "{cell}");
            all.add(&slot);
        }
        assert!(observed.meets(&all));
        assert_eq!(all.highest(), Some(1_999));
        observed.note(&Signature::default());
        assert!(!observed.meets(&all));
    }

    #[test]
    fn what_nobody_has_looked_at_is_no_news() {
        let mut news = News::default();
        news.of_account(3, None);
        news.of_slot(3, None);
        assert_eq!(news, News::default());
    }
}
