//! The kernels by themselves, as JSON lines: products with GMAC/s and the share of the core's peak, by path and shape;
//! and, with `--rows`, what stands between the products of a transformer layer and of a convolutional network.
//!
//! `kernels [MxNxK ...] [--kernel NAME] [--milliseconds N] [--rows]`. The peak is measured, not looked up: the path's own
//! multiply instructions on registers, in the same run. Times are minima on one thread.

mod peak;
mod rows;

use std::hint::black_box;
use std::time::{Duration, Instant};

use solder_ai::kernels::{Epilogue, Kernel, Matrix, MatrixMut, Out, Packed, Path, Scratch, product};

/// What a measurement may fail with.
type Failure = Box<dyn std::error::Error>;

/// The shapes of MiniLM (tokens by output by input), of its heads, of a multi-layer perceptron and of a small convolution.
const SHAPES: &[(usize, usize, usize)] = &[
    (1, 384, 384),
    (1, 1536, 384),
    (16, 384, 384),
    (16, 1536, 384),
    (16, 384, 1536),
    (128, 384, 384),
    (128, 1536, 384),
    (128, 384, 1536),
    (2048, 384, 384),
    (2048, 1536, 384),
    (2048, 384, 1536),
    (128, 128, 32),
    (128, 32, 128),
    (32, 32, 32),
    (1, 10, 64),
    (64, 64, 64),
    (64, 10, 64),
    (784, 32, 288),
];

fn main() -> Result<(), Failure> {
    let (mut shapes, mut kernels, mut limit, mut rows) =
        (Vec::new(), Kernel::available(), Duration::from_millis(100), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--kernel" => {
                let name = arguments.next().ok_or("--kernel needs a name")?;
                kernels = vec![Kernel::forced(Path::parse(&name)?)?];
            }
            "--milliseconds" => {
                let text = arguments.next().ok_or("--milliseconds needs a number")?;
                limit = Duration::from_millis(text.parse()?);
            }
            "--rows" => rows = true,
            shape => {
                let sizes: Vec<usize> = shape.split('x').map(str::parse).collect::<Result<_, _>>()?;
                let &[m, n, k] = sizes.as_slice() else { return Err(format!("{shape} is not MxNxK").into()) };
                shapes.push((m, n, k));
            }
        }
    }
    let shapes = if shapes.is_empty() { SHAPES } else { &shapes };
    for &kernel in &kernels {
        let name = kernel.path().name();
        if rows {
            for (what, nanoseconds) in rows::measure_all(kernel, limit)? {
                println!("{{\"kernel\":\"{name}\",\"what\":\"{what}\",\"nanoseconds\":{nanoseconds:.0}}}");
            }
            continue;
        }
        let mut peak = 0f64;
        for &(m, n, k) in shapes {
            peak = peak.max(peak::gmacs(kernel, Duration::from_millis(5)));
            let nanoseconds = measure_product(kernel, (m, n, k), limit)?;
            let gmacs = (m * n * k) as f64 / nanoseconds;
            let share = if peak > 0.0 { format!("{:.3}", gmacs / peak) } else { "null".to_owned() };
            println!(
                "{{\"kernel\":\"{name}\",\"m\":{m},\"n\":{n},\"k\":{k},\"nanoseconds\":{nanoseconds:.0},\
                 \"gmacs\":{gmacs:.1},\"peak\":{peak:.0},\"share\":{share}}}"
            );
        }
    }
    Ok(())
}

/// The least time of one call in nanoseconds; short ones are timed many at once.
fn least(limit: Duration, mut call: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    let once = Instant::now();
    call()?;
    let repeats = (20_000 / once.elapsed().as_nanos().max(1)).clamp(1, 1000);
    let mut best = f64::INFINITY;
    let begin = Instant::now();
    while begin.elapsed() < limit {
        let start = Instant::now();
        for _ in 0..repeats {
            call()?;
        }
        best = best.min(start.elapsed().as_nanos() as f64 / repeats as f64);
    }
    Ok(best)
}

/// Values without a pattern that a predictor would learn.
fn values(length: usize) -> Vec<i8> {
    (0..length as u64).map(|index| (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as i8).collect()
}

fn measure_product(
    kernel: Kernel,
    (m, n, k): (usize, usize, usize),
    limit: Duration,
) -> Result<f64, Failure> {
    let (left, right, mut out) = (values(m * k), values(n * k), vec![0i32; m * n]);
    let packed = Packed::rows(kernel, Matrix::dense(&right, n, k)?)?;
    let mut scratch = Scratch::new(kernel, k)?;
    least(limit, || {
        let view = Out::Int32(MatrixMut::dense(&mut out, m, n)?);
        let left = Matrix::dense(black_box(&left), m, k)?;
        product(left, &packed, &Epilogue::SUMS, &[], view, &mut scratch)?;
        black_box(&out);
        Ok(())
    })
}
