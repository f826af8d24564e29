//! A few words that are changed under a cell's lock and read without it: a sequence lock. What many transactions look at
//! and few change (a router's code hash, a token's balance slot) then stays in the caches of all workers, where taking a
//! lock would carry its cache line from one to the other at every look.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// The words.
#[derive(Debug)]
pub struct Words<const N: usize> {
    /// Odd while the words change.
    sequence: AtomicU32,
    words: [AtomicU64; N],
}

impl<const N: usize> Default for Words<N> {
    fn default() -> Self {
        Self { sequence: AtomicU32::new(0), words: [const { AtomicU64::new(0) }; N] }
    }
}

impl<const N: usize> Words<N> {
    /// The words as they were at some moment during the call. `None` where they changed meanwhile: take the lock.
    #[inline]
    pub fn read(&self) -> Option<[u64; N]> {
        let before = self.sequence.load(Ordering::Acquire);
        let words = std::array::from_fn(|at| self.words[at].load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        let unchanged = before & 1 == 0 && self.sequence.load(Ordering::Relaxed) == before;
        unchanged.then_some(words)
    }

    /// One of them, as it is now.
    #[inline]
    pub fn word<const AT: usize>(&self) -> u64 {
        const { assert!(AT < N) };
        self.words[AT].load(Ordering::Relaxed)
    }

    /// Changes them. The caller holds the cell's lock.
    #[inline]
    pub fn write(&self, words: [u64; N]) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (place, word) in self.words.iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
    }
}

/// Readers are noted by the end of a stretch of positions, so that most of a stretch finds itself noted already and
/// leaves the cache line alone.
const STRETCH: u32 = 16;

/// The highest position that may have looked at a cell.
#[derive(Debug, Default)]
pub struct Reader(AtomicU32);

impl Reader {
    /// Notes a reader, before it looks. Either it sees what a writer writes meanwhile, or that writer sees the note:
    /// both are followed by a fence.
    #[inline]
    pub fn note(&self, position: u32) {
        if self.0.load(Ordering::Acquire) < position {
            self.0.fetch_max(position | (STRETCH - 1), Ordering::AcqRel);
            fence(Ordering::SeqCst);
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
