//! Admission of choices: argmax, top-k, trees.

use super::{Case, INT32, Proven};
use crate::artefact::container::{Dtype, Tensor};
use crate::artefact::error::{ArtefactError, Limit};
use crate::artefact::graph::Axis;

/// The most trees.
const MAXIMUM_TREES: usize = 1 << 16;
/// The deepest tree, in comparisons.
const MAXIMUM_TREE_DEPTH: u32 = 1_024;
/// The most nodes x classes, and the most trees x classes.
const MAXIMUM_TREE_WORK: u128 = 1 << 24;

pub fn argmax(case: &Case<'_>) -> Result<Proven, ArtefactError> {
    let x = case.value(0)?;
    let (last, leading) = case.row(0, &x.shape)?;
    if leading.is_empty() {
        return case.blame(0, "one axis, not at least 2");
    }
    case.proven(Dtype::Int32, leading.to_vec(), (0, case.limit(last) - 1))
}

pub fn top_k(case: &Case<'_>, k: usize) -> Result<Vec<Proven>, ArtefactError> {
    let x = case.value(0)?;
    let (last, leading) = case.row(0, &x.shape)?;
    let columns = case.fixed(0, last)?;
    if k > columns {
        return case.refuse(format!("the {k} largest of {columns}"));
    }
    let mut shape = leading.to_vec();
    shape.push(Axis::Static(k));
    let values = case.proven(x.dtype, shape.clone(), (x.lowest.into(), x.highest.into()))?;
    let indices = case.proven(Dtype::Int32, shape, (0, columns as i128 - 1))?;
    Ok(vec![values, indices])
}

/// Where the operands of `tree_ensemble` stand.
mod operand {
    pub const X: usize = 0;
    pub const FEATURE: usize = 1;
    pub const THRESHOLD: usize = 2;
    pub const LEFT: usize = 3;
    pub const RIGHT: usize = 4;
    pub const ROOTS: usize = 5;
    pub const LEAVES: usize = 6;
    pub const BASE: usize = 7;
    pub const MISSING: usize = 8;
}

pub fn tree_ensemble(case: &Case<'_>) -> Result<Proven, ArtefactError> {
    case.typed(operand::X, Dtype::Int32)?;
    let [batch, features] = case.axes::<2>(operand::X)?;
    if batch != Axis::Batch {
        return case.blame(operand::X, "axis 0 is not the batch");
    }
    let features = case.fixed(operand::X, features)?;
    let (feature, [nodes]) = case.tensor::<1>(operand::FEATURE, &[Dtype::Int32])?;
    case.within(operand::FEATURE, feature, 0, features as i64 - 1)?;
    case.vector(operand::THRESHOLD, &[Dtype::Int32], nodes)?;
    let left = case.vector(operand::LEFT, &[Dtype::Int32], nodes)?;
    let right = case.vector(operand::RIGHT, &[Dtype::Int32], nodes)?;
    let (roots, [trees]) = case.tensor::<1>(operand::ROOTS, &[Dtype::Int32])?;
    if trees > MAXIMUM_TREES {
        return case.blame(operand::ROOTS, format!("{trees} trees, more than {MAXIMUM_TREES}"));
    }
    let (leaves, [rows, classes]) = case.tensor::<2>(operand::LEAVES, &[Dtype::Int32])?;
    let base = case.vector(operand::BASE, &[Dtype::Int32], classes)?;
    if case.given.len() > operand::MISSING {
        let missing = case.vector(operand::MISSING, &[Dtype::Int8], nodes)?;
        case.within(operand::MISSING, missing, 0, 1)?;
    }
    let work = (nodes as u128).max(trees as u128) * classes as u128;
    if work > MAXIMUM_TREE_WORK {
        return Err(ArtefactError::limit(
            case.place,
            Limit::Elements,
            format_args!("{MAXIMUM_TREE_WORK} nodes or trees x classes, as"),
        ));
    }
    for (at, links) in [(operand::LEFT, left), (operand::RIGHT, right)] {
        for (node, link) in links.iter().enumerate() {
            let exists =
                if link < 0 { -1 - link < rows as i64 } else { link > node as i64 && link < nodes as i64 };
            if !exists {
                return case.blame(at, format!("node {node} leads to {link}: no later node and no leaf"));
            }
        }
    }
    if let Some(root) = roots.iter().find(|root| *root >= nodes as i64 || -1 - *root >= rows as i64) {
        return case.blame(operand::ROOTS, format!("{root} is neither a node nor a leaf"));
    }
    let forest = Forest { left: &links(left), right: &links(right), roots: &links(roots) };
    let deepest = forest.depths().max().unwrap_or(0);
    if deepest > MAXIMUM_TREE_DEPTH {
        return case.refuse(format!("a tree of depth {deepest}, more than {MAXIMUM_TREE_DEPTH}"));
    }
    let leaves: Vec<i32> = links(leaves);
    let mut range = (i128::MAX, i128::MIN);
    for (class, base) in base.iter().enumerate() {
        let (lowest, highest, magnitude) = forest.sums(|leaf| leaves[leaf * classes + class]);
        case.at_most("a partial sum of the trees", i128::from(base).abs() + i128::from(magnitude), INT32)?;
        let ends = (i128::from(base) + i128::from(lowest), i128::from(base) + i128::from(highest));
        range = (range.0.min(ends.0), range.1.max(ends.1));
    }
    case.proven(Dtype::Int32, vec![batch, Axis::Static(classes)], range)
}

fn links(tensor: &Tensor) -> Vec<i32> {
    tensor.iter().map(|link| i32::try_from(link).unwrap_or(i32::MIN)).collect()
}

/// The trees of an ensemble as links, checked to point forward.
pub struct Forest<'a> {
    /// Where each node leads if the comparison holds.
    pub left: &'a [i32],
    /// Where it leads if not.
    pub right: &'a [i32],
    /// Where each tree begins.
    pub roots: &'a [i32],
}

impl Forest<'_> {
    /// The longest way of each tree, in comparisons.
    pub fn depths(&self) -> impl Iterator<Item = u32> + '_ {
        let mut below = vec![0u32; self.left.len()];
        for node in (0..below.len()).rev() {
            let depth = |link: i32| usize::try_from(link).map_or(0, |next| below[next]);
            below[node] = 1 + depth(self.left[node]).max(depth(self.right[node]));
        }
        self.roots.iter().map(move |root| usize::try_from(*root).map_or(0, |node| below[node]))
    }

    /// Over all trees: the sums of the smallest leaves, of the largest, and of the largest magnitudes.
    fn sums(&self, leaf: impl Fn(usize) -> i32) -> (i64, i64, i64) {
        let mut below = vec![(0i32, 0i32); self.left.len()];
        let ends = |below: &[(i32, i32)], link: i32| match usize::try_from(link) {
            Ok(node) => below[node],
            // A leaf that exists, as every link was checked.
            Err(_) => {
                let value = leaf((-1 - i64::from(link)).unsigned_abs() as usize);
                (value, value)
            }
        };
        for node in (0..below.len()).rev() {
            let (left, right) = (ends(&below, self.left[node]), ends(&below, self.right[node]));
            below[node] = (left.0.min(right.0), left.1.max(right.1));
        }
        self.roots.iter().map(|root| ends(&below, *root)).fold((0, 0, 0), |sums, (low, high)| {
            let magnitude = i64::from(low).abs().max(i64::from(high).abs());
            (sums.0 + i64::from(low), sums.1 + i64::from(high), sums.2 + magnitude)
        })
    }
}
