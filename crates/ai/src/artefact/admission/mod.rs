//! Admission: for each node, whether its operands fit it, and what can be proven of its outputs: type, shape, range.
//!
//! The rules are those of `docs/integer-graphs.md`, section 3. Numbers are 128-bit and saturate, so that no rule
//! overflows: what saturates is far outside every bound.

mod choices;
mod elementwise;
mod layout;
mod norms;
mod pools;
mod products;
mod scaling;

use super::container::{Dtype, Tensor};
use super::error::ArtefactError;
use super::graph::{Axis, Extents, Facts, Operand};
use super::operator::Operator;

pub use choices::Forest;

/// The largest int32.
pub const INT32: i128 = i32::MAX as i128;
/// The largest int64.
pub const INT64: i128 = i64::MAX as i128;

/// What is proven of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Type of its elements.
    pub dtype: Dtype,
    /// Its axes.
    pub shape: Vec<Axis>,
    /// No element is less.
    pub lowest: i64,
    /// No element is more.
    pub highest: i64,
}

/// Admits one node.
pub fn admit(
    operator: &Operator,
    inputs: &[Operand],
    values: &[Facts],
    tensors: &[(String, Tensor)],
    limits: Extents,
    place: &str,
) -> Result<Vec<Proven>, ArtefactError> {
    let given = inputs.iter().map(|operand| match operand {
        Operand::Value(at) => Given::Value(&values[*at]),
        Operand::Tensor(at) => Given::Tensor(&tensors[*at].0, &tensors[*at].1),
    });
    let case = Case { given: given.collect(), limits, place };
    let one = |proven: Proven| vec![proven];
    match operator {
        Operator::Linear => products::linear(&case).map(one),
        Operator::Convolution(attributes) => products::convolution(&case, attributes).map(one),
        Operator::MatrixProduct { transposed } => products::matrix_product(&case, *transposed).map(one),
        Operator::Attention(attributes) => products::attention(&case, attributes).map(one),
        Operator::Rescale { shift, zero_point, clamp } => {
            scaling::rescale(&case, *shift, *zero_point, clamp).map(one)
        }
        Operator::RequantiseRows { scale_shift } => scaling::requantise_rows(&case, *scale_shift),
        Operator::RescaleRows { shift, bias_shift, clamp } => {
            scaling::rescale_rows(&case, *shift, *bias_shift, clamp).map(one)
        }
        Operator::Add(clamp) => elementwise::add(&case, clamp).map(one),
        Operator::Mul => elementwise::mul(&case).map(one),
        Operator::Relu => elementwise::relu(&case).map(one),
        Operator::Clamp(clamp) => elementwise::clamped(&case, clamp).map(one),
        Operator::Lookup { offset } => elementwise::lookup(&case, *offset).map(one),
        Operator::LayerNorm(attributes) => norms::layer_norm(&case, attributes).map(one),
        Operator::Softmax { one: largest, dtype, .. } => norms::softmax(&case, *largest, *dtype).map(one),
        Operator::L2Normalise { fraction_bits, dtype } => {
            norms::l2_normalise(&case, *fraction_bits, *dtype).map(one)
        }
        Operator::Cosine { fraction_bits } => norms::cosine(&case, *fraction_bits).map(one),
        Operator::MaxPool(pool) => pools::max_pool(&case, pool).map(one),
        Operator::SumPool(pool) => pools::sum_pool(&case, pool).map(one),
        Operator::MeanPool { fraction_bits, dtype } => {
            pools::mean_pool(&case, *fraction_bits, *dtype).map(one)
        }
        Operator::Argmax => choices::argmax(&case).map(one),
        Operator::TopK { k } => choices::top_k(&case, *k),
        Operator::TreeEnsemble => choices::tree_ensemble(&case).map(one),
        Operator::Embedding => layout::embedding(&case).map(one),
        Operator::Positions { axis } => layout::positions(&case, *axis).map(one),
        Operator::TakeRow => layout::take_row(&case).map(one),
        Operator::CacheWrite => layout::cache_write(&case).map(one),
        Operator::Reshape { shape } => layout::reshape(&case, shape).map(one),
        Operator::Transpose { order } => layout::transpose(&case, order).map(one),
        Operator::Concatenate { axis } => layout::concatenate(&case, *axis).map(one),
        Operator::Slice { axis, start, length } => layout::slice(&case, *axis, *start, *length).map(one),
    }
}

/// An operand with what is known of it.
#[derive(Clone, Copy)]
pub enum Given<'a> {
    /// A value.
    Value(&'a Facts),
    /// A tensor with its name.
    Tensor(&'a str, &'a Tensor),
}

impl Given<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Value(facts) => &facts.name,
            Self::Tensor(name, _) => name,
        }
    }

    /// Its axes.
    pub fn shape(&self) -> Vec<Axis> {
        match self {
            Self::Value(facts) => facts.shape.clone(),
            Self::Tensor(_, tensor) => tensor.shape.iter().map(|size| Axis::Static(*size)).collect(),
        }
    }

    /// Its smallest and its largest element.
    pub fn range(&self) -> (i128, i128) {
        match self {
            Self::Value(facts) => (facts.lowest.into(), facts.highest.into()),
            Self::Tensor(_, tensor) => ends(tensor.iter()),
        }
    }
}

/// The smallest and the largest of some numbers.
pub fn ends(numbers: impl Iterator<Item = i64>) -> (i128, i128) {
    let (lowest, highest) =
        numbers.fold((i64::MAX, i64::MIN), |(low, high), number| (low.min(number), high.max(number)));
    (lowest.into(), highest.into())
}

/// The largest magnitude of a value.
pub fn magnitude(facts: &Facts) -> i128 {
    i128::from(facts.lowest).abs().max(i128::from(facts.highest).abs())
}

/// `v` rounded after a shift to the right: half up.
pub const fn round_shift(v: i128, shift: u32) -> i128 {
    (v + (1 << (shift - 1))) >> shift
}

/// One node with its operands.
pub struct Case<'a> {
    /// Its operands, as many as its operator allows.
    pub given: Vec<Given<'a>>,
    /// What the symbols stand for at most.
    pub limits: Extents,
    /// The node in errors.
    pub place: &'a str,
}

impl<'a> Case<'a> {
    /// A refusal that blames the node.
    pub fn refuse<T>(&self, detail: impl Into<String>) -> Result<T, ArtefactError> {
        Err(ArtefactError::field(self.place, detail))
    }

    /// A refusal that blames one operand.
    pub fn blame<T>(&self, at: usize, detail: impl Into<String>) -> Result<T, ArtefactError> {
        let name = self.given.get(at).map_or("", Given::name);
        Err(ArtefactError::field(format!("{}.inputs[{at}] ({name})", self.place), detail))
    }

    /// A refusal unless a bound holds.
    pub fn at_most(&self, what: &str, number: i128, most: i128) -> Result<(), ArtefactError> {
        if number <= most { Ok(()) } else { self.refuse(format!("{what} may be {number}, more than {most}")) }
    }

    /// An operand that must be a value.
    pub fn value(&self, at: usize) -> Result<&'a Facts, ArtefactError> {
        match self.given[at] {
            Given::Value(facts) => Ok(facts),
            Given::Tensor(..) => self.blame(at, "a tensor, not a value"),
        }
    }

    /// An operand that must be a value of one type and so many axes.
    pub fn typed(&self, at: usize, dtype: Dtype) -> Result<&'a Facts, ArtefactError> {
        let facts = self.value(at)?;
        if facts.dtype != dtype {
            return self.blame(at, format!("{}, not {}", facts.dtype.name(), dtype.name()));
        }
        Ok(facts)
    }

    /// An operand that must have so many axes.
    pub fn axes<const N: usize>(&self, at: usize) -> Result<[Axis; N], ArtefactError> {
        let shape = self.given[at].shape();
        match <[Axis; N]>::try_from(shape.as_slice()) {
            Ok(axes) => Ok(axes),
            Err(_) => self.blame(at, format!("{} axes, not {N}", shape.len())),
        }
    }

    /// An operand that must be a tensor of certain types and so many axes, with its extents.
    pub fn tensor<const N: usize>(
        &self,
        at: usize,
        dtypes: &[Dtype],
    ) -> Result<(&'a Tensor, [usize; N]), ArtefactError> {
        let Given::Tensor(_, tensor) = self.given[at] else { return self.blame(at, "a value, not a tensor") };
        if !dtypes.contains(&tensor.dtype) {
            let names: Vec<&str> = dtypes.iter().map(|dtype| dtype.name()).collect();
            return self.blame(at, format!("{}, not {}", tensor.dtype.name(), names.join(" or ")));
        }
        match <[usize; N]>::try_from(tensor.shape.as_slice()) {
            Ok(shape) => Ok((tensor, shape)),
            Err(_) => self.blame(at, format!("{} axes, not {N}", tensor.shape.len())),
        }
    }

    /// A tensor operand of one axis with a given extent.
    pub fn vector(&self, at: usize, dtypes: &[Dtype], length: usize) -> Result<&'a Tensor, ArtefactError> {
        let (tensor, [found]) = self.tensor::<1>(at, dtypes)?;
        if found != length {
            return self.blame(at, format!("{found} elements, not {length}"));
        }
        Ok(tensor)
    }

    /// The elements of a tensor that must lie in a range.
    pub fn within(&self, at: usize, tensor: &Tensor, least: i64, most: i64) -> Result<(), ArtefactError> {
        let (lowest, highest) = ends(tensor.iter());
        if lowest < i128::from(least) || highest > i128::from(most) {
            return self.blame(at, format!("elements in {lowest}..={highest}, not in {least}..={most}"));
        }
        Ok(())
    }

    /// The extent of an axis that must be fixed.
    pub fn fixed(&self, at: usize, axis: Axis) -> Result<usize, ArtefactError> {
        match axis {
            Axis::Static(size) => Ok(size),
            Axis::Batch | Axis::Sequence => {
                self.blame(at, "an axis is a symbol where its extent must be fixed")
            }
        }
    }

    /// The last axis of an operand: never the batch.
    pub fn row(&self, at: usize, shape: &'a [Axis]) -> Result<(Axis, &'a [Axis]), ArtefactError> {
        match shape.split_last() {
            Some((Axis::Batch, _)) | None => self.blame(at, "the rows would lie along the batch"),
            Some((last, leading)) => Ok((*last, leading)),
        }
    }

    /// The largest extent of an axis.
    pub fn limit(&self, axis: Axis) -> i128 {
        self.limits.of(axis) as i128
    }

    /// An output, if its range fits its type.
    pub fn proven(
        &self,
        dtype: Dtype,
        shape: Vec<Axis>,
        range: (i128, i128),
    ) -> Result<Proven, ArtefactError> {
        let (least, most) = dtype.range();
        match (i64::try_from(range.0), i64::try_from(range.1)) {
            (Ok(lowest), Ok(highest)) if lowest >= least && highest <= most => {
                Ok(Proven { dtype, shape, lowest, highest })
            }
            _ => self.refuse(format!("the output may be in {}..={}: not {}", range.0, range.1, dtype.name())),
        }
    }

    /// A mask operand: a value of `[batch, length]` within 0 and 1.
    pub fn mask(&self, at: usize, length: Axis) -> Result<(), ArtefactError> {
        if self.given.len() <= at {
            return Ok(());
        }
        let facts = self.value(at)?;
        if facts.shape != [Axis::Batch, length] {
            return self.blame(at, "not of the shape [batch, the row's extent]");
        }
        if facts.lowest < 0 || facts.highest > 1 {
            return self.blame(at, format!("range {}..={}, not within 0..=1", facts.lowest, facts.highest));
        }
        Ok(())
    }
}
