//! One tile of a product: a few rows of the left side by one panel of the right, all sums in registers.
//!
//! The loop is written once for any vector (`Lanes`); `x86` has the vectors, and compiles the loop once for each height
//! and width under the features of each path.

/// One vector width: sums, and the instruction that adds `depth` products to each.
pub(crate) trait Lanes {
    /// int32 sums.
    type Sums: Copy;
    /// `depth` values of one row, repeated in every lane.
    type Left: Copy;
    /// `depth` values of as many columns as there are lanes.
    type Right: Copy;
    /// int32 lanes.
    const LANES: usize;
    /// int8 values that `load_right` reads.
    const STRIDE: usize;

    /// Reads `LANES` sums.
    unsafe fn load_sums(from: *const i32) -> Self::Sums;
    /// Writes `LANES` sums.
    unsafe fn store_sums(to: *mut i32, sums: Self::Sums);
    /// Reads one prepared group of a row.
    unsafe fn spread(from: *const u32) -> Self::Left;
    /// Reads `STRIDE` packed values.
    unsafe fn load_right(from: *const i8) -> Self::Right;
    /// Adds the products to the sums.
    unsafe fn add_product(sums: Self::Sums, left: Self::Left, right: Self::Right) -> Self::Sums;
}

/// What a tile reads and writes.
#[derive(Clone, Copy)]
pub(crate) struct Operands {
    /// The tile's first row, prepared.
    pub left: *const u32,
    /// Groups from one row to the next.
    pub left_stride: usize,
    /// The panel.
    pub right: *const i8,
    /// Groups in a row.
    pub steps: usize,
    /// What the panel's sums start with.
    pub starts: *const i32,
    /// The first row of sums.
    pub sums: *mut i32,
    /// Sums from one row to the next.
    pub sums_stride: usize,
}

/// A tile of a given height and width.
pub(crate) type Tile = unsafe fn(Operands);

/// `M` rows by `J` vectors.
///
/// # Safety
/// The machine has the features of `L`. `left` has `M` rows of `steps` groups, `right` `steps` x `J` x `L::STRIDE`
/// values, `starts` `J` x `L::LANES`, `sums` room for `M` rows of as many, `sums_stride` apart.
#[inline(always)]
pub(crate) unsafe fn tile<L: Lanes, const M: usize, const J: usize>(operands: Operands) {
    let Operands { left, left_stride, right, steps, starts, sums, sums_stride } = operands;
    // SAFETY: every address is within the extents that the caller vouches for.
    unsafe {
        let mut row = [L::load_sums(starts); J];
        for (vector, sums) in row.iter_mut().enumerate() {
            *sums = L::load_sums(starts.add(vector * L::LANES));
        }
        let mut tile = [row; M];
        for step in 0..steps {
            let from = right.add(step * J * L::STRIDE);
            let mut columns = [L::load_right(from); J];
            for (vector, column) in columns.iter_mut().enumerate() {
                *column = L::load_right(from.add(vector * L::STRIDE));
            }
            for (index, row) in tile.iter_mut().enumerate() {
                let values = L::spread(left.add(index * left_stride + step));
                for (sums, &column) in row.iter_mut().zip(&columns) {
                    *sums = L::add_product(*sums, values, column);
                }
            }
        }
        for (index, row) in tile.iter().enumerate() {
            for (vector, &values) in row.iter().enumerate() {
                L::store_sums(sums.add(index * sums_stride + vector * L::LANES), values);
            }
        }
    }
}
