//! A few words that are changed under a cell's lock and read without it: a sequence lock. What many transactions look at
//! and few change (a router's code hash, a token's balance slot) then stays in the caches of all workers, where taking a
//! lock would carry its cache line from one to the other at every look.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

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

/// The words.
#[derive(Debug)]
pub struct Words<const N: usize> {
    sequence: Sequence,
    words: [AtomicU64; N],
}

impl<const N: usize> Default for Words<N> {
    fn default() -> Self {
        Self { sequence: Sequence::default(), words: [const { AtomicU64::new(0) }; N] }
    }
}

impl<const N: usize> Words<N> {
    /// The words as they were at some moment during the call. `None` where they changed meanwhile: take the lock.
    #[inline]
    pub fn read(&self) -> Option<[u64; N]> {
        self.sequence.read(|| std::array::from_fn(|at| self.words[at].load(Ordering::Relaxed)))
    }

    /// Changes them. The caller holds the cell's lock.
    #[inline]
    pub fn write(&self, words: [u64; N]) {
        self.sequence.write(|| {
            for (place, word) in self.words.iter().zip(words) {
                place.store(word, Ordering::Relaxed);
            }
        });
    }
}

/// Readers are noted by the end of a stretch of positions, so that most of a stretch finds itself noted already and
/// leaves the cache line alone.
const STRETCH: u32 = 16;

/// The highest position that may have looked at a cell.
#[derive(Debug, Default)]
pub struct Reader(AtomicU32);

impl Reader {
    /// Notes a reader, before it looks. Either it sees what a writer writes meanwhile, or that writer sees the note: the
    /// note and the look at the sequence are in one order with the writer's fence.
    #[inline]
    pub fn note(&self, position: u32) {
        if self.0.load(Ordering::SeqCst) < position {
            self.0.fetch_max(position | (STRETCH - 1), Ordering::SeqCst);
        }
    }

    /// The highest reader if it is above `position`, after a write.
    #[inline]
    pub fn above(&self, position: u32) -> Option<u32> {
        fence(Ordering::SeqCst);
        let reader = self.0.load(Ordering::Relaxed);
        (reader > position).then_some(reader)
    }

    /// Forgets them. Nobody else looks.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_never_torn() {
        let words = Words::<5>::default();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..100_000u64).for_each(|round| words.write([round; 5])));
            let mut seen = 0;
            for _ in 0..100_000 {
                let Some(found) = words.read() else { continue };
                assert!(found.iter().all(|word| *word == found[0]), "{found:?}");
                assert!(found[0] >= seen);
                seen = found[0];
            }
        });
        assert_eq!(words.read(), Some([99_999; 5]));
    }

    #[test]
    fn a_reader_is_noted_for_its_stretch() {
        let reader = Reader::default();
        assert_eq!(reader.above(0), None);
        reader.note(5);
        assert_eq!(reader.above(5), Some(STRETCH - 1));
        reader.note(STRETCH - 1);
        assert_eq!(reader.above(STRETCH - 1), None);
        reader.note(STRETCH);
        assert_eq!(reader.above(STRETCH), Some(2 * STRETCH - 1));
    }
}
