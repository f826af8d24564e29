//! Which cells changed, and who observed one of them: both as a few bits, so that whoever changes something can pass over
//! those who have not looked at it. A bit may stand for several cells. What is wrongly taken for observed costs a
//! validation; what is missed costs time only, since every observation is compared once more when it is committed.

/// Words of a signature: one for accounts, the others for slots.
pub const SIGNATURE_WORDS: usize = 4;
const BITS: u32 = u64::BITS;

/// A set of cells, by bits. Cells that one worker made side by side have bits of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signature([u64; SIGNATURE_WORDS]);

impl Signature {
    /// Adds an account's cell.
    #[inline]
    pub fn add_account(&mut self, cell: u32) {
        self.0[0] |= 1 << (cell % BITS);
    }

    /// Adds a slot's cell.
    #[inline]
    pub fn add_slot(&mut self, cell: u32) {
        let bit = cell % (BITS * (SIGNATURE_WORDS as u32 - 1));
        self.0[1 + (bit / BITS) as usize] |= 1 << (bit % BITS);
    }

    /// Its bits.
    #[inline]
    pub fn words(&self) -> [u64; SIGNATURE_WORDS] {
        self.0
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

    /// The cells that changed.
    #[inline]
    pub fn cells(&self) -> &Signature {
        &self.cells
    }

    /// The highest position that may have seen something else.
    #[inline]
    pub fn highest(&self) -> Option<u32> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_add_up() {
        let (mut all, mut account, mut slot) = (News::default(), News::default(), News::default());
        account.of_account(70, Some(3));
        slot.of_slot(1_000, Some(2));
        all.add(&account);
        all.add(&slot);
        assert_eq!(all.highest(), Some(3));
        let [accounts, slots @ ..] = all.cells().words();
        assert_eq!(accounts, 1 << (70 % 64));
        assert_eq!(slots.map(u64::count_ones).iter().sum::<u32>(), 1);
        assert_ne!(account.cells(), slot.cells());
    }

    #[test]
    fn what_nobody_has_looked_at_is_no_news() {
        let mut news = News::default();
        news.of_account(3, None);
        news.of_slot(3, None);
        assert_eq!(news, News::default());
    }
}
