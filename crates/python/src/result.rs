//! `BlockResult`, `Receipt` and `Log`: what executing a block gave.

use std::sync::Arc;

use alloy_primitives::{B256, Bloom, Log};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use solder_engine::chain::receipt::{logs_bloom, receipts_root};
use solder_engine::parallel::Report;
use solder_engine::{Block, BlockOutcome, Receipt};
use solder_schedule::{BlockLabel, BlockSchedule};

use crate::changes::PyChangeSet;
use crate::convert::{bytes, maybe_hash};
use crate::schedule::PySchedule;

/// The outcome of a block: receipts, what counts, and what changed.
#[pyclass(frozen, name = "BlockResult", module = "solder")]
pub struct PyBlockResult {
    receipts: Arc<Vec<Receipt>>,
    receipts_root: B256,
    logs_bloom: Bloom,
    state_digest: B256,
    requests_hash: Option<B256>,
    block_access_list_hash: Option<B256>,
    changes: PyChangeSet,
    outcome: BlockOutcome,
    label: BlockLabel,
}

impl PyBlockResult {
    /// Roots and digest are computed here, off the GIL. `seconds` is the wall time of the execution.
    pub fn new(block: &Block, mut outcome: BlockOutcome, seconds: f64) -> Self {
        let label = BlockLabel {
            number: block.header.number,
            gas_used: outcome.gas_used,
            transactions: block.transactions.len() as u64,
            beneficiary: Some(block.header.beneficiary),
            serial_seconds: None,
            parallel_seconds: Some(seconds),
        };
        let receipts = Arc::new(std::mem::take(&mut outcome.receipts));
        let changes = PyChangeSet::new(std::mem::take(&mut outcome.changes));
        Self {
            receipts_root: receipts_root(&receipts),
            logs_bloom: logs_bloom(&receipts),
            state_digest: changes.inner.digest(),
            requests_hash: outcome.requests_hash(),
            block_access_list_hash: outcome.block_access_list_hash(),
            receipts,
            changes,
            outcome,
            label,
        }
    }
}

#[pymethods]
impl PyBlockResult {
    #[getter]
    fn receipts(&self) -> Vec<PyReceipt> {
        (0..self.receipts.len()).map(|index| PyReceipt { all: self.receipts.clone(), index }).collect()
    }

    #[getter]
    fn gas_used(&self) -> u64 {
        self.outcome.gas_used
    }

    #[getter]
    fn blob_gas_used(&self) -> u64 {
        self.outcome.blob_gas_used
    }

    #[getter]
    fn receipts_root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.receipts_root)
    }

    #[getter]
    fn logs_bloom<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.logs_bloom)
    }

    /// EIP-7685 requests, type byte first; None before Prague.
    #[getter]
    fn requests<'py>(&self, py: Python<'py>) -> Option<Vec<Bound<'py, PyBytes>>> {
        let requests = self.outcome.requests.as_ref()?;
        Some(requests.iter().map(|request| bytes(py, request)).collect())
    }

    #[getter]
    fn requests_hash<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        maybe_hash(py, self.requests_hash)
    }

    #[getter]
    fn changes(&self) -> PyChangeSet {
        PyChangeSet { inner: self.changes.inner.clone() }
    }

    /// Transactions left out under the policy "skip": (index, official exception name, detail).
    #[getter]
    fn skipped(&self) -> Vec<(usize, &'static str, String)> {
        let skipped = self.outcome.skipped.iter();
        skipped.map(|skip| (skip.index, skip.rejection.code.name(), skip.rejection.detail.clone())).collect()
    }

    #[getter]
    fn state_digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.state_digest)
    }

    #[getter]
    fn block_access_list_hash<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        maybe_hash(py, self.block_access_list_hash)
    }

    /// What the workers did, in numbers; None where the serial engine ran.
    #[getter]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.outcome.parallel.as_ref().map(|report| counters(py, report)).transpose()
    }

    /// Who did what, when; None where it was not asked for.
    #[getter]
    fn schedule(&self) -> Option<PySchedule> {
        let recording = self.outcome.parallel.as_ref()?.recording.as_ref()?;
        Some(PySchedule::new(BlockSchedule {
            label: self.label.clone(),
            schedule: recording.schedule(),
            around: recording.around(self.label.parallel_seconds.unwrap_or_default()),
            alone: None,
        }))
    }

    fn __repr__(&self) -> String {
        let (receipts, gas) = (self.receipts.len(), self.outcome.gas_used);
        format!(
            "<BlockResult {receipts} receipts, {gas} gas, {} accounts>",
            self.changes.inner.accounts.len()
        )
    }
}

fn counters<'py>(py: Python<'py>, report: &Report) -> PyResult<Bound<'py, PyDict>> {
    let table = PyDict::new(py);
    let numbers = &report.counters;
    for (name, number) in [
        ("transactions", numbers.transactions),
        ("executions", numbers.executions),
        ("conflicts", numbers.conflicts),
        ("late_conflicts", numbers.late_conflicts),
        ("parked", numbers.parked),
        ("published", numbers.published),
    ] {
        table.set_item(name, number)?;
    }
    table.set_item("workers", report.workers)?;
    table.set_item("workers_used", report.workers_used)?;
    table.set_item("clamp", report.clamp.map(|clamp| clamp.name()))?;
    Ok(table)
}

/// The receipt of one transaction.
#[pyclass(frozen, name = "Receipt", module = "solder")]
pub struct PyReceipt {
    all: Arc<Vec<Receipt>>,
    index: usize,
}

impl PyReceipt {
    fn receipt(&self) -> &Receipt {
        &self.all[self.index]
    }
}

#[pymethods]
impl PyReceipt {
    #[getter]
    fn r#type(&self) -> u8 {
        self.receipt().tx_type
    }

    /// Whether execution succeeded; known before Byzantium too, where the encoding does not say it.
    #[getter]
    fn success(&self) -> bool {
        self.receipt().success
    }

    /// The state root after the transaction, before Byzantium; None from then on.
    #[getter]
    fn state_root<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        maybe_hash(py, self.receipt().status.as_post_state())
    }

    #[getter]
    fn gas_used(&self) -> u64 {
        self.receipt().gas_used
    }

    #[getter]
    fn cumulative_gas_used(&self) -> u64 {
        self.receipt().cumulative_gas_used
    }

    #[getter]
    fn logs(&self) -> Vec<PyLog> {
        self.receipt().logs.iter().map(|log| PyLog { inner: log.clone() }).collect()
    }

    #[getter]
    fn logs_bloom<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.receipt().bloom())
    }

    /// The address of the created contract, or None.
    #[getter]
    fn contract_address<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.receipt().contract_address.map(|address| bytes(py, address))
    }

    /// What the top call returned.
    #[getter]
    fn output<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.receipt().output)
    }

    /// The EIP-2718 encoding.
    fn encode<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.receipt().encode())
    }

    fn __repr__(&self) -> String {
        let word = if self.receipt().success { "success" } else { "failure" };
        format!("<Receipt {word}, {} gas, {} logs>", self.receipt().gas_used, self.receipt().logs.len())
    }
}

/// One log entry.
#[pyclass(frozen, eq, name = "Log", module = "solder")]
#[derive(PartialEq)]
pub struct PyLog {
    pub inner: Log,
}

#[pymethods]
impl PyLog {
    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.address)
    }

    #[getter]
    fn topics<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.inner.topics().iter().map(|topic| bytes(py, topic)).collect()
    }

    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.data.data)
    }

    fn __repr__(&self) -> String {
        format!("<Log {} {} topics>", self.inner.address, self.inner.topics().len())
    }
}
