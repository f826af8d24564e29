//! Cells by number, at addresses that stay. They are kept from block to block.

use std::sync::OnceLock;

/// Cells in the first chunk; each further chunk is twice as large.
const FIRST_CHUNK: usize = 512;
/// Chunks: enough for more cells than a block can have.
const CHUNKS: usize = 20;

/// A growing list of cells.
pub struct Arena<T> {
    chunks: [OnceLock<Box<[T]>>; CHUNKS],
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { chunks: [const { OnceLock::new() }; CHUNKS] }
    }
}

impl<T: Default> Arena<T> {
    /// The cell with this number. It holds whatever an earlier block left there.
    #[inline]
    pub fn get(&self, number: u32) -> &T {
        let (chunk, offset) = place(number);
        &self.chunks[chunk].get_or_init(|| (0..FIRST_CHUNK << chunk).map(|_| T::default()).collect())[offset]
    }

    /// The cell with this number, where there is memory for it.
    #[inline]
    pub fn find(&self, number: u32) -> Option<&T> {
        let (chunk, offset) = place(number);
        self.chunks[chunk].get()?.get(offset)
    }

    /// Forgets all cells but keeps their memory, save for chunks beyond `keep` cells.
    pub fn clear(&mut self, keep: usize) {
        for (number, chunk) in self.chunks.iter_mut().enumerate() {
            if FIRST_CHUNK << number > keep {
                chunk.take();
            }
        }
    }
}

/// Chunk and offset of a number: chunk `k` holds `FIRST_CHUNK << k` cells.
#[inline]
fn place(number: u32) -> (usize, usize) {
    let shifted = number as usize + FIRST_CHUNK;
    let chunk = (shifted / FIRST_CHUNK).ilog2() as usize;
    (chunk, shifted - (FIRST_CHUNK << chunk))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn numbers_are_dense_and_places_are_distinct() {
        let mut seen = std::collections::HashSet::new();
        for number in 0..20_000 {
            let (chunk, offset) = place(number);
            assert!(offset < FIRST_CHUNK << chunk, "{number}");
            assert!(seen.insert((chunk, offset)), "{number}");
        }
        let arena = Arena::<AtomicU32>::default();
        for number in 0..3000 {
            arena.get(number).store(number, Ordering::Relaxed);
        }
        assert!((0..3000).all(|number| arena.get(number).load(Ordering::Relaxed) == number));
    }
}
