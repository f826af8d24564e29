//! `Artefact`: an integer graph, loaded, described and run. Runs release the GIL and stop at Ctrl-C.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyString};
use solder_ai::artefact::container::MAXIMUM_FILE_BYTES;
use solder_ai::artefact::{self, ArtefactError, Axis, Bytes, Coding, Extents, Facts};
use solder_ai::execute::{
    Array, Backend, DEFAULT_MEMORY_LIMIT, Options, Outcome, Processor, RunError, Values,
};
use solder_ai::kernels::{Kernel, Path};

use crate::ai_values::{array, numpy};
use crate::convert::bytes;
use crate::errors::Failure;
use crate::run::{caught, detached};

impl From<ArtefactError> for Failure {
    fn from(error: ArtefactError) -> Self {
        Self::Input { path: None, field: Some(error.field), detail: error.detail }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Refused(refused) => refused.into(),
            RunError::Cancelled => Self::Fault(solder_engine::Fault::Cancelled),
            RunError::Fault(detail) => Self::Coprocessor(detail),
        }
    }
}

/// The kernel of that name; without one, the fastest.
pub fn kernel_of(name: Option<&str>) -> Result<Kernel, Failure> {
    let Some(name) = name else { return Ok(Kernel::best()) };
    Path::parse(name).and_then(Kernel::forced).map_err(|error| Failure::field("kernel", error.to_string()))
}

/// The kernels that this machine has, from plain to fast.
#[pyfunction]
pub fn ai_kernels() -> Vec<&'static str> {
    Kernel::available().into_iter().map(|kernel| kernel.path().name()).collect()
}

/// An admitted integer graph with its tensors.
#[pyclass(frozen, name = "Artefact", module = "solder")]
pub struct PyArtefact {
    inner: Arc<artefact::Artefact>,
    /// What was prepared, by kernel.
    prepared: Arc<Mutex<HashMap<Path, Arc<Processor>>>>,
    /// The cost of one item of the longest sequence, in multiply-accumulates.
    macs: u128,
}

/// A run of at most so many multiply-accumulates is over within a second, even without vectors: it stays
/// on the thread of its caller, so that a small one does not wait for another thread to wake.
const SHORT_MACS: u128 = 1 << 30;

impl PyArtefact {
    fn processor(
        &self,
        kernel: Option<&str>,
    ) -> Result<impl FnOnce() -> Result<Arc<Processor>, Failure> + use<>, Failure> {
        let kernel = kernel_of(kernel)?;
        let (inner, prepared) = (self.inner.clone(), self.prepared.clone());
        Ok(move || {
            let mut prepared = prepared.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = prepared.get(&kernel.path()) {
                return Ok(found.clone());
            }
            let made = Arc::new(Processor::new(inner, kernel)?);
            prepared.insert(kernel.path(), made.clone());
            Ok(made)
        })
    }

    #[expect(clippy::too_many_arguments, reason = "each is an argument of the Python method")]
    fn outcome(
        &self,
        py: Python<'_>,
        inputs: &Bound<'_, PyDict>,
        kernel: Option<&str>,
        threads: usize,
        memory_limit: Option<u64>,
        timed: bool,
        thread_macs: Option<u64>,
    ) -> PyResult<Outcome> {
        let inputs = arrays(inputs)?;
        let processor = self.processor(kernel)?;
        let memory_limit = memory_limit.map_or(DEFAULT_MEMORY_LIMIT, u128::from);
        let thread_macs = thread_macs.map(u128::from);
        let batch = inputs.values().filter_map(|array| array.shape.first()).max().copied().unwrap_or(1);
        let work = move |cancel: &AtomicBool| {
            Ok(processor()?.run(&inputs, Options { threads, memory_limit, cancel, timed, thread_macs })?)
        };
        if self.macs.saturating_mul(batch as u128) <= SHORT_MACS {
            return Ok(py.detach(|| caught(|| work(&AtomicBool::new(false))))?);
        }
        detached(py, work)
    }

    fn facts<'py>(&self, py: Python<'py>, facts: &Facts) -> PyResult<Bound<'py, PyDict>> {
        let told = PyDict::new(py);
        told.set_item("name", &facts.name)?;
        told.set_item("bits", 8 * facts.dtype.bytes())?;
        let shape: Vec<Bound<'py, PyAny>> =
            facts.shape.iter().map(|axis| axis_of(py, *axis)).collect::<PyResult<_>>()?;
        told.set_item("shape", shape)?;
        told.set_item("minimum", facts.lowest)?;
        told.set_item("maximum", facts.highest)?;
        Ok(told)
    }

    fn ports<'py>(&self, py: Python<'py>, ports: &[(usize, Coding)]) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let port = |(value, coding): &(usize, Coding)| {
            let told = self.facts(py, &self.inner.graph.values[*value])?;
            told.set_item("coding", coding_of(py, *coding)?)?;
            Ok(told)
        };
        ports.iter().map(port).collect()
    }
}

fn axis_of(py: Python<'_>, axis: Axis) -> PyResult<Bound<'_, PyAny>> {
    Ok(match axis {
        Axis::Static(size) => size.into_pyobject(py)?.into_any(),
        Axis::Batch => PyString::new(py, "batch").into_any(),
        Axis::Sequence => PyString::new(py, "sequence").into_any(),
    })
}

fn coding_of(py: Python<'_>, coding: Coding) -> PyResult<Bound<'_, PyDict>> {
    let told = PyDict::new(py);
    match coding {
        Coding::Index => told.set_item("kind", "index")?,
        Coding::Fixed { multiplier, shift } => {
            told.set_item("kind", "fixed")?;
            told.set_item("multiplier", multiplier)?;
            told.set_item("shift", shift)?;
        }
        Coding::Float32Order => told.set_item("kind", "float32_order")?,
    }
    Ok(told)
}

fn arrays(inputs: &Bound<'_, PyDict>) -> PyResult<BTreeMap<String, Array>> {
    let mut found = BTreeMap::new();
    for (name, value) in inputs {
        let name: String =
            name.extract().map_err(|_| Failure::field("inputs", "a name that is not a string"))?;
        let field = format!("inputs.{name}");
        found.insert(name, array(&value, &field)?);
    }
    Ok(found)
}

fn dictionary<'py>(py: Python<'py>, outputs: &BTreeMap<String, Array>) -> PyResult<Bound<'py, PyDict>> {
    let told = PyDict::new(py);
    for (name, array) in outputs {
        told.set_item(name, numpy(py, array)?)?;
    }
    Ok(told)
}

/// The bytes of a file, if they are not more than an artefact may have.
fn file_bytes(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    let shown = path.display().to_string();
    let unreadable = |detail: String| Failure::Input { path: Some(shown.clone()), field: None, detail };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(0).min(MAXIMUM_FILE_BYTES));
    // One more than may be: then the reader says that it is too many.
    file.take(MAXIMUM_FILE_BYTES as u64 + 1)
        .read_to_end(&mut content)
        .map_err(|error| unreadable(error.to_string()))?;
    Ok(content)
}

fn in_file(failure: Failure, path: Option<&PathBuf>) -> Failure {
    match (failure, path) {
        (Failure::Input { path: None, field, detail }, Some(path)) => {
            Failure::Input { path: Some(path.display().to_string()), field, detail }
        }
        (other, _) => other,
    }
}

#[pymethods]
impl PyArtefact {
    /// Reads and admits an artefact: bytes, or the file of a path. With `expected`, only that identity.
    #[staticmethod]
    #[pyo3(signature = (source, *, expected = None))]
    fn load(py: Python<'_>, source: &Bound<'_, PyAny>, expected: Option<&[u8]>) -> PyResult<Self> {
        let expected = expected.map(<[u8]>::to_vec);
        let given = source.cast::<PyBytes>().ok().map(|content| PyBackedBytes::from(content.clone()));
        let path: Option<PathBuf> = match given {
            Some(_) => None,
            None => Some(source.extract().map_err(|_| Failure::field("source", "neither bytes nor a path"))?),
        };
        let inner = detached(py, move |_| {
            let content = match (given, &path) {
                (Some(given), _) => Bytes::new(given),
                (None, Some(path)) => Bytes::new(file_bytes(path)?),
                (None, None) => return Err(Failure::field("source", "neither bytes nor a path")),
            };
            let read =
                artefact::Artefact::read(&content).map_err(|error| in_file(error.into(), path.as_ref()))?;
            match expected {
                Some(expected) if expected != read.identity => {
                    let detail = format!("SHA-256 {}, not the expected one", hexadecimal(&read.identity));
                    Err(in_file(Failure::field("identity", detail), path.as_ref()))
                }
                _ => Ok(read),
            }
        })?;
        let item = Extents { batch: 1, sequence: inner.graph.limits.sequence };
        let macs = inner.graph.cost(item).total.macs;
        Ok(Self { inner: Arc::new(inner), prepared: Arc::default(), macs })
    }

    /// SHA-256 of the file.
    #[getter]
    fn identity<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.identity)
    }

    /// The graph as canonical JSON.
    #[getter]
    fn graph(&self) -> &str {
        &self.inner.text
    }

    /// Length of the file.
    #[getter]
    fn file_bytes(&self) -> usize {
        self.inner.file_bytes
    }

    /// How many numbers the tensors hold.
    #[getter]
    fn parameters(&self) -> usize {
        self.inner.parameters()
    }

    /// What a run takes.
    #[getter]
    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        self.ports(py, &self.inner.graph.inputs)
    }

    /// What a run gives.
    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        self.ports(py, &self.inner.graph.outputs)
    }

    /// Every value with its proven range.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        self.inner.graph.values.iter().map(|facts| self.facts(py, facts)).collect()
    }

    /// One tensor.
    fn tensor<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let found = self.inner.graph.tensors.iter().find(|(other, _)| other == name);
        let (_, tensor) = found.ok_or_else(|| Failure::field("name", format!("no tensor {name:?}")))?;
        let values = Values::of(tensor.dtype, tensor.iter());
        numpy(py, &Array { shape: tensor.shape.clone(), values })
    }

    /// Multiply-accumulates, bytes and memory of a run, and the first two by node.
    #[pyo3(signature = (batch = 1, sequence = None, *, threads = 1, kernel = None))]
    fn cost<'py>(
        &self,
        py: Python<'py>,
        batch: usize,
        sequence: Option<usize>,
        threads: usize,
        kernel: Option<&str>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let extents = Extents { batch, sequence: sequence.unwrap_or(self.inner.graph.limits.sequence) };
        let processor = self.processor(kernel)?;
        let memory = detached(py, move |_| Ok(processor()?.memory(extents, threads)?))?;
        let cost = self.inner.graph.cost(extents);
        let told = PyDict::new(py);
        told.set_item("macs", cost.total.macs)?;
        told.set_item("bytes", cost.total.bytes)?;
        told.set_item("memory_bytes", memory)?;
        let mut nodes = Vec::with_capacity(cost.nodes.len());
        for (node, cost) in self.inner.graph.nodes.iter().zip(cost.nodes) {
            let row = PyDict::new(py);
            row.set_item("name", &node.name)?;
            row.set_item("operator", node.operator.name())?;
            row.set_item("macs", cost.macs)?;
            row.set_item("bytes", cost.bytes)?;
            nodes.push(row);
        }
        told.set_item("nodes", nodes)?;
        Ok(told)
    }

    /// Runs the graph on a batch. Work of fewer than `thread_macs` multiply-accumulates is not worth another thread.
    #[pyo3(signature = (inputs, *, kernel = None, threads = 1, memory_limit = None, thread_macs = None))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        inputs: &Bound<'py, PyDict>,
        kernel: Option<&str>,
        threads: usize,
        memory_limit: Option<u64>,
        thread_macs: Option<u64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let outcome = self.outcome(py, inputs, kernel, threads, memory_limit, false, thread_macs)?;
        dictionary(py, &outcome.outputs)
    }

    /// The same, with the time of each call: its nodes, the operator of the first, nanoseconds in sum over the threads.
    #[pyo3(signature = (inputs, *, kernel = None, threads = 1, memory_limit = None))]
    fn profile<'py>(
        &self,
        py: Python<'py>,
        inputs: &Bound<'py, PyDict>,
        kernel: Option<&str>,
        threads: usize,
        memory_limit: Option<u64>,
    ) -> PyResult<(Bound<'py, PyDict>, Vec<Bound<'py, PyDict>>)> {
        let outcome = self.outcome(py, inputs, kernel, threads, memory_limit, true, None)?;
        let mut times = Vec::with_capacity(outcome.times.len());
        for (nodes, nanoseconds) in &outcome.times {
            let row = PyDict::new(py);
            let first = nodes.first().and_then(|at| self.inner.graph.nodes.get(*at));
            row.set_item("node", nodes.first())?;
            row.set_item("name", first.map(|node| &node.name))?;
            row.set_item("operator", first.map(|node| node.operator.name()))?;
            row.set_item("nodes", nodes)?;
            row.set_item("nanoseconds", nanoseconds)?;
            times.push(row);
        }
        Ok((dictionary(py, &outcome.outputs)?, times))
    }

    fn __repr__(&self) -> String {
        let graph = &self.inner.graph;
        let identity = hexadecimal(&self.inner.identity[..4]);
        format!(
            "<Artefact {identity} {:?}, {} nodes, {} parameters>",
            graph.title,
            graph.nodes.len(),
            self.parameters()
        )
    }
}

fn hexadecimal(raw: &[u8]) -> String {
    raw.iter().map(|byte| format!("{byte:02x}")).collect()
}
