//! Views of row-major matrices: a slice, its extents and the distance between rows.
//!
//! A head of an attention is a range of columns of a wider matrix, a share of a batch is a range of rows.

use std::ops::Range;

use super::error::KernelError;

/// `rows` x `columns` values of which two rows are `stride` apart.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    stride: usize,
}

/// The same, to be written.
#[derive(Debug)]
pub struct MatrixMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    columns: usize,
    stride: usize,
}

/// The length that a view's slice must have at least.
fn extent(rows: usize, columns: usize, stride: usize) -> Result<usize, KernelError> {
    if stride < columns {
        return Err(KernelError::Shape { what: "stride of a matrix", expected: columns, found: stride });
    }
    match rows {
        0 => Ok(0),
        _ => (rows - 1)
            .checked_mul(stride)
            .and_then(|before| before.checked_add(columns))
            .ok_or(KernelError::TooLarge { what: "a matrix" }),
    }
}

fn check<T>(data: &[T], rows: usize, columns: usize, stride: usize) -> Result<(), KernelError> {
    let expected = extent(rows, columns, stride)?;
    if data.len() < expected {
        return Err(KernelError::Shape { what: "values of a matrix", expected, found: data.len() });
    }
    Ok(())
}

/// The slice of a range of rows and columns within a checked view; an empty one where either is empty.
fn window(rows: &Range<usize>, columns: &Range<usize>, stride: usize) -> Range<usize> {
    if rows.is_empty() || columns.is_empty() {
        return 0..0;
    }
    rows.start * stride + columns.start..(rows.end - 1) * stride + columns.end
}

impl<'a, T> Matrix<'a, T> {
    /// A view of `data`.
    ///
    /// # Errors
    /// `Shape` if the slice is too short or the stride below the columns.
    pub fn new(data: &'a [T], rows: usize, columns: usize, stride: usize) -> Result<Self, KernelError> {
        check(data, rows, columns, stride)?;
        Ok(Matrix { data, rows, columns, stride })
    }

    /// A view of rows that follow each other without a gap.
    ///
    /// # Errors
    /// `Shape` if the slice is too short.
    pub fn dense(data: &'a [T], rows: usize, columns: usize) -> Result<Self, KernelError> {
        Matrix::new(data, rows, columns, columns)
    }

    /// The number of rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// One row. Panics past the last, as a slice does.
    pub fn row(&self, row: usize) -> &'a [T] {
        &self.data[row * self.stride..][..self.columns]
    }

    /// The values of a row range and a column range.
    ///
    /// # Errors
    /// `Shape` if a range leaves the matrix.
    pub fn part(&self, rows: Range<usize>, columns: Range<usize>) -> Result<Self, KernelError> {
        within("row range", &rows, self.rows)?;
        within("column range", &columns, self.columns)?;
        let window = window(&rows, &columns, self.stride);
        Ok(Matrix {
            data: &self.data[window],
            rows: if columns.is_empty() { 0 } else { rows.len() },
            columns: columns.len(),
            stride: self.stride,
        })
    }
}

impl<'a, T> MatrixMut<'a, T> {
    /// A view of `data`.
    ///
    /// # Errors
    /// `Shape` if the slice is too short or the stride below the columns.
    pub fn new(data: &'a mut [T], rows: usize, columns: usize, stride: usize) -> Result<Self, KernelError> {
        check(data, rows, columns, stride)?;
        Ok(MatrixMut { data, rows, columns, stride })
    }

    /// A view of rows that follow each other without a gap.
    ///
    /// # Errors
    /// `Shape` if the slice is too short.
    pub fn dense(data: &'a mut [T], rows: usize, columns: usize) -> Result<Self, KernelError> {
        MatrixMut::new(data, rows, columns, columns)
    }

    /// The number of rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// One row. Panics past the last, as a slice does.
    pub fn row_mut(&mut self, row: usize) -> &mut [T] {
        &mut self.data[row * self.stride..][..self.columns]
    }

    /// The slice from the first value to the last, and the distance between rows.
    pub(crate) fn values_mut(&mut self) -> (&mut [T], usize) {
        (self.data, self.stride)
    }

    /// The values of a range of rows and a range of columns, both not empty. Panics if one leaves the slice, as a slice does.
    #[inline(always)]
    pub(crate) fn tile(&mut self, rows: Range<usize>, columns: Range<usize>) -> MatrixMut<'_, T> {
        let window = rows.start * self.stride + columns.start..(rows.end - 1) * self.stride + columns.end;
        let (rows, columns) = (rows.len(), columns.len());
        MatrixMut { data: &mut self.data[window], rows, columns, stride: self.stride }
    }

    /// The values of a row range and a column range.
    ///
    /// # Errors
    /// `Shape` if a range leaves the matrix.
    pub fn part(
        &mut self,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> Result<MatrixMut<'_, T>, KernelError> {
        within("row range", &rows, self.rows)?;
        within("column range", &columns, self.columns)?;
        let window = window(&rows, &columns, self.stride);
        Ok(MatrixMut {
            data: &mut self.data[window],
            rows: if columns.is_empty() { 0 } else { rows.len() },
            columns: columns.len(),
            stride: self.stride,
        })
    }

    /// The first `row` rows and the rest, for two threads.
    ///
    /// # Errors
    /// `Shape` if there are fewer rows.
    pub fn split_rows_at(self, row: usize) -> Result<(MatrixMut<'a, T>, MatrixMut<'a, T>), KernelError> {
        within("row to split at", &(0..row), self.rows)?;
        let at = (row * self.stride).min(self.data.len());
        let (upper, lower) = self.data.split_at_mut(at);
        let view = |data, rows| MatrixMut { data, rows, columns: self.columns, stride: self.stride };
        Ok((view(upper, row), view(lower, self.rows - row)))
    }
}

fn within(what: &'static str, range: &Range<usize>, length: usize) -> Result<(), KernelError> {
    if range.start > range.end || range.end > length {
        return Err(KernelError::Shape { what, expected: length, found: range.end.max(range.start) });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_splits_keep_their_rows() {
        let data: Vec<i32> = (0..35).collect();
        let whole = Matrix::new(&data, 5, 6, 7).unwrap();
        let part = whole.part(1..4, 2..5).unwrap();
        assert_eq!((part.row(0), part.row(2)), (&[9, 10, 11][..], &[23, 24, 25][..]));
        let mut data = data.clone();
        let (mut upper, mut lower) = MatrixMut::new(&mut data, 5, 6, 7).unwrap().split_rows_at(2).unwrap();
        assert_eq!((upper.rows(), lower.rows()), (2, 3));
        assert_eq!((upper.row_mut(1)[0], lower.row_mut(0)[0]), (7, 14));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let data = [0i8; 10];
        assert!(Matrix::new(&data, 2, 5, 6).is_err());
        assert!(Matrix::new(&data, 2, 5, 4).is_err());
        assert!(Matrix::new(&data, usize::MAX, 5, 6).is_err());
        let whole = Matrix::dense(&data, 2, 5).unwrap();
        assert!(whole.part(0..3, 0..5).is_err());
        assert!(whole.part(0..2, 3..6).is_err());
        assert_eq!(whole.part(0..2, 3..3).unwrap().columns(), 0);
    }
}
