//! Operators that need a whole row first: requantisation by the largest magnitude, and layer norm. Formulas:
//! `docs/integer-graphs.md`, requantise_rows and layer_norm.

use super::epilogue::{Epilogue, Rescale};
use super::error::{KernelError, expect, within};
use super::finish::{In, Out};
use super::finish_vectors::Constants;
use super::matrix::{Matrix, MatrixMut};
use super::path::{Kernel, Path};
use super::rounding::{Reciprocal, Scaling};
use super::words::{Element, Words, load_rest, store_rest};

/// int8 rows and their scales: `x` is about `rows * (scale << scale_shift) / 127`. No value of x is -2^31 by admission.
///
/// # Errors
/// `Shape` or `Parameter` if the arguments do not fit each other.
pub fn requantise_rows(
    kernel: Kernel,
    x: In<'_>,
    scale_shift: u32,
    rows: MatrixMut<'_, i8>,
    scales: &mut [i32],
) -> Result<(), KernelError> {
    expect("rows of the output", x.rows(), rows.rows())?;
    expect("columns of the output", x.columns(), rows.columns())?;
    expect("scales", x.rows(), scales.len())?;
    within("scale_shift", scale_shift.into(), 0, 24)?;
    match x {
        In::Int8(x) => requantise(kernel.path(), x, scale_shift, rows, scales),
        In::Int16(x) => requantise(kernel.path(), x, scale_shift, rows, scales),
        In::Int32(x) => requantise(kernel.path(), x, scale_shift, rows, scales),
    }
    Ok(())
}

fn requantise<T: Element>(
    path: Path,
    x: Matrix<'_, T>,
    scale_shift: u32,
    mut rows: MatrixMut<'_, i8>,
    scales: &mut [i32],
) {
    for (row, scale) in scales.iter_mut().enumerate() {
        *scale = requantise_row(path, x.row(row), scale_shift, rows.row_mut(row));
    }
}

fn requantise_row<T: Element>(path: Path, x: &[T], scale_shift: u32, out: &mut [i8]) -> i32 {
    #[cfg(target_arch = "x86_64")]
    if path != Path::Scalar {
        // SAFETY: only a kernel that this machine has comes here with its path; both slices have a row's length.
        return unsafe { super::x86::requantise_row(path, x, scale_shift, out) };
    }
    let _ = path;
    let (scale, scaling) = row_scale(largest(x), scale_shift);
    for (value, &x) in out.iter_mut().zip(x) {
        *value = scaling.map_or(0, |scaling| scaling.apply(x.into()) as i8);
    }
    scale
}

/// The largest magnitude of a row.
#[inline(always)]
fn largest<T: Element>(x: &[T]) -> u32 {
    // Both ends in the type itself: as many lanes as a vector has of it.
    let ends = x.iter().fold((T::default(), T::default()), |(low, high), &x| (low.min(x), high.max(x)));
    ends.0.into().unsigned_abs().max(ends.1.into().unsigned_abs())
}

/// A row's scale, and what makes its values int8; none if they are all 0.
#[inline(always)]
fn row_scale(largest: u32, scale_shift: u32) -> (i32, Option<Scaling>) {
    let scale = (u64::from(largest) + (1 << scale_shift) - 1) >> scale_shift;
    let most = scale << scale_shift;
    // At most 2^31 - 1, as the largest magnitude.
    let scale = scale as i32;
    if most == 0 {
        return (scale, None);
    }
    let bits = u64::BITS - most.leading_zeros();
    // Below 127 * 2^24: the divisor is at least 2^(bits - 1).
    let factor = ((127u64 << (bits + 23)) / most) as i32;
    (scale, Some(Scaling::new(factor, bits + 23, most as i64)))
}

/// The vector form of `requantise_row`.
///
/// # Safety
/// The machine has the features of `W`; `out` is as long as `x`.
#[inline(always)]
pub(crate) unsafe fn requantise_vectors<W: Words, T: Element>(
    x: &[T],
    scale_shift: u32,
    out: &mut [i8],
) -> i32 {
    let whole = x.len() / W::LANES * W::LANES;
    // SAFETY: whole vectors of both slices, and the rest by way of a buffer. The magnitudes of a row leave the room that
    // the vectors need.
    unsafe {
        let rest = load_rest::<W, T>(&x[whole..]);
        let (scale, scaling) = row_scale(largest(x), scale_shift);
        let Some(scaling) = scaling else {
            out.fill(0);
            return scale;
        };
        let vectors = scaling.vectors::<W>();
        for at in (0..whole).step_by(W::LANES) {
            W::store_int8(out.as_mut_ptr().add(at), vectors.apply(T::load::<W>(x.as_ptr().add(at))));
        }
        if whole < x.len() {
            store_rest::<W, i8>(&mut out[whole..], vectors.apply(rest));
        }
        scale
    }
}

/// `out = round_shift(x * factor, shift)`, which lies within the type.
///
/// # Safety
/// The machine has the features of `W`; the scaling is fast.
#[inline(always)]
pub(crate) unsafe fn scale_vectors<W: Words, T: Element>(scaling: &Scaling, x: &[i32], out: &mut [T]) {
    let length = x.len().min(out.len());
    let whole = length / W::LANES * W::LANES;
    // SAFETY: whole vectors of both slices, and of the buffer.
    unsafe {
        let vectors = scaling.vectors::<W>();
        for at in (0..whole).step_by(W::LANES) {
            T::store::<W>(out.as_mut_ptr().add(at), vectors.apply(W::load(x.as_ptr().add(at))));
        }
        if whole < length {
            let rest = vectors.apply(load_rest::<W, i32>(&x[whole..length]));
            store_rest::<W, T>(&mut out[whole..length], rest);
        }
    }
}

/// A layer norm of rows of a given width.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    width: usize,
    /// No deviation is more than this many times the root of the spread.
    most_of_root: i64,
    epsilon: u64,
    fraction_bits: u32,
    affine: Epilogue,
}

/// The attributes of a layer norm, and its tensors, by the names of the specification.
#[derive(Clone, Copy, Debug)]
pub struct LayerNormAttributes<'a> {
    /// One per column.
    pub gain: &'a [i32],
    /// One per column.
    pub bias: &'a [i32],
    /// 1..=2^60.
    pub epsilon: i64,
    /// 1..=20.
    pub fraction_bits: u32,
    /// 0..=31.
    pub bias_shift: u32,
    /// 1..=62.
    pub shift: u32,
    /// The clamp's lower end.
    pub minimum: i32,
    /// The clamp's upper end.
    pub maximum: i32,
}

/// What a normalised value is made of: `width * x - sum`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Centre {
    pub width: i32,
    pub sum: i32,
}

impl LayerNorm {
    /// A layer norm whose attributes were checked here.
    ///
    /// # Errors
    /// `Shape` or `Parameter` for what does not fit the formula.
    pub fn new(attributes: &LayerNormAttributes<'_>) -> Result<LayerNorm, KernelError> {
        let &LayerNormAttributes { gain, bias, epsilon, fraction_bits, bias_shift, shift, minimum, maximum } =
            attributes;
        within("epsilon", epsilon, 1, 1 << 60)?;
        within("fraction_bits", fraction_bits.into(), 1, 20)?;
        within("columns", gain.len() as i64, 1, 1 << 24)?;
        expect("bias", gain.len(), bias.len())?;
        let largest = (((gain.len() as i64).isqrt() + 1) << (fraction_bits + 1)) + 1;
        within("largest normalised value", largest, 0, i32::MAX.into())?;
        let rescale = Rescale {
            multipliers: gain,
            bias,
            bias_shift,
            shift,
            zero_point: 0,
            minimum,
            maximum,
            largest,
            scaled: false,
        };
        let affine = Epilogue::rescale(gain.len(), &rescale)?;
        let most_of_root = (gain.len() as i64).isqrt() + 1;
        Ok(LayerNorm { width: gain.len(), most_of_root, epsilon: epsilon as u64, fraction_bits, affine })
    }

    /// Runs on each row. `2 * width * |x|` is below 2^31 by admission.
    ///
    /// # Errors
    /// `Shape` or `Parameter` if the arguments do not fit each other.
    pub fn run(&self, kernel: Kernel, x: In<'_>, out: Out<'_>) -> Result<(), KernelError> {
        expect("columns of a layer norm", self.width, x.columns())?;
        expect("columns of the output", self.width, out.columns())?;
        expect("rows of the output", x.rows(), out.rows())?;
        out.check(&self.affine)?;
        match x {
            In::Int8(x) => self.rows(kernel.path(), x, out),
            In::Int16(x) => self.rows(kernel.path(), x, out),
            In::Int32(x) => self.rows(kernel.path(), x, out),
        }
    }

    fn rows<T: Element>(&self, path: Path, x: Matrix<'_, T>, mut out: Out<'_>) -> Result<(), KernelError> {
        for row in 0..x.rows() {
            let values = x.row(row);
            let (sum, squares) = moments(path, values);
            let width = self.width as i64;
            let spread = width.wrapping_mul(squares).wrapping_sub(i64::from(sum).wrapping_mul(sum.into()));
            // The square root of at most 2^61.
            let root =
                (spread.max(0) as u64).wrapping_add(self.epsilon).isqrt().clamp(1, u32::MAX.into()) as u32;
            let most = self.most_of_root.saturating_mul(i64::from(root) + 1).min(i32::MAX.into());
            let scaling = Reciprocal::of(root).scaling(self.fraction_bits, most);
            let centre = Centre { width: self.width as i32, sum };
            normalise(path, values, centre, &scaling, &self.affine, out.part(row..row + 1, 0..self.width)?);
        }
        Ok(())
    }
}

/// The sum and the sum of squares of a row.
fn moments<T: Element>(path: Path, x: &[T]) -> (i32, i64) {
    #[cfg(target_arch = "x86_64")]
    if path != Path::Scalar {
        // SAFETY: only a kernel that this machine has comes here with its path.
        return unsafe { super::x86::moments(path, x) };
    }
    let _ = path;
    plain_moments(x)
}

#[inline(always)]
fn plain_moments<T: Element>(x: &[T]) -> (i32, i64) {
    let (mut sum, mut squares) = (0i32, 0i64);
    for &x in x {
        let x: i32 = x.into();
        sum = sum.wrapping_add(x);
        squares = squares.wrapping_add(i64::from(x) * i64::from(x));
    }
    (sum, squares)
}

/// The plain loop, compiled for vectors.
///
/// # Safety
/// None: it has the signature that `by_width` wants.
#[inline(always)]
pub(crate) unsafe fn moments_vectors<W: Words, T: Element>(x: &[T]) -> (i32, i64) {
    plain_moments(x)
}

/// The values of one row: `round_shift((width * x - sum) * reciprocal, ...)`, then gain and bias.
fn normalise<T: Element>(
    path: Path,
    x: &[T],
    centre: Centre,
    scaling: &Scaling,
    affine: &Epilogue,
    mut out: Out<'_>,
) {
    #[cfg(target_arch = "x86_64")]
    if path != Path::Scalar && scaling.is_fast() && affine.prepared().is_some() {
        // SAFETY: only a kernel that this machine has comes here with its path; the layer norm checked the extents.
        unsafe { super::x86::normalise(path, x, centre, scaling, affine, out) };
        return;
    }
    let _ = path;
    for (column, &x) in x.iter().enumerate() {
        let deviation = x.into().wrapping_mul(centre.width).wrapping_sub(centre.sum);
        out.put(0, column, affine.apply(scaling.apply(deviation) as i32, column, 0));
    }
}

/// The vector form of `normalise`.
///
/// # Safety
/// The machine has the features of `W`; scaling and affine have a vector form; `x`, `out` and `affine` have the same
/// columns.
#[inline(always)]
pub(crate) unsafe fn normalise_vectors<W: Words, T: Element>(
    x: &[T],
    centre: Centre,
    scaling: &Scaling,
    affine: &Epilogue,
    out: Out<'_>,
) {
    // SAFETY: the caller vouches for the features and the extents.
    unsafe {
        match out {
            Out::Int8(mut out) => normalise_row::<W, T, i8>(x, centre, scaling, affine, out.row_mut(0)),
            Out::Int16(mut out) => normalise_row::<W, T, i16>(x, centre, scaling, affine, out.row_mut(0)),
            Out::Int32(mut out) => normalise_row::<W, T, i32>(x, centre, scaling, affine, out.row_mut(0)),
        }
    }
}

/// `normalise_vectors` for one type of output.
///
/// # Safety
/// As `normalise_vectors`.
#[inline(always)]
unsafe fn normalise_row<W: Words, T: Element, U: Element>(
    x: &[T],
    centre: Centre,
    scaling: &Scaling,
    affine: &Epilogue,
    out: &mut [U],
) {
    let whole = x.len() / W::LANES * W::LANES;
    // SAFETY: whole vectors of both slices, and the rest by way of a buffer; the parameters are filled up.
    unsafe {
        let (vectors, constants) = (scaling.vectors::<W>(), Constants::<'_, W>::new(affine));
        let (width, sum) = (W::splat(centre.width), W::splat(centre.sum));
        for at in (0..whole).step_by(W::LANES) {
            let deviation = W::subtract(W::multiply(T::load::<W>(x.as_ptr().add(at)), width), sum);
            let of = constants.of_column(at);
            U::store::<W>(out.as_mut_ptr().add(at), constants.values(vectors.apply(deviation), &of));
        }
        if whole < x.len() {
            let deviation = W::subtract(W::multiply(load_rest::<W, T>(&x[whole..]), width), sum);
            let of = constants.of_column(whole);
            let values = constants.values(vectors.apply(deviation), &of);
            store_rest::<W, U>(&mut out[whole..], values);
        }
    }
}
