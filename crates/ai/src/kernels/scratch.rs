//! The memory of one thread's products: the left side as its path wants it, and one tile of sums.

use super::error::KernelError;
use super::packed::Layout;
use super::path::Kernel;

/// The left side is prepared in blocks of about this many bytes, which stay in the second-level cache.
const BLOCK_BYTES: usize = 192 << 10;
/// Rows of the highest tile.
pub(crate) const TILE_ROWS: usize = 12;
/// Sums of the largest tile.
pub(crate) const TILE_SUMS: usize = 384;

/// Working memory for products of depth up to `k`, for one thread at a time.
#[derive(Debug)]
pub struct Scratch {
    /// The prepared left side: 4 bytes are what one instruction multiplies.
    pub(crate) left: Vec<u32>,
    /// The sums of one tile.
    pub(crate) sums: Vec<i32>,
}

/// Groups of 4 prepared bytes in a block: at least one tile of `k` deep rows.
fn block(kernel: Kernel, k: usize) -> Option<usize> {
    let steps = Layout::of(kernel.path()).steps(k);
    Some(steps.checked_mul(TILE_ROWS)?.max(BLOCK_BYTES / 4))
}

impl Scratch {
    /// Memory for products of depth up to `k`.
    ///
    /// # Errors
    /// `TooLarge` if it cannot be addressed.
    pub fn new(kernel: Kernel, k: usize) -> Result<Scratch, KernelError> {
        let left = block(kernel, k).ok_or(KernelError::TooLarge { what: "scratch memory" })?;
        Ok(Scratch { left: vec![0; left], sums: vec![0; TILE_SUMS] })
    }

    /// Rows that fit a block of `steps` groups each.
    pub(crate) fn rows(&self, steps: usize) -> Result<usize, KernelError> {
        let rows = self.left.len() / steps.max(1);
        if rows < TILE_ROWS {
            let what = "depth that the scratch memory is for, in groups";
            return Err(KernelError::Shape { what, expected: steps, found: self.left.len() / TILE_ROWS });
        }
        Ok(rows)
    }

    /// The bytes that `Scratch::new` takes.
    ///
    /// # Errors
    /// `TooLarge` if they cannot be addressed.
    pub fn bytes(kernel: Kernel, k: usize) -> Result<usize, KernelError> {
        block(kernel, k)
            .and_then(|left| left.checked_add(TILE_SUMS)?.checked_mul(4))
            .ok_or(KernelError::TooLarge { what: "scratch memory" })
    }
}
