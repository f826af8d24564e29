//! `BlockLoader`: block folders and archives of them.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use solder_simulate::{Environment, Snapshot};
use solder_spec::replay::{LoadedBlock, Loader};

use crate::block::PyBlock;
use crate::run::detached;
use crate::state::PyState;

/// Reads blocks and keeps what they share (codes, an unpacked archive) from one to the next.
#[pyclass(frozen, name = "BlockLoader", module = "solder")]
pub struct PyBlockLoader {
    loader: Arc<Mutex<Loader>>,
}

#[pymethods]
impl PyBlockLoader {
    #[new]
    fn new() -> Self {
        Self { loader: Arc::default() }
    }

    /// The blocks under a block folder, a folder of such, or an archive, by number, as ids for `load`.
    fn find(&self, py: Python<'_>, path: String) -> PyResult<Vec<String>> {
        self.with(py, move |loader| loader.find(&path))
    }

    /// A block and the state before it, from a block folder or an id that `find` gave.
    fn load(&self, py: Python<'_>, path: String) -> PyResult<(PyBlock, PyState)> {
        let LoadedBlock { chain, fork, block, state, false_claims, .. } =
            self.with(py, move |loader| loader.load(&path))?;
        let environment = Environment::of(chain.clone(), fork, &block.header);
        let block = PyBlock { inner: Arc::new(block), chain: Arc::new(chain), fork, false_claims };
        Ok((block, PyState { inner: Arc::new(Snapshot::new(Arc::new(state), environment)) }))
    }
}

impl PyBlockLoader {
    fn with<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Loader) -> Result<T, solder_spec::InputError> + Send + 'static,
    ) -> PyResult<T> {
        let loader = self.loader.clone();
        detached(py, move |_| {
            let mut loader = loader.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(work(&mut loader)?)
        })
    }
}
