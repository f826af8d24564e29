//! Attention of one batch item: scores, weights by table, and the weighted sum of the values. Formula:
//! `docs/integer-graphs.md`, attention.
//!
//! Per head, keys and values are packed once; then a block of queries at a time meets the keys, each row of scores becomes
//! a row of weights, and the weights meet the values. The division by the sum of weights is done once per row, on the sums.

use super::epilogue::Epilogue;
use super::error::{KernelError, expect, within};
use super::finish::Out;
use super::finish_vectors::look_up;
use super::matrix::{Matrix, MatrixMut};
use super::packed::Packed;
use super::path::{Kernel, Path};
use super::product::product;
use super::rounding::{Reciprocal, Scaling};
use super::rows::scale_vectors;
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
        let AttentionScratch {
            kernel, keys, values, scores, weights, sums, ceiling, least, own, hidden, ..
        } = scratch;
        let (rows, all, width, path) = (query.rows(), keys.n(), values.n(), kernel.path());
        let stride = all.next_multiple_of(LANES_MOST);
        let view = MatrixMut::new(scores, rows, all, stride)?;
        product(query, keys, &Epilogue::SUMS, &[], Out::Int32(view), own)?;
        let mut totals = [0; BLOCK_ROWS];
        let totals = &mut totals[..rows];
        let scored = Scores {
            // Query i sees the keys up to i + S - Q.
            before: if self.causal { (first + all) as i64 - queries as i64 } else { all as i64 },
            all,
            stride,
            scores: &mut scores[..rows * stride],
            hidden: hidden.then_some((&ceiling[..stride], &least[..stride])),
        };
        self.weigh(path, scored, &mut weights[..rows * stride], totals);
        let view = MatrixMut::dense(sums, rows, width)?;
        let weights = Matrix::new(weights, rows, all, stride)?;
        product(weights, values, &Epilogue::SUMS, &[], Out::Int32(view), own)?;
        let sums = Matrix::dense(sums, rows, width)?;
        match out {
            Out::Int8(out) => self.divide(path, sums, totals, out),
            Out::Int16(out) => self.divide(path, sums, totals, out),
            Out::Int32(out) => self.divide(path, sums, totals, out),
        }
        Ok(())
    }

    /// The weights of some rows, and the sum of each; 0 where a key is not seen.
    fn weigh(&self, path: Path, scored: Scores<'_>, weights: &mut [i8], totals: &mut [u32]) {
        #[cfg(target_arch = "x86_64")]
        if path != Path::Scalar && self.scaling.is_fast() {
            // SAFETY: the scratch memory is for a kernel that this machine has; all rows of `scored` are whole vectors.
            unsafe { super::x86::weigh(path, self, scored, weights, totals) };
            return;
        }
        let _ = path;
        let last = self.last();
        for (row, total) in totals.iter_mut().enumerate() {
            let limit = scored.limit(row);
            let scores = &scored.scores[row * scored.stride..][..limit];
            let weights = &mut weights[row * scored.stride..][..scored.all];
            let seen = |key: usize| scored.hidden.is_none_or(|(_, least)| least[key] == 0);
            let top = (0..limit).filter(|&key| seen(key)).map(|key| scores[key]).max().unwrap_or(0);
            weights.fill(0);
            for key in (0..limit).filter(|&key| seen(key)) {
                let index = self.scaling.apply(top.wrapping_sub(scores[key])).clamp(0, last.into());
                weights[key] = self.table[index as usize];
            }
            *total = weights.iter().map(|&weight| weight as u32).sum();
        }
    }

    /// Divides each row's sums by its sum of weights; 0 where no key was seen.
    fn divide<T: Element>(
        &self,
        path: Path,
        sums: Matrix<'_, i32>,
        totals: &[u32],
        mut out: MatrixMut<'_, T>,
    ) {
        #[cfg(target_arch = "x86_64")]
        if path != Path::Scalar {
            // SAFETY: the scratch memory is for a kernel that this machine has.
            unsafe { super::x86::divide(path, self, sums, totals, out) };
            return;
        }
        let _ = path;
        for (row, &total) in totals.iter().enumerate() {
            let scaling = self.division(total);
            for (value, &sum) in out.row_mut(row).iter_mut().zip(sums.row(row)) {
                *value = T::narrow(scaling.map_or(0, |scaling| scaling.apply(sum)) as i32);
            }
        }
    }

    /// The division by a sum of weights; none where no key was seen.
    #[inline(always)]
    fn division(&self, total: u32) -> Option<Scaling> {
        // A weighted mean of int8 values: |sum| <= total * 128.
        (total > 0).then(|| Reciprocal::of(total).scaling(self.fraction_bits, i64::from(total) << 7))
    }

    /// The last index of the specification's table.
    #[inline(always)]
    fn last(&self) -> i32 {
        self.table.len() as i32 - 2
    }
}

/// Rows of scores, each filled up to whole vectors, and which keys they may see.
pub(crate) struct Scores<'a> {
    /// Row i does not see the keys after `before + i`; may be negative.
    before: i64,
    /// Keys.
    all: usize,
    /// From one row to the next.
    stride: usize,
    scores: &'a mut [i32],
    /// Where the mask hides a key: per key the largest int32 where it is seen, else the least; and 0 where it is seen, else the
    /// index after the table.
    hidden: Option<(&'a [i32], &'a [i32])>,
}

impl Scores<'_> {
    /// Keys that a row may see, if the mask shows them.
    #[inline(always)]
    fn limit(&self, row: usize) -> usize {
        (self.before + row as i64 + 1).clamp(0, self.all as i64) as usize
    }
}

/// The vector form of `Attention::weigh`: the indices of all rows take the place of their scores, then each is looked up.
///
/// # Safety
/// The machine has the features of `W`; the rows of `scored` are whole vectors; the scaling is fast.
#[inline(always)]
pub(crate) unsafe fn weigh_vectors<W: Words>(
    attention: &Attention,
    scored: Scores<'_>,
    weights: &mut [i8],
    totals: &mut [u32],
) {
    // SAFETY: the caller vouches for the features.
    let (last, zero, scaling, least_top) = unsafe {
        let last = W::splat(attention.last());
        (last, W::splat(0), attention.scaling.vectors::<W>(), W::splat(i32::MIN))
    };
    for row in 0..totals.len() {
        let limit = scored.limit(row);
        let end = limit.next_multiple_of(W::LANES);
        let scores = &mut scored.scores[row * scored.stride..][..end];
        // What is filled up, and what lies behind a causal limit, must not be the largest.
        scores[limit..].fill(i32::MIN);
        // SAFETY: every address is below `end`, which is no longer than the slices.
        unsafe {
            let mut top = least_top;
            for at in (0..end).step_by(W::LANES) {
                let mut x = W::load(scores.as_ptr().add(at));
                if let Some((ceiling, _)) = scored.hidden {
                    x = W::minimum(x, W::load(ceiling.as_ptr().add(at)));
                }
                top = W::maximum(top, x);
            }
            let top = W::largest(top);
            for at in (0..end).step_by(W::LANES) {
                let distance = W::subtract(top, W::load(scores.as_ptr().add(at)));
                let mut index = W::clamp(scaling.apply(distance), zero, last);
                if let Some((_, least)) = scored.hidden {
                    index = W::maximum(index, W::load(least.as_ptr().add(at)));
                }
                W::store(scores.as_mut_ptr().add(at), index);
            }
        }
    }
    for (row, total) in totals.iter_mut().enumerate() {
        let limit = scored.limit(row);
        let weights = &mut weights[row * scored.stride..][..scored.all];
        // SAFETY: an index is at most the table's last, or the one of the 0 after it.
        unsafe { look_up(&attention.table, &scored.scores[row * scored.stride..], &mut weights[..limit]) };
        weights[limit..].fill(0);
        *total = weights.iter().map(|&weight| weight as u32).sum();
    }
}

/// The vector form of `Attention::divide`.
///
/// # Safety
/// The machine has the features of `W`.
#[inline(always)]
pub(crate) unsafe fn divide_vectors<W: Words, T: Element>(
    attention: &Attention,
    sums: Matrix<'_, i32>,
    totals: &[u32],
    mut out: MatrixMut<'_, T>,
) {
    for (row, &total) in totals.iter().enumerate() {
        let (x, out) = (sums.row(row), out.row_mut(row));
        match attention.division(total) {
            None => out.fill(T::default()),
            // SAFETY: the scaling is fast.
            Some(scaling) if scaling.is_fast() => unsafe { scale_vectors::<W, T>(&scaling, x, out) },
            Some(scaling) => {
                out.iter_mut().zip(x).for_each(|(out, &x)| *out = T::narrow(scaling.apply(x) as i32));
            }
        }
    }
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
    /// Whether any key is hidden.
    hidden: bool,
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
            hidden: false,
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
        self.hidden = seen.is_some_and(|seen| seen.contains(&false));
        if !self.hidden {
            return;
        }
        for key in 0..keys {
            let seen = seen.is_none_or(|seen| seen[key]);
            self.ceiling[key] = if seen { i32::MAX } else { i32::MIN };
            self.least[key] = if seen { 0 } else { after as i32 };
        }
    }
}
