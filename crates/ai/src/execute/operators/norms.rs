//! Softmax, unit vectors and cosines, row by row: one division each. Layer norms are the kernels'.

use super::super::error::RunError;
use super::super::values::{Element, View, ViewMut};
use super::{Geometry, bits, both, element, put, reciprocal, round_shift};
use crate::execute::operators::elementwise::strides;

/// Attributes of softmax with its table.
pub struct Softmax {
    /// Of the distance to the row's largest.
    pub multiplier: i32,
    /// Of the same.
    pub shift: u32,
    /// What a probability of one is.
    pub one: i32,
    /// Falling exponentials.
    pub table: Vec<i32>,
}

impl Softmax {
    /// Rows of `width`; the mask has one row for each unit.
    pub fn run(&self, x: View<'_>, mask: Option<View<'_>>, mut out: ViewMut<'_>, geometry: &Geometry) {
        let part = geometry.input(0);
        let width = geometry.inputs[0].last().copied().unwrap_or(1);
        for row in 0..x.len() / width {
            let first = row * width;
            let mask_row = first / part;
            let seen = |at: usize| mask.as_ref().is_none_or(|mask| element(mask, mask_row * width + at) != 0);
            let Some(top) = (0..width).filter(|at| seen(*at)).map(|at| element(&x, first + at)).max() else {
                (0..width).for_each(|at| put(&mut out, first + at, 0));
                continue;
            };
            let exponential = |at: usize| {
                if !seen(at) {
                    return 0;
                }
                let distance = (top - element(&x, first + at)) * i64::from(self.multiplier);
                let index = round_shift(distance, self.shift).min(self.table.len() as i64 - 1);
                i64::from(self.table[index as usize])
            };
            let total: i64 = (0..width).map(exponential).sum();
            // At least the largest entry, which is the first.
            let shift = bits(total as u64) + 30 - bits(self.one as u64);
            let factor = ((i64::from(self.one)) << shift) / total;
            (0..width).for_each(|at| put(&mut out, first + at, round_shift(exponential(at) * factor, shift)));
        }
    }
}

/// `round_shift(x * reciprocal(r), ..)`, `r` the root of the sum of squares.
pub fn l2_normalise(x: View<'_>, fraction_bits: u32, out: ViewMut<'_>, width: usize) {
    both!(x, out, (x, out) => {
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let squares: i64 = x.iter().map(|x| x.wide() * x.wide()).sum();
            let root = (squares as u64).isqrt();
            if root == 0 {
                out.fill(Element::low(0));
                continue;
            }
            let (factor, shift) = reciprocal(root);
            for (out, x) in out.iter_mut().zip(x) {
                *out = Element::low(round_shift(x.wide() * factor, shift - fraction_bits));
            }
        }
    });
}

/// Cosines of the rows of two operands.
pub fn cosine(
    a: View<'_>,
    b: View<'_>,
    fraction_bits: u32,
    mut out: ViewMut<'_>,
    units: usize,
    geometry: &Geometry,
) -> Result<(), RunError> {
    let width = geometry.inputs[0].last().copied().unwrap_or(1);
    let shape = &geometry.outputs[0];
    let leading = |at: usize| &geometry.inputs[at][..geometry.inputs[at].len() - 1];
    let (a_strides, b_strides) = (strides(leading(0), shape)?, strides(leading(1), shape)?);
    let length = geometry.output(0);
    // Where an operand's rows begin for a unit: the same rows for all, if units share it.
    let start =
        |elements: usize, own: usize, unit: usize| if elements == own * units { unit * own } else { 0 };
    for unit in 0..units {
        let (a_start, b_start) =
            (start(a.len(), geometry.input(0), unit), start(b.len(), geometry.input(1), unit));
        for place in 0..length {
            let (mut rest, mut a_row, mut b_row) = (place, 0, 0);
            for axis in (0..shape.len()).rev() {
                a_row += rest % shape[axis] * a_strides[axis];
                b_row += rest % shape[axis] * b_strides[axis];
                rest /= shape[axis];
            }
            let (a_at, b_at) = (a_start + a_row * width, b_start + b_row * width);
            let mut sums = [0i64; 3];
            for column in 0..width {
                let (a, b) = (element(&a, a_at + column), element(&b, b_at + column));
                sums = [sums[0] + a * a, sums[1] + b * b, sums[2] + a * b];
            }
            put(&mut out, unit * length + place, ratio(sums, fraction_bits));
        }
    }
    Ok(())
}

fn ratio([a, b, both]: [i64; 3], fraction_bits: u32) -> i64 {
    // Up to 124 bits.
    let root = ((a as u128) * (b as u128)).isqrt() as i128;
    if root == 0 { 0 } else { ((i128::from(both) << (fraction_bits + 1)) + root).div_euclid(2 * root) as i64 }
}
