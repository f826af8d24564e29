//! Admission of products: int8 x int8, the sums proven to stay in int32.

use super::{Case, INT32, Proven, magnitude};
use crate::artefact::container::{Dtype, Tensor};
use crate::artefact::error::ArtefactError;
use crate::artefact::graph::Axis;
use crate::artefact::operator::{Attention, Convolution};

pub fn linear(case: &Case<'_>) -> Result<Proven, ArtefactError> {
    let x = case.typed(0, Dtype::Int8)?;
    let (weight, [n, k]) = case.tensor::<2>(1, &[Dtype::Int8])?;
    let (last, leading) = case.row(0, &x.shape)?;
    if last != Axis::Static(k) {
        return case.blame(0, format!("its last axis is not {k}, as the weight's"));
    }
    let bound = weighted(case, weight, n, k, magnitude(x))?;
    let mut shape = leading.to_vec();
    shape.push(Axis::Static(n));
    case.proven(Dtype::Int32, shape, (-bound, bound))
}

pub fn convolution(case: &Case<'_>, of: &Convolution) -> Result<Proven, ArtefactError> {
    let x = case.typed(0, Dtype::Int8)?;
    let [batch, height, width, channels] = case.axes::<4>(0)?;
    if batch != Axis::Batch {
        return case.blame(0, "axis 0 is not the batch");
    }
    let (weight, [outputs, taps_down, taps_right, depth]) = case.tensor::<4>(1, &[Dtype::Int8])?;
    let channels = case.fixed(0, channels)?;
    if channels % of.groups != 0 || outputs % of.groups != 0 {
        return case.refuse(format!("{} groups do not divide {channels} and {outputs} channels", of.groups));
    }
    if depth != channels / of.groups {
        return case.blame(1, format!("depth {depth}, not {channels} / {}", of.groups));
    }
    let high = window(case, case.fixed(0, height)?, of.dilation[0] * (taps_down - 1) + 1, [0, 2], of)?;
    let wide = window(case, case.fixed(0, width)?, of.dilation[1] * (taps_right - 1) + 1, [1, 3], of)?;
    let largest = magnitude(x).max(i128::from(of.padding_value).abs());
    let bound = weighted(case, weight, outputs, taps_down * taps_right * depth, largest)?;
    let shape = vec![batch, high, wide, Axis::Static(outputs)];
    case.proven(Dtype::Int32, shape, (-bound, bound))
}

fn window(
    case: &Case<'_>,
    extent: usize,
    reach: usize,
    sides: [usize; 2],
    of: &Convolution,
) -> Result<Axis, ArtefactError> {
    let padded = extent + of.padding[sides[0]] + of.padding[sides[1]];
    match padded.checked_sub(reach) {
        Some(room) => Ok(Axis::Static(room / of.stride[sides[0]] + 1)),
        None => case.refuse(format!("the kernel reaches over {reach}, the padded input has {padded}")),
    }
}

/// The largest magnitude of `bias[n] + sum_k x[k] * weight[n, k]`, proven to be an int32.
fn weighted(
    case: &Case<'_>,
    weight: &Tensor,
    n: usize,
    k: usize,
    largest: i128,
) -> Result<i128, ArtefactError> {
    let bias = match case.given.get(2) {
        Some(_) => Some(case.vector(2, &[Dtype::Int32], n)?),
        None => None,
    };
    let sums = weight.bytes().chunks_exact(k).map(|row| {
        let sum: u64 = row.iter().map(|byte| u64::from(byte.cast_signed().unsigned_abs())).sum();
        i128::from(sum) * largest
    });
    let bound = match bias {
        Some(bias) => sums.zip(bias.iter()).map(|(sum, bias)| sum + i128::from(bias).abs()).max(),
        None => sums.max(),
    };
    let bound = bound.unwrap_or(0);
    case.at_most("an accumulator", bound, INT32)?;
    Ok(bound)
}

pub fn matrix_product(case: &Case<'_>, transposed: bool) -> Result<Proven, ArtefactError> {
    let a = case.typed(0, Dtype::Int8)?;
    let b = case.typed(1, Dtype::Int8)?;
    if a.shape.len() < 3 || a.shape.len() != b.shape.len() {
        return case.refuse(format!("operands of {} and {} axes", a.shape.len(), b.shape.len()));
    }
    let lead = a.shape.len() - 2;
    let (m, k) = (a.shape[lead], a.shape[lead + 1]);
    let (depth, n) =
        if transposed { (b.shape[lead + 1], b.shape[lead]) } else { (b.shape[lead], b.shape[lead + 1]) };
    if a.shape[..lead] != b.shape[..lead] || k != depth {
        return case.refuse("the operands' shapes do not fit each other");
    }
    let bound = case.limit(k) * magnitude(a) * magnitude(b);
    case.at_most("an accumulator", bound, INT32)?;
    let mut shape = a.shape[..lead].to_vec();
    shape.extend([m, n]);
    case.proven(Dtype::Int32, shape, (-bound, bound))
}

pub fn attention(case: &Case<'_>, of: &Attention) -> Result<Proven, ArtefactError> {
    let (query, key, value) =
        (case.typed(0, Dtype::Int8)?, case.typed(1, Dtype::Int8)?, case.typed(2, Dtype::Int8)?);
    let [batch, rows, width] = case.axes::<3>(0)?;
    let [key_batch, keys, key_width] = case.axes::<3>(1)?;
    let [value_batch, value_rows, value_width] = case.axes::<3>(2)?;
    if [batch, key_batch, value_batch] != [Axis::Batch; 3] {
        return case.refuse("axis 0 of an operand is not the batch");
    }
    if key_width != width || value_rows != keys {
        return case.refuse("the shapes of query, key and value do not fit each other");
    }
    let (width, value_width) = (case.fixed(0, width)?, case.fixed(2, value_width)?);
    if width % of.heads != 0 || value_width % of.heads != 0 {
        return case.refuse(format!("{} heads do not divide {width} and {value_width} columns", of.heads));
    }
    let (table, [length]) = case.tensor::<1>(3, &[Dtype::Int8])?;
    let first = i128::from(exponentials(case, 3, table, length, 1 << 16)?);
    case.mask(4, keys)?;
    let depth = (width / of.heads) as i128;
    case.at_most("twice a score", 2 * depth * magnitude(query) * magnitude(key), INT32)?;
    case.at_most("a weighted sum", case.limit(keys) * first * magnitude(value).max(1), INT32)?;
    let bound = magnitude(value) << of.fraction_bits;
    case.proven(of.dtype, vec![batch, rows, Axis::Static(value_width)], (-bound, bound))
}

/// Checks a table of falling exponentials and returns its first entry, the largest.
pub fn exponentials(
    case: &Case<'_>,
    at: usize,
    table: &Tensor,
    length: usize,
    most: i64,
) -> Result<i64, ArtefactError> {
    if length > 1 << 16 {
        return case.blame(at, format!("{length} elements, more than 65536"));
    }
    let first = table.iter().next().unwrap_or(0);
    if first < 1 || first > most {
        return case.blame(at, format!("its first element {first} is not in 1..={most}"));
    }
    case.within(at, table, 0, first)?;
    Ok(first)
}
