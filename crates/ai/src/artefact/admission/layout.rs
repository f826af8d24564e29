//! Admission of gathering and layout: elements move, none changes.

use super::scaling::hull;
use super::{Case, Proven, ends};
use crate::artefact::container::Dtype;
use crate::artefact::error::ArtefactError;
use crate::artefact::graph::{Axis, Facts};

fn same_range(facts: &Facts) -> (i128, i128) {
    (facts.lowest.into(), facts.highest.into())
}

pub fn embedding(case: &Case<'_>) -> Result<Proven, ArtefactError> {
    let ids = case.value(0)?;
    let (table, [rows, width]) = case.tensor::<2>(1, &[Dtype::Int8, Dtype::Int16, Dtype::Int32])?;
    if ids.lowest < 0 || ids.highest >= rows as i64 {
        return case.blame(0, format!("range {}..={}, the table has {rows} rows", ids.lowest, ids.highest));
    }
    let mut shape = ids.shape.clone();
    shape.push(Axis::Static(width));
    case.proven(table.dtype, shape, ends(table.iter()))
}

pub fn positions(case: &Case<'_>, axis: usize) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    if axis == 0 || axis >= x.shape.len() {
        return case.refuse(format!("axis {axis} of {} axes", x.shape.len()));
    }
    let extent = x.shape[axis];
    case.proven(Dtype::Int32, vec![extent], (0, case.limit(extent) - 1))
}

pub fn take_row(case: &Case<'_>) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    let [batch, _, width] = case.axes::<3>(0)?;
    if batch != Axis::Batch {
        return case.blame(0, "axis 0 is not the batch");
    }
    if case.typed(1, Dtype::Int32)?.shape != [Axis::Batch] {
        return case.blame(1, "not of the shape [batch]");
    }
    let (lowest, highest) = same_range(x);
    case.proven(x.dtype, vec![batch, width], (lowest.min(0), highest.max(0)))
}

pub fn cache_write(case: &Case<'_>) -> Result<Proven, ArtefactError> {
    let (cache, row) = (case.value(0)?, case.value(1)?);
    let [batch, _, width] = case.axes::<3>(0)?;
    if batch != Axis::Batch {
        return case.blame(0, "axis 0 is not the batch");
    }
    if row.shape != [batch, Axis::Static(1), width] || row.dtype != cache.dtype {
        return case.blame(1, "not one row of the cache's width and type");
    }
    if case.typed(2, Dtype::Int32)?.shape != [Axis::Batch] {
        return case.blame(2, "not of the shape [batch]");
    }
    let ends = [cache.lowest, cache.highest, row.lowest, row.highest].map(i128::from);
    case.proven(cache.dtype, cache.shape.clone(), hull(ends))
}

pub fn reshape(case: &Case<'_>, shape: &[Axis]) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    let symbols = |shape: &[Axis]| {
        shape.iter().copied().filter(|axis| !matches!(axis, Axis::Static(_))).collect::<Vec<_>>()
    };
    let product = |shape: &[Axis]| -> u128 {
        shape.iter().map(|axis| if let Axis::Static(size) = axis { *size as u128 } else { 1 }).product()
    };
    if symbols(&x.shape) != symbols(shape) || product(&x.shape) != product(shape) {
        return case.refuse("the shape has other symbols or another number of elements");
    }
    if (x.shape[0] == Axis::Batch) != (shape[0] == Axis::Batch) {
        return case.refuse("axis 0 does not stay the batch");
    }
    case.proven(x.dtype, shape.to_vec(), same_range(x))
}

pub fn transpose(case: &Case<'_>, order: &[usize]) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..x.shape.len()) {
        return case.refuse(format!("{order:?} is no order of {} axes", x.shape.len()));
    }
    if x.shape[0] == Axis::Batch && order[0] != 0 {
        return case.refuse("axis 0 does not stay the batch");
    }
    case.proven(x.dtype, order.iter().map(|axis| x.shape[*axis]).collect(), same_range(x))
}

pub fn concatenate(case: &Case<'_>, axis: usize) -> Result<Proven, ArtefactError> {
    let first = case.value(0)?;
    if axis >= first.shape.len() {
        return case.refuse(format!("axis {axis} of {} axes", first.shape.len()));
    }
    let mut shape = first.shape.clone();
    let mut total = 0;
    let mut range = same_range(first);
    for at in 0..case.given.len() {
        let part = case.value(at)?;
        if part.dtype != first.dtype || part.shape.len() != shape.len() {
            return case.blame(at, "other bits or another number of axes than the first operand");
        }
        if (0..shape.len()).any(|other| other != axis && part.shape[other] != shape[other]) {
            return case.blame(at, "another extent than the first operand's");
        }
        total += case.fixed(at, part.shape[axis])?;
        range = hull([range.0, range.1, part.lowest.into(), part.highest.into()]);
    }
    shape[axis] = Axis::Static(total);
    case.proven(first.dtype, shape, range)
}

pub fn slice(case: &Case<'_>, axis: usize, start: usize, length: usize) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    let extent = match x.shape.get(axis) {
        Some(Axis::Static(size)) => *size,
        // A sequence has at least one element; no more is known of it.
        Some(Axis::Sequence) => 1,
        Some(Axis::Batch) => return case.refuse("a slice of the batch"),
        None => return case.refuse(format!("axis {axis} of {} axes", x.shape.len())),
    };
    if start + length > extent {
        return case.refuse(format!("{length} elements from {start} of {extent}"));
    }
    let mut shape = x.shape.clone();
    shape[axis] = Axis::Static(length);
    case.proven(x.dtype, shape, same_range(x))
}
