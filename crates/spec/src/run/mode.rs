//! How the cases of a run are executed: one after the other, or by the parallel engine, under one seed or several.

use std::sync::atomic::{AtomicBool, Ordering};

use solder_engine::parallel::{MAX_WORKERS, Parallel};
use solder_engine::{BlockOutcome, ExecuteOptions};

use super::{Options, Progress, TraceBuffer};
use crate::input_error::InputError;

/// The most seeds of one run.
pub const MAX_SEEDS: usize = 10_000;

/// One way to execute a case.
#[derive(Clone, Copy)]
pub(crate) struct Mode<'a> {
    parallel: Option<Parallel>,
    trace: Option<&'a TraceBuffer>,
    cancel: &'a AtomicBool,
    progress: &'a Progress,
}

impl<'a> Mode<'a> {
    /// Each way that the options ask for: one for each seed, at least one.
    pub fn all(options: &Options, cancel: &'a AtomicBool, progress: &'a Progress) -> Vec<Self> {
        let mode = |parallel| Self { parallel, trace: None, cancel, progress };
        match options.parallel {
            Some(parallel) if !options.seeds.is_empty() => {
                let with = |seed: &u64| mode(Some(Parallel { interleave: Some(*seed), ..parallel }));
                options.seeds.iter().map(with).collect()
            }
            parallel => vec![mode(parallel)],
        }
    }

    /// The seed that workers take turns by.
    pub fn seed(&self) -> Option<u64> {
        self.parallel.and_then(|parallel| parallel.interleave)
    }

    /// The same case again to see its steps: serial, and not counted.
    pub fn traced<'b>(&self, trace: &'b TraceBuffer) -> Mode<'b>
    where
        'a: 'b,
    {
        Mode { parallel: None, trace: Some(trace), ..*self }
    }

    /// Options for the engine.
    pub fn execute_options(&self) -> ExecuteOptions<'a> {
        let mut options =
            ExecuteOptions { cancel: Some(self.cancel), parallel: self.parallel, ..Default::default() };
        if let Some(trace) = self.trace {
            options.trace = Some(trace);
        }
        options
    }

    /// Counts the transactions and executions of a block. A serial run executes each transaction once.
    pub fn count(&self, outcome: &BlockOutcome) {
        if self.trace.is_some() {
            return;
        }
        let plain = (outcome.receipts.len() + outcome.skipped.len()) as u64;
        let counters = outcome.parallel.as_ref().map(|report| report.counters);
        let (transactions, executions) =
            counters.map_or((plain, plain), |counters| (counters.transactions, counters.executions));
        self.progress.transactions.fetch_add(transactions, Ordering::Relaxed);
        self.progress.executions.fetch_add(executions, Ordering::Relaxed);
    }
}

/// Options that cannot be meant.
pub(super) fn check(options: &Options) -> Result<(), InputError> {
    let refuse = |field: &str, detail: String| Err(InputError::field("", field, detail));
    match options.parallel {
        Some(Parallel { workers, .. }) if !(1..=MAX_WORKERS).contains(&workers) => {
            refuse("workers", format!("{workers} is not 1 to {MAX_WORKERS}"))
        }
        None if !options.seeds.is_empty() => refuse("seed", "without workers to take turns".into()),
        _ if options.seeds.len() > MAX_SEEDS => refuse("seed", format!("more than {MAX_SEEDS}")),
        _ => Ok(()),
    }
}
