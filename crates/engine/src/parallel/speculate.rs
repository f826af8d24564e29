//! One incarnation: revm's handler over the journal that records. Three steps differ from the serial engine's: the
//! sender is taken to be able to pay, the endowment of a creation is compared as a bound, and the producer's reward is
//! left to the commit.

use std::marker::PhantomData;

use alloy_primitives::U256;
use revm::context::result::{ExecutionResult, HaltReason, ResultGas};
use revm::context::{Block, Cfg, ContextTr, LocalContextTr};
use revm::context_interface::context::take_error;
use revm::context_interface::journaled_state::JournalCheckpoint;
use revm::context_interface::journaled_state::account::JournaledAccountTr;
use revm::context_interface::{JournalTr, Transaction as _};
use revm::handler::pre_execution::{calculate_caller_fee, validate_account_nonce_and_code_with_components};
use revm::handler::{EvmTr, FrameResult, Handler, ItemOrResult, post_execution};
use revm::interpreter::interpreter_action::{FrameInit, FrameInput};
use revm::interpreter::{GasTracker, InitialAndFloorGas};
use revm::primitives::hardfork::SpecId;

use super::journal::{FieldJournal, SharedView};
use crate::evm::{EngineContext, EngineEvm, TransactError, plain_transfer, settle};

/// revm's machine over the recording journal.
pub type FieldEvm<'a> = EngineEvm<'a, (), SharedView<'a>, FieldJournal<'a>>;
/// Its context.
pub type FieldContext<'a> = EngineContext<'a, SharedView<'a>, FieldJournal<'a>>;

/// The handler.
#[derive(Default)]
pub struct Speculating<'a> {
    block: PhantomData<&'a ()>,
}

impl<'a> Handler for Speculating<'a> {
    type Evm = FieldEvm<'a>;
    type Error = TransactError;
    type HaltReason = HaltReason;

    fn validate_initial_tx_gas(&self, evm: &mut Self::Evm) -> Result<InitialAndFloorGas, TransactError> {
        settle::initial_tx_gas(&evm.ctx.cfg, evm.ctx.tx)
    }

    fn validate_against_state_and_deduct_caller(
        &self,
        evm: &mut Self::Evm,
        _gas: &mut InitialAndFloorGas,
    ) -> Result<(), TransactError> {
        let (block, tx, cfg, journal, _, _) = evm.ctx.all_mut();
        let most = tx.max_balance_spending();
        let entry = journal.load_sender(tx.sender)?;
        journal.assume_sender(entry, tx.nonce, *most.as_ref().unwrap_or(&U256::ZERO));
        let info = &journal.account_of(entry).info;
        validate_account_nonce_and_code_with_components(info, *tx, cfg)?;
        let balance = info.balance;
        if let Ok(most) = most {
            journal.covers(entry, most);
        }
        let left = calculate_caller_fee(balance, *tx, block, cfg)?;
        journal.touch_entry(entry);
        journal.set_balance_of(entry, left);
        if tx.to.is_call() {
            journal.bump_nonce_of(entry);
        }
        Ok(())
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

    fn run_exec_loop(&mut self, evm: &mut Self::Evm, first: FrameInit) -> Result<FrameResult, TransactError> {
        if let ItemOrResult::Result(result) = init_frame(evm, first)? {
            return Ok(result);
        }
        loop {
            let result = match evm.frame_run()? {
                ItemOrResult::Item(init) => match init_frame(evm, init)? {
                    ItemOrResult::Item(()) => continue,
                    ItemOrResult::Result(result) => result,
                },
                ItemOrResult::Result(result) => result,
            };
            if let Some(result) = evm.frame_return_result(result)? {
                return Ok(result);
            }
        }
    }

    fn reward_beneficiary(&self, evm: &mut Self::Evm, result: &mut FrameResult) -> Result<(), TransactError> {
        let (block, tx, cfg, journal, _, _) = evm.ctx.all_mut();
        if cfg.is_fee_charge_disabled() {
            return Ok(());
        }
        let base_fee = u128::from(block.basefee());
        let mut price = tx.effective_gas_price(base_fee);
        if cfg.spec().is_enabled_in(SpecId::LONDON) {
            price = price.saturating_sub(base_fee);
        }
        let gas = result.gas();
        let used = gas.used().saturating_sub(gas.reservoir());
        journal.pay_reward(block.beneficiary(), U256::from(price * u128::from(used)))?;
        Ok(())
    }

    fn execution_result(
        &mut self,
        evm: &mut Self::Evm,
        result: FrameResult,
        result_gas: ResultGas,
    ) -> Result<ExecutionResult<HaltReason>, TransactError> {
        take_error::<TransactError, _>(evm.ctx().error())?;
        let outcome = post_execution::output(evm.ctx(), result, result_gas);
        evm.ctx().local_mut().clear();
        evm.frame_stack().clear();
        Ok(outcome)
    }
}

/// Begins a frame; a creation compares its endowment as a bound of the creator's balance.
fn init_frame(
    evm: &mut FieldEvm<'_>,
    init: FrameInit,
) -> Result<ItemOrResult<(), FrameResult>, TransactError> {
    let endowment = match &init.frame_input {
        FrameInput::Create(inputs) => Some(inputs.value()),
        _ => None,
    };
    evm.ctx.journaled_state.endowment = endowment;
    let begun = evm.frame_init(init).map(|begun| begun.map_item(|_| ()));
    evm.ctx.journaled_state.endowment = None;
    Ok(begun?)
}

impl FieldJournal<'_> {
    /// The sender, whose code and nonce are compared.
    fn load_sender(&mut self, sender: alloy_primitives::Address) -> Result<u32, crate::error::Fault> {
        let handle = self.load_account_mut(sender)?.data;
        let entry = handle.entry();
        self.load_code(entry)?;
        self.observe_code(entry);
        self.observe_nonce(entry);
        Ok(entry)
    }

    fn bump_nonce_of(&mut self, entry: u32) {
        self.handle_of(entry).bump_nonce();
    }
}
