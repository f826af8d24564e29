//! The transactions, one after the other. Serial execution is the oracle of everything faster.

use std::sync::atomic::Ordering;

use alloy_consensus::Eip658Value;
use alloy_primitives::{Address, B256, Bytes, TxKind};
use revm::context::result::{ExecutionResult, Output};
use revm::primitives::hardfork::SpecId;

use super::{BlockOutcome, Job, Policy, Skipped, validation};
use crate::chain::{Receipt, Transaction};
use crate::error::{EngineError, Fault};
use crate::evm::{Machine, Transact};
use crate::state::ChangeSet;

/// Gas that a block has used so far, by the counters that its limit knows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GasCounters {
    /// What receipts add up: gas that senders paid for.
    pub paid: u64,
    /// Gas that counts against the limit; from Amsterdam on without refunds and without state gas (EIP-7778, 8037).
    pub regular: u64,
    /// State gas (EIP-8037).
    pub state: u64,
    /// Blob gas (EIP-4844).
    pub blob: u64,
}

impl GasCounters {
    /// The header's `gas_used`.
    pub fn block_gas_used(&self, spec: SpecId) -> u64 {
        if spec.is_enabled_in(SpecId::AMSTERDAM) { self.regular.max(self.state) } else { self.paid }
    }
}

pub(crate) fn run<'a, INSP>(
    job: &Job<'a>,
    machine: &mut Machine<'a, INSP>,
    outcome: &mut BlockOutcome,
) -> Result<(), EngineError>
where
    Machine<'a, INSP>: Transact<'a>,
{
    let mut gas = GasCounters::default();
    outcome.receipts.reserve(job.block.transactions.len());
    for (index, tx) in job.block.transactions.iter().enumerate() {
        if job.options.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err(Fault::Cancelled.into());
        }
        let attempt = validation::validate_transaction(job, tx, &gas)
            .map_err(EngineError::from)
            .and_then(|()| machine.transact(index, tx, job.options.trace));
        match attempt {
            Ok(result) => {
                let changes = &mut || machine.changes();
                let receipt = receipt(job, changes, tx, result, &mut gas)?;
                outcome.receipts.push(receipt);
                machine.next_access_index();
            }
            Err(EngineError::Rejected(rejection)) if job.options.policy == Policy::Skip => {
                outcome.skipped.push(Skipped { index, rejection: rejection.at(index) });
            }
            Err(EngineError::Rejected(rejection)) => return Err(rejection.at(index).into()),
            Err(fault) => return Err(fault),
        }
    }
    outcome.gas_used = gas.block_gas_used(job.spec);
    outcome.blob_gas_used = gas.blob;
    Ok(())
}

/// Adds a transaction's gas to the counters and makes its receipt.
pub(crate) fn receipt(
    job: &Job<'_>,
    changes: impl FnOnce() -> Result<ChangeSet, Fault>,
    tx: &Transaction,
    result: ExecutionResult,
    gas: &mut GasCounters,
) -> Result<Receipt, EngineError> {
    let used = result.gas();
    let gas_used = used.tx_gas_used();
    gas.paid += gas_used;
    gas.regular += used.block_regular_gas_used();
    gas.state += used.block_state_gas_used();
    gas.blob += tx.blob_gas();
    let success = result.is_success();
    let status = if job.spec.is_enabled_in(SpecId::BYZANTIUM) {
        Eip658Value::Eip658(success)
    } else {
        let root = match job.options.intermediate_root {
            Some(root) => root(&changes()?),
            None => B256::ZERO,
        };
        Eip658Value::PostState(root)
    };
    let (logs, output, contract_address) = unpack(result, tx);
    Ok(Receipt {
        tx_type: tx.tx_type,
        status,
        success,
        gas_used,
        cumulative_gas_used: gas.paid,
        logs,
        contract_address,
        output,
    })
}

fn unpack(result: ExecutionResult, tx: &Transaction) -> (Vec<alloy_primitives::Log>, Bytes, Option<Address>) {
    match result {
        ExecutionResult::Success { logs, output: Output::Call(output), .. } => (logs, output, None),
        ExecutionResult::Success { logs, output: Output::Create(_, address), .. } => {
            (logs, Bytes::new(), address.or_else(|| created_address(tx)))
        }
        ExecutionResult::Revert { logs, output, .. } => (logs, output, None),
        ExecutionResult::Halt { logs, .. } => (logs, Bytes::new(), None),
    }
}

fn created_address(tx: &Transaction) -> Option<Address> {
    matches!(tx.to, TxKind::Create).then(|| tx.sender.create(tx.nonce))
}
