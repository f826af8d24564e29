//! The operators by name, with their attributes: integers, or lists of integers, none missing and none more.

use super::canonical::Value;
use super::container::{Dtype, MAXIMUM_AXES, MAXIMUM_EXTENT};
use super::error::{ArtefactError, Limit};
use super::fields::Fields;
use super::graph::Axis;

/// The ends of a clamp, within the bits of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// The lower end.
    pub minimum: i32,
    /// The upper end, not below the lower.
    pub maximum: i32,
    /// Type of the output.
    pub dtype: Dtype,
}

/// Attributes of `convolution`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Steps down and right.
    pub stride: [usize; 2],
    /// Top, left, bottom, right.
    pub padding: [usize; 4],
    /// Distance of the taps down and right.
    pub dilation: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
    /// What stands outside the input.
    pub padding_value: i8,
}

/// Attributes of `max_pool` and `sum_pool`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Height and width.
    pub window: [usize; 2],
    /// Steps down and right.
    pub stride: [usize; 2],
    /// Top, left, bottom, right.
    pub padding: [usize; 4],
}

/// Attributes of `attention`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    /// How many heads the columns are divided into.
    pub heads: usize,
    /// Of the distance to the row's largest score.
    pub multiplier: i32,
    /// Of the same.
    pub shift: u32,
    /// Whether a query sees later keys.
    pub causal: bool,
    /// Fraction bits that the output has more than `value`.
    pub fraction_bits: u32,
    /// Type of the output.
    pub dtype: Dtype,
}

/// Attributes of `layer_norm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerNorm {
    /// Added under the root.
    pub epsilon: i64,
    /// Fraction bits of the normalised value.
    pub fraction_bits: u32,
    /// Of the bias, to the left.
    pub bias_shift: u32,
    /// Of the sum, to the right.
    pub shift: u32,
    /// Ends of the output.
    pub clamp: Clamp,
}

/// An axis of the shape that `reshape` makes.
pub type Extent = Axis;

/// What a node does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each variant and attribute is described by section 3 of docs/integer-graphs.md"
)]
pub enum Operator {
    Linear,
    Convolution(Convolution),
    MatrixProduct { transposed: bool },
    Attention(Attention),
    Rescale { shift: u32, zero_point: i32, clamp: Clamp },
    RequantiseRows { scale_shift: u32 },
    RescaleRows { shift: u32, bias_shift: u32, clamp: Clamp },
    Add(Clamp),
    Mul,
    Relu,
    Clamp(Clamp),
    Lookup { offset: i32 },
    LayerNorm(LayerNorm),
    Softmax { multiplier: i32, shift: u32, one: i32, dtype: Dtype },
    L2Normalise { fraction_bits: u32, dtype: Dtype },
    Cosine { fraction_bits: u32 },
    MaxPool(Pool),
    SumPool(Pool),
    MeanPool { fraction_bits: u32, dtype: Dtype },
    Argmax,
    TopK { k: usize },
    TreeEnsemble,
    Embedding,
    Positions { axis: usize },
    TakeRow,
    CacheWrite,
    Reshape { shape: Vec<Extent> },
    Transpose { order: Vec<usize> },
    Concatenate { axis: usize },
    Slice { axis: usize, start: usize, length: usize },
}

impl Operator {
    /// The name in graphs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Convolution(_) => "convolution",
            Self::MatrixProduct { .. } => "matrix_product",
            Self::Attention(_) => "attention",
            Self::Rescale { .. } => "rescale",
            Self::RequantiseRows { .. } => "requantise_rows",
            Self::RescaleRows { .. } => "rescale_rows",
            Self::Add(_) => "add",
            Self::Mul => "mul",
            Self::Relu => "relu",
            Self::Clamp(_) => "clamp",
            Self::Lookup { .. } => "lookup",
            Self::LayerNorm(_) => "layer_norm",
            Self::Softmax { .. } => "softmax",
            Self::L2Normalise { .. } => "l2_normalise",
            Self::Cosine { .. } => "cosine",
            Self::MaxPool(_) => "max_pool",
            Self::SumPool(_) => "sum_pool",
            Self::MeanPool { .. } => "mean_pool",
            Self::Argmax => "argmax",
            Self::TopK { .. } => "top_k",
            Self::TreeEnsemble => "tree_ensemble",
            Self::Embedding => "embedding",
            Self::Positions { .. } => "positions",
            Self::TakeRow => "take_row",
            Self::CacheWrite => "cache_write",
            Self::Reshape { .. } => "reshape",
            Self::Transpose { .. } => "transpose",
            Self::Concatenate { .. } => "concatenate",
            Self::Slice { .. } => "slice",
        }
    }

    /// The operands that must be there, those that may be left out (they come last), and the outputs.
    #[must_use]
    pub const fn arity(&self) -> (usize, usize, usize) {
        match self {
            Self::Linear | Self::Convolution(_) => (2, 1, 1),
            Self::Attention(_) => (4, 1, 1),
            Self::RequantiseRows { .. } => (1, 0, 2),
            Self::RescaleRows { .. } => (3, 1, 1),
            Self::LayerNorm(_) | Self::CacheWrite => (3, 0, 1),
            Self::Softmax { .. } => (2, 1, 1),
            Self::MeanPool { .. } => (1, 1, 1),
            Self::TopK { .. } => (1, 0, 2),
            Self::TreeEnsemble => (8, 1, 1),
            Self::Concatenate { .. } => (2, 62, 1),
            Self::MatrixProduct { .. }
            | Self::Rescale { .. }
            | Self::Add(_)
            | Self::Mul
            | Self::Lookup { .. }
            | Self::Cosine { .. }
            | Self::Embedding
            | Self::TakeRow => (2, 0, 1),
            Self::Relu
            | Self::Clamp(_)
            | Self::L2Normalise { .. }
            | Self::MaxPool(_)
            | Self::SumPool(_)
            | Self::Argmax
            | Self::Positions { .. }
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Slice { .. } => (1, 0, 1),
        }
    }

    /// Reads name and attributes.
    pub(super) fn read(name: &str, attributes: Value, place: &str) -> Result<Self, ArtefactError> {
        let mut fields = Fields::new(attributes, format!("{place}.attributes"))?;
        let fields_mut = &mut fields;
        let operator = match products_and_scales(name, fields_mut)? {
            Some(found) => Some(found),
            None => match norms_and_pools(name, fields_mut)? {
                Some(found) => Some(found),
                None => choices_and_layout(name, fields_mut)?,
            },
        };
        let known = operator.ok_or_else(|| {
            ArtefactError::field(format!("{place}.operator"), format!("{name:?} is no operator of format 1"))
        })?;
        fields.finish()?;
        Ok(known)
    }
}

fn products_and_scales(name: &str, fields: &mut Fields) -> Result<Option<Operator>, ArtefactError> {
    Ok(Some(match name {
        "linear" => Operator::Linear,
        "convolution" => Operator::Convolution(Convolution {
            stride: sizes(fields, "stride", 1, 64)?,
            padding: sizes(fields, "padding", 0, 64)?,
            dilation: sizes(fields, "dilation", 1, 64)?,
            groups: fields.size("groups", 1, 1 << 24)?,
            padding_value: narrow(fields, "padding_value")?,
        }),
        "matrix_product" => Operator::MatrixProduct { transposed: flag(fields, "transposed")? },
        "attention" => Operator::Attention(Attention {
            heads: fields.size("heads", 1, 1 << 24)?,
            multiplier: ranged(fields, "multiplier", 0, i32::MAX)?,
            shift: shift(fields)?,
            causal: flag(fields, "causal")?,
            fraction_bits: bit_count(fields, "fraction_bits", 0, 16)?,
            dtype: dtype(fields)?,
        }),
        "rescale" => Operator::Rescale {
            shift: shift(fields)?,
            zero_point: ranged(fields, "zero_point", i32::MIN, i32::MAX)?,
            clamp: clamp(fields)?,
        },
        "requantise_rows" => {
            Operator::RequantiseRows { scale_shift: bit_count(fields, "scale_shift", 0, 24)? }
        }
        "rescale_rows" => Operator::RescaleRows {
            shift: shift(fields)?,
            bias_shift: bit_count(fields, "bias_shift", 0, 31)?,
            clamp: clamp(fields)?,
        },
        "add" => Operator::Add(clamp(fields)?),
        "mul" => Operator::Mul,
        "relu" => Operator::Relu,
        "clamp" => Operator::Clamp(clamp(fields)?),
        "lookup" => Operator::Lookup { offset: ranged(fields, "offset", i32::MIN, i32::MAX)? },
        _ => return Ok(None),
    }))
}

fn norms_and_pools(name: &str, fields: &mut Fields) -> Result<Option<Operator>, ArtefactError> {
    Ok(Some(match name {
        "layer_norm" => Operator::LayerNorm(LayerNorm {
            epsilon: fields.integer("epsilon", 1, 1 << 60)?,
            fraction_bits: bit_count(fields, "fraction_bits", 1, 20)?,
            bias_shift: bit_count(fields, "bias_shift", 0, 31)?,
            shift: shift(fields)?,
            clamp: clamp(fields)?,
        }),
        "softmax" => Operator::Softmax {
            multiplier: ranged(fields, "multiplier", 0, i32::MAX)?,
            shift: shift(fields)?,
            one: ranged(fields, "one", 1, 32_767)?,
            dtype: dtype(fields)?,
        },
        "l2_normalise" => Operator::L2Normalise {
            fraction_bits: bit_count(fields, "fraction_bits", 1, 29)?,
            dtype: dtype(fields)?,
        },
        "cosine" => Operator::Cosine { fraction_bits: bit_count(fields, "fraction_bits", 1, 30)? },
        "max_pool" => Operator::MaxPool(pool(fields)?),
        "sum_pool" => Operator::SumPool(pool(fields)?),
        "mean_pool" => Operator::MeanPool {
            fraction_bits: bit_count(fields, "fraction_bits", 0, 16)?,
            dtype: dtype(fields)?,
        },
        _ => return Ok(None),
    }))
}

fn choices_and_layout(name: &str, fields: &mut Fields) -> Result<Option<Operator>, ArtefactError> {
    let extent = usize::try_from(MAXIMUM_EXTENT).unwrap_or(usize::MAX);
    Ok(Some(match name {
        "argmax" => Operator::Argmax,
        "top_k" => Operator::TopK { k: fields.size("k", 1, 1_024)? },
        "tree_ensemble" => Operator::TreeEnsemble,
        "embedding" => Operator::Embedding,
        "positions" => Operator::Positions { axis: axis(fields)? },
        "take_row" => Operator::TakeRow,
        "cache_write" => Operator::CacheWrite,
        "reshape" => {
            let axes = fields.list("shape")?;
            Operator::Reshape { shape: Axis::read_shape(&axes, &fields.place("shape"))? }
        }
        "transpose" => {
            let order = fields.list("order")?;
            let place = fields.place("order");
            if order.len() > MAXIMUM_AXES {
                return Err(ArtefactError::limit(place, Limit::Axes, MAXIMUM_AXES));
            }
            let order = order.iter().map(|item| item_size(item, &place, 0, MAXIMUM_AXES - 1));
            Operator::Transpose { order: order.collect::<Result<_, _>>()? }
        }
        "concatenate" => Operator::Concatenate { axis: axis(fields)? },
        "slice" => Operator::Slice {
            axis: axis(fields)?,
            start: fields.size("start", 0, extent)?,
            length: fields.size("length", 1, extent)?,
        },
        _ => return Ok(None),
    }))
}

fn ranged(fields: &mut Fields, name: &str, least: i32, most: i32) -> Result<i32, ArtefactError> {
    let number = fields.integer(name, least.into(), most.into())?;
    Ok(i32::try_from(number).unwrap_or(least))
}

fn narrow(fields: &mut Fields, name: &str) -> Result<i8, ArtefactError> {
    let number = fields.integer(name, i8::MIN.into(), i8::MAX.into())?;
    Ok(i8::try_from(number).unwrap_or(i8::MIN))
}

fn bit_count(fields: &mut Fields, name: &str, least: u32, most: u32) -> Result<u32, ArtefactError> {
    let number = fields.integer(name, least.into(), most.into())?;
    Ok(u32::try_from(number).unwrap_or(least))
}

fn shift(fields: &mut Fields) -> Result<u32, ArtefactError> {
    bit_count(fields, "shift", 1, 62)
}

fn flag(fields: &mut Fields, name: &str) -> Result<bool, ArtefactError> {
    Ok(fields.integer(name, 0, 1)? == 1)
}

fn axis(fields: &mut Fields) -> Result<usize, ArtefactError> {
    fields.size("axis", 0, MAXIMUM_AXES - 1)
}

fn dtype(fields: &mut Fields) -> Result<Dtype, ArtefactError> {
    let place = fields.place("bits");
    let bits = fields.integer("bits", 8, 32)?;
    Dtype::of_bits(bits).ok_or_else(|| ArtefactError::field(place, format!("{bits} is none of 8, 16, 32")))
}

fn clamp(fields: &mut Fields) -> Result<Clamp, ArtefactError> {
    let dtype = dtype(fields)?;
    let (lowest, highest) = dtype.range();
    let least = i32::try_from(lowest).unwrap_or(i32::MIN);
    let most = i32::try_from(highest).unwrap_or(i32::MAX);
    let maximum = ranged(fields, "maximum", least, most)?;
    let minimum = ranged(fields, "minimum", least, most)?;
    if minimum > maximum {
        return Err(ArtefactError::field(
            fields.place("minimum"),
            format!("{minimum} is above the maximum {maximum}"),
        ));
    }
    Ok(Clamp { minimum, maximum, dtype })
}

fn pool(fields: &mut Fields) -> Result<Pool, ArtefactError> {
    let window: [usize; 2] = sizes(fields, "window", 1, 1_024)?;
    let stride = sizes(fields, "stride", 1, 64)?;
    let place = fields.place("padding");
    let padding: [usize; 4] = sizes(fields, "padding", 0, 1_024)?;
    if (0..4).any(|side| padding[side] >= window[side % 2]) {
        return Err(ArtefactError::field(
            place,
            format!("{padding:?} is not less than the window {window:?}"),
        ));
    }
    Ok(Pool { window, stride, padding })
}

fn sizes<const N: usize>(
    fields: &mut Fields,
    name: &str,
    least: usize,
    most: usize,
) -> Result<[usize; N], ArtefactError> {
    let items = fields.list(name)?;
    let place = fields.place(name);
    if items.len() != N {
        return Err(ArtefactError::field(place, format!("{} numbers, not {N}", items.len())));
    }
    let mut found = [0; N];
    for (size, item) in found.iter_mut().zip(&items) {
        *size = item_size(item, &place, least, most)?;
    }
    Ok(found)
}

fn item_size(item: &Value, place: &str, least: usize, most: usize) -> Result<usize, ArtefactError> {
    let size = match item {
        Value::Integer(number) => usize::try_from(*number).ok(),
        _ => return Err(ArtefactError::field(place, "not a list of integers")),
    };
    size.filter(|size| (least..=most).contains(size))
        .ok_or_else(|| ArtefactError::field(place, format!("a number is not in {least}..={most}")))
}
