//! The epilogue on rows, in vectors: written once for any vector (`Words`), compiled for each width in `x86`.

use super::epilogue::{Epilogue, Prepared, Table};
use super::finish::{Out, Sums};
use super::matrix::MatrixMut;
use super::words::{Element, Words, store_rest};

/// An epilogue in registers.
pub(crate) struct Constants<'a, W: Words> {
    prepared: Option<&'a Prepared>,
    minimum: W::Vector,
    maximum: W::Vector,
    /// Added after the clamp: the zero point, less the offset of a table that follows.
    after: W::Vector,
}

/// The same for the columns of one vector.
pub(crate) struct ColumnConstants<W: Words> {
    factors: [W::Vector; 2],
    offsets: [W::Vector; 2],
    left: u32,
    shift: u32,
}

/// What is done with each vector: `CLAMP` only, or rescaling; `SCALED` by row; a `LEFT` shift first.
mod form {
    pub(super) const RESCALE: u8 = 1;
    pub(super) const SCALED: u8 = 2;
    pub(super) const LEFT: u8 = 4;
}

impl<'a, W: Words> Constants<'a, W> {
    /// Those of an epilogue that is a clamp or prepared.
    ///
    /// # Safety
    /// The machine has the features of `W`.
    #[inline(always)]
    pub(crate) unsafe fn new(epilogue: &'a Epilogue) -> Self {
        let prepared = epilogue.prepared();
        let (minimum, maximum) =
            prepared.map_or(epilogue.ends(), |prepared| (prepared.minimum, prepared.maximum));
        let offset = epilogue.table().map_or(0, |(_, offset)| *offset);
        let after = prepared.map_or(0, |prepared| prepared.zero_point).wrapping_sub(offset);
        // SAFETY: the caller vouches for the features.
        unsafe {
            let (minimum, maximum) = (W::splat(minimum), W::splat(maximum));
            Constants { prepared, minimum, maximum, after: W::splat(after) }
        }
    }

    /// The constants of the vector that begins in `column`; those of 0 for a clamp, which has none.
    ///
    /// # Safety
    /// The machine has the features of `W`; the parameters have the column's vector.
    #[inline(always)]
    pub(crate) unsafe fn of_column(&self, column: usize) -> ColumnConstants<W> {
        // SAFETY: the caller vouches for the extents.
        unsafe {
            let Some(prepared) = self.prepared else {
                let zero = W::splat(0);
                return ColumnConstants { factors: [zero; 2], offsets: [zero; 2], left: 0, shift: 0 };
            };
            let factors = W::load(prepared.multipliers.as_ptr().add(column));
            ColumnConstants {
                factors: [factors, W::odd(factors)],
                offsets: [
                    W::load_wide(prepared.even.as_ptr().add(column / 2)),
                    W::load_wide(prepared.odd.as_ptr().add(column / 2)),
                ],
                left: prepared.left,
                shift: prepared.shift,
            }
        }
    }

    /// The values of a vector of sums, by a prepared epilogue without scales.
    ///
    /// # Safety
    /// The machine has the features of `W`.
    #[inline(always)]
    pub(crate) unsafe fn values(&self, x: W::Vector, of: &ColumnConstants<W>) -> W::Vector {
        // SAFETY: the caller vouches for the features.
        unsafe {
            if of.left == 0 {
                self.formed::<{ form::RESCALE }>(x, of, 0)
            } else {
                self.formed::<{ form::RESCALE | form::LEFT }>(x, of, 0)
            }
        }
    }

    /// The values of a vector of sums of a row with that scale, by an epilogue of that form.
    ///
    /// # Safety
    /// The machine has the features of `W`.
    #[inline(always)]
    unsafe fn formed<const FORM: u8>(&self, x: W::Vector, of: &ColumnConstants<W>, scale: i32) -> W::Vector {
        // SAFETY: the caller vouches for the features. A product of multiplier and scale is below 2^31 by admission.
        unsafe {
            let mut x = x;
            if FORM & form::LEFT != 0 {
                x = W::shift_left(x, of.left);
            }
            if FORM & form::RESCALE != 0 {
                let mut factors = of.factors;
                if FORM & form::SCALED != 0 {
                    let scale = W::splat(scale);
                    factors = [W::multiply(factors[0], scale), W::multiply(factors[1], scale)];
                }
                x = W::shift_right(W::high_half(x, factors, of.offsets), of.shift);
            }
            W::add(W::clamp(x, self.minimum, self.maximum), self.after)
        }
    }
}

/// The vector form of `finish_tile`.
///
/// # Safety
/// The machine has the features of `W`. `sums` has `out`'s rows, each filled up to whole vectors; `column` is a multiple of
/// the lanes and `out` no wider than `GROUP`; the epilogue is a clamp or prepared, and has as many scales as rows if it is
/// scaled.
#[inline(always)]
pub(crate) unsafe fn finish_vectors<W: Words>(
    sums: Sums<'_>,
    epilogue: &Epilogue,
    column: usize,
    scales: &[i32],
    out: Out<'_>,
) {
    let Sums { values, stride } = sums;
    // SAFETY: the caller vouches for the features and the extents; prepared parameters are filled up to `GROUP` columns.
    unsafe {
        let constants: Constants<'_, W> = Constants::new(epilogue);
        let first = values.as_mut_ptr();
        let from = From { first: first.cast_const(), stride, column, scales: scales.as_ptr() };
        let Some((table, _)) = epilogue.table() else {
            match out {
                Out::Int8(out) => store(epilogue, &constants, from, target(out)),
                Out::Int16(out) => store(epilogue, &constants, from, target(out)),
                Out::Int32(out) => store(epilogue, &constants, from, target(out)),
            }
            return;
        };
        // The indices take the place of the sums.
        let columns = out.columns().next_multiple_of(W::LANES);
        store(epilogue, &constants, from, Target { first, stride, rows: out.rows(), columns });
        match (table, out) {
            (Table::Int8(table), Out::Int8(out)) => look_up_rows(values, stride, table, out),
            (Table::Int16(table), Out::Int16(out)) => look_up_rows(values, stride, table, out),
            (Table::Int32(table), Out::Int32(out)) => look_up_rows(values, stride, table, out),
            // `Out::check` has refused a table of another type.
            _ => {}
        }
    }
}

/// Where rows of sums are, which column is their first, and the scales of the rows.
#[derive(Clone, Copy)]
struct From {
    first: *const i32,
    stride: usize,
    column: usize,
    scales: *const i32,
}

/// Where rows of values go.
#[derive(Clone, Copy)]
struct Target<T> {
    first: *mut T,
    stride: usize,
    rows: usize,
    columns: usize,
}

fn target<T>(mut out: MatrixMut<'_, T>) -> Target<T> {
    let (rows, columns) = (out.rows(), out.columns());
    let (values, stride) = out.values_mut();
    Target { first: values.as_mut_ptr(), stride, rows, columns }
}

/// Stores rows of values by the form of the epilogue.
///
/// # Safety
/// As `finish_vectors`; `to` may be where the sums are.
#[inline(always)]
unsafe fn store<W: Words, T: Element>(
    epilogue: &Epilogue,
    constants: &Constants<'_, W>,
    from: From,
    to: Target<T>,
) {
    use form::{LEFT, RESCALE, SCALED};
    // SAFETY: the caller vouches for all.
    unsafe {
        match constants.prepared {
            None => store_rows::<W, T, 0>(constants, from, to),
            Some(Prepared { left: 0, .. }) if epilogue.takes_scales() => {
                store_rows::<W, T, { RESCALE | SCALED }>(constants, from, to);
            }
            Some(_) if epilogue.takes_scales() => {
                store_rows::<W, T, { RESCALE | SCALED | LEFT }>(constants, from, to);
            }
            Some(Prepared { left: 0, .. }) => store_rows::<W, T, RESCALE>(constants, from, to),
            Some(_) => store_rows::<W, T, { RESCALE | LEFT }>(constants, from, to),
        }
    }
}

/// Stores rows of values, a vector of columns after the other, so that what belongs to columns stays in registers.
///
/// # Safety
/// As `store`; the form is the epilogue's.
#[inline(always)]
unsafe fn store_rows<W: Words, T: Element, const FORM: u8>(
    constants: &Constants<'_, W>,
    from: From,
    to: Target<T>,
) {
    let whole = to.columns / W::LANES * W::LANES;
    for at in (0..whole).step_by(W::LANES) {
        // SAFETY: whole vectors of both.
        unsafe {
            let of = constants.of_column(from.column + at);
            for row in 0..to.rows {
                let x = W::load(from.first.add(row * from.stride + at));
                let scale = if FORM & form::SCALED == 0 { 0 } else { *from.scales.add(row) };
                T::store::<W>(to.first.add(row * to.stride + at), constants.formed::<FORM>(x, &of, scale));
            }
        }
    }
    if whole == to.columns {
        return;
    }
    for row in 0..to.rows {
        // SAFETY: `sums` is filled up to whole vectors, and so are the parameters; what is stored goes by way of a buffer.
        unsafe {
            let of = constants.of_column(from.column + whole);
            let x = W::load(from.first.add(row * from.stride + whole));
            let scale = if FORM & form::SCALED == 0 { 0 } else { *from.scales.add(row) };
            let values = to.first.add(row * to.stride + whole);
            let values = std::slice::from_raw_parts_mut(values, to.columns - whole);
            store_rest::<W, T>(values, constants.formed::<FORM>(x, &of, scale));
        }
    }
}

/// Stores the table's entry for each index of each row.
///
/// # Safety
/// `Epilogue::then_lookup` made sure that every value of the clamp, less the offset, is within the table.
#[inline(always)]
unsafe fn look_up_rows<T: Element>(indices: &[i32], stride: usize, table: &[T], mut out: MatrixMut<'_, T>) {
    for (row, indices) in (0..out.rows()).zip(indices.chunks(stride)) {
        // SAFETY: the caller vouches for the indices.
        unsafe { look_up(table, indices, out.row_mut(row)) };
    }
}

/// `out[i] = table[indices[i]]`: two indices are read at once.
///
/// # Safety
/// The first indices, as many as `out` has places, are within the table.
#[inline(always)]
pub(crate) unsafe fn look_up<T: Copy>(table: &[T], indices: &[i32], out: &mut [T]) {
    let indices = &indices[..out.len()];
    debug_assert!(indices.iter().all(|&index| (0..table.len() as i32).contains(&index)));
    // SAFETY: the caller vouches for the indices.
    let entry = |index: u32| unsafe { *table.get_unchecked(index as usize) };
    let (pairs, rest) = indices.as_chunks::<LOOKED_UP>();
    let (places, places_rest) = out.as_chunks_mut::<LOOKED_UP>();
    for (places, indices) in places.iter_mut().zip(pairs) {
        for at in (0..LOOKED_UP).step_by(2) {
            // SAFETY: a pair of the chunk; any alignment will do.
            let pair = unsafe { indices.as_ptr().add(at).cast::<u64>().read_unaligned() };
            places[at] =
                entry(if cfg!(target_endian = "little") { pair as u32 } else { (pair >> 32) as u32 });
            places[at + 1] =
                entry(if cfg!(target_endian = "little") { (pair >> 32) as u32 } else { pair as u32 });
        }
    }
    for (place, &index) in places_rest.iter_mut().zip(rest) {
        *place = entry(index as u32);
    }
}

/// Indices that are looked up in one round.
const LOOKED_UP: usize = 8;
