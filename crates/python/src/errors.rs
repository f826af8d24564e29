//! Failures on their way to Python: rejected input, unreadable input, our own faults. The exception classes are
//! Python's (`solder.errors`), so that they are documented, pickled and subclassed like any other.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use solder_engine::chain::UnknownFork;
use solder_engine::{Code, EngineError, Fault, Rejection};

/// The code of a caught panic, which no crate below knows.
const PANIC: &str = "Fault.PANIC";
/// The code of a coprocessor's own failure.
const COPROCESSOR: &str = "Fault.COPROCESSOR";

/// Anything that a call into the engine can fail with.
#[derive(Debug)]
pub enum Failure {
    /// The chain's rules forbid the input.
    Rejected(Rejection),
    /// A file or an argument that cannot be read.
    Input { path: Option<String>, field: Option<String>, detail: String },
    /// A name that is not known.
    Unknown(UnknownFork),
    /// This machine failed.
    Fault(Fault),
    /// The engine panicked: a fault of ours.
    Panic(String),
    /// A coprocessor failed on this machine.
    Coprocessor(String),
}

impl Failure {
    /// A bad argument or field.
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Input { path: None, field: Some(field.into()), detail: detail.into() }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Rejected(rejection) => Self::Rejected(rejection),
            EngineError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<solder_spec::InputError> for Failure {
    fn from(error: solder_spec::InputError) -> Self {
        let path = Some(error.path).filter(|path| !path.is_empty());
        Self::Input { path, field: error.field, detail: error.detail }
    }
}

impl From<solder_simulate::SimulateError> for Failure {
    fn from(error: solder_simulate::SimulateError) -> Self {
        match error {
            solder_simulate::SimulateError::Engine(error) => error.into(),
            solder_simulate::SimulateError::Input { field, detail } => Self::field(field, detail),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<UnknownFork> for Failure {
    fn from(unknown: UnknownFork) -> Self {
        Self::Unknown(unknown)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| raise(py, failure).unwrap_or_else(|error| error))
    }
}

fn raise(py: Python<'_>, failure: Failure) -> PyResult<PyErr> {
    let error = match failure {
        Failure::Rejected(Rejection { code, index, detail }) => {
            class(py, "RejectedInput")?.call1((code.name(), index, detail))?
        }
        Failure::Input { path, field, detail } => class(py, "InputError")?.call1((detail, path, field))?,
        Failure::Unknown(unknown) => {
            class(py, "UnknownFork")?.call1((unknown.to_string(), None::<&str>, unknown.kind))?
        }
        // What stops a run is Ctrl-C, unless another thread did.
        Failure::Fault(Fault::Cancelled) if !crate::run::is_cancelled() => {
            return Ok(PyKeyboardInterrupt::new_err(()));
        }
        Failure::Fault(fault) => class(py, "Fault")?.call1((fault.name(), fault.to_string()))?,
        Failure::Panic(message) => class(py, "Fault")?.call1((PANIC, message))?,
        Failure::Coprocessor(message) => class(py, "Fault")?.call1((COPROCESSOR, message))?,
    };
    Ok(PyErr::from_value(error))
}

fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyType>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = MODULE.get_or_try_init(py, || py.import("solder.errors").map(Bound::unbind))?;
    Ok(module.bind(py).getattr(name)?.cast_into::<PyType>()?)
}

/// The catalogue: every code that an exception can carry, as (kind, code).
#[pyfunction]
pub fn error_codes() -> Vec<(&'static str, &'static str)> {
    let rejections = Code::ALL.iter().map(|code| {
        let name = code.name();
        (if name.starts_with("TransactionException.") { "transaction" } else { "block" }, name)
    });
    let faults = Fault::NAMES
        .iter()
        .copied()
        .chain([PANIC, COPROCESSOR])
        .chain(solder_remote::Kind::CODES.iter().copied())
        .map(|name| ("fault", name));
    rejections.chain(faults).collect()
}
