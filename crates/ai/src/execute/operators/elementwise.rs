//! Elements by themselves: sums and products with broadcast, tables.

use super::super::error::RunError;
use super::super::values::{Element, View, ViewMut, each};
use super::{Geometry, both};
use crate::kernels::{Kernel, Path};

/// What two elements become.
#[derive(Clone, Copy, Debug)]
pub enum Pair {
    /// Their sum between two ends.
    Add(i32, i32),
    /// Their product.
    Mul,
}

/// Two operands of some units, and the extents of their parts; one that units share is read again for each.
#[derive(Clone, Copy)]
pub struct Operands<'a> {
    /// The first.
    pub a: View<'a>,
    /// The second.
    pub b: View<'a>,
    /// How many units.
    pub units: usize,
    /// Extents of parts.
    pub geometry: &'a Geometry,
}

impl Operands<'_> {
    /// Whether each element of the output meets one of either operand in the same place.
    fn is_elementwise(&self, length: usize) -> bool {
        let own = self.geometry.output(0);
        self.a.len() == length
            && self.b.len() == length
            && self.geometry.input(0) == own
            && self.geometry.input(1) == own
    }
}

/// `out = pair(a, b)`, by the widest vectors that the kernel may use: the same loops, compiled for them.
pub fn combine(kernel: Kernel, pair: Pair, of: Operands<'_>, out: ViewMut<'_>) -> Result<(), RunError> {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn with_avx2(pair: Pair, of: Operands<'_>, out: ViewMut<'_>) -> Result<(), RunError> {
            paired(pair, of, out)
        }
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn with_avx512(pair: Pair, of: Operands<'_>, out: ViewMut<'_>) -> Result<(), RunError> {
            paired(pair, of, out)
        }
        match kernel.path() {
            Path::Scalar | Path::Sse41 => {}
            // SAFETY: a kernel of these paths exists only where the machine has AVX2.
            Path::Avx2 | Path::AvxVnni => return unsafe { with_avx2(pair, of, out) },
            // SAFETY: a kernel of these paths exists only where the machine has these parts of AVX-512.
            Path::Avx512 | Path::Avx512Vnni => return unsafe { with_avx512(pair, of, out) },
        }
    }
    let _ = kernel;
    paired(pair, of, out)
}

#[inline(always)]
fn paired(pair: Pair, of: Operands<'_>, mut out: ViewMut<'_>) -> Result<(), RunError> {
    if let (Pair::Add(minimum, maximum), View::Int16(a), View::Int16(b), ViewMut::Int16(out)) =
        (pair, of.a, of.b, &mut out)
        && of.is_elementwise(out.len())
    {
        // An end beyond int16 cuts nothing off: admission has proven that the results are int16.
        let end = |end: i32| end.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        add_int16(a, b, out, (end(minimum), end(maximum)));
        return Ok(());
    }
    match pair {
        // Exact in int32 by admission. Not `clamp`, whose check of its ends keeps the loop from becoming vectors.
        Pair::Add(minimum, maximum) => {
            broadcast(of, out, move |a, b| a.wrapping_add(b).max(minimum).min(maximum))
        }
        Pair::Mul => broadcast(of, out, |a, b| a.wrapping_mul(b)),
    }
}

/// The residual sums of a transformer: what saturates at int16 lies at or beyond the clamp's ends.
#[inline(always)]
fn add_int16(a: &[i16], b: &[i16], out: &mut [i16], (minimum, maximum): (i16, i16)) {
    let length = out.len().min(a.len()).min(b.len());
    let (a, b, out) = (&a[..length], &b[..length], &mut out[..length]);
    for (at, out) in out.iter_mut().enumerate() {
        *out = a[at].saturating_add(b[at]).max(minimum).min(maximum);
    }
}

#[inline(always)]
fn broadcast(
    of: Operands<'_>,
    out: ViewMut<'_>,
    pair: impl Fn(i32, i32) -> i32 + Copy,
) -> Result<(), RunError> {
    let Operands { a, b, units, geometry } = of;
    both!(a, out, (a, out) => match b {
        View::Int8(b) => typed(a, b, out, units, geometry, pair),
        View::Int16(b) => typed(a, b, out, units, geometry, pair),
        View::Int32(b) => typed(a, b, out, units, geometry, pair),
    })
}

#[inline(always)]
fn typed<A: Element + Into<i32>, B: Element + Into<i32>, Y: Element>(
    a: &[A],
    b: &[B],
    out: &mut [Y],
    units: usize,
    geometry: &Geometry,
    pair: impl Fn(i32, i32) -> i32 + Copy,
) -> Result<(), RunError> {
    let (a_length, b_length, length) = (geometry.input(0), geometry.input(1), geometry.output(0));
    // A part that is not there for each unit is the same for all.
    let part = |elements: usize, own: usize, unit: usize| {
        if elements == own * units { unit * own..(unit + 1) * own } else { 0..own }
    };
    if a.len() == out.len() && b.len() == out.len() && a_length == length && b_length == length {
        pairs(a, b, out, pair);
        return Ok(());
    }
    for unit in 0..units {
        let out = &mut out[unit * length..(unit + 1) * length];
        let a = &a[part(a.len(), a_length, unit)];
        let b = &b[part(b.len(), b_length, unit)];
        if a.len() == length && b.len() == length {
            pairs(a, b, out, pair);
        } else if a.len() == length && b.len() == 1 {
            let b = b[0].into();
            for (at, out) in out.iter_mut().enumerate() {
                *out = Y::low(i64::from(pair(a[at].into(), b)));
            }
        } else {
            strided(a, b, out, geometry, &pair)?;
        }
    }
    Ok(())
}

/// The form that becomes vectors: a plain loop, so that nothing of it is compiled apart.
#[inline(always)]
fn pairs<A: Element + Into<i32>, B: Element + Into<i32>, Y: Element>(
    a: &[A],
    b: &[B],
    out: &mut [Y],
    pair: impl Fn(i32, i32) -> i32 + Copy,
) {
    let length = out.len().min(a.len()).min(b.len());
    let (a, b, out) = (&a[..length], &b[..length], &mut out[..length]);
    for (at, out) in out.iter_mut().enumerate() {
        *out = Y::low(i64::from(pair(a[at].into(), b[at].into())));
    }
}

/// The general form: an index of the output gives one of each operand.
fn strided<A: Element + Into<i32>, B: Element + Into<i32>, Y: Element>(
    a: &[A],
    b: &[B],
    out: &mut [Y],
    geometry: &Geometry,
    pair: &impl Fn(i32, i32) -> i32,
) -> Result<(), RunError> {
    let shape = &geometry.outputs[0];
    let (a_strides, b_strides) = (strides(&geometry.inputs[0], shape)?, strides(&geometry.inputs[1], shape)?);
    let mut index = vec![0usize; shape.len()];
    let (mut a_at, mut b_at) = (0, 0);
    for out in out {
        *out = Y::low(i64::from(pair(a[a_at].into(), b[b_at].into())));
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            a_at += a_strides[axis];
            b_at += b_strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            a_at -= a_strides[axis] * shape[axis];
            b_at -= b_strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    Ok(())
}

/// How far an operand moves with each axis of the output: not at all where it has one element or no such axis.
pub fn strides(own: &[usize], shape: &[usize]) -> Result<Vec<usize>, RunError> {
    // Leading ones change nothing.
    let own = &own[own.len().saturating_sub(shape.len())..];
    let missing = shape.len() - own.len();
    let mut strides = vec![0; shape.len()];
    let mut step = 1;
    for axis in (0..own.len()).rev() {
        if own[axis] == shape[missing + axis] {
            strides[missing + axis] = if own[axis] == 1 { 0 } else { step };
        } else if own[axis] != 1 {
            return Err(RunError::defect("shapes that do not broadcast"));
        }
        step *= own[axis];
    }
    Ok(strides)
}

/// `out = table[x - offset]`.
pub fn lookup(x: View<'_>, table: View<'_>, offset: i32, out: ViewMut<'_>) -> Result<(), RunError> {
    macro_rules! from {
        ($table:expr, $out:expr) => {
            each!(View, x, x => $out.iter_mut().zip(x).for_each(|(out, x)| {
                *out = $table[(x.wide() - i64::from(offset)) as usize];
            }))
        };
    }
    match (table, out) {
        (View::Int8(table), ViewMut::Int8(out)) => from!(table, out),
        (View::Int16(table), ViewMut::Int16(out)) => from!(table, out),
        (View::Int32(table), ViewMut::Int32(out)) => from!(table, out),
        _ => return Err(RunError::defect("a table of other bits than its output")),
    }
    Ok(())
}
