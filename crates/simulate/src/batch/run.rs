//! Runs a batch: workers take chunks of calls in turn; a chunk has one machine, whose journal keeps what its calls loaded.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use solder_engine::evm::attempt::Relaxed;
use solder_engine::parallel::pool;
use solder_engine::state::Ticket;
use solder_engine::{EngineError, Fault, StateReader, Transaction};

use super::own_code::OwnCode;
use super::{Calls, Columns};
use crate::call::{Outcome, machine_on};
use crate::prefetch::{self, Guess};
use crate::snapshot::{Base, Snapshot};

/// Calls that one machine runs before the next begins: enough to share what is loaded, few enough that they stay in the
/// processor's cache as transactions.
const CHUNK: usize = 256;
/// The least calls for each worker: starting a thread takes as long as some tens of calls.
const LEAST_FOR_A_WORKER: usize = 32;
/// A call with this much gas or less is over in a tenth of a second: it is stopped before or after, not in its middle.
const SHORT_GAS: u64 = 50_000_000;

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
    let mut work = Work {
        snapshot,
        calls,
        options,
        progress,
        cancel,
        alone: workers == 1,
        guesses: matches!(snapshot.base(), Base::Reader(_)),
        chunks: chunks(calls.len(), workers),
        next: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
        done: Mutex::new(Vec::new()),
        missed: Mutex::default(),
    };
    for round in 1.. {
        work.run_all(workers)?;
        let (missed, again) =
            std::mem::take(&mut *work.missed.get_mut().unwrap_or_else(PoisonError::into_inner));
        if again.is_empty() {
            break;
        }
        prefetch::fetch(snapshot, &missed)?;
        work.guesses = round < prefetch::MAX_ROUNDS;
        work.chunks = again;
        work.next = AtomicUsize::new(0);
    }
    let mut parts = work.done.into_inner().unwrap_or_else(PoisonError::into_inner);
    parts.sort_unstable_by_key(|(start, _)| *start);
    let output = parts.iter().map(|(_, part)| part.output.len()).sum();
    let mut all = Columns::new(calls.len(), options.logs, options.diffs);
    all.output.reserve_exact(output);
    parts.into_iter().for_each(|(_, part)| all.append(part));
    Ok(all)
}

/// Cuts calls into chunks that become smaller towards the end, so that all workers end at about the same time.
fn chunks(calls: usize, workers: usize) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let mut start = 0;
    while start < calls {
        let left = calls - start;
        let length =
            if workers == 1 { CHUNK } else { (left / (workers * 4)).clamp(LEAST_FOR_A_WORKER, CHUNK) };
        chunks.push(start..start + length.min(left));
        start += length.min(left);
    }
    chunks
}

struct Work<'w> {
    snapshot: &'w Snapshot,
    calls: &'w Calls,
    options: &'w BatchOptions,
    progress: &'w Progress,
    cancel: &'w AtomicBool,
    alone: bool,
    /// Whether what is not known is guessed, and the chunk runs again when it is.
    guesses: bool,
    /// The chunks that are to run.
    chunks: Vec<Range<usize>>,
    next: AtomicUsize,
    failed: AtomicBool,
    done: Mutex<Vec<(usize, Columns)>>,
    /// What was guessed, and the chunks that did so.
    missed: Mutex<(Vec<Ticket>, Vec<Range<usize>>)>,
}

impl Work<'_> {
    /// Runs every chunk of `chunks`, on the threads that blocks run on: they stay from batch to batch, with their memory.
    fn run_all(&self, workers: usize) -> Result<(), EngineError> {
        let workers = workers.min(self.chunks.len());
        if workers <= 1 {
            return self.run();
        }
        let (mut own, helpers) = (Ok(()), Mutex::new(Ok(Ok(()))));
        let help = |_| {
            // Whoever waits for a helper would wait for ever for one that unwound.
            let ended = catch_unwind(AssertUnwindSafe(|| self.run()));
            if !matches!(ended, Ok(Ok(()))) {
                self.failed.store(true, Ordering::Relaxed);
                *helpers.lock().unwrap_or_else(PoisonError::into_inner) = ended;
            }
        };
        pool::run(workers, &help, || own = self.run())?;
        let helpers = helpers.into_inner().unwrap_or_else(PoisonError::into_inner);
        own.and(helpers.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    fn run(&self) -> Result<(), EngineError> {
        // One chunk's transactions are written over the last one's.
        let mut txs: Vec<Transaction> = Vec::new();
        let own = OwnCode::new(self.snapshot);
        let reader: &dyn StateReader = if self.alone { self.snapshot } else { &own };
        while !self.failed.load(Ordering::Relaxed) {
            let Some(chunk) = self.chunks.get(self.next.fetch_add(1, Ordering::Relaxed)).cloned() else {
                break;
            };
            let (start, end) = (chunk.start, chunk.end);
            let guess = self.guesses.then(|| Guess::new(reader));
            let reader = guess.as_ref().map_or(reader, |guess| guess as &dyn StateReader);
            let columns = self.run_chunk(start, end, &mut txs, reader);
            let mut missed = guess.as_ref().map(Guess::take_missed).unwrap_or_default();
            if !missed.is_empty() && !self.cancel.load(Ordering::Relaxed) {
                // Whatever it gave, errors too, came from guesses.
                let mut all = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
                all.0.append(&mut missed);
                all.1.push(chunk);
                continue;
            }
            match columns {
                Ok(columns) => {
                    self.progress.0.fetch_add(end - start, Ordering::Relaxed);
                    self.done.lock().unwrap_or_else(PoisonError::into_inner).push((start, columns));
                }
                Err(error) => {
                    self.failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(())
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
        self.calls.fill(start..end, chain_id, txs);
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
        }
        Ok(columns)
    }
}
