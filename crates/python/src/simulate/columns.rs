//! `Column` and `Table`: results in Arrow's memory. NumPy and memoryview see a numeric column's memory by the buffer
//! protocol; polars, pandas and pyarrow take both by Arrow's C interface. Nothing is copied.

use std::ffi::{CStr, c_int, c_void};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::{Float64Type, Int64Type, UInt8Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchIterator};
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, DataType, Field};
use pyo3::exceptions::{PyBufferError, PyIndexError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyCapsule, PyDict, PyList};

use crate::errors::Failure;

const SCHEMA: &CStr = c"arrow_schema";
const ARRAY: &CStr = c"arrow_array";
const STREAM: &CStr = c"arrow_array_stream";

fn arrow_failed(error: ArrowError) -> PyErr {
    Failure::Fault(solder_engine::Fault::Interpreter(format!("arrow: {error}"))).into()
}

/// One column.
#[pyclass(frozen, name = "Column", module = "solder", sequence)]
pub struct PyColumn {
    name: String,
    array: ArrayRef,
}

impl PyColumn {
    pub fn new(name: &str, array: ArrayRef) -> Self {
        Self { name: name.into(), array }
    }

    /// The column's memory.
    pub fn array(&self) -> &ArrayRef {
        &self.array
    }

    /// The column's name.
    pub fn label(&self) -> &str {
        &self.name
    }

    fn item<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        if self.array.is_null(index) {
            return Ok(py.None().into_bound(py));
        }
        let inner = |name: &str, array: ArrayRef| Self::new(name, array);
        Ok(match self.array.data_type() {
            DataType::Int64 => {
                self.array.as_primitive::<Int64Type>().value(index).into_pyobject(py)?.into_any()
            }
            DataType::Boolean => PyBool::new(py, self.array.as_boolean().value(index)).to_owned().into_any(),
            DataType::LargeList(_) => {
                inner(&self.name, self.array.as_list::<i64>().value(index)).to_list(py)?.into_any()
            }
            DataType::Struct(_) => {
                let (fields, row) = (self.array.as_struct(), PyDict::new(py));
                for (name, array) in fields.column_names().iter().zip(fields.columns()) {
                    row.set_item(name, inner(name, array.clone()).item(py, index)?)?;
                }
                row.into_any()
            }
            DataType::UInt8 => {
                self.array.as_primitive::<UInt8Type>().value(index).into_pyobject(py)?.into_any()
            }
            DataType::UInt64 => {
                self.array.as_primitive::<UInt64Type>().value(index).into_pyobject(py)?.into_any()
            }
            DataType::Float64 => {
                self.array.as_primitive::<Float64Type>().value(index).into_pyobject(py)?.into_any()
            }
            DataType::LargeBinary => PyBytes::new(py, self.array.as_binary::<i64>().value(index)).into_any(),
            DataType::FixedSizeBinary(_) => {
                PyBytes::new(py, self.array.as_fixed_size_binary().value(index)).into_any()
            }
            DataType::LargeUtf8 => self.array.as_string::<i64>().value(index).into_pyobject(py)?.into_any(),
            other => return Err(Failure::field(&self.name, format!("{other} has no Python form")).into()),
        })
    }

    /// The memory of a numeric column: address, bytes, format, size of one.
    fn memory(&self) -> Option<(*const u8, usize, &'static CStr, usize)> {
        // What is null has no number: the memory would show one.
        if self.array.null_count() > 0 {
            return None;
        }
        let (format, size) = match self.array.data_type() {
            DataType::UInt8 => (c"B", 1),
            DataType::UInt64 => (c"Q", 8),
            DataType::Int64 => (c"q", 8),
            DataType::Float64 => (c"d", 8),
            _ => return None,
        };
        let bytes: &[u8] = match self.array.data_type() {
            DataType::UInt8 => self.array.as_primitive::<UInt8Type>().values().inner().as_slice(),
            DataType::UInt64 => self.array.as_primitive::<UInt64Type>().values().inner().as_slice(),
            DataType::Int64 => self.array.as_primitive::<Int64Type>().values().inner().as_slice(),
            _ => self.array.as_primitive::<Float64Type>().values().inner().as_slice(),
        };
        Some((bytes.as_ptr(), bytes.len(), format, size))
    }
}

#[pymethods]
impl PyColumn {
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// The Arrow type, in words.
    #[getter]
    fn dtype(&self) -> String {
        self.array.data_type().to_string()
    }

    fn __len__(&self) -> usize {
        self.array.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: isize) -> PyResult<Bound<'py, PyAny>> {
        let length = self.array.len();
        let place = if index < 0 { index.checked_add_unsigned(length) } else { Some(index) };
        let place = place.and_then(|place| usize::try_from(place).ok()).filter(|place| *place < length);
        self.item(py, place.ok_or_else(|| PyIndexError::new_err("no such row"))?)
    }

    /// The values as a list.
    fn to_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for index in 0..self.array.len() {
            list.append(self.item(py, index)?)?;
        }
        Ok(list)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let field = Field::new(&self.name, self.array.data_type().clone(), self.array.is_nullable());
        PyCapsule::new_with_value(py, FFI_ArrowSchema::try_from(&field).map_err(arrow_failed)?, SCHEMA)
    }

    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        // A producer may give its own type whatever is asked for; the consumer converts.
        drop(requested_schema);
        let array = FFI_ArrowArray::new(&self.array.to_data());
        Ok((self.__arrow_c_schema__(py)?, PyCapsule::new_with_value(py, array, ARRAY)?))
    }

    /// The buffer protocol: read-only, one dimension.
    ///
    /// # Safety
    /// Called by Python with a `view` that it owns.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let Some((start, bytes, format, size)) = slf.get().memory() else {
            return Err(PyBufferError::new_err("only a numeric column without nulls has a buffer"));
        };
        if view.is_null() || (flags & ffi::PyBUF_WRITABLE) == ffi::PyBUF_WRITABLE {
            return Err(PyBufferError::new_err("results are read-only"));
        }
        let format_asked = (flags & ffi::PyBUF_FORMAT) == ffi::PyBUF_FORMAT;
        let shape_asked = (flags & ffi::PyBUF_ND) == ffi::PyBUF_ND;
        let strides_asked = (flags & ffi::PyBUF_STRIDES) == ffi::PyBUF_STRIDES;
        // Shape and strides live until the view is released.
        let shape = Box::into_raw(Box::new([(bytes / size) as ffi::Py_ssize_t, size as ffi::Py_ssize_t]));
        // SAFETY: `view` is valid by the protocol; `start` points to `bytes` bytes that the Arrow array keeps, which `slf`
        // keeps, to which the view holds a reference; they are never written.
        unsafe {
            (*view).obj = slf.into_any().into_ptr();
            (*view).buf = start.cast_mut().cast::<c_void>();
            (*view).len = bytes as ffi::Py_ssize_t;
            (*view).readonly = 1;
            (*view).itemsize = size as ffi::Py_ssize_t;
            (*view).format = if format_asked { format.as_ptr().cast_mut() } else { std::ptr::null_mut() };
            (*view).ndim = 1;
            (*view).shape = if shape_asked { shape.cast() } else { std::ptr::null_mut() };
            (*view).strides =
                if strides_asked { shape.cast::<ffi::Py_ssize_t>().add(1) } else { std::ptr::null_mut() };
            (*view).suboffsets = std::ptr::null_mut();
            (*view).internal = shape.cast();
        }
        Ok(())
    }

    /// Frees what a view was given beside the memory.
    ///
    /// # Safety
    /// Called by Python once with a `view` that `__getbuffer__` filled.
    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: `internal` is the box that `__getbuffer__` made, and nobody else frees it.
        unsafe { drop(Box::from_raw((*view).internal.cast::<[ffi::Py_ssize_t; 2]>())) };
    }

    fn __repr__(&self) -> String {
        format!("<Column {} {}, {} rows>", self.name, self.array.data_type(), self.array.len())
    }
}

/// Columns of one length.
#[pyclass(frozen, name = "Table", module = "solder", sequence)]
pub struct PyTable {
    pub batch: Arc<RecordBatch>,
}

impl PyTable {
    pub fn column_of(&self, name: &str) -> Option<ArrayRef> {
        self.batch.column_by_name(name).cloned()
    }
}

#[pymethods]
impl PyTable {
    #[getter]
    fn names(&self) -> Vec<String> {
        self.batch.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    /// A column by its name.
    fn column(&self, name: &str) -> PyResult<PyColumn> {
        let array = self.column_of(name);
        let array = array.ok_or_else(|| Failure::field("name", format!("there is no column {name:?}")))?;
        Ok(PyColumn::new(name, array))
    }

    /// All columns as a stream of one batch (Arrow's PyCapsule interface).
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let schema = self.batch.schema();
        let batches = RecordBatchIterator::new([Ok(RecordBatch::clone(&self.batch))], schema);
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(batches)), STREAM)
    }

    fn __repr__(&self) -> String {
        format!("<Table {} rows: {}>", self.batch.num_rows(), self.names().join(", "))
    }
}
