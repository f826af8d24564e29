//! A `ChangeSet` as plain values and back: what pickle writes.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bytes, U256};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use revm::state::Bytecode;
use solder_engine::ChangeSet;
use solder_engine::state::{AccountChange, AccountFields, SlotChange};

use crate::changes::PyChangeSet;
use crate::convert::{bytes, int};
use crate::errors::Failure;

/// Nonce, balance, code hash.
type Fields<'py> = (u64, Bound<'py, PyAny>, Bound<'py, PyBytes>);
/// Slot, before, after.
type Slot<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>);
/// Address, fields before and after, reset, new code, slots.
type Plain<'py> = (
    Bound<'py, PyBytes>,
    Option<Fields<'py>>,
    Option<Fields<'py>>,
    bool,
    Option<Bound<'py, PyBytes>>,
    Vec<Slot<'py>>,
);

fn plain_fields<'py>(py: Python<'py>, fields: Option<&AccountFields>) -> PyResult<Option<Fields<'py>>> {
    fields.map(|fields| Ok((fields.nonce, int(py, fields.balance)?, bytes(py, fields.code_hash)))).transpose()
}

fn plain<'py>(py: Python<'py>, change: &AccountChange) -> PyResult<Plain<'py>> {
    let slots = change.storage.iter();
    let slots = slots
        .map(|slot| Ok((int(py, slot.slot)?, int(py, slot.before)?, int(py, slot.after)?)))
        .collect::<PyResult<_>>();
    Ok((
        bytes(py, change.address),
        plain_fields(py, change.before.as_ref())?,
        plain_fields(py, change.after.as_ref())?,
        change.reset,
        change.code.as_ref().map(|code| bytes(py, code.original_bytes())),
        slots?,
    ))
}

fn word(value: &Bound<'_, PyAny>) -> PyResult<U256> {
    crate::convert::u256(value, "changes")
}

fn hash(value: &Bound<'_, PyBytes>) -> PyResult<B256> {
    Ok(B256::try_from(value.as_bytes()).map_err(|_| Failure::field("changes", "a hash has 32 bytes"))?)
}

fn fields(plain: Option<Fields<'_>>) -> PyResult<Option<AccountFields>> {
    plain
        .map(|(nonce, balance, code_hash)| {
            Ok(AccountFields { nonce, balance: word(&balance)?, code_hash: hash(&code_hash)? })
        })
        .transpose()
}

fn change(plain: Plain<'_>) -> PyResult<AccountChange> {
    let (address, before, after, reset, code, slots) = plain;
    let address = Address::try_from(address.as_bytes())
        .map_err(|_| Failure::field("changes", "an address has 20 bytes"))?;
    let slots = slots.iter().map(|(slot, before, after)| {
        Ok(SlotChange { slot: word(slot)?, before: word(before)?, after: word(after)? })
    });
    let code = code.map(|code| {
        let code = Bytes::copy_from_slice(code.as_bytes());
        // Code from before EIP-3541 may begin like a delegation that it is not.
        Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
    });
    Ok(AccountChange {
        address,
        before: fields(before)?,
        after: fields(after)?,
        reset,
        code,
        storage: slots.collect::<PyResult<_>>()?,
    })
}

/// The changes that `ChangeSet.__reduce__` wrote: an account at most once.
#[pyfunction]
pub fn changes_of(accounts: Vec<Plain<'_>>) -> PyResult<PyChangeSet> {
    let accounts = accounts.into_iter().map(change).collect::<PyResult<Vec<_>>>()?;
    let mut seen = BTreeSet::new();
    if let Some(twice) = accounts.iter().find(|change| !seen.insert(change.address)) {
        return Err(Failure::field("changes", format!("{} is there twice", twice.address)).into());
    }
    Ok(PyChangeSet::new(ChangeSet { accounts }))
}

#[pymethods]
impl PyChangeSet {
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Vec<Plain<'py>>,))> {
        let accounts = self.inner.accounts.iter().map(|change| plain(py, change)).collect::<PyResult<_>>()?;
        Ok((py.import("solder._native")?.getattr("changes_of")?, (accounts,)))
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}
