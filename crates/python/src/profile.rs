//! `profile_block` and `profile_case`: where gas and time went, as JSON. What to do with it is Python's.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use alloy_primitives::keccak256;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use solder_profile::case::Case;
use solder_profile::{Order, Subject, profile_to_json};

use crate::block::PyBlock;
use crate::errors::Failure;
use crate::run::detached;
use crate::state::PyState;

/// Bytes of the input that choose a function.
const SELECTOR_BYTES: usize = 4;
/// The most runs of one block.
const MAX_REPEAT: u32 = 1_000_000;

/// Meters a block on a state that stays as it was; a JSON object.
#[pyfunction]
#[pyo3(signature = (block, state, *, repeat = 3, by_transaction = false, tree = false))]
pub fn profile_block<'py>(
    py: Python<'py>,
    block: &PyBlock,
    state: &PyState,
    repeat: u32,
    by_transaction: bool,
    tree: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let order = order(repeat, by_transaction, tree)?;
    let state = state.memory(py)?;
    let (inner, chain, fork) = (block.inner.clone(), block.chain.clone(), block.fork);
    let json = detached(py, move |cancel| {
        let (chain, block) = (&*chain, &*inner);
        run(
            Subject { chain, fork, block, state: &*state, transactions_only: false, cancel: Some(cancel) },
            order,
        )
    })?;
    Ok(PyBytes::new(py, &json))
}

/// Meters the transaction of a state-and-transaction file, given its bytes; `path` names it in errors. Its name and a
/// JSON object.
#[pyfunction]
#[pyo3(signature = (path, content, *, repeat = 3, tree = false))]
pub fn profile_case<'py>(
    py: Python<'py>,
    path: String,
    content: &[u8],
    repeat: u32,
    tree: bool,
) -> PyResult<(String, Bound<'py, PyBytes>)> {
    let order = order(repeat, true, tree)?;
    let content: Arc<[u8]> = content.into();
    let (name, json) = detached(py, move |cancel: &AtomicBool| {
        let case = Case::parse(&path, &content)?;
        let json = run(Subject { cancel: Some(cancel), ..case.subject() }, order)?;
        Ok((case.name, json))
    })?;
    Ok((name, PyBytes::new(py, &json)))
}

/// The first four bytes of the hash of a function's signature, by which it is called.
#[pyfunction]
pub fn function_selector<'py>(py: Python<'py>, signature: &str) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &keccak256(signature.as_bytes())[..SELECTOR_BYTES])
}

fn order(repeat: u32, by_transaction: bool, tree: bool) -> Result<Order, Failure> {
    if !(1..=MAX_REPEAT).contains(&repeat) {
        return Err(Failure::field("repeat", format!("{repeat} is not 1 to {MAX_REPEAT}")));
    }
    Ok(Order { repeat, by_transaction, tree })
}

fn run(subject: Subject<'_>, order: Order) -> Result<Vec<u8>, Failure> {
    Ok(profile_to_json(&subject, order)?)
}
