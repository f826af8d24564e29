//! A graph made ready for one kernel: weights packed once, chains of nodes fused into one call, each node's unit of
//! independent work named.
//!
//! Fused, because an intermediate value would only travel through memory: `linear` or `convolution` with the `rescale` or
//! `rescale_rows` and the `lookup` that follow it, where nobody else reads what is between.

use crate::artefact::graph::{Axis, Graph, Node, Operand};
use crate::artefact::operator::{Clamp, Operator};
use crate::artefact::{Dtype, Tensor};
use crate::kernels::{Epilogue, Kernel, Matrix, Packed, Rescale, Table};

use super::error::RunError;
use super::values::Values;
use super::work::Work;

/// Where an operation reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A value of which each unit has its part.
    Part(usize),
    /// A value that all units read whole.
    Whole(usize),
}

impl Source {
    /// The value.
    pub const fn value(self) -> usize {
        match self {
            Self::Part(value) | Self::Whole(value) => value,
        }
    }
}

/// One call: one node, or several fused.
pub struct Operation {
    /// The nodes that it stands for, by index; the first names it.
    pub nodes: Vec<usize>,
    /// The axes along which units are independent of each other: outer axes of every part.
    pub units: Vec<Axis>,
    /// What it reads.
    pub inputs: Vec<Source>,
    /// The values that it makes, a part for each unit.
    pub outputs: Vec<usize>,
    /// What it does.
    pub work: Work,
}

/// Prepares every node.
pub fn prepare(graph: &Graph, kernel: Kernel) -> Result<Vec<Operation>, RunError> {
    let uses = uses(graph);
    let mut makers = vec![None; graph.values.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        node.outputs.iter().for_each(|value| makers[*value] = Some(at));
    }
    let preparing = Preparing { graph, kernel, uses: &uses, makers: &makers };
    let mut done = vec![false; graph.nodes.len()];
    let mut operations = Vec::new();
    for at in 0..graph.nodes.len() {
        if !done[at] {
            let operation = preparing.operation(at)?;
            operation.nodes.iter().for_each(|node| done[*node] = true);
            operations.push(operation);
        }
    }
    Ok(operations)
}

/// Bytes beside the packed weights for each element of a small tensor: an epilogue keeps it in several forms.
const SMALL_TENSOR_BYTES: u128 = 32;
/// The same for each node and each group of a convolution.
const ENTRY_BYTES: u128 = 512;

/// Bytes that `prepare` takes, at most.
pub fn prepared_bytes(graph: &Graph, kernel: Kernel) -> Result<u128, RunError> {
    let mut bytes = 0;
    for node in &graph.nodes {
        bytes += ENTRY_BYTES;
        if let Operator::Rescale { .. } | Operator::RescaleRows { .. } = node.operator {
            // One multiplier is kept for each column, even if the tensor has one for all.
            bytes += columns(&graph.values[node.outputs[0]].shape) as u128 * SMALL_TENSOR_BYTES;
        }
        for (at, operand) in node.inputs.iter().enumerate() {
            let Operand::Tensor(tensor) = operand else { continue };
            let tensor = &graph.tensors[*tensor].1;
            bytes += match (&node.operator, at) {
                (Operator::Linear, 1) => Packed::bytes(kernel, tensor.shape[0], tensor.shape[1])? as u128,
                (Operator::Convolution(of), 1) => {
                    let depth = tensor.elements() / tensor.shape[0];
                    let group = Packed::bytes(kernel, tensor.shape[0] / of.groups, depth)? as u128;
                    tensor.elements() as u128 + of.groups as u128 * (group + ENTRY_BYTES)
                }
                (Operator::Embedding | Operator::Lookup { .. }, 1) => 2 * tensor.bytes().len() as u128,
                _ => tensor.elements() as u128 * SMALL_TENSOR_BYTES,
            };
        }
    }
    Ok(bytes)
}

/// Which nodes read each value; an output of the graph counts as a reader of its own.
fn uses(graph: &Graph) -> Vec<Vec<usize>> {
    let mut uses = vec![Vec::new(); graph.values.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        for operand in &node.inputs {
            if let Operand::Value(value) = operand {
                uses[*value].push(at);
            }
        }
    }
    graph.outputs.iter().for_each(|(value, _)| uses[*value].push(usize::MAX));
    uses
}

/// The graph while one operation is made.
pub struct Preparing<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Which instructions will be used.
    pub kernel: Kernel,
    uses: &'a [Vec<usize>],
    makers: &'a [Option<usize>],
}

/// What happens to sums before they are stored, with the nodes that it stands for.
pub struct Ending {
    /// For the kernel.
    pub epilogue: Epilogue,
    /// The value with the scales of rows, if there is one.
    pub scales: Option<usize>,
    /// The nodes after the product.
    pub nodes: Vec<usize>,
    /// The value that is stored.
    pub output: usize,
}

impl Preparing<'_> {
    /// A tensor operand.
    pub fn tensor(&self, node: &Node, at: usize) -> Result<&Tensor, RunError> {
        match node.inputs.get(at) {
            Some(Operand::Tensor(tensor)) => Ok(&self.graph.tensors[*tensor].1),
            _ => Err(RunError::defect("a missing tensor")),
        }
    }

    /// A tensor operand's elements as int32.
    pub fn numbers(&self, node: &Node, at: usize) -> Result<Vec<i32>, RunError> {
        Ok(self.tensor(node, at)?.iter().map(|number| number as i32).collect())
    }

    /// A value operand.
    pub fn value(&self, node: &Node, at: usize) -> Result<usize, RunError> {
        match node.inputs.get(at) {
            Some(Operand::Value(value)) => Ok(*value),
            _ => Err(RunError::defect("a missing value")),
        }
    }

    /// The axes of a value.
    pub fn shape(&self, value: usize) -> &[Axis] {
        &self.graph.values[value].shape
    }

    /// All axes but the last: the units of an operator that works on rows.
    pub fn rows(&self, value: usize) -> Vec<Axis> {
        self.shape(value).split_last().map_or_else(Vec::new, |(_, leading)| leading.to_vec())
    }

    /// The same for an operator that works on elements: along a single symbol, each is a unit.
    pub fn elements(&self, value: usize) -> Vec<Axis> {
        match self.shape(value) {
            [symbol @ (Axis::Batch | Axis::Sequence)] => vec![*symbol],
            _ => self.rows(value),
        }
    }

    /// The batch, where a value has it: the units of an operator that works on items.
    pub fn items(&self, value: usize) -> Vec<Axis> {
        self.shape(value).first().filter(|axis| **axis == Axis::Batch).into_iter().copied().collect()
    }

    /// A value as a source of units: a part of it for each where it has them, whole where not.
    pub fn source(&self, value: usize, units: &[Axis]) -> Source {
        if self.shape(value).starts_with(units) { Source::Part(value) } else { Source::Whole(value) }
    }

    /// The only reader of a value.
    fn only_reader(&self, value: usize) -> Option<usize> {
        match self.uses[value].as_slice() {
            [one] if *one != usize::MAX => Some(*one),
            _ => None,
        }
    }

    /// What follows the sums of node `at` and can be done while they are stored.
    pub fn ending(&self, at: usize) -> Result<Ending, RunError> {
        let output = self.graph.nodes[at].outputs[0];
        let mut ending = Ending { epilogue: Epilogue::SUMS, scales: None, nodes: Vec::new(), output };
        let Some(next) = self.only_reader(output) else { return Ok(ending) };
        let node = &self.graph.nodes[next];
        // As the first operand, not as the scales.
        if node.inputs[0] != Operand::Value(output) {
            return Ok(ending);
        }
        // Scales must be known when the product runs.
        if matches!(node.operator, Operator::RescaleRows { .. })
            && self.makers[self.value(node, 1)?].is_some_and(|maker| maker > at)
        {
            return Ok(ending);
        }
        let Some((epilogue, scales)) = self.rescaling(node)? else { return Ok(ending) };
        ending = Ending { epilogue, scales, nodes: vec![next], output: node.outputs[0] };
        let Some(after) = self.only_reader(ending.output) else { return Ok(ending) };
        if let Operator::Lookup { offset } = self.graph.nodes[after].operator
            && let Ok(looked_up) =
                ending.epilogue.clone().then_lookup(table(self.tensor(&self.graph.nodes[after], 1)?), offset)
        {
            ending.epilogue = looked_up;
            ending.nodes.push(after);
            ending.output = self.graph.nodes[after].outputs[0];
        }
        Ok(ending)
    }

    /// The epilogue of a node that rescales or clamps, and the value with its scales.
    pub fn rescaling(&self, node: &Node) -> Result<Option<(Epilogue, Option<usize>)>, RunError> {
        let facts = &self.graph.values[self.value(node, 0)?];
        let largest = facts.lowest.abs().max(facts.highest.abs());
        let columns = self.columns(node.outputs[0]);
        let (multipliers, bias, clamp, scales);
        let (shift, bias_shift, zero_point) = match &node.operator {
            Operator::Rescale { shift, zero_point, clamp: ends } => {
                (multipliers, bias, clamp, scales) = (self.numbers(node, 1)?, Vec::new(), *ends, None);
                (*shift, 0, *zero_point)
            }
            Operator::RescaleRows { shift, bias_shift, clamp: ends } => {
                let given = if node.inputs.len() > 3 { self.numbers(node, 3)? } else { Vec::new() };
                (multipliers, bias, clamp) = (self.numbers(node, 2)?, given, *ends);
                scales = Some(self.value(node, 1)?);
                (*shift, *bias_shift, 0)
            }
            Operator::Clamp(Clamp { minimum, maximum, .. }) => {
                return Ok(Some((Epilogue::clamp(*minimum, *maximum), None)));
            }
            Operator::Relu => return Ok(Some((Epilogue::clamp(0, top(facts.dtype)), None))),
            _ => return Ok(None),
        };
        let epilogue = Epilogue::rescale(
            columns,
            &Rescale {
                multipliers: &multipliers,
                bias: &bias,
                bias_shift,
                shift,
                zero_point,
                minimum: clamp.minimum,
                maximum: clamp.maximum,
                largest,
                scaled: scales.is_some(),
            },
        )?;
        Ok(Some((epilogue, scales)))
    }

    /// Extent of the last axis where it is fixed, else 1.
    pub fn columns(&self, value: usize) -> usize {
        columns(self.shape(value))
    }

    /// The weights of `linear`, with its bias.
    pub fn weights(&self, node: &Node) -> Result<Packed, RunError> {
        let weight = self.tensor(node, 1)?;
        let elements: Vec<i8> = weight.bytes().iter().map(|byte| byte.cast_signed()).collect();
        let packed = Packed::rows(self.kernel, Matrix::dense(&elements, weight.shape[0], weight.shape[1])?)?;
        if node.inputs.len() > 2 { Ok(packed.with_bias(&self.numbers(node, 2)?)?) } else { Ok(packed) }
    }
}

fn columns(shape: &[Axis]) -> usize {
    match shape {
        [.., Axis::Static(size)] => *size,
        _ => 1,
    }
}

fn top(dtype: Dtype) -> i32 {
    i32::try_from(dtype.range().1).unwrap_or(i32::MAX)
}

/// A tensor's elements in memory of their own.
pub fn owned(tensor: &Tensor) -> Values {
    fn words<const N: usize, T>(bytes: &[u8], word: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks().0.iter().map(|bytes| word(*bytes)).collect()
    }
    let bytes = tensor.bytes();
    match tensor.dtype {
        Dtype::Int8 => Values::Int8(bytes.iter().map(|byte| byte.cast_signed()).collect()),
        Dtype::Int16 => Values::Int16(words(bytes, i16::from_le_bytes)),
        Dtype::Int32 => Values::Int32(words(bytes, i32::from_le_bytes)),
    }
}

/// A tensor as a kernel's table.
pub fn table(tensor: &Tensor) -> Table {
    match owned(tensor) {
        Values::Int8(entries) => Table::Int8(entries),
        Values::Int16(entries) => Table::Int16(entries),
        Values::Int32(entries) => Table::Int32(entries),
    }
}
