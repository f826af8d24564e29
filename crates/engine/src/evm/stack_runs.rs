//! Runs of instructions that only move and combine words. Most of what a contract executes is PUSH, DUP, SWAP, POP, jumps
//! and plain arithmetic; revm fetches each by itself, with its counter and its gas in memory. Here the first of such a run
//! goes on through all that follow, with both in registers, and gives back at the first instruction of another kind.
//!
//! Prices, limits and failures are revm's; a failed instruction ends the frame with the same result. What needs more than the
//! stack in some cases (memory that has to grow, short call data) is left to revm's instruction in those cases. No
//! instruction of these asks the host anything, so a journal sees nothing of it. For machines without an inspector.

use std::sync::atomic::{AtomicBool, Ordering};

use revm::Database;
use revm::bytecode::JumpTable;
use revm::bytecode::opcode::*;
use revm::context::JournalTr;
use revm::handler::instructions::EthInstructions;
use revm::interpreter::interpreter::{EthInterpreter, InputsImpl};
use revm::interpreter::interpreter_types::Jumps;
use revm::interpreter::{
    CallInput, Instruction, InstructionContext, InstructionExecResult, InstructionResult, Interpreter,
    STACK_LIMIT, SharedMemory,
};
use revm::primitives::U256;
use revm::primitives::hardfork::SpecId;

use super::EngineContext;
use crate::error::Fault;

const BASE: u64 = 2;
const VERY_LOW: u64 = 3;
const MID: u64 = 8;
const HIGH: u64 = 10;
const DESTINATION: u64 = 1;

/// What ends a frame whose code the analysis has not padded: there is none.
const UNPADDED: InstructionExecResult = Err(InstructionResult::OpcodeNotFound);

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
    let stop = || {
        WATCHED && (host.chain.cancel.load(Ordering::Relaxed) || host.chain.abandon.load(Ordering::Relaxed))
    };
    // The frame's loop is past the instruction that it gave us.
    let from = interpreter.bytecode.pc() - 1;
    execute(interpreter, from, stop, |_| {})
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
    let mut last = STOP;
    let from = interpreter.bytecode.pc();
    let stop = || flags.iter().any(|flag| flag.load(Ordering::Relaxed));
    let ended = execute(interpreter, from, stop, |instruction| {
        counts[usize::from(instruction)] += 1;
        last = instruction;
    });
    if ended.is_ok() {
        // The one that the run did not take.
        counts[usize::from(last)] -= 1;
    }
    (last, ended)
}

#[inline(always)]
fn execute(
    interpreter: &mut Interpreter<EthInterpreter>,
    from: usize,
    stop: impl Fn() -> bool,
    count: impl FnMut(u8),
) -> InstructionExecResult {
    let Some(jumps) = interpreter.bytecode.legacy_jump_table() else { return UNPADDED };
    let spec = interpreter.runtime_flag.spec_id;
    let mut run = Run {
        code: interpreter.bytecode.bytes_slice(),
        jumps,
        pc: from,
        gas: interpreter.gas.remaining(),
        has_shifts: spec.is_enabled_in(SpecId::PETERSBURG),
        has_push0: spec.is_enabled_in(SpecId::SHANGHAI),
    };
    let mut words = Words::take(interpreter.stack.data_mut());
    let ended = run.go(&mut words, &mut interpreter.memory, &interpreter.input, stop, count);
    let Run { pc, gas, .. } = run;
    words.give_back(interpreter.stack.data_mut());
    interpreter.gas.set_remaining(gas);
    interpreter.bytecode.absolute_jump(pc);
    ended
}

struct Run<'c> {
    code: &'c [u8],
    jumps: &'c JumpTable,
    pc: usize,
    gas: u64,
    has_shifts: bool,
    has_push0: bool,
}

/// What an instruction made of the stack; `None` where it fails.
type Done = Option<()>;

/// Pays an instruction's price and does its work; leaves the loop where either fails.
macro_rules! run {
    ($gas:ident, $price:expr, $failure:ident, $work:expr) => {{
        match $gas.checked_sub($price) {
            Some(left) => $gas = left,
            None => break Err(InstructionResult::OutOfGas),
        }
        let done: Done = $work;
        if done.is_none() {
            break Err(InstructionResult::$failure);
        }
    }};
}

macro_rules! grow {
    ($gas:ident, $price:ident, $work:expr) => {
        run!($gas, $price, StackOverflow, $work)
    };
}

macro_rules! shrink {
    ($gas:ident, $work:expr) => {
        run!($gas, VERY_LOW, StackUnderflow, $work)
    };
}

/// JUMP or JUMPI: `$decide` takes from the stack what the instruction finds there and says whether it jumps; then it goes on
/// behind the destination.
macro_rules! jump {
    ($jumps:expr, $words:ident.$decide:ident, $instruction:expr, $target:expr, $gas:ident, $next:ident, $count:ident) => {{
        let is_conditional = $instruction == JUMPI;
        let (target, mut taken) = ($target, true);
        let price = if is_conditional { HIGH } else { MID };
        run!($gas, price, StackUnderflow, $words.$decide(is_conditional, &mut taken));
        if taken {
            if !$jumps.is_valid(target) {
                break Err(InstructionResult::InvalidJump);
            }
            // A valid one is a JUMPDEST.
            $count(JUMPDEST);
            run!($gas, DESTINATION, StackUnderflow, Some(()));
            $next = target + 1;
        }
    }};
}

impl Run<'_> {
    /// Executes up to the first instruction of another kind, or a failure. `stop` is asked at jumps; the frame's loop then
    /// meets that jump itself. Every instruction has an arm by name, so that one table leads to all of them.
    #[inline(always)]
    #[rustfmt::skip]
    fn go(
        &mut self, words: &mut Words, memory: &mut SharedMemory, input: &InputsImpl, stop: impl Fn() -> bool,
        mut count: impl FnMut(u8),
    ) -> InstructionExecResult {
        let (code, mut pc, mut gas) = (self.code, self.pc, self.gas);
        let ended = loop {
            let Some(&instruction) = code.get(pc) else { break UNPADDED };
            let mut next = pc + 1;
            count(instruction);
            match instruction {
                PUSH1 => grow!(gas, VERY_LOW, words.push_bytes(code, &mut next, |[byte]| Word::small(u64::from(*byte)))),
                PUSH2 => match code.get(next..next + 3) {
                    // The two are most jumps: the target need not pass the stack.
                    Some(&[high, low, jump @ (JUMP | JUMPI)]) if !stop() => {
                        grow!(gas, VERY_LOW, words.has_room());
                        count(jump);
                        next += 3;
                        let target = usize::from(u16::from_be_bytes([high, low]));
                        jump!(self.jumps, words.decide, jump, target, gas, next, count);
                    }
                    _ => grow!(gas, VERY_LOW, words.push_bytes(code, &mut next, |bytes| Word::small(u16::from_be_bytes(*bytes).into()))),
                },
                PUSH4 => grow!(gas, VERY_LOW, words.push_bytes(code, &mut next, |bytes| Word::small(u32::from_be_bytes(*bytes).into()))),
                PUSH20 => grow!(gas, VERY_LOW, words.push_bytes(code, &mut next, Word::from_address)),
                PUSH32 => grow!(gas, VERY_LOW, words.push_bytes(code, &mut next, Word::from_bytes)),
                PUSH3 | PUSH5 | PUSH6 | PUSH7 | PUSH8 | PUSH9 | PUSH10 | PUSH11 | PUSH12 | PUSH13 | PUSH14 | PUSH15
                | PUSH16 | PUSH17 | PUSH18 | PUSH19 | PUSH21 | PUSH22 | PUSH23 | PUSH24 | PUSH25 | PUSH26 | PUSH27
                | PUSH28 | PUSH29 | PUSH30 | PUSH31 => grow!(gas, VERY_LOW, words.push_some(code, &mut next, instruction - PUSH0)),
                PUSH0 if self.has_push0 => grow!(gas, BASE, words.push(Word::small(0))),
                // revm calls every failure of DUP an overflow.
                DUP1 => grow!(gas, VERY_LOW, words.duplicate_top()),
                DUP2 | DUP3 | DUP4 | DUP5 | DUP6 | DUP7 | DUP8 | DUP9 | DUP10 | DUP11 | DUP12 | DUP13 | DUP14 | DUP15
                | DUP16 => grow!(gas, VERY_LOW, words.duplicate(instruction - DUP1)),
                SWAP1 | SWAP2 | SWAP3 | SWAP4 | SWAP5 | SWAP6 | SWAP7 | SWAP8 | SWAP9 | SWAP10 | SWAP11 | SWAP12
                | SWAP13 | SWAP14 | SWAP15 | SWAP16 => {
                    // With the POP that often follows, one word less moves.
                    let drops = code.get(next) == Some(&POP);
                    shrink!(gas, words.swap(instruction - SWAP1, drops));
                    if drops {
                        count(POP);
                        run!(gas, BASE, StackUnderflow, Some(()));
                        next += 1;
                    }
                }
                POP => {
                    run!(gas, BASE, StackUnderflow, words.pop());
                    if code.get(next) == Some(&POP) {
                        count(POP);
                        run!(gas, BASE, StackUnderflow, words.pop());
                        next += 1;
                    }
                }
                JUMPDEST => run!(gas, DESTINATION, StackUnderflow, Some(())),
                JUMP | JUMPI if stop() => break Ok(()),
                JUMP | JUMPI => jump!(self.jumps, words.jump, instruction, words.top.index(), gas, next, count),
                ADD => shrink!(gas, words.binary(Word::add)),
                SUB => shrink!(gas, words.binary(Word::sub)),
                AND => shrink!(gas, words.binary(|one, two| one.limbs(two, |a, b| a & b))),
                OR => shrink!(gas, words.binary(|one, two| one.limbs(two, |a, b| a | b))),
                XOR => shrink!(gas, words.binary(|one, two| one.limbs(two, |a, b| a ^ b))),
                EQ => shrink!(gas, words.binary(|one, two| Word::truth(one.is(two)))),
                LT => shrink!(gas, words.binary(|one, two| Word::truth(one.is_less(two)))),
                GT => shrink!(gas, words.binary(|one, two| Word::truth(two.is_less(one)))),
                SLT => shrink!(gas, words.binary(|one, two| Word::truth(one.is_less_signed(two)))),
                SGT => shrink!(gas, words.binary(|one, two| Word::truth(two.is_less_signed(one)))),
                SHL if self.has_shifts => shrink!(gas, words.binary(|by, word| word.shift_left(by))),
                SHR if self.has_shifts => shrink!(gas, words.binary(|by, word| word.shift_right(by))),
                ISZERO => shrink!(gas, words.unary(|word| Word::truth(word.is_zero()))),
                NOT => shrink!(gas, words.unary(|word| word.limbs(word, |limb, _| !limb))),
                CALLER => grow!(gas, BASE, words.push(Word::from_bytes(&input.caller_address.into_word().0))),
                CALLVALUE => grow!(gas, BASE, words.push(input.call_value.into())),
                CALLDATASIZE => grow!(gas, BASE, words.push(Word::small(input.input.len() as u64))),
                CALLDATALOAD => {
                    // Another frame's memory, and what reaches over the end, are revm's.
                    let Some(word) = call_data_word(words.top, &input.input) else { break Ok(()) };
                    shrink!(gas, words.unary(|_| word));
                }
                MLOAD | MSTORE => {
                    // Memory that has to grow is revm's.
                    let Some(at) = place_in_memory(words.top, memory) else { break Ok(()) };
                    shrink!(gas, words.access_memory(memory, at, instruction == MLOAD));
                }
                _ => break Ok(()),
            }
            pc = next;
        };
        (self.pc, self.gas) = (pc, gas);
        ended
    }
}

/// A word as four numbers, the lowest first. They travel one by one: a processor hands on what it has just stored only to
/// a read of the same width.
#[derive(Clone, Copy)]
struct Word(u64, u64, u64, u64);

impl From<U256> for Word {
    #[inline(always)]
    fn from(word: U256) -> Self {
        let [a, b, c, d] = *word.as_limbs();
        Self(a, b, c, d)
    }
}

impl Word {
    #[inline(always)]
    fn whole(self) -> U256 {
        U256::from_limbs([self.0, self.1, self.2, self.3])
    }

    #[inline(always)]
    const fn small(value: u64) -> Self {
        Self(value, 0, 0, 0)
    }

    #[inline(always)]
    fn truth(value: bool) -> Self {
        Self::small(u64::from(value))
    }

    /// From big-endian bytes. Each width reads whole numbers: a loop over bytes would be the longest part of a PUSH.
    #[inline(always)]
    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let number = |at: usize| {
            let mut part = [0u8; 8];
            part.copy_from_slice(&bytes[at..at + 8]);
            u64::from_be_bytes(part)
        };
        Self(number(24), number(16), number(8), number(0))
    }

    #[inline(always)]
    fn from_address(bytes: &[u8; 20]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = *bytes;
        Self(
            u64::from_be_bytes([m, n, o, p, q, r, s, t]),
            u64::from_be_bytes([e, f, g, h, i, j, k, l]),
            u64::from(u32::from_be_bytes([a, b, c, d])),
            0,
        )
    }

    /// As an index; too large a one as the largest.
    #[inline(always)]
    fn index(self) -> usize {
        if self.1 | self.2 | self.3 == 0 { usize::try_from(self.0).unwrap_or(usize::MAX) } else { usize::MAX }
    }

    #[inline(always)]
    fn limbs(self, other: Self, work: impl Fn(u64, u64) -> u64) -> Self {
        Self(work(self.0, other.0), work(self.1, other.1), work(self.2, other.2), work(self.3, other.3))
    }

    #[inline(always)]
    fn is_zero(self) -> bool {
        self.0 | self.1 | self.2 | self.3 == 0
    }

    #[inline(always)]
    fn is(self, other: Self) -> bool {
        self.limbs(other, |one, two| one ^ two).is_zero()
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let (a, carry) = self.0.overflowing_add(other.0);
        let (b, carry) = self.1.carrying_add(other.1, carry);
        let (c, carry) = self.2.carrying_add(other.2, carry);
        let (d, _) = self.3.carrying_add(other.3, carry);
        Self(a, b, c, d)
    }

    /// The difference, and whether it is below zero.
    #[inline(always)]
    fn borrowing_sub(self, other: Self) -> (Self, bool) {
        let (a, borrow) = self.0.overflowing_sub(other.0);
        let (b, borrow) = self.1.borrowing_sub(other.1, borrow);
        let (c, borrow) = self.2.borrowing_sub(other.2, borrow);
        let (d, borrow) = self.3.borrowing_sub(other.3, borrow);
        (Self(a, b, c, d), borrow)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.borrowing_sub(other).0
    }

    #[inline(always)]
    fn is_less(self, other: Self) -> bool {
        self.borrowing_sub(other).1
    }

    #[inline(always)]
    fn is_less_signed(self, other: Self) -> bool {
        let moved = |word: Self| Self(word.0, word.1, word.2, word.3 ^ (1 << 63));
        moved(self).is_less(moved(other))
    }

    #[inline(always)]
    fn shift_left(self, by: Self) -> Self {
        match by.index() {
            by @ 0..256 => (self.whole() << by).into(),
            _ => Self::small(0),
        }
    }

    #[inline(always)]
    fn shift_right(self, by: Self) -> Self {
        match by.index() {
            by @ 0..256 => (self.whole() >> by).into(),
            _ => Self::small(0),
        }
    }
}

/// The stack, taken out of its frame: the topmost word apart, so that it stays in registers, and what is below it.
struct Words {
    below: Vec<U256>,
    /// Of no meaning where there is none.
    top: Word,
    is_empty: bool,
}

impl Words {
    #[inline(always)]
    fn take(stack: &mut Vec<U256>) -> Self {
        let mut below = std::mem::take(stack);
        let top = below.pop();
        Self { below, top: top.unwrap_or_default().into(), is_empty: top.is_none() }
    }

    #[inline(always)]
    fn give_back(mut self, stack: &mut Vec<U256>) {
        if !self.is_empty {
            self.below.push(self.top.whole());
        }
        *stack = self.below;
    }

    #[inline(always)]
    fn has_room(&self) -> Done {
        // The second condition never holds without the first; it tells the compiler that the stack does not move.
        let is_full = self.below.len() >= STACK_LIMIT - 1 || self.below.len() >= self.below.capacity();
        if is_full { None } else { Some(()) }
    }

    #[inline(always)]
    fn push(&mut self, word: Word) -> Done {
        if self.is_empty {
            self.is_empty = false;
        } else {
            self.has_room()?;
            self.below.push(self.top.whole());
        }
        self.top = word;
        Some(())
    }

    #[inline(always)]
    fn pop_below(&mut self) -> Option<Word> {
        let word: Word = (*self.below.last()?).into();
        self.below.truncate(self.below.len() - 1);
        Some(word)
    }

    #[inline(always)]
    fn pop(&mut self) -> Done {
        match self.pop_below() {
            Some(next) => self.top = next,
            None if self.is_empty => return None,
            None => self.is_empty = true,
        }
        Some(())
    }

    /// PUSH of a length that is known when this is compiled.
    #[inline(always)]
    fn push_bytes<const LENGTH: usize>(
        &mut self,
        code: &[u8],
        next: &mut usize,
        read: impl FnOnce(&[u8; LENGTH]) -> Word,
    ) -> Done {
        let bytes: &[u8; LENGTH] = code.get(*next..*next + LENGTH)?.try_into().ok()?;
        *next += LENGTH;
        self.push(read(bytes))
    }

    #[inline(always)]
    fn push_some(&mut self, code: &[u8], next: &mut usize, length: u8) -> Done {
        let end = *next + usize::from(length);
        let word = U256::from_be_slice(code.get(*next..end)?);
        *next = end;
        self.push(word.into())
    }

    #[inline(always)]
    fn duplicate_top(&mut self) -> Done {
        if self.is_empty { None } else { self.push(self.top) }
    }

    /// DUP of the word that so many are above.
    #[inline(always)]
    fn duplicate(&mut self, above: u8) -> Done {
        let place = self.below.len().checked_sub(usize::from(above))?;
        let word: Word = (*self.below.get(place)?).into();
        self.push(word)
    }

    /// SWAP, and POP with `drops`; `between` is 0 for the two topmost words.
    #[inline(always)]
    fn swap(&mut self, between: u8, drops: bool) -> Done {
        let place = self.below.len().checked_sub(usize::from(between) + 1)?;
        if drops {
            *self.below.get_mut(place)? = self.top.whole();
            return self.pop();
        }
        let other = self.below.get_mut(place)?;
        let word: Word = (*other).into();
        *other = self.top.whole();
        self.top = word;
        Some(())
    }

    #[inline(always)]
    fn unary(&mut self, work: impl FnOnce(Word) -> Word) -> Done {
        if self.is_empty {
            return None;
        }
        self.top = work(self.top);
        Some(())
    }

    #[inline(always)]
    fn binary(&mut self, work: impl FnOnce(Word, Word) -> Word) -> Done {
        let second = self.pop_below()?;
        self.top = work(self.top, second);
        Some(())
    }

    /// JUMP and JUMPI to the topmost word.
    #[inline(always)]
    fn jump(&mut self, is_conditional: bool, taken: &mut bool) -> Done {
        if is_conditional {
            *taken = !self.pop_below()?.is_zero();
        }
        self.pop()
    }

    /// The same to a target that never came to the stack.
    #[inline(always)]
    fn decide(&mut self, is_conditional: bool, taken: &mut bool) -> Done {
        if !is_conditional {
            return Some(());
        }
        *taken = !self.top.is_zero();
        self.pop()
    }

    #[inline(always)]
    fn access_memory(&mut self, memory: &mut SharedMemory, at: usize, is_load: bool) -> Done {
        if is_load {
            return self.unary(|_| memory.get_u256(at).into());
        }
        memory.set_u256(at, self.pop_below()?.whole());
        self.pop()
    }
}

/// The word of the call data at a place, where all of it is there.
#[inline(always)]
fn call_data_word(place: Word, input: &CallInput) -> Option<Word> {
    let CallInput::Bytes(input) = input else { return None };
    let from = place.index();
    let bytes: &[u8; 32] = input.get(from..from.checked_add(32)?)?.try_into().ok()?;
    Some(Word::from_bytes(bytes))
}

/// Where MLOAD and MSTORE go, where the memory reaches that far.
#[inline(always)]
fn place_in_memory(place: Word, memory: &SharedMemory) -> Option<usize> {
    let place = place.index();
    (place.checked_add(32)? <= memory.len()).then_some(place)
}
