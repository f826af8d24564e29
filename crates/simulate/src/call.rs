//! One transaction on a snapshot: a call that is thrown away, a transaction whose changes are kept, a bundle of them.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256};
use revm::context::result::{ExecutionResult, Output};
use revm::primitives::hardfork::SpecId;
use solder_engine::evm::attempt::{Accessed, Relaxed};
use solder_engine::evm::{Machine, Setup, Transact, environment};
use solder_engine::{ChangeSet, EngineError, Fork, Rejection, StateReader, Transaction};

use crate::environment::{BlockOverrides, Environment};
use crate::prefetch::prefetched;
use crate::snapshot::{Edit, Snapshot};

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// It did what it was to do.
    Success = 0,
    /// A contract took it back, with data that says why.
    Revert = 1,
    /// The interpreter stopped it (out of gas, an invalid instruction): all gas is gone.
    Halt = 2,
    /// It is invalid and did not run.
    Rejected = 3,
}

impl Status {
    /// All, by their number.
    pub const ALL: [Self; 4] = [Self::Success, Self::Revert, Self::Halt, Self::Rejected];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Revert => "revert",
            Self::Halt => "halt",
            Self::Rejected => "rejected",
        }
    }
}

/// What a transaction that ran gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// Gas paid for, after the refund.
    pub gas_used: u64,
    /// Gas refunded.
    pub gas_refunded: u64,
    /// What the top call returned, or what it reverted with; a creation's code.
    pub output: Bytes,
    /// Logs in order.
    pub logs: Vec<Log>,
    /// The created contract.
    pub created: Option<Address>,
    /// Why the interpreter stopped it, in words.
    pub halt: Option<String>,
}

impl Outcome {
    /// From revm's result of `tx`.
    pub fn new(result: ExecutionResult) -> Self {
        let gas = *result.gas();
        let (gas_used, gas_refunded) = (gas.tx_gas_used(), gas.final_refunded());
        let (status, output, logs, created, halt) = match result {
            ExecutionResult::Success { logs, output: Output::Call(output), .. } => {
                (Status::Success, output, logs, None, None)
            }
            ExecutionResult::Success { logs, output: Output::Create(code, address), .. } => {
                (Status::Success, code, logs, address, None)
            }
            ExecutionResult::Revert { output, logs, .. } => (Status::Revert, output, logs, None, None),
            ExecutionResult::Halt { reason, logs, .. } => {
                (Status::Halt, Bytes::new(), logs, None, Some(reason.to_string()))
            }
        };
        Self { status, gas_used, gas_refunded, output, logs, created, halt }
    }
}

/// State to replace for one call, by address.
pub type StateOverrides = BTreeMap<Address, Vec<Edit>>;

/// How one call is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Fields of the block.
    pub block: BlockOverrides,
    /// Parts of the state.
    pub state: StateOverrides,
    /// The rules that are left out.
    pub relaxed: Relaxed,
}

/// The snapshot that a call sees.
pub fn overridden(snapshot: &Snapshot, options: &Options) -> Result<Snapshot, EngineError> {
    let mut seen = snapshot.clone();
    if options.block != BlockOverrides::default() {
        seen = seen.with_environment(seen.environment().with(&options.block));
    }
    if !options.state.is_empty() {
        seen = seen.edit(&options.state)?;
    }
    Ok(seen)
}

/// A machine over a snapshot.
pub fn machine<'a>(
    snapshot: &'a Snapshot,
    relaxed: Relaxed,
    idle: &'a Transaction,
    cancel: &'a AtomicBool,
) -> Machine<'a> {
    machine_on(snapshot.environment(), snapshot, relaxed, idle, cancel)
}

/// A machine in a block, over any reader.
pub(crate) fn machine_on<'a>(
    seen: &Environment,
    reader: &'a dyn StateReader,
    relaxed: Relaxed,
    idle: &'a Transaction,
    cancel: &'a AtomicBool,
) -> Machine<'a> {
    let mut cfg = environment::config(&seen.chain, seen.fork, &seen.header);
    relaxed.set(&mut cfg);
    let setup = Setup {
        cfg,
        env: environment::block_env(&seen.chain, seen.fork, &seen.header),
        reader,
        record_accesses: false,
        net_gas_metering: seen.fork == Fork::Constantinople,
        cancel: Some(cancel),
    };
    Machine::new(setup, idle, ()).for_attempts()
}

/// Runs a transaction and throws away what it did.
pub fn call(
    snapshot: &Snapshot,
    tx: &Transaction,
    relaxed: Relaxed,
    cancel: &AtomicBool,
) -> Result<Outcome, EngineError> {
    prefetched(snapshot, |seen| {
        let idle = Transaction::default();
        Ok(Outcome::new(machine(seen, relaxed, &idle, cancel).attempt(tx)?))
    })
}

/// Runs a transaction and gives what it changed.
pub fn transact(
    snapshot: &Snapshot,
    tx: &Transaction,
    relaxed: Relaxed,
    cancel: &AtomicBool,
) -> Result<(Outcome, ChangeSet), EngineError> {
    prefetched(snapshot, |seen| {
        let idle = Transaction::default();
        let mut machine = machine(seen, relaxed, &idle, cancel);
        let result = machine.transact(0, tx, None)?;
        let (changes, _) = machine.finish()?;
        Ok((Outcome::new(result), changes))
    })
}

/// Runs a transaction and lists what it accessed.
pub fn accesses(
    snapshot: &Snapshot,
    tx: &Transaction,
    relaxed: Relaxed,
    cancel: &AtomicBool,
) -> Result<(Outcome, Accessed), EngineError> {
    prefetched(snapshot, |seen| {
        let idle = Transaction::default();
        let (result, accessed) = machine(seen, relaxed, &idle, cancel).attempt_with_accesses(tx)?;
        Ok((Outcome::new(result), accessed))
    })
}

/// One transaction of a bundle.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundled {
    /// What it gave, or why it is invalid.
    pub outcome: Result<Outcome, Rejection>,
    /// What the beneficiary's balance grew by: fees, and what was sent to it. Negative where it paid.
    pub payment: (bool, U256),
    /// The part of it that is fees: priority fee times gas used.
    pub fees: U256,
}

/// A bundle's transactions, and what they changed together.
#[derive(Clone, Debug)]
pub struct BundleOutcome {
    /// One for each transaction, up to the first that failed where that stops the bundle.
    pub results: Vec<Bundled>,
    /// Together.
    pub changes: ChangeSet,
}

/// Runs transactions in order, each on what the ones before left. With `atomic` the first that is invalid, reverts or
/// halts ends it, and nothing is kept. `relaxed` holds by transaction.
pub fn bundle(
    snapshot: &Snapshot,
    txs: &[(Transaction, Relaxed)],
    atomic: bool,
    cancel: &AtomicBool,
) -> Result<BundleOutcome, EngineError> {
    prefetched(snapshot, |seen| run_bundle(seen, txs, atomic, cancel))
}

fn run_bundle(
    snapshot: &Snapshot,
    txs: &[(Transaction, Relaxed)],
    atomic: bool,
    cancel: &AtomicBool,
) -> Result<BundleOutcome, EngineError> {
    let idle = Transaction::default();
    let mut machine = machine(snapshot, Relaxed::default(), &idle, cancel);
    let header = &snapshot.environment().header;
    let base_fee = u128::from(header.base_fee_per_gas.unwrap_or_default());
    let burns = snapshot.environment().fork.spec_id().is_enabled_in(SpecId::LONDON);
    let mut results = Vec::with_capacity(txs.len());
    for (index, (tx, relaxed)) in txs.iter().enumerate() {
        machine.relax(*relaxed);
        let before = machine.balance(header.beneficiary)?;
        let outcome = match machine.transact(index, tx, None) {
            Ok(result) => Ok(Outcome::new(result)),
            Err(EngineError::Rejected(rejection)) => Err(rejection.at(index)),
            Err(fault) => return Err(fault),
        };
        let after = machine.balance(header.beneficiary)?;
        let price = effective_gas_price(tx, base_fee).saturating_sub(if burns { base_fee } else { 0 });
        let gas_used = outcome.as_ref().map_or(0, |outcome| outcome.gas_used);
        let failed = outcome.as_ref().map_or(true, |outcome| outcome.status != Status::Success);
        results.push(Bundled {
            outcome,
            payment: (after < before, if after < before { before - after } else { after - before }),
            fees: U256::from(price) * U256::from(gas_used),
        });
        if atomic && failed {
            return Ok(BundleOutcome { results, changes: ChangeSet::default() });
        }
    }
    let (changes, _) = machine.finish()?;
    Ok(BundleOutcome { results, changes })
}

/// What a transaction pays for a unit of gas.
pub fn effective_gas_price(tx: &Transaction, base_fee: u128) -> u128 {
    match tx.max_priority_fee_per_gas {
        Some(priority) => tx.gas_price.min(base_fee.saturating_add(priority)),
        None => tx.gas_price,
    }
}

/// An access list as a transaction carries it.
pub fn to_access_list(
    accessed: &[(Address, Vec<B256>)],
) -> Vec<revm::context_interface::transaction::AccessListItem> {
    accessed
        .iter()
        .map(|(address, keys)| revm::context_interface::transaction::AccessListItem {
            address: *address,
            storage_keys: keys.clone(),
        })
        .collect()
}

/// The creation or call that `to` says.
pub fn kind(to: Option<Address>) -> TxKind {
    to.map_or(TxKind::Create, TxKind::Call)
}
