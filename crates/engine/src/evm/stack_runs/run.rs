//! A run: what it takes from its frame, and how it begins and ends.

use std::sync::atomic::{AtomicBool, Ordering};

use revm::bytecode::JumpTable;
use revm::bytecode::opcode::STOP;
use revm::context_interface::cfg::gas_params::GasParams;
use revm::interpreter::interpreter::{EthInterpreter, InputsImpl, ReturnDataImpl, resize_memory};
use revm::interpreter::interpreter_types::Jumps;
use revm::interpreter::{
    CallInput, Gas, InstructionExecResult, InstructionResult, Interpreter, STACK_LIMIT, SharedMemory,
};
use revm::primitives::U256;
use revm::primitives::hardfork::SpecId;

use super::instructions::{Table, table};
use super::state::Leave;

/// How much gas a run gets at once: where instructions call each other instead of jumping, that is how deep they do at most. No
/// instruction of a run costs more.
pub const PORTION: u64 = 1_000;

/// What ends a frame whose code the analysis has not padded: there is none.
const UNPADDED: InstructionExecResult = Err(InstructionResult::OpcodeNotFound);

/// Instructions by what a fork has: neither, shifts, both; then the same, counted.
static TABLES: [Table; 6] = [
    table::<false>(false, false),
    table::<false>(true, false),
    table::<false>(true, true),
    table::<true>(false, false),
    table::<true>(true, false),
    table::<true>(true, true),
];

/// A run of a frame.
pub struct Run<'f> {
    /// Where it is, how high the stack is and what is left of the gas at hand, when it leaves.
    pub left: (*const u8, *mut U256, u64),
    /// What is left beside the gas at hand.
    pub rest: u64,
    /// Why it left.
    pub why: Leave,
    code: &'f [u8],
    jumps: &'f JumpTable,
    /// The frame's caller, value and call data.
    pub input: &'f InputsImpl,
    /// What the last call of the frame gave back.
    pub return_data: &'f ReturnDataImpl,
    memory: &'f mut SharedMemory,
    /// Where the memory is, and at how many places a word begins that it has; none as long as nobody has asked.
    memory_words: (*mut u8, usize),
    /// The frame's gas, and what memory costs, where a run may pay it.
    memory_gas: (&'f mut Gas, Option<&'f GasParams>),
    flags: [&'f AtomicBool; 2],
    counts: Option<&'f mut [u64; 256]>,
    /// The last instruction that was counted.
    pub last: u8,
}

impl Run<'_> {
    /// Whether somebody wants it to stop.
    #[inline(always)]
    pub fn is_stopped(&self) -> bool {
        self.flags.iter().any(|flag| flag.load(Ordering::Relaxed))
    }

    /// Counts an instruction that is paid.
    #[inline(always)]
    pub fn count(&mut self, instruction: u8) {
        if let Some(counts) = &mut self.counts {
            counts[usize::from(instruction)] += 1;
        }
        self.last = instruction;
    }

    /// Where a jump leads; nothing if that is no destination.
    #[inline(always)]
    pub fn destination(&self, target: usize) -> Option<*const u8> {
        // SAFETY: a valid destination is inside the code.
        self.jumps.is_valid(target).then(|| unsafe { self.code.as_ptr().add(target) })
    }

    /// How far an instruction is into the code.
    #[inline(always)]
    pub fn place(&self, at: *const u8) -> usize {
        at.addr() - self.code.as_ptr().addr()
    }

    /// The 32 bytes of memory from a place, where it is known to reach that far.
    #[inline(always)]
    pub fn memory_word(&mut self, place: usize) -> Option<&mut [u8; 32]> {
        let is_there = place < self.memory_words.1;
        // SAFETY: the frame's memory is there and stays where it is until `reach` makes it grow; nobody else has it during a run.
        is_there.then(|| unsafe { &mut *self.memory_words.0.add(place).cast() })
    }

    /// Makes the memory reach behind 32 bytes from a place. Gives what is left of the gas at hand. Where instructions are counted, only
    /// if it does so already: what memory costs is counted apart.
    #[cold]
    #[inline(never)]
    pub fn reach(&mut self, place: usize, gas: u64) -> Result<u64, Leave> {
        let end = place.checked_add(size_of::<U256>()).ok_or(Leave::Foreign)?;
        let mut left = gas;
        if end > self.memory.len() {
            let (frame_gas, prices) = &mut self.memory_gas;
            let Some(prices) = prices else { return Err(Leave::Foreign) };
            frame_gas.set_remaining(self.rest + gas);
            resize_memory(frame_gas, self.memory, prices, place, size_of::<U256>()).map_err(Leave::Fails)?;
            let all = frame_gas.remaining();
            left = gas.min(all);
            self.rest = all - left;
        }
        let mut memory = self.memory.context_memory_mut();
        self.memory_words = (memory.as_mut_ptr(), memory.len() - (size_of::<U256>() - 1));
        Ok(left)
    }

    /// The 32 bytes of the call data from a place, where all of them are there and this frame's own.
    #[inline(always)]
    pub fn call_data(&self, place: usize) -> Option<&[u8; 32]> {
        let CallInput::Bytes(input) = &self.input.input else { return None };
        input.get(place..place.checked_add(size_of::<U256>())?)?.first_chunk()
    }

    /// The same in every other case: what is not there is zero.
    #[cold]
    #[inline(never)]
    pub fn copy_call_data(&self, place: usize, word: &mut U256) {
        let input = self.input.input.as_bytes_memory(self.memory);
        let there = input.get(place..).unwrap_or_default();
        let there = &there[..there.len().min(size_of::<U256>())];
        let mut bytes = [0; size_of::<U256>()];
        bytes[..there.len()].copy_from_slice(there);
        *word = U256::from_be_bytes(bytes);
    }
}

/// Executes from an instruction up to the first one of another kind, or a failure. Gives the last one, where they are counted.
#[inline(always)]
pub fn execute(
    interpreter: &mut Interpreter<EthInterpreter>,
    from: usize,
    flags: [&AtomicBool; 2],
    prices: Option<&GasParams>,
    counts: Option<&mut [u64; 256]>,
) -> (u8, InstructionExecResult) {
    let Some(jumps) = interpreter.bytecode.legacy_jump_table() else { return (STOP, UNPADDED) };
    let spec = interpreter.runtime_flag.spec_id;
    let [has_shifts, has_push0] = [SpecId::PETERSBURG, SpecId::SHANGHAI].map(|it| spec.is_enabled_in(it));
    let is_counted = counts.is_some();
    let table = &TABLES[usize::from(is_counted) * 3 + usize::from(has_shifts) + usize::from(has_push0)];
    let code = interpreter.bytecode.bytes_slice();
    let stack = interpreter.stack.data_mut();
    let height = stack.len();
    // revm's stacks have that room; a Vec may have more.
    stack.reserve_exact(STACK_LIMIT.saturating_sub(height));
    let bottom = stack.as_mut_ptr();
    let mut gas = interpreter.gas.remaining();
    // SAFETY: the frame stands at an instruction of its code, and the height is within the stack.
    let left = unsafe { (code.as_ptr().add(from), bottom.add(height), 0) };
    let mut run = Run {
        left,
        rest: 0,
        why: Leave::OutOfGas,
        code,
        jumps,
        input: &interpreter.input,
        return_data: &interpreter.return_data,
        memory: &mut interpreter.memory,
        memory_words: (std::ptr::null_mut(), 0),
        memory_gas: (&mut interpreter.gas, prices),
        flags,
        counts,
        last: STOP,
    };
    let ended = loop {
        let portion = gas.min(PORTION);
        run.rest = gas - portion;
        let (at, end, _) = run.left;
        // SAFETY: the code is analysed, so it is padded as `State::code` says; the stack has room for all the words there may be and
        // nobody else touches it, the code or the memory during the run.
        unsafe { table.begin(at, end, portion, &mut run, bottom) };
        gas = run.rest + run.left.2;
        match run.why {
            Leave::OutOfGas if run.rest == 0 => {
                // The one that cannot be paid is the last.
                // SAFETY: it is an instruction of the code.
                run.count(unsafe { *run.left.0 });
                break Err(InstructionResult::OutOfGas);
            }
            Leave::OutOfGas => {}
            Leave::Foreign => break Ok(()),
            Leave::Fails(failure) => break Err(failure),
        }
    };
    let (at, end, _) = run.left;
    let (pc, last) = (run.place(at), run.last);
    let height = (end.addr() - bottom.addr()) / size_of::<U256>();
    // SAFETY: every word up to the end was there or was written by a push.
    unsafe { interpreter.stack.data_mut().set_len(height) };
    interpreter.gas.set_remaining(gas);
    interpreter.bytecode.absolute_jump(pc);
    (last, ended)
}
