//! Attention against the formula of the specification, head by head and key by key.

use solder_ai::kernels::{
    Attention, AttentionAttributes, AttentionInputs, AttentionScratch, Kernel, KernelError, Matrix,
    MatrixMut, Out,
};

use crate::random::{Random, cases, kernels};

struct Drawn {
    heads: usize,
    depth: usize,
    width: usize,
    queries: usize,
    keys: usize,
    causal: bool,
    multiplier: i32,
    shift: u32,
    fraction_bits: u32,
    table: Vec<i8>,
    seen: Option<Vec<bool>>,
    query: Vec<i8>,
    key: Vec<i8>,
    value: Vec<i8>,
}

impl Drawn {
    fn new(random: &mut Random) -> Drawn {
        let (heads, depth, width) = (random.size(1, 3), random.size(1, 40), random.size(1, 40));
        let large = random.next().is_multiple_of(6);
        let most = if large { 150 } else { 40 };
        let (queries, keys) = (random.size(1, most), random.size(1, most));
        let first = random.within(1, 127);
        let length = [1, random.size(1, 100), random.size(1, 3000)][random.size(0, 2)];
        let falling = |at: usize| (first as f64 * (-5.0 * at as f64 / length as f64).exp()).round() as i8;
        let table = (0..length).map(falling).collect();
        let seen = match random.size(0, 3) {
            0 => None,
            1 => Some((0..keys).map(|_| random.next().is_multiple_of(2)).collect()),
            2 => Some((0..keys).map(|key| key < keys / 2).collect()),
            _ => Some(vec![false; keys]),
        };
        let magnitude = random.size(1, 31);
        let random_multiplier = random.within(0, (1 << magnitude) - 1) as i32;
        Drawn {
            heads,
            depth,
            width,
            queries,
            keys,
            causal: random.next().is_multiple_of(2),
            multiplier: [0, i32::MAX, random_multiplier][random.size(0, 2)],
            shift: random.size(1, 62) as u32,
            fraction_bits: random.size(0, 16) as u32,
            table,
            seen,
            query: random.int8s(queries * heads * depth),
            key: random.int8s(keys * heads * depth),
            value: random.int8s(keys * heads * width),
        }
    }

    fn attention(&self) -> Attention {
        Attention::new(&AttentionAttributes {
            heads: self.heads,
            causal: self.causal,
            multiplier: self.multiplier,
            shift: self.shift,
            fraction_bits: self.fraction_bits,
            table: &self.table,
            largest: 2 * self.depth as i64 * 128 * 128,
        })
        .unwrap()
    }

    fn inputs(&self) -> AttentionInputs<'_> {
        let (depth, width) = (self.heads * self.depth, self.heads * self.width);
        AttentionInputs {
            query: Matrix::dense(&self.query, self.queries, depth).unwrap(),
            key: Matrix::dense(&self.key, self.keys, depth).unwrap(),
            value: Matrix::dense(&self.value, self.keys, width).unwrap(),
            seen: self.seen.as_deref(),
        }
    }

    /// One row of one head, as the specification says it.
    fn row(&self, query: usize, head: usize) -> Vec<i128> {
        let round_shift = |value: i128, shift: u32| (value + (1 << (shift - 1))).div_euclid(1i128 << shift);
        let inputs = self.inputs();
        let columns = head * self.depth..(head + 1) * self.depth;
        let q = &inputs.query.row(query)[columns.clone()];
        let score = |key: usize| -> i128 {
            q.iter()
                .zip(&inputs.key.row(key)[columns.clone()])
                .map(|(&x, &y)| i128::from(x) * i128::from(y))
                .sum()
        };
        let visible = |key: usize| {
            self.seen.as_ref().is_none_or(|seen| seen[key])
                && (!self.causal || key as i64 <= query as i64 + self.keys as i64 - self.queries as i64)
        };
        let Some(top) = (0..self.keys).filter(|&key| visible(key)).map(score).max() else {
            return vec![0; self.width];
        };
        let weight = |key: usize| -> i128 {
            let index = round_shift((top - score(key)) * i128::from(self.multiplier), self.shift);
            if visible(key) { self.table[index.min(self.table.len() as i128 - 1) as usize].into() } else { 0 }
        };
        let weights: Vec<i128> = (0..self.keys).map(weight).collect();
        let total: i128 = weights.iter().sum();
        let bits = 128 - total.leading_zeros();
        let reciprocal = (1i128 << (bits + 29)) / total;
        let column = |column: usize| {
            let value = |key: usize| i128::from(inputs.value.row(key)[head * self.width + column]);
            let sum: i128 = weights.iter().enumerate().map(|(key, weight)| weight * value(key)).sum();
            round_shift(sum * reciprocal, bits + 29 - self.fraction_bits)
        };
        (0..self.width).map(column).collect()
    }

    fn expected(&self) -> Vec<i128> {
        (0..self.queries)
            .flat_map(|query| (0..self.heads).flat_map(move |head| self.row(query, head)))
            .collect()
    }

    fn found(&self, kernel: Kernel, keys_of_scratch: usize) -> Vec<i128> {
        let columns = self.heads * self.width;
        let mut out = vec![99i32; self.queries * columns];
        let mut narrow = vec![99i16; self.queries * columns];
        let mut scratch = AttentionScratch::new(kernel, keys_of_scratch, self.depth, self.width).unwrap();
        let view = MatrixMut::dense(&mut out, self.queries, columns).unwrap();
        self.attention().run(&self.inputs(), Out::Int32(view), &mut scratch).unwrap();
        if self.fraction_bits <= 8 {
            let view = MatrixMut::dense(&mut narrow, self.queries, columns).unwrap();
            self.attention().run(&self.inputs(), Out::Int16(view), &mut scratch).unwrap();
            assert!(narrow.iter().copied().map(i32::from).eq(out.iter().copied()));
        }
        out.into_iter().map(i128::from).collect()
    }
}

#[test]
fn every_path_equals_the_formula() {
    let (seed, count) = cases(120);
    for case in seed..seed + count {
        let random = &mut Random::new(case ^ 0xa77e_0000);
        let drawn = Drawn::new(random);
        let expected = drawn.expected();
        let keys = drawn.keys + random.size(0, 1) * random.size(0, 2000);
        for kernel in kernels() {
            assert!(drawn.found(kernel, keys) == expected, "{kernel:?}, seed {case}");
        }
    }
}

#[test]
fn the_last_query_alone_is_the_last_row_of_all() {
    let random = &mut Random::new(5);
    let mut drawn = Drawn::new(random);
    (drawn.heads, drawn.depth, drawn.width, drawn.queries, drawn.keys) = (2, 16, 16, 20, 20);
    (drawn.causal, drawn.seen, drawn.multiplier, drawn.shift) = (true, None, 1 << 20, 30);
    (drawn.query, drawn.key, drawn.value) = (random.int8s(640), random.int8s(640), random.int8s(640));
    for kernel in kernels() {
        let all = drawn.found(kernel, 20);
        let mut last = Drawn {
            query: drawn.query[19 * 32..].to_vec(),
            table: drawn.table.clone(),
            seen: None,
            ..Drawn::new(random)
        };
        (last.heads, last.depth, last.width, last.queries, last.keys) = (2, 16, 16, 1, 20);
        (last.causal, last.multiplier, last.shift) = (true, 1 << 20, 30);
        last.fraction_bits = drawn.fraction_bits;
        (last.key, last.value) = (drawn.key.clone(), drawn.value.clone());
        assert!(last.found(kernel, 20) == all[19 * 32..], "{kernel:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let random = &mut Random::new(9);
    let drawn = Drawn::new(random);
    let columns = drawn.heads * drawn.width;
    let kernel = Kernel::best();
    let mut out = vec![0; drawn.queries * columns];
    let mut run = |inputs: &AttentionInputs<'_>, keys: usize, columns: usize| {
        let mut scratch = AttentionScratch::new(kernel, keys, drawn.depth, drawn.width).unwrap();
        let out = Out::Int32(MatrixMut::dense(&mut out, drawn.queries, columns).unwrap());
        drawn.attention().run(inputs, out, &mut scratch)
    };
    let fits = drawn.inputs();
    assert_eq!(run(&fits, drawn.keys, columns), Ok(()));
    let shape = |result| matches!(result, Err(KernelError::Shape { .. }));
    assert!(shape(run(&fits, drawn.keys, columns - 1)));
    assert!(shape(run(&AttentionInputs { seen: Some(&[]), ..fits }, drawn.keys, columns)));
    assert!(shape(run(
        &AttentionInputs { key: fits.key.part(0..drawn.keys - 1, 0..fits.key.columns()).unwrap(), ..fits },
        drawn.keys,
        columns
    )));
    let attributes = AttentionAttributes {
        heads: 1,
        causal: false,
        multiplier: 1,
        shift: 1,
        fraction_bits: 0,
        table: &[1],
        largest: 1 << 20,
    };
    assert!(Attention::new(&attributes).is_ok());
    for refused in [
        AttentionAttributes { heads: 0, ..attributes },
        AttentionAttributes { multiplier: -1, ..attributes },
        AttentionAttributes { shift: 63, ..attributes },
        AttentionAttributes { fraction_bits: 17, ..attributes },
        AttentionAttributes { table: &[], ..attributes },
        AttentionAttributes { table: &[0, 1], ..attributes },
        AttentionAttributes { table: &[1, -1], ..attributes },
    ] {
        assert!(matches!(Attention::new(&refused), Err(KernelError::Parameter { .. })));
    }
}
