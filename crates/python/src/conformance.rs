//! `ConformanceRun`: the official fixtures, run on worker threads and pulled case by case.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use solder_engine::Fault;
use solder_spec::run::Progress;
use solder_spec::{CaseReport, Format, Next, Options, Run, RunError, Verdict};

use crate::errors::Failure;
use crate::execute::parallel_of;

/// How often signals are checked while no case is ready.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// A run over fixtures; iterate it for the cases.
#[pyclass(frozen, name = "ConformanceRun", module = "solder")]
pub struct PyConformanceRun {
    /// None once it has ended.
    run: Mutex<Option<Run>>,
    progress: Arc<Progress>,
}

#[pymethods]
impl PyConformanceRun {
    /// Starts the runner threads. With `workers` the parallel engine runs each case; `forced` also makes it run each
    /// transaction once on wrong values.
    #[new]
    #[pyo3(signature = (
        kind, paths, *, fork, filter, threads, trace, cases = None, workers = None, forced = false, seeds = None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        kind: &str,
        paths: Vec<String>,
        fork: Option<String>,
        filter: Option<String>,
        threads: usize,
        trace: bool,
        cases: Option<HashSet<String>>,
        workers: Option<usize>,
        forced: bool,
        seeds: Option<Vec<u64>>,
    ) -> Result<Self, Failure> {
        let format = match kind {
            "state" => Format::State,
            "block" => Format::Block,
            "rlp" => Format::Rlp,
            "trie" => Format::Trie,
            "transaction" => Format::Transaction,
            other => return Err(Failure::field("kind", format!("{other:?} is no kind of test"))),
        };
        let seeds = seeds.unwrap_or_default();
        let parallel = match workers {
            Some(workers) => parallel_of(workers, forced, forced, seeds.first().copied(), false)?,
            None => None,
        };
        let options = Options { fork, filter, cases, threads, parallel, seeds, trace, ..Options::default() };
        let run = Run::start(format, &paths, options)?;
        let progress = run.progress();
        Ok(Self { run: Mutex::new(Some(run)), progress })
    }

    fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    /// The next finished case, or the end. Raises for a file that cannot be read; the run then is over.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        loop {
            match py.detach(|| self.pull()) {
                Next::Case(report) => return case(py, &report).map(Some),
                Next::Pending => py.check_signals().inspect_err(|_| self.end())?,
                Next::Error(error) => {
                    self.end();
                    return Err(Failure::from(error).into());
                }
                Next::Done => {
                    self.end();
                    return Ok(None);
                }
            }
        }
    }

    #[getter]
    fn files_done(&self) -> u64 {
        count(&self.progress.files_done)
    }

    #[getter]
    fn files_total(&self) -> u64 {
        count(&self.progress.files_total)
    }

    #[getter]
    fn files_foreign(&self) -> u64 {
        count(&self.progress.files_foreign)
    }

    #[getter]
    fn cases_done(&self) -> u64 {
        count(&self.progress.cases_done)
    }

    #[getter]
    fn transactions(&self) -> u64 {
        count(&self.progress.transactions)
    }

    #[getter]
    fn executions(&self) -> u64 {
        count(&self.progress.executions)
    }
}

impl PyConformanceRun {
    fn pull(&self) -> Next {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        run.as_mut().map_or(Next::Done, |run| run.next(SIGNAL_INTERVAL))
    }

    /// Stops the threads. Joining them may take as long as a transaction: that is not for the caller to wait.
    fn end(&self) {
        if let Some(run) = self.run.lock().unwrap_or_else(PoisonError::into_inner).take() {
            run.cancel();
            std::thread::spawn(move || drop(run));
        }
    }
}

impl Drop for PyConformanceRun {
    fn drop(&mut self) {
        self.end();
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Input(error) => error.into(),
            RunError::Fault { file, case, detail } => {
                Self::Fault(Fault::Interpreter(format!("{file}: {case}: {detail}")))
            }
        }
    }
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn case<'py>(py: Python<'py>, report: &CaseReport) -> PyResult<Bound<'py, PyDict>> {
    let passed = match report.verdict {
        Verdict::Passed => Some(true),
        Verdict::Failed(_) => Some(false),
        Verdict::Skipped(_) => None,
    };
    let entry = PyDict::new(py);
    entry.set_item("name", &report.name)?;
    entry.set_item("fork", &report.fork)?;
    entry.set_item("passed", passed)?;
    entry.set_item("error", report.error())?;
    entry.set_item("file", &report.file)?;
    entry.set_item("seconds", report.seconds)?;
    entry.set_item("trace", report.trace.as_deref())?;
    Ok(entry)
}
