//! The work of one operation: what is prepared at load, and the call for some units.

use crate::artefact::graph::{Axis, Node, Operand};
use crate::artefact::operator::{Operator, Pool};
use crate::kernels::{
    Attention, AttentionAttributes, AttentionScratch, Convolution, ConvolutionAttributes, ConvolutionScratch,
    Epilogue, Kernel, LayerNorm, LayerNormAttributes, Matrix, MatrixMut, Packed, Scratch, finish, product,
    requantise_rows,
};

use super::error::RunError;
use super::operators::choices::{Trees, argmax, top_k};
use super::operators::elementwise::{Operands, Pair, combine, lookup};
use super::operators::norms::{self, Softmax};
use super::operators::products::{self, int8, int32, matrix, matrix_mut};
use super::operators::{Geometry, layout, pools};
use super::prepare::{Ending, Operation, Preparing, Source, owned};
use super::values::{Values, View, ViewMut};

/// What is prepared of an operation.
pub enum Work {
    /// `linear` with what follows it.
    Product { weights: Packed, epilogue: Epilogue, scaled: bool },
    /// `convolution` with what follows it.
    Convolution(Box<Taps>),
    /// `matrix_product`.
    MatrixProduct { transposed: bool },
    /// `attention`.
    Attention { attention: Attention, heads: usize },
    /// `rescale`, `rescale_rows`, `clamp`, `relu`.
    Finish { epilogue: Epilogue, columns: usize, scaled: bool },
    /// `requantise_rows`.
    Requantise { scale_shift: u32 },
    /// `add`, `mul`; the second operand where it is a tensor.
    Combine { pair: Pair, constant: Option<(Values, Vec<usize>)> },
    /// `lookup`.
    Lookup { table: Values, offset: i32 },
    /// `layer_norm`.
    LayerNorm(LayerNorm),
    /// `softmax`.
    Softmax(Softmax),
    /// `l2_normalise`.
    L2Normalise { fraction_bits: u32 },
    /// `cosine`; the second operand where it is a tensor.
    Cosine { fraction_bits: u32, constant: Option<(Values, Vec<usize>)> },
    /// `max_pool`, `sum_pool`.
    Pool { of: Pool, sum: bool },
    /// `mean_pool`.
    MeanPool { fraction_bits: u32 },
    /// `argmax`.
    Argmax,
    /// `top_k`.
    TopK { k: usize },
    /// `tree_ensemble`.
    Trees(Trees),
    /// `embedding`.
    Embedding { table: Values, width: usize },
    /// `positions`.
    Positions,
    /// `take_row`.
    TakeRow,
    /// `cache_write`.
    CacheWrite,
    /// `reshape`.
    Copy,
    /// `transpose`: the order of a unit's axes.
    Transpose { order: Vec<usize> },
    /// `concatenate`: the axis of a unit's part.
    Concatenate { axis: usize },
    /// `slice`: the axis of a unit's part, and where it begins.
    Slice { axis: usize, start: usize },
}

/// A convolution with what follows it.
pub struct Taps {
    /// Extents and attributes.
    pub of: ConvolutionAttributes,
    /// Packed weights.
    pub weights: Convolution,
    /// What follows.
    pub epilogue: Epilogue,
}

/// The memory of one thread beside its buffers.
pub struct Space {
    /// The instructions that are used.
    pub kernel: Kernel,
    /// Of products.
    pub scratch: Scratch,
    /// The right side of the matrix product that runs, by operation.
    pub packed: Vec<Option<Packed>>,
    /// Of attentions and convolutions, by operation.
    pub special: Vec<Option<Special>>,
    /// Which keys of a unit are seen.
    pub seen: Vec<bool>,
}

/// The memory of an operation that needs its own.
pub enum Special {
    /// Of an attention.
    Attention(Box<AttentionScratch>),
    /// Of a convolution.
    Convolution(ConvolutionScratch),
}

impl Preparing<'_> {
    /// Prepares the node at `at`, with those after it that can be fused.
    pub fn operation(&self, at: usize) -> Result<Operation, RunError> {
        let node = &self.graph.nodes[at];
        let out = node.outputs[0];
        let (work, units) = match &node.operator {
            Operator::Linear => return self.product(at),
            Operator::Convolution(_) => return self.convolution(at),
            Operator::Rescale { .. } | Operator::RescaleRows { .. } | Operator::Clamp(_) | Operator::Relu => {
                return self.finish(at);
            }
            Operator::Positions { .. } => (Work::Positions, Vec::new()),
            Operator::MatrixProduct { transposed } => {
                (Work::MatrixProduct { transposed: *transposed }, self.items(out))
            }
            Operator::Attention(_) => (self.attention(node)?, self.items(out)),
            Operator::RequantiseRows { scale_shift } => {
                (Work::Requantise { scale_shift: *scale_shift }, self.rows(out))
            }
            Operator::Add(clamp) => return self.combined(at, Pair::Add(clamp.minimum, clamp.maximum)),
            Operator::Mul => return self.combined(at, Pair::Mul),
            Operator::Lookup { offset } => {
                (Work::Lookup { table: owned(self.tensor(node, 1)?), offset: *offset }, self.elements(out))
            }
            Operator::LayerNorm(of) => {
                let (gain, bias) = (self.numbers(node, 1)?, self.numbers(node, 2)?);
                let attributes = LayerNormAttributes {
                    gain: &gain,
                    bias: &bias,
                    epsilon: of.epsilon,
                    fraction_bits: of.fraction_bits,
                    bias_shift: of.bias_shift,
                    shift: of.shift,
                    minimum: of.clamp.minimum,
                    maximum: of.clamp.maximum,
                };
                (Work::LayerNorm(LayerNorm::new(&attributes)?), self.rows(out))
            }
            Operator::Softmax { multiplier, shift, one, .. } => {
                let table = self.numbers(node, 1)?;
                let work = Softmax { multiplier: *multiplier, shift: *shift, one: *one, table };
                (Work::Softmax(work), if node.inputs.len() > 2 { self.items(out) } else { self.rows(out) })
            }
            Operator::L2Normalise { fraction_bits, .. } => {
                (Work::L2Normalise { fraction_bits: *fraction_bits }, self.rows(out))
            }
            Operator::Cosine { fraction_bits } => {
                let constant = self.constant(node, 1);
                (Work::Cosine { fraction_bits: *fraction_bits, constant }, self.items(out))
            }
            Operator::MaxPool(of) => (Work::Pool { of: *of, sum: false }, self.items(out)),
            Operator::SumPool(of) => (Work::Pool { of: *of, sum: true }, self.items(out)),
            Operator::MeanPool { fraction_bits, .. } => {
                (Work::MeanPool { fraction_bits: *fraction_bits }, self.items(out))
            }
            Operator::Argmax => (Work::Argmax, self.shape(out).to_vec()),
            Operator::TopK { k } => (Work::TopK { k: *k }, self.rows(out)),
            Operator::TreeEnsemble => (Work::Trees(self.trees(node)?), self.items(out)),
            Operator::Embedding => {
                let table = self.tensor(node, 1)?;
                (Work::Embedding { table: owned(table), width: table.shape[1] }, self.rows(out))
            }
            Operator::TakeRow => (Work::TakeRow, self.items(out)),
            Operator::CacheWrite => (Work::CacheWrite, self.items(out)),
            Operator::Reshape { .. } => (Work::Copy, self.items(out)),
            Operator::Transpose { order } => {
                let units = self.items(out);
                let order = order[units.len()..].iter().map(|axis| axis - units.len()).collect();
                (Work::Transpose { order }, units)
            }
            Operator::Concatenate { axis } => {
                let units = self.items(out);
                (Work::Concatenate { axis: axis - units.len() }, units)
            }
            Operator::Slice { axis, start, .. } => {
                let units = self.items(out);
                (Work::Slice { axis: axis - units.len(), start: *start }, units)
            }
        };
        self.made(at, work, units)
    }

    fn made(&self, at: usize, work: Work, units: Vec<Axis>) -> Result<Operation, RunError> {
        let node = &self.graph.nodes[at];
        let reads = if matches!(work, Work::Positions) { &[][..] } else { &node.inputs };
        let inputs = reads.iter().filter_map(|operand| match operand {
            Operand::Value(value) => Some(self.source(*value, &units)),
            Operand::Tensor(_) => None,
        });
        Ok(Operation {
            nodes: vec![at],
            inputs: inputs.collect(),
            outputs: node.outputs.clone(),
            units,
            work,
        })
    }

    fn ended(&self, at: usize, work: Work, units: Vec<Axis>, ending: Ending) -> Result<Operation, RunError> {
        let x = self.value(&self.graph.nodes[at], 0)?;
        let inputs =
            [Some(x), ending.scales].into_iter().flatten().map(|value| self.source(value, &units)).collect();
        let nodes = [vec![at], ending.nodes].concat();
        Ok(Operation { nodes, inputs, outputs: vec![ending.output], units, work })
    }

    fn product(&self, at: usize) -> Result<Operation, RunError> {
        let node = &self.graph.nodes[at];
        let ending = self.ending(at)?;
        let (epilogue, scaled) = (ending.epilogue.clone(), ending.scales.is_some());
        let work = Work::Product { weights: self.weights(node)?, epilogue, scaled };
        self.ended(at, work, self.rows(node.outputs[0]), ending)
    }

    fn convolution(&self, at: usize) -> Result<Operation, RunError> {
        let node = &self.graph.nodes[at];
        let mut ending = self.ending(at)?;
        if ending.scales.is_some() {
            // Rows of scales belong to pixels, units here are images.
            let output = node.outputs[0];
            ending = Ending { epilogue: Epilogue::SUMS, scales: None, nodes: Vec::new(), output };
        }
        let Operator::Convolution(of) = node.operator else {
            return Err(RunError::defect("another operator"));
        };
        let weight = self.tensor(node, 1)?;
        let shape = <[usize; 4]>::try_from(weight.shape.as_slice());
        let input = match self.shape(self.value(node, 0)?) {
            [_, Axis::Static(height), Axis::Static(width), Axis::Static(channels)] => {
                Ok([*height, *width, *channels])
            }
            _ => Err(RunError::defect("an image of other axes")),
        };
        let of = ConvolutionAttributes {
            input: input?,
            weight: shape.map_err(|_| RunError::defect("a kernel of other axes"))?,
            stride: of.stride,
            padding: of.padding,
            dilation: of.dilation,
            groups: of.groups,
            padding_value: of.padding_value,
        };
        let bias = if node.inputs.len() > 2 { Some(self.numbers(node, 2)?) } else { None };
        let weights = Convolution::new(self.kernel, &of, int8(owned(weight).view())?, bias.as_deref())?;
        let work = Work::Convolution(Box::new(Taps { of, weights, epilogue: ending.epilogue.clone() }));
        self.ended(at, work, self.items(node.outputs[0]), ending)
    }

    fn attention(&self, node: &Node) -> Result<Work, RunError> {
        let Operator::Attention(of) = node.operator else { return Err(RunError::defect("another operator")) };
        let largest = |at: usize| -> Result<i64, RunError> {
            let facts = &self.graph.values[self.value(node, at)?];
            Ok(facts.lowest.abs().max(facts.highest.abs()))
        };
        let depth = self.columns(self.value(node, 0)?) / of.heads;
        let table = owned(self.tensor(node, 3)?);
        let attention = Attention::new(&AttentionAttributes {
            heads: of.heads,
            causal: of.causal,
            multiplier: of.multiplier,
            shift: of.shift,
            fraction_bits: of.fraction_bits,
            table: int8(table.view())?,
            largest: 2 * depth as i64 * largest(0)? * largest(1)?,
        })?;
        Ok(Work::Attention { attention, heads: of.heads })
    }

    fn finish(&self, at: usize) -> Result<Operation, RunError> {
        let node = &self.graph.nodes[at];
        let (epilogue, scales) = self.rescaling(node)?.ok_or_else(|| RunError::defect("another operator"))?;
        let output = node.outputs[0];
        let work = Work::Finish {
            epilogue: epilogue.clone(),
            columns: self.columns(output),
            scaled: scales.is_some(),
        };
        self.ended(at, work, self.elements(output), Ending { epilogue, scales, nodes: Vec::new(), output })
    }

    fn combined(&self, at: usize, pair: Pair) -> Result<Operation, RunError> {
        let node = &self.graph.nodes[at];
        let out = node.outputs[0];
        let axes = self.shape(out).len();
        let rows = self.elements(out);
        let constant = self.constant(node, 1);
        let operands: Vec<usize> = node
            .inputs
            .iter()
            .filter_map(|operand| match operand {
                Operand::Value(value) => Some(*value),
                Operand::Tensor(_) => None,
            })
            .collect();
        // Row by row where each row of the output meets its own of either operand, or one row that all share.
        let shared = |length: usize| length == 1 && rows.len() < axes;
        let by_rows = operands.iter().all(|value| {
            let shape = self.shape(*value);
            shape.len() == axes && shape.starts_with(&rows) || shared(shape.len())
        }) && constant.as_ref().is_none_or(|(_, shape)| shared(shape.len()));
        let units = if by_rows { rows } else { self.items(out) };
        let source = |value: &usize| {
            let own = self.shape(*value).len() == axes && self.shape(*value).starts_with(&units);
            if own { Source::Part(*value) } else { Source::Whole(*value) }
        };
        let inputs = operands.iter().map(source).collect();
        let work = Work::Combine { pair, constant };
        Ok(Operation { nodes: vec![at], inputs, outputs: vec![out], units, work })
    }

    /// An operand where it is a tensor.
    fn constant(&self, node: &Node, at: usize) -> Option<(Values, Vec<usize>)> {
        self.tensor(node, at).ok().map(|tensor| (owned(tensor), tensor.shape.clone()))
    }

    fn trees(&self, node: &Node) -> Result<Trees, RunError> {
        let [feature, threshold, left, right] =
            [self.numbers(node, 1)?, self.numbers(node, 2)?, self.numbers(node, 3)?, self.numbers(node, 4)?];
        let nodes = (0..feature.len()).map(|at| [feature[at], threshold[at], left[at], right[at]]).collect();
        let missing = match self.tensor(node, 8) {
            Ok(missing) => int8(owned(missing).view())?.to_vec(),
            Err(_) => Vec::new(),
        };
        let (roots, leaves, base) = (self.numbers(node, 5)?, self.numbers(node, 6)?, self.numbers(node, 7)?);
        Ok(Trees { nodes, missing, roots, leaves, base })
    }
}

impl Operation {
    /// Runs some units.
    pub fn run(
        &self,
        at: usize,
        inputs: &[View<'_>],
        outputs: &mut [ViewMut<'_>],
        units: usize,
        geometry: &Geometry,
        space: &mut Space,
    ) -> Result<(), RunError> {
        let [first, rest @ ..] = outputs else { return Err(RunError::defect("a node without outputs")) };
        let length = first.len();
        let out = first.part(0..length);
        let width = || geometry.input(0);
        match &self.work {
            Work::Product { weights, epilogue, scaled } => {
                let k = weights.k();
                let x = int8(inputs[0])?;
                let x = Matrix::dense(x, x.len() / k, k)?;
                let scales = if *scaled { int32(inputs[1])? } else { &[] };
                product(x, weights, epilogue, scales, matrix_mut(out, weights.n())?, &mut space.scratch)?;
            }
            Work::Convolution(taps) => {
                let Some(Special::Convolution(scratch)) = &mut space.special[at] else {
                    return Err(RunError::defect("no memory for a convolution"));
                };
                products::convolution(int8(inputs[0])?, taps, out, scratch)?;
            }
            Work::MatrixProduct { transposed } => {
                let packed = space.packed[at].as_mut().ok_or_else(|| RunError::defect("no packed memory"))?;
                let (a, b) = (inputs[0], inputs[1]);
                products::matrix_product(a, b, *transposed, out, geometry, packed, &mut space.scratch)?;
            }
            Work::Attention { attention, .. } => {
                let Some(Special::Attention(scratch)) = &mut space.special[at] else {
                    return Err(RunError::defect("no memory for an attention"));
                };
                products::attention(inputs, attention, out, geometry, &mut space.seen, scratch)?;
            }
            Work::Finish { epilogue, columns, scaled } => {
                let scales = if *scaled { int32(inputs[1])? } else { &[] };
                finish(
                    space.kernel,
                    matrix(inputs[0], *columns)?,
                    epilogue,
                    scales,
                    matrix_mut(out, *columns)?,
                )?;
            }
            Work::Requantise { scale_shift } => {
                let [scales] = rest else { return Err(RunError::defect("no scales")) };
                let (ViewMut::Int8(rows), ViewMut::Int32(scales)) = (out, scales) else {
                    return Err(RunError::defect("rows that are not int8, or scales that are not int32"));
                };
                let rows = MatrixMut::dense(rows, scales.len(), width())?;
                requantise_rows(space.kernel, matrix(inputs[0], width())?, *scale_shift, rows, scales)?;
            }
            Work::Combine { pair, constant } => {
                let b = constant.as_ref().map_or_else(|| inputs[1], |(values, _)| values.view());
                combine(space.kernel, *pair, Operands { a: inputs[0], b, units, geometry }, out)?;
            }
            Work::Lookup { table, offset } => lookup(inputs[0], table.view(), *offset, out)?,
            Work::LayerNorm(norm) => {
                norm.run(space.kernel, matrix(inputs[0], width())?, matrix_mut(out, width())?)?;
            }
            Work::Softmax(softmax) => softmax.run(inputs[0], inputs.get(1).copied(), out, geometry),
            Work::L2Normalise { fraction_bits } => {
                norms::l2_normalise(inputs[0], *fraction_bits, out, width())
            }
            Work::Cosine { fraction_bits, constant } => {
                let b = constant.as_ref().map_or_else(|| inputs[1], |(values, _)| values.view());
                norms::cosine(inputs[0], b, *fraction_bits, out, units, geometry)?;
            }
            Work::Pool { of, sum: true } => pools::pool::<true>(inputs[0], of, out, geometry),
            Work::Pool { of, sum: false } => pools::pool::<false>(inputs[0], of, out, geometry),
            Work::MeanPool { fraction_bits } => {
                pools::mean_pool(inputs[0], inputs.get(1).copied(), *fraction_bits, out, geometry);
            }
            _ => self.gather(inputs, out, rest, units, geometry)?,
        }
        Ok(())
    }

    /// Choices, gathering and layout.
    fn gather(
        &self,
        inputs: &[View<'_>],
        mut out: ViewMut<'_>,
        rest: &mut [ViewMut<'_>],
        units: usize,
        geometry: &Geometry,
    ) -> Result<(), RunError> {
        match &self.work {
            Work::Argmax => argmax(inputs[0], out, geometry.input(0)),
            Work::TopK { k } => {
                let [indices] = rest else { return Err(RunError::defect("no indices")) };
                let length = indices.len();
                top_k(inputs[0], out, indices.part(0..length), geometry.input(0), *k);
            }
            Work::Trees(trees) => trees.run(inputs[0], out, geometry.input(0))?,
            Work::Embedding { table, width } => layout::embedding(inputs[0], table.view(), out, *width)?,
            Work::Positions => layout::positions(out, geometry.output(0)),
            Work::TakeRow => layout::take_row(inputs[0], inputs[1], out, geometry)?,
            Work::CacheWrite => layout::cache_write(inputs[0], inputs[1], inputs[2], out, geometry)?,
            Work::Copy => layout::copy(inputs[0], out)?,
            Work::Transpose { order } => layout::transpose(inputs[0], order, out, geometry)?,
            Work::Concatenate { axis } => layout::concatenate(inputs, *axis, &mut out, units, geometry)?,
            Work::Slice { axis, start } => {
                layout::slice(inputs[0], *axis, *start, &mut out, units, geometry)?
            }
            _ => return Err(RunError::defect("an operation without a form")),
        }
        Ok(())
    }

    /// Extents of the second operand where it is a tensor.
    pub fn constant_shape(&self) -> Option<&[usize]> {
        match &self.work {
            Work::Combine { constant: Some((_, shape)), .. }
            | Work::Cosine { constant: Some((_, shape)), .. } => Some(shape),
            _ => None,
        }
    }
}
