//! A few words that are changed under a cell's lock and read without it: a sequence lock. What many transactions look at
//! and few change (a router's code hash, a token's balance slot) then stays in the caches of all workers, where taking a
//! lock would carry its cache line from one to the other at every look.

use std::sync::atomic::{AtomicU32, Ordering, fence};

/// The lock's count.
#[derive(Debug, Default)]
pub struct Sequence(
    /// Odd while something changes.
    AtomicU32,
);

impl Sequence {
    /// What `look` gives, if nothing was changed meanwhile; else take the lock. Only atomics may be looked at.
    #[inline]
    pub fn read<T>(&self, look: impl FnOnce() -> T) -> Option<T> {
        // In one order with the notes of readers.
        let before = self.0.load(Ordering::SeqCst);
        let found = look();
        fence(Ordering::Acquire);
        let unchanged = before & 1 == 0 && self.0.load(Ordering::Relaxed) == before;
        unchanged.then_some(found)
    }

    /// Changes what is looked at. The caller holds the cell's lock.
    #[inline]
    pub fn write(&self, change: impl FnOnce()) {
        let sequence = self.0.load(Ordering::Relaxed);
        self.0.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        change();
        self.0.store(sequence.wrapping_add(2), Ordering::Release);
    }
}

/// Readers are noted by the end of a stretch of positions, so that most of a stretch finds itself noted already and
/// leaves the cache line alone.
const STRETCH: u32 = 16;
/// The stretch of a cell that many read: each is twice as long as the one before.
const LONGEST_STRETCH: u32 = 256;

/// The highest position that may have looked at a cell.
#[derive(Debug, Default)]
pub struct Reader(AtomicU32);

impl Reader {
    /// Notes a reader, before it looks. Either it sees what a writer writes meanwhile, or that writer sees the note: the
    /// note and the look at the sequence are in one order with the writer's fence.
    #[inline]
    pub fn note(&self, position: u32) {
        let noted = self.0.load(Ordering::SeqCst);
        if noted < position {
            // Ones to the end, and one more.
            let longer = (noted ^ (noted + 1)) & (LONGEST_STRETCH - 1);
            self.0.fetch_max(position | longer | (STRETCH - 1), Ordering::SeqCst);
        }
    }

    /// The highest reader if it is above `position`, after a write.
    #[inline]
    pub fn above(&self, position: u32) -> Option<u32> {
        fence(Ordering::SeqCst);
        let reader = self.0.load(Ordering::Relaxed);
        (reader > position).then_some(reader)
    }

    /// Forgets them but for the first one; 0 for none. Nobody else looks.
    pub fn begin(&self, first: u32) {
        let noted = if first == 0 { 0 } else { first | (STRETCH - 1) };
        self.0.store(noted, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn words_are_never_torn() {
        let sequence = Sequence::default();
        let words: [AtomicU64; 5] = Default::default();
        let read = || sequence.read(|| words.each_ref().map(|word| word.load(Ordering::Relaxed)));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..100_000 {
                    sequence.write(|| words.iter().for_each(|word| word.store(round, Ordering::Relaxed)));
                }
            });
            let mut seen = 0;
            for _ in 0..100_000 {
                let Some(found) = read() else { continue };
                assert!(found.iter().all(|word| *word == found[0]), "{found:?}");
                assert!(found[0] >= seen);
                seen = found[0];
            }
        });
        assert_eq!(read(), Some([99_999; 5]));
    }

    #[test]
    fn a_reader_is_noted_for_its_stretch() {
        let reader = Reader::default();
        assert_eq!(reader.above(0), None);
        reader.note(5);
        assert_eq!(reader.above(5), Some(STRETCH - 1));
        reader.note(STRETCH - 1);
        assert_eq!(reader.above(STRETCH - 1), None);
        reader.begin(STRETCH);
        assert_eq!(reader.above(STRETCH), Some(2 * STRETCH - 1));
        reader.begin(0);
        assert_eq!(reader.above(0), None);
    }

    #[test]
    fn a_cell_that_many_read_is_noted_seldom() {
        let reader = Reader::default();
        let mut notes = 0;
        for position in 1..10_000 {
            let before = reader.above(0);
            reader.note(position);
            let noted = reader.above(0).unwrap();
            assert!((position..position + LONGEST_STRETCH).contains(&noted));
            notes += usize::from(before != Some(noted));
        }
        assert!(notes < 10_000 / LONGEST_STRETCH as usize + 10, "{notes}");
    }
}
