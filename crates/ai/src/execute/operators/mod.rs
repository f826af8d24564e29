//! What each operator does to the parts of some units: plain forms by the formulas of `docs/integer-graphs.md`.
//! Products, attention and rows go to `kernels`.

pub mod choices;
pub mod elementwise;
pub mod layout;
pub mod norms;
pub mod pools;
pub mod products;

use super::values::{Element, View, ViewMut};

/// Extents of the parts of one unit: of each input (whole, where units share it) and output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Of the inputs.
    pub inputs: Vec<Vec<usize>>,
    /// Of the outputs.
    pub outputs: Vec<Vec<usize>>,
}

impl Geometry {
    /// Elements of one unit's part of an input.
    pub fn input(&self, at: usize) -> usize {
        self.inputs[at].iter().product()
    }

    /// Elements of one unit's part of an output.
    pub fn output(&self, at: usize) -> usize {
        self.outputs[at].iter().product()
    }
}

/// Runs an expression on the elements of a view and of an output, whatever their types.
macro_rules! both {
    ($from:expr, $to:expr, ($x:ident, $y:ident) => $work:expr) => {
        match $from {
            View::Int8($x) => $crate::execute::values::each!(ViewMut, $to, $y => $work),
            View::Int16($x) => $crate::execute::values::each!(ViewMut, $to, $y => $work),
            View::Int32($x) => $crate::execute::values::each!(ViewMut, $to, $y => $work),
        }
    };
}
pub(crate) use both;

/// `v` rounded after a shift to the right: half up.
#[inline(always)]
pub const fn round_shift(v: i64, shift: u32) -> i64 {
    (v + (1 << (shift - 1))) >> shift
}

/// Binary digits of a number.
#[inline(always)]
pub const fn bits(number: u64) -> u32 {
    64 - number.leading_zeros()
}

/// `reciprocal(d)` for `d >= 1`, and the shift that takes a product with it to no fraction bits.
#[inline(always)]
pub const fn reciprocal(d: u64) -> (i64, u32) {
    let shift = bits(d) + 29;
    // At most 2^30. A shift above 63 (d of more than 34 bits) needs the wide division.
    let quotient = if shift < 64 { (1u64 << shift) / d } else { ((1u128 << shift) / d as u128) as u64 };
    (quotient as i64, shift)
}

/// Reads the elements of a view one by one.
#[inline(always)]
pub fn element(view: &View<'_>, at: usize) -> i64 {
    match view {
        View::Int8(elements) => elements[at].wide(),
        View::Int16(elements) => elements[at].wide(),
        View::Int32(elements) => elements[at].wide(),
    }
}

/// Writes one element.
#[inline(always)]
pub fn put(out: &mut ViewMut<'_>, at: usize, number: i64) {
    match out {
        ViewMut::Int8(elements) => elements[at] = Element::low(number),
        ViewMut::Int16(elements) => elements[at] = Element::low(number),
        ViewMut::Int32(elements) => elements[at] = Element::low(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reciprocal_is_the_wide_division_everywhere() {
        let mut d = 1u64;
        while d < 1 << 62 {
            for near in [d.saturating_sub(1).max(1), d, d + 1, d + d / 3] {
                let (quotient, shift) = reciprocal(near);
                assert_eq!(quotient as u128, (1u128 << (bits(near) + 29)) / u128::from(near));
                assert_eq!(shift, bits(near) + 29);
                assert!((1 << 29..=1 << 30).contains(&quotient));
            }
            d *= 2;
        }
    }

    #[test]
    fn round_shift_rounds_half_up() {
        let rounded: Vec<i64> = [-6, -5, -3, -2, -1, 0, 1, 2, 3, 6].map(|v| round_shift(v, 2)).to_vec();
        assert_eq!(rounded, [-1, -1, -1, 0, 0, 0, 0, 1, 1, 2]);
    }
}
