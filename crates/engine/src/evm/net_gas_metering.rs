//! Constantinople's SSTORE (EIP-1283), which Petersburg took back before it reached mainnet. revm starts with
//! Istanbul's version of net gas metering; this is the same rule at Constantinople's prices, without the stipend
//! check that Istanbul added.

use revm::Database;
use revm::bytecode::opcode;
use revm::context::{CfgEnv, JournalTr};
use revm::context_interface::cfg::GasId;
use revm::handler::instructions::EthInstructions;
use revm::interpreter::instructions::host::sstore_with_gas_accounting;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{Host, Instruction, InstructionContext, InstructionExecResult, InstructionResult};

use super::EngineContext;
use crate::error::Fault;

const SLOAD_GAS: u64 = 200;
const SET_GAS: u64 = 20_000;
const RESET_GAS: u64 = 5_000;

/// Sets Constantinople's prices.
pub fn set_prices(cfg: &mut CfgEnv) {
    cfg.gas_params.override_gas([
        (GasId::sstore_static(), SLOAD_GAS),
        (GasId::sstore_set_without_load_cost(), SET_GAS - SLOAD_GAS),
        (GasId::sstore_reset_without_cold_load_cost(), RESET_GAS - SLOAD_GAS),
        (GasId::sstore_set_refund(), SET_GAS - SLOAD_GAS),
        (GasId::sstore_reset_refund(), RESET_GAS - SLOAD_GAS),
    ]);
}

/// Replaces SSTORE.
pub fn install<'a, DB: Database<Error = Fault>, J: JournalTr<Database = DB>>(
    instructions: &mut EthInstructions<EthInterpreter, EngineContext<'a, DB, J>>,
) {
    let gas = instructions.gas_table()[opcode::SSTORE as usize];
    instructions.insert_instruction(opcode::SSTORE, Instruction::new(sstore), gas);
}

fn sstore<'a, DB: Database<Error = Fault>, J: JournalTr<Database = DB>>(
    context: InstructionContext<'_, EngineContext<'a, DB, J>, EthInterpreter>,
) -> InstructionExecResult {
    sstore_with_gas_accounting(context, |context, _, load| {
        let prices = context.host.gas_params();
        let cost = prices.sstore_dynamic_gas(true, &load.data, false);
        let refund = prices.sstore_refund(true, &load.data);
        if !context.interpreter.gas.record_regular_cost(cost) {
            return Err(InstructionResult::OutOfGas);
        }
        context.interpreter.gas.record_refund(refund);
        Ok(())
    })
}
