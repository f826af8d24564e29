//! `solder._native`: the engine as Python sees it. It converts values, releases the GIL, checks signals, catches
//! panics and maps errors. It decides nothing: rules live in `solder-engine`, policy lives in Python.

mod ai;
mod ai_products;
mod ai_values;
mod block;
mod chain;
mod changes;
mod conformance;
mod convert;
mod errors;
mod execute;
mod load;
mod profile;
mod result;
mod run;
mod schedule;
mod simulate;
mod state;
mod t8n;
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
    use super::result::{PyBlockResult, PyLog, PyReceipt};
    #[pymodule_export]
    use super::run::provoke_panic;
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
    use super::transaction::PyTransaction;
    #[pymodule_export]
    use super::versions;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("MAX_WORKERS", solder_engine::parallel::MAX_WORKERS)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
