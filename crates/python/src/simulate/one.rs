//! One transaction at a time on a `State`, and short lists of them.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use alloy_primitives::Address;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use solder_engine::block::prefix::execute_prefix;
use solder_engine::evm::attempt::Relaxed;
use solder_engine::{Block, Chain, EngineError, ExecuteOptions, Policy, Transaction, execute_block};
use solder_simulate::call::{Options, bundle, call, overridden, transact};
use solder_simulate::deal::deal;
use solder_simulate::estimate::{Estimate, access_list, estimate_gas};
use solder_simulate::{Base, Environment, SimulateError, Snapshot};

use super::arguments::{Fields, block_overrides, options, transaction_of};
use super::outcome::{PyBundleResult, PyCallResult};
use crate::abi::PyAbi;
use crate::block::PyBlock;
use crate::convert::{any_address, bytes, u256};
use crate::errors::Failure;
use crate::execute::parallel_of;
use crate::result::PyBlockResult;
use crate::run::{detached, inline};
use crate::state::PyState;

/// Up to this much gas a call runs on the caller's thread: half a second at worst.
const INLINE_GAS: u64 = 50_000_000;
/// The gas limit of a transaction of `execute` that names none: the most that one may have (EIP-7825).
const EXECUTE_GAS: u64 = 1 << 24;

/// Runs what takes about `gas` on `state`, where it is best run: what may wait for a node must be left by Ctrl-C.
fn placed<T: Send + 'static>(
    py: Python<'_>,
    gas: u64,
    state: &Snapshot,
    job: impl FnOnce(&AtomicBool) -> Result<T, Failure> + Send + 'static,
) -> PyResult<T> {
    if gas <= INLINE_GAS && matches!(state.base(), Base::Memory(_)) {
        inline(py, job)
    } else {
        detached(py, job)
    }
}

fn stopped(error: EngineError) -> Failure {
    error.into()
}

/// What `call` and its like are given.
struct Asked {
    tx: Transaction,
    options: Options,
    snapshot: Snapshot,
}

impl Asked {
    fn new(
        state: &PyState,
        fields: &Fields<'_, '_>,
        block: Option<&Bound<'_, PyDict>>,
        overrides: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let snapshot = match block {
            // The default gas limit is the block's, the replaced one too.
            Some(block) => {
                let environment = state.inner.environment().with(&block_overrides(block)?);
                state.inner.with_environment(environment)
            }
            None => Snapshot::clone(&state.inner),
        };
        let (tx, relaxed) = fields.transaction(snapshot.environment())?;
        Ok(Self { tx, options: options(None, overrides, relaxed)?, snapshot })
    }

    fn seen(&self) -> Result<Snapshot, Failure> {
        overridden(&self.snapshot, &self.options).map_err(stopped)
    }
}

#[pymethods]
impl PyState {
    /// Calls `to` and throws away what that does.
    #[pyo3(signature = (
        to = None, data = None, *, sender = None, value = None, gas_limit = None, gas_price = None,
        max_priority_fee_per_gas = None, nonce = None, access_list = None, block = None, overrides = None, abi = None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn call<'py>(
        &self,
        py: Python<'py>,
        to: Option<&Bound<'py, PyAny>>,
        data: Option<&Bound<'py, PyAny>>,
        sender: Option<&Bound<'py, PyAny>>,
        value: Option<&Bound<'py, PyAny>>,
        gas_limit: Option<&Bound<'py, PyAny>>,
        gas_price: Option<&Bound<'py, PyAny>>,
        max_priority_fee_per_gas: Option<&Bound<'py, PyAny>>,
        nonce: Option<&Bound<'py, PyAny>>,
        access_list: Option<&Bound<'py, PyAny>>,
        block: Option<&Bound<'py, PyDict>>,
        overrides: Option<&Bound<'py, PyDict>>,
        abi: Option<&Bound<'py, PyAbi>>,
    ) -> PyResult<PyCallResult> {
        let fields = Fields {
            to,
            data,
            sender,
            value,
            gas_limit,
            gas_price,
            max_priority_fee_per_gas,
            nonce,
            access_list,
        };
        let asked = Asked::new(self, &fields, block, overrides)?;
        let outcome = placed(py, asked.tx.gas_limit, &self.inner, move |cancel| {
            call(&asked.seen()?, &asked.tx, asked.options.relaxed, cancel).map_err(stopped)
        })?;
        Ok(PyCallResult::thrown_away(outcome).by(abi))
    }

    /// Runs a transaction; the result has the state after it.
    #[pyo3(signature = (
        to = None, data = None, *, sender = None, value = None, gas_limit = None, gas_price = None,
        max_priority_fee_per_gas = None, nonce = None, access_list = None, block = None, overrides = None, abi = None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn transact<'py>(
        this: &Bound<'py, Self>,
        to: Option<&Bound<'py, PyAny>>,
        data: Option<&Bound<'py, PyAny>>,
        sender: Option<&Bound<'py, PyAny>>,
        value: Option<&Bound<'py, PyAny>>,
        gas_limit: Option<&Bound<'py, PyAny>>,
        gas_price: Option<&Bound<'py, PyAny>>,
        max_priority_fee_per_gas: Option<&Bound<'py, PyAny>>,
        nonce: Option<&Bound<'py, PyAny>>,
        access_list: Option<&Bound<'py, PyAny>>,
        block: Option<&Bound<'py, PyDict>>,
        overrides: Option<&Bound<'py, PyDict>>,
        abi: Option<&Bound<'py, PyAbi>>,
    ) -> PyResult<PyCallResult> {
        let fields = Fields {
            to,
            data,
            sender,
            value,
            gas_limit,
            gas_price,
            max_priority_fee_per_gas,
            nonce,
            access_list,
        };
        let asked = Asked::new(this.get(), &fields, block, overrides)?;
        Ok(run_kept(this, asked.tx.gas_limit, asked)?.by(abi))
    }

    /// Runs a decoded transaction by all rules; the result has the state after it.
    fn transact_signed<'py>(this: &Bound<'py, Self>, tx: &Bound<'py, PyAny>) -> PyResult<PyCallResult> {
        let snapshot = Snapshot::clone(&this.get().inner);
        let (tx, relaxed) = transaction_of(tx, 0, snapshot.environment())?;
        let gas = tx.gas_limit;
        run_kept(this, gas, Asked { tx, options: Options { relaxed, ..Default::default() }, snapshot })
    }

    /// The gas that a call needs, by geth's search and its ratio; or the result that no amount of gas can change.
    #[pyo3(signature = (
        to = None, data = None, *, sender = None, value = None, gas_limit = None, gas_price = None,
        max_priority_fee_per_gas = None, nonce = None, access_list = None, block = None, overrides = None, abi = None,
        error_ratio = 0.015,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn search_gas<'py>(
        &self,
        py: Python<'py>,
        to: Option<&Bound<'py, PyAny>>,
        data: Option<&Bound<'py, PyAny>>,
        sender: Option<&Bound<'py, PyAny>>,
        value: Option<&Bound<'py, PyAny>>,
        gas_limit: Option<&Bound<'py, PyAny>>,
        gas_price: Option<&Bound<'py, PyAny>>,
        max_priority_fee_per_gas: Option<&Bound<'py, PyAny>>,
        nonce: Option<&Bound<'py, PyAny>>,
        access_list: Option<&Bound<'py, PyAny>>,
        block: Option<&Bound<'py, PyDict>>,
        overrides: Option<&Bound<'py, PyDict>>,
        abi: Option<&Bound<'py, PyAbi>>,
        error_ratio: f64,
    ) -> PyResult<(Option<u64>, Option<PyCallResult>)> {
        let fields = Fields {
            to,
            data,
            sender,
            value,
            gas_limit,
            gas_price,
            max_priority_fee_per_gas,
            nonce,
            access_list,
        };
        let asked = Asked::new(self, &fields, block, overrides)?;
        let found = detached(py, move |cancel| {
            estimate_gas(&asked.seen()?, &asked.tx, error_ratio, cancel).map_err(stopped)
        })?;
        Ok(match found {
            Estimate::Gas(gas) => (Some(gas), None),
            Estimate::Fails(outcome) => (None, Some(PyCallResult::thrown_away(outcome).by(abi))),
        })
    }

    /// The accounts and slots that a call uses, and the call with them as its access list.
    #[pyo3(signature = (
        to = None, data = None, *, sender = None, value = None, gas_limit = None, gas_price = None,
        max_priority_fee_per_gas = None, nonce = None, block = None, overrides = None, abi = None,
    ))]
    #[allow(clippy::too_many_arguments, clippy::type_complexity)]
    fn access_list<'py>(
        &self,
        py: Python<'py>,
        to: Option<&Bound<'py, PyAny>>,
        data: Option<&Bound<'py, PyAny>>,
        sender: Option<&Bound<'py, PyAny>>,
        value: Option<&Bound<'py, PyAny>>,
        gas_limit: Option<&Bound<'py, PyAny>>,
        gas_price: Option<&Bound<'py, PyAny>>,
        max_priority_fee_per_gas: Option<&Bound<'py, PyAny>>,
        nonce: Option<&Bound<'py, PyAny>>,
        block: Option<&Bound<'py, PyDict>>,
        overrides: Option<&Bound<'py, PyDict>>,
        abi: Option<&Bound<'py, PyAbi>>,
    ) -> PyResult<(Vec<(Bound<'py, PyBytes>, Vec<Bound<'py, PyBytes>>)>, PyCallResult)> {
        let fields = Fields {
            to,
            data,
            sender,
            value,
            gas_limit,
            gas_price,
            max_priority_fee_per_gas,
            nonce,
            access_list: None,
        };
        let asked = Asked::new(self, &fields, block, overrides)?;
        let found =
            detached(py, move |cancel| access_list(&asked.seen()?, &asked.tx, cancel).map_err(stopped))?;
        let list = found.access_list.iter();
        let list =
            list.map(|(owner, slots)| (bytes(py, owner), slots.iter().map(|slot| bytes(py, slot)).collect()));
        Ok((list.collect(), PyCallResult::thrown_away(found.outcome).by(abi)))
    }

    /// Runs transactions in order, each on what the ones before left.
    #[pyo3(signature = (txs, *, atomic = false))]
    fn bundle<'py>(
        this: &Bound<'py, Self>,
        txs: &Bound<'py, PyAny>,
        atomic: bool,
    ) -> PyResult<PyBundleResult> {
        let snapshot = Snapshot::clone(&this.get().inner);
        let mut parsed = Vec::new();
        for (index, tx) in txs.try_iter()?.enumerate() {
            parsed.push(transaction_of(&tx?, index, snapshot.environment())?);
        }
        let (outcome, after) = detached(this.py(), move |cancel| {
            let outcome = bundle(&snapshot, &parsed, atomic, cancel).map_err(stopped)?;
            let after = snapshot.apply(&outcome.changes)?;
            Ok((outcome, after))
        })?;
        let failed = outcome.results.iter().any(|result| {
            result
                .outcome
                .as_ref()
                .map_or(true, |outcome| outcome.status != solder_simulate::call::Status::Success)
        });
        PyBundleResult::new(this, outcome, after, !(atomic && failed))
    }

    /// Executes an ordered list of transactions by the block's rules, on several workers, with the outcome of executing one
    /// after the other. Gives the block's result and the state after it.
    #[pyo3(signature = (txs, policy, *, workers, block = None, forced = false))]
    fn run_list<'py>(
        this: &Bound<'py, Self>,
        txs: &Bound<'py, PyAny>,
        policy: &str,
        workers: usize,
        block: Option<&Bound<'py, PyDict>>,
        forced: bool,
    ) -> PyResult<(PyBlockResult, Bound<'py, PyAny>)> {
        let policy = match policy {
            "reject" => Policy::Reject,
            "skip" => Policy::Skip,
            other => {
                return Err(Failure::field("policy", format!("{other:?} is neither reject nor skip")).into());
            }
        };
        let mut snapshot = Snapshot::clone(&this.get().inner);
        if let Some(block) = block {
            snapshot = snapshot.with_environment(snapshot.environment().with(&block_overrides(block)?));
        }
        let transactions = ordered(&snapshot, txs)?;
        let parallel = parallel_of(workers, forced, false, None, false)?;
        let (result, after) = detached(this.py(), move |cancel| {
            let environment = snapshot.environment();
            let block = Block { header: environment.header.clone(), transactions, ..Default::default() };
            let options = ExecuteOptions {
                policy,
                cancel: Some(cancel),
                transactions_only: true,
                reward: Some(solder_engine::block::Reward::Disabled),
                parallel,
                ..Default::default()
            };
            let start = Instant::now();
            let outcome = execute_block(&environment.chain, environment.fork, &block, &snapshot, &options)?;
            let seconds = start.elapsed().as_secs_f64();
            let after = snapshot.apply(&outcome.changes)?;
            Ok((PyBlockResult::new(&block, outcome, seconds), after))
        })?;
        Ok((result, Self::like(this, after)?))
    }

    /// This state before `block`, as that block's transactions see it.
    fn at_block<'py>(this: &Bound<'py, Self>, block: &PyBlock) -> PyResult<Bound<'py, PyAny>> {
        let environment = Environment::of(Chain::clone(&block.chain), block.fork, &block.inner.header);
        Self::like(this, this.get().inner.with_environment(environment))
    }

    /// The state after what the protocol does first in `block` and its first `count` transactions.
    fn after_transactions<'py>(
        this: &Bound<'py, Self>,
        block: &PyBlock,
        count: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let transactions = block.inner.transactions.len();
        if count > transactions {
            let detail = format!("the block has {transactions} transactions, not {count}");
            return Err(Failure::field("after", detail).into());
        }
        let environment = Environment::of(Chain::clone(&block.chain), block.fork, &block.inner.header);
        let before = this.get().inner.with_environment(environment);
        let (chain, fork, inner) = (block.chain.clone(), block.fork, block.inner.clone());
        let after = detached(this.py(), move |cancel| {
            let changes = execute_prefix(&chain, fork, &inner, count, &before, cancel)?;
            Ok(before.apply(&changes)?)
        })?;
        Self::like(this, after)
    }

    /// The state in which `owner` has `amount` of the ERC-20 `token`.
    #[pyo3(signature = (token, owner, amount, *, adjust_supply = false))]
    fn deal_token<'py>(
        this: &Bound<'py, Self>,
        token: &Bound<'py, PyAny>,
        owner: &Bound<'py, PyAny>,
        amount: &Bound<'py, PyAny>,
        adjust_supply: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (token, owner) = (any_address(token, "token")?, any_address(owner, "owner")?);
        let amount = u256(amount, "amount")?;
        let snapshot = Snapshot::clone(&this.get().inner);
        let after = detached(this.py(), move |cancel| {
            Ok(deal(&snapshot, token, owner, amount, adjust_supply, cancel)?)
        })?;
        Self::like(this, after)
    }
}

fn run_kept(this: &Bound<'_, PyState>, gas: u64, asked: Asked) -> PyResult<PyCallResult> {
    let (outcome, changes, after) = placed(this.py(), gas, &this.get().inner, move |cancel| {
        let seen = asked.seen()?;
        let (outcome, changes) =
            transact(&seen, &asked.tx, asked.options.relaxed, cancel).map_err(stopped)?;
        let after = seen.apply(&changes).map_err(SimulateError::from)?;
        Ok((outcome, changes, after))
    })?;
    PyCallResult::kept(this, outcome, changes, after)
}

/// The transactions of a list. One that names no nonce has the next of its sender, no gas limit the most that one may have,
/// no price the base fee.
fn ordered(snapshot: &Snapshot, txs: &Bound<'_, PyAny>) -> PyResult<Vec<Transaction>> {
    let environment = snapshot.environment();
    let mut next: BTreeMap<Address, u64> = BTreeMap::new();
    let mut transactions = Vec::new();
    for (index, value) in txs.try_iter()?.enumerate() {
        let value = value?;
        let (mut tx, relaxed) = transaction_of(&value, index, environment)?;
        if relaxed != Relaxed::default() {
            let names = |name: &str| value.get_item(name).is_ok_and(|value| !value.is_none());
            if !names("gas_limit") {
                tx.gas_limit = EXECUTE_GAS.min(environment.header.gas_limit);
            }
            if !names("gas_price") {
                tx.gas_price = u128::from(environment.header.base_fee_per_gas.unwrap_or_default())
                    + tx.max_priority_fee_per_gas.unwrap_or_default();
            }
            if relaxed.nonce {
                tx.nonce = match next.get(&tx.sender) {
                    Some(nonce) => *nonce,
                    None => snapshot.info(tx.sender).map_err(Failure::from)?.map_or(0, |info| info.nonce),
                };
            }
        }
        next.insert(tx.sender, tx.nonce.saturating_add(1));
        transactions.push(tx);
    }
    Ok(transactions)
}
