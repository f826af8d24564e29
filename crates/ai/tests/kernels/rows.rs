//! Requantisation of rows and layer norm against the formulas of the specification in 128 bits.

use solder_ai::kernels::{
    In, Kernel, KernelError, LayerNorm, LayerNormAttributes, Matrix, MatrixMut, Out, requantise_rows,
};

use crate::random::{Random, cases, kernels};

fn bits(n: i128) -> u32 {
    128 - n.leading_zeros()
}

fn round_shift(value: i128, shift: u32) -> i128 {
    (value + (1 << (shift - 1))).div_euclid(1 << shift)
}

fn isqrt(n: i128) -> i128 {
    let (mut low, mut high) = (0i128, 1i128 << 62);
    while low < high {
        let middle = (low + high + 1) / 2;
        if middle * middle <= n { low = middle } else { high = middle - 1 }
    }
    low
}

/// Values of a type, of a magnitude that a case draws once per row.
fn values(random: &mut Random, m: usize, n: usize, most: i64) -> Vec<i64> {
    let row = |random: &mut Random| {
        let most = [most, random.within(0, most), random.within(0, most.min(300)), 0][random.size(0, 3)];
        (0..n).map(|_| [most, -most, 0, random.within(-most, most)][random.size(0, 3)]).collect::<Vec<i64>>()
    };
    (0..m).flat_map(|_| row(random)).collect()
}

/// The same values as a view of the type with that many bits.
fn view<R>(bits: usize, values: &[i64], m: usize, n: usize, run: impl FnOnce(In<'_>) -> R) -> R {
    let bytes: Vec<i8> = values.iter().map(|&value| value as i8).collect();
    let words: Vec<i16> = values.iter().map(|&value| value as i16).collect();
    let longs: Vec<i32> = values.iter().map(|&value| value as i32).collect();
    run(match bits {
        8 => In::Int8(Matrix::dense(&bytes, m, n).unwrap()),
        16 => In::Int16(Matrix::dense(&words, m, n).unwrap()),
        _ => In::Int32(Matrix::dense(&longs, m, n).unwrap()),
    })
}

#[test]
fn requantised_rows_equal_the_formula() {
    let (seed, count) = cases(500);
    for case in seed..seed + count {
        let random = &mut Random::new(case ^ 0x4e0_0000);
        let (m, n, width) = (random.size(1, 4), random.size(1, 200), [8, 16, 32][random.size(0, 2)]);
        let values = values(random, m, n, (1 << (width - 1)) - 1);
        let scale_shift = random.size(0, 24) as u32;
        let (mut expected, mut expected_scales) = (Vec::new(), Vec::new());
        for row in values.chunks(n) {
            let largest = i128::from(row.iter().map(|x| x.abs()).max().unwrap());
            let scale = (largest + (1 << scale_shift) - 1) >> scale_shift;
            let most = scale << scale_shift;
            let b = bits(most);
            let quotient = if most == 0 { 0 } else { (127i128 << (b + 23)) / most };
            let value = |&x: &i64| if most == 0 { 0 } else { round_shift(i128::from(x) * quotient, b + 23) };
            expected.extend(row.iter().map(value));
            expected_scales.push(scale);
        }
        for kernel in kernels() {
            let (mut rows, mut scales) = (vec![99i8; m * n], vec![99; m]);
            let out = MatrixMut::dense(&mut rows, m, n).unwrap();
            view(width, &values, m, n, |x| requantise_rows(kernel, x, scale_shift, out, &mut scales))
                .unwrap();
            assert!(
                rows.iter().copied().map(i128::from).eq(expected.iter().copied()),
                "{kernel:?}, seed {case}"
            );
            assert!(
                scales.iter().copied().map(i128::from).eq(expected_scales.iter().copied()),
                "seed {case}"
            );
        }
    }
}

/// A layer norm within the specification's bounds.
struct Norm {
    gain: Vec<i32>,
    bias: Vec<i32>,
    attributes: [i64; 6],
}

impl Norm {
    fn draw(random: &mut Random, n: usize) -> (Norm, i64) {
        let gain_most = 1i64 << random.size(0, 31);
        let gain = (0..n).map(|_| random.within(-gain_most, gain_most - 1) as i32).collect();
        let bias_shift = random.size(0, 31) as i64;
        let bias_most = (1i64 << random.size(0, 31)).min((1 << 61) >> bias_shift);
        let bias = (0..n).map(|_| random.within(-bias_most, bias_most - 1) as i32).collect();
        let room = 30 - (n.isqrt() + 1).next_power_of_two().ilog2() as i64;
        let fraction_bits = random.within(1, (room - 1).min(20));
        let shift = random.within(1, 62);
        let epsilon = 1i64 << random.size(0, 60);
        let ends = [random.within(-40_000, 40_000), random.within(-40_000, 40_000)];
        let attributes =
            [epsilon, fraction_bits, bias_shift, shift, ends[0].min(ends[1]), ends[0].max(ends[1])];
        (Norm { gain, bias, attributes }, ((1 << 31) - 1) / (2 * n as i64))
    }

    fn layer(&self) -> LayerNorm {
        let [epsilon, fraction_bits, bias_shift, shift, minimum, maximum] = self.attributes;
        LayerNorm::new(&LayerNormAttributes {
            gain: &self.gain,
            bias: &self.bias,
            epsilon,
            fraction_bits: fraction_bits as u32,
            bias_shift: bias_shift as u32,
            shift: shift as u32,
            minimum: minimum as i32,
            maximum: maximum as i32,
        })
        .unwrap()
    }

    fn row(&self, x: &[i64]) -> Vec<i128> {
        let [epsilon, fraction_bits, bias_shift, shift, minimum, maximum] = self.attributes.map(i128::from);
        let width = x.len() as i128;
        let sum: i128 = x.iter().map(|&x| i128::from(x)).sum();
        let squares: i128 = x.iter().map(|&x| i128::from(x) * i128::from(x)).sum();
        let root = isqrt(width * squares - sum * sum + epsilon);
        let reciprocal = (1i128 << (bits(root) + 29)) / root;
        let value = |(column, &x): (usize, &i64)| {
            let deviation = width * i128::from(x) - sum;
            let n = round_shift(deviation * reciprocal, bits(root) + 29 - fraction_bits as u32);
            let bias = i128::from(self.bias[column]) << bias_shift;
            round_shift(n * i128::from(self.gain[column]) + bias, shift as u32).clamp(minimum, maximum)
        };
        x.iter().enumerate().map(value).collect()
    }
}

#[test]
fn layer_norms_equal_the_formula() {
    let (seed, count) = cases(500);
    for case in seed..seed + count {
        let random = &mut Random::new(case ^ 0x1a7e_0000);
        let (m, n, width) = (random.size(1, 4), random.size(1, 400), [8, 16, 32][random.size(0, 2)]);
        let (norm, most) = Norm::draw(random, n);
        let values = values(random, m, n, most.min((1 << (width - 1)) - 1));
        let expected: Vec<i128> = values.chunks(n).flat_map(|row| norm.row(row)).collect();
        let layer = norm.layer();
        for kernel in kernels() {
            let mut out = vec![99i32; m * n];
            let view_out = Out::Int32(MatrixMut::dense(&mut out, m, n).unwrap());
            view(width, &values, m, n, |x| layer.run(kernel, x, view_out)).unwrap();
            assert!(
                out.iter().copied().map(i128::from).eq(expected.iter().copied()),
                "{kernel:?}, seed {case}"
            );
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let kernel = Kernel::best();
    let x = In::Int16(Matrix::dense(&[1; 6], 2, 3).unwrap());
    let run = |rows, columns, scales, shift| {
        let mut out = [0; 6];
        let out = MatrixMut::dense(&mut out, rows, columns).unwrap();
        requantise_rows(kernel, x, shift, out, &mut vec![0; scales])
    };
    assert_eq!(run(2, 3, 2, 24), Ok(()));
    assert!(matches!(run(2, 3, 2, 25), Err(KernelError::Parameter { what: "scale_shift", .. })));
    for (rows, columns, scales) in [(1, 3, 2), (2, 2, 2), (2, 3, 1)] {
        assert!(matches!(run(rows, columns, scales, 0), Err(KernelError::Shape { .. })));
    }
    let fits = LayerNormAttributes {
        gain: &[1; 3],
        bias: &[1; 3],
        epsilon: 1,
        fraction_bits: 10,
        bias_shift: 0,
        shift: 3,
        minimum: -128,
        maximum: 127,
    };
    let mut out = [0i8; 6];
    let layer = LayerNorm::new(&fits).unwrap();
    assert_eq!(layer.run(kernel, x, Out::Int8(MatrixMut::dense(&mut out, 2, 3).unwrap())), Ok(()));
    assert!(layer.run(kernel, x, Out::Int8(MatrixMut::dense(&mut out, 3, 2).unwrap())).is_err());
    let wide = LayerNorm::new(&LayerNormAttributes { maximum: 128, ..fits }).unwrap();
    assert!(wide.run(kernel, x, Out::Int8(MatrixMut::dense(&mut out, 2, 3).unwrap())).is_err());
    assert!(LayerNorm::new(&LayerNormAttributes { bias: &[1; 2], ..fits }).is_err());
    assert!(LayerNorm::new(&LayerNormAttributes { epsilon: 0, ..fits }).is_err());
    assert!(LayerNorm::new(&LayerNormAttributes { fraction_bits: 21, ..fits }).is_err());
    assert!(LayerNorm::new(&LayerNormAttributes { gain: &[], bias: &[], ..fits }).is_err());
}
