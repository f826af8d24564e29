//! `Abi` and its entries: what a contract's interface says, and calls, results, logs and reverts by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use solder_abi::{AbiError, Artefact, ErrorEntry, Event, Function, Interface};
use solder_simulate::reason::Reason;

use crate::abi_entries::{PyErrorEntry, PyEvent, PyFunction, event_shape, topics_of};
use crate::abi_values::{Shape, tuple};
use crate::convert::bytes;
use crate::errors::Failure;
use crate::run::inline;

/// A contract's interface.
#[pyclass(frozen, subclass, name = "Abi", module = "solder._native")]
pub struct PyAbi {
    pub inner: Arc<Artefact>,
}

impl PyAbi {
    pub fn interface(&self) -> &Interface {
        &self.inner.interface
    }
}

#[pymethods]
impl PyAbi {
    /// Reads JSON: a list of entries or signatures, or an artefact of a compiler, of which `contract` is one.
    #[new]
    #[pyo3(signature = (text, contract = None))]
    fn new(py: Python<'_>, text: String, contract: Option<String>) -> PyResult<Self> {
        let artefact = inline(py, move |_| Ok(Artefact::from_json(&text, contract.as_deref())?))?;
        Ok(Self { inner: Arc::new(artefact) })
    }

    /// The contract's name, or None.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.inner.name.as_deref()
    }

    /// The init code of the artefact, or None.
    #[getter]
    fn bytecode<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.inner.bytecode.as_ref().map(|code| bytes(py, code))
    }

    /// Whether the artefact's init code waits for the addresses of libraries.
    #[getter]
    fn unlinked(&self) -> bool {
        self.inner.unlinked
    }

    /// Entries that nobody can call from outside, with the reason: what libraries take, and decimals of old Vyper.
    #[getter]
    fn unusable(&self) -> BTreeMap<String, String> {
        self.interface().unusable.clone()
    }

    #[getter]
    fn functions(&self, py: Python<'_>) -> PyResult<Vec<PyFunction>> {
        self.interface().functions.iter().map(|function| self.function_of(py, function)).collect()
    }

    #[getter]
    fn events(&self, py: Python<'_>) -> PyResult<Vec<PyEvent>> {
        self.interface().events.iter().map(|event| self.event_of(py, event)).collect()
    }

    #[getter]
    fn errors(&self, py: Python<'_>) -> PyResult<Vec<PyErrorEntry>> {
        self.interface().errors.iter().map(|error| self.error_of(py, error)).collect()
    }

    /// What creates the contract: a function without a selector.
    #[getter]
    pub fn constructor(&self, py: Python<'_>) -> PyResult<PyFunction> {
        match &self.interface().constructor {
            Some(constructor) => self.function_of(py, constructor),
            None => self.function_of(py, &Function::default_constructor()),
        }
    }

    /// The functions of a name, or the one of a signature.
    fn overloads(&self, py: Python<'_>, name: &str) -> PyResult<Vec<PyFunction>> {
        self.interface().functions_named(name).iter().map(|function| self.function_of(py, function)).collect()
    }

    /// The function that call data begins with (four bytes are enough), or None.
    fn function_at(&self, py: Python<'_>, data: &[u8]) -> PyResult<Option<PyFunction>> {
        self.interface().function(data).map(|function| self.function_of(py, function)).transpose()
    }

    /// The error that an output begins with, or None.
    fn error_at(&self, py: Python<'_>, output: &[u8]) -> PyResult<Option<PyErrorEntry>> {
        self.interface().error(output).map(|error| self.error_of(py, error)).transpose()
    }

    /// The event of a log and its values as a tuple, or None where no event is meant.
    fn decode_log<'py>(
        &self,
        py: Python<'py>,
        topics: &Bound<'py, PyAny>,
        data: &[u8],
    ) -> PyResult<Option<(PyEvent, Bound<'py, PyAny>)>> {
        let found = self.interface().log(&topics_of(topics)?, data).map_err(Failure::from)?;
        let Some((event, values)) = found else { return Ok(None) };
        let event = self.event_of(py, &event)?;
        let values = tuple(py, &values, &event.shape)?;
        Ok(Some((event, values)))
    }

    /// `transfer(to: 0x.., amount: 5)`, or None where the selector is not known.
    fn call_text(&self, data: &[u8]) -> Option<String> {
        let function = self.interface().function(data)?;
        Some(function.call_text(data).unwrap_or_else(|error| malformed(&function.name, &error)))
    }

    /// What a function returned, in words, or None where the selector of `data` is not known.
    fn output_text(&self, data: &[u8], output: &[u8]) -> Option<String> {
        let function = self.interface().function(data)?;
        let values = function.decode_output(output);
        Some(match values {
            Ok(values) => solder_abi::shown_values(&function.outputs, &values),
            Err(error) => malformed("", &error),
        })
    }

    /// `Transfer(from: 0x.., to: 0x.., value: 5)`, or None where no event is meant.
    fn log_text(&self, topics: &Bound<'_, PyAny>, data: &[u8]) -> PyResult<Option<String>> {
        Ok(match self.interface().log(&topics_of(topics)?, data) {
            Ok(None) => None,
            Ok(Some((event, values))) => {
                Some(format!("{}({})", event.name, solder_abi::shown_values(&event.inputs, &values)))
            }
            Err(error) => Some(malformed("", &error)),
        })
    }

    /// `InsufficientBalance(available: 1, required: 2)`, or None where the selector is not known.
    fn error_text(&self, output: &[u8]) -> Option<String> {
        error_text(self.interface(), output)
    }

    /// The interface, name and init code as JSON, from which it can be read again.
    fn to_json(&self) -> String {
        let mut fields = vec![format!("\"abi\":{}", self.interface().to_json())];
        if let Some(name) = &self.inner.name {
            fields.push(format!("\"contractName\":{name:?}"));
        }
        if let Some(code) = &self.inner.bytecode {
            fields.push(format!("\"bytecode\":\"{code}\""));
        }
        format!("{{{}}}", fields.join(","))
    }

    fn __len__(&self) -> usize {
        let interface = self.interface();
        interface.functions.len() + interface.events.len() + interface.errors.len()
    }

    fn __repr__(&self) -> String {
        let interface = self.interface();
        format!(
            "<Abi{}: {} functions, {} events, {} errors>",
            self.inner.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default(),
            interface.functions.len(),
            interface.events.len(),
            interface.errors.len()
        )
    }
}

impl PyAbi {
    pub fn function_of(&self, py: Python<'_>, function: &Arc<Function>) -> PyResult<PyFunction> {
        let shape = Shape::fields(py, &function.outputs, &function.name)?;
        let input_shape = Shape::fields(py, &function.inputs, &function.name)?;
        Ok(PyFunction { abi: self.inner.clone(), inner: function.clone(), shape, input_shape })
    }

    pub fn event_of(&self, py: Python<'_>, event: &Arc<Event>) -> PyResult<PyEvent> {
        let shape = event_shape(py, event)?;
        Ok(PyEvent { abi: self.inner.clone(), inner: event.clone(), shape })
    }

    pub fn error_of(&self, py: Python<'_>, error: &Arc<ErrorEntry>) -> PyResult<PyErrorEntry> {
        let shape = Shape::fields(py, &error.inputs, &error.name)?;
        Ok(PyErrorEntry { abi: self.inner.clone(), inner: error.clone(), shape })
    }
}

/// What a revert says without an interface: Error(string), Panic(uint256), or the selector of a custom error.
#[pyfunction]
pub fn revert_reason(output: &[u8]) -> Option<String> {
    Reason::decode(output).map(|reason| reason.to_string())
}

/// 20 bytes as hex with EIP-55's checksum.
#[pyfunction]
pub fn checksum_address(address: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(crate::convert::address(address, "address")?.to_checksum(None))
}

/// 20 bytes from bytes or hex, whose checksum must be right where it has one.
#[pyfunction]
pub fn read_address<'py>(value: &Bound<'py, PyAny>, field: &str) -> PyResult<Bound<'py, PyBytes>> {
    Ok(bytes(value.py(), crate::convert::any_address(value, field)?))
}

/// What a known custom error says.
pub fn error_text(interface: &Interface, output: &[u8]) -> Option<String> {
    let entry = interface.error(output)?;
    Some(entry.text(output).unwrap_or_else(|error| malformed(&entry.name, &error)))
}

/// Text that does not hide that something could not be read.
fn malformed(name: &str, error: &AbiError) -> String {
    format!("{name}(malformed: {error})")
}
