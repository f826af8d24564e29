//! `Calls` and `State.simulate`: many independent calls at once, and the tables that they give.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, U256};
use arrow_array::{
    ArrayRef, Float64Array, LargeBinaryArray, LargeStringArray, RecordBatch, UInt8Array, UInt64Array,
    builder::{FixedSizeBinaryBuilder, LargeStringBuilder},
};
use arrow_array::{FixedSizeBinaryArray, cast::AsArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use pyo3::buffer::PyBuffer;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString};
use revm::context_interface::transaction::AccessListItem;
use solder_engine::Fault;
use solder_simulate::batch::{
    BatchOptions, Calls, Column, Columns, DiffColumns, Field, Input, LogColumns, Progress, simulate,
};
use solder_simulate::call::Status;
use solder_simulate::{Base, Environment};

use super::arguments::access_list;
use super::columns::{PyColumn, PyTable};
use crate::convert::{any_address, any_bytes, int, u64_of, u256};
use crate::errors::Failure;
use crate::run::{inline, watched};
use crate::state::PyState;

/// Up to this many calls run on the caller's thread where one worker is asked for.
const INLINE_CALLS: usize = 64;

/// Many calls as columns. Each field is one value for all calls, or a list (or array) of one for each.
#[pyclass(frozen, name = "Calls", module = "solder")]
pub struct PyCalls {
    columns: Parsed,
}

/// Columns as they were given; what is left out is filled in from the state that they run on.
#[derive(Clone)]
struct Parsed {
    to: Column<Option<Address>>,
    sender: Option<Column<Address>>,
    value: Column<U256>,
    gas_limit: Option<Column<u64>>,
    gas_price: Column<u128>,
    input: Input,
    access_list: Column<Vec<AccessListItem>>,
}

impl Parsed {
    fn calls(&self, environment: &Environment) -> Result<Calls, Failure> {
        Ok(Calls::new(
            self.sender.clone().unwrap_or(Column::Same(environment.sender)),
            self.to.clone(),
            self.value.clone(),
            self.gas_limit.clone().unwrap_or(Column::Same(environment.header.gas_limit)),
            self.gas_price.clone(),
            self.input.clone(),
            self.access_list.clone(),
        )?)
    }
}

/// One value, or one for each call.
fn column<'py, T>(
    value: &Bound<'py, PyAny>,
    is_one: impl Fn(&Bound<'py, PyAny>) -> bool,
    parse: impl Fn(&Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<Column<T>> {
    if is_one(value) {
        return Ok(Column::Same(parse(value)?));
    }
    let values = value.try_iter()?.map(|item| parse(&item?)).collect::<PyResult<_>>()?;
    Ok(Column::Each(values))
}

fn is_bytes_or_text(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyString>() || value.is_none()
}

fn is_int(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyInt>()
}

/// Rows of an array of bytes, shape (n, `N`).
fn rows<const N: usize>(value: &Bound<'_, PyAny>, field: &str) -> PyResult<Option<Vec<[u8; N]>>> {
    let Some(buffer) = plain_buffer::<u8>(value) else { return Ok(None) };
    if buffer.shape().last() != Some(&N) || buffer.dimensions() != 2 {
        return Err(Failure::field(field, format!("an array of bytes has shape (n, {N})")).into());
    }
    let bytes = buffer.to_vec(value.py())?;
    Ok(Some(bytes.as_chunks::<N>().0.to_vec()))
}

/// The buffer of an array; bytes and text are no arrays.
fn plain_buffer<T: pyo3::buffer::Element>(value: &Bound<'_, PyAny>) -> Option<PyBuffer<T>> {
    if is_bytes_or_text(value) || value.is_instance_of::<PyList>() {
        None
    } else {
        PyBuffer::<T>::get(value).ok()
    }
}

fn addresses(value: &Bound<'_, PyAny>, field: &str) -> PyResult<Column<Address>> {
    if let Some(rows) = rows::<20>(value, field)? {
        return Ok(Column::Each(rows.into_iter().map(Address::from).collect()));
    }
    column(value, is_bytes_or_text, |value| any_address(value, field))
}

/// 256-bit numbers: an int, ints, an array of integers, or an array of bytes of shape (n, 32).
fn words(value: &Bound<'_, PyAny>, field: &str) -> PyResult<Column<U256>> {
    if is_int(value) {
        return Ok(Column::Same(u256(value, field)?));
    }
    if let Some(numbers) = integers(value, field)? {
        return Ok(Column::Each(numbers.into_iter().map(U256::from).collect()));
    }
    if let Some(rows) = rows::<32>(value, field)? {
        return Ok(Column::Each(rows.into_iter().map(U256::from_be_bytes).collect()));
    }
    Ok(Column::Each(value.try_iter()?.map(|item| u256(&item?, field)).collect::<PyResult<_>>()?))
}

fn integers(value: &Bound<'_, PyAny>, field: &str) -> PyResult<Option<Vec<u64>>> {
    if let Some(buffer) = plain_buffer::<u64>(value) {
        return Ok(Some(buffer.to_vec(value.py())?));
    }
    let Some(buffer) = plain_buffer::<i64>(value) else { return Ok(None) };
    let signed = buffer.to_vec(value.py())?;
    let unsigned = signed.into_iter().map(|number| u64::try_from(number).map_err(|_| number));
    let unsigned = unsigned.collect::<Result<_, _>>();
    Ok(Some(unsigned.map_err(|number| Failure::field(field, format!("{number} is negative")))?))
}

fn numbers(value: &Bound<'_, PyAny>, field: &str) -> PyResult<Column<u64>> {
    if let Some(numbers) = (!is_int(value)).then(|| integers(value, field)).transpose()?.flatten() {
        return Ok(Column::Each(numbers));
    }
    column(value, is_int, |value| u64_of(value, field))
}

fn narrow(words: Column<U256>, field: &str) -> PyResult<Column<u128>> {
    let narrow = |word: U256| u128::try_from(word).map_err(|_| Failure::field(field, "more than 2**128 - 1"));
    Ok(match words {
        Column::Same(word) => Column::Same(narrow(word)?),
        Column::Each(words) => Column::Each(words.into_iter().map(narrow).collect::<Result<_, _>>()?),
    })
}

fn input(value: &Bound<'_, PyAny>) -> PyResult<Input> {
    if let Ok(encoded) = value.cast::<crate::abi_columns::PyCallData>() {
        return Ok(encoded.get().input.clone());
    }
    if is_bytes_or_text(value) {
        return Ok(Input::Same(any_bytes(value, "data")?));
    }
    let (mut bytes, mut offsets) = (Vec::new(), vec![0]);
    for item in value.try_iter()? {
        append_data(&item?, &mut bytes, &mut offsets)?;
    }
    Ok(Input::Packed { bytes, offsets })
}

fn append_data(item: &Bound<'_, PyAny>, bytes: &mut Vec<u8>, offsets: &mut Vec<usize>) -> PyResult<()> {
    match item.cast::<PyBytes>() {
        Ok(raw) => bytes.extend_from_slice(raw.as_bytes()),
        Err(_) => bytes.extend_from_slice(&any_bytes(item, "data")?),
    }
    offsets.push(bytes.len());
    Ok(())
}

fn template(data: &Bound<'_, PyAny>, fields: &Bound<'_, PyDict>) -> PyResult<Input> {
    let template = any_bytes(data, "data")?.to_vec();
    let mut filled = Vec::new();
    for (offset, values) in fields {
        let place = u64_of(&offset, "fields")?;
        let offset =
            usize::try_from(place).map_err(|_| Failure::field("fields", "an offset is too large"))?;
        let Column::Each(values) = words(&values, &format!("fields[{place}]"))? else {
            return Err(
                Failure::field(format!("fields[{place}]"), "one value for all: write it into data").into()
            );
        };
        filled.push(Field { offset, values });
    }
    Ok(Input::Template { template, fields: filled })
}

#[pymethods]
impl PyCalls {
    /// Calls from columns. `fields` fills words of the one `data`: `{offset: values}`.
    #[new]
    #[pyo3(signature = (
        to = None, data = None, *, sender = None, value = None, gas_limit = None, gas_price = None,
        access_lists = None, fields = None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        to: Option<&Bound<'_, PyAny>>,
        data: Option<&Bound<'_, PyAny>>,
        sender: Option<&Bound<'_, PyAny>>,
        value: Option<&Bound<'_, PyAny>>,
        gas_limit: Option<&Bound<'_, PyAny>>,
        gas_price: Option<&Bound<'_, PyAny>>,
        access_lists: Option<&Bound<'_, PyAny>>,
        fields: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let to = to.map(|to| addresses(to, "to")).transpose()?;
        let to = match to {
            None => Column::Same(None),
            Some(Column::Same(to)) => Column::Same(Some(to)),
            Some(Column::Each(to)) => Column::Each(to.into_iter().map(Some).collect()),
        };
        let input = match (data, fields) {
            (Some(data), Some(fields)) => template(data, fields)?,
            (None, Some(_)) => {
                return Err(Failure::field("fields", "there is no data to fill them into").into());
            }
            (Some(data), None) => input(data)?,
            (None, None) => Input::Same(Bytes::new()),
        };
        let access_list = match access_lists {
            None => Column::Same(Vec::new()),
            Some(lists) => {
                Column::Each(lists.try_iter()?.map(|list| access_list(&list?)).collect::<PyResult<_>>()?)
            }
        };
        let columns = Parsed {
            to,
            sender: sender.map(|sender| addresses(sender, "sender")).transpose()?,
            value: value.map_or(Ok(Column::Same(U256::ZERO)), |value| words(value, "value"))?,
            gas_limit: gas_limit.map(|gas| numbers(gas, "gas_limit")).transpose()?,
            gas_price: match gas_price {
                Some(price) => narrow(words(price, "gas_price")?, "gas_price")?,
                None => Column::Same(0),
            },
            input,
            access_list,
        };
        columns.calls(&Environment::default())?;
        Ok(Self { columns })
    }

    /// Calls from a list of dicts with the arguments of `State.call`.
    #[staticmethod]
    fn from_list(calls: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self { columns: from_list(calls)? })
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.columns.calls(&Environment::default())?.len())
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<Calls {}>", self.__len__()?))
    }
}

/// The fields of one call of a list, each taken once.
struct CallFields<'a, 'py> {
    call: &'a Bound<'py, PyDict>,
    index: usize,
    taken: usize,
}

/// What a call of a list may name.
const CALL_FIELDS: [&str; 7] = ["to", "data", "sender", "value", "gas_limit", "gas_price", "access_list"];

impl<'a, 'py> CallFields<'a, 'py> {
    fn new(call: &'a Bound<'py, PyAny>, index: usize) -> PyResult<Self> {
        let call = call.cast::<PyDict>().map_err(|_| Failure::field(format!("[{index}]"), "not a dict"))?;
        Ok(Self { call, index, taken: 0 })
    }

    fn take<T>(
        &mut self,
        name: &Bound<'py, PyString>,
        parse: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<T>,
    ) -> PyResult<Option<T>> {
        let Some(value) = self.call.get_item(name)? else { return Ok(None) };
        self.taken += 1;
        if value.is_none() {
            return Ok(None);
        }
        parse(&value).map(Some).map_err(|error| {
            let detail = error.value(name.py()).getattr("detail");
            let detail = detail.map_or_else(|_| error.to_string(), |detail| detail.to_string());
            Failure::field(format!("[{}].{name}", self.index), detail).into()
        })
    }

    fn end(self) -> PyResult<()> {
        if self.taken == self.call.len() {
            return Ok(());
        }
        let names = self.call.keys().iter().map(|key| key.to_string()).collect::<Vec<_>>();
        let other = names.iter().find(|name| !CALL_FIELDS.contains(&name.as_str()));
        let field = format!("[{}].{}", self.index, other.map_or("", String::as_str));
        Err(Failure::field(field, "no such field").into())
    }
}

fn from_list(calls: &Bound<'_, PyAny>) -> PyResult<Parsed> {
    let py = calls.py();
    let count = calls.len()?;
    let (mut to, mut sender, mut value) = (Vec::with_capacity(count), Vec::new(), Vec::with_capacity(count));
    let (mut gas_limit, mut gas_price, mut lists) = (Vec::new(), Vec::with_capacity(count), Vec::new());
    let (mut bytes, mut offsets) = (Vec::new(), Vec::with_capacity(count + 1));
    offsets.push(0);
    for (index, call) in calls.try_iter()?.enumerate() {
        let call = call?;
        let mut fields = CallFields::new(&call, index)?;
        to.push(fields.take(intern!(py, "to"), |to| any_address(to, "to"))?);
        if fields.take(intern!(py, "data"), |data| append_data(data, &mut bytes, &mut offsets))?.is_none() {
            offsets.push(bytes.len());
        }
        if let Some(given) = fields.take(intern!(py, "sender"), |sender| any_address(sender, "sender"))? {
            sender.resize(index, None);
            sender.push(Some(given));
        }
        value.push(fields.take(intern!(py, "value"), |value| u256(value, "value"))?.unwrap_or_default());
        if let Some(given) = fields.take(intern!(py, "gas_limit"), |gas| u64_of(gas, "gas_limit"))? {
            gas_limit.resize(index, None);
            gas_limit.push(Some(given));
        }
        let price = fields.take(intern!(py, "gas_price"), |price| u256(price, "gas_price"))?;
        gas_price.push(price.unwrap_or_default());
        if let Some(list) = fields.take(intern!(py, "access_list"), access_list)? {
            lists.resize(index, Vec::new());
            lists.push(list);
        }
        fields.end()?;
    }
    let count = to.len();
    if !lists.is_empty() {
        lists.resize(count, Vec::new());
    }
    Ok(Parsed {
        to: Column::Each(to),
        sender: filled(sender, count, "sender")?,
        value: Column::Each(value),
        gas_limit: filled(gas_limit, count, "gas_limit")?,
        gas_price: narrow(Column::Each(gas_price), "gas_price")?,
        input: Input::Packed { bytes, offsets },
        access_list: if lists.is_empty() { Column::Same(Vec::new()) } else { Column::Each(lists) },
    })
}

/// A column that all calls name, or none: the default is the state's, which is not known here.
fn filled<T>(values: Vec<Option<T>>, count: usize, field: &str) -> PyResult<Option<Column<T>>> {
    if values.is_empty() {
        return Ok(None);
    }
    let named = values.len() == count;
    let values: Option<Vec<T>> = values.into_iter().collect();
    match values.filter(|_| named) {
        Some(values) => Ok(Some(Column::Each(values))),
        None => Err(Failure::field(field, "some calls name it and some do not").into()),
    }
}

#[pymethods]
impl PyState {
    /// Runs every call on this state, each by itself: (results, logs or None, diffs or None), as tables.
    #[pyo3(signature = (calls, *, workers, logs = false, diffs = false, output = true, progress = None))]
    #[allow(clippy::too_many_arguments)]
    fn simulate_columns(
        &self,
        py: Python<'_>,
        calls: &PyCalls,
        workers: usize,
        logs: bool,
        diffs: bool,
        output: bool,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(PyTable, Option<PyTable>, Option<PyTable>)> {
        let snapshot = self.inner.clone();
        let calls = calls.columns.calls(snapshot.environment())?;
        let total = calls.len();
        let options = BatchOptions { workers, logs, diffs, output, ..BatchOptions::default() };
        let done = Arc::new(Progress::default());
        let seen = done.clone();
        let job = move |cancel: &_| {
            let columns = simulate(&snapshot, &calls, &options, &seen, cancel)?;
            tables(columns).map_err(|error| Failure::Fault(Fault::Interpreter(format!("arrow: {error}"))))
        };
        let local = matches!(self.inner.base(), Base::Memory(_));
        let (results, logs, diffs) = if total <= INLINE_CALLS && workers <= 1 && local {
            inline(py, job)?
        } else {
            let tick = |_: Python<'_>| match progress {
                Some(progress) => progress.call1((done.done(), total)).map(drop),
                None => Ok(()),
            };
            watched(py, tick, job)?
        };
        if let Some(progress) = progress {
            progress.call1((total, total))?;
        }
        let table = |batch: RecordBatch| PyTable { batch: Arc::new(batch) };
        Ok((table(results), logs.map(table), diffs.map(table)))
    }
}

type Tables = (RecordBatch, Option<RecordBatch>, Option<RecordBatch>);

fn tables(columns: Columns) -> Result<Tables, ArrowError> {
    let logs = columns.logs.map(log_table).transpose()?;
    let diffs = columns.diffs.map(diff_table).transpose()?;
    let rows = columns.status.len();
    let errors = error_column(&columns.errors, rows);
    let created: Vec<bool> = columns.created.iter().map(|address| !address.is_zero()).collect();
    let results = table([
        ("status", Arc::new(UInt8Array::from(columns.status)) as ArrayRef),
        ("gas_used", Arc::new(UInt64Array::from(columns.gas_used))),
        ("gas_refunded", Arc::new(UInt64Array::from(columns.gas_refunded))),
        ("output", binary(columns.output_offsets, columns.output)?),
        ("created", address_column(columns.created, Some(created))?),
        ("error", errors),
    ])?;
    Ok((results, logs, diffs))
}

/// Columns that may have nulls.
const NULLABLE: [&str; 6] = ["created", "error", "topic0", "topic1", "topic2", "topic3"];

/// A table whose schema does not depend on its values, so that those of two batches can be put together.
fn table<N: AsRef<str>>(columns: impl IntoIterator<Item = (N, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    let columns = columns.into_iter().map(|(name, values)| {
        let nullable = NULLABLE.contains(&name.as_ref());
        (name, values, nullable)
    });
    RecordBatch::try_from_iter_with_nullable(columns)
}

fn error_column(errors: &[(u64, String)], rows: usize) -> ArrayRef {
    if errors.is_empty() {
        return Arc::new(LargeStringArray::new_null(rows));
    }
    let mut builder = LargeStringBuilder::new();
    let mut errors = errors.iter().peekable();
    for row in 0..rows as u64 {
        match errors.next_if(|(index, _)| *index == row) {
            Some((_, text)) => builder.append_value(text),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

fn binary(offsets: Vec<i64>, bytes: Vec<u8>) -> Result<ArrayRef, ArrowError> {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(LargeBinaryArray::try_new(offsets, Buffer::from_vec(bytes), None)?))
}

fn address_column(addresses: Vec<Address>, valid: Option<Vec<bool>>) -> Result<ArrayRef, ArrowError> {
    let bytes = addresses.into_iter().map(|address| address.0.0).collect::<Vec<_>>().into_flattened();
    let nulls = valid.map(NullBuffer::from).filter(|nulls| nulls.null_count() > 0);
    Ok(Arc::new(FixedSizeBinaryArray::try_new(20, Buffer::from_vec(bytes), nulls)?))
}

fn word_column(words: impl Iterator<Item = [u8; 32]>) -> Result<ArrayRef, ArrowError> {
    let bytes = words.collect::<Vec<_>>().into_flattened();
    Ok(Arc::new(FixedSizeBinaryArray::try_new(32, Buffer::from_vec(bytes), None)?))
}

fn log_table(logs: LogColumns) -> Result<RecordBatch, ArrowError> {
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("call".into(), Arc::new(UInt64Array::from(logs.call))),
        ("address".into(), address_column(logs.address, None)?),
    ];
    for (place, topics) in logs.topics.into_iter().enumerate() {
        let mut builder = FixedSizeBinaryBuilder::with_capacity(topics.len(), 32);
        for (topic, count) in topics.iter().zip(&logs.topic_count) {
            if usize::from(*count) > place {
                builder.append_value(topic)?;
            } else {
                builder.append_null();
            }
        }
        columns.push((format!("topic{place}"), Arc::new(builder.finish())));
    }
    columns.push(("data".into(), binary(logs.data_offsets, logs.data)?));
    table(columns)
}

fn diff_table(diffs: DiffColumns) -> Result<RecordBatch, ArrowError> {
    let names = diffs.field.iter().map(|field| DiffColumns::FIELDS[usize::from(*field)]);
    let fields: ArrayRef = Arc::new(LargeStringArray::from_iter_values(names));
    table([
        ("call", Arc::new(UInt64Array::from(diffs.call)) as ArrayRef),
        ("address", address_column(diffs.address, None)?),
        ("field", fields),
        ("slot", word_column(diffs.slot.iter().map(|word| word.to_be_bytes()))?),
        ("before", word_column(diffs.before.iter().map(|word| word.to_be_bytes()))?),
        ("after", word_column(diffs.after.iter().map(|word| word.to_be_bytes()))?),
    ])
}

#[pymethods]
impl PyTable {
    /// Word `word` of each output as an int; None where the call failed or returned less.
    #[pyo3(signature = (word = 0, *, signed = false))]
    fn output_integers<'py>(
        &self,
        py: Python<'py>,
        word: usize,
        signed: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for value in self.output_words(word)? {
            match value {
                None => list.append(py.None())?,
                Some(value) if signed && value.bit(255) => {
                    list.append(int(py, value.wrapping_neg())?.neg()?)?
                }
                Some(value) => list.append(int(py, value)?)?,
            }
        }
        Ok(list)
    }

    /// Word `word` of each output divided by `scale`, in float64; not a number where the call failed or returned less.
    #[pyo3(signature = (word = 0, *, scale = 1.0, signed = false))]
    fn output_floats(&self, word: usize, scale: f64, signed: bool) -> PyResult<PyColumn> {
        let to_float = |value: U256| match signed && value.bit(255) {
            true => -f64::from(value.wrapping_neg()),
            false => f64::from(value),
        };
        let words = self.output_words(word)?;
        let values = words.into_iter().map(|value| value.map_or(f64::NAN, |value| to_float(value) / scale));
        Ok(PyColumn::new("output", Arc::new(Float64Array::from_iter_values(values))))
    }
}

impl PyTable {
    fn output_words(&self, word: usize) -> PyResult<Vec<Option<U256>>> {
        let (Some(output), Some(status)) = (self.column_of("output"), self.column_of("status")) else {
            return Err(Failure::field("output", "this table has no outputs").into());
        };
        let (output, status) =
            (output.as_binary::<i64>(), status.as_primitive::<arrow_array::types::UInt8Type>());
        let start = word.checked_mul(32).ok_or_else(|| Failure::field("word", "too large"))?;
        let read = |row: usize| {
            let bytes = output.value(row).get(start..)?.first_chunk::<32>()?;
            (status.value(row) == Status::Success as u8).then(|| U256::from_be_bytes(*bytes))
        };
        Ok((0..self.batch.num_rows()).map(read).collect())
    }
}
