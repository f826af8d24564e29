//! Stopping in the middle of a transaction. Every unbounded run of the interpreter passes a jump or a call again and
//! again; those instructions look at a flag that another thread sets, and end the run with a fault.

use std::sync::atomic::{AtomicBool, Ordering};

use revm::Database;
use revm::bytecode::opcode;
use revm::context::JournalTr;
use revm::context_interface::context::ContextError;
use revm::handler::instructions::EthInstructions;
use revm::interpreter::instructions::{contract, control};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{Instruction, InstructionContext, InstructionExecResult, InstructionResult};

use super::EngineContext;
use crate::error::Fault;

/// The flag of a run that nobody can stop.
pub static NEVER: AtomicBool = AtomicBool::new(false);

type Context<'c, 'a, DB, J> = InstructionContext<'c, EngineContext<'a, DB, J>, EthInterpreter>;

macro_rules! interruptible {
    ($($name:ident: $opcode:ident => $stock:expr),+ $(,)?) => {
        $(
            fn $name<'a, DB: Database<Error = Fault>, J: JournalTr<Database = DB>>(
                context: Context<'_, 'a, DB, J>,
            ) -> InstructionExecResult {
                let scratch = &context.host.chain;
                if scratch.cancel.load(Ordering::Relaxed) || scratch.abandon.load(Ordering::Relaxed) {
                    return stop(context);
                }
                $stock(context)
            }
        )+

        /// Replaces the instructions that every unbounded run passes.
        pub fn install<'a, DB: Database<Error = Fault>, J: JournalTr<Database = DB>>(
            instructions: &mut EthInstructions<EthInterpreter, EngineContext<'a, DB, J>>,
        ) {
            $(
                let gas = instructions.gas_table()[opcode::$opcode as usize];
                instructions.insert_instruction(opcode::$opcode, Instruction::new($name), gas);
            )+
        }
    };
}

interruptible! {
    jump: JUMP => control::jump,
    jumpi: JUMPI => control::jumpi,
    call: CALL => contract::call::<{ opcode::CALL }, _, _>,
    call_code: CALLCODE => contract::call::<{ opcode::CALLCODE }, _, _>,
    delegate_call: DELEGATECALL => contract::call::<{ opcode::DELEGATECALL }, _, _>,
    static_call: STATICCALL => contract::call::<{ opcode::STATICCALL }, _, _>,
    create: CREATE => contract::create::<false, _, _>,
    create2: CREATE2 => contract::create::<true, _, _>,
}

#[cold]
fn stop<DB: Database<Error = Fault>, J: JournalTr<Database = DB>>(
    context: Context<'_, '_, DB, J>,
) -> InstructionExecResult {
    context.host.error = Err(ContextError::Db(Fault::Cancelled));
    Err(InstructionResult::FatalExternalError)
}
