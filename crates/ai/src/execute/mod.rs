//! Running an admitted graph: prepared once for a kernel (`prepare`, `work`), planned for its extents (`plan`), run on
//! threads (`run`). Memory is known before a run begins.
//!
//! `Backend` is what another device has to offer; it is given the same artefact and must give the same bits.

mod error;
mod operators;
mod plan;
mod prepare;
mod run;
mod values;
mod work;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

pub use error::RunError;
pub use values::{Array, Element, Values, View, ViewMut};

use crate::artefact::{Artefact, Axis, Extents};
use crate::kernels::Kernel;
use plan::Plan;
use prepare::Operation;
use run::{Context, Workshop, unpoisoned};

/// The most threads of a run.
pub const MAXIMUM_THREADS: usize = 64;
/// Memory that a run may take if nothing else is said, in bytes.
pub const DEFAULT_MEMORY_LIMIT: u128 = 4 << 30;

/// Memory that packed weights and tables may take, in bytes.
pub const MAXIMUM_PREPARED_BYTES: u128 = 8 << 30;

/// How a run is done: nothing of it changes a result.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// How many threads.
    pub threads: usize,
    /// The most bytes that it may take, outputs included.
    pub memory_limit: u128,
    /// Set when nobody waits any more.
    pub cancel: &'a AtomicBool,
    /// Whether nodes are timed.
    pub timed: bool,
    /// Multiply-accumulates of a chain that are worth another thread; without, what the kernel says. A test says 1.
    pub thread_macs: Option<u128>,
}

/// What a run gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The outputs by name.
    pub outputs: BTreeMap<String, Array>,
    /// If timed: for each call its nodes, by index, and its nanoseconds, in sum over the threads.
    pub times: Vec<(Vec<usize>, u64)>,
}

/// A device that runs admitted graphs. Every backend gives the bits of `docs/integer-graphs.md`.
pub trait Backend: Send + Sync {
    /// Bytes that a run of these extents takes, outputs included, without running it.
    ///
    /// # Errors
    /// If extents or threads are beyond their limits.
    fn memory(&self, extents: Extents, threads: usize) -> Result<u128, RunError>;

    /// Runs the graph on a batch.
    ///
    /// # Errors
    /// `Refused` names the input or option, `Cancelled` and `Fault` leave nothing behind.
    fn run(&self, inputs: &BTreeMap<String, Array>, options: Options<'_>) -> Result<Outcome, RunError>;
}

/// The processor: a graph prepared for one kernel.
pub struct Processor {
    artefact: Arc<Artefact>,
    kernel: Kernel,
    operations: Vec<Operation>,
    /// The plan of the last run, and its memory: the next run mostly has the same extents.
    last: Mutex<Option<Arc<Planned>>>,
}

/// A plan with what it needs.
struct Planned {
    extents: Extents,
    threads: usize,
    plan: Plan,
    bytes: u128,
    kept: Mutex<Vec<Workshop>>,
}

impl Processor {
    /// Packs weights and fuses nodes.
    ///
    /// # Errors
    /// `Refused` where that would take more than `MAXIMUM_PREPARED_BYTES`.
    pub fn new(artefact: Arc<Artefact>, kernel: Kernel) -> Result<Self, RunError> {
        let bytes = prepare::prepared_bytes(&artefact.graph, kernel)?;
        if bytes > MAXIMUM_PREPARED_BYTES {
            return Err(RunError::memory(bytes, MAXIMUM_PREPARED_BYTES));
        }
        let operations = prepare::prepare(&artefact.graph, kernel)?;
        Ok(Self { artefact, kernel, operations, last: Mutex::new(None) })
    }

    /// Checks the inputs against the graph and finds the extents of the run.
    fn bind(&self, inputs: &BTreeMap<String, Array>) -> Result<Extents, RunError> {
        let graph = &self.artefact.graph;
        let name = |value: usize| graph.values[value].name.as_str();
        if let Some(unknown) =
            inputs.keys().find(|key| !graph.inputs.iter().any(|(value, _)| name(*value) == *key))
        {
            return Err(RunError::field(format!("inputs.{unknown}"), "the graph has no such input"));
        }
        let (mut batch, mut sequence) = (None, None);
        for (value, _) in &graph.inputs {
            let facts = &graph.values[*value];
            let place = format!("inputs.{}", facts.name);
            let array = inputs.get(&facts.name).ok_or_else(|| RunError::field(&place, "missing"))?;
            if array.values.dtype() != facts.dtype {
                let detail = format!("{}, not {}", array.values.dtype().name(), facts.dtype.name());
                return Err(RunError::field(place, detail));
            }
            if array.shape.len() != facts.shape.len() {
                let detail = format!("{} axes, not {}", array.shape.len(), facts.shape.len());
                return Err(RunError::field(place, detail));
            }
            for (at, (axis, found)) in facts.shape.iter().zip(&array.shape).enumerate() {
                let limits = graph.limits;
                match axis {
                    Axis::Static(size) if size == found => {}
                    Axis::Static(size) => {
                        return Err(RunError::field(
                            place,
                            format!("extent {found} of axis {at}, not {size}"),
                        ));
                    }
                    Axis::Batch => symbol(&mut batch, *found, limits.batch, "batch", &place)?,
                    Axis::Sequence => symbol(&mut sequence, *found, limits.sequence, "sequence", &place)?,
                }
            }
            if array.values.len() != array.shape.iter().product::<usize>() {
                return Err(RunError::field(place, "another number of elements than its shape says"));
            }
            if let Some((lowest, highest)) = array.values.range()
                && (lowest < facts.lowest || highest > facts.highest)
            {
                let detail = format!(
                    "values in {lowest}..={highest}, the graph takes {}..={}",
                    facts.lowest, facts.highest
                );
                return Err(RunError::field(place, detail));
            }
        }
        Ok(Extents { batch: batch.unwrap_or(1), sequence: sequence.unwrap_or(1) })
    }

    fn plan(&self, extents: Extents, threads: usize, memory_limit: u128) -> Result<Arc<Planned>, RunError> {
        if !(1..=MAXIMUM_THREADS).contains(&threads) {
            return Err(RunError::field("threads", format!("{threads} is not in 1..={MAXIMUM_THREADS}")));
        }
        let limits = self.artefact.graph.limits;
        for (name, found, limit) in
            [("batch", extents.batch, limits.batch), ("sequence", extents.sequence, limits.sequence)]
        {
            if !(1..=limit).contains(&found) {
                return Err(RunError::field(name, format!("{found} is not in 1..={limit}")));
            }
        }
        let known = unpoisoned(&self.last).clone();
        if let Some(known) = known.filter(|known| known.extents == extents && known.threads == threads) {
            let enough = known.bytes <= memory_limit;
            return if enough { Ok(known) } else { Err(RunError::memory(known.bytes, memory_limit)) };
        }
        let graph = &self.artefact.graph;
        let (plan, bytes) = Plan::new(graph, &self.operations, self.kernel, extents, threads, memory_limit)?;
        Ok(Arc::new(Planned { extents, threads, plan, bytes, kept: Mutex::default() }))
    }
}

impl Backend for Processor {
    fn memory(&self, extents: Extents, threads: usize) -> Result<u128, RunError> {
        Ok(self.plan(extents, threads, u128::MAX)?.bytes)
    }

    fn run(&self, inputs: &BTreeMap<String, Array>, options: Options<'_>) -> Result<Outcome, RunError> {
        let extents = self.bind(inputs)?;
        let planned = self.plan(extents, options.threads, options.memory_limit)?;
        *unpoisoned(&self.last) = Some(planned.clone());
        let plan = &planned.plan;
        let graph = &self.artefact.graph;
        let context = Context {
            graph,
            operations: &self.operations,
            plan,
            kernel: self.kernel,
            cancel: options.cancel,
            timed: options.timed,
            thread_macs: options.thread_macs.unwrap_or(self.kernel.path().macs_worth_a_thread()).max(1),
            kept: &planned.kept,
        };
        let views: Vec<View<'_>> =
            graph.inputs.iter().map(|(value, _)| inputs[&graph.values[*value].name].values.view()).collect();
        let length = |value: usize| plan.sizes[value].of(extents.batch);
        let mut outputs: Vec<Values> = graph
            .outputs
            .iter()
            .map(|(value, _)| Values::zeros(graph.values[*value].dtype, length(*value)))
            .collect();
        let times = context.run(&views, &mut outputs, extents.batch, options.threads)?;
        let named = graph.outputs.iter().zip(outputs).map(|((value, _), values)| {
            let facts = &graph.values[*value];
            (facts.name.clone(), Array { shape: extents.shape(&facts.shape), values })
        });
        let times =
            self.operations.iter().zip(times).map(|(operation, time)| (operation.nodes.clone(), time));
        Ok(Outcome { outputs: named.collect(), times: times.collect() })
    }
}

fn symbol(
    bound: &mut Option<usize>,
    found: usize,
    limit: usize,
    name: &str,
    place: &str,
) -> Result<(), RunError> {
    if !(1..=limit).contains(&found) {
        return Err(RunError::field(place, format!("{name} {found} is not in 1..={limit}")));
    }
    match *bound {
        Some(other) if other != found => {
            Err(RunError::field(place, format!("{name} {found}, another input has {other}")))
        }
        _ => {
            *bound = Some(found);
            Ok(())
        }
    }
}
