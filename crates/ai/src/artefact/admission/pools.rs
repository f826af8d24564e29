//! Admission of pools and means.

use super::{Case, INT32, Proven, magnitude};
use crate::artefact::container::Dtype;
use crate::artefact::error::ArtefactError;
use crate::artefact::graph::Axis;
use crate::artefact::operator::Pool;

fn pooled(case: &Case<'_>, pool: &Pool) -> Result<Vec<Axis>, ArtefactError> {
    let [batch, height, width, channels] = case.axes::<4>(0)?;
    if batch != Axis::Batch {
        return case.blame(0, "axis 0 is not the batch");
    }
    case.fixed(0, channels)?;
    let mut shape = vec![batch];
    for (side, axis) in [height, width].into_iter().enumerate() {
        let padded = case.fixed(0, axis)? + pool.padding[side] + pool.padding[side + 2];
        match padded.checked_sub(pool.window[side]) {
            Some(room) => shape.push(Axis::Static(room / pool.stride[side] + 1)),
            None => return case.refuse(format!("a window of {} over {padded}", pool.window[side])),
        }
    }
    shape.push(channels);
    Ok(shape)
}

pub fn max_pool(case: &Case<'_>, pool: &Pool) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    // A padding less than its window, as the attributes have it, leaves a real element in each window.
    case.proven(x.dtype, pooled(case, pool)?, (x.lowest.into(), x.highest.into()))
}

pub fn sum_pool(case: &Case<'_>, pool: &Pool) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    let shape = pooled(case, pool)?;
    let count = (pool.window[0] * pool.window[1]) as i128;
    let (lowest, highest) = (i128::from(x.lowest) * count, i128::from(x.highest) * count);
    let padded = pool.padding != [0; 4];
    let range = if padded { (lowest.min(0), highest.max(0)) } else { (lowest, highest) };
    case.proven(Dtype::Int32, shape, range)
}

pub fn mean_pool(case: &Case<'_>, fraction_bits: u32, dtype: Dtype) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    let [batch, rows, width] = case.axes::<3>(0)?;
    if batch != Axis::Batch {
        return case.blame(0, "axis 0 is not the batch");
    }
    case.mask(1, rows)?;
    case.at_most("the sum of the rows", case.limit(rows) * magnitude(x), INT32)?;
    let (mut lowest, mut highest) =
        (i128::from(x.lowest) << fraction_bits, i128::from(x.highest) << fraction_bits);
    if case.given.len() > 1 {
        (lowest, highest) = (lowest.min(0), highest.max(0));
    }
    case.proven(dtype, vec![batch, width], (lowest, highest))
}
