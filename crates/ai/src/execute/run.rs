//! A run: the batch is cut into shares, each worked off chain by chain. Threads take shares; where there are fewer
//! shares than threads, the units of each chain are divided instead. No result depends on either.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::artefact::Graph;
use crate::kernels::{Kernel, Packed};

use super::error::RunError;
use super::plan::{Chain, Place, Plan};
use super::prepare::{Operation, Source};
use super::values::{Values, View, ViewMut};
use super::work::Space;

/// What a run needs and does not change.
pub struct Context<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Its operations.
    pub operations: &'a [Operation],
    /// The plan.
    pub plan: &'a Plan,
    /// The instructions that are used.
    pub kernel: Kernel,
    /// Set when nobody waits any more.
    pub cancel: &'a AtomicBool,
    /// Whether operations are timed.
    pub timed: bool,
    /// Multiply-accumulates that are worth a thread.
    pub thread_macs: u128,
    /// Memory of earlier runs of the same plan.
    pub kept: &'a Mutex<Vec<Workshop>>,
}

/// What shares of a batch are worked off with: the slots, and the memory of each thread. Kept from run to run.
pub struct Workshop {
    slots: Vec<Values>,
    workers: Vec<Worker>,
}

/// The memory of one thread.
struct Worker {
    space: Space,
    locals: Vec<Values>,
    nanoseconds: Vec<u64>,
}

/// One share of the batch.
struct Share<'a> {
    items: Range<usize>,
    outputs: Vec<ViewMut<'a>>,
}

/// A value that a chain makes for others, and the part of it that is being made.
struct Made<'a> {
    value: usize,
    view: ViewMut<'a>,
}

/// An output while its operation runs.
enum Held<'a> {
    Local(usize, Values),
    Made(usize, ViewMut<'a>),
}

impl Context<'_> {
    /// Runs the whole batch and returns the time of each operation, in nanoseconds, in sum over the threads.
    pub fn run(
        &self,
        inputs: &[View<'_>],
        outputs: &mut [Values],
        batch: usize,
        threads: usize,
    ) -> Result<Vec<u64>, RunError> {
        let (shares, at_once, inner) = self.plan.split(batch, threads);
        let mut rest: Vec<ViewMut<'_>> = outputs.iter_mut().map(Values::view_mut).collect();
        let mut queue = Vec::with_capacity(shares);
        for share in 0..shares {
            let items = share * batch / shares..(share + 1) * batch / shares;
            let mut parts = Vec::with_capacity(rest.len());
            for ((value, _), view) in self.graph.outputs.iter().zip(&mut rest) {
                let taken = std::mem::replace(view, ViewMut::Int8(&mut []));
                let (first, after) = taken.split_at(self.plan.sizes[*value].of(items.len()));
                *view = after;
                parts.push(first);
            }
            queue.push(Share { items, outputs: parts });
        }
        queue.reverse();
        let queue = Mutex::new(queue);
        let next = || unpoisoned(&queue).pop();
        let work = || -> Result<Vec<u64>, RunError> {
            let mut workshop = self.workshop(inner)?;
            while let Some(share) = next() {
                self.share(inputs, share, &mut workshop.slots, &mut workshop.workers)?;
            }
            let times =
                sum(workshop.workers.iter_mut().map(|worker| std::mem::take(&mut worker.nanoseconds)));
            // Only what came through whole is used again.
            unpoisoned(self.kept).push(workshop);
            Ok(times)
        };
        if at_once == 1 {
            return work();
        }
        let results: Vec<_> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..at_once).map(|_| scope.spawn(work)).collect();
            let own = work();
            let joined = others.into_iter().map(|other| other.join());
            std::iter::once(own)
                .chain(joined.map(|result| result.unwrap_or_else(|_| Err(panicked()))))
                .collect()
        });
        Ok(sum(results.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter()))
    }

    fn workshop(&self, threads: usize) -> Result<Workshop, RunError> {
        let kept = unpoisoned(self.kept).pop();
        let mut workshop = match kept {
            Some(workshop) => workshop,
            None => {
                let workers = (0..threads).map(|_| self.worker()).collect::<Result<_, _>>()?;
                Workshop { slots: zeros(&self.plan.slots), workers }
            }
        };
        if self.timed {
            workshop
                .workers
                .iter_mut()
                .for_each(|worker| worker.nanoseconds = vec![0; self.operations.len()]);
        }
        Ok(workshop)
    }

    fn worker(&self) -> Result<Worker, RunError> {
        let packed = self.plan.packed.iter().map(|size| match size {
            Some((n, k)) => Packed::new(self.kernel, *n, *k).map(Some),
            None => Ok(None),
        });
        let space = Space {
            kernel: self.kernel,
            scratch: self.plan.scratch(self.kernel)?,
            packed: packed.collect::<Result<_, _>>()?,
            special: (0..self.operations.len())
                .map(|at| self.plan.special(self.operations, self.kernel, at))
                .collect::<Result<_, _>>()?,
            seen: vec![false; self.plan.keys],
        };
        Ok(Worker { space, locals: zeros(&self.plan.locals), nanoseconds: Vec::new() })
    }

    fn share(
        &self,
        inputs: &[View<'_>],
        mut share: Share<'_>,
        slots: &mut [Values],
        workers: &mut [Worker],
    ) -> Result<(), RunError> {
        let count = share.items.len();
        for chain in &self.plan.chains {
            // What the chain makes is taken out, so that the rest can be read.
            let made: Vec<usize> = chain
                .operations
                .clone()
                .flat_map(|at| self.operations[at].outputs.iter().copied())
                .filter(|value| !matches!(self.plan.places[*value], Place::Local(_)))
                .collect();
            let mut held: Vec<(usize, Holder<'_>)> = Vec::with_capacity(made.len());
            for value in made {
                held.push((
                    value,
                    match self.plan.places[value] {
                        Place::Slot(slot) => Holder::Slot(slot, std::mem::take(&mut slots[slot])),
                        Place::Output(at) => Holder::Output(
                            at,
                            std::mem::replace(&mut share.outputs[at], ViewMut::Int8(&mut [])),
                        ),
                        Place::Input(_) | Place::Local(_) => {
                            return Err(RunError::defect("a value without a place"));
                        }
                    },
                ));
            }
            let outside = |value: usize| {
                let size = self.plan.sizes[value];
                match self.plan.places[value] {
                    Place::Input(at) => inputs[at].part(size.of(share.items.start)..size.of(share.items.end)),
                    Place::Slot(slot) => slots[slot].view().part(0..size.of(count)),
                    Place::Output(at) => share.outputs[at].view(),
                    Place::Local(_) => View::Int8(&[]),
                }
            };
            let views = held.iter_mut().map(|(value, holder)| Made {
                value: *value,
                view: match holder {
                    Holder::Slot(_, values) => values.view_mut().first(self.plan.sizes[*value].of(count)),
                    Holder::Output(_, view) => view.part(0..self.plan.sizes[*value].of(count)),
                },
            });
            let views = views.collect();
            self.chain(chain, count, views, &outside, workers)?;
            for (_, holder) in held {
                match holder {
                    Holder::Slot(slot, values) => slots[slot] = values,
                    Holder::Output(at, view) => share.outputs[at] = view,
                }
            }
        }
        self.pass_on(inputs, &mut share)
    }

    /// Inputs that are outputs.
    fn pass_on(&self, inputs: &[View<'_>], share: &mut Share<'_>) -> Result<(), RunError> {
        for (at, (value, _)) in self.graph.outputs.iter().enumerate() {
            if let Place::Input(input) = self.plan.places[*value] {
                let size = self.plan.sizes[*value];
                let from = inputs[input].part(size.of(share.items.start)..size.of(share.items.end));
                let length = from.len();
                super::operators::layout::copy(from, share.outputs[at].part(0..length))?;
            }
        }
        Ok(())
    }

    /// One chain for so many items, its units divided among the workers.
    fn chain<'a>(
        &self,
        chain: &Chain,
        items: usize,
        mut made: Vec<Made<'a>>,
        outside: &(dyn Fn(usize) -> View<'a> + Sync),
        workers: &mut [Worker],
    ) -> Result<(), RunError> {
        let units = chain.units.of(items);
        let parts = chain.parts(items, workers.len(), self.thread_macs);
        let mut shares = Vec::with_capacity(parts);
        for part in 0..parts {
            let range = part * units / parts..(part + 1) * units / parts;
            let mut own = Vec::with_capacity(made.len());
            for whole in &mut made {
                let taken = std::mem::replace(&mut whole.view, ViewMut::Int8(&mut []));
                let (first, after) = taken.split_at(self.part(chain, whole.value) * range.len());
                whole.view = after;
                own.push(Made { value: whole.value, view: first });
            }
            shares.push((range, own));
        }
        let mut work = shares.into_iter().zip(workers);
        let Some(((range, own), worker)) = work.next() else { return Ok(()) };
        std::thread::scope(|scope| {
            // Empty where there is one part: then no thread is started.
            let others: Vec<_> = work
                .map(|((range, own), worker)| {
                    scope.spawn(move || self.units(chain, range, own, outside, worker))
                })
                .collect();
            let first = self.units(chain, range, own, outside, worker);
            let results = others.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(panicked())));
            std::iter::once(first).chain(results).collect::<Vec<_>>().into_iter().collect()
        })
    }

    /// Elements of one unit's part of a value.
    fn part(&self, chain: &Chain, value: usize) -> usize {
        self.plan.sizes[value].elements / chain.units.elements.max(1)
    }

    /// A range of units, block by block.
    fn units<'a>(
        &self,
        chain: &Chain,
        range: Range<usize>,
        mut made: Vec<Made<'a>>,
        outside: &(dyn Fn(usize) -> View<'a> + Sync),
        worker: &mut Worker,
    ) -> Result<(), RunError> {
        let mut start = range.start;
        while start < range.end {
            let end = (start + chain.block).min(range.end);
            if self.cancel.load(Ordering::Relaxed) {
                return Err(RunError::Cancelled);
            }
            for at in chain.operations.clone() {
                let began = self.timed.then(Instant::now);
                self.operation(at, chain, start..end, range.start, &mut made, outside, worker)?;
                if let Some(began) = began {
                    worker.nanoseconds[at] += u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
                }
            }
            start = end;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a block is what all of these meet in")]
    fn operation<'a>(
        &self,
        at: usize,
        chain: &Chain,
        block: Range<usize>,
        first: usize,
        made: &mut [Made<'a>],
        outside: &(dyn Fn(usize) -> View<'a> + Sync),
        worker: &mut Worker,
    ) -> Result<(), RunError> {
        let operation = &self.operations[at];
        let mut held: Vec<Held<'a>> = Vec::with_capacity(2);
        for value in &operation.outputs {
            held.push(match self.plan.places[*value] {
                Place::Local(local) => Held::Local(local, std::mem::take(&mut worker.locals[local])),
                _ => {
                    let place = made.iter().position(|other| other.value == *value);
                    let place = place.ok_or_else(|| RunError::defect("an output that nobody holds"))?;
                    Held::Made(place, std::mem::replace(&mut made[place].view, ViewMut::Int8(&mut [])))
                }
            });
        }
        let read = |source: &Source| {
            let Source::Part(value) = *source else { return outside(source.value()) };
            let part = self.part(chain, value);
            if let Place::Local(local) = self.plan.places[value] {
                return worker.locals[local].view().part(0..part * block.len());
            }
            match made.iter().find(|other| other.value == value) {
                Some(own) => own.view.view().part((block.start - first) * part..(block.end - first) * part),
                None => outside(value).part(block.start * part..block.end * part),
            }
        };
        let inputs: Vec<View<'_>> = operation.inputs.iter().map(read).collect();
        let mut outputs: Vec<ViewMut<'_>> = Vec::with_capacity(2);
        for (held, value) in held.iter_mut().zip(&operation.outputs) {
            let part = self.part(chain, *value);
            outputs.push(match held {
                Held::Local(_, values) => values.view_mut().first(part * block.len()),
                Held::Made(_, view) => view.part((block.start - first) * part..(block.end - first) * part),
            });
        }
        let geometry = &self.plan.geometry[at];
        operation.run(at, &inputs, &mut outputs, block.len(), geometry, &mut worker.space)?;
        for held in held {
            match held {
                Held::Local(local, values) => worker.locals[local] = values,
                Held::Made(place, view) => made[place].view = view,
            }
        }
        Ok(())
    }
}

/// Where a made value is put back.
enum Holder<'a> {
    Slot(usize, Values),
    Output(usize, ViewMut<'a>),
}

fn zeros(buffers: &[(crate::artefact::Dtype, usize)]) -> Vec<Values> {
    buffers.iter().map(|(dtype, length)| Values::zeros(*dtype, *length)).collect()
}

fn sum(all: impl Iterator<Item = Vec<u64>>) -> Vec<u64> {
    all.reduce(|sums, times| sums.iter().zip(&times).map(|(sum, time)| sum + time).collect())
        .unwrap_or_default()
}

/// A lock's content, even if a thread panicked while it held it: each content is whole between two statements.
pub fn unpoisoned<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panicked() -> RunError {
    RunError::Fault("a thread panicked".into())
}
