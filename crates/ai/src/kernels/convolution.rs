//! Convolution of one image (NHWC) as a product: a bounded block of output pixels is gathered, window by window, and
//! meets the packed weights. A window of one pixel gathers nothing. Formula: `docs/integer-graphs.md`, convolution.

use std::ops::Range;

use super::epilogue::Epilogue;
use super::error::{KernelError, expect, within};
use super::finish::{In, Out, finish};
use super::matrix::{Matrix, MatrixMut};
use super::packed::Packed;
use super::path::Kernel;
use super::product::product;
use super::scratch::Scratch;

/// Bytes of gathered windows, where one window leaves that choice: with the weights they stay in the second-level cache.
const BLOCK_BYTES: usize = 64 << 10;
/// Pixels of a block, at most.
const BLOCK_PIXELS: usize = 192;
/// Pixels for which there is memory whatever the window: a tile's rows.
const BLOCK_PIXELS_LEAST: usize = 12;

/// The attributes of a convolution and the extents of its input, by the names of the specification.
#[derive(Clone, Copy, Debug)]
pub struct ConvolutionAttributes {
    /// H, W, C.
    pub input: [usize; 3],
    /// O, KH, KW, C / groups.
    pub weight: [usize; 4],
    /// Rows, columns; 1..=64.
    pub stride: [usize; 2],
    /// Top, left, bottom, right; 0..=64.
    pub padding: [usize; 4],
    /// Rows, columns; 1..=64.
    pub dilation: [usize; 2],
    /// Divides C and O.
    pub groups: usize,
    /// What stands outside.
    pub padding_value: i8,
}

/// A convolution with packed weights.
#[derive(Debug)]
pub struct Convolution {
    kernel: Kernel,
    attributes: ConvolutionAttributes,
    /// OH, OW.
    output: [usize; 2],
    /// The weights of each group.
    groups: Vec<Packed>,
}

/// The memory of one thread's convolution.
#[derive(Debug)]
pub struct ConvolutionScratch {
    windows: Vec<i8>,
    sums: Vec<i32>,
    own: Scratch,
}

impl Convolution {
    /// Packs the weights `[O, KH, KW, C / groups]` and adds the bias, if there is one.
    ///
    /// # Errors
    /// `Shape` or `Parameter` for what does not fit the formula.
    pub fn new(
        kernel: Kernel,
        attributes: &ConvolutionAttributes,
        weights: &[i8],
        bias: Option<&[i32]>,
    ) -> Result<Convolution, KernelError> {
        let output = output(attributes)?;
        let depth = attributes.depth()?;
        let channels = attributes.weight[0];
        let rows = Matrix::dense(weights, channels, depth)?;
        expect("weights", channels * depth, weights.len())?;
        if let Some(bias) = bias {
            expect("bias", channels, bias.len())?;
        }
        let own = channels / attributes.groups;
        let pack = |group: usize| {
            let range = group * own..(group + 1) * own;
            let packed = Packed::rows(kernel, rows.part(range.clone(), 0..depth)?)?;
            match bias {
                Some(bias) => packed.with_bias(&bias[range]),
                None => Ok(packed),
            }
        };
        let groups = (0..attributes.groups).map(pack).collect::<Result<_, _>>()?;
        Ok(Convolution { kernel, attributes: *attributes, output, groups })
    }

    /// OH and OW.
    pub const fn output(&self) -> [usize; 2] {
        self.output
    }

    /// The bytes of the packed weights.
    ///
    /// # Errors
    /// `TooLarge` if they cannot be addressed.
    pub fn bytes(kernel: Kernel, attributes: &ConvolutionAttributes) -> Result<usize, KernelError> {
        let groups = attributes.groups.max(1);
        Packed::bytes(kernel, attributes.weight[0] / groups, attributes.depth()?)?
            .checked_mul(groups)
            .ok_or(KernelError::TooLarge { what: "packed weights" })
    }

    /// Some of the OH x OW output pixels of the image `[H, W, C]`; `out` has a row for each and a column for each channel.
    ///
    /// # Errors
    /// `Shape` or `Parameter` if the arguments do not fit each other or the scratch memory.
    pub fn run(
        &self,
        image: &[i8],
        pixels: Range<usize>,
        epilogue: &Epilogue,
        mut out: Out<'_>,
        scratch: &mut ConvolutionScratch,
    ) -> Result<(), KernelError> {
        let [height, width, channels] = self.attributes.input;
        expect("values of the image", height * width * channels, image.len())?;
        expect("rows of the output", pixels.len(), out.rows())?;
        expect("columns of the output", self.attributes.weight[0], out.columns())?;
        if pixels.end > self.output[0] * self.output[1] {
            let what = "pixels of the output";
            return Err(KernelError::Shape {
                what,
                expected: self.output[0] * self.output[1],
                found: pixels.end,
            });
        }
        if let ([weights], true) = (self.groups.as_slice(), self.attributes.is_pointwise()) {
            let rows = Matrix::dense(image, height * width, channels)?.part(pixels, 0..channels)?;
            return product(rows, weights, epilogue, &[], out, &mut scratch.own);
        }
        let depth = self.attributes.depth()?;
        let block = (scratch.windows.len() / depth.max(1)).min(BLOCK_PIXELS);
        if block < BLOCK_PIXELS_LEAST || scratch.sums.len() < block * self.attributes.sums() {
            let what = "windows that the scratch memory is for";
            return Err(KernelError::Shape { what, expected: BLOCK_PIXELS_LEAST, found: block });
        }
        let mut first = pixels.start;
        while first < pixels.end {
            let last = (first + block).min(pixels.end);
            let part = out.part(first - pixels.start..last - pixels.start, 0..self.attributes.weight[0])?;
            self.block(image, first..last, epilogue, part, scratch)?;
            first = last;
        }
        Ok(())
    }

    /// The pixels of one block, each group by itself.
    fn block(
        &self,
        image: &[i8],
        pixels: Range<usize>,
        epilogue: &Epilogue,
        out: Out<'_>,
        scratch: &mut ConvolutionScratch,
    ) -> Result<(), KernelError> {
        let ConvolutionScratch { windows, sums, own } = scratch;
        let (depth, count, channels) = (self.attributes.depth()?, pixels.len(), self.attributes.weight[0]);
        if let [weights] = self.groups.as_slice() {
            self.gather(image, pixels, 0, windows);
            return product(Matrix::dense(windows, count, depth)?, weights, epilogue, &[], out, own);
        }
        // The epilogue is that of all channels, so the groups' sums wait for each other.
        let share = channels / self.groups.len();
        for (group, weights) in self.groups.iter().enumerate() {
            self.gather(image, pixels.clone(), group, windows);
            let mut sums = MatrixMut::dense(sums, count, channels)?;
            let sums = sums.part(0..count, group * share..(group + 1) * share)?;
            let windows = Matrix::dense(windows, count, depth)?;
            product(windows, weights, &Epilogue::SUMS, &[], Out::Int32(sums), own)?;
        }
        finish(self.kernel, In::Int32(Matrix::dense(sums, count, channels)?), epilogue, &[], out)
    }

    /// Copies the windows of some pixels, one after the other, each in the order of the weights.
    fn gather(&self, image: &[i8], pixels: Range<usize>, group: usize, windows: &mut [i8]) {
        let ConvolutionAttributes { input, weight, stride, padding, dilation, padding_value, .. } =
            self.attributes;
        let [height, width, channels] = input;
        let [_, window_rows, window_columns, own] = weight;
        let length = window_columns * own;
        for (pixel, window) in pixels.zip(windows.chunks_exact_mut(window_rows * length)) {
            let (row, column) = (pixel / self.output[1], pixel % self.output[1]);
            for (tap, line) in window.chunks_exact_mut(length).enumerate() {
                // Coordinates in the padded image; what lies before the image or behind it is outside.
                let y = row * stride[0] + tap * dilation[0];
                if y < padding[0] || y - padding[0] >= height {
                    line.fill(padding_value);
                    continue;
                }
                let image_row = &image[(y - padding[0]) * width * channels..][..width * channels];
                let x = column * stride[1];
                let whole = own == channels && dilation[1] == 1;
                if whole && x >= padding[1] && x - padding[1] + window_columns <= width {
                    line.copy_from_slice(&image_row[(x - padding[1]) * channels..][..length]);
                    continue;
                }
                for (tap, values) in line.chunks_exact_mut(own).enumerate() {
                    let x = x + tap * dilation[1];
                    if x < padding[1] || x - padding[1] >= width {
                        values.fill(padding_value);
                    } else {
                        let at = (x - padding[1]) * channels + group * own;
                        values.copy_from_slice(&image_row[at..at + own]);
                    }
                }
            }
        }
    }
}

impl ConvolutionAttributes {
    /// Values of one window.
    fn depth(&self) -> Result<usize, KernelError> {
        let [_, rows, columns, channels] = self.weight;
        let depth = rows.checked_mul(columns).and_then(|taps| taps.checked_mul(channels));
        depth.ok_or(KernelError::TooLarge { what: "a window" })
    }

    /// Sums of one pixel that wait for its epilogue.
    fn sums(&self) -> usize {
        if self.groups == 1 { 0 } else { self.weight[0] }
    }

    /// Whether each window is one pixel, in the order of the image.
    fn is_pointwise(&self) -> bool {
        self.groups == 1 && self.weight[1..3] == [1, 1] && self.stride == [1, 1] && self.padding == [0; 4]
    }
}

/// OH and OW of checked attributes.
fn output(attributes: &ConvolutionAttributes) -> Result<[usize; 2], KernelError> {
    let &ConvolutionAttributes { input, weight, stride, padding, dilation, groups, .. } = attributes;
    let extent = |what, found: usize, minimum, maximum| within(what, found as i64, minimum, maximum);
    for found in input.into_iter().chain(weight) {
        extent("an extent", found, 1, 1 << 24)?;
    }
    for axis in 0..2 {
        extent("stride", stride[axis], 1, 64)?;
        extent("dilation", dilation[axis], 1, 64)?;
    }
    for found in padding {
        extent("padding", found, 0, 64)?;
    }
    extent("groups", groups, 1, input[2] as i64)?;
    expect("channels of a group", input[2], groups.saturating_mul(weight[3]))?;
    expect("output channels beyond whole groups", 0, weight[0] % groups)?;
    let pixels = input[0].checked_mul(input[1]).and_then(|pixels| pixels.checked_mul(input[2]));
    pixels.ok_or(KernelError::TooLarge { what: "an image" })?;
    let mut output = [0; 2];
    for axis in 0..2 {
        let padded = input[axis] + padding[axis] + padding[axis + 2];
        let window = dilation[axis] * (weight[axis + 1] - 1) + 1;
        if window > padded {
            return Err(KernelError::Shape {
                what: "padded image for a window",
                expected: window,
                found: padded,
            });
        }
        output[axis] = (padded - window) / stride[axis] + 1;
    }
    output[0].checked_mul(output[1]).ok_or(KernelError::TooLarge { what: "an output image" })?;
    Ok(output)
}

/// Values of the gathered windows, and sums.
fn sizes(attributes: &ConvolutionAttributes) -> Option<(usize, usize)> {
    if attributes.is_pointwise() {
        return Some((0, 0));
    }
    let depth = attributes.depth().ok()?;
    let windows = depth.checked_mul((BLOCK_BYTES / depth.max(1)).clamp(BLOCK_PIXELS_LEAST, BLOCK_PIXELS))?;
    Some((windows, attributes.sums().checked_mul(BLOCK_PIXELS)?))
}

impl ConvolutionScratch {
    /// Memory for a convolution with these attributes.
    ///
    /// # Errors
    /// `TooLarge` if it cannot be addressed.
    pub fn new(
        kernel: Kernel,
        attributes: &ConvolutionAttributes,
    ) -> Result<ConvolutionScratch, KernelError> {
        ConvolutionScratch::bytes(kernel, attributes)?;
        let what = "a convolution's scratch memory";
        let (windows, sums) = sizes(attributes).ok_or(KernelError::TooLarge { what })?;
        let own = Scratch::new(kernel, attributes.depth()?)?;
        Ok(ConvolutionScratch { windows: vec![0; windows], sums: vec![0; sums], own })
    }

    /// The bytes that `ConvolutionScratch::new` takes.
    ///
    /// # Errors
    /// `TooLarge` if they cannot be addressed.
    pub fn bytes(kernel: Kernel, attributes: &ConvolutionAttributes) -> Result<usize, KernelError> {
        let own = Scratch::bytes(kernel, attributes.depth()?)?;
        sizes(attributes)
            .and_then(|(windows, sums)| sums.checked_mul(4)?.checked_add(windows)?.checked_add(own))
            .ok_or(KernelError::TooLarge { what: "a convolution's scratch memory" })
    }
}
