//! Gathering and layout: elements move, none changes.

use super::super::error::RunError;
use super::super::values::{View, ViewMut};
use super::{Geometry, element, put};

/// Runs an expression on a view and an output of the same bits.
macro_rules! alike {
    ($from:expr, $to:expr, ($x:ident, $y:ident) => $work:expr) => {
        match ($from, $to) {
            (View::Int8($x), ViewMut::Int8($y)) => $work,
            (View::Int16($x), ViewMut::Int16($y)) => $work,
            (View::Int32($x), ViewMut::Int32($y)) => $work,
            _ => return Err(RunError::defect("an output of other bits than its operand")),
        }
    };
}

/// The same elements.
pub fn copy(x: View<'_>, out: ViewMut<'_>) -> Result<(), RunError> {
    alike!(x, out, (x, out) => out.copy_from_slice(x));
    Ok(())
}

/// Rows of a table.
pub fn embedding(ids: View<'_>, table: View<'_>, out: ViewMut<'_>, width: usize) -> Result<(), RunError> {
    alike!(table, out, (table, out) => {
        for (at, out) in out.chunks_exact_mut(width).enumerate() {
            let row = element(&ids, at) as usize;
            out.copy_from_slice(&table[row * width..(row + 1) * width]);
        }
    });
    Ok(())
}

/// 0, 1, 2, ...
pub fn positions(mut out: ViewMut<'_>, length: usize) {
    (0..length).for_each(|at| put(&mut out, at, at as i64));
}

/// One row of each unit; zeros where there is none of that index.
pub fn take_row(x: View<'_>, index: View<'_>, out: ViewMut<'_>, geometry: &Geometry) -> Result<(), RunError> {
    let [rows, width] = geometry.inputs[0][..] else { return Err(RunError::defect("rows of other axes")) };
    alike!(x, out, (x, out) => {
        for (unit, out) in out.chunks_exact_mut(width).enumerate() {
            match usize::try_from(element(&index, unit)).ok().filter(|row| *row < rows) {
                Some(row) => out.copy_from_slice(&x[(unit * rows + row) * width..][..width]),
                None => out.fill(Default::default()),
            }
        }
    });
    Ok(())
}

/// A copy of the cache with one row replaced.
pub fn cache_write(
    cache: View<'_>,
    row: View<'_>,
    position: View<'_>,
    mut out: ViewMut<'_>,
    geometry: &Geometry,
) -> Result<(), RunError> {
    let [rows, width] = geometry.inputs[0][..] else { return Err(RunError::defect("a cache of other axes")) };
    let length = out.len();
    copy(cache, out.part(0..length))?;
    for unit in 0..row.len() / width {
        if let Some(at) = usize::try_from(element(&position, unit)).ok().filter(|at| *at < rows) {
            let to = (unit * rows + at) * width;
            copy(row.part(unit * width..(unit + 1) * width), out.part(to..to + width))?;
        }
    }
    Ok(())
}

/// Axes in another order; `order` is that of a unit's part.
pub fn transpose(
    x: View<'_>,
    order: &[usize],
    out: ViewMut<'_>,
    geometry: &Geometry,
) -> Result<(), RunError> {
    let own = &geometry.inputs[0];
    let mut steps = vec![1; own.len()];
    for axis in (1..own.len()).rev() {
        steps[axis - 1] = steps[axis] * own[axis];
    }
    let shape = &geometry.outputs[0];
    let part = geometry.input(0);
    alike!(x, out, (x, out) => {
        for (x, out) in x.chunks_exact(part).zip(out.chunks_exact_mut(part)) {
            let mut index = vec![0usize; shape.len()];
            let mut from = 0;
            for out in out.iter_mut() {
                *out = x[from];
                for axis in (0..shape.len()).rev() {
                    let step = steps[order[axis]];
                    index[axis] += 1;
                    from += step;
                    if index[axis] < shape[axis] {
                        break;
                    }
                    from -= step * shape[axis];
                    index[axis] = 0;
                }
            }
        }
    });
    Ok(())
}

/// Operands one after the other along an axis of a unit's part.
pub fn concatenate(
    parts: &[View<'_>],
    axis: usize,
    out: &mut ViewMut<'_>,
    units: usize,
    geometry: &Geometry,
) -> Result<(), RunError> {
    let shape = &geometry.outputs[0];
    let outer: usize = units * shape[..axis].iter().product::<usize>();
    let width: usize = shape[axis..].iter().product();
    let mut at = 0;
    for (part, own) in parts.iter().zip(&geometry.inputs) {
        let own: usize = own[axis..].iter().product();
        for row in 0..outer {
            let to = row * width + at;
            copy(part.part(row * own..(row + 1) * own), out.part(to..to + own))?;
        }
        at += own;
    }
    Ok(())
}

/// A range of an axis of a unit's part.
pub fn slice(
    x: View<'_>,
    axis: usize,
    start: usize,
    out: &mut ViewMut<'_>,
    units: usize,
    geometry: &Geometry,
) -> Result<(), RunError> {
    let (own, shape) = (&geometry.inputs[0], &geometry.outputs[0]);
    let outer: usize = units * own[..axis].iter().product::<usize>();
    let inner: usize = own[axis + 1..].iter().product();
    let (width, length) = (own[axis] * inner, shape[axis] * inner);
    for row in 0..outer {
        let from = row * width + start * inner;
        copy(x.part(from..from + length), out.part(row * length..(row + 1) * length))?;
    }
    Ok(())
}
