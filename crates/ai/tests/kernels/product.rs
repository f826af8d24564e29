//! The product against a triple loop in int64.

use solder_ai::kernels::{Epilogue, Kernel, Matrix, MatrixMut, Out, Packed, Scratch, product};

use crate::random::{Random, cases, kernels};

/// A product's left side m x k and right side n x k, with gaps between rows.
pub struct Case {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    left: Vec<i8>,
    left_stride: usize,
    right: Vec<i8>,
    right_stride: usize,
}

impl Case {
    pub fn draw(random: &mut Random) -> Case {
        let large = random.next().is_multiple_of(8);
        let (m, n, k) = if large {
            (random.size(1, 80), random.size(1, 300), random.size(1, 700))
        } else {
            (random.size(1, 20), random.size(1, 70), random.size(1, 40))
        };
        let (left_stride, right_stride) = (k + random.size(0, 3), k + random.size(0, 3));
        let (left, right) = (random.int8s(m * left_stride), random.int8s(n * right_stride));
        Case { m, n, k, left, left_stride, right, right_stride }
    }

    pub fn left(&self) -> Matrix<'_, i8> {
        Matrix::new(&self.left, self.m, self.k, self.left_stride).unwrap()
    }

    pub fn right(&self) -> Matrix<'_, i8> {
        Matrix::new(&self.right, self.n, self.k, self.right_stride).unwrap()
    }

    fn transposed(&self) -> Vec<i8> {
        (0..self.k).flat_map(|k| (0..self.n).map(move |n| self.right().row(n)[k])).collect()
    }

    pub fn sums(&self) -> Vec<i64> {
        let pairs = (0..self.m).flat_map(|m| (0..self.n).map(move |n| (m, n)));
        let terms = |(m, n)| {
            self.left().row(m).iter().zip(self.right().row(n)).map(|(&x, &y)| i64::from(x) * i64::from(y))
        };
        pairs.map(|pair| terms(pair).sum()).collect()
    }
}

fn sums(kernel: Kernel, left: Matrix<'_, i8>, right: &Packed) -> Vec<i64> {
    let mut out = vec![7; left.rows() * right.n()];
    let mut scratch = Scratch::new(kernel, right.k()).unwrap();
    let view = MatrixMut::dense(&mut out, left.rows(), right.n()).unwrap();
    product(left, right, &Epilogue::SUMS, &[], Out::Int32(view), &mut scratch).unwrap();
    out.into_iter().map(i64::from).collect()
}

#[test]
fn every_path_equals_the_triple_loop() {
    let (seed, count) = cases(400);
    for case in seed..seed + count {
        let drawn = Case::draw(&mut Random::new(case));
        let expected = drawn.sums();
        let transposed = drawn.transposed();
        for kernel in kernels() {
            let rows = Packed::rows(kernel, drawn.right()).unwrap();
            assert!(sums(kernel, drawn.left(), &rows) == expected, "{kernel:?}, rows, seed {case}");
            let view = Matrix::dense(&transposed, drawn.k, drawn.n).unwrap();
            let columns = Packed::columns(kernel, view).unwrap();
            assert!(sums(kernel, drawn.left(), &columns) == expected, "{kernel:?}, columns, seed {case}");
        }
    }
}

#[test]
fn the_most_that_int32_holds_is_exact() {
    // 131,071 products of -128 by -128 are 2^31 - 16,384: the deepest that admission lets two varying operands be.
    let k = 131_071;
    let values = vec![-128i8; k];
    let opposite = vec![127i8; k];
    for kernel in kernels() {
        let lowest = Matrix::dense(&values, 1, k).unwrap();
        let highest = Matrix::dense(&opposite, 1, k).unwrap();
        let packed = Packed::rows(kernel, lowest).unwrap();
        assert_eq!(sums(kernel, lowest, &packed), [131_071 * 16_384], "{kernel:?}");
        assert_eq!(sums(kernel, highest, &packed), [-131_071 * 16_256], "{kernel:?}");
    }
}

#[test]
fn no_depth_is_a_sum_of_nothing() {
    for kernel in kernels() {
        let packed = Packed::rows(kernel, Matrix::<i8>::new(&[], 3, 0, 0).unwrap()).unwrap();
        assert_eq!(sums(kernel, Matrix::new(&[], 2, 0, 0).unwrap(), &packed), [0; 6]);
        let packed = Packed::rows(kernel, Matrix::<i8>::new(&[], 0, 5, 5).unwrap()).unwrap();
        assert_eq!(sums(kernel, Matrix::dense(&[1; 10], 2, 5).unwrap(), &packed), [0; 0]);
    }
}
