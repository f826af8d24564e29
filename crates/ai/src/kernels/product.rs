//! The integer matrix product: int8 x int8 summed in int32, then the epilogue.
//!
//! A sum that leaves int32 wraps, alike on every path; admission proves that none does.

use std::ops::Range;

use super::epilogue::Epilogue;
use super::error::{KernelError, expect};
use super::finish::{Out, Sums, finish_tile};
use super::matrix::Matrix;
use super::packed::{Layout, Packed};
use super::path::Path;
use super::scratch::Scratch;
use super::tile::{Operands, Tile};

/// `out = epilogue(a x b)`: `a` is m x k, `b` holds n columns of depth k, `out` is m x n.
///
/// # Errors
/// `Shape` or `Parameter` if the arguments do not fit each other.
pub fn product(
    a: Matrix<'_, i8>,
    b: &Packed,
    epilogue: &Epilogue,
    scales: &[i32],
    out: Out<'_>,
    scratch: &mut Scratch,
) -> Result<(), KernelError> {
    product_panels(a, b, 0..b.panels(), epilogue, scales, out, scratch)
}

/// The columns of some panels of `b` only; `out` is m x those columns. Bias and rescaling are those of all columns.
///
/// # Errors
/// `Shape` or `Parameter` if the arguments do not fit each other.
pub fn product_panels(
    a: Matrix<'_, i8>,
    b: &Packed,
    panels: Range<usize>,
    epilogue: &Epilogue,
    scales: &[i32],
    mut out: Out<'_>,
    scratch: &mut Scratch,
) -> Result<(), KernelError> {
    expect("depth of the left side", b.k(), a.columns())?;
    if panels.end > b.panels() {
        return Err(KernelError::Shape { what: "panels", expected: b.panels(), found: panels.end });
    }
    let columns = b.panel_columns(panels);
    expect("rows of the output", a.rows(), out.rows())?;
    expect("columns of the output", columns.len(), out.columns())?;
    epilogue.check(b.n(), a.rows(), scales)?;
    out.check(epilogue)?;
    if b.kernel().path() == Path::Scalar {
        return plain(a, b, columns, (epilogue, scales), &mut out);
    }
    tiled(a, b, columns, (epilogue, scales), &mut out, scratch)
}

/// The plain form: one dot product after the other.
fn plain(
    a: Matrix<'_, i8>,
    b: &Packed,
    columns: Range<usize>,
    (epilogue, scales): (&Epilogue, &[i32]),
    out: &mut Out<'_>,
) -> Result<(), KernelError> {
    let k = b.k();
    for index in 0..a.rows() {
        let row = a.row(index);
        let scales = scales.get(index..=index).unwrap_or_default();
        for (place, column) in columns.clone().enumerate() {
            let sum = row
                .iter()
                .zip(&b.data()[column * k..][..k])
                .map(|(&x, &y)| i32::from(x) * i32::from(y))
                .fold(b.starts()[column], i32::wrapping_add);
            let sums = Sums { values: &mut [sum], stride: 1 };
            let part = out.part(index..index + 1, place..place + 1)?;
            finish_tile(Path::Scalar, sums, epilogue, column, scales, part);
        }
    }
    Ok(())
}

/// The fast form: a block of rows is prepared, then each panel meets all of them, tile by tile.
fn tiled(
    a: Matrix<'_, i8>,
    b: &Packed,
    columns: Range<usize>,
    (epilogue, scales): (&Epilogue, &[i32]),
    out: &mut Out<'_>,
    scratch: &mut Scratch,
) -> Result<(), KernelError> {
    let layout = b.layout();
    let steps = layout.steps(b.k());
    let rows_of_block = scratch.rows(steps)?;
    let path = b.kernel().path();
    let tiles = tiles(path);
    let mut first = 0;
    while first < a.rows() {
        let rows = rows_of_block.min(a.rows() - first);
        prepare(a, first..first + rows, layout, steps, &mut scratch.left);
        let mut column = columns.start;
        while column < columns.end {
            let width = layout.panel().min(layout.width(b.n()) - column);
            let place = column - columns.start..(column + width).min(columns.end) - columns.start;
            let heights = tiles[width / layout.lanes - 1];
            let panel = Panel { b, column, width, steps };
            let mut row = 0;
            while row < rows {
                // The rest is shared evenly among the fewest tiles, so that no tile is much lower than the others.
                let height = (rows - row).div_ceil((rows - row).div_ceil(heights.len()));
                let range = first + row..first + row + height;
                let part = out.tile(range.clone(), place.clone());
                let tile = (heights[height - 1], row, height);
                match part {
                    // Whole vectors of sums are stored where they belong.
                    Out::Int32(mut part) if epilogue.is_sums() && place.len() == width => {
                        panel.multiply(tile, &scratch.left, part.values_mut());
                    }
                    part => {
                        let values = &mut scratch.sums[..height * width];
                        panel.multiply(tile, &scratch.left, (&mut *values, width));
                        let scales = scales.get(range).unwrap_or_default();
                        finish_tile(path, Sums { values, stride: width }, epilogue, column, scales, part);
                    }
                }
                row += height;
            }
            column += width;
        }
        first += rows;
    }
    Ok(())
}

/// One panel of the right side.
struct Panel<'a> {
    b: &'a Packed,
    column: usize,
    width: usize,
    steps: usize,
}

impl Panel<'_> {
    /// The sums of `height` prepared rows from `row` on, as rows `stride` apart.
    fn multiply(
        &self,
        (tile, row, height): (Tile, usize, usize),
        left: &[u32],
        (sums, stride): (&mut [i32], usize),
    ) {
        let depth = self.b.layout().depth;
        let left = &left[row * self.steps..][..height * self.steps];
        let right = &self.b.data()[self.column * self.steps * depth..][..self.width * self.steps * depth];
        let starts = &self.b.starts()[self.column..][..self.width];
        assert!(self.width <= stride && sums.len() >= (height - 1) * stride + self.width);
        // SAFETY: the four slices have the extents of a tile of this height and width, and `b` is packed for a kernel
        // that this machine has.
        unsafe {
            tile(Operands {
                left: left.as_ptr(),
                left_stride: self.steps,
                right: right.as_ptr(),
                steps: self.steps,
                starts: starts.as_ptr(),
                sums: sums.as_mut_ptr(),
                sums_stride: stride,
            });
        }
    }
}

/// Rows of the left side as the path multiplies them: int16 pairs, or int8 + 128 in fours.
fn prepare(a: Matrix<'_, i8>, rows: Range<usize>, layout: Layout, steps: usize, left: &mut [u32]) {
    for (index, prepared) in rows.zip(left.chunks_exact_mut(steps.max(1))) {
        let row = a.row(index);
        if layout.unsigned {
            let fours = row.chunks_exact(4);
            let rest = fours.remainder();
            for (group, four) in prepared.iter_mut().zip(fours) {
                *group = u32::from_le_bytes([four[0] as u8, four[1] as u8, four[2] as u8, four[3] as u8])
                    ^ 0x8080_8080;
            }
            if let (false, Some(last)) = (rest.is_empty(), prepared.last_mut()) {
                *last =
                    rest.iter().rev().fold(0, |group, &value| (group << 8) | u32::from(value as u8 ^ 0x80));
            }
        } else {
            let pairs = row.chunks_exact(2);
            let rest = pairs.remainder();
            for (group, pair) in prepared.iter_mut().zip(pairs) {
                *group = u32::from(i16::from(pair[0]) as u16) | (u32::from(i16::from(pair[1]) as u16) << 16);
            }
            if let ([value], Some(last)) = (rest, prepared.last_mut()) {
                *last = u32::from(i16::from(*value) as u16);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
use super::x86::tiles;

/// Without vectors there is only the scalar path, which has no tiles.
#[cfg(not(target_arch = "x86_64"))]
fn tiles(_path: Path) -> &'static [&'static [Tile]] {
    &[]
}
