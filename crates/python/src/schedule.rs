//! `Schedule`: who ran what, when, on which worker, and what conflicted; of one block or of several.

use std::path::Path;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use solder_engine::parallel::record::{Activity, Ending, Span};
use solder_schedule::conflicts::thrown_away;
use solder_schedule::{BlockSchedule, Filter, Summary, TraceError, picture, read_trace, write_trace};

use crate::errors::Failure;
use crate::run::detached;

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Self {
        Self::Input { path: Some(error.path), field: error.field, detail: error.detail }
    }
}

/// The schedule of one executed block, or of the blocks of a file.
#[pyclass(frozen, name = "Schedule", module = "solder")]
pub struct PySchedule {
    blocks: Vec<Arc<BlockSchedule>>,
}

impl PySchedule {
    /// Of one block.
    pub fn new(block: BlockSchedule) -> Self {
        Self { blocks: vec![Arc::new(block)] }
    }

    fn picked(&self, number: Option<u64>) -> Result<Arc<BlockSchedule>, Failure> {
        let found = match number {
            Some(number) => self.blocks.iter().find(|block| block.label.number == number),
            None => self.blocks.iter().max_by_key(|block| block.schedule.wall),
        };
        found.cloned().ok_or_else(|| match number {
            Some(number) => Failure::field("block", format!("no block {number} in this schedule")),
            None => Failure::field("block", "no block in this schedule"),
        })
    }
}

/// Saves the schedules of several blocks to one file, whole or not at all.
#[pyfunction]
pub fn save_schedules(py: Python<'_>, path: &str, schedules: Vec<PyRef<'_, PySchedule>>) -> PyResult<()> {
    let blocks: Vec<_> = schedules.iter().flat_map(|schedule| schedule.blocks.iter().cloned()).collect();
    let path = path.to_owned();
    detached(py, move |_| Ok(write_trace(Path::new(&path), blocks.iter().map(AsRef::as_ref))?))
}

#[pymethods]
impl PySchedule {
    /// Reads a file that `save` wrote.
    #[staticmethod]
    fn load(py: Python<'_>, path: &str) -> PyResult<Self> {
        let path = path.to_owned();
        let blocks = detached(py, move |_| Ok(read_trace(Path::new(&path))?))?;
        Ok(Self { blocks: blocks.into_iter().map(Arc::new).collect() })
    }

    /// Saves it as Chrome trace events, whole or not at all.
    fn save(&self, py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let path: std::path::PathBuf = path.extract()?;
        let blocks = self.blocks.clone();
        detached(py, move |_| Ok(write_trace(&path, blocks.iter().map(AsRef::as_ref))?))
    }

    /// The figures of `solder schedule --json`, in sum over the blocks that pass the filters.
    #[pyo3(signature = (min_gas = 0, min_transactions = 0))]
    fn summary<'py>(
        &self,
        py: Python<'py>,
        min_gas: u64,
        min_transactions: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let blocks = self.blocks.clone();
        let filter = Filter { min_gas, min_transactions };
        let text =
            detached(py, move |_| Ok(Summary::new(blocks.iter().map(AsRef::as_ref), filter).to_json()))?;
        py.import("json")?.call_method1("loads", (text,))
    }

    /// A picture of one block: the one with this number, or the longest.
    #[pyo3(signature = (block = None))]
    fn svg(&self, py: Python<'_>, block: Option<u64>) -> PyResult<String> {
        let picked = self.picked(block)?;
        detached(py, move |_| Ok(picture::svg(&picked)))
    }

    fn _repr_svg_(&self, py: Python<'_>) -> PyResult<Option<String>> {
        if self.blocks.is_empty() { Ok(None) } else { self.svg(py, None).map(Some) }
    }

    /// The blocks with their figures, in the order of the file.
    #[getter]
    fn blocks<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let described = self.blocks.iter().map(|block| describe(py, block));
        described.collect()
    }

    /// How many spans of time were recorded.
    fn __len__(&self) -> usize {
        self.blocks.iter().map(|block| block.schedule.spans.len()).sum()
    }

    fn __repr__(&self) -> String {
        let workers = self.blocks.iter().map(|block| block.schedule.workers).max().unwrap_or(0);
        let spans = self.__len__();
        match self.blocks.as_slice() {
            [one] => format!("<Schedule of block {}, {workers} workers, {spans} spans>", one.label.number),
            several => format!("<Schedule of {} blocks, {workers} workers, {spans} spans>", several.len()),
        }
    }
}

fn describe<'py>(py: Python<'py>, block: &BlockSchedule) -> PyResult<Bound<'py, PyDict>> {
    let BlockSchedule { label, schedule, .. } = block;
    // As the engine counts: an attempt that stopped to wait is none.
    let ended = |span: &&Span| span.activity == Activity::Execute && span.ending != Ending::Parked;
    let executions = schedule.spans.iter().filter(ended).count();
    let conflicts = thrown_away(&schedule.spans).into_iter().filter(|thrown| *thrown).count();
    let told = PyDict::new(py);
    told.set_item("number", label.number)?;
    told.set_item("transactions", label.transactions)?;
    told.set_item("gas_used", label.gas_used)?;
    told.set_item("workers", schedule.workers)?;
    told.set_item("executions", executions)?;
    told.set_item("conflicts", conflicts)?;
    told.set_item("serial_seconds", label.serial_seconds)?;
    told.set_item("parallel_seconds", label.parallel_seconds)?;
    Ok(told)
}
