//! Admission of norms and softmax: reductions along rows, proven to stay in 64 bits.

use super::elementwise::broadcast;
use super::products::exponentials;
use super::scaling::{clamp_to, hull, largest};
use super::{Case, INT32, INT64, Proven, magnitude, round_shift};
use crate::artefact::container::Dtype;
use crate::artefact::error::ArtefactError;
use crate::artefact::graph::Axis;
use crate::artefact::operator::LayerNorm;

/// The most that a sum of squares may be.
const MOST_SQUARES: i128 = 1 << 62;

pub fn layer_norm(case: &Case<'_>, of: &LayerNorm) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    let (last, _) = case.row(0, &x.shape)?;
    let width = case.fixed(0, last)?;
    let gain = case.vector(1, &[Dtype::Int16, Dtype::Int32], width)?;
    let bias = case.vector(2, &[Dtype::Int32], width)?;
    case.at_most("twice a sum along the row", 2 * width as i128 * magnitude(x), INT32)?;
    let largest_normal = ((i128::from(width.isqrt() as u64) + 1) << (of.fraction_bits + 1)) + 1;
    case.at_most("the normalised value", largest_normal, INT32)?;
    let sum = largest_normal * largest(gain) + (largest(bias) << of.bias_shift) + (1i128 << (of.shift - 1));
    case.at_most("the sum before the shift", sum, INT64)?;
    let mut range = (i128::MAX, i128::MIN);
    for (gain, bias) in gain.iter().zip(bias.iter()) {
        let offset = i128::from(bias) << of.bias_shift;
        for normal in [-largest_normal, largest_normal] {
            let value = clamp_to(round_shift(normal * i128::from(gain) + offset, of.shift), &of.clamp);
            range = (range.0.min(value), range.1.max(value));
        }
    }
    case.proven(of.clamp.dtype, x.shape.clone(), range)
}

pub fn softmax(case: &Case<'_>, one: i32, dtype: Dtype) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    let (last, _) = case.row(0, &x.shape)?;
    let (table, [length]) = case.tensor::<1>(1, &[Dtype::Int16, Dtype::Int32])?;
    let first = exponentials(case, 1, table, length, 1 << 16)?;
    case.mask(2, last)?;
    if case.given.len() > 2 && x.shape[0] != Axis::Batch {
        return case.blame(0, "axis 0 is not the batch, as the mask's");
    }
    case.at_most("a distance", i128::from(x.highest) - i128::from(x.lowest), INT32)?;
    case.at_most("the total of a row", case.limit(last) * i128::from(first), INT32)?;
    case.proven(dtype, x.shape.clone(), (0, one.into()))
}

pub fn l2_normalise(case: &Case<'_>, fraction_bits: u32, dtype: Dtype) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    let (last, _) = case.row(0, &x.shape)?;
    let width = case.fixed(0, last)?;
    squares(case, width as i128, magnitude(x))?;
    let one = 1i128 << fraction_bits;
    case.proven(dtype, x.shape.clone(), (if x.lowest >= 0 { 0 } else { -one }, one))
}

fn squares(case: &Case<'_>, width: i128, largest: i128) -> Result<(), ArtefactError> {
    case.at_most("the sum of squares", width * largest * largest, MOST_SQUARES)
}

pub fn cosine(case: &Case<'_>, fraction_bits: u32) -> Result<Proven, ArtefactError> {
    let a = case.value(0)?;
    let (a_last, a_leading) = case.row(0, &a.shape)?;
    let b_shape = case.given[1].shape();
    if b_shape.last() != Some(&a_last) {
        return case.blame(1, "its last axis is not that of the other operand");
    }
    let shape = broadcast(case, a_leading, &b_shape[..b_shape.len() - 1])?;
    if shape.is_empty() {
        return case.refuse("both operands have one axis");
    }
    for given in &case.given {
        let (lowest, highest) = given.range();
        squares(case, case.limit(a_last), lowest.abs().max(highest.abs()))?;
    }
    let one = 1i128 << fraction_bits;
    case.proven(Dtype::Int32, shape, hull([-one, one]))
}
