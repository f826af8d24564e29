//! Calls, block fields and state overrides as Python gives them.

use std::collections::BTreeMap;

use alloy_primitives::{Address, Bytes, U256};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use revm::context_interface::transaction::AccessListItem;
use solder_engine::Transaction;
use solder_engine::evm::attempt::Relaxed;
use solder_simulate::call::{Options, StateOverrides, kind};
use solder_simulate::{BlockOverrides, Edit, Environment};

use crate::convert::{any_address, any_bytes, any_hash, u64_of, u256};
use crate::errors::Failure;
use crate::transaction::PyTransaction;

/// The fields of a call, each still as Python gave it.
#[derive(Default)]
pub struct Fields<'a, 'py> {
    pub to: Option<&'a Bound<'py, PyAny>>,
    pub data: Option<&'a Bound<'py, PyAny>>,
    pub sender: Option<&'a Bound<'py, PyAny>>,
    pub value: Option<&'a Bound<'py, PyAny>>,
    pub gas_limit: Option<&'a Bound<'py, PyAny>>,
    pub gas_price: Option<&'a Bound<'py, PyAny>>,
    pub max_priority_fee_per_gas: Option<&'a Bound<'py, PyAny>>,
    pub nonce: Option<&'a Bound<'py, PyAny>>,
    pub access_list: Option<&'a Bound<'py, PyAny>>,
}

fn present<'a, 'py>(value: Option<&'a Bound<'py, PyAny>>) -> Option<&'a Bound<'py, PyAny>> {
    value.filter(|value| !value.is_none())
}

fn u128_of(value: &Bound<'_, PyAny>, field: &str) -> PyResult<u128> {
    let number = u256(value, field)?;
    Ok(u128::try_from(number).map_err(|_| Failure::field(field, "more than 2**128 - 1"))?)
}

impl Fields<'_, '_> {
    /// The transaction, and the rules that a simulated one may break. Without a nonce the account's is taken.
    pub fn transaction(&self, environment: &Environment) -> PyResult<(Transaction, Relaxed)> {
        let priority = present(self.max_priority_fee_per_gas)
            .map(|v| u128_of(v, "max_priority_fee_per_gas"))
            .transpose()?;
        let access_list = present(self.access_list).map(access_list).transpose()?;
        let tx_type = match (priority, &access_list) {
            (Some(_), _) => 2,
            (None, Some(_)) => 1,
            (None, None) => 0,
        };
        let nonce = present(self.nonce).map(|nonce| u64_of(nonce, "nonce")).transpose()?;
        let sender = present(self.sender).map(|sender| any_address(sender, "sender")).transpose()?;
        let to = present(self.to).map(|to| any_address(to, "to")).transpose()?;
        let gas_limit = present(self.gas_limit).map(|gas| u64_of(gas, "gas_limit")).transpose()?;
        let tx = Transaction {
            tx_type,
            chain_id: (tx_type > 0).then_some(environment.chain.id),
            nonce: nonce.unwrap_or_default(),
            gas_price: present(self.gas_price).map_or(Ok(0), |price| u128_of(price, "gas_price"))?,
            max_priority_fee_per_gas: priority,
            gas_limit: gas_limit.unwrap_or(environment.header.gas_limit),
            to: kind(to),
            value: present(self.value).map_or(Ok(U256::ZERO), |value| u256(value, "value"))?,
            input: present(self.data).map_or(Ok(Bytes::new()), |data| any_bytes(data, "data"))?,
            access_list: access_list.unwrap_or_default(),
            sender: sender.unwrap_or(environment.sender),
            ..Default::default()
        };
        Ok((tx, Relaxed { nonce: nonce.is_none(), ..Relaxed::ALL }))
    }
}

/// A call given as a dict, or a decoded transaction, which keeps all rules.
pub fn transaction_of(
    value: &Bound<'_, PyAny>,
    index: usize,
    environment: &Environment,
) -> PyResult<(Transaction, Relaxed)> {
    if let Ok(decoded) = value.cast::<PyTransaction>() {
        return Ok((decoded.get().tx().clone(), Relaxed::default()));
    }
    let field = |name: &str| format!("[{index}].{name}");
    let entries = value.cast::<PyDict>().map_err(|_| {
        Failure::field(format!("[{index}]"), "neither a dict of a call's fields nor a Transaction")
    })?;
    let items: Vec<(String, Bound<'_, PyAny>)> =
        entries.iter().map(|(name, value)| Ok((name.extract()?, value))).collect::<PyResult<_>>()?;
    let mut fields = Fields::default();
    for (name, value) in &items {
        let place = match name.as_str() {
            "to" => &mut fields.to,
            "data" => &mut fields.data,
            "sender" => &mut fields.sender,
            "value" => &mut fields.value,
            "gas_limit" => &mut fields.gas_limit,
            "gas_price" => &mut fields.gas_price,
            "max_priority_fee_per_gas" => &mut fields.max_priority_fee_per_gas,
            "nonce" => &mut fields.nonce,
            "access_list" => &mut fields.access_list,
            other => return Err(Failure::field(field(other), "no such field").into()),
        };
        *place = Some(value);
    }
    fields.transaction(environment)
}

/// `[(address, [slot, ...]), ...]`; a slot is an int, 32 bytes or hex.
pub fn access_list(value: &Bound<'_, PyAny>) -> PyResult<Vec<AccessListItem>> {
    let mut list = Vec::new();
    for (index, entry) in value.try_iter()?.enumerate() {
        let field = format!("access_list[{index}]");
        let (address, keys): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
            entry?.extract().map_err(|_| Failure::field(&field, "not (address, slots)"))?;
        let storage_keys = keys
            .try_iter()?
            .map(|key| {
                let key = key?;
                if key.is_instance_of::<pyo3::types::PyInt>() {
                    return Ok(u256(&key, &field)?.into());
                }
                any_hash(&key, &field)
            })
            .collect::<PyResult<_>>()?;
        list.push(AccessListItem { address: any_address(&address, &field)?, storage_keys });
    }
    Ok(list)
}

/// `{"number": int, "timestamp": int, ...}`.
pub fn block_overrides(fields: &Bound<'_, PyDict>) -> PyResult<BlockOverrides> {
    let mut overrides = BlockOverrides::default();
    for (name, value) in fields {
        let name: String = name.extract().map_err(|_| Failure::field("block", "a field's name is no str"))?;
        if value.is_none() {
            continue;
        }
        let field = format!("block.{name}");
        match name.as_str() {
            "number" => overrides.number = Some(u64_of(&value, &field)?),
            "timestamp" => overrides.timestamp = Some(u64_of(&value, &field)?),
            "beneficiary" => overrides.beneficiary = Some(any_address(&value, &field)?),
            "gas_limit" => overrides.gas_limit = Some(u64_of(&value, &field)?),
            "base_fee_per_gas" => overrides.base_fee_per_gas = Some(u64_of(&value, &field)?),
            "prevrandao" => overrides.prevrandao = Some(any_hash(&value, &field)?),
            "difficulty" => overrides.difficulty = Some(u256(&value, &field)?),
            "excess_blob_gas" => overrides.excess_blob_gas = Some(u64_of(&value, &field)?),
            _ => return Err(Failure::field(field, "no such field").into()),
        }
    }
    Ok(overrides)
}

/// `{address: {"balance", "nonce", "code", "storage": {slot: value} (all slots), "storage_diff": {slot: value}}}`.
pub fn state_overrides(overrides: &Bound<'_, PyDict>) -> PyResult<StateOverrides> {
    let mut all: BTreeMap<Address, Vec<Edit>> = BTreeMap::new();
    for (owner, fields) in overrides {
        let owner = any_address(&owner, "overrides")?;
        let fields = fields
            .cast::<PyDict>()
            .map_err(|_| Failure::field(format!("overrides.{owner}"), "not a dict"))?;
        let edits = all.entry(owner).or_default();
        for (name, value) in fields {
            let name: String =
                name.extract().map_err(|_| Failure::field("overrides", "a field's name is no str"))?;
            let field = format!("overrides.{owner}.{name}");
            match name.as_str() {
                "balance" => edits.push(Edit::Balance(u256(&value, &field)?)),
                "nonce" => edits.push(Edit::Nonce(u64_of(&value, &field)?)),
                "code" => edits.push(Edit::Code(any_bytes(&value, &field)?)),
                "storage" | "storage_diff" => {
                    let slots = value.cast::<PyDict>().map_err(|_| Failure::field(&field, "not a dict"))?;
                    if name == "storage" {
                        edits.insert(0, Edit::ClearStorage);
                    }
                    for (slot, value) in slots {
                        edits.push(Edit::Slot(u256(&slot, &field)?, u256(&value, &field)?));
                    }
                }
                _ => return Err(Failure::field(field, "no such field").into()),
            }
        }
    }
    Ok(all)
}

/// What one call replaces.
pub fn options(
    block: Option<&Bound<'_, PyDict>>,
    overrides: Option<&Bound<'_, PyDict>>,
    relaxed: Relaxed,
) -> PyResult<Options> {
    Ok(Options {
        block: block.map(block_overrides).transpose()?.unwrap_or_default(),
        state: overrides.map(state_overrides).transpose()?.unwrap_or_default(),
        relaxed,
    })
}
