//! The bare integer product, for measurements and checks of evidence.

use std::hint::black_box;
use std::time::Instant;

use pyo3::prelude::*;
use solder_ai::execute::{Array, Values};
use solder_ai::kernels::{Epilogue, Kernel, KernelError, Matrix, MatrixMut, Out, Packed, Scratch, product};

use crate::ai::kernel_of;
use crate::ai_values::{array, numpy};
use crate::errors::Failure;
use crate::run::detached;

/// The most elements of an operand or of the sums.
const MAXIMUM_ELEMENTS: usize = 1 << 30;
/// The deepest product whose sums are int32 for any operands.
const MAXIMUM_DEPTH: usize = (1 << 17) - 1;

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        Self::field("product", error.to_string())
    }
}

fn int8(value: &Bound<'_, PyAny>, field: &str) -> PyResult<(Vec<i8>, [usize; 2])> {
    let Array { shape, values } = array(value, field)?;
    match (values, shape.as_slice()) {
        (Values::Int8(elements), [rows, columns]) => Ok((elements, [*rows, *columns])),
        _ => Err(Failure::field(field, "not an int8 matrix").into()),
    }
}

/// `a` (m x k, int8) times the transposed `b` (n x k, int8): m x n, int32.
#[pyfunction]
#[pyo3(signature = (a, b, *, kernel = None))]
pub fn integer_product<'py>(
    py: Python<'py>,
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    kernel: Option<&str>,
) -> PyResult<Bound<'py, PyAny>> {
    let (a, [m, k]) = int8(a, "a")?;
    let (b, [n, depth]) = int8(b, "b")?;
    if depth != k || k > MAXIMUM_DEPTH || m.saturating_mul(n) > MAXIMUM_ELEMENTS {
        return Err(Failure::field("b", format!("{m} x {k} times {n} x {depth} transposed")).into());
    }
    let kernel = kernel_of(kernel)?;
    let sums = detached(py, move |_| {
        let packed = Packed::rows(kernel, Matrix::dense(&b, n, k)?)?;
        let mut sums = vec![0i32; m * n];
        let out = Out::Int32(MatrixMut::dense(&mut sums, m, n)?);
        product(Matrix::dense(&a, m, k)?, &packed, &Epilogue::SUMS, &[], out, &mut Scratch::new(kernel, k)?)?;
        Ok(sums)
    })?;
    numpy(py, &Array { shape: vec![m, n], values: Values::Int32(sums) })
}

/// Seconds of bare products (m, k, n, count), each the least of some repeats: weights packed before, sums stored.
#[pyfunction]
#[pyo3(signature = (shapes, *, kernel = None, threads = 1, repeats = 3))]
pub fn time_products(
    py: Python<'_>,
    shapes: Vec<(usize, usize, usize, u32)>,
    kernel: Option<&str>,
    threads: usize,
    repeats: u32,
) -> PyResult<Vec<f64>> {
    let kernel = kernel_of(kernel)?;
    if !(1..=solder_ai::execute::MAXIMUM_THREADS).contains(&threads) {
        return Err(Failure::field("threads", format!("{threads} is not in 1..=64")).into());
    }
    let fits = |m: usize, k: usize, n: usize| {
        let most = m.max(n).saturating_mul(k.max(n));
        m > 0 && n > 0 && (1..=MAXIMUM_DEPTH).contains(&k) && most <= MAXIMUM_ELEMENTS
    };
    if let Some((m, k, n, _)) = shapes.iter().find(|(m, k, n, _)| !fits(*m, *k, *n)) {
        return Err(Failure::field("shapes", format!("a product of {m} x {k} and {k} x {n}")).into());
    }
    detached(py, move |_| {
        shapes
            .into_iter()
            .map(|(m, k, n, count)| {
                let mut least = f64::INFINITY;
                let bench = Bench::new(kernel, m, k, n)?;
                for _ in 0..repeats.max(1) {
                    least = least.min(bench.seconds(count, threads)?);
                }
                Ok(least)
            })
            .collect()
    })
}

struct Bench {
    kernel: Kernel,
    packed: Packed,
    a: Vec<i8>,
    m: usize,
}

impl Bench {
    fn new(kernel: Kernel, m: usize, k: usize, n: usize) -> Result<Self, Failure> {
        let numbers =
            |count: usize| -> Vec<i8> { (0..count).map(|at| (at * 31 % 255) as u8 as i8).collect() };
        let packed = Packed::rows(kernel, Matrix::dense(&numbers(n * k), n, k)?)?;
        Ok(Self { kernel, packed, a: numbers(m * k), m })
    }

    /// `count` products, after one that warms up; threads divide the rows.
    fn seconds(&self, count: u32, threads: usize) -> Result<f64, Failure> {
        let (k, n) = (self.packed.k(), self.packed.n());
        let threads = threads.min(self.m);
        let mut parts: Vec<(&[i8], Vec<i32>, Scratch)> = Vec::with_capacity(threads);
        for part in 0..threads {
            let rows = part * self.m / threads..(part + 1) * self.m / threads;
            let sums = vec![0i32; rows.len() * n];
            parts.push((&self.a[rows.start * k..rows.end * k], sums, Scratch::new(self.kernel, k)?));
        }
        let work = |(a, sums, scratch): &mut (&[i8], Vec<i32>, Scratch), count| -> Result<(), KernelError> {
            let rows = a.len() / k;
            for _ in 0..count {
                let out = Out::Int32(MatrixMut::dense(sums, rows, n)?);
                product(
                    Matrix::dense(black_box(*a), rows, k)?,
                    &self.packed,
                    &Epilogue::SUMS,
                    &[],
                    out,
                    scratch,
                )?;
                black_box(&sums);
            }
            Ok(())
        };
        parts.iter_mut().try_for_each(|part| work(part, 1))?;
        let began = Instant::now();
        std::thread::scope(|scope| -> Result<(), Failure> {
            let (first, others) = parts.split_at_mut(1);
            let running: Vec<_> = others.iter_mut().map(|part| scope.spawn(|| work(part, count))).collect();
            first.iter_mut().try_for_each(|part| work(part, count))?;
            for thread in running {
                thread.join().map_err(|_| Failure::Panic("a thread panicked".into()))??;
            }
            Ok(())
        })?;
        Ok(began.elapsed().as_secs_f64())
    }
}
