//! `ChangeSet` and `AccountChange`: what a block did to the state.

use std::sync::Arc;

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator};
use solder_engine::ChangeSet;
use solder_engine::state::{AccountChange, AccountFields};

use crate::convert::{any_address as address, bytes, int};
use crate::state::PyAccount;

/// The changes of one block, by address.
#[pyclass(frozen, name = "ChangeSet", module = "solder", sequence)]
pub struct PyChangeSet {
    pub inner: Arc<ChangeSet>,
}

impl PyChangeSet {
    /// In canonical order: accounts by address, slots by key.
    pub fn new(mut changes: ChangeSet) -> Self {
        changes.sort();
        Self { inner: Arc::new(changes) }
    }
}

#[pymethods]
impl PyChangeSet {
    fn __len__(&self) -> usize {
        self.inner.accounts.len()
    }

    fn __getitem__(&self, index: isize) -> PyResult<PyAccountChange> {
        let length = self.inner.accounts.len();
        let place = if index < 0 { index.checked_add_unsigned(length) } else { Some(index) };
        let place = place.and_then(|place| usize::try_from(place).ok()).filter(|place| *place < length);
        let index = place.ok_or_else(|| PyIndexError::new_err("no such account change"))?;
        Ok(PyAccountChange { set: self.inner.clone(), index })
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let change = |index| PyAccountChange { set: self.inner.clone(), index };
        let changes = (0..self.inner.accounts.len()).map(change).collect::<Vec<_>>();
        changes.into_pyobject(py)?.try_iter()
    }

    /// The change of one account, or None where it was not touched.
    fn get(&self, account: &Bound<'_, PyAny>) -> PyResult<Option<PyAccountChange>> {
        let wanted = address(account, "address")?;
        let found = self.inner.accounts.binary_search_by_key(&wanted, |change| change.address);
        Ok(found.ok().map(|index| PyAccountChange { set: self.inner.clone(), index }))
    }

    /// A fingerprint of the accounts after the block: keccak256 of their RLP, sorted by address.
    fn digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.digest())
    }

    /// The undo: applying it after this restores what was.
    fn invert(&self) -> Self {
        Self { inner: Arc::new(self.inner.invert()) }
    }

    fn __repr__(&self) -> String {
        let changed = self.inner.changed().count();
        format!("<ChangeSet {changed} changed of {} touched accounts>", self.inner.accounts.len())
    }
}

/// One account that a block touched.
#[pyclass(frozen, name = "AccountChange", module = "solder")]
pub struct PyAccountChange {
    set: Arc<ChangeSet>,
    index: usize,
}

impl PyAccountChange {
    fn change(&self) -> &AccountChange {
        &self.set.accounts[self.index]
    }
}

fn account(fields: Option<&AccountFields>, code: Option<alloy_primitives::Bytes>) -> Option<PyAccount> {
    fields.map(|fields| PyAccount {
        nonce: fields.nonce,
        balance: fields.balance,
        code_hash: fields.code_hash,
        code,
    })
}

#[pymethods]
impl PyAccountChange {
    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.change().address)
    }

    /// The account before the block, or None. Its `code` is not carried here: None.
    #[getter]
    fn before(&self) -> Option<PyAccount> {
        account(self.change().before.as_ref(), None)
    }

    /// The account after the block, or None. `code` is set where the block changed it.
    #[getter]
    fn after(&self) -> Option<PyAccount> {
        let code = self.change().code.as_ref().map(|code| code.original_bytes());
        account(self.change().after.as_ref(), code)
    }

    /// Slots that differ: slot -> (before, after).
    #[getter]
    fn storage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let slots = PyDict::new(py);
        for slot in &self.change().storage {
            slots.set_item(int(py, slot.slot)?, (int(py, slot.before)?, int(py, slot.after)?))?;
        }
        Ok(slots)
    }

    /// Whether the account was destroyed on the way.
    #[getter]
    fn reset(&self) -> bool {
        self.change().reset
    }

    /// Whether anything differs; an account that was only touched has False.
    #[getter]
    fn changed(&self) -> bool {
        self.change().is_changed()
    }

    fn __repr__(&self) -> String {
        format!("<AccountChange {} {} slots>", self.change().address, self.change().storage.len())
    }
}
