//! `solder._native`: the engine as Python sees it. It converts values, releases the GIL, checks signals, catches
//! panics and maps errors. It decides nothing: rules live in `solder-engine`, policy lives in Python.

mod abi;
mod abi_columns;
mod abi_entries;
mod abi_results;
mod abi_values;
mod ai;
mod ai_products;
mod ai_values;
mod arrow_import;
mod block;
mod chain;
mod changes;
mod changes_plain;
mod conformance;
mod convert;
mod errors;
mod execute;
mod html;
mod load;
mod profile;
mod remote;
mod result;
mod run;
mod schedule;
mod simulate;
mod state;
mod t8n;
mod trace;
mod transaction;

use std::collections::BTreeMap;

use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What this module was built from and with, by name.
#[pyfunction]
fn versions() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("solder", env!("CARGO_PKG_VERSION")),
        ("revm", env!("SOLDER_REVM")),
        ("rustc", env!("SOLDER_RUSTC")),
        ("target", env!("SOLDER_TARGET")),
        ("profile", env!("SOLDER_PROFILE")),
    ])
}

#[pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::abi::{PyAbi, checksum_address, read_address, revert_reason};
    #[pymodule_export]
    use super::abi_columns::{PyCallData, PyEach};
    #[pymodule_export]
    use super::abi_entries::{PyErrorEntry, PyEvent, PyFunction, abi_entry};
    #[pymodule_export]
    use super::ai::{PyArtefact, ai_kernels};
    #[pymodule_export]
    use super::ai_products::{integer_product, time_products};
    #[pymodule_export]
    use super::block::{PyBlock, PyHeader};
    #[pymodule_export]
    use super::chain::PyChain;
    #[pymodule_export]
    use super::changes::{PyAccountChange, PyChangeSet};
    #[pymodule_export]
    use super::changes_plain::changes_of;
    #[pymodule_export]
    use super::conformance::PyConformanceRun;
    #[pymodule_export]
    use super::errors::error_codes;
    #[pymodule_export]
    use super::execute::{execute_block, replay_block};
    #[pymodule_export]
    use super::load::PyBlockLoader;
    #[pymodule_export]
    use super::profile::{function_selector, profile_block, profile_case};
    #[pymodule_export]
    use super::remote::open_remote;
    #[pymodule_export]
    use super::result::{PyBlockResult, PyLog, PyReceipt};
    #[pymodule_export]
    use super::run::{PyCancellation, provoke_panic};
    #[pymodule_export]
    use super::schedule::{PySchedule, save_schedules};
    #[pymodule_export]
    use super::simulate::batch::PyCalls;
    #[pymodule_export]
    use super::simulate::columns::{PyColumn, PyTable};
    #[pymodule_export]
    use super::simulate::outcome::{PyBundleResult, PyCallResult};
    #[pymodule_export]
    use super::state::{PyAccount, PyState};
    #[pymodule_export]
    use super::t8n::t8n;
    #[pymodule_export]
    use super::trace::{PyBlockTracer, PySteps, PyTrace, trace_call, trace_case, trace_transaction};
    #[pymodule_export]
    use super::transaction::PyTransaction;
    #[pymodule_export]
    use super::versions;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("MAX_WORKERS", solder_engine::parallel::MAX_WORKERS)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
