//! Runs of instructions that need nothing but the stack, memory and call data. Most of what a contract executes is PUSH, DUP,
//! SWAP, POP, jumps and plain arithmetic; revm fetches each from one place, with its counter and its gas in memory. Here the
//! first of such a run goes on through all that follow: each instruction goes to the next by itself, with counter, stack and
//! gas in registers, and what usually follows each other (a comparison and its jump) is done in one.
//!
//! Prices, limits and failures are revm's; a failed instruction ends the frame with the same result. A run gives back at the first
//! instruction of another kind. No instruction of these asks the host anything, so a journal sees nothing of it. For machines
//! without an inspector.
//!
//! `run` is what a run takes from its frame and how it ends, `state` what an instruction works on, `instructions` what each does.

use std::sync::atomic::AtomicBool;

use revm::Database;
use revm::bytecode::opcode::*;
use revm::context::JournalTr;
use revm::context_interface::Host;
use revm::handler::instructions::EthInstructions;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::Jumps;
use revm::interpreter::{Instruction, InstructionContext, InstructionExecResult, Interpreter};
use revm::primitives::hardfork::SpecId;

use self::run::execute;
use super::EngineContext;
use super::interrupt::NEVER;
use crate::error::Fault;

mod instructions;
mod run;
mod state;
mod word;

/// Instructions of every fork with which a run may begin: those that a run always takes. The frame's loop charges nothing
/// for them, the run does.
const FIRST: [u8; 13] = [ADD, SUB, LT, GT, SLT, SGT, EQ, ISZERO, AND, OR, XOR, NOT, POP];

/// Lets runs begin. With `WATCHED` a jump looks at the flags that stop a run in the middle of a transaction.
pub fn install<'a, DB: Database<Error = Fault>, J: JournalTr<Database = DB>, const WATCHED: bool>(
    instructions: &mut EthInstructions<EthInterpreter, EngineContext<'a, DB, J>>,
) {
    let moves = (PUSH1..=PUSH32).chain(DUP1..=DUP16).chain(SWAP1..=SWAP16);
    let zero = instructions.spec.is_enabled_in(SpecId::SHANGHAI).then_some(PUSH0);
    for code in FIRST.into_iter().chain([JUMPDEST]).chain(moves).chain(zero) {
        instructions.insert_instruction(code, Instruction::new(begin::<DB, J, WATCHED>), 0);
    }
}

fn begin<'a, DB: Database<Error = Fault>, J: JournalTr<Database = DB>, const WATCHED: bool>(
    context: InstructionContext<'_, EngineContext<'a, DB, J>, EthInterpreter>,
) -> InstructionExecResult {
    let InstructionContext { interpreter, host } = context;
    let flags = if WATCHED { [host.chain.cancel, host.chain.abandon] } else { [&NEVER; 2] };
    // The frame's loop is past the instruction that it gave us.
    let from = interpreter.bytecode.pc() - 1;
    execute(interpreter, from, flags, Some(host.gas_params()), None).1
}

/// For a loop that counts instructions: whether a run may begin with one of these.
pub(crate) static BEGINS: [bool; 256] = {
    let mut table = [false; 256];
    let mut place = 0;
    while place < FIRST.len() {
        table[FIRST[place] as usize] = true;
        place += 1;
    }
    let mut code = PUSH1;
    while code <= SWAP16 {
        table[code as usize] = true;
        code += 1;
    }
    table[JUMPDEST as usize] = true;
    table
};

/// A run from where the frame stands, its instructions counted; the last of them, and what it ended with.
#[inline]
pub(crate) fn run_counted(
    interpreter: &mut Interpreter<EthInterpreter>,
    flags: [&AtomicBool; 2],
    counts: &mut [u64; 256],
) -> (u8, InstructionExecResult) {
    let from = interpreter.bytecode.pc();
    execute(interpreter, from, flags, None, Some(counts))
}
