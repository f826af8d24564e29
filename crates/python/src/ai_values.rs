//! NumPy arrays in and out, by the buffer protocol: the elements are copied once each way.

use pyo3::buffer::{Element, PyUntypedBuffer};
use pyo3::prelude::*;
use pyo3::types::PyByteArray;
use solder_ai::artefact::Dtype;
use solder_ai::execute::{Array, Values};

use crate::errors::Failure;

/// An array of signed integers, in row-major order. `field` names it in errors.
pub fn array(value: &Bound<'_, PyAny>, field: &str) -> PyResult<Array> {
    let py = value.py();
    let buffer = PyUntypedBuffer::get(value)
        .map_err(|_| Failure::field(field, "not an array of int8, int16 or int32"))?;
    let shape = buffer.shape().to_vec();
    let mistyped = || {
        let format = buffer.format().to_string_lossy().into_owned();
        Failure::field(field, format!("elements {format:?} are none of int8, int16, int32"))
    };
    let values = if let Some(elements) = taken::<i8>(py, &buffer)? {
        Values::Int8(elements)
    } else if let Some(elements) = taken::<i16>(py, &buffer)? {
        Values::Int16(elements)
    } else if let Some(elements) = taken::<i32>(py, &buffer)? {
        Values::Int32(elements)
    } else {
        return Err(mistyped().into());
    };
    Ok(Array { shape, values })
}

fn taken<T: Element>(py: Python<'_>, buffer: &PyUntypedBuffer) -> PyResult<Option<Vec<T>>> {
    match buffer.as_typed::<T>() {
        Ok(typed) => typed.to_vec(py).map(Some),
        Err(_) => Ok(None),
    }
}

/// A NumPy array of its own.
pub fn numpy<'py>(py: Python<'py>, array: &Array) -> PyResult<Bound<'py, PyAny>> {
    let module = py.import("numpy")?;
    // A bytearray, so that the array may be written.
    let length = array.values.len() * array.values.dtype().bytes();
    let bytes = PyByteArray::new_with(py, length, |bytes| {
        array.values.write_le(bytes);
        Ok(())
    })?;
    let name = match array.values.dtype() {
        Dtype::Int8 => "<i1",
        Dtype::Int16 => "<i2",
        Dtype::Int32 => "<i4",
    };
    let flat = module.call_method1("frombuffer", (bytes, name))?;
    flat.call_method1("reshape", (array.shape.clone(),))
}
