//! The state that a node holds, as a `State`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString};
use solder_remote::{BlockChoice, CacheChoice, OpenError, RemoteOptions, RemoteState, Rules, Verify};
use solder_simulate::prefetch::Source;
use solder_simulate::{Base, Environment, Snapshot};

use crate::chain::PyChain;
use crate::convert::{any_hash, bytes, u64_of};
use crate::errors::Failure;
use crate::run::{detached, warn_later};
use crate::state::PyState;

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Remote(error) => Self::Fault(error.into()),
            OpenError::Input { field, detail } => Self::field(field, detail),
            OpenError::Unknown(unknown) => Self::Unknown(unknown),
        }
    }
}

fn block_choice(block: &Bound<'_, PyAny>) -> PyResult<BlockChoice> {
    if block.is_instance_of::<PyInt>() {
        return Ok(BlockChoice::Number(u64_of(block, "block")?));
    }
    if let Ok(text) = block.cast::<PyString>() {
        let text = text.to_cow()?;
        for tag in ["latest", "safe", "finalized", "earliest"] {
            if text == tag {
                return Ok(BlockChoice::Tag(tag));
            }
        }
        if !text.starts_with("0x") {
            let detail =
                format!("{text:?} is no number, no hash, and none of latest, safe, finalized, earliest");
            return Err(Failure::field("block", detail).into());
        }
    }
    Ok(BlockChoice::Hash(any_hash(block, "block")?))
}

fn rules(chain: Option<&PyChain>, fork: Option<&str>) -> PyResult<Rules> {
    Ok(match (chain, fork) {
        (None, None) => Rules::ById,
        (None, Some(fork)) => Rules::Fork(solder_engine::Fork::parse(fork).map_err(Failure::from)?),
        (Some(chain), None) => Rules::Given(chain.inner.clone()),
        (Some(_), Some(_)) => return Err(Failure::field("fork", "given beside chain").into()),
    })
}

/// Opens the state after a block that the node at `url` has. `cache` is a file; with `known_chains_only` it is used for chains
/// that are known by their id.
#[pyfunction]
#[pyo3(signature = (
    url, block, *, chain, fork, verify, cache, known_chains_only, cache_bytes, batch, connections, timeout_s, attempts,
    headers,
))]
#[allow(clippy::too_many_arguments)]
pub fn open_remote(
    py: Python<'_>,
    url: String,
    block: &Bound<'_, PyAny>,
    chain: Option<&PyChain>,
    fork: Option<&str>,
    verify: &str,
    cache: Option<PathBuf>,
    known_chains_only: bool,
    cache_bytes: u64,
    batch: usize,
    connections: usize,
    timeout_s: f64,
    attempts: u32,
    headers: Vec<(String, String)>,
) -> PyResult<PyState> {
    let verify = match verify {
        "always" => Verify::Always,
        "auto" => Verify::Auto,
        "never" => Verify::Never,
        other => {
            let detail = format!("{other:?} is none of always, auto, never");
            return Err(Failure::field("verify", detail).into());
        }
    };
    let timeout = Duration::try_from_secs_f64(timeout_s)
        .map_err(|_| Failure::field("timeout_s", format!("{timeout_s} is no time to wait")))?;
    let options = RemoteOptions {
        block: block_choice(block)?,
        rules: rules(chain, fork)?,
        verify,
        cache: match cache {
            None => CacheChoice::Off,
            Some(path) if known_chains_only => CacheChoice::KnownChains(path),
            Some(path) => CacheChoice::At(path),
        },
        cache_bytes,
        batch,
        connections,
        timeout,
        attempts,
        headers,
    };
    let state = detached(py, move |_| {
        let warn = Box::new(|detail: &str| warn_later(format!("the cache of remote state is off: {detail}")));
        Ok(solder_remote::open(&url, &options, warn)?)
    })?;
    let environment = Environment::of(state.chain().clone(), state.fork(), state.header());
    let root = state.header().state_root;
    let snapshot = Snapshot::over(Base::Reader(Arc::new(state)), environment).with_root(root);
    Ok(PyState { inner: Arc::new(snapshot) })
}

#[pymethods]
impl PyState {
    /// How the node below this state was asked so far, as a dict; None where the state is in memory. `round_trips` counts waits
    /// for the node (messages on their way together are one), `http_requests` messages with repeated ones, `calls` the
    /// JSON-RPC calls in them, `fetched` the accounts, slots and hashes.
    fn remote_status<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Base::Reader(reader) = self.inner.base() else { return Ok(None) };
        let reader: &dyn Source = &**reader;
        let Some(remote) = (reader as &dyn std::any::Any).downcast_ref::<RemoteState>() else {
            return Ok(None);
        };
        let status = remote.status();
        let fields = PyDict::new(py);
        fields.set_item("node", status.node)?;
        fields.set_item("chain_id", status.chain_id)?;
        fields.set_item("block", status.number)?;
        fields.set_item("block_hash", bytes(py, status.hash))?;
        fields.set_item("by_hash", status.manner.by_hash)?;
        fields.set_item("proofs", status.manner.proofs)?;
        fields.set_item("verified", status.verified)?;
        fields.set_item("cache", status.cache.map(|path| path.to_string_lossy().into_owned()))?;
        fields.set_item("known_accounts", status.known.0)?;
        fields.set_item("known_slots", status.known.1)?;
        for (name, count) in status.counts {
            fields.set_item(name, count)?;
        }
        Ok(Some(fields))
    }
}
