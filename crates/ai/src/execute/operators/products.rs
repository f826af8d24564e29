//! Products of values with each other, convolutions and attentions: unit after unit, each by its kernel.

use super::super::error::RunError;
use super::super::values::{View, ViewMut};
use super::super::work::Taps;
use super::{Geometry, element};
use crate::kernels::{
    Attention, AttentionInputs, AttentionScratch, ConvolutionScratch, Epilogue, In, Matrix, MatrixMut, Out,
    Packed, Scratch, product,
};

/// The int8 elements of a view.
pub fn int8<'a>(view: View<'a>) -> Result<&'a [i8], RunError> {
    match view {
        View::Int8(elements) => Ok(elements),
        _ => Err(RunError::defect("a product's operand that is not int8")),
    }
}

/// The int32 elements of a view.
pub fn int32<'a>(view: View<'a>) -> Result<&'a [i32], RunError> {
    match view {
        View::Int32(elements) => Ok(elements),
        _ => Err(RunError::defect("scales that are not int32")),
    }
}

/// A view as a matrix of so many columns.
pub fn matrix(view: View<'_>, columns: usize) -> Result<In<'_>, RunError> {
    let rows = view.len() / columns;
    Ok(match view {
        View::Int8(elements) => In::Int8(Matrix::dense(elements, rows, columns)?),
        View::Int16(elements) => In::Int16(Matrix::dense(elements, rows, columns)?),
        View::Int32(elements) => In::Int32(Matrix::dense(elements, rows, columns)?),
    })
}

/// An output as a matrix of so many columns.
pub fn matrix_mut(view: ViewMut<'_>, columns: usize) -> Result<Out<'_>, RunError> {
    let rows = view.len() / columns;
    Ok(match view {
        ViewMut::Int8(elements) => Out::Int8(MatrixMut::dense(elements, rows, columns)?),
        ViewMut::Int16(elements) => Out::Int16(MatrixMut::dense(elements, rows, columns)?),
        ViewMut::Int32(elements) => Out::Int32(MatrixMut::dense(elements, rows, columns)?),
    })
}

/// The products of the matrices of two values, one after the other; `b` is packed anew for each.
pub fn matrix_product(
    a: View<'_>,
    b: View<'_>,
    transposed: bool,
    out: ViewMut<'_>,
    geometry: &Geometry,
    packed: &mut Packed,
    scratch: &mut Scratch,
) -> Result<(), RunError> {
    let (a, b) = (int8(a)?, int8(b)?);
    let ViewMut::Int32(out) = out else { return Err(RunError::defect("sums that are not int32")) };
    let [.., rows, columns] = geometry.inputs[1][..] else {
        return Err(RunError::defect("an operand of one axis"));
    };
    let (n, k) = if transposed { (rows, columns) } else { (columns, rows) };
    // Rows of `a` that meet the same `b`: those of one matrix, or all of them where units share `b`.
    let m = if b.len() == n * k { a.len() / k } else { geometry.inputs[0][geometry.inputs[0].len() - 2] };
    for ((a, b), out) in a.chunks_exact(m * k).zip(b.chunks_exact(n * k)).zip(out.chunks_exact_mut(m * n)) {
        let b = Matrix::dense(b, rows, columns)?;
        if transposed {
            packed.repack_rows(b)?
        } else {
            packed.repack_columns(b)?
        }
        let out = Out::Int32(MatrixMut::dense(out, m, n)?);
        product(Matrix::dense(a, m, k)?, packed, &Epilogue::SUMS, &[], out, scratch)?;
    }
    Ok(())
}

/// Convolutions of some images.
pub fn convolution(
    x: &[i8],
    taps: &Taps,
    mut out: ViewMut<'_>,
    scratch: &mut ConvolutionScratch,
) -> Result<(), RunError> {
    let [high, wide] = taps.weights.output();
    let (pixels, channels) = (high * wide, taps.of.weight[0]);
    for (unit, image) in x.chunks_exact(taps.of.input.iter().product()).enumerate() {
        let part = out.part(unit * pixels * channels..(unit + 1) * pixels * channels);
        taps.weights.run(image, 0..pixels, &taps.epilogue, matrix_mut(part, channels)?, scratch)?;
    }
    Ok(())
}

/// Attention of some units: query, key and value, then the mask if there is one.
pub fn attention(
    inputs: &[View<'_>],
    attention: &Attention,
    mut out: ViewMut<'_>,
    geometry: &Geometry,
    seen: &mut [bool],
    scratch: &mut AttentionScratch,
) -> Result<(), RunError> {
    let ([rows, width], [keys, columns]) = (axes(&geometry.inputs[0])?, axes(&geometry.inputs[2])?);
    let units = inputs[0].len() / (rows * width);
    for unit in 0..units {
        let part = |at: usize, rows: usize, width: usize| -> Result<Matrix<'_, i8>, RunError> {
            let elements = int8(inputs[at])?;
            Ok(Matrix::dense(&elements[unit * rows * width..(unit + 1) * rows * width], rows, width)?)
        };
        if let Some(mask) = inputs.get(3) {
            for (at, seen) in seen.iter_mut().enumerate().take(keys) {
                *seen = element(mask, unit * keys + at) != 0;
            }
        }
        let given = AttentionInputs {
            query: part(0, rows, width)?,
            key: part(1, keys, width)?,
            value: part(2, keys, columns)?,
            seen: inputs.get(3).map(|_| &seen[..keys]),
        };
        let made = matrix_mut(out.part(unit * rows * columns..(unit + 1) * rows * columns), columns)?;
        attention.run(&given, made, scratch)?;
    }
    Ok(())
}

fn axes<const N: usize>(shape: &[usize]) -> Result<[usize; N], RunError> {
    <[usize; N]>::try_from(shape).map_err(|_| RunError::defect("a value of other axes"))
}
