//! Numbers and fixed byte strings, between Rust and Python. Bytes inside; hex never.

use alloy_primitives::{Address, B256, U256};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString};

use crate::errors::Failure;

/// A 256-bit number as a Python int.
pub fn int<'py>(py: Python<'py>, value: U256) -> PyResult<Bound<'py, PyAny>> {
    match u64::try_from(value) {
        Ok(small) => Ok(small.into_pyobject(py)?.into_any()),
        Err(_) => {
            py.get_type::<PyInt>().call_method1("from_bytes", (bytes(py, value.to_be_bytes::<32>()), "big"))
        }
    }
}

/// Any byte string as Python bytes.
pub fn bytes<'py>(py: Python<'py>, value: impl AsRef<[u8]>) -> Bound<'py, PyBytes> {
    PyBytes::new(py, value.as_ref())
}

/// A Python int as a 256-bit number.
pub fn u256(value: &Bound<'_, PyAny>, field: &str) -> PyResult<U256> {
    let number = value.cast::<PyInt>().map_err(|_| mistyped(value, field, "an int"))?;
    let raw = number
        .call_method1("to_bytes", (32, "big"))
        .map_err(|_| Failure::field(field, "not between 0 and 2**256 - 1"))?;
    Ok(U256::from_be_slice(raw.cast::<PyBytes>()?.as_bytes()))
}

/// A Python int as a 64-bit number.
pub fn u64_of(value: &Bound<'_, PyAny>, field: &str) -> PyResult<u64> {
    let number = u256(value, field)?;
    Ok(u64::try_from(number).map_err(|_| Failure::field(field, "more than 2**64 - 1"))?)
}

/// Python bytes, borrowed.
pub fn slice<'a>(value: &'a Bound<'_, PyAny>, field: &str) -> PyResult<&'a [u8]> {
    let raw = value.cast::<PyBytes>().map_err(|_| mistyped(value, field, "bytes"))?;
    Ok(raw.as_bytes())
}

/// 20 bytes.
pub fn address(value: &Bound<'_, PyAny>, field: &str) -> PyResult<Address> {
    let raw = slice(value, field)?;
    Address::try_from(raw).map_err(|_| Failure::field(field, format!("{} bytes, not 20", raw.len())).into())
}

/// A hash as Python bytes, or None.
pub fn maybe_hash(py: Python<'_>, value: Option<B256>) -> Option<Bound<'_, PyBytes>> {
    value.map(|hash| bytes(py, hash))
}

fn mistyped(value: &Bound<'_, PyAny>, field: &str, wanted: &str) -> PyErr {
    let got = value.get_type().name().unwrap_or_else(|_| PyString::new(value.py(), "?"));
    Failure::field(field, format!("{got} is not {wanted}")).into()
}
