//! Results and logs of many calls decoded by an interface: a column for each value, in Arrow's memory.
//!
//! Numbers of up to 64 bits become numbers, longer ones words of 32 bytes, addresses 20 bytes, arrays lists, structs
//! structs. A call that failed is null in every column.

use std::sync::Arc;

use alloy_primitives::{B256, I256, U256};
use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, Float64Array, Int64Array, LargeBinaryArray,
    LargeListArray, LargeStringArray, RecordBatch, RecordBatchOptions, StructArray, UInt64Array,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};
use pyo3::prelude::*;
use pyo3::types::PyList;
use solder_abi::{Event, Kind, Parameter, Type, Value, word_fits};
use solder_engine::Fault;
use solder_simulate::call::Status;

use crate::abi_entries::{PyEvent, PyFunction};
use crate::convert::int;
use crate::errors::Failure;
use crate::simulate::columns::{PyColumn, PyTable};

/// A column that grows, of any type.
enum Builder {
    Unsigned(Vec<u64>),
    Signed(Vec<i64>),
    Flag(Vec<bool>),
    /// Rows of a fixed number of bytes.
    Fixed(usize, Vec<u8>),
    Bytes(Vec<i64>, Vec<u8>),
    Text(Vec<i64>, String),
    List(Vec<i64>, Box<Builder>),
    Struct(Vec<(String, Builder)>, usize),
}

impl Builder {
    fn new(ty: &Type) -> Self {
        match &ty.kind {
            Kind::Uint(bits) if *bits <= 64 => Self::Unsigned(Vec::new()),
            Kind::Int(bits) if *bits <= 64 => Self::Signed(Vec::new()),
            Kind::Uint(_) | Kind::Int(_) => Self::Fixed(32, Vec::new()),
            Kind::Bool => Self::Flag(Vec::new()),
            Kind::Address => Self::Fixed(20, Vec::new()),
            Kind::Function => Self::Fixed(24, Vec::new()),
            Kind::FixedBytes(size) => Self::Fixed(*size, Vec::new()),
            Kind::Bytes => Self::Bytes(vec![0], Vec::new()),
            Kind::String => Self::Text(vec![0], String::new()),
            Kind::Array(inner) | Kind::FixedArray(inner, _) => {
                Self::List(vec![0], Box::new(Self::new(inner)))
            }
            Kind::Tuple(fields) => Self::Struct(
                labels(fields).into_iter().zip(fields.iter().map(|field| Self::new(&field.ty))).collect(),
                0,
            ),
        }
    }

    fn push(&mut self, value: &Value) {
        match (self, value) {
            (Self::Unsigned(column), Value::Uint(number, _)) => column.push(number.saturating_to()),
            // The value was checked against its bits.
            (Self::Signed(column), Value::Int(number, _)) => column.push(number.as_i64()),
            (Self::Flag(column), Value::Bool(flag)) => column.push(*flag),
            (Self::Fixed(32, column), Value::Uint(number, _)) => column.extend(number.to_be_bytes::<32>()),
            (Self::Fixed(32, column), Value::Int(number, _)) => column.extend(number.to_be_bytes::<32>()),
            (Self::Fixed(20, column), Value::Address(address)) => column.extend(address),
            (Self::Fixed(24, column), Value::Function(pointer)) => column.extend(pointer),
            (Self::Fixed(size, column), Value::FixedBytes(word, _)) => column.extend(&word[..*size]),
            (Self::Bytes(offsets, column), Value::Bytes(bytes)) => {
                column.extend(bytes);
                offsets.push(column.len() as i64);
            }
            (Self::Text(offsets, column), Value::String(text)) => {
                column.push_str(text);
                offsets.push(column.len() as i64);
            }
            (Self::List(offsets, column), Value::Array(values) | Value::FixedArray(values)) => {
                values.iter().for_each(|value| column.push(value));
                offsets.push(offsets.last().copied().unwrap_or_default() + values.len() as i64);
            }
            (Self::Struct(columns, rows), Value::Tuple(values)) => {
                columns.iter_mut().zip(values).for_each(|((_, column), value)| column.push(value));
                *rows += 1;
            }
            // A value of another type than the column's: the decoder gives none.
            (column, _) => column.push_nothing(),
        }
    }

    /// A value of one word, which was found to fit its type.
    fn push_word(&mut self, kind: &Kind, word: &[u8; 32]) {
        let low = u64::from_be_bytes([
            word[24], word[25], word[26], word[27], word[28], word[29], word[30], word[31],
        ]);
        match (self, kind) {
            (Self::Unsigned(column), _) => column.push(low),
            (Self::Signed(column), _) => column.push(low.cast_signed()),
            (Self::Flag(column), _) => column.push(low != 0),
            (Self::Fixed(_, column), Kind::Address) => column.extend(&word[12..]),
            (Self::Fixed(size, column), _) => column.extend(&word[..*size]),
            // No other column is of words.
            (column, _) => column.push_nothing(),
        }
    }

    /// A row that is null.
    fn push_nothing(&mut self) {
        match self {
            Self::Unsigned(column) => column.push(0),
            Self::Signed(column) => column.push(0),
            Self::Flag(column) => column.push(false),
            Self::Fixed(size, column) => column.resize(column.len() + *size, 0),
            Self::Bytes(offsets, _) | Self::Text(offsets, _) | Self::List(offsets, _) => {
                offsets.push(offsets.last().copied().unwrap_or_default());
            }
            Self::Struct(columns, rows) => {
                columns.iter_mut().for_each(|(_, column)| column.push_nothing());
                *rows += 1;
            }
        }
    }

    fn finish(self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let offsets = |offsets: Vec<i64>| OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(match self {
            Self::Unsigned(column) => Arc::new(UInt64Array::try_new(column.into(), nulls)?),
            Self::Signed(column) => Arc::new(Int64Array::try_new(column.into(), nulls)?),
            Self::Flag(column) => Arc::new(BooleanArray::new(column.into(), nulls)),
            Self::Fixed(size, column) => {
                let size = i32::try_from(size).unwrap_or(32);
                Arc::new(FixedSizeBinaryArray::try_new(size, Buffer::from_vec(column), nulls)?)
            }
            Self::Bytes(ends, column) => {
                Arc::new(LargeBinaryArray::try_new(offsets(ends), Buffer::from_vec(column), nulls)?)
            }
            Self::Text(ends, column) => Arc::new(LargeStringArray::try_new(
                offsets(ends),
                Buffer::from_vec(column.into_bytes()),
                nulls,
            )?),
            Self::List(ends, column) => {
                let inner = column.finish(None)?;
                let field = Field::new("item", inner.data_type().clone(), true);
                Arc::new(LargeListArray::try_new(Arc::new(field), offsets(ends), inner, nulls)?)
            }
            Self::Struct(columns, rows) => {
                let (mut fields, mut arrays) = (Vec::new(), Vec::new());
                for (name, column) in columns {
                    let array = column.finish(None)?;
                    fields.push(Field::new(name, array.data_type().clone(), true));
                    arrays.push(array);
                }
                Arc::new(StructArray::try_new_with_length(Fields::from(fields), arrays, nulls, rows)?)
            }
        })
    }
}

/// Names of columns: the parameters', or their places; one that comes twice has its place behind it.
fn labels(parameters: &[Parameter]) -> Vec<String> {
    let mut found: Vec<String> = Vec::with_capacity(parameters.len());
    for (index, parameter) in parameters.iter().enumerate() {
        let name = match parameter.name.as_str() {
            "" if parameters.len() == 1 => "value".into(),
            "" => format!("value{index}"),
            name => name.to_owned(),
        };
        found.push(if found.contains(&name) { format!("{name}_{index}") } else { name });
    }
    found
}

fn no_table(what: &str) -> PyErr {
    Failure::field("results", format!("this table has no {what}")).into()
}

fn arrow_failed(error: ArrowError) -> Failure {
    Failure::Fault(Fault::Interpreter(format!("arrow: {error}")))
}

fn batch(columns: Vec<(String, ArrayRef)>, rows: usize) -> Result<PyTable, Failure> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options);
    Ok(PyTable { batch: Arc::new(batch.map_err(arrow_failed)?) })
}

/// Which rows are there, as Arrow has it; None where all are.
fn nulls(valid: Vec<bool>) -> Option<NullBuffer> {
    Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0)
}

/// The outputs of all calls that succeeded. `strict`: a malformed one is an error, not null.
fn outputs(function: &solder_abi::Function, table: &RecordBatch, strict: bool) -> Result<PyTable, Failure> {
    let (Some(output), Some(status)) = (table.column_by_name("output"), table.column_by_name("status"))
    else {
        return Err(Failure::field("results", "this table has no outputs"));
    };
    let (output, status) = (output.as_binary::<i64>(), status.as_primitive::<UInt8Type>());
    let rows = table.num_rows();
    let words = function.outputs.iter().all(|output| output.ty.is_word());
    let mut builders: Vec<Builder> = function.outputs.iter().map(|output| Builder::new(&output.ty)).collect();
    let mut valid = vec![true; rows];
    for (row, valid) in valid.iter_mut().enumerate() {
        let mut fits = status.value(row) == Status::Success as u8;
        if fits && words && push_words(&function.outputs, output.value(row), &mut builders) {
            continue;
        }
        let mut values = Vec::new();
        if fits {
            match function.decode_output(output.value(row)) {
                Ok(found) => values = found,
                Err(mut error) if strict => {
                    if output.values().is_empty() {
                        error.detail.push_str(" Or did the batch keep no outputs?");
                    }
                    return Err(error.inside(&format!("[{row}]")).into());
                }
                Err(_) => fits = false,
            }
        }
        *valid = fits;
        if fits {
            builders.iter_mut().zip(&values).for_each(|(builder, value)| builder.push(value));
        } else {
            builders.iter_mut().for_each(Builder::push_nothing);
        }
    }
    let nulls = nulls(valid);
    let columns = labels(&function.outputs)
        .into_iter()
        .zip(builders)
        .map(|(name, builder)| Ok((name, builder.finish(nulls.clone()).map_err(arrow_failed)?)));
    batch(columns.collect::<Result<_, Failure>>()?, rows)
}

/// Outputs that are all words are where they are. False, and nothing done, where one is not as it should be: the decoder
/// says what is wrong.
fn push_words(outputs: &[Parameter], output: &[u8], builders: &mut [Builder]) -> bool {
    let (words, _) = output.as_chunks::<32>();
    let fit = outputs.len() <= words.len()
        && outputs.iter().zip(words).all(|(parameter, word)| word_fits(&parameter.ty.kind, word));
    if fit {
        for ((builder, parameter), word) in builders.iter_mut().zip(outputs).zip(words) {
            builder.push_word(&parameter.ty.kind, word);
        }
    }
    fit
}

/// The logs of one event, with the call that each is of.
fn events(event: &Event, table: &RecordBatch, from: Option<[u8; 20]>) -> Result<PyTable, Failure> {
    let column = |name: &str| {
        let found = table.column_by_name(name);
        found.ok_or_else(|| Failure::field("logs", format!("this table has no column {name:?}")))
    };
    let (call, address) = (column("call")?.as_primitive::<UInt64Type>(), column("address")?);
    let (address, data) = (address.as_fixed_size_binary(), column("data")?.as_binary::<i64>());
    let topics = (0..4).map(|place| Ok(column(&format!("topic{place}"))?.as_fixed_size_binary()));
    let topics: Vec<&FixedSizeBinaryArray> = topics.collect::<Result<_, Failure>>()?;
    let types = event.inputs.iter().zip(&event.indexed).map(|(input, indexed)| {
        let hashed = *indexed && !input.ty.is_word();
        if hashed { Builder::Fixed(32, Vec::new()) } else { Builder::new(&input.ty) }
    });
    let mut builders: Vec<Builder> = types.collect();
    let (mut calls, mut addresses) = (Vec::new(), Builder::Fixed(20, Vec::new()));
    for row in 0..table.num_rows() {
        if from.is_some_and(|from| address.value(row) != from) {
            continue;
        }
        let there = topics.iter().take_while(|column| !column.is_null(row));
        let there: Vec<B256> = there.map(|column| B256::from_slice(column.value(row))).collect();
        let meant = event.anonymous || there.first() == Some(&event.topic);
        if !meant || there.len() != event.topic_count() {
            continue;
        }
        let values = match event.decode(&there, data.value(row)) {
            Ok(values) => values,
            // Any log may have as many topics as an anonymous event has.
            Err(_) if event.anonymous => continue,
            Err(error) => return Err(error.inside(&format!("[{row}]")).into()),
        };
        calls.push(call.value(row));
        if let Builder::Fixed(_, bytes) = &mut addresses {
            bytes.extend(address.value(row));
        }
        builders.iter_mut().zip(&values).for_each(|(builder, value)| builder.push(value));
    }
    let rows = calls.len();
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("call".into(), Arc::new(UInt64Array::from(calls))),
        ("address".into(), addresses.finish(None).map_err(arrow_failed)?),
    ];
    for (name, builder) in labels(&event.inputs).into_iter().zip(builders) {
        let taken = columns.iter().any(|(known, _)| *known == name);
        let name = if taken { format!("{name}_") } else { name };
        columns.push((name, builder.finish(None).map_err(arrow_failed)?));
    }
    batch(columns, rows)
}

#[pymethods]
impl PyFunction {
    /// What the function returned in each call of a batch, a column for each result; null where a call failed.
    #[pyo3(signature = (table, *, strict = true))]
    fn decode_outputs(&self, py: Python<'_>, table: &PyTable, strict: bool) -> PyResult<PyTable> {
        if table.column_of("output").is_none() {
            return Err(no_table("outputs"));
        }
        let (function, batch) = (self.inner.clone(), table.batch.clone());
        Ok(py.detach(move || outputs(&function, &batch, strict))?)
    }
}

#[pymethods]
impl PyEvent {
    /// The logs of this event in a batch's table of logs: `call`, `address`, and a column for each parameter.
    #[pyo3(signature = (table, address = None))]
    fn decode_logs(
        &self,
        py: Python<'_>,
        table: &PyTable,
        address: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyTable> {
        let from = address.map(|address| crate::convert::any_address(address, "address")).transpose()?;
        let (event, batch) = (self.inner.clone(), table.batch.clone());
        Ok(py.detach(move || events(&event, &batch, from.map(|from| from.0.0)))?)
    }
}

/// The number in row `row` of a column; None where it is null or the column has no numbers.
fn number_at(array: &ArrayRef, row: usize, signed: bool) -> Option<(bool, U256)> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::UInt8 => Some((false, U256::from(array.as_primitive::<UInt8Type>().value(row)))),
        DataType::UInt64 => Some((false, U256::from(array.as_primitive::<UInt64Type>().value(row)))),
        DataType::Int64 => {
            let number = array.as_primitive::<arrow_array::types::Int64Type>().value(row);
            Some((number < 0, U256::from(number.unsigned_abs())))
        }
        DataType::FixedSizeBinary(32) => {
            let word = U256::from_be_slice(array.as_fixed_size_binary().value(row));
            let number = I256::from_raw(word);
            let negative = signed && number.is_negative();
            Some((negative, if negative { number.unsigned_abs() } else { word }))
        }
        _ => None,
    }
}

impl PyColumn {
    fn check_numbers(&self) -> PyResult<()> {
        match self.array().data_type() {
            DataType::UInt8 | DataType::UInt64 | DataType::Int64 | DataType::FixedSizeBinary(32) => Ok(()),
            other => Err(Failure::field(self.label(), format!("{other} has no numbers")).into()),
        }
    }
}

#[pymethods]
impl PyColumn {
    /// The numbers as Python ints; None where a row is null. `signed`: words are two's complement.
    #[pyo3(signature = (*, signed = false))]
    fn integers<'py>(&self, py: Python<'py>, signed: bool) -> PyResult<Bound<'py, PyList>> {
        self.check_numbers()?;
        let list = PyList::empty(py);
        for row in 0..self.array().len() {
            match number_at(self.array(), row, signed) {
                None => list.append(py.None())?,
                Some((true, number)) => list.append(int(py, number)?.neg()?)?,
                Some((false, number)) => list.append(int(py, number)?)?,
            }
        }
        Ok(list)
    }

    /// The numbers divided by `scale`, in float64; not a number where a row is null.
    #[pyo3(signature = (*, scale = 1.0, signed = false))]
    fn floats(&self, scale: f64, signed: bool) -> PyResult<Self> {
        self.check_numbers()?;
        let value = |row| match number_at(self.array(), row, signed) {
            None => f64::NAN,
            Some((negative, number)) => {
                let number = f64::from(number) / scale;
                if negative { -number } else { number }
            }
        };
        let values = (0..self.array().len()).map(value);
        Ok(Self::new(self.label(), Arc::new(Float64Array::from_iter_values(values))))
    }
}
