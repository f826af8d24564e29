//! The step tracer: an inspector that writes one JSON object a line for every instruction, with the fields, the
//! order and the number formats of geth's JSON logger, so that tools made for its output read ours.

use std::fmt::Write as _;
use std::io::Write;

use revm::bytecode::opcode::{self, OpCode};
use revm::context::{Cfg, ContextTr, JournalTr};
use revm::inspector::Inspector;
use revm::interpreter::instructions::gas_table_spec;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::{Jumps, LegacyBytecode, LoopControl, MemoryTr, ReturnData};
use revm::interpreter::{
    CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, InstructionResult, Interpreter,
    InterpreterAction, InterpreterResult, STACK_LIMIT,
};
use revm::primitives::hardfork::SpecId;

/// What a trace holds beside the always-present fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceFields {
    /// The whole memory before each step.
    pub memory: bool,
    /// The data returned by the last call, before each step.
    pub return_data: bool,
    /// Leave the stack out.
    pub no_stack: bool,
}

/// Opens the place where the trace of one transaction goes.
pub trait TraceSink: Sync {
    /// Called once for each transaction that runs.
    fn open(&self, index: usize) -> std::io::Result<Box<dyn Write>>;
    /// What to write.
    fn fields(&self) -> TraceFields;
}

/// The step that was begun and is not written yet.
#[derive(Default)]
struct Step {
    line: String,
    op: u8,
    gas: u64,
    refund: i64,
    /// What the instruction costs at the least.
    static_gas: u64,
    tail: String,
    pending: bool,
}

/// The inspector.
pub struct StepTracer {
    out: Option<Box<dyn Write>>,
    fields: TraceFields,
    step: Step,
    /// Refunds of the frames around the current one, summed: geth counts them by transaction, revm by frame.
    outer_refunds: Vec<i64>,
    /// The transaction's refund counter after the last step.
    refund: i64,
    failed: Option<std::io::Error>,
}

impl StepTracer {
    /// A tracer that writes nowhere until [`Self::start`].
    pub fn new(fields: TraceFields) -> Self {
        Self { out: None, fields, step: Step::default(), outer_refunds: Vec::new(), refund: 0, failed: None }
    }

    /// Begins the trace of a transaction.
    pub fn start(&mut self, out: Box<dyn Write>) {
        self.out = Some(out);
        self.outer_refunds.clear();
        self.refund = 0;
    }

    /// Ends the trace of a transaction; reports a write that failed on the way.
    pub fn finish(&mut self) -> std::io::Result<()> {
        if let Some(mut out) = self.out.take() {
            out.flush()?;
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    fn write(&mut self, line: &str) {
        let Some(out) = &mut self.out else { return };
        if self.failed.is_none()
            && let Err(error) = out.write_all(line.as_bytes())
        {
            self.failed = Some(error);
        }
    }

    /// The refund counter of the transaction while `interpreter` runs.
    fn refund_in(&self, interpreter: &Interpreter<EthInterpreter>) -> i64 {
        self.outer_refunds.last().copied().unwrap_or_default() + interpreter.gas.refunded()
    }

    fn begin(&mut self, interpreter: &Interpreter<EthInterpreter>, depth: usize, spec: SpecId) {
        let op = interpreter.bytecode.opcode();
        self.step.op = op;
        self.step.refund = self.refund_in(interpreter);
        self.step.static_gas = u64::from(gas_table_spec(spec)[usize::from(op)]);
        let line = &mut self.step.line;
        line.clear();
        let gas = interpreter.gas.remaining();
        // Writing to a String cannot fail.
        let _ = write!(line, "{{\"pc\":{},\"op\":{op},\"gas\":\"{gas:#x}\"", interpreter.bytecode.pc());
        let tail = &mut self.step.tail;
        tail.clear();
        if self.fields.memory && interpreter.memory.size() > 0 {
            let memory = interpreter.memory.slice(0..interpreter.memory.size());
            let _ = write!(tail, ",\"memory\":\"{}\"", alloy_primitives::hex::encode_prefixed(&*memory));
        }
        let _ = write!(tail, ",\"memSize\":{}", interpreter.memory.size());
        if !self.fields.no_stack {
            tail.push_str(",\"stack\":[");
            for (index, word) in interpreter.stack.data().iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                let _ = write!(tail, "{comma}\"{word:#x}\"");
            }
            tail.push(']');
        }
        let returned = interpreter.return_data.buffer();
        if self.fields.return_data && !returned.is_empty() {
            let _ = write!(tail, ",\"returnData\":\"{returned}\"");
        }
        let _ = write!(tail, ",\"depth\":{depth}");
        self.step.gas = gas;
        self.step.pending = true;
    }

    /// Writes the step. `gas_given` is what a creation hands to its init code: geth takes that after the instruction,
    /// whereas it counts a call's gas as part of the call's cost.
    fn end(
        &mut self,
        interpreter: &Interpreter<EthInterpreter>,
        gas_given: u64,
        error: Option<InstructionResult>,
    ) {
        self.refund = self.refund_in(interpreter);
        if !std::mem::take(&mut self.step.pending) {
            return;
        }
        let Step { op, gas, static_gas, .. } = self.step;
        let spent = gas.saturating_sub(interpreter.gas.remaining()).saturating_sub(gas_given);
        // A step that its frame could not pay for shows what it asked for, as far as that is known.
        let cost = if error.is_some() { spent.max(static_gas) } else { spent };
        // geth prices these two, and with that moves the counter, before it writes their line.
        let refund =
            if matches!(op, opcode::SSTORE | opcode::SELFDESTRUCT) { self.refund } else { self.step.refund };
        let name = OpCode::new(op)
            .map_or_else(|| format!("opcode {op:#x} not defined"), |op| geth_name(op.as_str()).to_owned());
        let mut line = std::mem::take(&mut self.step.line);
        let _ = write!(line, ",\"gasCost\":\"{cost:#x}\"{}", self.step.tail);
        let _ = write!(line, ",\"refund\":{refund},\"opName\":\"{name}\"");
        if let Some(error) = error {
            let _ = write!(line, ",\"error\":\"{}\"", error_text(error));
        }
        line.push_str("}\n");
        self.write(&line);
        self.step.line = line;
    }

    fn summary(&mut self, depth: usize, result: &InterpreterResult) {
        if depth != 0 {
            return;
        }
        let output = alloy_primitives::hex::encode(&result.output);
        // An exceptional halt takes all the gas that the call was given.
        let halted = !result.result.is_ok() && result.result != InstructionResult::Revert;
        let used = if halted { result.gas.limit() } else { result.gas.total_gas_spent() };
        let mut line = format!("{{\"output\":\"{output}\",\"gasUsed\":\"{used:#x}\"");
        if !result.result.is_ok() {
            let _ = write!(line, ",\"error\":\"{}\"", error_text(result.result));
        }
        line.push_str("}\n");
        self.write(&line);
    }
}

/// The few instructions that revm and geth name differently.
fn geth_name(name: &str) -> &str {
    match name {
        "DIFFICULTY" => "PREVRANDAO",
        name => name,
    }
}

/// geth's words for the reasons why an execution ends.
fn error_text(result: InstructionResult) -> String {
    match result {
        InstructionResult::Revert => "execution reverted".into(),
        InstructionResult::OutOfGas
        | InstructionResult::MemoryOOG
        | InstructionResult::MemoryLimitOOG
        | InstructionResult::PrecompileOOG
        | InstructionResult::InvalidOperandOOG
        | InstructionResult::ReentrancySentryOOG => "out of gas".into(),
        InstructionResult::InvalidJump => "invalid jump destination".into(),
        InstructionResult::StackUnderflow => "stack underflow".into(),
        InstructionResult::StackOverflow => "stack limit reached".into(),
        InstructionResult::OpcodeNotFound | InstructionResult::InvalidFEOpcode => "invalid opcode".into(),
        InstructionResult::StateChangeDuringStaticCall | InstructionResult::CallNotAllowedInsideStatic => {
            "write protection".into()
        }
        InstructionResult::OutOfOffset => "return data out of bounds".into(),
        InstructionResult::CreateCollision => "contract address collision".into(),
        InstructionResult::CreateContractSizeLimit => "max code size exceeded".into(),
        InstructionResult::CreateContractStartingWithEF => "invalid code: must not begin with 0xef".into(),
        InstructionResult::CallTooDeep => "max call depth exceeded".into(),
        InstructionResult::OutOfFunds => "insufficient balance for transfer".into(),
        other => format!("{other:?}"),
    }
}

impl<CTX: ContextTr> Inspector<CTX, EthInterpreter> for StepTracer {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, context: &mut CTX) {
        if interpreter.bytecode.bytecode_len() == 0 {
            // revm runs its implicit STOP where geth runs nothing.
            return;
        }
        let depth = context.journal_mut().depth();
        self.begin(interpreter, depth, context.cfg().spec().into());
    }

    fn step_end(&mut self, interpreter: &mut Interpreter<EthInterpreter>, _: &mut CTX) {
        let action = interpreter.bytecode.action().as_ref();
        let result = action.and_then(|action| action.instruction_result());
        let error = result.filter(|result| !result.is_ok() && *result != InstructionResult::Revert);
        let error = error.map(|error| match error {
            // revm has one reason for a DUP or SWAP that cannot be done.
            InstructionResult::StackOverflow if interpreter.stack.len() < STACK_LIMIT => {
                InstructionResult::StackUnderflow
            }
            error => error,
        });
        let gas_given = match action {
            Some(InterpreterAction::NewFrame(FrameInput::Create(inputs))) => inputs.gas_limit(),
            _ => 0,
        };
        self.end(interpreter, gas_given, error);
    }

    fn call(&mut self, _: &mut CTX, _: &mut CallInputs) -> Option<CallOutcome> {
        self.outer_refunds.push(self.refund);
        None
    }

    fn call_end(&mut self, context: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        self.outer_refunds.pop();
        self.summary(context.journal_mut().depth(), &outcome.result);
    }

    fn create(&mut self, _: &mut CTX, _: &mut CreateInputs) -> Option<CreateOutcome> {
        self.outer_refunds.push(self.refund);
        None
    }

    fn create_end(&mut self, context: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.outer_refunds.pop();
        self.summary(context.journal_mut().depth(), &outcome.result);
    }
}
