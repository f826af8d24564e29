//! A transaction without call data to an account without code: only an amount moves. It needs none of what revm sets up
//! for a first frame (inputs, memory, code), and does what revm's `make_call_frame` does before it finds nothing to run.

use alloy_primitives::{Bytes, TxKind};
use revm::Database;
use revm::context::{ContextTr, JournalTr};
use revm::context_interface::journaled_state::JournalCheckpoint;
use revm::handler::{EthFrame, EthPrecompiles, EvmTr, FrameResult, Handler, execution};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{CallOutcome, Gas, GasTracker, InstructionResult, InterpreterResult};
use revm::primitives::hardfork::SpecId;

use super::{EngineContext, EngineEvm, TransactError};
use crate::error::Fault;

/// revm's `Handler::execution`, but that a plain transfer has no frame.
pub fn execution<'a, INSP, DB, J, H>(
    handler: &mut H,
    evm: &mut EngineEvm<'a, INSP, DB, J>,
    checkpoint: JournalCheckpoint,
    gas: &mut GasTracker,
) -> Result<Option<FrameResult>, TransactError>
where
    DB: Database<Error = Fault>,
    J: JournalTr<Database = DB>,
    H: Handler<Evm = EngineEvm<'a, INSP, DB, J>, Error = TransactError>,
    EngineEvm<'a, INSP, DB, J>: EvmTr<Context = EngineContext<'a, DB, J>, Frame = EthFrame<EthInterpreter>>,
{
    let mut result = match first_frame(&mut evm.ctx, &evm.precompiles, gas)? {
        Some(result) => result,
        None => {
            let Some(first) = handler.first_frame_input(evm, gas)? else {
                execution::runtime_oog_unwind(evm.ctx(), checkpoint)?;
                return Ok(None);
            };
            evm.ctx().journal_mut().checkpoint_commit();
            handler.run_exec_loop(evm, first)?
        }
    };
    handler.last_frame_result(evm, &mut result, gas)?;
    Ok(Some(result))
}

/// What the first frame gives, with `gas` to spend, after the checkpoint that spans what came before it. `None`: there is
/// something to run, and nothing was done but that the recipient was looked at.
fn first_frame<DB: Database<Error = Fault>, J: JournalTr<Database = DB>>(
    ctx: &mut EngineContext<'_, DB, J>,
    precompiles: &EthPrecompiles,
    gas: &GasTracker,
) -> Result<Option<FrameResult>, Fault> {
    let (tx, journal) = (ctx.tx, &mut ctx.journaled_state);
    let TxKind::Call(recipient) = tx.to else { return Ok(None) };
    // Since Amsterdam a new account has a price of its own.
    let is_plain = tx.input.is_empty() && !ctx.cfg.spec.is_enabled_in(SpecId::AMSTERDAM);
    if !is_plain || precompiles.precompiles.contains(&recipient) {
        return Ok(None);
    }
    if !journal.load_account_with_code(recipient)?.data.info.is_empty_code_hash() {
        return Ok(None);
    }
    journal.checkpoint_commit();
    let checkpoint = journal.checkpoint();
    let result = match journal.transfer_loaded(tx.sender, recipient, tx.value) {
        Some(error) => {
            journal.checkpoint_revert(checkpoint);
            error.into()
        }
        None => {
            journal.checkpoint_commit();
            InstructionResult::Stop
        }
    };
    let gas = Gas::new_with_regular_gas_and_reservoir(gas.remaining(), gas.reservoir());
    let result = InterpreterResult { result, gas, output: Bytes::new() };
    Ok(Some(FrameResult::Call(CallOutcome::new(result, 0..0))))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, U256};

    use super::*;
    use crate::chain::{Chain, Fork, Header, Transaction};
    use crate::evm::{Machine, Setup, environment};
    use crate::state::memory::UnknownBlockHash;
    use crate::state::{MemoryState, StateAccount};

    const SENDER: Address = Address::repeat_byte(0x51);
    const CONTRACT: Address = Address::repeat_byte(0x52);
    const RECIPIENT: Address = Address::repeat_byte(0x53);

    /// Whether the first frame of a transaction to `to` is left out.
    fn is_left_out(fork: Fork, to: TxKind, input: Bytes) -> bool {
        let mut state = MemoryState::new(UnknownBlockHash::Fault);
        state.insert(SENDER, StateAccount::new(0, U256::from(10), Bytes::new()));
        state.insert(CONTRACT, StateAccount::new(1, U256::ZERO, Bytes::from_static(&[0])));
        let (chain, header) = (Chain::at(fork), Header::default());
        let tx = Transaction { sender: SENDER, to, input, value: U256::ONE, ..Default::default() };
        let setup = Setup {
            cfg: environment::config(&chain, fork, &header),
            env: environment::block_env(&chain, fork, &header),
            reader: &state,
            record_accesses: false,
            net_gas_metering: false,
            cancel: None,
        };
        let mut machine = Machine::new(setup, &tx, ());
        let journal = &mut machine.evm.ctx.journaled_state;
        journal.load_account(SENDER).unwrap();
        journal.checkpoint();
        let gas = GasTracker::new(30_000, 9_000, 0);
        let found = first_frame(&mut machine.evm.ctx, &machine.evm.precompiles, &gas).unwrap();
        if let Some(result) = &found {
            assert_eq!(result.instruction_result(), InstructionResult::Stop);
            assert_eq!(result.gas().remaining(), 9_000);
            let moved = machine.evm.ctx.journaled_state.load_account(RECIPIENT).unwrap();
            assert_eq!(moved.data.info.balance, U256::ONE);
        }
        found.is_some()
    }

    #[test]
    fn only_a_transfer_to_an_account_without_code_has_no_frame() {
        let plain = TxKind::Call(RECIPIENT);
        for fork in [Fork::Frontier, Fork::Berlin, Fork::Osaka] {
            assert!(is_left_out(fork, plain, Bytes::new()), "{fork:?}");
        }
        let others = [
            (Fork::Osaka, plain, Bytes::from_static(&[0])),
            (Fork::Osaka, TxKind::Create, Bytes::new()),
            (Fork::Osaka, TxKind::Call(CONTRACT), Bytes::new()),
            (Fork::Osaka, TxKind::Call(Address::with_last_byte(4)), Bytes::new()),
            (Fork::Amsterdam, plain, Bytes::new()),
        ];
        for (fork, to, input) in others {
            assert!(!is_left_out(fork, to, input), "{fork:?} {to:?}");
        }
    }
}
