//! The entries of an interface: functions, events and custom errors, by which calls, logs and reverts are read.

use std::sync::Arc;

use alloy_primitives::B256;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use solder_abi::{AbiError, Artefact, ErrorEntry, Event, Function, Parameter, Value};

use crate::abi::PyAbi;
use crate::abi_values::{Problem, Shape, to_python, to_value, tuple};
use crate::convert::{bytes, slice};
use crate::errors::Failure;

/// Names and types of parameters.
type Described = Vec<(String, String)>;

fn described(parameters: &[Parameter]) -> Described {
    parameters.iter().map(|parameter| (parameter.name.clone(), parameter.ty.to_string())).collect()
}

pub fn topics_of(topics: &Bound<'_, PyAny>) -> PyResult<Vec<B256>> {
    topics
        .try_iter()?
        .take(5)
        .map(|topic| {
            let topic = topic?;
            let raw = slice(&topic, "topics")?;
            B256::try_from(raw)
                .map_err(|_| Failure::field("topics", format!("{} bytes, not 32", raw.len())).into())
        })
        .collect()
}

/// What is indexed and takes more than a word is a hash: it has no shape of its own.
pub fn event_shape(py: Python<'_>, event: &Event) -> PyResult<Shape> {
    let shape = Shape::fields(py, &event.inputs, &event.name)?;
    let Shape::Tuple(mut shapes, class) = shape else { return Ok(shape) };
    for (shape, indexed) in shapes.iter_mut().zip(&event.indexed) {
        if *indexed {
            *shape = Shape::Plain;
        }
    }
    Ok(Shape::Tuple(shapes, class))
}

/// Puts arguments in their places: by position, then by name.
pub fn bound_arguments<'py>(
    function: &Function,
    arguments: &Bound<'py, PyTuple>,
    named: Option<&Bound<'py, PyDict>>,
) -> Result<Vec<Bound<'py, PyAny>>, Problem> {
    let wrong = |detail: String| Problem::from(AbiError::new(&function.signature, detail));
    let inputs = &function.inputs;
    let given = arguments.len() + named.map_or(0, |named| named.len());
    if given != inputs.len() {
        let names: Vec<String> =
            inputs.iter().map(|input| format!("{} {}", input.ty, input.name).trim_end().to_owned()).collect();
        return Err(wrong(format!("{given} arguments, not {} ({})", inputs.len(), names.join(", "))));
    }
    let mut values: Vec<_> = arguments.iter().collect();
    let Some(named) = named else { return Ok(values) };
    for input in &inputs[values.len()..] {
        let value = if input.name.is_empty() { None } else { named.get_item(&input.name)? };
        values.push(value.ok_or_else(|| {
            let given: Vec<String> = named.keys().iter().map(|key| key.to_string()).collect();
            let missing = if input.name.is_empty() { "an argument without a name" } else { &input.name };
            wrong(format!("{missing} is missing; named are {}", given.join(", ")))
        })?);
    }
    Ok(values)
}

/// A function of an interface.
#[pyclass(frozen, name = "AbiFunction", module = "solder._native")]
pub struct PyFunction {
    pub abi: Arc<Artefact>,
    pub inner: Arc<Function>,
    pub shape: Shape,
    pub input_shape: Shape,
}

impl PyFunction {
    /// The values of arguments, checked.
    pub fn values(
        &self,
        arguments: &Bound<'_, PyTuple>,
        named: Option<&Bound<'_, PyDict>>,
    ) -> Result<Vec<Value>, Problem> {
        let bound = bound_arguments(&self.inner, arguments, named)?;
        let inputs = self.inner.inputs.iter().enumerate();
        inputs
            .zip(bound)
            .map(|((index, input), value)| {
                let value = to_value(&value, &input.ty);
                value.map_err(|error| error.inside(&input.label(index)).inside(&self.inner.signature))
            })
            .collect()
    }
}

#[pymethods]
impl PyFunction {
    /// Empty for a constructor.
    #[getter]
    fn name(&self) -> &str {
        &self.inner.name
    }

    /// `transfer(address,uint256)`.
    #[getter]
    fn signature(&self) -> &str {
        &self.inner.signature
    }

    /// Four bytes; none for a constructor.
    #[getter]
    fn selector<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.selector.as_ref().map_or(&[][..], |selector| &selector[..]))
    }

    /// "pure", "view", "nonpayable" or "payable".
    #[getter]
    fn mutability(&self) -> &'static str {
        self.inner.mutability
    }

    /// (name, type) of each argument.
    #[getter]
    fn inputs(&self) -> Described {
        described(&self.inner.inputs)
    }

    /// (name, type) of each result.
    #[getter]
    fn outputs(&self) -> Described {
        described(&self.inner.outputs)
    }

    /// Call data: the selector and the arguments, by position and by name.
    #[pyo3(signature = (arguments, named = None))]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        arguments: &Bound<'py, PyTuple>,
        named: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        Ok(bytes(py, self.inner.encode(self.values(arguments, named)?)))
    }

    /// Call data from arguments as people type them: `5`, `0xab..`, `true`, `[1, 2]`, `(1, "a")`.
    fn encode_text<'py>(&self, py: Python<'py>, arguments: Vec<String>) -> PyResult<Bound<'py, PyBytes>> {
        let values = self.inner.parse_arguments(&arguments).map_err(Failure::from)?;
        Ok(bytes(py, self.inner.encode(values)))
    }

    /// What the function returned, a text for each result.
    fn output_text(&self, output: &[u8]) -> PyResult<Vec<String>> {
        let values = self.inner.decode_output(output).map_err(Failure::from)?;
        Ok(values.iter().map(solder_abi::shown).collect())
    }

    /// What the function returned: None, one value, or a tuple of several.
    fn decode_output<'py>(&self, py: Python<'py>, output: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let values = self.inner.decode_output(output).map_err(Failure::from)?;
        match (values.as_slice(), &self.shape) {
            ([], _) => Ok(py.None().into_bound(py)),
            ([value], Shape::Tuple(shapes, _)) => to_python(py, value, &shapes[0]),
            (values, shape) => tuple(py, values, shape),
        }
    }

    /// The arguments in call data, as a tuple.
    fn decode_input<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let values = self.inner.decode_input(data).map_err(Failure::from)?;
        tuple(py, &values, &self.input_shape)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String, String, String))> {
        let this = slf.get();
        restored(slf.py(), &this.abi, "function", &this.inner.signature)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().inner == self.inner)
    }

    fn __hash__(&self) -> u64 {
        hash_of(&self.inner.signature)
    }

    fn __repr__(&self) -> String {
        let outputs: Vec<String> =
            self.inner.outputs.iter().map(|output| format!("{} {}", output.ty, output.name)).collect();
        let outputs: Vec<&str> = outputs.iter().map(|output| output.trim_end()).collect();
        let returns =
            if outputs.is_empty() { String::new() } else { format!(" returns ({})", outputs.join(", ")) };
        format!("<{} {}{returns}>", self.inner.signature, self.inner.mutability)
    }
}

fn hash_of(text: &str) -> u64 {
    let hash = alloy_primitives::keccak256(text);
    u64::from_be_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]])
}

/// What pickling an entry keeps: its interface, and which entry it is.
fn restored<'py>(
    py: Python<'py>,
    abi: &Artefact,
    kind: &str,
    signature: &str,
) -> PyResult<(Bound<'py, PyAny>, (String, String, String))> {
    let restore = py.import("solder._native")?.getattr("abi_entry")?;
    Ok((restore, (abi.interface.to_json(), kind.into(), signature.into())))
}

/// An entry of an interface by its kind and signature: how a pickled one comes back.
#[pyfunction]
pub fn abi_entry<'py>(
    py: Python<'py>,
    text: &str,
    kind: &str,
    signature: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let abi = PyAbi { inner: Arc::new(Artefact::from_json(text, None).map_err(Failure::from)?) };
    let interface = abi.interface();
    let found = match kind {
        "function" => {
            let constructor = abi.constructor(py)?;
            let known = interface.functions.iter().find(|entry| entry.signature == signature);
            let entry = match known {
                Some(entry) => abi.function_of(py, entry)?,
                None => constructor,
            };
            Some(Bound::new(py, entry)?.into_any())
        }
        "event" => {
            let entry = interface.events.iter().find(|entry| event_key(entry) == signature);
            entry
                .map(|entry| Ok::<_, PyErr>(Bound::new(py, abi.event_of(py, entry)?)?.into_any()))
                .transpose()?
        }
        _ => {
            let entry = interface.errors.iter().find(|entry| entry.signature == signature);
            entry
                .map(|entry| Ok::<_, PyErr>(Bound::new(py, abi.error_of(py, entry)?)?.into_any()))
                .transpose()?
        }
    };
    found.ok_or_else(|| Failure::field(signature, format!("there is no such {kind}")).into())
}

/// Events of one signature may differ in what is indexed.
fn event_key(event: &Event) -> String {
    let flags: String = event.indexed.iter().map(|indexed| if *indexed { '1' } else { '0' }).collect();
    format!("{}/{flags}", event.signature)
}

/// An event of an interface.
#[pyclass(frozen, name = "AbiEvent", module = "solder._native")]
pub struct PyEvent {
    pub abi: Arc<Artefact>,
    pub inner: Arc<Event>,
    pub shape: Shape,
}

#[pymethods]
impl PyEvent {
    #[getter]
    fn name(&self) -> &str {
        &self.inner.name
    }

    /// `Transfer(address,address,uint256)`.
    #[getter]
    fn signature(&self) -> &str {
        &self.inner.signature
    }

    /// The hash of the signature: the first topic, unless the event is anonymous.
    #[getter]
    fn topic<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.topic)
    }

    #[getter]
    fn anonymous(&self) -> bool {
        self.inner.anonymous
    }

    /// (name, type, whether it is indexed) of each parameter.
    #[getter]
    fn inputs(&self) -> Vec<(String, String, bool)> {
        let inputs = described(&self.inner.inputs).into_iter().zip(&self.inner.indexed);
        inputs.map(|((name, ty), indexed)| (name, ty, *indexed)).collect()
    }

    /// The values of a log as a tuple. What is indexed and takes more than a word is its hash.
    fn decode<'py>(
        &self,
        py: Python<'py>,
        topics: &Bound<'py, PyAny>,
        data: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        let values = self.inner.decode(&topics_of(topics)?, data).map_err(Failure::from)?;
        tuple(py, &values, &self.shape)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String, String, String))> {
        let this = slf.get();
        restored(slf.py(), &this.abi, "event", &event_key(&this.inner))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().inner == self.inner)
    }

    fn __hash__(&self) -> u64 {
        hash_of(&self.inner.signature)
    }

    fn __repr__(&self) -> String {
        format!("<event {}{}>", self.inner.signature, if self.inner.anonymous { " anonymous" } else { "" })
    }
}

/// A custom error of an interface.
#[pyclass(frozen, name = "AbiErrorEntry", module = "solder._native")]
pub struct PyErrorEntry {
    pub abi: Arc<Artefact>,
    pub inner: Arc<ErrorEntry>,
    pub shape: Shape,
}

#[pymethods]
impl PyErrorEntry {
    #[getter]
    fn name(&self) -> &str {
        &self.inner.name
    }

    /// `InsufficientBalance(uint256,uint256)`.
    #[getter]
    fn signature(&self) -> &str {
        &self.inner.signature
    }

    /// Four bytes.
    #[getter]
    fn selector<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.selector)
    }

    /// (name, type) of each value.
    #[getter]
    fn inputs(&self) -> Described {
        described(&self.inner.inputs)
    }

    /// The values in an output that begins with the error's selector, as a tuple.
    fn decode<'py>(&self, py: Python<'py>, output: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let values = self.inner.decode(output).map_err(Failure::from)?;
        tuple(py, &values, &self.shape)
    }

    /// What a call reverts with to say this.
    fn encode<'py>(&self, py: Python<'py>, arguments: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyBytes>> {
        let same = Function {
            name: self.inner.name.clone(),
            signature: self.inner.signature.clone(),
            selector: Some(self.inner.selector),
            inputs: self.inner.inputs.clone(),
            outputs: Vec::new(),
            mutability: "pure",
        };
        let bound = bound_arguments(&same, arguments, None)?;
        let values = same.inputs.iter().enumerate().zip(bound).map(|((index, input), value)| {
            to_value(&value, &input.ty)
                .map_err(|error| error.inside(&input.label(index)).inside(&same.signature).into())
        });
        Ok(bytes(py, same.encode(values.collect::<PyResult<_>>()?)))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String, String, String))> {
        let this = slf.get();
        restored(slf.py(), &this.abi, "error", &this.inner.signature)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().inner == self.inner)
    }

    fn __hash__(&self) -> u64 {
        hash_of(&self.inner.signature)
    }

    fn __repr__(&self) -> String {
        format!("<error {}>", self.inner.signature)
    }
}
