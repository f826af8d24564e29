//! Admission of elementwise operators.

use super::scaling::{clamp_to, hull};
use super::{Case, Proven, ends};
use crate::artefact::container::Dtype;
use crate::artefact::error::ArtefactError;
use crate::artefact::graph::Axis;
use crate::artefact::operator::Clamp;

/// The shape of two operands together, aligned at the right.
pub fn broadcast(case: &Case<'_>, a: &[Axis], b: &[Axis]) -> Result<Vec<Axis>, ArtefactError> {
    let length = a.len().max(b.len());
    let axis = |shape: &[Axis], at: usize| match (at + shape.len()).checked_sub(length) {
        Some(at) => shape[at],
        None => Axis::Static(1),
    };
    let joined = (0..length).map(|at| match (axis(a, at), axis(b, at)) {
        (x, y) if x == y => Ok(x),
        (Axis::Static(1), other) | (other, Axis::Static(1)) => Ok(other),
        _ => case.refuse("the operands' shapes do not fit each other"),
    });
    joined.collect()
}

fn joined(case: &Case<'_>) -> Result<Vec<Axis>, ArtefactError> {
    broadcast(case, &case.value(0)?.shape, &case.given[1].shape())
}

pub fn add(case: &Case<'_>, clamp: &Clamp) -> Result<Proven, ArtefactError> {
    let shape = joined(case)?;
    let ((a_low, a_high), (b_low, b_high)) = (case.given[0].range(), case.given[1].range());
    let exact = case.proven(Dtype::Int32, shape, (a_low + b_low, a_high + b_high))?;
    let range = (clamp_to(exact.lowest.into(), clamp), clamp_to(exact.highest.into(), clamp));
    case.proven(clamp.dtype, exact.shape, range)
}

pub fn mul(case: &Case<'_>) -> Result<Proven, ArtefactError> {
    let shape = joined(case)?;
    let ((a_low, a_high), (b_low, b_high)) = (case.given[0].range(), case.given[1].range());
    let corners = [a_low * b_low, a_low * b_high, a_high * b_low, a_high * b_high];
    case.proven(Dtype::Int32, shape, hull(corners))
}

pub fn relu(case: &Case<'_>) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    case.proven(x.dtype, x.shape.clone(), (x.lowest.max(0).into(), x.highest.max(0).into()))
}

pub fn clamped(case: &Case<'_>, clamp: &Clamp) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    let range = (clamp_to(x.lowest.into(), clamp), clamp_to(x.highest.into(), clamp));
    case.proven(clamp.dtype, x.shape.clone(), range)
}

pub fn lookup(case: &Case<'_>, offset: i32) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    let (table, [length]) = case.tensor::<1>(1, &[Dtype::Int8, Dtype::Int16, Dtype::Int32])?;
    if length > 1 << 16 {
        return case.blame(1, format!("{length} elements, more than 65536"));
    }
    let index = |x: i64| usize::try_from(x - i64::from(offset)).ok().filter(|index| *index < length);
    let (Some(first), Some(last)) = (index(x.lowest), index(x.highest)) else {
        let range = (x.lowest, x.highest);
        return case
            .blame(1, format!("{length} elements from {offset} on do not cover {}..={}", range.0, range.1));
    };
    let range = ends(table.iter().skip(first).take(last - first + 1));
    case.proven(table.dtype, x.shape.clone(), range)
}
