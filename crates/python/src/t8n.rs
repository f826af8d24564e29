//! `t8n`: the state-transition tool on bytes. Files, flags and standard streams are Python's.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use solder_spec::t8n::{Options, Reward, T8nError, TraceOptions, run};

use crate::errors::Failure;
use crate::run::detached;

/// Runs a transition: JSON documents in, JSON documents out, by name.
#[pyfunction]
pub fn t8n<'py>(
    py: Python<'py>,
    alloc: &[u8],
    env: &[u8],
    txs: &[u8],
    options: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyDict>> {
    let options = read_options(options)?;
    let (alloc, env, txs) = (alloc.to_vec(), env.to_vec(), txs.to_vec());
    let outputs = detached(py, move |_| Ok(run(&alloc, &env, &txs, &options)?))?;
    let named = PyDict::new(py);
    named.set_item("alloc", PyBytes::new(py, &outputs.alloc))?;
    named.set_item("result", PyBytes::new(py, &outputs.result))?;
    named.set_item("body", PyBytes::new(py, &outputs.body))?;
    Ok(named)
}

fn read_options(options: &Bound<'_, PyDict>) -> PyResult<Options> {
    let trace = match option::<Option<String>>(options, "trace_folder")? {
        Some(folder) => Some(TraceOptions {
            folder: folder.into(),
            memory: option(options, "trace_memory")?,
            stack: option(options, "trace_stack")?,
            return_data: option(options, "trace_return_data")?,
        }),
        None => None,
    };
    let reward = match option::<Option<i128>>(options, "reward")? {
        None => None,
        Some(-1) => Some(Reward::Disabled),
        Some(wei) => {
            let wei = u128::try_from(wei).map_err(|_| Failure::field("--state.reward", "less than -1"))?;
            Some(Reward::Fixed(wei))
        }
    };
    Ok(Options {
        fork: option(options, "fork")?,
        chain_id: option(options, "chain_id")?,
        reward,
        blob_params: option(options, "blob_params")?,
        state_test: option(options, "state_test")?,
        trace,
    })
}

/// One option by name; a value that does not fit is a bad argument.
fn option<'py, T>(options: &Bound<'py, PyDict>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let value = options.get_item(name)?.ok_or_else(|| Failure::field(name, "missing"))?;
    value.extract::<T>().map_err(|_| Failure::field(name, "out of range or mistyped").into())
}

impl From<T8nError> for Failure {
    fn from(error: T8nError) -> Self {
        match error {
            T8nError::Input { file, field, detail } => {
                let field = Some(field).filter(|field| !field.is_empty());
                Self::Input { path: Some(file.to_owned()), field, detail }
            }
            T8nError::UnknownFork(unknown) => Self::Unknown(unknown),
            T8nError::Rejected(rejection) => Self::Rejected(rejection),
            T8nError::Fault(fault) => Self::Fault(fault),
        }
    }
}
