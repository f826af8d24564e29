//! Before the first transaction: the DAO fork's move of ether, then the calls by which the protocol stores the
//! parent's beacon root (EIP-4788) and hash (EIP-2935).

use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_primitives::{Address, Bytes, TxKind};
use revm::primitives::hardfork::SpecId;

use super::phases::Phases;
use super::{Job, dao};
use crate::chain::Transaction;
use crate::error::EngineError;
use crate::evm::rejection;

/// Gas of a call by the protocol (EIP-4788).
const SYSTEM_CALL_GAS_LIMIT: u64 = 30_000_000;

/// The calls that the protocol makes around the transactions of this block, in their order.
pub(crate) struct SystemCalls {
    /// Before the transactions. A contract that is missing or fails changes nothing.
    pub before: Vec<Transaction>,
    /// After them, with the request type that each one's output has. A missing or failing contract is fatal.
    pub requests: Vec<(u8, Transaction)>,
}

impl SystemCalls {
    pub(crate) fn new(job: &Job<'_>) -> Self {
        let header = &job.block.header;
        let amsterdam = job.spec.is_enabled_in(SpecId::AMSTERDAM);
        let gas_limit =
            if amsterdam { revm::handler::system_call::SYSTEM_CALL_GAS_LIMIT } else { SYSTEM_CALL_GAS_LIMIT };
        let call = |to: Address, input: Bytes| Transaction {
            sender: eip4788::SYSTEM_ADDRESS,
            to: TxKind::Call(to),
            input,
            gas_limit,
            ..Default::default()
        };
        let mut calls = Self { before: Vec::new(), requests: Vec::new() };
        if job.options.transactions_only {
            return calls;
        }
        if job.spec.is_enabled_in(SpecId::CANCUN)
            && let Some(root) = header.parent_beacon_block_root
        {
            calls.before.push(call(eip4788::BEACON_ROOTS_ADDRESS, root.into()));
        }
        if job.spec.is_enabled_in(SpecId::PRAGUE) {
            if header.number > 0 {
                calls.before.push(call(eip2935::HISTORY_STORAGE_ADDRESS, header.parent_hash.into()));
            }
            let contracts = [
                (eip7002::WITHDRAWAL_REQUEST_TYPE, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS),
                (eip7251::CONSOLIDATION_REQUEST_TYPE, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS),
            ];
            for (kind, address) in &contracts {
                calls.requests.push((*kind, call(*address, Bytes::new())));
            }
        }
        calls
    }
}

pub(crate) fn run<'a>(
    job: &Job<'_>,
    calls: &'a SystemCalls,
    machine: &mut impl Phases<'a>,
) -> Result<(), EngineError> {
    if job.chain.dao_fork_block == Some(job.block.header.number) {
        for account in dao::DRAINED_ACCOUNTS {
            let balance = machine.drain(*account)?;
            machine.credit(dao::REFUND_CONTRACT, balance)?;
        }
        machine.settle()?;
    }
    for call in &calls.before {
        machine.system_call(call).map_err(rejection::from_revm)?;
    }
    machine.next_access_index();
    Ok(())
}
