//! The threads of a run. A file is read, parsed and run by one worker; a panic is caught at the case and reported as
//! a fault of ours.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use solder_engine::{Chain, Fault};

use super::{CaseReport, Format, Mode, RunError, Shared, Verdict};
use crate::fixture::excuse_withdrawn;
use crate::input_error::InputError;
use crate::source::{Source, TestFile, for_each_archived, read_file};
use crate::{blocktest, statetest, vector};

/// A file's way to a worker: archived files come with their bytes, others are read by the worker.
pub(super) enum Work {
    /// Read already.
    Read(TestFile),
    /// Still to be read.
    Named(Source),
}

type Reports = SyncSender<Result<CaseReport, RunError>>;

/// What a case came to, and its trace where one was asked for.
pub(crate) type CaseOutcome = Result<(Verdict, Option<String>), Fault>;

/// Hands work to the workers, in order.
pub(super) fn read_all(shared: &Shared, sources: Vec<Source>, files: &SyncSender<Work>, reports: &Reports) {
    let known = sources.iter().filter(|source| matches!(source, Source::File { .. })).count();
    shared.progress.files_total.fetch_add(known as u64, Ordering::Relaxed);
    let cancelled = || shared.cancel.load(Ordering::Relaxed);
    for source in sources {
        if cancelled() {
            return;
        }
        let Source::Archive { path } = &source else {
            if files.send(Work::Named(source)).is_err() {
                return;
            }
            continue;
        };
        let wanted = |name: &str| name.ends_with(".json");
        let result = for_each_archived(path, &shared.options.limits, wanted, |file| {
            shared.progress.files_total.fetch_add(1, Ordering::Relaxed);
            if cancelled() || files.send(Work::Read(file)).is_err() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = result
            && reports.send(Err(error.into())).is_err()
        {
            return;
        }
    }
}

/// Takes files until there are none.
pub(super) fn work(shared: &Shared, files: &Mutex<Receiver<Work>>, reports: &Reports) {
    loop {
        let next = files.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        if shared.cancel.load(Ordering::Relaxed) {
            return;
        }
        let outcome = read(shared, work).map_err(RunError::from).and_then(|file| {
            let mut cases = Cases { shared, reports, file: &file };
            let outcome = catch_unwind(AssertUnwindSafe(|| run_file(&mut cases)));
            let panicked = |panic| Err(RunError::panic(&file.path, "", panic));
            outcome.map_or_else(panicked, |result| result.map_err(RunError::from))
        });
        shared.progress.files_done.fetch_add(1, Ordering::Relaxed);
        match outcome {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => return,
            Err(error) => {
                if reports.send(Err(error)).is_err() {
                    return;
                }
            }
        }
    }
}

fn read(shared: &Shared, work: Work) -> Result<TestFile, InputError> {
    match work {
        Work::Read(file) => Ok(file),
        Work::Named(Source::File { path, name, named }) => {
            let bytes = read_file(&path, &shared.options.limits)?;
            Ok(TestFile { path: path.display().to_string(), name, named, bytes })
        }
        Work::Named(Source::Archive { path }) => {
            Err(InputError::file(path.display().to_string(), "an archive inside an archive"))
        }
    }
}

fn run_file(cases: &mut Cases<'_>) -> Result<ControlFlow<()>, InputError> {
    match cases.shared.format {
        Format::State => statetest::run_file(cases),
        Format::Block => blocktest::run_file(cases),
        Format::Rlp => vector::rlp::run_file(cases),
        Format::Trie => vector::trie::run_file(cases),
        Format::Transaction => vector::transaction::run_file(cases),
    }
}

/// One file at work: runs cases and sends their reports.
pub(crate) struct Cases<'a> {
    shared: &'a Shared,
    reports: &'a Reports,
    /// The file.
    pub file: &'a TestFile,
}

impl Cases<'_> {
    /// Whether traces of failing cases are wanted.
    pub fn trace(&self) -> bool {
        self.shared.options.trace
    }

    /// Whether the run wants cases of this fork or network, whichever of its names is used.
    pub fn wants(&self, fork: &str) -> bool {
        let Some(only) = self.shared.options.fork.as_deref() else { return true };
        only == fork || Chain::from_network(only).is_ok_and(|only| Chain::from_network(fork) == Ok(only))
    }

    /// The file turned out to be of another format: an error where the caller named it.
    pub fn foreign(&self, error: InputError) -> Result<ControlFlow<()>, InputError> {
        if self.file.named {
            return Err(error);
        }
        self.shared.progress.files_foreign.fetch_add(1, Ordering::Relaxed);
        Ok(ControlFlow::Continue(()))
    }

    /// The full name of a case: official ids stand for themselves, others are unique within their file only.
    pub fn full_name(&self, case: &str) -> String {
        if case.contains("::") { case.to_owned() } else { format!("{}::{case}", self.file.name) }
    }

    /// Whether the run wants the case that its file calls `case`.
    fn lists(&self, case: &str) -> bool {
        self.shared.options.cases.as_ref().is_none_or(|cases| cases.contains(case))
    }

    /// Runs one case in each way that the run asks for, unless it is filtered out, and sends its report. `case` is
    /// its name in the file.
    pub fn run_in_modes(
        &self,
        case: &str,
        name: String,
        fork: &str,
        body: impl Fn(&Mode<'_>) -> CaseOutcome,
    ) -> ControlFlow<()> {
        if !self.lists(case) {
            return ControlFlow::Continue(());
        }
        self.run(name, fork, || {
            let modes = Mode::all(&self.shared.options, &self.shared.cancel, &self.shared.progress);
            let several = modes.len() > 1;
            let mut passed = (Verdict::Passed, None);
            for mode in &modes {
                let outcome = body(mode)?;
                if let (Verdict::Failed(mut wrong), trace) = outcome {
                    if let Some(seed) = mode.seed().filter(|_| several) {
                        wrong
                            .iter_mut()
                            .for_each(|mismatch| mismatch.field.insert_str(0, &format!("seed {seed}: ")));
                    }
                    return Ok((Verdict::Failed(wrong), trace));
                }
                passed = outcome;
            }
            Ok(passed)
        })
    }

    /// Runs one case, unless it is filtered out, and sends its report.
    pub fn run(&self, name: String, fork: &str, body: impl FnOnce() -> CaseOutcome) -> ControlFlow<()> {
        if self.shared.cancel.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        if self.shared.options.filter.as_ref().is_some_and(|filter| !name.contains(filter.as_str())) {
            return ControlFlow::Continue(());
        }
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(body));
        let seconds = started.elapsed().as_secs_f64();
        let file = self.file.path.clone();
        let report = match outcome {
            Ok(Ok((verdict, trace))) => {
                let verdict = excuse_withdrawn(&name, verdict);
                Ok(CaseReport { name, fork: fork.to_owned(), file, verdict, seconds, trace })
            }
            Ok(Err(Fault::Cancelled)) => return ControlFlow::Break(()),
            Ok(Err(fault)) => Err(RunError::fault(&file, &name, &fault)),
            Err(panic) => Err(RunError::panic(&file, &name, panic)),
        };
        self.shared.progress.cases_done.fetch_add(1, Ordering::Relaxed);
        if self.reports.send(report).is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
