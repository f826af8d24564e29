//! The epilogue on rows: sums, or the values of a tensor, become stored values.
//!
//! `finish_vectors` has the vectors. What they cannot do exactly, and every path without them, takes `Epilogue::apply`.

use std::ops::Range;

use super::epilogue::Epilogue;
use super::error::{KernelError, expect};
use super::matrix::{Matrix, MatrixMut};
use super::packed::Layout;
use super::path::{Kernel, Path};

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

    /// The values of a range of rows and a range of columns that the matrix has, both not empty: a tile's.
    #[inline(always)]
    pub(crate) fn tile(&mut self, rows: Range<usize>, columns: Range<usize>) -> Out<'_> {
        match self {
            Out::Int8(matrix) => Out::Int8(matrix.tile(rows, columns)),
            Out::Int16(matrix) => Out::Int16(matrix.tile(rows, columns)),
            Out::Int32(matrix) => Out::Int32(matrix.tile(rows, columns)),
        }
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
            finish_tile(
                kernel.path(),
                Sums { values: &mut wide, stride: GROUP },
                epilogue,
                from,
                scales,
                part,
            );
        }
    }
    Ok(())
}

/// Columns that are finished at once: those of the widest panel.
pub(crate) const GROUP: usize = 64;

/// Rows of sums, each filled up to whole vectors. They are used up: indices of a table take their place.
pub(crate) struct Sums<'a> {
    /// One row after the other.
    pub values: &'a mut [i32],
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
