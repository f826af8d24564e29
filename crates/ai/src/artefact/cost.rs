//! What a run costs, from the graph and the extents alone: multiply-accumulates and bytes, node by node.

use std::collections::BTreeSet;

use super::admission::Forest;
use super::container::Tensor;
use super::graph::{Extents, Graph, Node, Operand};
use super::operator::Operator;

/// What one node costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCost {
    /// Multiply-accumulates, and simple operations, one each.
    pub macs: u128,
    /// Bytes of its operands and outputs, each once.
    pub bytes: u128,
}

/// What a run costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// In sum.
    pub total: NodeCost,
    /// By node.
    pub nodes: Vec<NodeCost>,
}

impl Graph {
    /// The cost of a run of `extents`.
    #[must_use]
    pub fn cost(&self, extents: Extents) -> Cost {
        let nodes: Vec<NodeCost> = self.nodes.iter().map(|node| self.node_cost(node, extents)).collect();
        let total = nodes.iter().fold(NodeCost::default(), |sum, node| NodeCost {
            macs: sum.macs + node.macs,
            bytes: sum.bytes + node.bytes,
        });
        Cost { total, nodes }
    }

    fn node_cost(&self, node: &Node, extents: Extents) -> NodeCost {
        NodeCost { macs: self.macs(node, extents), bytes: self.bytes(node, extents) }
    }

    fn bytes(&self, node: &Node, extents: Extents) -> u128 {
        let value = |at: usize| {
            let facts = &self.values[at];
            extents.elements(&facts.shape) * facts.dtype.bytes() as u128
        };
        let distinct: BTreeSet<&Operand> = node.inputs.iter().collect();
        let made: u128 = node.outputs.iter().map(|output| value(*output)).sum();
        let read: u128 = distinct
            .into_iter()
            .map(|operand| match operand {
                Operand::Value(at) => value(*at),
                // Of the table, what the output takes.
                Operand::Tensor(_) if node.operator == Operator::Embedding => made,
                Operand::Tensor(at) => self.tensors[*at].1.bytes().len() as u128,
            })
            .sum();
        read + made
    }

    /// Extents of an operand.
    fn shape(&self, operand: Operand, extents: Extents) -> Vec<u128> {
        match operand {
            Operand::Value(at) => {
                extents.shape(&self.values[at].shape).into_iter().map(|size| size as u128).collect()
            }
            Operand::Tensor(at) => self.tensors[at].1.shape.iter().map(|size| *size as u128).collect(),
        }
    }

    fn macs(&self, node: &Node, extents: Extents) -> u128 {
        let shape = |at: usize| self.shape(node.inputs[at], extents);
        let size = |at: usize| shape(at).iter().product::<u128>();
        let out = extents.elements(&self.values[node.outputs[0]].shape);
        let last = |at: usize| shape(at).last().copied().unwrap_or(1);
        match &node.operator {
            Operator::Linear | Operator::MatrixProduct { .. } => out * last(0),
            Operator::Convolution(_) => out * shape(1)[1..].iter().product::<u128>(),
            Operator::Attention(of) => {
                let (query, value) = (shape(0), shape(2));
                let pairs = query[1] * value[1];
                let (width, value_width) = (query[2], value[2]);
                query[0]
                    * (pairs * (width + value_width) + 2 * of.heads as u128 * pairs + query[1] * value_width)
            }
            Operator::Rescale { .. } | Operator::Relu | Operator::Clamp(_) | Operator::Lookup { .. } => {
                size(0)
            }
            Operator::RequantiseRows { .. } | Operator::RescaleRows { .. } | Operator::L2Normalise { .. } => {
                2 * size(0)
            }
            Operator::Add(_) | Operator::Mul | Operator::Embedding => out,
            Operator::LayerNorm(_) => 4 * size(0),
            Operator::Softmax { .. } => 3 * size(0),
            Operator::Cosine { .. } => 3 * out * last(0),
            Operator::MaxPool(pool) | Operator::SumPool(pool) => {
                out * (pool.window[0] * pool.window[1]) as u128
            }
            Operator::MeanPool { .. } | Operator::Argmax => size(0),
            Operator::TopK { k } => *k as u128 * size(0),
            Operator::TreeEnsemble => self.tree_macs(node, extents),
            Operator::Positions { .. }
            | Operator::TakeRow
            | Operator::CacheWrite
            | Operator::Reshape { .. }
            | Operator::Transpose { .. }
            | Operator::Concatenate { .. }
            | Operator::Slice { .. } => 0,
        }
    }

    fn tree_macs(&self, node: &Node, extents: Extents) -> u128 {
        let links = |at: usize| -> Vec<i32> {
            let Operand::Tensor(tensor) = node.inputs[at] else { return Vec::new() };
            let tensor: &Tensor = &self.tensors[tensor].1;
            tensor.iter().map(|link| i32::try_from(link).unwrap_or(i32::MIN)).collect()
        };
        let (left, right, roots) = (links(3), links(4), links(5));
        let depths: u128 =
            Forest { left: &left, right: &right, roots: &roots }.depths().map(u128::from).sum();
        let classes = self.shape(node.inputs[7], extents)[0];
        extents.batch as u128 * (depths + roots.len() as u128 * classes)
    }
}
