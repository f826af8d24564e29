//! The instructions of a run. Each ends by calling the next one with the same arguments, which an optimizing compiler makes a
//! jump: program counter, stack and gas stay in registers, and each instruction has a jump of its own, which a processor
//! predicts better than one for all. Where the compiler leaves calls, their depth is bounded by the gas that a run gets
//! at once ([`super::run::PORTION`]).

use revm::bytecode::opcode::*;
use revm::interpreter::InstructionResult;
use revm::primitives::U256;

use super::run::Run;
use super::state::{Leave, State};
use super::word::Word;

const BASE: u64 = 2;
const VERY_LOW: u64 = 3;
const LOW: u64 = 5;
const MID: u64 = 8;
const HIGH: u64 = 10;
const DESTINATION: u64 = 1;

/// The code from an instruction on, the end of the stack, the gas at hand, the rest of the run, the bottom of the stack, and
/// what the instructions are.
type Function = unsafe fn(*const u8, *mut U256, u64, &mut Run<'_>, *mut U256, &Table);

/// The instructions by their codes.
pub struct Table([Function; 256]);

impl Table {
    /// Runs from an instruction on.
    ///
    /// # Safety
    /// The code is padded by revm's analysis. From `bottom` on there is room for as many words as a stack may have, those up to
    /// `end` are there, and nobody else uses them, the code or the frame's memory.
    #[inline(always)]
    pub unsafe fn begin(
        &self,
        at: *const u8,
        end: *mut U256,
        gas: u64,
        run: &mut Run<'_>,
        bottom: *mut U256,
    ) {
        // SAFETY: as the caller has it.
        unsafe { self.0[usize::from(*at)](at, end, gas, run, bottom, self) }
    }
}

/// What an instruction does. Where it leaves, nothing has changed but gas and counts.
trait Instruction<const COUNTED: bool> {
    fn execute(state: &mut State<'_, '_>) -> Result<(), Leave>;
}

/// An instruction, and then the one behind it. For its safety see [`Table::begin`].
unsafe fn step<I: Instruction<COUNTED>, const COUNTED: bool>(
    at: *const u8,
    end: *mut U256,
    gas: u64,
    run: &mut Run<'_>,
    bottom: *mut U256,
    table: &Table,
) {
    let mut state = State { at, end, gas, bottom, run };
    match I::execute(&mut state) {
        Ok(()) => {
            let State { at, end, gas, run, .. } = state;
            // SAFETY: every instruction leaves these as it needs them itself.
            unsafe { table.0[usize::from(*at)](at, end, gas, run, bottom, table) }
        }
        // SAFETY: this only writes down where the run is, and so do the others.
        Err(Leave::OutOfGas) => unsafe { out_of_gas(at, end, gas, run, bottom, table) },
        // SAFETY: as above.
        Err(Leave::Foreign) => unsafe { foreign(at, end, gas, run, bottom, table) },
        Err(Leave::Fails(failure)) => {
            run.why = Leave::Fails(failure);
            // SAFETY: as above.
            unsafe { leave(at, end, gas, run, bottom, table) }
        }
    }
}

#[cold]
#[inline(never)]
unsafe fn out_of_gas(
    at: *const u8,
    end: *mut U256,
    gas: u64,
    run: &mut Run<'_>,
    bottom: *mut U256,
    table: &Table,
) {
    run.why = Leave::OutOfGas;
    // SAFETY: it only writes down where the run is.
    unsafe { leave(at, end, gas, run, bottom, table) }
}

#[inline(never)]
unsafe fn foreign(
    at: *const u8,
    end: *mut U256,
    gas: u64,
    run: &mut Run<'_>,
    _bottom: *mut U256,
    _table: &Table,
) {
    run.why = Leave::Foreign;
    run.left = (at, end, gas);
}

#[cold]
#[inline(never)]
unsafe fn leave(
    at: *const u8,
    end: *mut U256,
    gas: u64,
    run: &mut Run<'_>,
    _bottom: *mut U256,
    _table: &Table,
) {
    run.left = (at, end, gas);
}

/// Defines instructions: what they are called, and what they do to the state.
macro_rules! instructions {
    ($($(#[$note:meta])* $name:ident $(<const $number:ident>)?, |$state:ident| $work:expr;)+) => { $(
        $(#[$note])*
        struct $name $(<const $number: usize>)?;

        impl<$(const $number: usize,)? const COUNTED: bool> Instruction<COUNTED> for $name $(<$number>)? {
            #[inline(always)]
            fn execute($state: &mut State<'_, '_>) -> Result<(), Leave> {
                $work;
                Ok(())
            }
        }
    )+ };
}

/// Pays an instruction of one byte and goes behind it.
#[inline(always)]
fn pay<const COUNTED: bool>(state: &mut State<'_, '_>, price: u64) -> Result<(), Leave> {
    state.pay(price)?;
    if COUNTED {
        state.run.count(state.code(0));
    }
    Ok(())
}

#[inline(always)]
fn push<const COUNTED: bool>(state: &mut State<'_, '_>, price: u64, word: Word) -> Result<(), Leave> {
    pay::<COUNTED>(state, price)?;
    state.need_room()?;
    state.push(word);
    state.skip(1);
    Ok(())
}

#[inline(always)]
fn unary<const COUNTED: bool>(state: &mut State<'_, '_>, work: impl Fn(Word) -> Word) -> Result<(), Leave> {
    pay::<COUNTED>(state, VERY_LOW)?;
    state.need(1)?;
    state.write(0, work(state.read(0)));
    state.skip(1);
    Ok(())
}

#[inline(always)]
fn binary<const COUNTED: bool>(
    state: &mut State<'_, '_>,
    price: u64,
    work: impl Fn(Word, Word) -> Word,
) -> Result<(), Leave> {
    pay::<COUNTED>(state, price)?;
    state.need(2)?;
    state.replace_two(work);
    state.skip(1);
    Ok(())
}

/// EQ and the like. Mostly a jump depends on it, perhaps by ISZERO; then the truth need not pass the stack.
#[inline(always)]
fn compare<const COUNTED: bool>(
    state: &mut State<'_, '_>,
    is: impl Fn(Word, Word) -> bool,
) -> Result<(), Leave> {
    if !COUNTED && state.has(2) && state.gas >= 2 * VERY_LOW + BRANCH {
        let is_negated = state.code(1) == ISZERO;
        let length = 1 + usize::from(is_negated);
        if state.is_branch(length) {
            let truth = is(state.read(0), state.read(1)) != is_negated;
            if branch(state, truth, 2, length, VERY_LOW * length as u64)? {
                return Ok(());
            }
        }
    }
    binary::<COUNTED>(state, VERY_LOW, |one, two| Word::truth(is(one, two)))
}

/// What a PUSH2, a JUMPI and the destination that it may lead to cost.
const BRANCH: u64 = VERY_LOW + HIGH + DESTINATION;

/// Conditions of that many bytes and that price, on so many words, that have been found `truth`, and PUSH2 and JUMPI behind them.
/// All of it can be paid. `false`: the run is to stop there, and nothing has changed; JUMPI will meet that by itself.
#[inline(always)]
fn branch(
    state: &mut State<'_, '_>,
    truth: bool,
    words: usize,
    length: usize,
    price: u64,
) -> Result<bool, Leave> {
    let mut price = price + VERY_LOW + HIGH;
    if truth {
        let target = state.run.destination(state.branch_target(length));
        let target = target.ok_or(Leave::Fails(InstructionResult::InvalidJump))?;
        if is_stopped_at(state, target) {
            return Ok(false);
        }
        state.at = target;
        price += DESTINATION;
        state.skip(1);
    } else {
        state.skip(length + 4);
    }
    state.drop(words);
    state.gas -= price;
    Ok(true)
}

/// An instruction whose work is apart.
#[inline(always)]
fn combine<const WORDS: usize, const COUNTED: bool>(
    state: &mut State<'_, '_>,
    price: u64,
    work: fn(&mut [U256; WORDS]),
) -> Result<(), Leave> {
    pay::<COUNTED>(state, price)?;
    state.need(WORDS)?;
    state.combine(work);
    state.skip(1);
    Ok(())
}

/// Whether the run is to stop where a jump leads: a way back is where it can be stopped.
#[inline(always)]
fn is_stopped_at(state: &State<'_, '_>, target: *const u8) -> bool {
    target <= state.at && state.run.is_stopped()
}

/// Goes where JUMP or JUMPI leads. The frame's loop meets that instruction itself where the run is to stop, and ends.
#[inline(always)]
fn go_to(state: &mut State<'_, '_>, target: *const u8) -> Result<(), Leave> {
    if is_stopped_at(state, target) {
        return Err(Leave::Foreign);
    }
    state.at = target;
    Ok(())
}

/// The destination at the end of a jump, in the same go.
#[inline(always)]
fn land<const COUNTED: bool>(state: &mut State<'_, '_>) {
    if state.gas >= DESTINATION {
        state.gas -= DESTINATION;
        if COUNTED {
            state.run.count(JUMPDEST);
        }
        state.skip(1);
    }
}

#[inline(never)]
fn divide([below, top]: &mut [U256; 2]) {
    if !below.is_zero() {
        *below = top.wrapping_div(*below);
    }
}

#[inline(never)]
fn remainder([below, top]: &mut [U256; 2]) {
    if !below.is_zero() {
        *below = top.wrapping_rem(*below);
    }
}

#[inline(never)]
fn add_modulo([modulus, two, one]: &mut [U256; 3]) {
    *modulus = one.add_mod(*two, *modulus);
}

#[inline(never)]
fn multiply_modulo([modulus, two, one]: &mut [U256; 3]) {
    *modulus = one.mul_mod(*two, *modulus);
}

#[inline(never)]
fn extend_sign([word, top]: &mut [U256; 2]) {
    let bytes = top.saturating_to::<usize>();
    // From 31 on there is nothing to extend.
    if bytes < 31 {
        let by = 256 - 8 * (bytes + 1);
        *word = (*word << by).arithmetic_shr(by);
    }
}

#[inline(never)]
fn shift_right_signed([word, by]: &mut [U256; 2]) {
    let by = by.saturating_to::<usize>();
    // By 255 nothing but the sign is left.
    *word = word.arithmetic_shr(by.min(255));
}

instructions! {
    Add, |state| binary::<COUNTED>(state, VERY_LOW, Word::add)?;
    Sub, |state| binary::<COUNTED>(state, VERY_LOW, Word::sub)?;
    Mul, |state| binary::<COUNTED>(state, LOW, Word::mul)?;
    And, |state| binary::<COUNTED>(state, VERY_LOW, |one, two| one.limbs(two, |a, b| a & b))?;
    Or, |state| binary::<COUNTED>(state, VERY_LOW, |one, two| one.limbs(two, |a, b| a | b))?;
    Xor, |state| binary::<COUNTED>(state, VERY_LOW, |one, two| one.limbs(two, |a, b| a ^ b))?;
    Equal, |state| compare::<COUNTED>(state, Word::is)?;
    Less, |state| compare::<COUNTED>(state, Word::is_less)?;
    Greater, |state| compare::<COUNTED>(state, |one, two| two.is_less(one))?;
    LessSigned, |state| compare::<COUNTED>(state, Word::is_less_signed)?;
    GreaterSigned, |state| compare::<COUNTED>(state, |one, two| two.is_less_signed(one))?;
    ShiftLeft, |state| binary::<COUNTED>(state, VERY_LOW, |by, word| word.shift_left(by))?;
    ShiftRight, |state| binary::<COUNTED>(state, VERY_LOW, |by, word| word.shift_right(by))?;
    IsZero, |state| {
        if !COUNTED && state.is_branch(1) && state.has(1) && state.has_room() && state.gas >= VERY_LOW + BRANCH {
            let truth = state.read(0).is_zero();
            if branch(state, truth, 1, 1, VERY_LOW)? {
                return Ok(());
            }
        }
        unary::<COUNTED>(state, |word| Word::truth(word.is_zero()))?;
    };
    Not, |state| unary::<COUNTED>(state, |word| word.limbs(word, |limb, _| !limb))?;
    Caller, |state| push::<COUNTED>(state, BASE, Word::from_bytes(&state.run.input.caller_address.0.0))?;
    Address, |state| push::<COUNTED>(state, BASE, Word::from_bytes(&state.run.input.target_address.0.0))?;
    CallValue, |state| push::<COUNTED>(state, BASE, state.run.input.call_value.into())?;
    CallDataSize, |state| push::<COUNTED>(state, BASE, Word::small(state.run.input.input.len() as u64))?;
    Push0, |state| push::<COUNTED>(state, BASE, Word::small(0))?;
    GasLeft, |state| {
        let left = (state.run.rest + state.gas).saturating_sub(BASE);
        push::<COUNTED>(state, BASE, Word::small(left))?;
    };
    Pop, |state| {
        if !COUNTED && state.code(1) == POP && state.has(2) && state.gas >= 2 * BASE {
            state.gas -= 2 * BASE;
            state.drop(2);
            state.skip(2);
            return Ok(());
        }
        pay::<COUNTED>(state, BASE)?;
        state.need(1)?;
        state.drop(1);
        state.skip(1);
    };
    JumpDest, |state| {
        pay::<COUNTED>(state, DESTINATION)?;
        state.skip(1);
    };
    Push<const LENGTH>, |state| {
        let word = Word::from_bytes::<LENGTH>(state.immediate());
        push::<COUNTED>(state, VERY_LOW, word)?;
        state.skip(LENGTH);
    };
    /// PUSH1, with what often takes its word at once.
    Push1, |state| {
        let number = u64::from(state.code(1));
        if !COUNTED && state.has_room() && state.gas >= 2 * VERY_LOW {
            match state.code(2) {
                ADD if state.has(1) => {
                    state.write(0, state.read(0).add(Word::small(number)));
                    state.gas -= 2 * VERY_LOW;
                    state.skip(3);
                    return Ok(());
                }
                PUSH1 if state.has_room_for(2) => {
                    let second = u64::from(state.code(3));
                    state.push(Word::small(number));
                    state.push(Word::small(second));
                    state.gas -= 2 * VERY_LOW;
                    state.skip(4);
                    return Ok(());
                }
                MLOAD => {
                    let word = state.run.memory_word(number as usize).map(|bytes| Word::from_bytes(bytes));
                    if let Some(word) = word {
                        state.push(word);
                        state.gas -= 2 * VERY_LOW;
                        state.skip(3);
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
        push::<COUNTED>(state, VERY_LOW, Word::small(number))?;
        state.skip(1);
    };
    /// PUSH2, with the jump that mostly follows: its target need not pass the stack. What is not as usual is left to JUMP and JUMPI.
    Push2, |state| {
        let target = usize::from(u16::from_be_bytes(*state.immediate()));
        let jump = state.code(3);
        if jump == JUMPI && state.has(1) && state.has_room() && state.gas >= VERY_LOW + HIGH {
            if state.read(0).is_zero() {
                state.drop(1);
                state.skip(4);
                state.gas -= VERY_LOW + HIGH;
                count_two::<COUNTED>(state, JUMPI);
                return Ok(());
            }
            let target = state.run.destination(target);
            if let Some(target) = target.filter(|target| !is_stopped_at(state, *target)) {
                state.at = target;
                state.drop(1);
                state.gas -= VERY_LOW + HIGH;
                count_two::<COUNTED>(state, JUMPI);
                land::<COUNTED>(state);
                return Ok(());
            }
        } else if jump == JUMP && state.has_room() && state.gas >= VERY_LOW + MID
            && let Some(target) = state.run.destination(target)
            && !is_stopped_at(state, target) {
            state.at = target;
            state.gas -= VERY_LOW + MID;
            count_two::<COUNTED>(state, JUMP);
            land::<COUNTED>(state);
            return Ok(());
        }
        push::<COUNTED>(state, VERY_LOW, Word::small(target as u64))?;
        state.skip(2);
    };
    Duplicate<const ABOVE>, |state| {
        // How a contract finds its function: DUP1, PUSH4, EQ, PUSH2, JUMPI.
        if !COUNTED && ABOVE == 1 && state.code(1) == PUSH4 && state.code(6) == EQ && state.is_branch(7)
            && state.has(1) && state.has_room_for(2) && state.gas >= 3 * VERY_LOW + BRANCH {
            let selector = u32::from_be_bytes([state.code(2), state.code(3), state.code(4), state.code(5)]);
            let truth = state.read(0).is(Word::small(selector.into()));
            if branch(state, truth, 0, 7, 3 * VERY_LOW)? {
                return Ok(());
            }
        }
        pay::<COUNTED>(state, VERY_LOW)?;
        // revm calls every failure of DUP an overflow.
        if !state.has(ABOVE) {
            return Err(Leave::Fails(InstructionResult::StackOverflow));
        }
        state.need_room()?;
        state.push(state.read(ABOVE - 1));
        state.skip(1);
    };
    /// With the POP that often follows, one word less moves.
    Swap<const BETWEEN>, |state| {
        if state.code(1) == POP && state.gas >= VERY_LOW + BASE && state.has(BETWEEN + 1) {
            state.gas -= VERY_LOW + BASE;
            state.write(BETWEEN, state.read(0));
            state.drop(1);
            state.skip(2);
            if COUNTED {
                state.run.count(SWAP1 - 1 + BETWEEN as u8);
                state.run.count(POP);
            }
            return Ok(());
        }
        pay::<COUNTED>(state, VERY_LOW)?;
        state.need(BETWEEN + 1)?;
        state.exchange(BETWEEN);
        state.skip(1);
    };
    Jump, |state| {
        pay::<COUNTED>(state, MID)?;
        state.need(1)?;
        let target = state.run.destination(state.read(0).index());
        let target = target.ok_or(Leave::Fails(InstructionResult::InvalidJump))?;
        go_to(state, target)?;
        state.drop(1);
        land::<COUNTED>(state);
    };
    JumpIf, |state| {
        pay::<COUNTED>(state, HIGH)?;
        state.need(2)?;
        if state.read(1).is_zero() {
            state.skip(1);
        } else {
            let target = state.run.destination(state.read(0).index());
            let target = target.ok_or(Leave::Fails(InstructionResult::InvalidJump))?;
            go_to(state, target)?;
            land::<COUNTED>(state);
        }
        state.drop(2);
    };
    CallDataLoad, |state| {
        pay::<COUNTED>(state, VERY_LOW)?;
        state.need(1)?;
        let place = state.read(0).index();
        match state.run.call_data(place) {
            Some(bytes) => {
                let word = Word::from_bytes(bytes);
                state.write(0, word);
            }
            None => state.copy_call_data(place),
        }
        state.skip(1);
    };
    MemoryLoad, |state| {
        let place = memory_place::<COUNTED>(state, 1)?;
        let word = state.run.memory_word(place).map(|bytes| Word::from_bytes(bytes));
        state.write(0, word.ok_or(Leave::Foreign)?);
        state.skip(1);
    };
    MemoryStore, |state| {
        let place = memory_place::<COUNTED>(state, 2)?;
        let word = state.read(1);
        word.write_to(state.run.memory_word(place).ok_or(Leave::Foreign)?);
        state.drop(2);
        state.skip(1);
    };
    Divide, |state| combine::<2, COUNTED>(state, LOW, divide)?;
    Remainder, |state| combine::<2, COUNTED>(state, LOW, remainder)?;
    AddModulo, |state| combine::<3, COUNTED>(state, MID, add_modulo)?;
    MulModulo, |state| combine::<3, COUNTED>(state, MID, multiply_modulo)?;
    SignExtend, |state| combine::<2, COUNTED>(state, LOW, extend_sign)?;
    ShiftRightSigned, |state| combine::<2, COUNTED>(state, VERY_LOW, shift_right_signed)?;
    ReturnDataSize, |state| push::<COUNTED>(state, BASE, Word::small(state.run.return_data.0.len() as u64))?;
}

/// Pays MLOAD or MSTORE with that many words, and what the memory has to grow for it. Gives the place. What cannot be paid is left
/// to revm's instruction, with nothing changed.
#[inline(always)]
fn memory_place<const COUNTED: bool>(state: &mut State<'_, '_>, words: usize) -> Result<usize, Leave> {
    if !state.has(words) || state.gas < VERY_LOW {
        return Err(Leave::Foreign);
    }
    let place = state.read(0).index();
    let mut left = state.gas - VERY_LOW;
    if state.run.memory_word(place).is_none() {
        left = state.run.reach(place, left)?;
    }
    state.gas = left;
    if COUNTED {
        state.run.count(state.code(0));
    }
    Ok(place)
}

#[inline(always)]
fn count_two<const COUNTED: bool>(state: &mut State<'_, '_>, second: u8) {
    if COUNTED {
        state.run.count(PUSH2);
        state.run.count(second);
    }
}

/// The instructions of a fork. With `COUNTED` each is counted.
pub const fn table<const COUNTED: bool>(has_shifts: bool, has_push0: bool) -> Table {
    let mut table = [foreign as Function; 256];
    macro_rules! are {
        ($($code:ident $instruction:ty),+ $(,)?) => { $( table[$code as usize] = step::<$instruction, COUNTED>; )+ };
    }
    macro_rules! numbered {
        ($instruction:ident: $($code:ident $number:literal)+) => {
            $( table[$code as usize] = step::<$instruction<$number>, COUNTED>; )+
        };
    }
    are! {
        ADD Add, SUB Sub, MUL Mul, AND And, OR Or, XOR Xor, EQ Equal, LT Less, GT Greater, SLT LessSigned,
        SGT GreaterSigned, ISZERO IsZero, NOT Not, POP Pop, JUMPDEST JumpDest, JUMP Jump, JUMPI JumpIf, CALLER Caller,
        ADDRESS Address, CALLVALUE CallValue, CALLDATASIZE CallDataSize, CALLDATALOAD CallDataLoad, GAS GasLeft,
        MLOAD MemoryLoad, MSTORE MemoryStore, PUSH1 Push1, PUSH2 Push2, DIV Divide, MOD Remainder, ADDMOD AddModulo,
        MULMOD MulModulo, SIGNEXTEND SignExtend,
    }
    if has_shifts {
        are! { SHL ShiftLeft, SHR ShiftRight, SAR ShiftRightSigned, RETURNDATASIZE ReturnDataSize }
    }
    if has_push0 {
        are! { PUSH0 Push0 }
    }
    numbered! { Push: PUSH3 3 PUSH4 4 PUSH5 5 PUSH6 6 PUSH7 7 PUSH8 8 PUSH9 9 PUSH10 10 PUSH11 11 PUSH12 12
    PUSH13 13 PUSH14 14 PUSH15 15 PUSH16 16 PUSH17 17 PUSH18 18 PUSH19 19 PUSH20 20 PUSH21 21 PUSH22 22 PUSH23 23
    PUSH24 24 PUSH25 25 PUSH26 26 PUSH27 27 PUSH28 28 PUSH29 29 PUSH30 30 PUSH31 31 PUSH32 32 }
    numbered! { Duplicate: DUP1 1 DUP2 2 DUP3 3 DUP4 4 DUP5 5 DUP6 6 DUP7 7 DUP8 8 DUP9 9 DUP10 10 DUP11 11 DUP12 12
    DUP13 13 DUP14 14 DUP15 15 DUP16 16 }
    numbered! { Swap: SWAP1 1 SWAP2 2 SWAP3 3 SWAP4 4 SWAP5 5 SWAP6 6 SWAP7 7 SWAP8 8 SWAP9 9 SWAP10 10 SWAP11 11
    SWAP12 12 SWAP13 13 SWAP14 14 SWAP15 15 SWAP16 16 }
    Table(table)
}
