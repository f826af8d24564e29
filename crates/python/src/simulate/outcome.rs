//! `CallResult` and `BundleResult`: what transactions on a snapshot gave.

use std::sync::Arc;

use alloy_primitives::U256;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use solder_abi::Artefact;
use solder_engine::{ChangeSet, Rejection};
use solder_simulate::Snapshot;
use solder_simulate::call::{BundleOutcome, Bundled, Outcome, Status};
use solder_simulate::reason::Reason;

use crate::abi::{PyAbi, error_text};
use crate::changes::PyChangeSet;
use crate::convert::{bytes, int};
use crate::result::PyLog;
use crate::state::PyState;

/// What one transaction gave.
#[pyclass(frozen, name = "CallResult", module = "solder")]
pub struct PyCallResult {
    outcome: Outcome,
    rejection: Option<Rejection>,
    changes: Option<Arc<ChangeSet>>,
    /// The state after it, as an object of the caller's class.
    state: Option<Py<PyAny>>,
    payment: Option<(bool, U256, U256)>,
    /// Whose custom errors are named.
    interface: Option<Arc<Artefact>>,
}

impl PyCallResult {
    /// A call whose changes are thrown away.
    pub fn thrown_away(outcome: Outcome) -> Self {
        Self { outcome, rejection: None, changes: None, state: None, payment: None, interface: None }
    }

    /// A transaction that was traced: what it changed is known, the state after it is not made.
    pub fn traced(outcome: Outcome, changes: ChangeSet) -> Self {
        let changes = Some(PyChangeSet::new(changes).inner);
        Self { outcome, rejection: None, changes, state: None, payment: None, interface: None }
    }

    /// A transaction whose changes are kept.
    pub fn kept(
        this: &Bound<'_, PyState>,
        outcome: Outcome,
        changes: ChangeSet,
        after: Snapshot,
    ) -> PyResult<Self> {
        let changes = PyChangeSet::new(changes).inner;
        let state = Some(PyState::like(this, after)?.unbind());
        Ok(Self { outcome, rejection: None, changes: Some(changes), state, payment: None, interface: None })
    }

    /// The same, with custom errors by an interface.
    pub fn by(mut self, abi: Option<&Bound<'_, PyAbi>>) -> Self {
        self.interface = abi.map(|abi| abi.get().inner.clone());
        self
    }

    /// What a revert says.
    fn reason(&self) -> Option<String> {
        let known = self.interface.as_ref();
        known
            .and_then(|artefact| error_text(&artefact.interface, &self.outcome.output))
            .or_else(|| Reason::decode(&self.outcome.output).map(|reason| reason.to_string()))
    }

    fn bundled(bundled: Bundled) -> Self {
        let (outcome, rejection) = match bundled.outcome {
            Ok(outcome) => (outcome, None),
            Err(rejection) => (rejected(), Some(rejection)),
        };
        let (negative, payment) = bundled.payment;
        let payment = Some((negative, payment, bundled.fees));
        Self { outcome, rejection, changes: None, state: None, payment, interface: None }
    }
}

fn rejected() -> Outcome {
    Outcome {
        status: Status::Rejected,
        gas_used: 0,
        gas_refunded: 0,
        output: Default::default(),
        logs: Vec::new(),
        created: None,
        halt: None,
    }
}

fn signed<'py>(py: Python<'py>, negative: bool, value: U256) -> PyResult<Bound<'py, PyAny>> {
    let value = int(py, value)?;
    if negative { value.neg() } else { Ok(value) }
}

#[pymethods]
impl PyCallResult {
    /// "success", "revert", "halt"; "rejected" in a bundle only.
    #[getter]
    fn status(&self) -> &'static str {
        self.outcome.status.name()
    }

    /// Whether it succeeded.
    #[getter]
    fn ok(&self) -> bool {
        self.outcome.status == Status::Success
    }

    /// Gas paid for, after the refund.
    #[getter]
    fn gas_used(&self) -> u64 {
        self.outcome.gas_used
    }

    #[getter]
    fn gas_refunded(&self) -> u64 {
        self.outcome.gas_refunded
    }

    /// What the top call returned or reverted with; the code of a created contract.
    #[getter]
    fn output<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.outcome.output)
    }

    #[getter]
    fn logs(&self) -> Vec<PyLog> {
        self.outcome.logs.iter().map(|log| PyLog { inner: log.clone() }).collect()
    }

    /// The address of the created contract, or None.
    #[getter]
    fn created<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.outcome.created.map(|address| bytes(py, address))
    }

    /// Why it failed, in words: a decoded Error(string) or Panic(uint256), a custom error's selector, what halted it, or
    /// why it is invalid. None where it succeeded, or reverted without a word.
    #[getter]
    fn error(&self) -> Option<String> {
        match self.outcome.status {
            Status::Success => None,
            Status::Revert => self.reason(),
            Status::Halt => self.outcome.halt.clone(),
            Status::Rejected => self.rejection.as_ref().map(ToString::to_string),
        }
    }

    /// The code of Panic(uint256), or None.
    #[getter]
    fn panic<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match (self.outcome.status, Reason::decode(&self.outcome.output)) {
            (Status::Revert, Some(Reason::Panic(code))) => int(py, code).map(Some),
            _ => Ok(None),
        }
    }

    /// What it changed; None where that was thrown away.
    #[getter]
    fn changes(&self) -> Option<PyChangeSet> {
        self.changes.as_ref().map(|changes| PyChangeSet { inner: changes.clone() })
    }

    /// The state after it; None where that was thrown away.
    #[getter]
    fn state(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.as_ref().map(|state| state.clone_ref(py))
    }

    /// In a bundle: what the beneficiary's balance grew by (fees and what was sent to it), in wei.
    #[getter]
    fn coinbase_payment<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.payment.map(|(negative, payment, _)| signed(py, negative, payment)).transpose()
    }

    /// In a bundle: the part of the payment that is priority fees, in wei.
    #[getter]
    fn coinbase_fees<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.payment.map(|(_, _, fees)| int(py, fees)).transpose()
    }

    fn __repr__(&self) -> String {
        let outcome = &self.outcome;
        let mut text = format!("<CallResult {}, {} gas", outcome.status.name(), outcome.gas_used);
        if !outcome.logs.is_empty() {
            text += &format!(", {} logs", outcome.logs.len());
        }
        if let Some(address) = outcome.created {
            text += &format!(", created {address}");
        }
        if let Some(error) = self.error() {
            text += &format!(": {error}");
        } else if !outcome.output.is_empty() {
            text += &format!(", {} bytes", outcome.output.len());
        }
        text + ">"
    }
}

/// What a bundle gave.
#[pyclass(frozen, name = "BundleResult", module = "solder")]
pub struct PyBundleResult {
    results: Vec<Py<PyCallResult>>,
    changes: Arc<ChangeSet>,
    state: Py<PyAny>,
    payment: (bool, U256),
    gas_used: u64,
}

impl PyBundleResult {
    pub fn new(
        this: &Bound<'_, PyState>,
        outcome: BundleOutcome,
        after: Snapshot,
        kept: bool,
    ) -> PyResult<Self> {
        let py = this.py();
        let mut payment = (U256::ZERO, U256::ZERO);
        let mut gas_used = 0;
        for bundled in outcome.results.iter().filter(|_| kept) {
            let side = if bundled.payment.0 { &mut payment.1 } else { &mut payment.0 };
            *side += bundled.payment.1;
            gas_used += bundled.outcome.as_ref().map_or(0, |outcome| outcome.gas_used);
        }
        let negative = payment.1 > payment.0;
        let payment = if negative { payment.1 - payment.0 } else { payment.0 - payment.1 };
        let results = outcome.results.into_iter().map(|bundled| Py::new(py, PyCallResult::bundled(bundled)));
        Ok(Self {
            results: results.collect::<PyResult<_>>()?,
            changes: PyChangeSet::new(outcome.changes).inner,
            state: PyState::like(this, after)?.unbind(),
            payment: (negative, payment),
            gas_used,
        })
    }
}

#[pymethods]
impl PyBundleResult {
    /// A `CallResult` for each transaction, up to the one that ended an atomic bundle.
    #[getter]
    fn results(&self, py: Python<'_>) -> Vec<Py<PyCallResult>> {
        self.results.iter().map(|result| result.clone_ref(py)).collect()
    }

    /// Whether every transaction succeeded.
    #[getter]
    fn ok(&self) -> bool {
        self.results.iter().all(|result| result.get().ok())
    }

    /// What the beneficiary's balance grew by, in wei: 0 where an atomic bundle failed.
    #[getter]
    fn coinbase_payment<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        signed(py, self.payment.0, self.payment.1)
    }

    #[getter]
    fn gas_used(&self) -> u64 {
        self.gas_used
    }

    #[getter]
    fn changes(&self) -> PyChangeSet {
        PyChangeSet { inner: self.changes.clone() }
    }

    /// The state after the bundle.
    #[getter]
    fn state(&self, py: Python<'_>) -> Py<PyAny> {
        self.state.clone_ref(py)
    }

    fn __len__(&self) -> usize {
        self.results.len()
    }

    fn __repr__(&self) -> String {
        let word = if self.ok() { "ok" } else { "failed" };
        let sign = if self.payment.0 { "-" } else { "" };
        let count = self.results.len();
        format!("<BundleResult {word}, {count} transactions, coinbase {sign}{} wei>", self.payment.1)
    }
}
