//! Running the cases of many files on worker threads: one thread reads archives and names files, workers parse and
//! execute, a bounded channel carries the reports to whoever pulls them. Dropping a [`Run`] cancels and joins.

mod mode;
mod report;
mod trace;
mod worker;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use solder_engine::Parallel;
use solder_engine::chain::{Chain, UnknownFork};

pub use mode::MAX_SEEDS;
pub(crate) use mode::Mode;
pub use report::{CaseReport, Format, Mismatch, RunError, Verdict};
pub(crate) use trace::TraceBuffer;
pub(crate) use worker::{CaseOutcome, Cases};

use crate::input_error::InputError;
use crate::source::{self, Limits};

/// Files waiting for a worker; each may be as large as one file may be.
const QUEUED_FILES: usize = 16;
/// Reports waiting to be pulled.
const QUEUED_REPORTS: usize = 1024;
/// Precompiles and deep traces need more than a thread's default.
const WORKER_STACK_BYTES: usize = 16 << 20;

/// What to run, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only cases of this fork (or network, for blockchain tests).
    pub fork: Option<String>,
    /// Only cases whose name contains this.
    pub filter: Option<String>,
    /// Only cases of these names, as their files have them.
    pub cases: Option<HashSet<String>>,
    /// Runner threads, each with a file at a time; 0 for one per core.
    pub threads: usize,
    /// Execute each case by the parallel engine; `None` for one transaction after the other.
    pub parallel: Option<Parallel>,
    /// Execute each case once for each of these seeds, by which the workers take turns. Empty for once, without.
    pub seeds: Vec<u64>,
    /// Attach an EIP-3155 trace to failing cases.
    pub trace: bool,
    /// Bounds on what is read.
    pub limits: Limits,
}

/// Counts that other threads may read while a run goes on.
#[derive(Debug, Default)]
pub struct Progress {
    /// Files known so far; it grows while archives are read.
    pub files_total: AtomicU64,
    /// Files done.
    pub files_done: AtomicU64,
    /// Files that are of another format, or no tests.
    pub files_foreign: AtomicU64,
    /// Cases done.
    pub cases_done: AtomicU64,
    /// Transactions of the blocks that were accepted.
    pub transactions: AtomicU64,
    /// How often they were executed.
    pub executions: AtomicU64,
}

/// What a pull gives.
#[derive(Debug)]
pub enum Next {
    /// A finished case.
    Case(Box<CaseReport>),
    /// Something stopped a file; the others go on.
    Error(RunError),
    /// Nothing within the timeout.
    Pending,
    /// Every file is done.
    Done,
}

/// What the threads share.
pub(crate) struct Shared {
    pub format: Format,
    pub options: Options,
    pub progress: Arc<Progress>,
    pub cancel: AtomicBool,
}

/// A run in progress.
pub struct Run {
    reports: Option<Receiver<Result<CaseReport, RunError>>>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
    names: HashSet<u64>,
}

impl Run {
    /// Starts the threads. Paths that do not exist and unknown forks are errors at once.
    pub fn start(format: Format, paths: &[String], options: Options) -> Result<Self, InputError> {
        if let Some(fork) = &options.fork {
            Chain::from_network(fork).map_err(|error: UnknownFork| InputError::field("", "fork", error))?;
        }
        mode::check(&options)?;
        let sources = source::list(paths, &options.limits)?;
        let runners = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
            threads => threads,
        };
        let progress = Arc::new(Progress::default());
        let shared = Arc::new(Shared { format, options, progress, cancel: AtomicBool::new(false) });
        let (files_in, files_out) = sync_channel(QUEUED_FILES);
        let (reports_in, reports) = sync_channel(QUEUED_REPORTS);
        let files_out = Arc::new(Mutex::new(files_out));
        let mut threads = Vec::with_capacity(runners + 1);
        let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            let builder = std::thread::Builder::new().name(name.into()).stack_size(WORKER_STACK_BYTES);
            builder.spawn(body).map_err(|error| InputError::file("", format!("no thread: {error}")))
        };
        let (context, out) = (Arc::clone(&shared), reports_in.clone());
        threads.push(spawn(
            "spec-reader",
            Box::new(move || worker::read_all(&context, sources, &files_in, &out)),
        )?);
        for _ in 0..runners {
            let (context, files, out) = (Arc::clone(&shared), Arc::clone(&files_out), reports_in.clone());
            threads.push(spawn("spec-worker", Box::new(move || worker::work(&context, &files, &out)))?);
        }
        Ok(Self { reports: Some(reports), threads, shared, names: HashSet::new() })
    }

    /// Waits for the next report, up to `timeout`.
    pub fn next(&mut self, timeout: Duration) -> Next {
        let Some(reports) = &self.reports else { return Next::Done };
        match reports.recv_timeout(timeout) {
            Ok(Ok(mut report)) => {
                self.make_unique(&mut report);
                Next::Case(Box::new(report))
            }
            Ok(Err(error)) => Next::Error(error),
            Err(RecvTimeoutError::Timeout) => Next::Pending,
            Err(RecvTimeoutError::Disconnected) => Next::Done,
        }
    }

    /// The counts, to be read at any time.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.shared.progress)
    }

    /// Asks the threads to stop; reports that are ready can still be pulled.
    pub fn cancel(&self) {
        self.shared.cancel.store(true, Ordering::Relaxed);
    }

    /// Two archives may hold a case of the same name: the file tells them apart, and a number where even that is
    /// the same.
    fn make_unique(&mut self, report: &mut CaseReport) {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        if self.names.insert(hasher.hash_one(&report.name)) {
            return;
        }
        let beside = format!("{} @ {}", report.name, report.file);
        report.name.clone_from(&beside);
        let mut number = 1u64;
        while !self.names.insert(hasher.hash_one(&report.name)) {
            number += 1;
            report.name = format!("{beside} ({number})");
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.cancel();
        // Without a receiver, threads that wait to send a report wake up.
        self.reports = None;
        for thread in self.threads.drain(..) {
            // A panic of a worker was reported when it happened; there is nobody left to tell.
            drop(thread.join());
        }
    }
}
