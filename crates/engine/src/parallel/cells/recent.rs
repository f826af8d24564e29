//! Numbers of the cells that a worker has found before: what everybody looks at (a token, its owner's slot) is then found
//! without the index, whose lines go to whoever inserts something.

/// Numbers that are remembered.
const PLACES: usize = 64;

/// Numbers by the hash of a name; who asks compares the name. They hold for one block.
#[derive(Debug)]
pub struct Recent([(u64, u32); PLACES]);

impl Default for Recent {
    fn default() -> Self {
        Self([(0, u32::MAX); PLACES])
    }
}

impl Recent {
    /// The number that was last found under such a hash.
    #[inline]
    pub fn find(&self, hash: u64) -> Option<u32> {
        let (found, number) = self.0[hash as usize % PLACES];
        (found == hash && number != u32::MAX).then_some(number)
    }

    /// Remembers a number.
    #[inline]
    pub fn keep(&mut self, hash: u64, number: u32) {
        self.0[hash as usize % PLACES] = (hash, number);
    }
}
