//! Runs engine work without the GIL, on a thread that the calling thread keeps for it, so that signals are seen
//! while it runs. Panics end here.
//!
//! ```text
//! caller:  send the job -> wait 50 ms -> check signals -> wait ... -> result
//! engine:                  job .................................. -> send the result -> next job
//! ```
//! On Ctrl-C the caller sets `cancel` and leaves at once; the abandoned thread ends with its job. A `Cancellation`
//! does the same from another thread: that is how a cancelled task of an event loop ends what it waits for.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use solder_engine::Fault;
use solder_engine::evm::interrupt::NEVER;

use crate::errors::Failure;

/// How often signals are checked: a Ctrl-C waits no longer than this.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);
/// Stack of an engine thread, in bytes.
const STACK_BYTES: usize = 16 << 20;

type Job = Box<dyn FnOnce() + Send>;

struct EngineThread {
    jobs: Sender<Job>,
    /// The process that started it: a forked child has no threads but its own.
    process: u32,
}

thread_local! {
    static ENGINE: RefCell<Option<EngineThread>> = const { RefCell::new(None) };
    /// Set by another thread when nobody waits for this thread's work any more.
    static CANCELLATION: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// Warnings of the engine's threads, for whoever holds the GIL next.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// The most that wait: further ones are dropped.
const MAX_WARNINGS: usize = 64;

/// Gives a warning, from a thread that must not wait for the GIL: a `solder.errors.CacheWarning` when engine work next ends.
pub fn warn_later(text: String) {
    let mut warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
    if warnings.len() < MAX_WARNINGS {
        warnings.push(text);
    }
}

fn give_warnings(py: Python<'_>) -> PyResult<()> {
    let warnings = std::mem::take(&mut *WARNINGS.lock().unwrap_or_else(PoisonError::into_inner));
    for text in warnings {
        let category = py.import("solder.errors")?.getattr("CacheWarning")?;
        py.import("warnings")?.call_method1("warn", (text, category))?;
    }
    Ok(())
}

/// Ends the engine's work of a thread from another one.
#[pyclass(frozen, name = "Cancellation", module = "solder._native")]
pub struct PyCancellation {
    flag: Arc<AtomicBool>,
}

#[pymethods]
impl PyCancellation {
    #[new]
    fn new() -> Self {
        Self { flag: Arc::default() }
    }

    /// Ends what `run` runs: within 50 ms it raises `Fault` with the code "Fault.CANCELLED".
    fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// Calls `function` on this thread; the engine's work in it can be cancelled from other threads.
    #[pyo3(signature = (function, /, *args, **kwargs))]
    fn run<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _outer = Outer(CANCELLATION.replace(Some(self.flag.clone())));
        function.call(args, kwargs)
    }
}

/// Whether another thread has ended the work of this one.
pub fn is_cancelled() -> bool {
    CANCELLATION.with_borrow(|flag| flag.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed)))
}

/// Gives the thread its former flag back, also where a panic passes.
struct Outer(Option<Arc<AtomicBool>>);

impl Drop for Outer {
    fn drop(&mut self) {
        CANCELLATION.set(self.0.take());
    }
}

/// Runs `job` with the GIL released. `cancel` is set when the caller does not wait any more.
pub fn detached<T: Send + 'static>(
    py: Python<'_>,
    job: impl FnOnce(&AtomicBool) -> Result<T, Failure> + Send + 'static,
) -> PyResult<T> {
    watched(py, |_| Ok(()), job)
}

/// The same, and `tick` is called now and then, with the GIL.
pub fn watched<T: Send + 'static>(
    py: Python<'_>,
    tick: impl FnMut(Python<'_>) -> PyResult<()>,
    job: impl FnOnce(&AtomicBool) -> Result<T, Failure> + Send + 'static,
) -> PyResult<T> {
    let cancel = Arc::new(AtomicBool::new(false));
    let (sender, results) = channel();
    let seen = cancel.clone();
    submit(Box::new(move || {
        // Nobody may be waiting any more: then the result is dropped.
        let _ = sender.send(caught(|| job(&seen)));
    }))?;
    let cancelled = CANCELLATION.with_borrow(Clone::clone);
    let outcome = wait(py, tick, results, cancelled.as_deref().unwrap_or(&NEVER));
    if outcome.is_err() {
        cancel.store(true, Ordering::Relaxed);
        ENGINE.take();
    }
    give_warnings(py)?;
    outcome?.map_err(PyErr::from)
}

/// Turns a panic into a fault of ours.
pub fn caught<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Failure::Panic(message(&*panic))))
}

/// Runs `job` without the GIL on the calling thread: for work of some milliseconds, which a change of threads would
/// double. Signals are seen after it.
pub fn inline<T: Send>(
    py: Python<'_>,
    job: impl FnOnce(&AtomicBool) -> Result<T, Failure> + Send,
) -> PyResult<T> {
    let cancelled = CANCELLATION.with_borrow(Clone::clone);
    Ok(py.detach(|| caught(|| job(cancelled.as_deref().unwrap_or(&NEVER))))?)
}

fn wait<T: Send>(
    py: Python<'_>,
    mut tick: impl FnMut(Python<'_>) -> PyResult<()>,
    mut results: Receiver<T>,
    cancelled: &AtomicBool,
) -> PyResult<T> {
    loop {
        // The receiver goes into the detached closure and comes back: it may be sent, not shared.
        let received;
        (received, results) = py.detach(move || (results.recv_timeout(SIGNAL_INTERVAL), results));
        match received {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => {
                py.check_signals()?;
                if cancelled.load(Ordering::Relaxed) {
                    return Err(Failure::Fault(Fault::Cancelled).into());
                }
                tick(py)?;
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::Fault(Fault::Interpreter("the engine's thread ended".into())).into());
            }
        }
    }
}

fn submit(job: Job) -> Result<(), Failure> {
    ENGINE.with_borrow_mut(|engine| {
        if engine.as_ref().is_some_and(|thread| thread.process != std::process::id()) {
            // After a fork the channel's other end does not exist: dropping it could wait for it.
            std::mem::forget(engine.take());
        }
        let thread = match engine {
            Some(thread) => thread,
            None => engine.insert(start()?),
        };
        thread
            .jobs
            .send(job)
            .map_err(|_| Failure::Fault(Fault::Interpreter("the engine's thread ended".into())))
    })
}

fn start() -> Result<EngineThread, Failure> {
    let (jobs, queue) = channel::<Job>();
    std::thread::Builder::new()
        .name("solder-engine".into())
        .stack_size(STACK_BYTES)
        .spawn(move || queue.into_iter().for_each(|job| job()))
        .map_err(|error| Failure::Fault(Fault::Interpreter(format!("no thread: {error}"))))?;
    Ok(EngineThread { jobs, process: std::process::id() })
}

/// Panics on the engine's thread, as a bug in it would: tests see with this that a panic becomes a fault.
#[pyfunction]
pub fn provoke_panic(py: Python<'_>, text: String) -> PyResult<()> {
    detached(py, move |_| std::panic::resume_unwind(Box::new(text)))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".into())
}
