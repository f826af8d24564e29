//! A run before it begins: which operations go together, where each value lies, how much memory it all takes.
//!
//! A *chain* is a run of operations with the same units. It is worked off block of units by block of units, so that what
//! passes between its operations stays in the cache: such a value has a small *local* buffer per thread. What passes between
//! chains has a *slot* for a share of the batch; slots and locals are used again as soon as nobody reads them any more.

use std::ops::Range;

use crate::artefact::Dtype;
use crate::artefact::graph::{Axis, Extents, Graph};
use crate::kernels::{AttentionScratch, ConvolutionScratch, Kernel, Packed, Scratch};

use super::error::RunError;
use super::operators::Geometry;
use super::prepare::{Operation, Source};
use super::work::{Special, Work};

/// Bytes of the buffers that a block of units touches, about: they should stay in a core's own cache.
const BLOCK_BYTES: usize = 768 << 10;
/// Units of a block are a multiple of this where there are as many: rows of the products' tiles.
const BLOCK_STEP: usize = 12;
/// Bytes of the slots that a share of the batch takes, about.
const SHARE_BYTES: usize = 2 << 20;
/// The largest share of a batch.
const SHARE_ITEMS: usize = 4_096;

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the caller's input.
    Input(usize),
    /// In the caller's output.
    Output(usize),
    /// In a buffer of this share of the batch.
    Slot(usize),
    /// In a buffer of one block of units.
    Local(usize),
}

/// How large a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Elements, of one item where it has a batch.
    pub elements: usize,
    /// Whether it has a batch.
    pub batched: bool,
}

impl Size {
    /// Elements for so many items.
    pub const fn of(self, items: usize) -> usize {
        if self.batched { self.elements * items } else { self.elements }
    }
}

/// Operations that are worked off block by block.
#[derive(Debug)]
pub struct Chain {
    /// The operations.
    pub operations: Range<usize>,
    /// Units, of one item where they have a batch.
    pub units: Size,
    /// Units of one block.
    pub block: usize,
    /// Multiply-accumulates of one item.
    pub macs: u128,
}

impl Chain {
    /// How many threads divide its units: no more than have `thread_macs` each, which make up for their start.
    pub fn parts(&self, items: usize, threads: usize, thread_macs: u128) -> usize {
        let worth = self.macs.saturating_mul(items as u128) / thread_macs.max(1);
        threads.min(self.units.of(items)).min(usize::try_from(worth).unwrap_or(usize::MAX)).max(1)
    }
}

/// Everything that is known of a run before it begins.
#[derive(Debug)]
pub struct Plan {
    /// Items of one share of the batch.
    pub share: usize,
    /// By operation.
    pub geometry: Vec<Geometry>,
    /// In order.
    pub chains: Vec<Chain>,
    /// By value.
    pub places: Vec<Place>,
    /// By value.
    pub sizes: Vec<Size>,
    /// Type and elements of the buffers of a share.
    pub slots: Vec<(Dtype, usize)>,
    /// Type and elements of the buffers of a thread.
    pub locals: Vec<(Dtype, usize)>,
    /// The deepest product.
    depth: usize,
    /// By operation: columns and depth of what a matrix product packs.
    pub packed: Vec<Option<(usize, usize)>>,
    /// The most keys of an attention.
    pub keys: usize,
}

/// Buffers by type, given out and taken back.
#[derive(Default)]
struct Buffers {
    all: Vec<(Dtype, usize)>,
    free: [Vec<usize>; 3],
}

/// How many free buffers are looked at for one that fits.
const LOOKED_AT: usize = 8;

impl Buffers {
    fn list(&mut self, dtype: Dtype) -> &mut Vec<usize> {
        &mut self.free[dtype.bytes() / 2]
    }

    fn take(&mut self, dtype: Dtype, length: usize) -> usize {
        let free = &self.free[dtype.bytes() / 2];
        let first = free.len().saturating_sub(LOOKED_AT);
        // The one that fits best: the smallest that is large enough, else the largest.
        let fit = |place: &usize| {
            let has = self.all[free[*place]].1;
            if has >= length { (0, has) } else { (1, usize::MAX - has) }
        };
        if let Some(place) = (first..free.len()).min_by_key(fit) {
            let at = self.list(dtype).swap_remove(place);
            self.all[at].1 = self.all[at].1.max(length);
            return at;
        }
        self.all.push((dtype, length));
        self.all.len() - 1
    }

    fn give_back(&mut self, at: usize) {
        let dtype = self.all[at].0;
        self.list(dtype).push(at);
    }
}

impl Plan {
    /// Plans a run of `extents`; at most `memory_limit` bytes in all.
    pub fn new(
        graph: &Graph,
        operations: &[Operation],
        kernel: Kernel,
        extents: Extents,
        threads: usize,
        memory_limit: u128,
    ) -> Result<(Self, u128), RunError> {
        let item = Extents { batch: 1, sequence: extents.sequence };
        let sizes: Vec<Size> = graph
            .values
            .iter()
            .map(|facts| Size {
                elements: item.elements(&facts.shape) as usize,
                batched: facts.shape.first() == Some(&Axis::Batch),
            })
            .collect();
        let geometry: Vec<Geometry> =
            operations.iter().map(|operation| measure(graph, operation, item)).collect();
        let mut plan = Self {
            share: 1,
            chains: chains(graph, operations, item),
            places: vec![Place::Local(0); graph.values.len()],
            slots: Vec::new(),
            locals: Vec::new(),
            depth: depth(operations, &geometry),
            packed: operations
                .iter()
                .zip(&geometry)
                .map(|(operation, parts)| to_pack(operation, parts))
                .collect(),
            keys: keys(operations, &geometry),
            geometry,
            sizes,
        };
        plan.place(graph, operations);
        let per_item: usize = plan.slots.iter().map(|(dtype, length)| dtype.bytes() * length).sum();
        let most = extents.batch.div_ceil(threads).min(SHARE_ITEMS);
        plan.share = (SHARE_BYTES / per_item.max(1)).clamp(1, most.max(1));
        plan.scale_slots(graph, operations);
        plan.block(graph, operations);
        let bytes = plan.memory(graph, operations, kernel, extents, threads)?;
        if bytes > memory_limit { Err(RunError::memory(bytes, memory_limit)) } else { Ok((plan, bytes)) }
    }

    /// Into how many shares a batch is cut, how many of them run at once, and how many threads each of those has.
    pub fn split(&self, batch: usize, threads: usize) -> (usize, usize, usize) {
        let rounds = batch.div_ceil(threads).div_ceil(self.share);
        let shares = (rounds * threads).min(batch).max(1);
        let at_once = shares.min(threads);
        (shares, at_once, (threads / at_once).max(1))
    }

    /// Gives each value its place: for one item.
    fn place(&mut self, graph: &Graph, operations: &[Operation]) {
        let mut maker = vec![usize::MAX; graph.values.len()];
        let mut last = vec![0; graph.values.len()];
        let mut chain_of = vec![0; operations.len()];
        let mut local = vec![true; graph.values.len()];
        for (number, chain) in self.chains.iter().enumerate() {
            chain.operations.clone().for_each(|at| chain_of[at] = number);
        }
        for (at, operation) in operations.iter().enumerate() {
            operation.outputs.iter().for_each(|value| (maker[*value], last[*value]) = (at, at));
            for source in &operation.inputs {
                let value = source.value();
                last[value] = at;
                let near = maker[value] != usize::MAX && chain_of[maker[value]] == chain_of[at];
                local[value] &= near && matches!(source, Source::Part(_));
            }
        }
        graph.outputs.iter().for_each(|(value, _)| local[*value] = false);
        for (at, (value, _)) in graph.inputs.iter().enumerate() {
            self.places[*value] = Place::Input(at);
        }
        let fixed = |places: &mut [Place], value: usize| {
            let output = graph.outputs.iter().position(|(output, _)| *output == value);
            output.map(|at| places[value] = Place::Output(at)).is_some()
        };
        let mut ending = vec![Vec::new(); operations.len()];
        for (value, at) in last.iter().enumerate().filter(|(value, _)| maker[*value] != usize::MAX) {
            ending[*at].push(value);
        }
        let (mut slots, mut locals) = (Buffers::default(), Buffers::default());
        for chain in &self.chains {
            // Slots are given out for the whole chain: its blocks read and write in turn.
            for at in chain.operations.clone() {
                for value in &operations[at].outputs {
                    if !local[*value] && !fixed(&mut self.places, *value) {
                        let size = self.sizes[*value];
                        self.places[*value] =
                            Place::Slot(slots.take(graph.values[*value].dtype, size.elements));
                    }
                }
            }
            for at in chain.operations.clone() {
                for value in &operations[at].outputs {
                    if local[*value] {
                        let part = self.sizes[*value].elements / self.chain_units(chain);
                        self.places[*value] = Place::Local(locals.take(graph.values[*value].dtype, part));
                    }
                }
                for value in &ending[at] {
                    if let (true, Place::Local(buffer)) = (local[*value], self.places[*value]) {
                        locals.give_back(buffer);
                    }
                }
            }
            for value in chain.operations.clone().flat_map(|at| &ending[at]) {
                if let Place::Slot(buffer) = self.places[*value] {
                    slots.give_back(buffer);
                }
            }
        }
        (self.slots, self.locals) = (slots.all, locals.all);
    }

    fn chain_units(&self, chain: &Chain) -> usize {
        chain.units.elements.max(1)
    }

    /// Slots for a share of the batch: what each has to hold at most.
    fn scale_slots(&mut self, graph: &Graph, operations: &[Operation]) {
        self.slots.iter_mut().for_each(|(_, length)| *length = 0);
        for value in operations.iter().flat_map(|operation| &operation.outputs) {
            if let Place::Slot(slot) = self.places[*value] {
                let length = self.sizes[*value].of(self.share);
                debug_assert_eq!(self.slots[slot].0, graph.values[*value].dtype);
                self.slots[slot].1 = self.slots[slot].1.max(length);
            }
        }
    }

    /// Units of a block, and with it the size of locals.
    fn block(&mut self, graph: &Graph, operations: &[Operation]) {
        let mut lengths = vec![0; self.locals.len()];
        for number in 0..self.chains.len() {
            let chain = &self.chains[number];
            let units = self.chain_units(chain);
            let made = || chain.operations.clone().flat_map(|at| operations[at].outputs.iter().copied());
            let bytes: usize = made()
                .map(|value| self.sizes[value].elements / units * graph.values[value].dtype.bytes())
                .sum();
            let all = chain.units.of(self.share).max(1);
            let mut block = (BLOCK_BYTES / bytes.max(1)).clamp(1, all);
            if block > BLOCK_STEP && block < all {
                block -= block % BLOCK_STEP;
            }
            for value in made() {
                if let Place::Local(local) = self.places[value] {
                    lengths[local] = lengths[local].max(self.sizes[value].elements / units * block);
                }
            }
            self.chains[number].block = block;
        }
        self.locals.iter_mut().zip(lengths).for_each(|((_, length), needed)| *length = needed);
    }

    /// Bytes of everything that a run allocates, outputs included.
    fn memory(
        &self,
        graph: &Graph,
        operations: &[Operation],
        kernel: Kernel,
        extents: Extents,
        threads: usize,
    ) -> Result<u128, RunError> {
        let buffers = |all: &[(Dtype, usize)]| -> u128 {
            all.iter().map(|(dtype, length)| dtype.bytes() as u128 * *length as u128).sum()
        };
        let (_, at_once, inner) = self.split(extents.batch, threads);
        let mut thread =
            buffers(&self.locals) + self.keys as u128 + Scratch::bytes(kernel, self.depth)? as u128;
        for at in 0..operations.len() {
            thread += self.special_bytes(operations, kernel, at)? as u128;
        }
        for (n, k) in self.packed.iter().flatten() {
            thread += Packed::bytes(kernel, *n, *k)? as u128;
        }
        let outputs: u128 = graph
            .outputs
            .iter()
            .map(|(value, _)| {
                let facts = &graph.values[*value];
                extents.elements(&facts.shape) * facts.dtype.bytes() as u128
            })
            .sum();
        Ok(at_once as u128 * (buffers(&self.slots) + inner as u128 * thread) + outputs)
    }

    /// Keys, and columns of a head of query and of value.
    fn heads(&self, at: usize, heads: usize) -> Result<[usize; 3], RunError> {
        match (&self.geometry[at].inputs[0][..], &self.geometry[at].inputs[2][..]) {
            ([_, width], [keys, columns]) => Ok([*keys, width / heads, columns / heads]),
            _ => Err(RunError::defect("an attention of other axes")),
        }
    }

    fn special_bytes(&self, operations: &[Operation], kernel: Kernel, at: usize) -> Result<usize, RunError> {
        Ok(match &operations[at].work {
            Work::Attention { heads, .. } => {
                let [keys, depth, width] = self.heads(at, *heads)?;
                AttentionScratch::bytes(kernel, keys, depth, width)?
            }
            Work::Convolution(taps) => ConvolutionScratch::bytes(kernel, &taps.of)?,
            _ => 0,
        })
    }

    /// The memory of an attention or a convolution.
    pub fn special(
        &self,
        operations: &[Operation],
        kernel: Kernel,
        at: usize,
    ) -> Result<Option<Special>, RunError> {
        Ok(match &operations[at].work {
            Work::Attention { heads, .. } => {
                let [keys, depth, width] = self.heads(at, *heads)?;
                Some(Special::Attention(Box::new(AttentionScratch::new(kernel, keys, depth, width)?)))
            }
            Work::Convolution(taps) => Some(Special::Convolution(ConvolutionScratch::new(kernel, &taps.of)?)),
            _ => None,
        })
    }

    /// The memory of products.
    pub fn scratch(&self, kernel: Kernel) -> Result<Scratch, RunError> {
        Ok(Scratch::new(kernel, self.depth)?)
    }
}

fn measure(graph: &Graph, operation: &Operation, item: Extents) -> Geometry {
    let shape = |value: usize| item.shape(&graph.values[value].shape);
    let skip = operation.units.len();
    let mut inputs: Vec<Vec<usize>> = operation
        .inputs
        .iter()
        .map(|source| match source {
            Source::Part(value) => shape(*value)[skip..].to_vec(),
            Source::Whole(value) => shape(*value),
        })
        .collect();
    inputs.extend(operation.constant_shape().map(<[usize]>::to_vec));
    Geometry {
        inputs,
        outputs: operation.outputs.iter().map(|value| shape(*value)[skip..].to_vec()).collect(),
    }
}

/// Runs of operations with the same units; one that reads whole what its chain makes begins another.
fn chains(graph: &Graph, operations: &[Operation], item: Extents) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let costs = graph.cost(item).nodes;
    for (at, operation) in operations.iter().enumerate() {
        let joins = chains.last().is_some_and(|chain| {
            let mut made = chain.operations.clone().flat_map(|other| &operations[other].outputs);
            operations[chain.operations.start].units == operation.units
                && !made.any(|value| operation.inputs.contains(&Source::Whole(*value)))
        });
        let macs = operation.nodes.iter().map(|node| costs[*node].macs).sum();
        match chains.last_mut().filter(|_| joins) {
            Some(chain) => {
                chain.operations.end = at + 1;
                chain.macs += macs;
            }
            None => chains.push(Chain {
                operations: at..at + 1,
                units: Size {
                    elements: item.elements(&operation.units) as usize,
                    batched: operation.units.first() == Some(&Axis::Batch),
                },
                block: 1,
                macs,
            }),
        }
    }
    chains
}

/// The deepest product.
fn depth(operations: &[Operation], geometry: &[Geometry]) -> usize {
    let depth = |(operation, parts): (&Operation, &Geometry)| match &operation.work {
        Work::Product { weights, .. } => weights.k(),
        Work::MatrixProduct { .. } => parts.inputs[0].last().copied().unwrap_or(1),
        _ => 1,
    };
    operations.iter().zip(geometry).map(depth).max().unwrap_or(1)
}

/// The most keys of an attention.
fn keys(operations: &[Operation], geometry: &[Geometry]) -> usize {
    let keys = |(operation, parts): (&Operation, &Geometry)| match operation.work {
        Work::Attention { .. } => parts.inputs[1].first().copied().unwrap_or(0),
        _ => 0,
    };
    operations.iter().zip(geometry).map(keys).max().unwrap_or(0)
}

/// Columns and depth of what a matrix product packs.
fn to_pack(operation: &Operation, parts: &Geometry) -> Option<(usize, usize)> {
    let Work::MatrixProduct { transposed } = operation.work else { return None };
    let [.., rows, columns] = parts.inputs[1][..] else { return None };
    Some(if transposed { (rows, columns) } else { (columns, rows) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_divide_only_what_is_worth_them() {
        let units = Size { elements: 32, batched: true };
        let chain = Chain { operations: 0..1, units, block: 8, macs: 1_000 };
        let parts = |items, threads, worth| chain.parts(items, threads, worth);
        assert_eq!([parts(1, 8, 1), parts(1, 64, 1), parts(2, 64, 1)], [8, 32, 64]);
        assert_eq!([parts(1, 8, 1_000), parts(1, 8, 500), parts(4, 8, 500), parts(4, 2, 500)], [1, 2, 8, 2]);
        assert_eq!([parts(1, 8, 1_001), parts(1, 8, u128::MAX), parts(0, 8, 0)], [1, 1, 1]);
    }
}
