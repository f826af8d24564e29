//! The right side of a product, laid out once so that a tile reads it front to back.
//!
//! `n` columns of depth `k`. The scalar kernel keeps them column after column. A vector kernel cuts them into panels
//! (`Layout`): within a panel, step after step, `depth` values of each column, so that one load has `depth` values of as
//! many columns as a vector has int32 lanes. Columns and depth are filled with zeros, which add nothing.

use std::ops::Range;

use super::error::{KernelError, expect};
use super::matrix::Matrix;
use super::path::{Kernel, Path};

/// What stands for a row behind the last: as wide as the widest panel.
static NO_ROW: [i8; 64] = [0; 64];

/// A cache line, so that no load of a vector crosses one.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([i8; 64]);

/// How a path wants its right side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// int32 lanes of a vector.
    pub lanes: usize,
    /// int8 values of one column that one instruction multiplies.
    pub depth: usize,
    /// Vectors side by side in a full panel.
    pub vectors: usize,
    /// Whether the left side is taken as unsigned (+128), which each column then has to subtract.
    pub unsigned: bool,
}

impl Layout {
    pub(crate) const fn of(path: Path) -> Layout {
        match path {
            Path::Scalar => Layout { lanes: 1, depth: 1, vectors: 1, unsigned: false },
            Path::Sse41 => Layout { lanes: 4, depth: 2, vectors: 2, unsigned: false },
            Path::Avx2 => Layout { lanes: 8, depth: 2, vectors: 2, unsigned: false },
            Path::AvxVnni => Layout { lanes: 8, depth: 4, vectors: 2, unsigned: true },
            Path::Avx512 => Layout { lanes: 16, depth: 2, vectors: 4, unsigned: false },
            Path::Avx512Vnni => Layout { lanes: 16, depth: 4, vectors: 4, unsigned: true },
        }
    }

    /// Columns of a full panel.
    pub(crate) const fn panel(self) -> usize {
        self.lanes * self.vectors
    }

    /// Columns with their filling.
    pub(crate) const fn width(self, n: usize) -> usize {
        n.next_multiple_of(self.lanes)
    }

    /// Instructions along the depth.
    pub(crate) const fn steps(self, k: usize) -> usize {
        k.div_ceil(self.depth)
    }
}

/// The right side of a product, packed for one kernel.
pub struct Packed {
    kernel: Kernel,
    n: usize,
    k: usize,
    lines: Vec<Line>,
    /// What each column's sum starts with: its bias, and -128 times the sum of the column where the left side is taken
    /// as unsigned.
    starts: Vec<i32>,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Packed")
            .field("kernel", &self.kernel)
            .field("n", &self.n)
            .field("k", &self.k)
            .finish()
    }
}

/// Lines and starts of an `n` x `k` right side.
fn sizes(kernel: Kernel, n: usize, k: usize) -> Option<(usize, usize)> {
    let layout = Layout::of(kernel.path());
    let width = n.checked_next_multiple_of(layout.lanes)?;
    let bytes = layout.steps(k).checked_mul(layout.depth)?.checked_mul(width)?;
    Some((bytes.div_ceil(64), width))
}

impl Packed {
    /// Space for `n` columns of depth `k`, all zero.
    ///
    /// # Errors
    /// `TooLarge` if that cannot be addressed.
    pub fn new(kernel: Kernel, n: usize, k: usize) -> Result<Packed, KernelError> {
        let (lines, width) = sizes(kernel, n, k).ok_or(KernelError::TooLarge { what: "a packed matrix" })?;
        Ok(Packed { kernel, n, k, lines: vec![Line([0; 64]); lines], starts: vec![0; width] })
    }

    /// Packs the rows of an `n` x `k` matrix: weights by output channel, or the keys of an attention.
    ///
    /// # Errors
    /// `TooLarge` if that cannot be addressed.
    pub fn rows(kernel: Kernel, matrix: Matrix<'_, i8>) -> Result<Packed, KernelError> {
        let mut packed = Packed::new(kernel, matrix.rows(), matrix.columns())?;
        packed.repack_rows(matrix)?;
        Ok(packed)
    }

    /// Packs the columns of a `k` x `n` matrix: the values of an attention.
    ///
    /// # Errors
    /// `TooLarge` if that cannot be addressed.
    pub fn columns(kernel: Kernel, matrix: Matrix<'_, i8>) -> Result<Packed, KernelError> {
        let mut packed = Packed::new(kernel, matrix.columns(), matrix.rows())?;
        packed.repack_columns(matrix)?;
        Ok(packed)
    }

    /// Adds a bias to each column's sum, once.
    ///
    /// # Errors
    /// `Shape` unless there is one per column.
    pub fn with_bias(mut self, bias: &[i32]) -> Result<Packed, KernelError> {
        expect("bias", self.n, bias.len())?;
        for (start, &bias) in self.starts.iter_mut().zip(bias) {
            *start = start.wrapping_add(bias);
        }
        Ok(self)
    }

    /// The bytes that `Packed::new` takes.
    ///
    /// # Errors
    /// `TooLarge` if they cannot be addressed.
    pub fn bytes(kernel: Kernel, n: usize, k: usize) -> Result<usize, KernelError> {
        sizes(kernel, n, k)
            .and_then(|(lines, width)| lines.checked_mul(64)?.checked_add(width.checked_mul(4)?))
            .ok_or(KernelError::TooLarge { what: "a packed matrix" })
    }

    /// Packs another `n` x `k` matrix over this one: it may have any extents that need no more memory.
    ///
    /// # Errors
    /// `Shape` if it needs more than this has.
    pub fn repack_rows(&mut self, matrix: Matrix<'_, i8>) -> Result<(), KernelError> {
        self.resize(matrix.rows(), matrix.columns())?;
        match self.layout().depth {
            4 => self.lay_rows::<4>(matrix),
            2 => self.lay_rows::<2>(matrix),
            _ => self.lay_rows::<1>(matrix),
        }
        Ok(())
    }

    fn lay_rows<const DEPTH: usize>(&mut self, matrix: Matrix<'_, i8>) {
        let (layout, n) = (self.layout(), self.n);
        let steps = layout.steps(self.k);
        let (data, starts) = self.parts_mut();
        let mut groups = data.as_chunks_mut::<DEPTH>().0;
        for first in (0..n).step_by(layout.panel()) {
            let width = layout.panel().min(layout.width(n) - first);
            let (panel, after) = groups.split_at_mut(width * steps);
            groups = after;
            for column in 0..width.min(n - first) {
                let row = matrix.row(first + column);
                let (values, rest) = row.as_chunks::<DEPTH>();
                let mut places = panel.iter_mut().skip(column).step_by(width);
                places.by_ref().zip(values).for_each(|(place, values)| *place = *values);
                if let (false, Some(place)) = (rest.is_empty(), places.next()) {
                    place[..rest.len()].copy_from_slice(rest);
                }
                let sum: i32 = row.iter().map(|&value| i32::from(value)).fold(0, i32::wrapping_add);
                starts[first + column] = if layout.unsigned { sum.wrapping_mul(-128) } else { 0 };
            }
        }
    }

    /// Packs another `k` x `n` matrix over this one, as `repack_rows` does.
    ///
    /// # Errors
    /// `Shape` if it needs more than this has.
    pub fn repack_columns(&mut self, matrix: Matrix<'_, i8>) -> Result<(), KernelError> {
        self.resize(matrix.columns(), matrix.rows())?;
        match self.layout().depth {
            4 => self.lay_columns::<4>(matrix),
            2 => self.lay_columns::<2>(matrix),
            _ => self.lay_columns::<1>(matrix),
        }
        Ok(())
    }

    fn lay_columns<const DEPTH: usize>(&mut self, matrix: Matrix<'_, i8>) {
        let (layout, n, k) = (self.layout(), self.n, self.k);
        let steps = layout.steps(k);
        let (data, starts) = self.parts_mut();
        let mut groups = data.as_chunks_mut::<DEPTH>().0;
        for first in (0..n).step_by(layout.panel()) {
            let width = layout.panel().min(layout.width(n) - first);
            let used = width.min(n - first);
            let (panel, after) = groups.split_at_mut(width * steps);
            groups = after;
            let starts = &mut starts[first..first + used];
            for (step, places) in panel.chunks_exact_mut(width).enumerate() {
                // Behind the last row there are zeros.
                let rows: [&[i8]; DEPTH] = std::array::from_fn(|place| match step * DEPTH + place {
                    index if index < k => &matrix.row(index)[first..first + used],
                    _ => &NO_ROW[..used],
                });
                for (column, group) in places[..used].iter_mut().enumerate() {
                    *group = rows.map(|row| row[column]);
                }
                if layout.unsigned {
                    for (column, start) in starts.iter_mut().enumerate() {
                        let sum: i32 = rows.iter().map(|row| i32::from(row[column])).sum();
                        *start = start.wrapping_sub(sum << 7);
                    }
                }
            }
        }
    }

    /// Takes new extents and clears what they cover.
    fn resize(&mut self, n: usize, k: usize) -> Result<(), KernelError> {
        let too_large = KernelError::TooLarge { what: "a packed matrix" };
        let (lines, width) = sizes(self.kernel, n, k).ok_or(too_large)?;
        for (what, needed, has) in [
            ("packed lines", lines, self.lines.capacity()),
            ("packed columns", width, self.starts.capacity()),
        ] {
            if needed > has {
                return Err(KernelError::Shape { what, expected: needed, found: has });
            }
        }
        self.lines.clear();
        self.lines.resize(lines, Line([0; 64]));
        self.starts.clear();
        self.starts.resize(width, 0);
        (self.n, self.k) = (n, k);
        Ok(())
    }

    fn parts_mut(&mut self) -> (&mut [i8], &mut [i32]) {
        let length = self.lines.len() * 64;
        // SAFETY: a line is 64 int8 values without padding, and the lines are borrowed for as long as the slice.
        let data = unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast::<i8>(), length) };
        (data, &mut self.starts)
    }

    /// The packed values, with their filling.
    pub(crate) fn data(&self) -> &[i8] {
        // SAFETY: as in `parts_mut`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast::<i8>(), self.lines.len() * 64) }
    }

    /// What each column's sum starts with, with its filling.
    pub(crate) fn starts(&self) -> &[i32] {
        &self.starts
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::of(self.kernel.path())
    }

    /// The kernel that it is packed for.
    pub const fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The number of columns.
    pub const fn n(&self) -> usize {
        self.n
    }

    /// The depth.
    pub const fn k(&self) -> usize {
        self.k
    }

    /// The number of panels, each of which a thread may compute by itself.
    pub fn panels(&self) -> usize {
        self.n.div_ceil(self.layout().panel())
    }

    /// The columns of a range of panels.
    pub fn panel_columns(&self, panels: Range<usize>) -> Range<usize> {
        let panel = self.layout().panel();
        (panels.start * panel).min(self.n)..(panels.end * panel).min(self.n)
    }
}
