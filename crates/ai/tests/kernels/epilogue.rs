//! Epilogues, after a product and alone, against the formula in 128 bits.

use solder_ai::kernels::{
    Epilogue, In, Kernel, KernelError, Matrix, MatrixMut, Out, Packed, Rescale, Scratch, Table, finish,
    product, product_panels,
};

use crate::product::Case;
use crate::random::{Random, cases, kernels};

/// A rescaling whose sums stay within int64, its clamp, and the scales of rows.
struct Drawn {
    bits: u32,
    multipliers: Vec<i32>,
    bias: Vec<i32>,
    bias_shift: u32,
    shift: u32,
    zero_point: i32,
    ends: (i64, i64),
    scaled: bool,
    scales: Vec<i32>,
    largest: i64,
    offset: i64,
    table: Option<Vec<i32>>,
}

impl Drawn {
    fn new(random: &mut Random, m: usize, n: usize, largest: i64) -> Drawn {
        let bits = [8, 16, 32][random.size(0, 2)];
        let (lowest, highest) = (-1i64 << (bits - 1), (1i64 << (bits - 1)) - 1);
        let scaled = random.next().is_multiple_of(2);
        let many = if random.next().is_multiple_of(3) { 1 } else { n };
        let most = 1i64 << random.size(0, 31);
        let scale_most = if scaled { 1i64 << random.size(0, 31) } else { 1 };
        let multiplier_most = (most - 1).min((1 << 31) / scale_most - 1).max(0);
        let one =
            |random: &mut Random, most: i64| [0, most, random.within(0, most)][random.size(0, 2)] as i32;
        let multipliers = (0..many).map(|_| one(random, multiplier_most)).collect();
        let scales = (0..if scaled { m } else { 0 }).map(|_| one(random, scale_most - 1)).collect();
        let with_bias = random.next().is_multiple_of(2);
        let (bias_shift, shift) = (random.size(0, 31) as u32, random.size(1, 62) as u32);
        // |x * f| < 2^62 at most; the rounding takes 2^61, the bias what is left.
        let bias_most = (1i64 << 60) >> bias_shift;
        let bias = (0..if with_bias { n } else { 0 })
            .map(|_| random.within((-bias_most).max(i32::MIN.into()), bias_most.min(i32::MAX.into())) as i32)
            .collect();
        let whole = random.next().is_multiple_of(2);
        let (x, y) = (random.within(lowest, highest), random.within(lowest, highest));
        let mut ends = if whole { (lowest, highest) } else { (x.min(y), x.max(y)) };
        let mut drawn_table = None;
        if random.next().is_multiple_of(3) {
            ends = (ends.0, ends.1.min(ends.0 + 5000));
            let length = (ends.1 - ends.0) as usize + random.size(1, 4);
            drawn_table = Some((0..length).map(|_| random.within(lowest, highest) as i32).collect());
        }
        let zero_point = [0, random.within(-300, 300), random.within(i32::MIN.into(), i32::MAX.into())];
        Drawn {
            bits,
            multipliers,
            bias,
            bias_shift,
            shift,
            zero_point: zero_point[random.size(0, 2)] as i32,
            ends,
            scaled,
            scales,
            largest,
            offset: ends.0,
            table: drawn_table,
        }
    }

    fn epilogue(&self, columns: usize) -> Epilogue {
        let rescale = Rescale {
            multipliers: &self.multipliers,
            bias: &self.bias,
            bias_shift: self.bias_shift,
            shift: self.shift,
            zero_point: self.zero_point,
            minimum: self.ends.0 as i32,
            maximum: self.ends.1 as i32,
            largest: self.largest,
            scaled: self.scaled,
        };
        let epilogue = Epilogue::rescale(columns, &rescale).unwrap();
        let Some(table) = &self.table else { return epilogue };
        let table = match self.bits {
            8 => Table::Int8(table.iter().map(|&entry| entry as i8).collect()),
            16 => Table::Int16(table.iter().map(|&entry| entry as i16).collect()),
            _ => Table::Int32(table.clone()),
        };
        epilogue.then_lookup(table, self.offset as i32).unwrap()
    }

    /// The formula of the specification, with a division instead of a shift.
    fn value(&self, x: i64, row: usize, column: usize) -> i64 {
        let multiplier = i128::from(self.multipliers[column.min(self.multipliers.len() - 1)]);
        let factor = if self.scaled { i128::from(self.scales[row]) * multiplier } else { multiplier };
        let bias = self.bias.get(column).map_or(0, |&bias| i128::from(bias) << self.bias_shift);
        let unit = 1i128 << self.shift;
        let doubled = 2 * (i128::from(x) * factor + bias) + unit;
        let y = i128::from(self.zero_point) + doubled.div_euclid(2 * unit);
        let y = y.clamp(self.ends.0.into(), self.ends.1.into()) as i64;
        self.table.as_ref().map_or(y, |table| table[(y - self.offset) as usize].into())
    }
}

/// Runs with an output of the drawn type; the values widened.
fn stored(bits: u32, m: usize, n: usize, run: impl FnOnce(Out<'_>)) -> Vec<i64> {
    let (mut bytes, mut words, mut longs) = (vec![99i8; m * n], vec![99i16; m * n], vec![99i32; m * n]);
    match bits {
        8 => run(Out::Int8(MatrixMut::dense(&mut bytes, m, n).unwrap())),
        16 => run(Out::Int16(MatrixMut::dense(&mut words, m, n).unwrap())),
        _ => run(Out::Int32(MatrixMut::dense(&mut longs, m, n).unwrap())),
    }
    match bits {
        8 => bytes.into_iter().map(i64::from).collect(),
        16 => words.into_iter().map(i64::from).collect(),
        _ => longs.into_iter().map(i64::from).collect(),
    }
}

#[test]
fn after_a_product_it_equals_the_formula() {
    let (seed, count) = cases(600);
    for case in seed..seed + count {
        let random = &mut Random::new(case ^ 0xe911_0000);
        let shape = Case::draw(random);
        let sums = shape.sums();
        let largest = sums.iter().map(|sum| sum.abs()).max().unwrap();
        let drawn = Drawn::new(random, shape.m, shape.n, largest.max(1));
        let epilogue = drawn.epilogue(shape.n);
        let value = |(at, &sum)| drawn.value(sum, at / shape.n, at % shape.n);
        let expected: Vec<i64> = sums.iter().enumerate().map(value).collect();
        for kernel in kernels() {
            let packed = Packed::rows(kernel, shape.right()).unwrap();
            let mut scratch = Scratch::new(kernel, shape.k).unwrap();
            let found = stored(drawn.bits, shape.m, shape.n, |out| {
                product(shape.left(), &packed, &epilogue, &drawn.scales, out, &mut scratch).unwrap();
            });
            assert!(found == expected, "{kernel:?}, seed {case}");
        }
    }
}

#[test]
fn alone_it_equals_the_formula() {
    let (seed, count) = cases(600);
    for case in seed..seed + count {
        let random = &mut Random::new(case ^ 0xa10e_0000);
        let (m, n) = (random.size(1, 5), random.size(1, 200));
        let bits = [8, 16, 32][random.size(0, 2)];
        let ends = (-1i64 << (bits - 1), (1i64 << (bits - 1)) - 1);
        let near = |random: &mut Random| [ends.0, ends.1, random.within(ends.0, ends.1)][random.size(0, 2)];
        let values: Vec<i64> = (0..m * n).map(|_| near(random)).collect();
        let drawn = Drawn::new(random, m, n, 1 << (bits - 1));
        let epilogue = drawn.epilogue(n);
        let value = |(at, &x)| drawn.value(x, at / n, at % n);
        let expected: Vec<i64> = values.iter().enumerate().map(value).collect();
        let bytes: Vec<i8> = values.iter().map(|&value| value as i8).collect();
        let words: Vec<i16> = values.iter().map(|&value| value as i16).collect();
        let longs: Vec<i32> = values.iter().map(|&value| value as i32).collect();
        for kernel in kernels() {
            let x = match bits {
                8 => In::Int8(Matrix::dense(&bytes, m, n).unwrap()),
                16 => In::Int16(Matrix::dense(&words, m, n).unwrap()),
                _ => In::Int32(Matrix::dense(&longs, m, n).unwrap()),
            };
            let found =
                stored(drawn.bits, m, n, |out| finish(kernel, x, &epilogue, &drawn.scales, out).unwrap());
            assert!(found == expected, "{kernel:?}, seed {case}");
        }
    }
}

#[test]
fn panels_one_by_one_and_rows_one_by_one_give_the_same() {
    let random = &mut Random::new(3);
    let (m, n, k) = (9, 150, 37);
    let (left, right) = (random.int8s(m * k), random.int8s(n * k));
    let (left, right) = (Matrix::dense(&left, m, k).unwrap(), Matrix::dense(&right, n, k).unwrap());
    let bias: Vec<i32> = (0..n as i32).map(|column| column * 1000 - 70_000).collect();
    let rescale = Rescale {
        multipliers: &vec![3 << 20; n],
        bias: &bias,
        bias_shift: 28,
        shift: 33,
        zero_point: 0,
        minimum: -30_000,
        maximum: 30_000,
        largest: 1 << 31,
        scaled: true,
    };
    let epilogue = Epilogue::rescale(n, &rescale).unwrap();
    let scales: Vec<i32> = (1..=m as i32).collect();
    for kernel in kernels() {
        let packed = Packed::rows(kernel, right).unwrap().with_bias(&bias).unwrap();
        let mut scratch = Scratch::new(kernel, k).unwrap();
        let whole =
            stored(16, m, n, |out| product(left, &packed, &epilogue, &scales, out, &mut scratch).unwrap());
        let mut parts = vec![0i16; m * n];
        for row in 0..m {
            for panel in 0..packed.panels() {
                let columns = packed.panel_columns(panel..panel + 1);
                let out = &mut parts[row * n + columns.start..row * n + columns.end];
                let out = Out::Int16(MatrixMut::dense(out, 1, columns.len()).unwrap());
                let a = left.part(row..row + 1, 0..k).unwrap();
                product_panels(
                    a,
                    &packed,
                    panel..panel + 1,
                    &epilogue,
                    &scales[row..=row],
                    out,
                    &mut scratch,
                )
                .unwrap();
            }
        }
        assert!(whole.iter().any(|&value| value.abs() > 1000 && value.abs() < 30_000));
        assert!(whole.iter().copied().eq(parts.into_iter().map(i64::from)), "{kernel:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let kernel = Kernel::best();
    let fits = Epilogue::clamp(-128, 127);
    let x = [1i32; 6];
    let run = |epilogue: &Epilogue, scales: &[i32], rows, columns| {
        let mut out = [0i8; 6];
        let x = In::Int32(Matrix::dense(&x, 2, 3).unwrap());
        finish(kernel, x, epilogue, scales, Out::Int8(MatrixMut::dense(&mut out, rows, columns).unwrap()))
    };
    let shape = |result| matches!(result, Err(KernelError::Shape { .. }));
    assert_eq!(run(&fits, &[], 2, 3), Ok(()));
    assert!(matches!(
        run(&Epilogue::SUMS, &[], 2, 3),
        Err(KernelError::Parameter { what: "clamp's minimum", .. })
    ));
    assert!(shape(run(&fits, &[1, 1], 2, 3)));
    assert!(shape(run(&fits, &[], 1, 3)));
    assert!(shape(run(&fits, &[], 2, 2)));
    assert!(shape(run(&fits.clone().then_lookup(Table::Int16(vec![0; 256]), -128).unwrap(), &[], 2, 3)));
    for (length, offset) in [(255, -128), (256, -127), (0, 0)] {
        let refused = fits.clone().then_lookup(Table::Int8(vec![0; length]), offset);
        assert!(matches!(refused, Err(KernelError::Parameter { .. })));
    }
    let rescale = Rescale {
        multipliers: &[1, 2, 3],
        bias: &[],
        bias_shift: 0,
        shift: 5,
        zero_point: 0,
        minimum: -128,
        maximum: 127,
        largest: 1 << 31,
        scaled: true,
    };
    let scaled = Epilogue::rescale(3, &rescale).unwrap();
    assert_eq!(run(&scaled, &[1, 2], 2, 3), Ok(()));
    assert!(shape(run(&scaled, &[], 2, 3)));
    assert!(Epilogue::rescale(4, &rescale).is_err());
    assert!(Epilogue::rescale(3, &Rescale { bias: &[1], ..rescale }).is_err());
    assert!(Epilogue::rescale(3, &Rescale { shift: 0, ..rescale }).is_err());
    assert!(Epilogue::rescale(3, &Rescale { shift: 63, ..rescale }).is_err());
    assert!(Epilogue::rescale(3, &Rescale { bias_shift: 32, ..rescale }).is_err());
    assert!(Epilogue::rescale(3, &Rescale { minimum: 128, ..rescale }).is_err());
}
