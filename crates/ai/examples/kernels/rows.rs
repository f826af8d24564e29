//! What stands between the products: the epilogues, the operators on rows, attention, a convolution.

use std::hint::black_box;
use std::time::Duration;

use solder_ai::kernels::{
    Attention, AttentionAttributes, AttentionInputs, AttentionScratch, Convolution, ConvolutionAttributes,
    ConvolutionScratch, Epilogue, In, Kernel, LayerNorm, LayerNormAttributes, Matrix, MatrixMut, Out, Packed,
    Rescale, Scratch, Table, product, requantise_rows,
};

use crate::{Failure, least, values};

/// Tokens, columns of the stream and of the wide layer, heads.
const TOKENS: usize = 128;
const STREAM: usize = 384;
const WIDE: usize = 1536;
const HEADS: usize = 12;

/// Every measurement by name, in nanoseconds.
pub fn measure_all(kernel: Kernel, limit: Duration) -> Result<Vec<(&'static str, f64)>, Failure> {
    Ok(vec![
        ("sums 128x1536x384", fused(kernel, limit, &Epilogue::SUMS, 32)?),
        ("rescaled 128x1536x384 int8", fused(kernel, limit, &rescaling(WIDE, false, -127, 127)?, 8)?),
        ("rescaled by rows 128x1536x384 int8", fused(kernel, limit, &rescaling(WIDE, true, -127, 127)?, 8)?),
        ("rescaled by rows, table 128x1536x384 int16", {
            let table = Table::Int16((-2048..2048).map(|entry: i16| entry.max(0)).collect());
            fused(kernel, limit, &rescaling(WIDE, true, -2048, 2047)?.then_lookup(table, -2048)?, 16)?
        }),
        ("requantise_rows 128x384 int32", requantised(kernel, limit)?),
        ("requantise_rows 128x1536 int16", requantised_int16(kernel, limit)?),
        ("layer_norm 128x384 int32", normalised(kernel, limit)?),
        ("attention 128x128, 12 heads of 32", attended(kernel, limit, TOKENS)?),
        ("attention 32x32, 12 heads of 32", attended(kernel, limit, 32)?),
        ("convolution 28x28x32, 3x3, 32", convolved(kernel, limit)?),
    ])
}

fn rescaling(columns: usize, scaled: bool, minimum: i32, maximum: i32) -> Result<Epilogue, Failure> {
    let (multipliers, bias) = (vec![1 << 20; columns], vec![12_345; columns]);
    let rescale = Rescale {
        multipliers: &multipliers,
        bias: &bias,
        bias_shift: 8,
        shift: 40,
        zero_point: 0,
        minimum,
        maximum,
        largest: 1 << 31,
        scaled,
    };
    Ok(Epilogue::rescale(columns, &rescale)?)
}

fn fused(kernel: Kernel, limit: Duration, epilogue: &Epilogue, bits: u32) -> Result<f64, Failure> {
    let (left, right) = (values(TOKENS * STREAM), values(WIDE * STREAM));
    let scales = vec![1000; if epilogue.takes_scales() { TOKENS } else { 0 }];
    let packed = Packed::rows(kernel, Matrix::dense(&right, WIDE, STREAM)?)?;
    let mut scratch = Scratch::new(kernel, STREAM)?;
    let (mut bytes, mut words, mut longs) =
        (vec![0i8; TOKENS * WIDE], vec![0i16; TOKENS * WIDE], vec![0i32; TOKENS * WIDE]);
    least(limit, || {
        let out = match bits {
            8 => Out::Int8(MatrixMut::dense(&mut bytes, TOKENS, WIDE)?),
            16 => Out::Int16(MatrixMut::dense(&mut words, TOKENS, WIDE)?),
            _ => Out::Int32(MatrixMut::dense(&mut longs, TOKENS, WIDE)?),
        };
        let left = Matrix::dense(black_box(&left), TOKENS, STREAM)?;
        Ok(product(left, &packed, epilogue, &scales, out, &mut scratch)?)
    })
}

fn requantised(kernel: Kernel, limit: Duration) -> Result<f64, Failure> {
    let x: Vec<i32> = values(TOKENS * STREAM).into_iter().map(|value| i32::from(value) * 1001).collect();
    let (mut rows, mut scales) = (vec![0; TOKENS * STREAM], vec![0; TOKENS]);
    least(limit, || {
        let x = In::Int32(Matrix::dense(black_box(&x), TOKENS, STREAM)?);
        Ok(requantise_rows(kernel, x, 4, MatrixMut::dense(&mut rows, TOKENS, STREAM)?, &mut scales)?)
    })
}

fn requantised_int16(kernel: Kernel, limit: Duration) -> Result<f64, Failure> {
    let x: Vec<i16> = values(TOKENS * WIDE).into_iter().map(|value| i16::from(value) * 101).collect();
    let (mut rows, mut scales) = (vec![0; TOKENS * WIDE], vec![0; TOKENS]);
    least(limit, || {
        let x = In::Int16(Matrix::dense(black_box(&x), TOKENS, WIDE)?);
        Ok(requantise_rows(kernel, x, 4, MatrixMut::dense(&mut rows, TOKENS, WIDE)?, &mut scales)?)
    })
}

fn normalised(kernel: Kernel, limit: Duration) -> Result<f64, Failure> {
    let x: Vec<i32> = values(TOKENS * STREAM).into_iter().map(|value| i32::from(value) * 1001).collect();
    let layer = LayerNorm::new(&LayerNormAttributes {
        gain: &[20_000; STREAM],
        bias: &[77; STREAM],
        epsilon: 1 << 30,
        fraction_bits: 15,
        bias_shift: 10,
        shift: 20,
        minimum: -100_000,
        maximum: 100_000,
    })?;
    let mut out = vec![0; TOKENS * STREAM];
    least(limit, || {
        let x = In::Int32(Matrix::dense(black_box(&x), TOKENS, STREAM)?);
        Ok(layer.run(kernel, x, Out::Int32(MatrixMut::dense(&mut out, TOKENS, STREAM)?))?)
    })
}

fn attended(kernel: Kernel, limit: Duration, tokens: usize) -> Result<f64, Failure> {
    let (query, key, value) =
        (values(tokens * STREAM), values(tokens * STREAM + 7), values(tokens * STREAM + 99));
    let table: Vec<i8> =
        (0..1024).map(|entry| (127.0 * (-f64::from(entry) / 180.0).exp()).round() as i8).collect();
    let attention = Attention::new(&AttentionAttributes {
        heads: HEADS,
        causal: false,
        multiplier: 1 << 20,
        shift: 31,
        fraction_bits: 8,
        table: &table,
        largest: 64 * 128 * 128,
    })?;
    let seen: Vec<bool> = (0..tokens).map(|token| token < tokens - 5).collect();
    let mut out = vec![0i16; tokens * STREAM];
    let mut scratch = AttentionScratch::new(kernel, tokens, STREAM / HEADS, STREAM / HEADS)?;
    least(limit, || {
        let inputs = AttentionInputs {
            query: Matrix::dense(black_box(&query), tokens, STREAM)?,
            key: Matrix::dense(&key, tokens, STREAM)?,
            value: Matrix::dense(&value, tokens, STREAM)?,
            seen: Some(&seen),
        };
        Ok(attention.run(&inputs, Out::Int16(MatrixMut::dense(&mut out, tokens, STREAM)?), &mut scratch)?)
    })
}

fn convolved(kernel: Kernel, limit: Duration) -> Result<f64, Failure> {
    let attributes = ConvolutionAttributes {
        input: [28, 28, 32],
        weight: [32, 3, 3, 32],
        stride: [1, 1],
        padding: [1; 4],
        dilation: [1, 1],
        groups: 1,
        padding_value: 0,
    };
    let (image, weights) = (values(28 * 28 * 32), values(32 * 9 * 32));
    let convolution = Convolution::new(kernel, &attributes, &weights, None)?;
    let mut scratch = ConvolutionScratch::new(kernel, &attributes)?;
    let epilogue = rescaling(32, false, 0, 127)?;
    let mut out = vec![0i8; 28 * 28 * 32];
    least(limit, || {
        let view = Out::Int8(MatrixMut::dense(&mut out, 28 * 28, 32)?);
        Ok(convolution.run(black_box(&image), 0..28 * 28, &epilogue, view, &mut scratch)?)
    })
}
