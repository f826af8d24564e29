//! `Trace`: one traced transaction; `trace_transaction`, `BlockTracer` and `trace_call` make them. What it shows is made when
//! it is asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy_primitives::Log;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use solder_engine::block::prefix::execute_beginning;
use solder_engine::evm::attempt::Relaxed;
use solder_engine::trace::calls::Frame;
use solder_engine::trace::{StepFormat, TraceFields};
use solder_engine::{Block, Chain, EngineError, Fault};
use solder_profile::case::Case;
use solder_simulate::call::overridden;
use solder_simulate::{Environment, Snapshot};
use solder_trace::{CallField, CallFormat, Chunk, PrestateFormat, Steps, Subject, Traced};

use crate::block::PyBlock;
use crate::convert::bytes;
use crate::errors::Failure;
use crate::run::{detached, is_cancelled};
use crate::simulate::arguments::{Fields, block_overrides, options, transaction_of};
use crate::simulate::outcome::PyCallResult;
use crate::state::PyState;
use crate::transaction::PyTransaction;

/// How often signals are looked at while a step is waited for.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// One transaction that ran, traced.
#[pyclass(frozen, name = "Trace", module = "solder._native")]
pub struct PyTrace {
    inner: Arc<Traced>,
    /// Its place in its block.
    index: Option<usize>,
}

fn hex_of(raw: &[u8]) -> String {
    alloy_primitives::hex::encode_prefixed(raw)
}

fn log_of<'py>(py: Python<'py>, log: &Log, index: u64, position: u32) -> PyResult<Bound<'py, PyDict>> {
    let found = PyDict::new(py);
    found.set_item("address", hex_of(log.address.as_slice()))?;
    let topics: Vec<_> = log.data.topics().iter().map(|topic| hex_of(topic.as_slice())).collect();
    found.set_item("topics", topics)?;
    found.set_item("data", hex_of(&log.data.data))?;
    found.set_item("index", format!("{index:#x}"))?;
    found.set_item("position", format!("{position:#x}"))?;
    Ok(found)
}

#[pymethods]
impl PyTrace {
    /// Its place in its block; None for a call.
    #[getter]
    fn index(&self) -> Option<usize> {
        self.index
    }

    /// How it ended and what it changed.
    #[getter]
    fn result(&self) -> PyCallResult {
        PyCallResult::traced(self.inner.outcome.clone(), self.inner.changes.clone())
    }

    /// How many calls there were, the transaction's own and self-destructions included.
    fn __len__(&self) -> usize {
        self.inner.trace.frames.len()
    }

    /// Nested calls as geth's callTracer gives them.
    #[pyo3(signature = (*, only_top_call = false, with_log = false))]
    fn call_tree<'py>(
        &self,
        py: Python<'py>,
        only_top_call: bool,
        with_log: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let format = CallFormat { only_top_call, with_log };
        // Not nested on the way: frames lie 1,024 deep in each other.
        let mut callees: Vec<Option<Bound<'py, PyList>>> = Vec::new();
        let mut top = None;
        for (place, frame) in self.inner.frames(format).iter().enumerate() {
            let made = PyDict::new(py);
            let mut list = None;
            for (name, field) in self.inner.fields(place, format) {
                match field {
                    CallField::Bytes(raw) => made.set_item(name, hex_of(raw))?,
                    CallField::Text(text) => made.set_item(name, text)?,
                    CallField::Calls => {
                        let calls = PyList::empty(py);
                        made.set_item(name, &calls)?;
                        list = Some(calls);
                    }
                    CallField::Logs(logs) => {
                        let logs = logs.iter().map(|(log, index, at)| log_of(py, log, *index, *at));
                        made.set_item(name, logs.collect::<PyResult<Vec<_>>>()?)?;
                    }
                }
            }
            callees.push(list);
            match frame.parent.and_then(|parent| callees[parent as usize].as_ref()) {
                Some(calls) => calls.append(&made)?,
                None => top = Some(made),
            }
        }
        Ok(top.unwrap_or_else(|| PyDict::new(py)))
    }

    /// The same as JSON.
    #[pyo3(signature = (*, only_top_call = false, with_log = false))]
    fn calls_json<'py>(
        &self,
        py: Python<'py>,
        only_top_call: bool,
        with_log: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let traced = self.inner.clone();
        let json = detached(py, move |_| Ok(traced.calls_json(CallFormat { only_top_call, with_log })))?;
        Ok(bytes(py, json))
    }

    /// The state before, as geth's prestateTracer gives it, as JSON; with `diff` what changed, before and after.
    #[pyo3(signature = (*, diff = false, disable_code = false, disable_storage = false, include_empty = false))]
    fn prestate_json<'py>(
        &self,
        py: Python<'py>,
        diff: bool,
        disable_code: bool,
        disable_storage: bool,
        include_empty: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if diff && include_empty {
            return Err(Failure::field("include_empty", "not together with diff").into());
        }
        let traced = self.inner.clone();
        let format = PrestateFormat { diff, disable_code, disable_storage, include_empty };
        let json = detached(py, move |_| Ok(traced.prestate_json(format)?))?;
        Ok(bytes(py, json))
    }

    /// How often each selector was called, by `selector-bytes of arguments`.
    fn four_bytes(&self) -> BTreeMap<String, u64> {
        self.inner.four_bytes()
    }

    /// Where the code of each frame that failed came to its end: instructions, those first that tell most about why. Empty
    /// where no code ran, or nothing failed.
    fn ends(&self) -> Vec<Vec<u32>> {
        self.inner.trace.frames.iter().map(Frame::ends).collect()
    }

    /// Runs the transaction again, as its steps are read: an iterator over chunks of lines. `format` is "struct" or "eip3155".
    #[pyo3(signature = (format, *, memory = false, stack = true, storage = true, return_data = false))]
    fn steps(
        &self,
        format: &str,
        memory: bool,
        stack: bool,
        storage: bool,
        return_data: bool,
    ) -> PyResult<PySteps> {
        let format = match format {
            "struct" => StepFormat::Struct,
            "eip3155" => StepFormat::Eip3155,
            other => {
                let detail = format!("{other:?} is neither struct nor eip3155");
                return Err(Failure::field("format", detail).into());
            }
        };
        let fields = TraceFields { memory, return_data, no_stack: !stack, no_storage: !storage, format };
        let subject = self.inner.subject.clone();
        Ok(PySteps { subject, fields, running: Mutex::new(None) })
    }
}

/// The steps of a transaction that runs while they are read, by chunks.
#[pyclass(frozen, name = "Steps", module = "solder._native")]
pub struct PySteps {
    subject: Arc<Subject>,
    fields: TraceFields,
    /// None before the first chunk is asked for; the inner None after the last.
    running: Mutex<Option<Option<Steps>>>,
}

#[pymethods]
impl PySteps {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    /// Whole lines, a JSON object each.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        // Taken out while it is waited for: another thread that asks meanwhile finds nothing more.
        let taken = self.running.lock().unwrap_or_else(PoisonError::into_inner).replace(None);
        let mut steps = match taken {
            None => Steps::start(self.subject.clone(), self.fields).map_err(Failure::from)?,
            Some(Some(steps)) => steps,
            Some(None) => return Ok(None),
        };
        loop {
            let chunk;
            (chunk, steps) = py.detach(move || (steps.next_chunk(SIGNAL_INTERVAL), steps));
            match chunk.map_err(Failure::from)? {
                Chunk::Lines(lines) => {
                    *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Some(steps));
                    return Ok(Some(bytes(py, lines)));
                }
                Chunk::End(_) => return Ok(None),
                Chunk::Waiting => {
                    py.check_signals()?;
                    if is_cancelled() {
                        return Err(Failure::Fault(Fault::Cancelled).into());
                    }
                }
            }
        }
    }
}

impl PyTrace {
    fn new(traced: Traced, index: Option<usize>) -> Self {
        Self { inner: Arc::new(traced), index }
    }
}

/// An error that names the transaction of its block.
fn placed(error: EngineError, index: usize) -> EngineError {
    match error {
        EngineError::Rejected(rejection) => EngineError::Rejected(rejection.at(index)),
        fault @ EngineError::Fault(_) => fault,
    }
}

fn before(state: &PyState, block: &PyBlock) -> Snapshot {
    let environment = Environment::of(Chain::clone(&block.chain), block.fork, &block.inner.header);
    state.inner.with_environment(environment)
}

/// Executes a block up to its transaction `index`, and traces that one.
#[pyfunction]
pub fn trace_transaction(
    py: Python<'_>,
    block: &PyBlock,
    state: &PyState,
    index: usize,
) -> PyResult<PyTrace> {
    let count = block.inner.transactions.len();
    let Some(tx) = block.inner.transactions.get(index).cloned() else {
        return Err(Failure::field("index", format!("{index} is not one of {count} transactions")).into());
    };
    let snapshot = before(state, block);
    let (chain, fork, inner) = (block.chain.clone(), block.fork, block.inner.clone());
    let traced = detached(py, move |cancel| {
        let prefix = execute_beginning(&chain, fork, &inner, index, &snapshot, cancel)?;
        let snapshot = snapshot.apply(&prefix.changes)?;
        let subject = Subject { snapshot, tx, relaxed: Relaxed::default(), first_log: prefix.logs };
        Ok(subject.trace(cancel).map_err(|error| placed(error, index))?)
    })?;
    Ok(PyTrace::new(traced, Some(index)))
}

/// Traces the transactions of a block, one after the other.
#[pyclass(frozen, name = "BlockTracer", module = "solder._native")]
pub struct PyBlockTracer {
    block: Arc<Block>,
    progress: Mutex<Progress>,
}

/// How far a block is traced.
#[derive(Clone)]
struct Progress {
    /// None before what the protocol does first.
    state: Option<Snapshot>,
    start: Snapshot,
    next: usize,
    logs: u64,
}

#[pymethods]
impl PyBlockTracer {
    #[new]
    fn new(block: &PyBlock, state: &PyState) -> Self {
        let start = before(state, block);
        let progress = Mutex::new(Progress { state: None, start, next: 0, logs: 0 });
        Self { block: block.inner.clone(), progress }
    }

    fn __len__(&self) -> usize {
        self.block.transactions.len()
    }

    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<PyTrace>> {
        let from = self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let index = from.next;
        let Some(tx) = self.block.transactions.get(index).cloned() else { return Ok(None) };
        let (block, first_log) = (self.block.clone(), from.logs);
        let (traced, after) = detached(py, move |cancel| {
            let snapshot = match from.state {
                Some(state) => state,
                None => {
                    let seen = from.start.environment();
                    let (chain, fork) = (&seen.chain, seen.fork);
                    let first = execute_beginning(chain, fork, &block, 0, &from.start, cancel)?;
                    from.start.apply(&first.changes)?
                }
            };
            let subject = Subject { snapshot, tx, relaxed: Relaxed::default(), first_log };
            let traced = subject.trace(cancel).map_err(|error| placed(error, index))?;
            let after = traced.subject.snapshot.apply(&traced.changes)?;
            Ok((traced, after))
        })?;
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        // Two threads that ask at once get the same transaction.
        progress.logs = first_log + traced.outcome.logs.len() as u64;
        progress.state = Some(after);
        progress.next = index + 1;
        Ok(Some(PyTrace::new(traced, Some(index))))
    }
}

/// Traces a call given by its fields, or a decoded transaction by all rules, on a state.
#[pyfunction]
#[pyo3(signature = (state, call, *, block = None, overrides = None))]
pub fn trace_call(
    py: Python<'_>,
    state: &PyState,
    call: &Bound<'_, PyAny>,
    block: Option<&Bound<'_, PyDict>>,
    overrides: Option<&Bound<'_, PyDict>>,
) -> PyResult<PyTrace> {
    let mut snapshot = Snapshot::clone(&state.inner);
    if let Some(block) = block {
        snapshot = snapshot.with_environment(snapshot.environment().with(&block_overrides(block)?));
    }
    let (tx, relaxed) = if call.is_instance_of::<PyTransaction>() {
        transaction_of(call, 0, snapshot.environment())?
    } else {
        let entries = call
            .cast::<PyDict>()
            .map_err(|_| Failure::field("call", "neither a dict of a call's fields nor a Transaction"))?;
        let entry = |name: &str| entries.get_item(name);
        let (to, data, sender, value) = (entry("to")?, entry("data")?, entry("sender")?, entry("value")?);
        let (gas_limit, gas_price) = (entry("gas_limit")?, entry("gas_price")?);
        let (priority, nonce) = (entry("max_priority_fee_per_gas")?, entry("nonce")?);
        let access_list = entry("access_list")?;
        let fields = Fields {
            to: to.as_ref(),
            data: data.as_ref(),
            sender: sender.as_ref(),
            value: value.as_ref(),
            gas_limit: gas_limit.as_ref(),
            gas_price: gas_price.as_ref(),
            max_priority_fee_per_gas: priority.as_ref(),
            nonce: nonce.as_ref(),
            access_list: access_list.as_ref(),
        };
        fields.transaction(snapshot.environment())?
    };
    let options = options(None, overrides, relaxed)?;
    let traced = detached(py, move |cancel| {
        let snapshot = overridden(&snapshot, &options)?;
        Ok(Subject { snapshot, tx, relaxed: options.relaxed, first_log: 0 }.trace(cancel)?)
    })?;
    Ok(PyTrace::new(traced, None))
}

/// Traces the transaction of a state-and-transaction file, given its bytes; `path` names it in errors.
#[pyfunction]
pub fn trace_case(py: Python<'_>, path: String, content: &[u8]) -> PyResult<PyTrace> {
    let content: Arc<[u8]> = content.into();
    let traced = detached(py, move |cancel| {
        let Case { chain, fork, block, state, .. } = Case::parse(&path, &content)?;
        let tx = block.transactions.into_iter().next().unwrap_or_default();
        let environment = Environment::of(chain, fork, &block.header);
        let snapshot = Snapshot::new(Arc::new(state), environment);
        Ok(Subject { snapshot, tx, relaxed: Relaxed::default(), first_log: 0 }.trace(cancel)?)
    })?;
    Ok(PyTrace::new(traced, None))
}
