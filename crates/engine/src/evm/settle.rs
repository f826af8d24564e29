//! The end of a transaction. revm's mainnet handler, with one thing more before the journal is committed: accounts
//! that the transaction destroyed become missing ones at once, and the block access list is written.

use std::marker::PhantomData;

use alloy_primitives::Address;
use revm::context::result::{ExecutionResult, HaltReason, InvalidTransaction, ResultGas};
use revm::context::{Cfg, CfgEnv, ContextTr, JournalTr, LocalContextTr};
use revm::context_interface::context::take_error;
use revm::context_interface::journaled_state::JournalCheckpoint;
use revm::context_interface::transaction::Transaction as _;
use revm::handler::{EvmTr, FrameResult, Handler, post_execution, pre_execution};
use revm::inspector::{Inspector, InspectorHandler};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{GasTracker, InitialAndFloorGas};
use revm::primitives::hardfork::SpecId;
use revm::state::{Account, AccountStatus};

use super::{EngineContext, EngineEvm, TransactError, intrinsic, plain_transfer};
use crate::chain::Transaction;

/// The handler.
pub struct Settling<'a, INSP> {
    block: PhantomData<&'a ()>,
    inspector: PhantomData<fn() -> INSP>,
}

impl<INSP> Default for Settling<'_, INSP> {
    fn default() -> Self {
        Self { block: PhantomData, inspector: PhantomData }
    }
}

impl<'a, INSP> Handler for Settling<'a, INSP> {
    type Evm = EngineEvm<'a, INSP>;
    type Error = TransactError;
    type HaltReason = HaltReason;

    fn validate_initial_tx_gas(&self, evm: &mut Self::Evm) -> Result<InitialAndFloorGas, TransactError> {
        initial_tx_gas(&evm.ctx.cfg, evm.ctx.tx)
    }

    fn apply_eip7702_auth_list(
        &self,
        evm: &mut Self::Evm,
        gas: &mut GasTracker,
    ) -> Result<Option<u64>, TransactError> {
        if evm.ctx.tx.authorization_list_len() == 0 {
            return Ok(Some(0));
        }
        let deleted = mark_deleted_authorities(&mut evm.ctx);
        let refund = pre_execution::apply_eip7702_auth_list(&mut evm.ctx, gas);
        for address in deleted {
            // The block's changes list it as touched, as before.
            if let Some(account) = evm.ctx.journaled_state.inner.state.get_mut(&address) {
                account.mark_touch();
            }
        }
        refund
    }

    /// revm's, but for a plain transfer.
    fn execution(
        &mut self,
        evm: &mut Self::Evm,
        checkpoint: JournalCheckpoint,
        gas: &mut GasTracker,
    ) -> Result<Option<FrameResult>, TransactError> {
        plain_transfer::execution(self, evm, checkpoint, gas)
    }

    fn execution_result(
        &mut self,
        evm: &mut Self::Evm,
        result: FrameResult,
        result_gas: ResultGas,
    ) -> Result<ExecutionResult<HaltReason>, TransactError> {
        take_error::<TransactError, _>(evm.ctx().error())?;
        let outcome = post_execution::output(evm.ctx(), result, result_gas);
        settle(&mut evm.ctx);
        evm.ctx().journal_mut().commit_tx();
        evm.ctx().local_mut().clear();
        evm.frame_stack().clear();
        Ok(outcome)
    }
}

impl<'a, INSP: Inspector<EngineContext<'a>, EthInterpreter>> InspectorHandler for Settling<'a, INSP> {
    type IT = EthInterpreter;
}

/// An account that an earlier transaction touched and left empty does not exist any more (EIP-161), but a journal that
/// lives for a block still has it as touched, and revm takes a touched one for existing when it refunds an
/// authorization.
fn mark_deleted_authorities(ctx: &mut EngineContext<'_>) -> Vec<Address> {
    let journal = &mut ctx.journaled_state.inner;
    let authorities = ctx.tx.authorization_list().filter_map(|authorization| authorization.authority());
    let mut deleted = Vec::new();
    for address in authorities {
        let Some(account) = journal.state.get_mut(&address) else { continue };
        if account.transaction_id != journal.transaction_id && account.is_touched() && account.is_empty() {
            account.unmark_touch();
            account.status |= AccountStatus::LoadedAsNotExisting;
            deleted.push(address);
        }
    }
    deleted
}

/// The gas that a transaction costs before its first instruction, and whether its limit covers that.
pub fn initial_tx_gas(cfg: &CfgEnv, tx: &Transaction) -> Result<InitialAndFloorGas, TransactError> {
    let mut gas = intrinsic::initial_gas(&cfg.gas_params, tx);
    if cfg.spec < SpecId::AMSTERDAM {
        // State gas exists from Amsterdam on.
        gas.set_initial_state_gas(0);
    }
    let (gas_limit, initial_gas, gas_floor) = (tx.gas_limit, gas.initial_total_gas(), gas.floor_gas());
    if initial_gas > gas_limit {
        return Err(InvalidTransaction::CallGasCostMoreThanGasLimit { gas_limit, initial_gas }.into());
    }
    if cfg.spec >= SpecId::PRAGUE && gas_floor > gas_limit {
        return Err(InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit }.into());
    }
    let cap = cfg.tx_gas_limit_cap();
    if cfg.spec >= SpecId::AMSTERDAM && gas_limit > cap {
        // Regular gas is capped for each transaction; state gas has a reservoir of its own (EIP-8037).
        let gas_floor = gas.initial_regular_gas().max(gas_floor);
        if gas_floor > cap {
            return Err(InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit: cap }.into());
        }
    }
    Ok(gas)
}

/// Settles what the current transaction (or phase) did. Must run before the journal is committed.
pub fn settle(ctx: &mut EngineContext<'_>) {
    let journal = &mut ctx.journaled_state.inner;
    if let Some(recorder) = &mut ctx.chain.access_list {
        for (address, account) in &journal.state {
            if account.transaction_id == journal.transaction_id {
                recorder.list.update_account(recorder.index, *address, account);
            }
        }
    }
    for address in &journal.selfdestructed_addresses {
        let Some(account) = journal.state.get_mut(address) else { continue };
        if account.is_selfdestructed_locally() {
            // `Created` makes slots read as zero without asking the state below the reset.
            *account = Account::new_not_existing(account.transaction_id);
            account.mark_created();
            ctx.chain.resets.insert(*address);
        }
    }
}
