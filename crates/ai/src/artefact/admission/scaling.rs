//! Admission of rescaling: what a multiplier, a shift and a clamp make of a range.

use super::{Case, INT32, INT64, Proven, ends, magnitude, round_shift};
use crate::artefact::container::{Dtype, Tensor};
use crate::artefact::error::ArtefactError;
use crate::artefact::graph::Axis;
use crate::artefact::operator::Clamp;

/// The smallest and largest of some numbers, at least one.
pub fn hull(numbers: impl IntoIterator<Item = i128>) -> (i128, i128) {
    numbers
        .into_iter()
        .fold((i128::MAX, i128::MIN), |(low, high), number| (low.min(number), high.max(number)))
}

/// A number between the ends of a clamp.
pub fn clamp_to(number: i128, clamp: &Clamp) -> i128 {
    number.clamp(clamp.minimum.into(), clamp.maximum.into())
}

/// Multipliers: one for all, or one for each column of the rows of operand 0.
fn multipliers<'a>(case: &Case<'a>, at: usize, last: Axis) -> Result<&'a Tensor, ArtefactError> {
    let (tensor, [length]) = case.tensor::<1>(at, &[Dtype::Int32])?;
    if length != 1 && last != Axis::Static(length) {
        return case.blame(at, format!("{length} multipliers for other columns"));
    }
    case.within(at, tensor, 0, i32::MAX.into())?;
    Ok(tensor)
}

pub fn rescale(case: &Case<'_>, shift: u32, zero_point: i32, clamp: &Clamp) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    let last = x.shape.last().copied().unwrap_or(Axis::Static(1));
    let multipliers = multipliers(case, 1, last)?;
    // The formula rises with x, and with the multiplier rises or falls: the ends of both give the ends of it.
    let (least, most) = ends(multipliers.iter());
    let formula = |x: i64, multiplier: i128| {
        clamp_to(i128::from(zero_point) + round_shift(i128::from(x) * multiplier, shift), clamp)
    };
    let corners = [x.lowest, x.highest].map(|x| [formula(x, least), formula(x, most)]);
    case.proven(clamp.dtype, x.shape.clone(), hull(corners.into_iter().flatten()))
}

pub fn requantise_rows(case: &Case<'_>, scale_shift: u32) -> Result<Vec<Proven>, ArtefactError> {
    let x = case.value(0)?;
    let (_, leading) = case.row(0, &x.shape)?;
    if x.lowest <= i32::MIN.into() {
        return case.blame(0, "its range contains -2^31");
    }
    let least = if x.lowest >= 0 { 0 } else { -127 };
    let rows = case.proven(Dtype::Int8, x.shape.clone(), (least, 127))?;
    let mut shape = leading.to_vec();
    shape.push(Axis::Static(1));
    let highest = (magnitude(x) + (1 << scale_shift) - 1) >> scale_shift;
    let scale = case.proven(Dtype::Int32, shape, (0, highest))?;
    Ok(vec![rows, scale])
}

pub fn rescale_rows(
    case: &Case<'_>,
    shift: u32,
    bias_shift: u32,
    clamp: &Clamp,
) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    let scale = case.typed(1, Dtype::Int32)?;
    let (last, leading) = case.row(0, &x.shape)?;
    let columns = case.fixed(0, last)?;
    let wanted: Vec<Axis> = leading.iter().copied().chain([Axis::Static(1)]).collect();
    if scale.shape != wanted {
        return case.blame(1, "not one scale for each row");
    }
    if scale.lowest < 0 {
        return case.blame(1, format!("may be {}, below 0", scale.lowest));
    }
    let multipliers = multipliers(case, 2, last)?;
    let bias = match case.given.get(3) {
        Some(_) => Some(case.vector(3, &[Dtype::Int32], columns)?),
        None => None,
    };
    let factor = i128::from(scale.highest) * ends(multipliers.iter()).1;
    case.at_most("scale x multiplier", factor, INT32)?;
    let largest_bias = bias.map_or(0, |bias| largest(bias) << bias_shift);
    let sum = magnitude(x) * factor + largest_bias + (1 << (shift - 1));
    case.at_most("the sum before the shift", sum, INT64)?;
    let single = multipliers.elements() == 1;
    let all: Vec<i64> = multipliers.iter().collect();
    let mut range = (i128::MAX, i128::MIN);
    let mut widen = |multiplier: i64, bias: i64| {
        for x in [x.lowest, x.highest] {
            for scale in [scale.lowest, scale.highest] {
                let product = i128::from(x) * i128::from(scale) * i128::from(multiplier);
                let value = clamp_to(round_shift(product + (i128::from(bias) << bias_shift), shift), clamp);
                range = (range.0.min(value), range.1.max(value));
            }
        }
    };
    match bias {
        Some(bias) => {
            bias.iter().enumerate().for_each(|(at, bias)| widen(all[if single { 0 } else { at }], bias))
        }
        None => all.iter().for_each(|multiplier| widen(*multiplier, 0)),
    }
    case.proven(clamp.dtype, x.shape.clone(), range)
}

/// The largest magnitude of a tensor's elements.
pub fn largest(tensor: &Tensor) -> i128 {
    let (lowest, highest) = ends(tensor.iter());
    lowest.abs().max(highest.abs())
}
