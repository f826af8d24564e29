//! What geth says of an instruction that failed. revm and geth refuse the same instructions, but look for reasons in another
//! order: geth looks at the stack, then at the fixed price, then whether sizes fit 64 bits, then at the rest of the price,
//! which has errors of its own. So what an instruction meets is noted before it runs, and read where it fails.

use alloy_primitives::U256;
use revm::bytecode::opcode::{self, OpCode};
use revm::context::Cfg;
use revm::interpreter::instructions::gas_table_spec;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::{Jumps, MemoryTr};
use revm::interpreter::{InstructionResult, Interpreter, STACK_LIMIT};
use revm::primitives::hardfork::SpecId;

use super::failure::{
    Failure, GAS_OVERFLOW, MEMORY_OVERFLOW, OUT_OF_CALL_GAS, OUT_OF_GAS, PRICED_WRITE, WRITE,
};

/// The most words that an instruction takes which are looked at.
const MOST_WORDS: usize = 7;
/// geth refuses more memory without pricing it.
const MOST_MEMORY_BYTES: u64 = 0x1F_FFFF_FFE0;
/// Added to a call for an account that is not warm.
const COLD_GAS: u64 = 2_500;
/// Added to a self-destruction, likewise.
const COLD_HEIR_GAS: u64 = 2_600;
/// Added to a call that sends value.
const VALUE_GAS: u64 = 9_000;

/// A creation's fixed price.
const CREATE_GAS: u64 = 32_000;
/// A word that is copied.
const COPY_WORD_GAS: u64 = 3;
/// A word that is hashed.
const HASH_WORD_GAS: u64 = 6;
/// A word of init code.
const INITCODE_WORD_GAS: u64 = 2;
/// A log, and again each of its topics.
const LOG_GAS: u64 = 375;
/// A byte of a log.
const LOG_BYTE_GAS: u64 = 8;

/// The part of a price that geth takes before it looks at anything else.
fn fixed_gas(op: u8, spec: SpecId) -> u64 {
    match op {
        opcode::CREATE | opcode::CREATE2 => CREATE_GAS,
        opcode::LOG0..=opcode::LOG4 | opcode::SSTORE | opcode::EXP => 0,
        opcode::SLOAD if spec.is_enabled_in(SpecId::BERLIN) => 0,
        op => u64::from(gas_table_spec(spec)[usize::from(op)]),
    }
}

/// What an instruction met before it ran.
#[derive(Clone, Copy, Debug, Default)]
pub struct Before {
    /// The instruction.
    pub op: u8,
    /// How many words were on the stack.
    pub words: usize,
    /// Its place in the code.
    pub pc: usize,
    /// Gas left.
    pub gas: u64,
    memory: usize,
    /// The top of the stack, where the instruction may fail for it.
    top: [U256; MOST_WORDS],
}

/// Limits that the texts name.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The fork.
    pub spec: SpecId,
    /// The most bytes of init code.
    pub initcode: usize,
}

impl Limits {
    /// Of a configuration.
    pub fn of(cfg: impl Cfg<Spec: Into<SpecId>>) -> Self {
        Self { spec: cfg.spec().into(), initcode: cfg.max_initcode_size() }
    }
}

/// Where an instruction takes offset and length of the memory that it uses.
const fn memory_places(op: u8) -> &'static [(usize, Length)] {
    use Length::{At, Fixed};
    match op {
        opcode::MLOAD | opcode::MSTORE => &[(0, Fixed(32))],
        opcode::MSTORE8 => &[(0, Fixed(1))],
        opcode::KECCAK256
        | opcode::RETURN
        | opcode::REVERT
        | opcode::LOG0
        | opcode::LOG1
        | opcode::LOG2
        | opcode::LOG3
        | opcode::LOG4 => &[(0, At(1))],
        opcode::CALLDATACOPY | opcode::CODECOPY | opcode::RETURNDATACOPY => &[(0, At(2))],
        opcode::MCOPY => &[(0, At(2)), (1, At(2))],
        opcode::EXTCODECOPY => &[(1, At(3))],
        opcode::CREATE | opcode::CREATE2 => &[(1, At(2))],
        opcode::CALL | opcode::CALLCODE => &[(3, At(4)), (5, At(6))],
        opcode::DELEGATECALL | opcode::STATICCALL => &[(2, At(3)), (4, At(5))],
        _ => &[],
    }
}

#[derive(Clone, Copy)]
enum Length {
    Fixed(u64),
    At(usize),
}

impl Before {
    /// Notes what the instruction at hand meets.
    pub fn new(interpreter: &Interpreter<EthInterpreter>) -> Self {
        let op = interpreter.bytecode.opcode();
        let mut before = Self {
            op,
            words: interpreter.stack.len(),
            pc: interpreter.bytecode.pc(),
            gas: interpreter.gas.remaining(),
            ..Self::default()
        };
        if !memory_places(op).is_empty() {
            before.memory = interpreter.memory.size();
            for (place, word) in before.top.iter_mut().enumerate() {
                *word = interpreter.stack.peek(place).unwrap_or_default();
            }
        }
        before
    }

    /// Why it failed; `None` where it did not.
    pub fn failure(&self, result: InstructionResult, limits: &Limits) -> Option<Failure> {
        let op = self.op;
        if result.is_ok() {
            return None;
        }
        if result == InstructionResult::Revert {
            return Some(Failure::Revert);
        }
        let undefined = matches!(
            result,
            InstructionResult::OpcodeNotFound
                | InstructionResult::NotActivated
                | InstructionResult::InvalidFEOpcode
        );
        if undefined {
            return Some(Failure::InvalidOpcode(op));
        }
        if let Some(failure) = OpCode::new(op).and_then(|op| self.of_stack(op)) {
            return Some(failure);
        }
        let left = self.gas.checked_sub(fixed_gas(op, limits.spec));
        let Some(left) = left else { return Some(OUT_OF_GAS) };
        let Some(memory) = self.memory_bytes() else { return Some(GAS_OVERFLOW) };
        let is_write = matches!(
            result,
            InstructionResult::StateChangeDuringStaticCall | InstructionResult::CallNotAllowedInsideStatic
        );
        let is_late = (opcode::LOG0..=opcode::LOG4).contains(&op) || op == opcode::TSTORE;
        if is_write && !is_late {
            return Some(PRICED_WRITE);
        }
        if memory > MOST_MEMORY_BYTES {
            return Some(MEMORY_OVERFLOW);
        }
        Some(match result {
            _ if is_write => WRITE,
            InstructionResult::CreateInitCodeSizeLimit => {
                Failure::InitCodeSize(self.top[2].saturating_to(), limits.initcode)
            }
            InstructionResult::OutOfGas
            | InstructionResult::MemoryOOG
            | InstructionResult::MemoryLimitOOG
            | InstructionResult::InvalidOperandOOG
                if self.is_call_gas(left, memory, limits.spec) =>
            {
                OUT_OF_CALL_GAS
            }
            InstructionResult::InvalidOperandOOG => OUT_OF_GAS,
            result => Failure::of_result(result),
        })
    }

    /// The price that geth logs of the instruction where it failed; `None` where that needs the state.
    pub fn price(&self, failure: Failure, spec: SpecId) -> Option<u64> {
        let fixed = fixed_gas(self.op, spec);
        if self.gas < fixed || (failure.is_priced() && failure != OUT_OF_GAS) {
            return Some(fixed);
        }
        let length = |place: usize| u64::try_from(self.top[place]).ok();
        let words = |place: usize| Some(length(place)?.div_ceil(32));
        let own = match self.op {
            opcode::MLOAD | opcode::MSTORE | opcode::MSTORE8 | opcode::RETURN | opcode::REVERT => 0,
            opcode::KECCAK256 => HASH_WORD_GAS.checked_mul(words(1)?)?,
            opcode::CALLDATACOPY | opcode::CODECOPY | opcode::RETURNDATACOPY | opcode::MCOPY => {
                COPY_WORD_GAS.checked_mul(words(2)?)?
            }
            opcode::LOG0..=opcode::LOG4 => {
                let topics = u64::from(self.op - opcode::LOG0);
                LOG_BYTE_GAS.checked_mul(length(1)?)?.checked_add(LOG_GAS * (1 + topics))?
            }
            opcode::CREATE | opcode::CREATE2 => {
                let init = if spec.is_enabled_in(SpecId::SHANGHAI) { INITCODE_WORD_GAS } else { 0 };
                let hash = if self.op == opcode::CREATE2 { HASH_WORD_GAS } else { 0 };
                (init + hash).checked_mul(words(2)?)?
            }
            op if memory_places(op).is_empty() && fixed > 0 => 0,
            _ => return None,
        };
        let memory = memory_gas(self.memory_bytes()?).checked_sub(memory_gas(self.memory as u64));
        fixed.checked_add(own)?.checked_add(memory.unwrap_or_default())
    }

    fn of_stack(&self, op: OpCode) -> Option<Failure> {
        let (needed, given) = (usize::from(op.inputs()), usize::from(op.outputs()));
        let (words, most) = (self.words, STACK_LIMIT + needed - given);
        // Both fit: a stack has at most 1,024 words.
        if words < needed {
            return Some(Failure::StackUnderflow(words as u16, needed as u16));
        }
        (words > most).then_some(Failure::StackOverflow(words as u16, most as u16))
    }

    /// Up to where memory is used, in bytes; `None` where that does not fit 64 bits.
    fn memory_bytes(&self) -> Option<u64> {
        let mut most = 0;
        for (offset, length) in memory_places(self.op) {
            let length = match *length {
                Length::Fixed(bytes) => bytes,
                Length::At(place) => u64::try_from(self.top[place]).ok()?,
            };
            if length > 0 {
                most = most.max(u64::try_from(self.top[*offset]).ok()?.checked_add(length)?);
            }
        }
        most.checked_next_multiple_of(32)
    }

    /// Whether a call lacks gas for what geth takes while it prices the call: `left` is what its fixed price left.
    fn is_call_gas(&self, left: u64, memory: u64, spec: SpecId) -> bool {
        let transfer = if self.top[2].is_zero() { 0 } else { VALUE_GAS };
        let intrinsic = memory_gas(memory) - memory_gas(self.memory as u64).min(memory_gas(memory));
        let berlin = spec.is_enabled_in(SpecId::BERLIN);
        match self.op {
            opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL
                if spec.is_enabled_in(SpecId::PRAGUE) =>
            {
                true
            }
            // What is left may be a new account's price, which is taken later.
            opcode::CALL => left < intrinsic + transfer + if berlin { COLD_GAS } else { 0 },
            opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL => berlin && left < COLD_GAS,
            opcode::SELFDESTRUCT => berlin && left < COLD_HEIR_GAS,
            _ => false,
        }
    }
}

/// The price of memory of so many bytes, a multiple of 32.
fn memory_gas(bytes: u64) -> u64 {
    let words = bytes / 32;
    3 * words + words.saturating_mul(words) / 512
}
