//! Choices: argmax, top-k, trees.

use super::super::error::RunError;
use super::super::values::{Element, View, ViewMut, each};
use super::{both, put};

/// The lowest index of the largest element of each row.
pub fn argmax(x: View<'_>, mut out: ViewMut<'_>, width: usize) {
    each!(View, x, x => for (row, x) in x.chunks_exact(width).enumerate() {
        let mut best = 0;
        for at in 1..width {
            if x[at] > x[best] {
                best = at;
            }
        }
        put(&mut out, row, best as i64);
    });
}

/// The `k` largest of each row with their indices: by value descending, ties by index ascending.
pub fn top_k(x: View<'_>, values: ViewMut<'_>, mut indices: ViewMut<'_>, width: usize, k: usize) {
    let mut order: Vec<usize> = Vec::with_capacity(width);
    both!(x, values, (x, values) => {
        for (row, x) in x.chunks_exact(width).enumerate() {
            order.clear();
            order.extend(0..width);
            let key = |at: &usize| (std::cmp::Reverse(x[*at]), *at);
            if k < width {
                order.select_nth_unstable_by_key(k - 1, key);
                order.truncate(k);
            }
            order.sort_unstable_by_key(key);
            for (place, at) in order.iter().enumerate() {
                values[row * k + place] = Element::low(x[*at].wide());
                put(&mut indices, row * k + place, *at as i64);
            }
        }
    });
}

/// An ensemble of trees.
pub struct Trees {
    /// By node: feature, threshold, where it leads if the comparison holds, and if not.
    pub nodes: Vec<[i32; 4]>,
    /// By node: whether a missing feature leads left; empty if none can be missing.
    pub missing: Vec<i8>,
    /// Where each tree begins.
    pub roots: Vec<i32>,
    /// A row of classes for each leaf.
    pub leaves: Vec<i32>,
    /// Added once.
    pub base: Vec<i32>,
}

/// The code of a feature that is not there.
const MISSING: i32 = i32::MIN;

impl Trees {
    /// The sums of the leaves that each row of features reaches.
    pub fn run(&self, x: View<'_>, out: ViewMut<'_>, features: usize) -> Result<(), RunError> {
        let (View::Int32(x), ViewMut::Int32(out)) = (x, out) else {
            return Err(RunError::defect("features or leaves that are not int32"));
        };
        let classes = self.base.len();
        for (x, out) in x.chunks_exact(features).zip(out.chunks_exact_mut(classes)) {
            out.copy_from_slice(&self.base);
            for root in &self.roots {
                let leaf = self.leaf(*root, x);
                let row = &self.leaves[leaf * classes..(leaf + 1) * classes];
                out.iter_mut().zip(row).for_each(|(out, leaf)| *out += leaf);
            }
        }
        Ok(())
    }

    fn leaf(&self, root: i32, x: &[i32]) -> usize {
        let mut link = root;
        while let Ok(node) = usize::try_from(link) {
            let [feature, threshold, left, right] = self.nodes[node];
            let feature = x[feature as usize];
            let goes_left = match self.missing.get(node) {
                Some(left) if feature == MISSING => *left == 1,
                _ => feature <= threshold,
            };
            link = if goes_left { left } else { right };
        }
        // Links below 0 are leaves: -1 is the first.
        !link as usize
    }
}
