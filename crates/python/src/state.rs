//! `State` and `Account`: state as a value.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes, U256, map::U256Map};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use solder_engine::MemoryState;
use solder_engine::state::{StateAccount, memory::UnknownBlockHash};
use solder_engine::trie::state_root;

use crate::changes::PyChangeSet;
use crate::convert::{address, bytes, int, slice, u64_of, u256};
use crate::errors::Failure;
use crate::run::detached;

/// The accounts of a chain at one moment. It never changes: `apply` gives a new one.
#[pyclass(frozen, name = "State", module = "solder")]
pub struct PyState {
    pub inner: Arc<MemoryState>,
}

#[pymethods]
impl PyState {
    /// From `{address: {"nonce": int, "balance": int, "code": bytes, "storage": {int: int}}}`; every field may be
    /// left out. `block_hashes` answers BLOCKHASH: `{number: hash}`.
    #[new]
    #[pyo3(signature = (accounts = None, block_hashes = None))]
    fn new(accounts: Option<&Bound<'_, PyDict>>, block_hashes: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut state = MemoryState::new(UnknownBlockHash::Fault);
        for (key, value) in accounts.into_iter().flatten() {
            let owner = address(&key, "address")?;
            state.insert(owner, account(&value, &owner.to_string())?);
        }
        for (number, hash) in block_hashes.into_iter().flatten() {
            let raw = slice(&hash, "block_hashes")?;
            let hash =
                B256::try_from(raw).map_err(|_| Failure::field("block_hashes", "a hash is 32 bytes"))?;
            state.insert_block_hash(u64_of(&number, "block_hashes")?, hash);
        }
        Ok(Self { inner: Arc::new(state) })
    }

    fn __len__(&self) -> usize {
        self.inner.len()
    }

    fn __contains__(&self, owner: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.inner.get(&address(owner, "address")?).is_some())
    }

    /// An account, or None where none exists.
    fn account(&self, owner: &Bound<'_, PyAny>) -> PyResult<Option<PyAccount>> {
        let found = self.inner.get(&address(owner, "address")?);
        Ok(found.map(|account| {
            let info = &account.info;
            let code = info.code.as_ref().or_else(|| self.inner.get_code(&info.code_hash));
            PyAccount {
                nonce: info.nonce,
                balance: info.balance,
                code_hash: info.code_hash,
                code: code.map(|code| code.original_bytes()),
            }
        }))
    }

    /// The value of a slot; 0 where it was never set.
    fn storage<'py>(
        &self,
        py: Python<'py>,
        owner: &Bound<'py, PyAny>,
        slot: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let account = self.inner.get(&address(owner, "address")?);
        let slot = u256(slot, "slot")?;
        int(py, account.and_then(|account| account.storage.get(&slot)).copied().unwrap_or_default())
    }

    /// All non-zero slots of an account.
    fn slots<'py>(&self, py: Python<'py>, owner: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let slots = PyDict::new(py);
        for (slot, value) in self.inner.get(&address(owner, "address")?).into_iter().flat_map(|a| &a.storage)
        {
            slots.set_item(int(py, *slot)?, int(py, *value)?)?;
        }
        Ok(slots)
    }

    /// Every address, sorted.
    fn accounts<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let mut all: Vec<_> = self.inner.iter().map(|(owner, _)| *owner).collect();
        all.sort_unstable();
        all.iter().map(|owner| bytes(py, owner)).collect()
    }

    /// The state root.
    fn root<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let state = self.inner.clone();
        let root = detached(py, move |_| Ok(state_root(&state)))?;
        Ok(bytes(py, root))
    }

    /// The state after `changes`.
    fn apply(&self, py: Python<'_>, changes: &PyChangeSet) -> PyResult<Self> {
        let (state, changes) = (self.inner.clone(), changes.inner.clone());
        let after = detached(py, move |_| {
            let mut after = MemoryState::clone(&state);
            after.apply(&changes);
            Ok(after)
        })?;
        Ok(Self { inner: Arc::new(after) })
    }

    fn __repr__(&self) -> String {
        format!("<State {} accounts>", self.inner.len())
    }
}

fn account(value: &Bound<'_, PyAny>, owner: &str) -> PyResult<StateAccount> {
    let fields = value.cast::<PyDict>().map_err(|_| Failure::field(owner, "not a dict"))?;
    let (mut nonce, mut balance, mut code) = (0, U256::ZERO, Bytes::new());
    let mut storage = U256Map::default();
    for (name, value) in fields {
        let name: String = name.extract().map_err(|_| Failure::field(owner, "a field's name is no str"))?;
        let field = format!("{owner}.{name}");
        match name.as_str() {
            "nonce" => nonce = u64_of(&value, &field)?,
            "balance" => balance = u256(&value, &field)?,
            "code" => code = Bytes::copy_from_slice(slice(&value, &field)?),
            "storage" => {
                let slots = value.cast::<PyDict>().map_err(|_| Failure::field(&field, "not a dict"))?;
                for (slot, value) in slots {
                    storage.insert(u256(&slot, &field)?, u256(&value, &field)?);
                }
            }
            _ => return Err(Failure::field(field, "no such field").into()),
        }
    }
    let mut account = StateAccount::new(nonce, balance, code);
    account.storage = storage;
    Ok(account)
}

/// An account's fields at one moment.
#[pyclass(frozen, eq, name = "Account", module = "solder")]
#[derive(PartialEq)]
pub struct PyAccount {
    pub nonce: u64,
    pub balance: U256,
    pub code_hash: B256,
    pub code: Option<Bytes>,
}

#[pymethods]
impl PyAccount {
    #[getter]
    fn nonce(&self) -> u64 {
        self.nonce
    }

    #[getter]
    fn balance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        int(py, self.balance)
    }

    #[getter]
    fn code_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.code_hash)
    }

    /// The code; None where only its hash is known.
    #[getter]
    fn code<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.code.as_ref().map(|code| bytes(py, code))
    }

    fn __repr__(&self) -> String {
        format!("<Account nonce {} balance {} code {}>", self.nonce, self.balance, self.code_hash)
    }
}
