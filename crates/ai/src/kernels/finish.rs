//! The epilogue on rows: sums, or the values of a tensor, become stored values.
//!
//! The loop is written once for any vector (`Words`) and compiled for each width in `x86`. What it cannot do exactly, and
//! every path without vectors, takes `Epilogue::apply`.

use std::ops::Range;

use super::epilogue::{Epilogue, Prepared, Table};
use super::error::{KernelError, expect};
use super::matrix::{Matrix, MatrixMut};
use super::packed::Layout;
use super::path::{Kernel, Path};
use super::words::{Element, Words, store_rest};

/// Values of one of the three types, read.
#[derive(Clone, Copy, Debug)]
pub enum In<'a> {
    /// int8 values.
    Int8(Matrix<'a, i8>),
    /// int16 values.
    Int16(Matrix<'a, i16>),
    /// int32 values.
    Int32(Matrix<'a, i32>),
}

impl In<'_> {
    /// The number of rows.
    pub const fn rows(&self) -> usize {
        match self {
            In::Int8(matrix) => matrix.rows(),
            In::Int16(matrix) => matrix.rows(),
            In::Int32(matrix) => matrix.rows(),
        }
    }

    /// The number of columns.
    pub const fn columns(&self) -> usize {
        match self {
            In::Int8(matrix) => matrix.columns(),
            In::Int16(matrix) => matrix.columns(),
            In::Int32(matrix) => matrix.columns(),
        }
    }

    /// Copies a part of a row, widened to int32.
    #[inline]
    pub(crate) fn widen(&self, row: usize, from: usize, to: &mut [i32]) {
        fn copy<T: Copy + Into<i32>>(values: &[T], to: &mut [i32]) {
            for (wide, &value) in to.iter_mut().zip(values) {
                *wide = value.into();
            }
        }
        match self {
            In::Int8(matrix) => copy(&matrix.row(row)[from..], to),
            In::Int16(matrix) => copy(&matrix.row(row)[from..], to),
            In::Int32(matrix) => copy(&matrix.row(row)[from..], to),
        }
    }
}

/// Values of one of the three types, written. What an epilogue stores must lie within the type.
#[derive(Debug)]
pub enum Out<'a> {
    /// int8 values.
    Int8(MatrixMut<'a, i8>),
    /// int16 values.
    Int16(MatrixMut<'a, i16>),
    /// int32 values.
    Int32(MatrixMut<'a, i32>),
}

impl Out<'_> {
    /// The number of rows.
    pub const fn rows(&self) -> usize {
        match self {
            Out::Int8(matrix) => matrix.rows(),
            Out::Int16(matrix) => matrix.rows(),
            Out::Int32(matrix) => matrix.rows(),
        }
    }

    /// The number of columns.
    pub const fn columns(&self) -> usize {
        match self {
            Out::Int8(matrix) => matrix.columns(),
            Out::Int16(matrix) => matrix.columns(),
            Out::Int32(matrix) => matrix.columns(),
        }
    }

    /// The values of a row range and a column range.
    ///
    /// # Errors
    /// `Shape` if a range leaves the matrix.
    pub fn part(&mut self, rows: Range<usize>, columns: Range<usize>) -> Result<Out<'_>, KernelError> {
        Ok(match self {
            Out::Int8(matrix) => Out::Int8(matrix.part(rows, columns)?),
            Out::Int16(matrix) => Out::Int16(matrix.part(rows, columns)?),
            Out::Int32(matrix) => Out::Int32(matrix.part(rows, columns)?),
        })
    }

    /// Stores one value, which lies within the type.
    #[inline]
    pub(crate) fn put(&mut self, row: usize, column: usize, value: i32) {
        match self {
            Out::Int8(matrix) => matrix.row_mut(row)[column] = value as i8,
            Out::Int16(matrix) => matrix.row_mut(row)[column] = value as i16,
            Out::Int32(matrix) => matrix.row_mut(row)[column] = value,
        }
    }

    /// Refuses a clamp that leaves the type, or a table of another type.
    pub(crate) fn check(&self, epilogue: &Epilogue) -> Result<(), KernelError> {
        let bits = match self {
            Out::Int8(_) => 8,
            Out::Int16(_) => 16,
            Out::Int32(_) => 32,
        };
        if let Some((table, _)) = epilogue.table() {
            return expect("bits of the output after a table", table.bits(), bits);
        }
        let (minimum, maximum) = (-1i64 << (bits - 1), (1i64 << (bits - 1)) - 1);
        let (low, high) = epilogue.ends();
        for (what, found) in [("clamp's minimum", low.into()), ("clamp's maximum", high.into())] {
            if !(minimum..=maximum).contains(&found) {
                return Err(KernelError::Parameter { what, found, minimum, maximum });
            }
        }
        Ok(())
    }
}

/// `out = epilogue(x)`, without a product. `scales` has one value per row if the epilogue is scaled, else none.
///
/// # Errors
/// `Shape` or `Parameter` if the arguments do not fit each other.
pub fn finish(
    kernel: Kernel,
    x: In<'_>,
    epilogue: &Epilogue,
    scales: &[i32],
    mut out: Out<'_>,
) -> Result<(), KernelError> {
    expect("rows of the output", x.rows(), out.rows())?;
    expect("columns of the output", x.columns(), out.columns())?;
    epilogue.check(x.columns(), x.rows(), scales)?;
    out.check(epilogue)?;
    let mut wide = [0; GROUP];
    for row in 0..x.rows() {
        let scales = scales.get(row..=row).unwrap_or_default();
        for from in (0..x.columns()).step_by(GROUP) {
            let length = GROUP.min(x.columns() - from);
            x.widen(row, from, &mut wide[..length]);
            let part = out.part(row..row + 1, from..from + length)?;
            finish_tile(kernel.path(), Sums { values: &wide, stride: GROUP }, epilogue, from, scales, part);
        }
    }
    Ok(())
}

/// Columns that are finished at once: those of the widest panel.
pub(crate) const GROUP: usize = 64;

/// Rows of sums, each filled up to whole vectors.
#[derive(Clone, Copy)]
pub(crate) struct Sums<'a> {
    /// One row after the other.
    pub values: &'a [i32],
    /// From one row to the next.
    pub stride: usize,
}

/// Stores a few rows of up to 64 columns, the first of which, `column`, is where a vector begins. `scales` has one value per
/// row, or none.
#[inline]
pub(crate) fn finish_tile(
    path: Path,
    sums: Sums<'_>,
    epilogue: &Epilogue,
    column: usize,
    scales: &[i32],
    mut out: Out<'_>,
) {
    let (rows, columns) = (out.rows(), out.columns());
    #[cfg(target_arch = "x86_64")]
    if path != Path::Scalar && (epilogue.is_clamp() || epilogue.prepared().is_some()) {
        let lanes = Layout::of(path).lanes;
        assert!(column.is_multiple_of(lanes) && columns.next_multiple_of(lanes) <= sums.stride.min(GROUP));
        assert!(
            sums.values.len() >= rows * sums.stride && (!epilogue.takes_scales() || scales.len() == rows)
        );
        // SAFETY: only a kernel that this machine has comes here with its path; the extents were just checked.
        unsafe { super::x86::finish_tile(path, sums, epilogue, column, scales, out) };
        return;
    }
    let _ = path;
    for row in 0..rows {
        let scale = scales.get(row).copied().unwrap_or(0);
        for index in 0..columns {
            let value = epilogue.apply(sums.values[row * sums.stride + index], column + index, scale);
            out.put(row, index, value);
        }
    }
}

/// An epilogue in registers.
pub(crate) struct Constants<'a, W: Words> {
    prepared: Option<&'a Prepared>,
    scaled: bool,
    minimum: W::Vector,
    maximum: W::Vector,
    zero_point: W::Vector,
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
        // SAFETY: the caller vouches for the features.
        unsafe {
            Constants {
                prepared,
                scaled: epilogue.takes_scales(),
                minimum: W::splat(minimum),
                maximum: W::splat(maximum),
                zero_point: W::splat(prepared.map_or(0, |prepared| prepared.zero_point)),
            }
        }
    }

    /// The clamped values for a vector of sums that begins in `column`.
    ///
    /// # Safety
    /// The machine has the features of `W`; the parameters have the column's vector.
    #[inline(always)]
    pub(crate) unsafe fn values(&self, x: W::Vector, column: usize, scale: W::Vector) -> W::Vector {
        // SAFETY: the caller vouches for the extents.
        unsafe {
            let Some(prepared) = self.prepared else { return W::clamp(x, self.minimum, self.maximum) };
            let x = if prepared.left == 0 { x } else { W::shift_left(x, prepared.left) };
            let multiplier = W::load(prepared.multipliers.as_ptr().add(column));
            let factor = if self.scaled { W::multiply(multiplier, scale) } else { multiplier };
            let even = W::load_wide(prepared.even.as_ptr().add(column / 2));
            let odd = W::load_wide(prepared.odd.as_ptr().add(column / 2));
            let y = W::shift_right(W::high_half(x, factor, even, odd), prepared.shift);
            W::add(W::clamp(y, self.minimum, self.maximum), self.zero_point)
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
    // SAFETY: the caller vouches for the features and the extents; prepared parameters are filled up to `GROUP` columns.
    unsafe {
        let constants: Constants<'_, W> = Constants::new(epilogue);
        match (epilogue.table(), out) {
            (None, Out::Int8(out)) => store_rows(&constants, sums, column, scales, out),
            (None, Out::Int16(out)) => store_rows(&constants, sums, column, scales, out),
            (None, Out::Int32(out)) => store_rows(&constants, sums, column, scales, out),
            (Some((Table::Int8(table), offset)), Out::Int8(out)) => {
                look_up_rows(&constants, sums, column, scales, (table, *offset), out);
            }
            (Some((Table::Int16(table), offset)), Out::Int16(out)) => {
                look_up_rows(&constants, sums, column, scales, (table, *offset), out);
            }
            (Some((Table::Int32(table), offset)), Out::Int32(out)) => {
                look_up_rows(&constants, sums, column, scales, (table, *offset), out);
            }
            // `Out::check` has refused a table of another type.
            (Some(_), _) => {}
        }
    }
}

/// Stores each row of values.
///
/// # Safety
/// As `finish_vectors`.
#[inline(always)]
unsafe fn store_rows<W: Words, T: Element>(
    constants: &Constants<'_, W>,
    sums: Sums<'_>,
    column: usize,
    scales: &[i32],
    mut out: MatrixMut<'_, T>,
) {
    for row in 0..out.rows() {
        // SAFETY: the caller vouches for the extents.
        unsafe {
            let scale = W::splat(scales.get(row).copied().unwrap_or(0));
            store_row::<W, T>(
                constants,
                sums.values.as_ptr().add(row * sums.stride),
                column,
                scale,
                out.row_mut(row),
            );
        }
    }
}

/// Stores `table[value - offset]` for each value of each row; the clamp keeps the indices within the table.
///
/// # Safety
/// As `finish_vectors`.
#[inline(always)]
unsafe fn look_up_rows<W: Words, T: Element>(
    constants: &Constants<'_, W>,
    sums: Sums<'_>,
    column: usize,
    scales: &[i32],
    (table, offset): (&[T], i32),
    mut out: MatrixMut<'_, T>,
) {
    for row in 0..out.rows() {
        let values = out.row_mut(row);
        let mut indices = [0; GROUP];
        // SAFETY: the caller vouches for the extents.
        unsafe {
            let scale = W::splat(scales.get(row).copied().unwrap_or(0));
            let sums = sums.values.as_ptr().add(row * sums.stride);
            store_row::<W, i32>(constants, sums, column, scale, &mut indices[..values.len()]);
        }
        for (value, &index) in values.iter_mut().zip(&indices) {
            let index = index.wrapping_sub(offset) as u32 as usize;
            debug_assert!(index < table.len());
            // SAFETY: `Epilogue::then_lookup` made sure that every value of the clamp is within the table.
            *value = unsafe { *table.get_unchecked(index) };
        }
    }
}

/// Stores a row of values, the last vector by way of a buffer where it is not full.
///
/// # Safety
/// As `finish_vectors`.
#[inline(always)]
unsafe fn store_row<W: Words, T: Element>(
    constants: &Constants<'_, W>,
    sums: *const i32,
    column: usize,
    scale: W::Vector,
    values: &mut [T],
) {
    let whole = values.len() / W::LANES * W::LANES;
    let mut at = 0;
    // SAFETY: `sums` is filled up to whole vectors, and so are the parameters.
    unsafe {
        while at < whole {
            T::store::<W>(
                values.as_mut_ptr().add(at),
                constants.values(W::load(sums.add(at)), column + at, scale),
            );
            at += W::LANES;
        }
        if whole < values.len() {
            let x = constants.values(W::load(sums.add(at)), column + at, scale);
            store_rest::<W, T>(&mut values[whole..], x);
        }
    }
}
