//! The interpreter's loop, with counting. It stands beside revm's own, which an unmetered run uses.

use revm::bytecode::opcode;
use revm::interpreter::instructions::{GasTable, InstructionTable};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::{Jumps, LoopControl};
use revm::interpreter::{
    FrameInput, Gas, Host, InstructionExecResult, InstructionResult, Interpreter, InterpreterAction,
};

use super::part::{HOOK_OF, Hook, PART_OF, Part};
use super::{CallPrices, Costs, Meter, Node, OpcodeTimes, Open};

/// What a gas counter holds: state gas is gas of a counter of its own (EIP-8037).
pub(crate) fn left(gas: &Gas) -> u64 {
    gas.remaining() + gas.reservoir()
}

/// Where the value of a CALL or CALLCODE lies, from the top of the stack.
const VALUE_PLACE: usize = 2;

/// What one clocked instruction writes to.
struct Hooked<'m> {
    costs: &'m Costs,
    prices: CallPrices,
    open: &'m mut Open,
    node: &'m mut Node,
}

/// How several instructions run at once, each counted: the last of them, and what they ended with.
pub(crate) struct Runs<
    'r,
    F: Fn(&mut Interpreter<EthInterpreter>, &mut [u64; 256]) -> (u8, InstructionExecResult),
> {
    /// Whether a run may begin with an instruction.
    pub begins: &'r [bool; 256],
    /// Runs from where the frame stands.
    pub run: F,
}

impl Hooked<'_> {
    /// Runs to the end of the frame or to a call; the last instruction and why it was the last.
    #[inline]
    fn count<H: Host + ?Sized>(
        &mut self,
        interpreter: &mut Interpreter<EthInterpreter>,
        instructions: &InstructionTable<EthInterpreter, H>,
        gas_table: &GasTable,
        host: &mut H,
        runs: &Runs<
            '_,
            impl Fn(&mut Interpreter<EthInterpreter>, &mut [u64; 256]) -> (u8, InstructionExecResult),
        >,
    ) -> (u8, InstructionResult) {
        loop {
            let op = interpreter.bytecode.opcode();
            if runs.begins[usize::from(op)] {
                let (last, ended) = (runs.run)(interpreter, &mut self.open.counts);
                if let Err(end) = ended {
                    return (last, end);
                }
                continue;
            }
            self.open.counts[usize::from(op)] += 1;
            let step = if HOOK_OF[usize::from(op)] == Hook::Count {
                interpreter.step(instructions, gas_table, host)
            } else {
                self.step(op, interpreter, instructions, gas_table, host)
            };
            if let Err(end) = step {
                return (op, end);
            }
        }
    }

    /// The same, with a reading of the clock after each instruction.
    #[inline(never)]
    fn clock_each<H: Host + ?Sized>(
        &mut self,
        times: &mut OpcodeTimes,
        interpreter: &mut Interpreter<EthInterpreter>,
        instructions: &InstructionTable<EthInterpreter, H>,
        gas_table: &GasTable,
        host: &mut H,
    ) -> (u8, InstructionResult) {
        let mut last = self.costs.ticks.now();
        loop {
            let op = interpreter.bytecode.opcode();
            self.open.counts[usize::from(op)] += 1;
            let step = if HOOK_OF[usize::from(op)] == Hook::Count {
                interpreter.step(instructions, gas_table, host)
            } else {
                self.step(op, interpreter, instructions, gas_table, host)
            };
            let now = self.costs.ticks.now();
            let passed = (now - last).min(self.costs.longest);
            times.counts[usize::from(op)] += 1;
            times.ticks[usize::from(op)] += passed;
            last = now;
            if let Err(end) = step {
                return (op, end);
            }
        }
    }

    /// One instruction whose price or time is its own.
    fn step<H: Host + ?Sized>(
        &mut self,
        op: u8,
        interpreter: &mut Interpreter<EthInterpreter>,
        instructions: &InstructionTable<EthInterpreter, H>,
        gas_table: &GasTable,
        host: &mut H,
    ) -> InstructionExecResult {
        let hook = HOOK_OF[usize::from(op)];
        let (gas, memory) = (left(&interpreter.gas), interpreter.gas.memory().expansion_cost);
        let sends_value = matches!(op, opcode::CALL | opcode::CALLCODE)
            && interpreter.stack.peek(VALUE_PLACE).is_ok_and(|value| !value.is_zero());
        let (result, passed) = if hook == Hook::Price {
            (interpreter.step(instructions, gas_table, host), 0)
        } else {
            let start = self.costs.ticks.now();
            let result = interpreter.step(instructions, gas_table, host);
            let passed = self.costs.ticks.now() - start;
            self.open.clocked += passed;
            self.open.readings += 1;
            (result, passed.saturating_sub(self.costs.inside as u64))
        };
        let mut own = 0;
        if !result.is_err_and(InstructionResult::is_halt) {
            let handed = match interpreter.bytecode.action() {
                Some(InterpreterAction::NewFrame(FrameInput::Call(call))) => call.gas_limit,
                Some(InterpreterAction::NewFrame(FrameInput::Create(create))) => create.gas_limit(),
                _ => 0,
            };
            let grown = interpreter.gas.memory().expansion_cost - memory;
            own = gas.saturating_sub(left(&interpreter.gas)).saturating_sub(handed + grown);
            self.open.priced += own;
        }
        let mut part = PART_OF[usize::from(op)];
        if hook == Hook::Call {
            let call = own.min(self.prices.call + if sends_value { self.prices.value } else { 0 });
            self.node.part_mut(Part::Call).gas += call;
            own -= call;
            if own > 0 {
                part = Part::AccountAccess;
                self.node.part_mut(part).count += 1;
            }
        }
        let tally = self.node.part_mut(part);
        tally.gas += own;
        tally.ticks += passed;
        result
    }
}

impl Meter<'_> {
    /// Runs the innermost frame until it ends or calls.
    pub(crate) fn run<H: Host + ?Sized>(
        &mut self,
        interpreter: &mut Interpreter<EthInterpreter>,
        instructions: &InstructionTable<EthInterpreter, H>,
        gas_table: &GasTable,
        host: &mut H,
        runs: &Runs<
            '_,
            impl Fn(&mut Interpreter<EthInterpreter>, &mut [u64; 256]) -> (u8, InstructionExecResult),
        >,
    ) -> InterpreterAction {
        let open = &mut self.open[self.depth - 1];
        let node = &mut self.nodes[open.node as usize];
        let mut hooked = Hooked { costs: self.costs, prices: self.prices, open, node };
        let each = self.each.as_deref_mut();
        let (op, end) = match each {
            None => hooked.count(interpreter, instructions, gas_table, host, runs),
            Some(times) => hooked.clock_each(times, interpreter, instructions, gas_table, host),
        };
        if interpreter.bytecode.action().is_none() {
            interpreter.halt(end);
        }
        let action = interpreter.take_next_action();
        let passed = self.lap();
        let open = &mut self.open[self.depth - 1];
        open.ticks += passed;
        // What the last instruction was to cost is lost with the rest; its count stays, for its time alone.
        open.unpaid = end.is_halt().then_some(op);
        action
    }
}
