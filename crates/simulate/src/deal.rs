//! Tokens for free: finds the slot that holds an ERC-20 balance, by asking for the balance and changing what was read, and
//! sets it.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use solder_engine::evm::attempt::Relaxed;
use solder_engine::{EngineError, Transaction};

use crate::call::{Outcome, Status, accesses, call};
use crate::error::SimulateError;
use crate::snapshot::{Edit, Snapshot};

/// `balanceOf(address)`.
const BALANCE_OF: [u8; 4] = [0x70, 0xa0, 0x82, 0x31];
/// `totalSupply()`.
const TOTAL_SUPPLY: [u8; 4] = [0x18, 0x16, 0x0d, 0xdd];
/// Gas of one question.
const QUESTION_GAS: u64 = 10_000_000;
/// The most slots that are tried.
const MAX_SLOTS: usize = 256;

/// Where a value that a contract answers with is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose storage: the token's, or that of a contract that it asks.
    pub account: Address,
    /// Which slot.
    pub slot: U256,
    /// What the contract answers now.
    pub value: U256,
}

/// The state in which `owner` has `amount` of `token`; with `adjust_supply` the total supply changes by as much.
pub fn deal(
    snapshot: &Snapshot,
    token: Address,
    owner: Address,
    amount: U256,
    adjust_supply: bool,
    cancel: &AtomicBool,
) -> Result<Snapshot, SimulateError> {
    let mut input = BALANCE_OF.to_vec();
    input.extend_from_slice(owner.into_word().as_slice());
    let balance = find(snapshot, token, input.into(), "balanceOf", cancel)?;
    let mut edits: BTreeMap<Address, Vec<Edit>> = BTreeMap::new();
    edits.entry(balance.account).or_default().push(Edit::Slot(balance.slot, amount));
    if adjust_supply {
        let supply = find(snapshot, token, Bytes::from_static(&TOTAL_SUPPLY), "totalSupply", cancel)?;
        let total = supply.value.wrapping_sub(balance.value).checked_add(amount).ok_or_else(|| {
            SimulateError::input("amount", format!("{amount} more overflows the supply of {token}"))
        })?;
        edits.entry(supply.account).or_default().push(Edit::Slot(supply.slot, total));
    }
    Ok(snapshot.edit(&edits)?)
}

/// The slot that holds what `token` answers to `input`.
pub fn find(
    snapshot: &Snapshot,
    token: Address,
    input: Bytes,
    name: &str,
    cancel: &AtomicBool,
) -> Result<Place, SimulateError> {
    let question =
        Transaction { to: TxKind::Call(token), gas_limit: QUESTION_GAS, input, ..Default::default() };
    let (outcome, accessed) = accesses(snapshot, &question, Relaxed::ALL, cancel)?;
    let Some(value) = answer(&outcome) else {
        return Err(SimulateError::input("token", format!("{token} does not answer {name}")));
    };
    let slots = accessed.iter().flat_map(|(account, slots)| slots.iter().map(move |slot| (*account, *slot)));
    for (account, slot) in slots.take(MAX_SLOTS) {
        let slot = slot.into();
        if follows(snapshot, &question, account, slot, cancel)? {
            return Ok(Place { account, slot, value });
        }
    }
    let detail = format!("no slot of {token} holds what {name} answers (it is computed, or packed)");
    Err(SimulateError::input("token", detail))
}

/// Whether the answer is the slot's value, whatever that is.
fn follows(
    snapshot: &Snapshot,
    question: &Transaction,
    account: Address,
    slot: U256,
    cancel: &AtomicBool,
) -> Result<bool, EngineError> {
    for probe in [U256::from(0x5eed_0001_u64), U256::from_be_bytes(B256::repeat_byte(0x17).0)] {
        let edits = BTreeMap::from([(account, vec![Edit::Slot(slot, probe)])]);
        let outcome = call(&snapshot.edit(&edits)?, question, Relaxed::ALL, cancel)?;
        if answer(&outcome) != Some(probe) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn answer(outcome: &Outcome) -> Option<U256> {
    let word = outcome.output.first_chunk::<32>().filter(|_| outcome.status == Status::Success)?;
    Some(U256::from_be_bytes(*word))
}
