//! The end of a transaction. revm's mainnet handler, with one thing more before the journal is committed: accounts
//! that the transaction destroyed become missing ones at once, and the block access list is written.

use std::marker::PhantomData;

use revm::context::result::{ExecutionResult, HaltReason, InvalidTransaction, ResultGas};
use revm::context::{Cfg, ContextTr, JournalTr, LocalContextTr};
use revm::context_interface::context::take_error;
use revm::handler::{EvmTr, FrameResult, Handler, post_execution};
use revm::inspector::{Inspector, InspectorHandler};
use revm::interpreter::InitialAndFloorGas;
use revm::interpreter::interpreter::EthInterpreter;
use revm::primitives::hardfork::SpecId;
use revm::state::Account;

use super::{EngineContext, EngineEvm, TransactError, intrinsic};

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
        let ctx = evm.ctx_ref();
        let tx = *ctx.tx();
        let mut gas = intrinsic::initial_gas(&ctx.cfg.gas_params, tx);
        if ctx.cfg.spec < SpecId::AMSTERDAM {
            // State gas exists from Amsterdam on.
            gas.set_initial_state_gas(0);
        }
        let (gas_limit, initial_gas, gas_floor) = (tx.gas_limit, gas.initial_total_gas(), gas.floor_gas());
        if initial_gas > gas_limit {
            return Err(InvalidTransaction::CallGasCostMoreThanGasLimit { gas_limit, initial_gas }.into());
        }
        if ctx.cfg.spec >= SpecId::PRAGUE && gas_floor > gas_limit {
            return Err(InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit }.into());
        }
        let cap = ctx.cfg.tx_gas_limit_cap();
        if ctx.cfg.spec >= SpecId::AMSTERDAM && gas_limit > cap {
            // Regular gas is capped for each transaction; state gas has a reservoir of its own (EIP-8037).
            let gas_floor = gas.initial_regular_gas().max(gas_floor);
            if gas_floor > cap {
                return Err(InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit: cap }.into());
            }
        }
        Ok(gas)
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
