//! Values of contracts, between Python and Rust. Arguments are checked against their types, and what is wrong is named by
//! its place; results become ints, checksummed text, bytes, lists and named tuples.

use alloy_primitives::{B256, Function, I256, U256, hex};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyInt, PyList, PyMapping, PyString, PyTuple, PyType,
};
use solder_abi::{AbiError, Kind, Parameter, Type, Value};

use crate::convert::{any_address, int};
use crate::errors::Failure;

/// The most elements of one array in an argument.
const MAX_ELEMENTS: usize = 1 << 24;

/// What is wrong with an argument, or what Python raised while it was read.
pub enum Problem {
    /// Wrong at a place.
    Wrong(AbiError),
    /// Raised by the argument itself.
    Raised(PyErr),
}

impl Problem {
    fn new(detail: impl Into<String>) -> Self {
        Self::Wrong(AbiError::new("", detail))
    }

    pub fn inside(self, place: &str) -> Self {
        match self {
            Self::Wrong(error) => Self::Wrong(error.inside(place)),
            raised @ Self::Raised(_) => raised,
        }
    }
}

impl From<PyErr> for Problem {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl From<AbiError> for Problem {
    fn from(error: AbiError) -> Self {
        Self::Wrong(error)
    }
}

impl From<AbiError> for Failure {
    fn from(error: AbiError) -> Self {
        let field = Some(error.field).filter(|field| !field.is_empty());
        Self::Input { path: None, field, detail: error.detail }
    }
}

impl From<Problem> for PyErr {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Wrong(error) => Failure::from(error).into(),
            Problem::Raised(error) => error,
        }
    }
}

/// A value of the wrong Python type.
pub fn mistyped(value: &Bound<'_, PyAny>, wanted: &str) -> Problem {
    let got = value.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
    Problem::new(format!("{got} is not {wanted}"))
}

/// A Python value as a value of type `ty`.
pub fn to_value(value: &Bound<'_, PyAny>, ty: &Type) -> Result<Value, Problem> {
    Ok(match &ty.kind {
        Kind::Uint(bits) => Value::Uint(unsigned(value, *bits)?, *bits),
        Kind::Int(bits) => Value::Int(signed(value, *bits)?, *bits),
        Kind::Bool => Value::Bool(boolean(value)?),
        Kind::Address => Value::Address(address(value)?),
        Kind::FixedBytes(size) => Value::FixedBytes(fixed_bytes(value, *size)?, *size),
        Kind::Function => {
            let raw = raw_bytes(value)?;
            let pointer = Function::try_from(&raw[..]);
            Value::Function(pointer.map_err(|_| Problem::new(format!("{} bytes, not 24", raw.len())))?)
        }
        Kind::Bytes => Value::Bytes(raw_bytes(value)?),
        Kind::String => match value.cast::<PyString>() {
            Ok(text) => Value::String(text.to_cow()?.into_owned()),
            Err(_) => return Err(mistyped(value, "a str")),
        },
        Kind::Array(inner) => Value::Array(elements(value, inner, None)?),
        Kind::FixedArray(inner, size) => Value::FixedArray(elements(value, inner, Some(*size))?),
        Kind::Tuple(fields) => Value::Tuple(fields_of(value, fields)?),
    })
}

/// An int, or what is one by its `__index__`, such as NumPy's. A bool is none.
fn index<'py>(value: &Bound<'py, PyAny>) -> Result<Bound<'py, PyInt>, Problem> {
    if value.is_instance_of::<PyBool>() {
        return Err(mistyped(value, "an int"));
    }
    if let Ok(number) = value.cast::<PyInt>() {
        return Ok(number.clone());
    }
    match value.call_method0(intern!(value.py(), "__index__")) {
        Ok(number) => number.cast_into::<PyInt>().map_err(|_| mistyped(value, "an int")),
        Err(_) => Err(mistyped(value, "an int")),
    }
}

fn unsigned(value: &Bound<'_, PyAny>, bits: usize) -> Result<U256, Problem> {
    let number = index(value)?;
    let (py, outside) = (value.py(), || Problem::new(format!("{} is not 0 to 2**{bits} - 1", brief(value))));
    let number = if let Ok(small) = number.extract::<u64>() {
        U256::from(small)
    } else {
        let raw = number.call_method1(intern!(py, "to_bytes"), (32, intern!(py, "big")));
        U256::from_be_slice(raw.map_err(|_| outside())?.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes())
    };
    if number.bit_len() > bits { Err(outside()) } else { Ok(number) }
}

fn signed(value: &Bound<'_, PyAny>, bits: usize) -> Result<I256, Problem> {
    let number = index(value)?;
    let py = value.py();
    let outside = || Problem::new(format!("{} is not -2**{} to 2**{0} - 1", brief(value), bits - 1));
    let number = if let Ok(small) = number.extract::<i64>() {
        I256::try_from(small).map_err(|_| outside())?
    } else {
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "signed"), true)?;
        let raw = number.call_method(intern!(py, "to_bytes"), (32, intern!(py, "big")), Some(&keywords));
        let raw = raw.map_err(|_| outside())?;
        I256::from_raw(U256::from_be_slice(raw.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes()))
    };
    if number.bits() as usize > bits { Err(outside()) } else { Ok(number) }
}

/// A value in an error, cut short.
fn brief(value: &Bound<'_, PyAny>) -> String {
    let text = value.repr().map_or_else(|_| "the value".into(), |text| text.to_string());
    if text.len() <= 90 { text } else { format!("{}...", text.chars().take(87).collect::<String>()) }
}

fn boolean(value: &Bound<'_, PyAny>) -> Result<bool, Problem> {
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(flag.is_true());
    }
    // NumPy's own.
    let name = value.get_type().name().map_err(Problem::Raised)?;
    if name == "bool" || name == "bool_" { Ok(value.is_truthy()?) } else { Err(mistyped(value, "a bool")) }
}

fn detail_of(py: Python<'_>, error: PyErr) -> Problem {
    let detail = error.value(py).getattr("detail").map(|detail| detail.to_string());
    detail.map_or(Problem::Raised(error), Problem::new)
}

fn address(value: &Bound<'_, PyAny>) -> Result<alloy_primitives::Address, Problem> {
    let py = value.py();
    if !value.is_instance_of::<PyString>() && !value.is_instance_of::<PyBytes>() {
        // A contract stands for its address.
        return match value.getattr_opt(intern!(py, "address"))? {
            Some(inner) if inner.is_instance_of::<PyString>() || inner.is_instance_of::<PyBytes>() => {
                address(&inner)
            }
            _ => Err(mistyped(value, "bytes or hex")),
        };
    }
    any_address(value, "").map_err(|error| detail_of(py, error))
}

fn raw_bytes(value: &Bound<'_, PyAny>) -> Result<Vec<u8>, Problem> {
    if let Ok(raw) = value.cast::<PyBytes>() {
        return Ok(raw.as_bytes().to_vec());
    }
    if let Ok(raw) = value.cast::<PyByteArray>() {
        return Ok(raw.to_vec());
    }
    let Ok(text) = value.cast::<PyString>() else { return Err(mistyped(value, "bytes or hex")) };
    let text = text.to_cow()?;
    let digits = text.strip_prefix("0x").ok_or_else(|| Problem::new("hex begins with 0x"))?;
    hex::decode(digits).map_err(|error| Problem::new(format!("not hex: {error}")))
}

fn fixed_bytes(value: &Bound<'_, PyAny>, size: usize) -> Result<B256, Problem> {
    let raw = raw_bytes(value)?;
    if raw.len() != size {
        return Err(Problem::new(format!("{} bytes, not {size}", raw.len())));
    }
    Ok(B256::right_padding_from(&raw))
}

fn elements(value: &Bound<'_, PyAny>, ty: &Type, size: Option<usize>) -> Result<Vec<Value>, Problem> {
    let is_list = value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>();
    if !is_list && (value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>()) {
        return Err(mistyped(value, "a list"));
    }
    let Ok(count) = value.len() else { return Err(mistyped(value, "a list")) };
    if size.is_some_and(|size| size != count) {
        return Err(Problem::new(format!("{count} values, not {}", size.unwrap_or_default())));
    }
    if count > MAX_ELEMENTS {
        return Err(Problem::new(format!("{count} values, more than {MAX_ELEMENTS}")));
    }
    let mut values = Vec::with_capacity(count);
    for (index, item) in value.try_iter()?.take(MAX_ELEMENTS).enumerate() {
        values.push(to_value(&item?, ty).map_err(|error| error.inside(&format!("[{index}]")))?);
    }
    // A sequence may lie about its length.
    if size.is_some_and(|size| size != values.len()) {
        return Err(Problem::new(format!("{} values, not {}", values.len(), size.unwrap_or_default())));
    }
    Ok(values)
}

fn fields_of(value: &Bound<'_, PyAny>, fields: &[Parameter]) -> Result<Vec<Value>, Problem> {
    let at = |index: usize, item: &Bound<'_, PyAny>| {
        let field = &fields[index];
        to_value(item, &field.ty).map_err(|error| error.inside(&field.label(index)))
    };
    if value.is_instance_of::<PyDict>() {
        let given = value.cast::<PyMapping>().map_err(PyErr::from)?;
        for key in given.keys()?.iter() {
            let key = key.to_string();
            if !fields.iter().any(|field| field.name == key) {
                return Err(Problem::new(format!("there is no field {key:?}")));
            }
        }
        let taken = fields.iter().enumerate().map(|(index, field)| match given.get_item(&field.name) {
            Ok(item) => at(index, &item),
            Err(_) => Err(Problem::new("is missing").inside(&field.label(index))),
        });
        return taken.collect();
    }
    let is_text = value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>();
    match value.len() {
        Ok(count) if !is_text && count == fields.len() => {
            value.try_iter()?.take(count).enumerate().map(|(index, item)| at(index, &item?)).collect()
        }
        Ok(count) if !is_text => Err(Problem::new(format!("{count} values, not {}", fields.len()))),
        _ => Err(mistyped(value, "a tuple, a list or a dict")),
    }
}

/// How a value is built in Python: which tuples have names.
pub enum Shape {
    /// No tuple inside.
    Plain,
    /// A list.
    List(Box<Shape>),
    /// A tuple, of a class of its own where all fields are named.
    Tuple(Vec<Shape>, Option<Py<PyType>>),
}

impl Shape {
    /// The shape of a type. `name` is what a named tuple is called.
    pub fn of(py: Python<'_>, ty: &Type, name: &str) -> PyResult<Self> {
        Ok(match &ty.kind {
            Kind::Array(inner) | Kind::FixedArray(inner, _) => {
                Self::List(Box::new(Self::of(py, inner, name)?))
            }
            Kind::Tuple(fields) => Self::fields(py, fields, name)?,
            _ => Self::Plain,
        })
    }

    /// The shape of several values.
    pub fn fields(py: Python<'_>, fields: &[Parameter], name: &str) -> PyResult<Self> {
        let shapes = fields.iter().map(|field| Self::of(py, &field.ty, &field.name));
        let shapes = shapes.collect::<PyResult<Vec<_>>>()?;
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        if names.is_empty() || names.iter().any(|name| name.is_empty()) {
            return Ok(Self::Tuple(shapes, None));
        }
        let class = py
            .import("solder.contract.record")?
            .getattr("record_class")?
            .call1((name, PyTuple::new(py, names)?))?
            .cast_into::<PyType>()?;
        Ok(Self::Tuple(shapes, Some(class.unbind())))
    }
}

/// A value as Python has it.
pub fn to_python<'py>(py: Python<'py>, value: &Value, shape: &Shape) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Uint(number, _) => int(py, *number)?,
        Value::Int(number, _) if number.is_negative() => int(py, number.unsigned_abs())?.neg()?,
        Value::Int(number, _) => int(py, number.into_raw())?,
        Value::Bool(flag) => PyBool::new(py, *flag).to_owned().into_any(),
        Value::Address(address) => {
            let mut buffer = [0; 42];
            PyString::new(py, address.to_checksum_raw(&mut buffer, None)).into_any()
        }
        Value::FixedBytes(word, size) => PyBytes::new(py, &word[..*size]).into_any(),
        Value::Function(pointer) => PyBytes::new(py, &pointer[..]).into_any(),
        Value::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(values) | Value::FixedArray(values) => {
            let plain = Shape::Plain;
            let inner = if let Shape::List(inner) = shape { inner } else { &plain };
            let values = values.iter().map(|value| to_python(py, value, inner));
            PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)?.into_any()
        }
        Value::Tuple(values) => tuple(py, values, shape)?,
    })
}

/// Several values as a tuple, a named one where the shape has a class.
pub fn tuple<'py>(py: Python<'py>, values: &[Value], shape: &Shape) -> PyResult<Bound<'py, PyAny>> {
    let (shapes, class) = match shape {
        Shape::Tuple(shapes, class) => (shapes.as_slice(), class.as_ref()),
        _ => (&[][..], None),
    };
    let plain = Shape::Plain;
    let items = values
        .iter()
        .enumerate()
        .map(|(index, value)| to_python(py, value, shapes.get(index).unwrap_or(&plain)));
    let items = PyTuple::new(py, items.collect::<PyResult<Vec<_>>>()?)?;
    match class {
        Some(class) => class.bind(py).call_method1(intern!(py, "_make"), (items,)),
        None => Ok(items.into_any()),
    }
}
