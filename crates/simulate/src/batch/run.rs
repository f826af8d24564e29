//! Runs a batch: workers take chunks of calls in turn; a chunk has one machine, whose journal keeps what its calls loaded.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use solder_engine::evm::attempt::Relaxed;
use solder_engine::{EngineError, Fault, StateReader, Transaction};

use super::own_code::OwnCode;
use super::{Calls, Columns};
use crate::call::{Outcome, machine_on};
use crate::snapshot::Snapshot;

/// Calls that one machine runs before the next begins: enough to share what is loaded, few enough that they stay in the
/// processor's cache as transactions.
const CHUNK: usize = 256;
/// The least calls for each worker: starting a thread takes as long as some tens of calls.
const LEAST_FOR_A_WORKER: usize = 32;
/// A call with this much gas or less is over in a tenth of a second: it is stopped before or after, not in its middle.
const SHORT_GAS: u64 = 50_000_000;
/// Stack of a worker, in bytes.
const STACK_BYTES: usize = 4 << 20;

/// How to run a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchOptions {
    /// Threads.
    pub workers: usize,
    /// Keep logs.
    pub logs: bool,
    /// Keep what each call would have changed.
    pub diffs: bool,
    /// Keep outputs.
    pub output: bool,
    /// The rules that are left out.
    pub relaxed: Relaxed,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self { workers: 1, logs: false, diffs: false, output: true, relaxed: Relaxed::ALL }
    }
}

/// How many calls are done; any thread may read it.
#[derive(Debug, Default)]
pub struct Progress(AtomicUsize);

impl Progress {
    /// Calls done.
    pub fn done(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs every call on `snapshot`. The result does not depend on the number of workers.
pub fn simulate(
    snapshot: &Snapshot,
    calls: &Calls,
    options: &BatchOptions,
    progress: &Progress,
    cancel: &AtomicBool,
) -> Result<Columns, EngineError> {
    let workers = options.workers.clamp(1, calls.len().div_ceil(LEAST_FOR_A_WORKER).max(1));
    // Small batches are cut finer, so that every worker has a part.
    let chunk = calls.len().div_ceil(workers * 4).clamp(LEAST_FOR_A_WORKER, CHUNK);
    let work = Work {
        snapshot,
        calls,
        options,
        progress,
        cancel,
        chunk,
        alone: workers == 1,
        next: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
        done: Mutex::new(Vec::new()),
    };
    let mut first: Result<(), EngineError> = Ok(());
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..workers)
            .filter_map(|_| {
                let builder =
                    std::thread::Builder::new().name("solder-simulate".into()).stack_size(STACK_BYTES);
                // One that cannot be started is not needed: the others take its part.
                builder.spawn_scoped(scope, || work.run()).ok()
            })
            .collect();
        first = work.run();
        for helper in helpers {
            let ended = helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            if first.is_ok() {
                first = ended;
            }
        }
    });
    first?;
    let mut parts = work.done.into_inner().unwrap_or_else(PoisonError::into_inner);
    parts.sort_unstable_by_key(|(start, _)| *start);
    let mut parts = parts.into_iter().map(|(_, columns)| columns);
    let mut all = parts.next().unwrap_or_else(|| Columns::new(0, options.logs, options.diffs));
    all.status.reserve(calls.len().saturating_sub(all.len()));
    parts.for_each(|part| all.append(part));
    Ok(all)
}

struct Work<'w> {
    snapshot: &'w Snapshot,
    calls: &'w Calls,
    options: &'w BatchOptions,
    progress: &'w Progress,
    cancel: &'w AtomicBool,
    chunk: usize,
    alone: bool,
    next: AtomicUsize,
    failed: AtomicBool,
    done: Mutex<Vec<(usize, Columns)>>,
}

impl Work<'_> {
    fn run(&self) -> Result<(), EngineError> {
        // One chunk's transactions are written over the last one's.
        let mut txs: Vec<Transaction> = Vec::new();
        let own = OwnCode::new(self.snapshot);
        let reader: &dyn StateReader = if self.alone { self.snapshot } else { &own };
        loop {
            let start = self.next.fetch_add(self.chunk, Ordering::Relaxed);
            if start >= self.calls.len() || self.failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let end = (start + self.chunk).min(self.calls.len());
            match self.run_chunk(start, end, &mut txs, reader) {
                Ok(columns) => {
                    self.done.lock().unwrap_or_else(PoisonError::into_inner).push((start, columns));
                }
                Err(error) => {
                    self.failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    }

    fn run_chunk(
        &self,
        start: usize,
        end: usize,
        txs: &mut Vec<Transaction>,
        reader: &dyn StateReader,
    ) -> Result<Columns, EngineError> {
        let idle = Transaction::default();
        let environment = self.snapshot.environment();
        let chain_id = environment.chain.id;
        txs.resize_with(end - start, Transaction::default);
        for (index, tx) in (start..).zip(txs.iter_mut()) {
            self.calls.fill(index, chain_id, tx);
        }
        let mut machine = machine_on(environment, reader, self.options.relaxed, &idle, self.cancel);
        if txs.iter().all(|tx| tx.gas_limit <= SHORT_GAS) {
            machine = machine.unwatched();
        }
        let mut columns = Columns::new(end - start, self.options.logs, self.options.diffs);
        for (index, tx) in (start as u64..).zip(txs.iter()) {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(Fault::Cancelled.into());
            }
            let attempt = if self.options.diffs {
                machine.attempt_with_changes(tx).map(|(result, changes)| (result, Some(changes)))
            } else {
                machine.attempt(tx).map(|result| (result, None))
            };
            match attempt {
                Ok((result, changes)) => {
                    let mut outcome = Outcome::new(result);
                    if !self.options.output {
                        outcome.output.clear();
                    }
                    columns.push(index, outcome, changes);
                }
                Err(EngineError::Rejected(rejection)) => columns.reject(index, &rejection),
                Err(fault) => return Err(fault),
            }
            if index % 64 == 63 {
                self.progress.0.fetch_add(64, Ordering::Relaxed);
            }
        }
        Ok(columns)
    }
}
