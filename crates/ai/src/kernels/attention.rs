//! Attention of one batch item: scores, weights by table, and the weighted sum of the values. Formula:
//! `docs/integer-graphs.md`, attention.
//!
//! Per head, keys and values are packed once; then a block of queries at a time meets the keys, each row of scores becomes
//! a row of weights, and the weights meet the values. The division by the sum of weights is done once per row, on the sums.

use super::epilogue::Epilogue;
use super::error::{KernelError, expect, within};
use super::finish::Out;
use super::matrix::{Matrix, MatrixMut};
use super::packed::Packed;
use super::path::{Kernel, Path};
use super::product::product;
use super::rounding::{Reciprocal, Scaling};
use super::rows::scale_row;
use super::scratch::Scratch;
use super::words::{Element, LANES_MOST, Words};

/// The attributes of an attention, and its table.
#[derive(Clone, Debug)]
pub struct Attention {
    heads: usize,
    causal: bool,
    fraction_bits: u32,
    /// From the distance to the row's largest score to an index.
    scaling: Scaling,
    /// The table, and a 0 after it for the keys that are not seen.
    table: Vec<i8>,
}

/// The attributes of an attention, by the names of the specification.
#[derive(Clone, Copy, Debug)]
pub struct AttentionAttributes<'a> {
    /// At least 1.
    pub heads: usize,
    /// Whether query i sees only keys up to i + S - Q.
    pub causal: bool,
    /// 0..=2^31 - 1.
    pub multiplier: i32,
    /// 1..=62.
    pub shift: u32,
    /// 0..=16.
    pub fraction_bits: u32,
    /// 1..=65,536 entries of 0..=127.
    pub table: &'a [i8],
    /// The largest distance between two scores that admission proved: 2 * D * A(query) * A(key).
    pub largest: i64,
}

/// Query, key and value of one batch item, and which keys are hidden.
#[derive(Clone, Copy, Debug)]
pub struct AttentionInputs<'a> {
    /// Q x W.
    pub query: Matrix<'a, i8>,
    /// S x W.
    pub key: Matrix<'a, i8>,
    /// S x V.
    pub value: Matrix<'a, i8>,
    /// S flags, or none: whether a key is seen.
    pub seen: Option<&'a [bool]>,
}

impl Attention {
    /// An attention whose table and attributes were checked here.
    ///
    /// # Errors
    /// `Parameter` for a value outside the formula's range.
    pub fn new(attributes: &AttentionAttributes<'_>) -> Result<Attention, KernelError> {
        let &AttentionAttributes { heads, causal, multiplier, shift, fraction_bits, table, largest } =
            attributes;
        within("heads", heads as i64, 1, 1 << 24)?;
        within("fraction_bits", fraction_bits.into(), 0, 16)?;
        within("table's length", table.len() as i64, 1, 65_536)?;
        for &entry in table {
            within("table's entry", entry.into(), 0, 127)?;
        }
        within("table's first entry", table[0].into(), 1, 127)?;
        let scaling = Scaling::checked(multiplier, shift, largest)?;
        Ok(Attention {
            heads,
            causal,
            fraction_bits,
            scaling,
            table: table.iter().copied().chain([0]).collect(),
        })
    }

    /// Runs on one batch item: `out` is Q x V.
    ///
    /// # Errors
    /// `Shape` if the arguments do not fit each other or the scratch memory.
    pub fn run(
        &self,
        inputs: &AttentionInputs<'_>,
        mut out: Out<'_>,
        scratch: &mut AttentionScratch,
    ) -> Result<(), KernelError> {
        let &AttentionInputs { query, key, value, seen } = inputs;
        let (queries, keys) = (query.rows(), key.rows());
        expect("columns of the key", query.columns(), key.columns())?;
        expect("rows of the value", keys, value.rows())?;
        expect("rows of the output", queries, out.rows())?;
        expect("columns of the output", value.columns(), out.columns())?;
        expect("columns of the query beyond whole heads", 0, query.columns() % self.heads)?;
        expect("columns of the value beyond whole heads", 0, value.columns() % self.heads)?;
        if let Some(seen) = seen {
            expect("mask", keys, seen.len())?;
        }
        if keys > scratch.least.len() {
            let what = "keys that the scratch memory is for";
            return Err(KernelError::Shape { what, expected: keys, found: scratch.least.len() });
        }
        let block_rows = (scratch.scores.len() / keys.next_multiple_of(LANES_MOST).max(1)).min(BLOCK_ROWS);
        scratch.hide(seen, keys, self.table.len() - 1);
        let (depth, width) = (query.columns() / self.heads, value.columns() / self.heads);
        for head in 0..self.heads {
            let columns = head * depth..(head + 1) * depth;
            scratch.keys.repack_rows(key.part(0..keys, columns.clone())?)?;
            scratch.values.repack_columns(value.part(0..keys, head * width..(head + 1) * width)?)?;
            let mut first = 0;
            while first < queries {
                let rows = block_rows.min(queries - first);
                let block = query.part(first..first + rows, columns.clone())?;
                let out = out.part(first..first + rows, head * width..(head + 1) * width)?;
                self.block(block, (first, queries), out, scratch)?;
                first += rows;
            }
        }
        Ok(())
    }

    /// A block of queries of one head, the first of which is query `first` of `queries`.
    fn block(
        &self,
        query: Matrix<'_, i8>,
        (first, queries): (usize, usize),
        out: Out<'_>,
        scratch: &mut AttentionScratch,
    ) -> Result<(), KernelError> {
        let AttentionScratch { kernel, keys, values, scores, weights, sums, ceiling, least, own, .. } =
            scratch;
        let (rows, all, width, path) = (query.rows(), keys.n(), values.n(), kernel.path());
        let stride = all.next_multiple_of(LANES_MOST);
        let view = MatrixMut::new(scores, rows, all, stride)?;
        product(query, keys, &Epilogue::SUMS, &[], Out::Int32(view), own)?;
        let mut totals = [0; BLOCK_ROWS];
        for (row, total) in totals.iter_mut().enumerate().take(rows) {
            // Query i sees the keys up to i + S - Q.
            let limit = if self.causal { (first + row + 1 + all).saturating_sub(queries) } else { all };
            let keys = Keys {
                limit: limit.min(all),
                scores: &mut scores[row * stride..][..stride],
                ceiling: &ceiling[..stride],
                least: &least[..stride],
            };
            *total = self.weigh(path, keys, &mut weights[row * stride..][..all]);
        }
        let view = MatrixMut::dense(sums, rows, width)?;
        let weights = Matrix::new(weights, rows, all, stride)?;
        product(weights, values, &Epilogue::SUMS, &[], Out::Int32(view), own)?;
        let sums = Matrix::dense(sums, rows, width)?;
        match out {
            Out::Int8(out) => self.divide(path, sums, &totals, out),
            Out::Int16(out) => self.divide(path, sums, &totals, out),
            Out::Int32(out) => self.divide(path, sums, &totals, out),
        }
        Ok(())
    }

    /// The weights of one row, and their sum; 0 where a key is not seen.
    fn weigh(&self, path: Path, keys: Keys<'_>, weights: &mut [i8]) -> u32 {
        #[cfg(target_arch = "x86_64")]
        if path != Path::Scalar && self.scaling.is_fast() {
            // SAFETY: the scratch memory is for a kernel that this machine has; all slices of `keys` are whole vectors.
            return unsafe { super::x86::weigh(path, self, keys, weights) };
        }
        let _ = path;
        let Keys { limit, scores, ceiling, least } = keys;
        let top = scores[..limit].iter().zip(ceiling).map(|(&score, &ceiling)| score.min(ceiling)).max();
        let last = self.last();
        for ((score, &least), weight) in scores[..limit].iter().zip(least).zip(&mut *weights) {
            let distance = top.unwrap_or(0).wrapping_sub(*score);
            let index = self.scaling.apply(distance).clamp(0, last.into()).max(least.into());
            *weight = self.table[index as usize];
        }
        weights[limit..].fill(0);
        weights.iter().map(|&weight| weight as u32).sum()
    }

    /// Divides each row's sums by its sum of weights; 0 where no key was seen.
    fn divide<T: Element>(
        &self,
        path: Path,
        sums: Matrix<'_, i32>,
        totals: &[u32],
        mut out: MatrixMut<'_, T>,
    ) {
        for (row, &total) in totals.iter().enumerate().take(sums.rows()) {
            if total == 0 {
                out.row_mut(row).fill(T::default());
                continue;
            }
            // A weighted mean of int8 values: |sum| <= total * 128.
            let scaling = Reciprocal::of(total).scaling(self.fraction_bits, i64::from(total) << 7);
            scale_row(path, &scaling, sums.row(row), out.row_mut(row));
        }
    }

    /// The last index of the specification's table.
    #[inline(always)]
    fn last(&self) -> i32 {
        self.table.len() as i32 - 2
    }
}

/// One row of scores, filled up to whole vectors, and which keys it may see.
pub(crate) struct Keys<'a> {
    /// Keys from here on are not seen.
    limit: usize,
    scores: &'a mut [i32],
    /// Per key: the largest int32 where it is seen, else the least.
    ceiling: &'a [i32],
    /// Per key: 0 where it is seen, else the index after the table.
    least: &'a [i32],
}

/// The vector form of `Attention::weigh`.
///
/// # Safety
/// The machine has the features of `W`; the slices of `keys` are whole vectors; the scaling is fast.
#[inline(always)]
pub(crate) unsafe fn weigh_vectors<W: Words>(
    attention: &Attention,
    keys: Keys<'_>,
    weights: &mut [i8],
) -> u32 {
    let Keys { limit, scores, ceiling, least } = keys;
    // What is filled up, and what lies behind a causal limit, must not be the largest.
    let end = limit.next_multiple_of(W::LANES);
    scores[limit..end].fill(i32::MIN);
    let mut top = i32::MIN;
    // SAFETY: every address is below `end`, which is no longer than the slices.
    unsafe {
        let mut tops = W::splat(i32::MIN);
        for at in (0..end).step_by(W::LANES) {
            let x = W::minimum(W::load(scores.as_ptr().add(at)), W::load(ceiling.as_ptr().add(at)));
            tops = W::maximum(tops, x);
        }
        let mut lanes = [i32::MIN; LANES_MOST];
        W::store(lanes.as_mut_ptr(), tops);
        for lane in lanes {
            top = top.max(lane);
        }
        let (highest, last, zero) = (W::splat(top), W::splat(attention.last()), W::splat(0));
        let scaling = attention.scaling.vectors::<W>();
        for at in (0..end).step_by(W::LANES) {
            let distance = W::subtract(highest, W::load(scores.as_ptr().add(at)));
            let index = W::clamp(scaling.apply(distance), zero, last);
            W::store(scores.as_mut_ptr().add(at), W::maximum(index, W::load(least.as_ptr().add(at))));
        }
    }
    let table = attention.table.as_slice();
    for (weight, &index) in weights.iter_mut().zip(&scores[..limit]) {
        debug_assert!((0..table.len() as i32).contains(&index));
        // SAFETY: an index is at most the table's last, or the one of the 0 after it.
        *weight = unsafe { *table.get_unchecked(index as u32 as usize) };
    }
    weights[limit..].fill(0);
    weights.iter().map(|&weight| weight as u32).sum()
}

/// Queries that meet the keys at once, at most.
const BLOCK_ROWS: usize = 48;
/// Queries for which there is memory whatever the number of keys.
const BLOCK_ROWS_LEAST: usize = 6;
/// Scores of a block, where the keys leave that choice: they stay in the first-level cache.
const BLOCK_SCORES: usize = 6144;

/// The memory of one thread's attention.
#[derive(Debug)]
pub struct AttentionScratch {
    kernel: Kernel,
    keys: Packed,
    values: Packed,
    own: Scratch,
    scores: Vec<i32>,
    weights: Vec<i8>,
    sums: Vec<i32>,
    ceiling: Vec<i32>,
    least: Vec<i32>,
}

impl AttentionScratch {
    /// Memory for up to `keys` keys, of heads of `depth` columns of query and key and `width` of value.
    ///
    /// # Errors
    /// `TooLarge` if it cannot be addressed.
    pub fn new(
        kernel: Kernel,
        keys: usize,
        depth: usize,
        width: usize,
    ) -> Result<AttentionScratch, KernelError> {
        AttentionScratch::bytes(kernel, keys, depth, width)?;
        let stride = keys.next_multiple_of(LANES_MOST);
        let block = BLOCK_SCORES.max(stride * BLOCK_ROWS_LEAST);
        Ok(AttentionScratch {
            kernel,
            keys: Packed::new(kernel, keys, depth)?,
            values: Packed::new(kernel, width, keys)?,
            own: Scratch::new(kernel, depth.max(keys))?,
            scores: vec![0; block],
            weights: vec![0; block],
            sums: vec![0; BLOCK_ROWS * width],
            ceiling: vec![0; stride],
            least: vec![0; stride],
        })
    }

    /// The bytes that `AttentionScratch::new` takes.
    ///
    /// # Errors
    /// `TooLarge` if they cannot be addressed.
    pub fn bytes(kernel: Kernel, keys: usize, depth: usize, width: usize) -> Result<usize, KernelError> {
        let packed = Packed::bytes(kernel, keys, depth)?.checked_add(Packed::bytes(kernel, width, keys)?);
        let own = Scratch::bytes(kernel, depth.max(keys))?;
        let rest = || {
            let stride = keys.checked_next_multiple_of(LANES_MOST)?;
            let block = stride.checked_mul(BLOCK_ROWS_LEAST)?.max(BLOCK_SCORES).checked_mul(5)?;
            let sums = width.checked_mul(BLOCK_ROWS * 4)?;
            block
                .checked_add(sums)?
                .checked_add(stride.checked_mul(8)?)?
                .checked_add(packed?)?
                .checked_add(own)
        };
        rest().ok_or(KernelError::TooLarge { what: "an attention's scratch memory" })
    }

    /// Notes which of `keys` keys are seen; `after` is the index after the table.
    fn hide(&mut self, seen: Option<&[bool]>, keys: usize, after: usize) {
        for key in 0..keys {
            let seen = seen.is_none_or(|seen| seen[key]);
            self.ceiling[key] = if seen { i32::MAX } else { i32::MIN };
            self.least[key] = if seen { 0 } else { after as i32 };
        }
    }
}
