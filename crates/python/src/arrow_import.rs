//! Columns of others: whatever gives an array or a stream of arrays by Arrow's PyCapsule interface.

use std::ffi::CStr;

use arrow_array::ffi::from_ffi;
use arrow_array::ffi_stream::{ArrayStreamReader, FFI_ArrowArrayStream};
use arrow_array::{Array, ArrayRef, make_array};
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::ffi::FFI_ArrowSchema;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use solder_abi::AbiError;

use crate::abi_values::Problem;

const SCHEMA: &CStr = c"arrow_schema";
const ARRAY: &CStr = c"arrow_array";
const STREAM: &CStr = c"arrow_array_stream";
/// The most arrays that one column may come in.
const MAX_CHUNKS: usize = 1 << 20;

fn failed(error: impl std::fmt::Display) -> Problem {
    AbiError::new("", format!("Arrow: {error}")).into()
}

/// The arrays of a column, or None where `values` has no such interface.
pub fn arrow_arrays(values: &Bound<'_, PyAny>) -> Result<Option<Vec<ArrayRef>>, Problem> {
    if values.hasattr("__arrow_c_array__")? {
        let pair = values.call_method0("__arrow_c_array__")?;
        let (schema, array): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
            pair.extract().map_err(Problem::Raised)?;
        return one_array(&schema, &array).map(|array| Some(vec![array]));
    }
    if values.hasattr("__arrow_c_stream__")? {
        let stream = values.call_method0("__arrow_c_stream__")?;
        return stream_arrays(&stream).map(Some);
    }
    Ok(None)
}

fn pointer<T>(capsule: &Bound<'_, PyAny>, name: &CStr) -> Result<*mut T, Problem> {
    let capsule = capsule.cast::<PyCapsule>().map_err(|_| failed("no capsule was given"))?;
    let pointer = capsule.pointer_checked(Some(name)).map_err(Problem::Raised)?;
    Ok(pointer.as_ptr().cast())
}

fn one_array(schema: &Bound<'_, PyAny>, array: &Bound<'_, PyAny>) -> Result<ArrayRef, Problem> {
    let schema = pointer::<FFI_ArrowSchema>(schema, SCHEMA)?;
    let array = pointer::<FFI_ArrowArray>(array, ARRAY)?;
    // SAFETY: the capsules have the names by which the protocol says what they point to, and live until this returns;
    // the array is moved out, which leaves a released one behind, as the protocol asks of whoever takes it.
    let data = unsafe { from_ffi(FFI_ArrowArray::from_raw(array), &*schema) };
    let data = data.map_err(failed)?;
    data.validate_full().map_err(failed)?;
    Ok(make_array(data))
}

fn stream_arrays(capsule: &Bound<'_, PyAny>) -> Result<Vec<ArrayRef>, Problem> {
    let pointer = pointer::<FFI_ArrowArrayStream>(capsule, STREAM)?;
    // SAFETY: the capsule's name says what it points to; the stream is moved out, which leaves a released one behind.
    let stream = unsafe { ArrayStreamReader::from_raw(pointer) }.map_err(failed)?;
    let mut arrays = Vec::new();
    for array in stream {
        if arrays.len() == MAX_CHUNKS {
            return Err(failed(format!("more than {MAX_CHUNKS} arrays")));
        }
        let array = array.map_err(failed)?;
        array.to_data().validate_full().map_err(failed)?;
        arrays.push(array);
    }
    Ok(arrays)
}
