//! Convolution against a loop over pixels, channels and taps.

use solder_ai::kernels::{
    Convolution, ConvolutionAttributes, ConvolutionScratch, Epilogue, Kernel, KernelError, MatrixMut, Out,
    Rescale,
};

use crate::random::{Random, cases, kernels};

struct Drawn {
    attributes: ConvolutionAttributes,
    image: Vec<i8>,
    weights: Vec<i8>,
    bias: Vec<i32>,
}

impl Drawn {
    fn new(random: &mut Random) -> Drawn {
        let groups = [1, 1, random.size(2, 4)][random.size(0, 2)];
        let own = [1, random.size(1, 5), random.size(1, 20)][random.size(0, 2)];
        let channels = groups * [1, random.size(1, 5), random.size(1, 30)][random.size(0, 2)];
        let pointwise = random.next().is_multiple_of(4);
        let mut side = || if pointwise { 1 } else { random.size(1, 4) };
        let window = [side(), side()];
        let mut pair =
            |most: usize| if pointwise { [1, 1] } else { [random.size(1, most), random.size(1, most)] };
        let (stride, dilation) = (pair(3), pair(2));
        let padding = if pointwise { [0; 4] } else { [0; 4].map(|_| random.size(0, 3)) };
        let least = |axis: usize| dilation[axis] * (window[axis] - 1) + 1;
        let input = [random.size(least(0), 20), random.size(least(1), 20), groups * own];
        let weight = [channels, window[0], window[1], own];
        let padding_value = [0, random.next() as i8][random.size(0, 1)];
        Drawn {
            attributes: ConvolutionAttributes {
                input,
                weight,
                stride,
                padding,
                dilation,
                groups,
                padding_value,
            },
            image: random.int8s(input.iter().product()),
            weights: random.int8s(weight.iter().product()),
            bias: (0..channels).map(|_| random.within(-1 << 20, 1 << 20) as i32).collect(),
        }
    }

    /// The padded input's value.
    fn value(&self, y: usize, x: usize, channel: usize) -> i64 {
        let ConvolutionAttributes { input: [height, width, channels], padding, .. } = self.attributes;
        let (y, x) = (y as i64 - padding[0] as i64, x as i64 - padding[1] as i64);
        if (0..height as i64).contains(&y) && (0..width as i64).contains(&x) {
            self.image[(y as usize * width + x as usize) * channels + channel].into()
        } else {
            self.attributes.padding_value.into()
        }
    }

    fn sums(&self) -> Vec<i64> {
        let ConvolutionAttributes { weight: [outputs, rows, columns, own], stride, dilation, groups, .. } =
            self.attributes;
        let ConvolutionAttributes { input, padding, .. } = self.attributes;
        let height = (input[0] + padding[0] + padding[2] - dilation[0] * (rows - 1) - 1) / stride[0] + 1;
        let width = (input[1] + padding[1] + padding[3] - dilation[1] * (columns - 1) - 1) / stride[1] + 1;
        let mut sums = Vec::new();
        for (i, j) in (0..height).flat_map(|i| (0..width).map(move |j| (i, j))) {
            for output in 0..outputs {
                let group = output / (outputs / groups);
                let mut sum = i64::from(self.bias[output]);
                for (tap, &weight) in
                    self.weights[output * rows * columns * own..][..rows * columns * own].iter().enumerate()
                {
                    let (p, q, c) = (tap / own / columns, tap / own % columns, tap % own);
                    let value = self.value(
                        i * stride[0] + p * dilation[0],
                        j * stride[1] + q * dilation[1],
                        group * own + c,
                    );
                    sum += value * i64::from(weight);
                }
                sums.push(sum);
            }
        }
        sums
    }
}

#[test]
fn every_path_equals_the_loop() {
    let (seed, count) = cases(250);
    for case in seed..seed + count {
        let random = &mut Random::new(case ^ 0xc0_0000);
        let drawn = Drawn::new(random);
        let outputs = drawn.attributes.weight[0];
        let multipliers: Vec<i32> =
            (0..outputs).map(|_| random.within(1 << 24, i32::MAX.into()) as i32).collect();
        let rescale = Rescale {
            multipliers: &multipliers,
            bias: &[],
            bias_shift: 0,
            shift: 40,
            zero_point: 0,
            minimum: 0,
            maximum: 127,
            largest: 1 << 31,
            scaled: false,
        };
        let epilogue = Epilogue::rescale(outputs, &rescale).unwrap();
        let sums = drawn.sums();
        let finished = |(at, &sum): (usize, &i64)| {
            let product = i128::from(sum) * i128::from(multipliers[at % outputs]);
            ((product + (1 << 39)).div_euclid(1 << 40)).clamp(0, 127) as i64
        };
        let expected: Vec<i64> = sums.iter().enumerate().map(finished).collect();
        let split = random.size(0, sums.len() / outputs);
        for kernel in kernels() {
            let convolution =
                Convolution::new(kernel, &drawn.attributes, &drawn.weights, Some(&drawn.bias)).unwrap();
            let [height, width] = convolution.output();
            let mut scratch = ConvolutionScratch::new(kernel, &drawn.attributes).unwrap();
            let mut found = vec![99i32; height * width * outputs];
            let view = MatrixMut::dense(&mut found, height * width, outputs).unwrap();
            convolution
                .run(&drawn.image, 0..height * width, &Epilogue::SUMS, Out::Int32(view), &mut scratch)
                .unwrap();
            assert!(found.iter().copied().map(i64::from).eq(sums.iter().copied()), "{kernel:?}, seed {case}");
            let mut found = vec![99i8; height * width * outputs];
            for pixels in [0..split, split..height * width] {
                let part = &mut found[pixels.start * outputs..pixels.end * outputs];
                let view = Out::Int8(MatrixMut::dense(part, pixels.len(), outputs).unwrap());
                convolution.run(&drawn.image, pixels, &epilogue, view, &mut scratch).unwrap();
            }
            assert!(
                found.iter().copied().map(i64::from).eq(expected.iter().copied()),
                "{kernel:?}, seed {case}"
            );
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let fits = ConvolutionAttributes {
        input: [5, 5, 4],
        weight: [6, 3, 3, 2],
        stride: [1, 1],
        padding: [0; 4],
        dilation: [1, 1],
        groups: 2,
        padding_value: 0,
    };
    let new = |attributes: ConvolutionAttributes| {
        Convolution::new(Kernel::best(), &attributes, &[1; 108], None).map(|convolution| convolution.output())
    };
    assert_eq!(new(fits), Ok([3, 3]));
    for refused in [
        ConvolutionAttributes { stride: [0, 1], ..fits },
        ConvolutionAttributes { dilation: [1, 65], ..fits },
        ConvolutionAttributes { dilation: [3, 1], ..fits },
        ConvolutionAttributes { padding: [65, 0, 0, 0], ..fits },
        ConvolutionAttributes { groups: 0, ..fits },
        ConvolutionAttributes { groups: 4, ..fits },
        ConvolutionAttributes { weight: [5, 3, 3, 2], ..fits },
        ConvolutionAttributes { weight: [6, 3, 2, 2], ..fits },
        ConvolutionAttributes { weight: [6, 0, 3, 2], ..fits },
        ConvolutionAttributes { input: [2, 5, 4], ..fits },
        ConvolutionAttributes { input: [1 << 25, 5, 4], ..fits },
    ] {
        assert!(new(refused).is_err(), "{refused:?}");
    }
    let convolution = Convolution::new(Kernel::best(), &fits, &[1; 108], None).unwrap();
    let mut scratch = ConvolutionScratch::new(Kernel::best(), &fits).unwrap();
    let mut run = |image: &[i8], pixels: std::ops::Range<usize>, rows, columns| {
        let mut out = [0; 54];
        let out = Out::Int32(MatrixMut::dense(&mut out, rows, columns).unwrap());
        convolution.run(image, pixels, &Epilogue::SUMS, out, &mut scratch)
    };
    assert_eq!(run(&[1; 100], 0..9, 9, 6), Ok(()));
    let shape = |result| matches!(result, Err(KernelError::Shape { .. }));
    assert!(shape(run(&[1; 99], 0..9, 9, 6)));
    assert!(shape(run(&[1; 100], 1..10, 9, 6)));
    assert!(shape(run(&[1; 100], 0..8, 9, 6)));
    assert!(shape(run(&[1; 100], 0..9, 9, 5)));
}
