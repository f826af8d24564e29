//! Arguments of many calls as columns: one value for all, or a list, an array or an Arrow column of values. Numbers,
//! addresses and words in arrays are read in place, without an object for each.

use alloy_primitives::U256;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use pyo3::buffer::{Element, PyBuffer};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};
use solder_abi::{AbiError, Kind, Type, Value, decode_word};
use solder_simulate::batch::{Field, Input, MAX_CALLS};

use crate::abi_entries::PyFunction;
use crate::abi_values::{Problem, mistyped, to_value};
use crate::arrow_import::arrow_arrays;

/// The call data of many calls.
#[pyclass(frozen, name = "CallData", module = "solder._native")]
pub struct PyCallData {
    pub input: Input,
}

#[pymethods]
impl PyCallData {
    fn __len__(&self) -> usize {
        match &self.input {
            Input::Same(_) => 1,
            Input::Packed { offsets, .. } => offsets.len().saturating_sub(1),
            Input::Template { fields, .. } => fields.first().map_or(1, |field| field.values.len()),
        }
    }

    fn __repr__(&self) -> String {
        format!("<CallData of {} calls>", self.__len__())
    }
}

/// Makes a list a column where an argument is an array or a struct, and a list would be one value.
#[pyclass(frozen, name = "Each", module = "solder._native")]
pub struct PyEach {
    values: Py<PyAny>,
}

#[pymethods]
impl PyEach {
    #[new]
    fn new(values: Py<PyAny>) -> Self {
        Self { values }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Each({})", self.values.bind(py).repr()?))
    }
}

/// What one argument is in the calls of a batch.
enum Argument {
    /// The same in all.
    Same(Value),
    /// One word each, already as it is encoded.
    Words(Vec<U256>),
    /// One value each.
    Values(Vec<Value>),
}

impl Argument {
    fn len(&self) -> Option<usize> {
        match self {
            Self::Same(_) => None,
            Self::Words(words) => Some(words.len()),
            Self::Values(values) => Some(values.len()),
        }
    }

    /// The value in call `row`. How a word is encoded does not depend on its type.
    fn value(&self, row: usize) -> Value {
        match self {
            Self::Same(value) => value.clone(),
            Self::Words(words) => Value::Uint(words[row], 256),
            Self::Values(values) => values[row].clone(),
        }
    }
}

fn too_many(count: usize) -> Problem {
    AbiError::new("", format!("{count} values, more than {MAX_CALLS}")).into()
}

/// Reads one argument.
fn argument(value: &Bound<'_, PyAny>, ty: &Type) -> Result<Argument, Problem> {
    if let Ok(each) = value.cast::<PyEach>() {
        return column(each.get().values.bind(value.py()), ty);
    }
    let one_for_all = match ty.kind {
        Kind::Array(_) | Kind::FixedArray(..) | Kind::Tuple(_) => true,
        _ => is_single(value)?,
    };
    if one_for_all { to_value(value, ty).map(Argument::Same) } else { column(value, ty) }
}

/// Whether a value is one word, text or bytes, and no column.
fn is_single(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    if value.is_instance_of::<PyInt>()
        || value.is_instance_of::<PyByteArray>()
        || value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyBytes>()
    {
        return Ok(true);
    }
    Ok(!value.is_instance_of::<PyList>()
        && !value.hasattr("__len__")?
        && !value.hasattr("__arrow_c_array__")?
        && !value.hasattr("__arrow_c_stream__")?)
}

fn column(values: &Bound<'_, PyAny>, ty: &Type) -> Result<Argument, Problem> {
    if ty.is_word() && !values.is_instance_of::<PyList>() && !values.is_instance_of::<PyTuple>() {
        if let Some(words) = array_words(values, ty)? {
            return Ok(Argument::Words(words));
        }
        if let Some(arrays) = arrow_arrays(values)? {
            let mut words = Vec::new();
            for array in &arrays {
                if words.len() + array.len() > MAX_CALLS {
                    return Err(too_many(words.len() + array.len()));
                }
                arrow_words(array, ty, &mut words)?;
            }
            return Ok(Argument::Words(words));
        }
    }
    if !values.is_instance_of::<PyList>()
        && let Some(arrays) = arrow_arrays(values)?
    {
        let mut found = Vec::new();
        for array in &arrays {
            arrow_values(array, ty, &mut found)?;
        }
        return Ok(Argument::Values(found));
    }
    let count = values.len().unwrap_or_default();
    if count > MAX_CALLS {
        return Err(too_many(count));
    }
    let Ok(items) = values.try_iter() else { return Err(mistyped(values, "a column")) };
    let items = items.take(MAX_CALLS).enumerate();
    let read = |(row, item): (usize, PyResult<Bound<'_, PyAny>>)| {
        to_value(&item?, ty).map_err(|error| error.inside(&format!("[{row}]")))
    };
    if ty.is_word() {
        let words = items.map(|item| Ok(word_of(&read(item)?)));
        return Ok(Argument::Words(words.collect::<Result<_, Problem>>()?));
    }
    Ok(Argument::Values(items.map(read).collect::<Result<_, _>>()?))
}

/// A value of one word as it is encoded.
fn word_of(value: &Value) -> U256 {
    value.as_word().map_or(U256::ZERO, |word| U256::from_be_bytes(word.0))
}

fn outside(row: usize, shown: &dyn std::fmt::Display, ty: &Type) -> Problem {
    AbiError::new(format!("[{row}]"), format!("{shown} is no {ty}")).into()
}

/// Words from whole numbers that 64 bits hold, each checked against the type.
fn number_words<T: Copy + Into<i128>>(numbers: &[T], ty: &Type) -> Result<Vec<U256>, Problem> {
    let (least, most): (i128, i128) = match ty.kind {
        Kind::Uint(bits) => (0, if bits >= 127 { i128::MAX } else { (1 << bits) - 1 }),
        Kind::Int(bits) if bits >= 127 => (i128::MIN, i128::MAX),
        Kind::Int(bits) => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        _ => return Err(AbiError::new("", format!("an array of numbers is no column of {ty}")).into()),
    };
    let mut words = Vec::with_capacity(numbers.len());
    for (row, number) in numbers.iter().enumerate() {
        let number: i128 = (*number).into();
        if number < least || number > most {
            return Err(outside(row, &number, ty));
        }
        words.push(match u128::try_from(number) {
            Ok(number) => U256::from(number),
            Err(_) => U256::ZERO.wrapping_sub(U256::from(number.unsigned_abs())),
        });
    }
    Ok(words)
}

fn flag_words(flags: impl Iterator<Item = bool>, ty: &Type) -> Result<Vec<U256>, Problem> {
    if ty.kind != Kind::Bool {
        return Err(AbiError::new("", format!("an array of bools is no column of {ty}")).into());
    }
    Ok(flags.map(|flag| U256::from(u8::from(flag))).collect())
}

/// Words from rows of `size` bytes: as many as the type has, or whole words, which must be of the type.
fn byte_words(bytes: &[u8], size: usize, ty: &Type) -> Result<Vec<U256>, Problem> {
    let exact = match ty.kind {
        Kind::FixedBytes(width) => width,
        Kind::Address => 20,
        Kind::Function => 24,
        _ => 32,
    };
    if size != exact && size != 32 {
        return Err(AbiError::new("", format!("rows of {size} bytes are no column of {ty}")).into());
    }
    let mut words = Vec::with_capacity(bytes.len() / size.max(1));
    for (row, bytes) in bytes.chunks_exact(size).enumerate() {
        let mut word = [0; 32];
        let start = if matches!(ty.kind, Kind::Address) { 32 - size } else { 0 };
        word[start..start + size].copy_from_slice(bytes);
        decode_word(&ty.kind, &word).map_err(|error| error.inside(&format!("[{row}]")))?;
        words.push(U256::from_be_bytes(word));
    }
    Ok(words)
}

fn buffer<T: Element + Copy + Into<i128>>(
    values: &Bound<'_, PyAny>,
    ty: &Type,
) -> Result<Option<Vec<U256>>, Problem> {
    let Ok(buffer) = PyBuffer::<T>::get(values) else { return Ok(None) };
    if buffer.item_count() > MAX_CALLS {
        return Err(too_many(buffer.item_count()));
    }
    if buffer.dimensions() != 1 {
        return Err(AbiError::new("", format!("{} dimensions, not 1", buffer.dimensions())).into());
    }
    number_words(&buffer.to_vec(values.py())?, ty).map(Some)
}

/// Words out of an array that shows its memory.
fn array_words(values: &Bound<'_, PyAny>, ty: &Type) -> Result<Option<Vec<U256>>, Problem> {
    if let Ok(found) = PyBuffer::<u8>::get(values)
        && found.dimensions() == 2
    {
        if found.item_count() / 20 > MAX_CALLS {
            return Err(too_many(found.item_count() / 20));
        }
        let size = found.shape()[1];
        if size == 0 {
            return Err(AbiError::new("", "rows of no bytes").into());
        }
        return byte_words(&found.to_vec(values.py())?, size, ty).map(Some);
    }
    macro_rules! any_of {
        ($($element:ty),*) => { $(if let Some(words) = buffer::<$element>(values, ty)? { return Ok(Some(words)); })* };
    }
    any_of!(u64, i64, u32, i32, u16, i16, u8, i8);
    Ok(None)
}

fn refuse_nulls(array: &ArrayRef) -> Result<(), Problem> {
    match (0..array.len()).find(|row| array.is_null(*row)) {
        Some(row) => Err(AbiError::new(format!("[{row}]"), "is null").into()),
        None => Ok(()),
    }
}

fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef, ty: &Type) -> Result<Vec<U256>, Problem>
where
    T::Native: Copy + Into<i128>,
{
    number_words(array.as_primitive::<T>().values(), ty)
}

/// Words out of an Arrow column.
fn arrow_words(array: &ArrayRef, ty: &Type, words: &mut Vec<U256>) -> Result<(), Problem> {
    refuse_nulls(array)?;
    let found = match array.data_type() {
        DataType::UInt64 => primitive::<UInt64Type>(array, ty)?,
        DataType::Int64 => primitive::<Int64Type>(array, ty)?,
        DataType::UInt32 => primitive::<UInt32Type>(array, ty)?,
        DataType::Int32 => primitive::<Int32Type>(array, ty)?,
        DataType::UInt16 => primitive::<UInt16Type>(array, ty)?,
        DataType::Int16 => primitive::<Int16Type>(array, ty)?,
        DataType::UInt8 => primitive::<UInt8Type>(array, ty)?,
        DataType::Int8 => primitive::<Int8Type>(array, ty)?,
        DataType::Boolean => {
            let flags = array.as_boolean();
            flag_words((0..flags.len()).map(|row| flags.value(row)), ty)?
        }
        DataType::FixedSizeBinary(size) => {
            let rows = array.as_fixed_size_binary();
            let size = usize::try_from(*size).unwrap_or_default();
            let bytes: Vec<u8> = (0..rows.len()).flat_map(|row| rows.value(row)).copied().collect();
            if size == 0 { Vec::new() } else { byte_words(&bytes, size, ty)? }
        }
        _ => {
            let mut found = Vec::new();
            for row in 0..array.len() {
                let bytes = bytes_at(array, row, ty)?;
                let word = byte_words(bytes, bytes.len().max(1), ty);
                let word = word.map_err(|error| error.inside(&format!("[{row}]")))?;
                found.push(word.first().copied().ok_or_else(|| outside(row, &"nothing", ty))?);
            }
            found
        }
    };
    words.extend(found);
    Ok(())
}

fn bytes_at<'a>(array: &'a ArrayRef, row: usize, ty: &Type) -> Result<&'a [u8], Problem> {
    Ok(match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(row),
        other => return Err(AbiError::new("", format!("a column of {other} is no column of {ty}")).into()),
    })
}

fn text_at<'a>(array: &'a ArrayRef, row: usize, ty: &Type) -> Result<&'a str, Problem> {
    Ok(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row),
        DataType::Utf8View => array.as_string_view().value(row),
        other => return Err(AbiError::new("", format!("a column of {other} is no column of {ty}")).into()),
    })
}

/// Bytes and text out of an Arrow column.
fn arrow_values(array: &ArrayRef, ty: &Type, values: &mut Vec<Value>) -> Result<(), Problem> {
    refuse_nulls(array)?;
    for row in 0..array.len() {
        values.push(match ty.kind {
            Kind::Bytes => Value::Bytes(bytes_at(array, row, ty)?.to_vec()),
            Kind::String => Value::String(text_at(array, row, ty)?.into()),
            _ => return Err(AbiError::new("", format!("give a column of {ty} as a list")).into()),
        });
    }
    Ok(())
}

/// The call data of all calls: a template where only words of the heads differ, otherwise each by itself.
fn packed(function: &solder_abi::Function, arguments: Vec<Argument>) -> Result<Input, Problem> {
    let mut rows: Option<(usize, usize)> = None;
    for (index, argument) in arguments.iter().enumerate() {
        let Some(length) = argument.len() else { continue };
        match rows {
            Some((first, rows)) if rows != length => {
                let first = function.inputs[first].label(first);
                let detail = format!("{length} values, but {first} has {rows}");
                return Err(AbiError::new(function.inputs[index].label(index), detail).into());
            }
            _ => rows = Some((index, length)),
        }
    }
    let Some((_, rows)) = rows else {
        let values = arguments.iter().map(|argument| argument.value(0)).collect();
        return Ok(Input::Same(function.encode(values).into()));
    };
    if arguments.iter().any(|argument| matches!(argument, Argument::Values(_))) {
        let (mut bytes, mut offsets) = (Vec::new(), Vec::with_capacity(rows + 1));
        offsets.push(0);
        for row in 0..rows {
            bytes.extend(function.encode(arguments.iter().map(|argument| argument.value(row)).collect()));
            offsets.push(bytes.len());
        }
        return Ok(Input::Packed { bytes, offsets });
    }
    let blank = |argument: &Argument| match argument {
        Argument::Same(value) => value.clone(),
        _ => Value::Uint(U256::ZERO, 256),
    };
    let template = function.encode(arguments.iter().map(blank).collect());
    let mut offset = function.selector.map_or(0, |selector| selector.len());
    let mut fields = Vec::new();
    for (argument, input) in arguments.into_iter().zip(&function.inputs) {
        if let Argument::Words(values) = argument {
            fields.push(Field { offset, values });
        }
        offset += input.ty.head_words * 32;
    }
    Ok(Input::Template { template, fields })
}

#[pymethods]
impl PyFunction {
    /// The call data of many calls: each argument is one value for all, or a column.
    #[pyo3(signature = (arguments, named = None))]
    fn encode_columns(
        &self,
        arguments: &Bound<'_, PyTuple>,
        named: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyCallData> {
        let bound = crate::abi_entries::bound_arguments(&self.inner, arguments, named)?;
        let mut read = Vec::with_capacity(bound.len());
        for ((index, input), value) in self.inner.inputs.iter().enumerate().zip(bound) {
            let found = argument(&value, &input.ty);
            let place = |error: Problem| error.inside(&input.label(index)).inside(&self.inner.signature);
            read.push(found.map_err(place)?);
        }
        let input = packed(&self.inner, read).map_err(|error| error.inside(&self.inner.signature))?;
        Ok(PyCallData { input })
    }
}
