//! Numbers and fixed byte strings, between Rust and Python. Bytes inside; hex never.

use alloy_primitives::{Address, B256, Bytes, U256, hex};
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

/// Bytes, or hex that begins with 0x.
pub fn any_bytes(value: &Bound<'_, PyAny>, field: &str) -> PyResult<Bytes> {
    if let Ok(raw) = value.cast::<PyBytes>() {
        return Ok(Bytes::copy_from_slice(raw.as_bytes()));
    }
    let text = value.cast::<PyString>().map_err(|_| mistyped(value, field, "bytes or hex"))?;
    let text = text.to_cow()?;
    let digits = text.strip_prefix("0x").ok_or_else(|| Failure::field(field, "hex begins with 0x"))?;
    Ok(hex::decode(digits).map_err(|error| Failure::field(field, format!("not hex: {error}")))?.into())
}

/// 20 bytes, or an address in hex. Capital and small letters mixed are EIP-55's checksum, which must be right.
pub fn any_address(value: &Bound<'_, PyAny>, field: &str) -> PyResult<Address> {
    let Ok(text) = value.cast::<PyString>() else {
        return if value.is_instance_of::<PyBytes>() {
            address(value, field)
        } else {
            Err(mistyped(value, field, "bytes or hex"))
        };
    };
    let raw = any_bytes(value, field)?;
    let found = Address::try_from(&raw[..])
        .map_err(|_| Failure::field(field, format!("{} bytes, not 20", raw.len())))?;
    let text = text.to_cow()?;
    let digits = &text[2..];
    let mixed = digits.bytes().any(|byte| byte.is_ascii_lowercase())
        && digits.bytes().any(|byte| byte.is_ascii_uppercase());
    if mixed && found.to_checksum(None)[2..] != *digits {
        return Err(
            Failure::field(field, format!("wrong checksum: {text} is {}", found.to_checksum(None))).into()
        );
    }
    Ok(found)
}

/// 32 bytes, or hex of them.
pub fn any_hash(value: &Bound<'_, PyAny>, field: &str) -> PyResult<B256> {
    let raw = any_bytes(value, field)?;
    B256::try_from(&raw[..]).map_err(|_| Failure::field(field, format!("{} bytes, not 32", raw.len())).into())
}

/// A hash as Python bytes, or None.
pub fn maybe_hash(py: Python<'_>, value: Option<B256>) -> Option<Bound<'_, PyBytes>> {
    value.map(|hash| bytes(py, hash))
}

fn mistyped(value: &Bound<'_, PyAny>, field: &str, wanted: &str) -> PyErr {
    let got = value.get_type().name().unwrap_or_else(|_| PyString::new(value.py(), "?"));
    Failure::field(field, format!("{got} is not {wanted}")).into()
}
