//! The step tracer: an inspector that writes one JSON object a line for every instruction, with the fields, the
//! order and the number formats of geth's JSON logger (EIP-3155) or of its struct logger (what `debug_traceTransaction`
//! gives where no tracer is named), so that tools made for its output read ours.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;

use alloy_primitives::{Address, U256};
use revm::bytecode::opcode;
use revm::context::{Cfg, ContextTr, JournalTr};
use revm::inspector::Inspector;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::{InputsTr, LegacyBytecode, LoopControl, MemoryTr, ReturnData};
use revm::interpreter::{
    CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, InstructionResult, Interpreter,
    InterpreterAction, InterpreterResult,
};
use revm::primitives::hardfork::SpecId;

use super::failure::{Failure, geth_name};
use super::pricing::{Before, Limits};

/// How a step is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StepFormat {
    /// A line of EIP-3155: numbers in hex, a summary at the end.
    #[default]
    Eip3155,
    /// An entry of `structLogs`: decimal numbers, words of memory; without a summary.
    Struct,
}

/// What a trace holds beside the always-present fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceFields {
    /// The whole memory before each step.
    pub memory: bool,
    /// The data returned by the last call, before each step.
    pub return_data: bool,
    /// Leave the stack out.
    pub no_stack: bool,
    /// Leave out what SLOAD and SSTORE found and wrote (struct logs only).
    pub no_storage: bool,
    /// How a step is written.
    pub format: StepFormat,
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
    before: Before,
    refund: i64,
    spec: SpecId,
    tail: String,
    pending: bool,
    /// Whose slot, and for a write the new value, where the instruction is about one.
    slot: Option<(Address, U256, Option<U256>)>,
    depth: usize,
    /// Why it failed.
    failure: Option<Failure>,
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
    /// The slots that the transaction has met so far, by contract.
    storage: BTreeMap<Address, BTreeMap<U256, U256>>,
    failed: Option<std::io::Error>,
}

impl StepTracer {
    /// A tracer that writes nowhere until [`Self::start`].
    pub fn new(fields: TraceFields) -> Self {
        Self {
            out: None,
            fields,
            step: Step::default(),
            outer_refunds: Vec::new(),
            refund: 0,
            storage: BTreeMap::new(),
            failed: None,
        }
    }

    /// Begins the trace of a transaction.
    pub fn start(&mut self, out: Box<dyn Write>) {
        self.out = Some(out);
        self.outer_refunds.clear();
        self.storage.clear();
        self.refund = 0;
    }

    /// What geth's refund counter begins with: refunds for authorizations.
    pub(crate) fn refunded_early(&mut self, gas: u64) {
        // At most what the gas limit allows.
        self.refund = i64::try_from(gas).unwrap_or(i64::MAX);
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
        self.step.refund = self.refund_in(interpreter);
        let step = &mut self.step;
        step.before = Before::new(interpreter);
        step.spec = spec;
        (step.depth, step.failure, step.pending) = (depth, None, true);
        step.line.clear();
        step.tail.clear();
        match self.fields.format {
            StepFormat::Eip3155 => self.begin_line(interpreter),
            StepFormat::Struct => self.begin_entry(interpreter),
        }
    }

    fn begin_line(&mut self, interpreter: &Interpreter<EthInterpreter>) {
        let Step { line, tail, before: Before { op, gas, pc, .. }, depth, .. } = &mut self.step;
        // Writing to a String cannot fail.
        let _ = write!(line, "{{\"pc\":{pc},\"op\":{op},\"gas\":\"{gas:#x}\"");
        if self.fields.memory && interpreter.memory.size() > 0 {
            let memory = interpreter.memory.slice(0..interpreter.memory.size());
            let _ = write!(tail, ",\"memory\":\"{}\"", alloy_primitives::hex::encode_prefixed(&*memory));
        }
        let _ = write!(tail, ",\"memSize\":{}", interpreter.memory.size());
        write_stack(tail, interpreter, self.fields.no_stack);
        let returned = interpreter.return_data.buffer();
        if self.fields.return_data && !returned.is_empty() {
            let _ = write!(tail, ",\"returnData\":\"{returned}\"");
        }
        let _ = write!(tail, ",\"depth\":{depth}");
    }

    fn begin_entry(&mut self, interpreter: &Interpreter<EthInterpreter>) {
        let Step { line, tail, before: Before { op, gas, pc, .. }, slot, .. } = &mut self.step;
        let _ = write!(line, "{{\"pc\":{pc},\"op\":\"{}\",\"gas\":{gas}", geth_name(*op));
        write_stack(tail, interpreter, self.fields.no_stack);
        let returned = interpreter.return_data.buffer();
        if self.fields.return_data && !returned.is_empty() {
            let _ = write!(tail, ",\"returnData\":\"{returned}\"");
        }
        if self.fields.memory && interpreter.memory.size() > 0 {
            tail.push_str(",\"memory\":[");
            let memory = interpreter.memory.slice(0..interpreter.memory.size());
            for (index, word) in memory.chunks(32).enumerate() {
                let comma = if index == 0 { "" } else { "," };
                let _ = write!(tail, "{comma}\"{}\"", alloy_primitives::hex::encode_prefixed(word));
            }
            tail.push(']');
        }
        *slot = None;
        if matches!(*op, opcode::SLOAD | opcode::SSTORE)
            && let Ok(key) = interpreter.stack.peek(0)
        {
            let new = if *op == opcode::SSTORE { interpreter.stack.peek(1).ok() } else { None };
            *slot = Some((interpreter.input.target_address(), key, new));
        }
    }

    /// Writes the step. `gas_given` is what a creation hands to its init code: geth takes that after the instruction,
    /// whereas it counts a call's gas as part of the call's cost.
    fn end(&mut self, interpreter: &Interpreter<EthInterpreter>, gas_given: u64, failure: Option<Failure>) {
        self.refund = self.refund_in(interpreter);
        if !std::mem::take(&mut self.step.pending) {
            return;
        }
        self.step.failure = failure;
        let Step { before: Before { op, gas, .. }, spec, .. } = self.step;
        let spent = gas.saturating_sub(interpreter.gas.remaining()).saturating_sub(gas_given);
        // Of a step that failed the price is what geth makes of it, as far as that is known without the state.
        let price = failure.and_then(|failure| self.step.before.price(failure, spec));
        let cost = price.unwrap_or(spent);
        // geth prices these two, and with that moves the counter, before it writes their line.
        let refund =
            if matches!(op, opcode::SSTORE | opcode::SELFDESTRUCT) { self.refund } else { self.step.refund };
        let mut line = std::mem::take(&mut self.step.line);
        match self.fields.format {
            StepFormat::Eip3155 => {
                let _ = write!(line, ",\"gasCost\":\"{cost:#x}\"{}", self.step.tail);
                let _ = write!(line, ",\"refund\":{refund},\"opName\":\"{}\"", geth_name(op));
                if let Some(failure) = failure {
                    let _ = write!(line, ",\"error\":\"{failure}\"");
                }
                line.push_str("}\n");
            }
            StepFormat::Struct => {
                // What fails while it runs, geth has logged before.
                let failure = failure.filter(|failure| failure.is_priced());
                self.end_entry(&mut line, interpreter, cost, refund, failure);
            }
        }
        self.write(&line);
        self.step.line = line;
    }

    fn end_entry(
        &mut self,
        line: &mut String,
        interpreter: &Interpreter<EthInterpreter>,
        cost: u64,
        refund: i64,
        failure: Option<Failure>,
    ) {
        let _ = write!(line, ",\"gasCost\":{cost},\"depth\":{}", self.step.depth);
        if let Some(failure) = failure {
            let _ = write!(line, ",\"error\":\"{failure}\"");
        }
        line.push_str(&self.step.tail);
        if let Some((owner, key, new)) = self.step.slot.take()
            && failure.is_none()
            && !self.fields.no_storage
        {
            let value = new.or_else(|| interpreter.stack.peek(0).ok()).unwrap_or_default();
            let slots = self.storage.entry(owner).or_default();
            slots.insert(key, value);
            line.push_str(",\"storage\":{");
            for (index, (slot, value)) in slots.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                let _ = write!(line, "{comma}\"{slot:#066x}\":\"{value:#066x}\"");
            }
            line.push('}');
        }
        if refund != 0 {
            let _ = write!(line, ",\"refund\":{refund}");
        }
        line.push_str("}\n");
    }

    /// Why the transaction's own frame failed.
    fn failure_of(&self, result: &InterpreterResult) -> Failure {
        self.step.failure.unwrap_or_else(|| Failure::of_result(result.result))
    }

    fn summary(&mut self, depth: usize, result: &InterpreterResult) {
        if depth != 0 || self.fields.format == StepFormat::Struct {
            return;
        }
        let output = alloy_primitives::hex::encode(&result.output);
        // An exceptional halt takes all the gas that the call was given.
        let halted = !result.result.is_ok() && result.result != InstructionResult::Revert;
        let used = if halted { result.gas.limit() } else { result.gas.total_gas_spent() };
        let mut line = format!("{{\"output\":\"{output}\",\"gasUsed\":\"{used:#x}\"");
        if !result.result.is_ok() {
            let _ = write!(line, ",\"error\":\"{}\"", self.failure_of(result));
        }
        line.push_str("}\n");
        self.write(&line);
    }
}

fn write_stack(out: &mut String, interpreter: &Interpreter<EthInterpreter>, left_out: bool) {
    if left_out {
        return;
    }
    out.push_str(",\"stack\":[");
    for (index, word) in interpreter.stack.data().iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}\"{word:#x}\"");
    }
    out.push(']');
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

    fn step_end(&mut self, interpreter: &mut Interpreter<EthInterpreter>, context: &mut CTX) {
        let action = interpreter.bytecode.action().as_ref();
        let result = action.and_then(|action| action.instruction_result());
        let failure = result.and_then(|result| self.step.before.failure(result, &Limits::of(context.cfg())));
        // A frame that takes itself back has not failed at this step.
        let failure = failure.filter(|failure| *failure != Failure::Revert);
        let gas_given = match action {
            Some(InterpreterAction::NewFrame(FrameInput::Create(inputs))) => inputs.gas_limit(),
            _ => 0,
        };
        self.end(interpreter, gas_given, failure);
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
