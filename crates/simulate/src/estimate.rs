//! What a call needs before it is sent: gas (by geth's search) and an access list.

use std::sync::atomic::AtomicBool;

use alloy_primitives::{Address, U256};
use revm::primitives::KECCAK_EMPTY;
use revm::primitives::hardfork::SpecId;
use solder_engine::evm::attempt::{Accessed, Relaxed};
use solder_engine::{Code, EngineError, Rejection, Transaction};

use crate::call::{Outcome, Status, accesses, call, to_access_list};
use crate::snapshot::Snapshot;

/// What a plain transfer costs.
const TRANSFER_GAS: u64 = 21_000;
/// What a CALL with value hands on for free.
const CALL_STIPEND: u64 = 2_300;
/// The most runs of one search: it halves 64 bits.
const MAX_RUNS: usize = 70;
/// The most runs for an access list to settle.
const MAX_ROUNDS: usize = 32;

/// An estimate, or the outcome that no amount of gas can change.
#[derive(Clone, Debug, PartialEq)]
pub enum Estimate {
    /// This much gas is enough.
    Gas(u64),
    /// It fails even with all gas that there is.
    Fails(Outcome),
}

/// The least gas limit (within `error_ratio`; geth's is 0.015) with which `tx` succeeds; `tx.gas_limit` is the most that is tried. The order
/// of the attempts is geth's (`eth/gasestimator`), so that the answer is too.
pub fn estimate_gas(
    snapshot: &Snapshot,
    tx: &Transaction,
    error_ratio: f64,
    cancel: &AtomicBool,
) -> Result<Estimate, EngineError> {
    let mut high = affordable(snapshot, tx)?;
    let plain = match tx.to.to() {
        Some(to) => tx.input.is_empty() && is_plain(snapshot, *to)?,
        None => false,
    };
    let mut tx = tx.clone();
    let mut run = |gas_limit: u64| {
        tx.gas_limit = gas_limit;
        match call(snapshot, &tx, Relaxed::ALL, cancel) {
            Ok(outcome) => Ok(Some(outcome)),
            Err(EngineError::Rejected(rejection)) if is_too_little(&rejection) => Ok(None),
            Err(error) => Err(error),
        }
    };
    if plain
        && high >= TRANSFER_GAS
        && run(TRANSFER_GAS)?.is_some_and(|outcome| outcome.status == Status::Success)
    {
        return Ok(Estimate::Gas(TRANSFER_GAS));
    }
    let Some(outcome) = run(high)? else {
        let detail = format!("even {high} gas does not cover what it costs before it runs");
        return Err(Rejection::new(Code::IntrinsicGasTooLow, detail).into());
    };
    if outcome.status != Status::Success {
        return Ok(Estimate::Fails(outcome));
    }
    let mut low = outcome.gas_used.saturating_sub(1);
    // All but a 64th of the gas may be handed on at each call (EIP-150), and a refund comes only at the end.
    let spent = outcome.gas_used + outcome.gas_refunded + CALL_STIPEND;
    let optimistic = u64::try_from(u128::from(spent) * 64 / 63).unwrap_or(u64::MAX);
    let mut succeeds = |gas: u64| -> Result<bool, EngineError> {
        Ok(run(gas)?.is_some_and(|outcome| outcome.status == Status::Success))
    };
    if optimistic < high {
        if succeeds(optimistic)? {
            high = optimistic;
        } else {
            low = optimistic;
        }
    }
    for _ in 0..MAX_RUNS {
        if low + 1 >= high || (error_ratio > 0.0 && ((high - low) as f64) / (high as f64) < error_ratio) {
            break;
        }
        // Most transactions need little more than the least: the middle is kept near the lower bound.
        let middle = (low + (high - low) / 2).min(low.saturating_mul(2).max(1));
        if succeeds(middle)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(Estimate::Gas(high))
}

/// The gas that the sender can pay for, where it pays.
fn affordable(snapshot: &Snapshot, tx: &Transaction) -> Result<u64, EngineError> {
    if tx.gas_price == 0 {
        return Ok(tx.gas_limit);
    }
    let balance = snapshot.info(tx.sender)?.map(|info| info.balance).unwrap_or_default();
    let Some(left) = balance.checked_sub(tx.value) else {
        let detail = format!("{} has {balance} wei and is to send {}", tx.sender, tx.value);
        return Err(Rejection::new(Code::InsufficientAccountFunds, detail).into());
    };
    let gas = left / U256::from(tx.gas_price);
    Ok(u64::try_from(gas).unwrap_or(u64::MAX).min(tx.gas_limit))
}

fn is_plain(snapshot: &Snapshot, address: Address) -> Result<bool, EngineError> {
    Ok(snapshot.info(address)?.is_none_or(|info| info.code_hash == KECCAK_EMPTY))
}

fn is_too_little(rejection: &Rejection) -> bool {
    matches!(rejection.code, Code::IntrinsicGasTooLow | Code::IntrinsicGasBelowFloorGasCost)
}

/// An access list, and what the call gives and costs with it.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessListOutcome {
    /// Sender, recipient and precompiles are left out unless their slots are used: they are warm anyway.
    pub access_list: Accessed,
    /// The call with the list.
    pub outcome: Outcome,
}

/// The access list that `tx` uses, repeated until it no longer changes: naming a slot changes gas, and gas may change
/// the way (geth's `eth_createAccessList`).
pub fn access_list(
    snapshot: &Snapshot,
    tx: &Transaction,
    cancel: &AtomicBool,
) -> Result<AccessListOutcome, EngineError> {
    let mut tx = tx.clone();
    tx.tx_type = tx.tx_type.max(1);
    tx.chain_id = Some(snapshot.environment().chain.id);
    let mut last = None;
    for _ in 0..MAX_ROUNDS {
        let (outcome, accessed) = accesses(snapshot, &tx, Relaxed::ALL, cancel)?;
        let list = without_warm(snapshot, &tx, accessed);
        if last.as_ref() == Some(&list) {
            return Ok(AccessListOutcome { access_list: list, outcome });
        }
        tx.access_list = to_access_list(&list);
        last = Some(list);
    }
    Err(solder_engine::Fault::Interpreter(format!("the access list still changes after {MAX_ROUNDS} runs"))
        .into())
}

fn without_warm(snapshot: &Snapshot, tx: &Transaction, accessed: Accessed) -> Accessed {
    let environment = snapshot.environment();
    let spec = environment.fork.spec_id();
    let precompiles = revm::handler::EthPrecompiles::new(spec);
    let warm_coinbase = spec.is_enabled_in(SpecId::SHANGHAI);
    let is_warm = |address: &Address| {
        *address == tx.sender
            || tx.to.to() == Some(address)
            || precompiles.contains(address)
            || (warm_coinbase && *address == environment.header.beneficiary)
    };
    accessed.into_iter().filter(|(address, slots)| !slots.is_empty() || !is_warm(address)).collect()
}
