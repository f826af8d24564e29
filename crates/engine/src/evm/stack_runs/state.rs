//! What an instruction of a run works on: the code from where it stands, the stack, the gas.

use std::ptr::{read_volatile, write_volatile};

use revm::bytecode::opcode::{JUMPI, PUSH2};
use revm::interpreter::{InstructionResult, STACK_LIMIT};
use revm::primitives::U256;

use super::run::Run;
use super::word::Word;

/// Why an instruction does not end as usual.
#[derive(Clone, Copy)]
pub enum Leave {
    /// The gas at hand does not pay it.
    OutOfGas,
    /// It is not for a run, or not in this case, or the run is to stop: the frame's loop goes on with it.
    Foreign,
    /// It fails.
    Fails(InstructionResult),
}

/// A run at an instruction. All of it stays in registers: what runs it is compiled into one function for each instruction.
pub struct State<'r, 'f> {
    /// The instruction.
    pub at: *const u8,
    /// Behind the topmost word of the stack.
    pub end: *mut U256,
    /// What is left of the gas at hand.
    pub gas: u64,
    /// The lowest word of the stack, with room for [`STACK_LIMIT`] words.
    pub bottom: *mut U256,
    /// The rest.
    pub run: &'r mut Run<'f>,
}

impl State<'_, '_> {
    #[inline(always)]
    pub fn pay(&mut self, price: u64) -> Result<(), Leave> {
        self.gas = self.gas.checked_sub(price).ok_or(Leave::OutOfGas)?;
        Ok(())
    }

    /// The byte that many behind the instruction. One behind an instruction and what belongs to it is always there: revm's analysis
    /// pads legacy code until it ends with a STOP that no PUSH reaches, and its own interpreter relies on that.
    #[inline(always)]
    pub fn code(&self, behind: usize) -> u8 {
        // SAFETY: the run is at an instruction that is not STOP; see above.
        unsafe { *self.at.add(behind) }
    }

    /// The bytes that follow the instruction, a PUSH of that length.
    #[inline(always)]
    pub fn immediate<const LENGTH: usize>(&self) -> &[u8; LENGTH] {
        // SAFETY: the padding covers what belongs to a PUSH.
        unsafe { &*self.at.add(1).cast() }
    }

    /// Goes on that many bytes, which an instruction and what belongs to it have.
    #[inline(always)]
    pub fn skip(&mut self, bytes: usize) {
        // SAFETY: there is an instruction behind; see `code`.
        self.at = unsafe { self.at.add(bytes) };
    }

    /// The stack's height in bytes.
    #[inline(always)]
    fn height(&self) -> usize {
        self.end.addr() - self.bottom.addr()
    }

    #[inline(always)]
    pub fn has(&self, words: usize) -> bool {
        self.height() >= words * size_of::<U256>()
    }

    #[inline(always)]
    pub fn has_room(&self) -> bool {
        self.height() < STACK_LIMIT * size_of::<U256>()
    }

    #[inline(always)]
    pub fn has_room_for(&self, words: usize) -> bool {
        self.height() <= (STACK_LIMIT - words) * size_of::<U256>()
    }

    /// Whether PUSH2 and JUMPI stand that many bytes behind the instruction, right behind another.
    #[inline(always)]
    pub fn is_branch(&self, behind: usize) -> bool {
        self.code(behind) == PUSH2 && self.code(behind + 3) == JUMPI
    }

    /// Where that JUMPI leads.
    #[inline(always)]
    pub fn branch_target(&self, behind: usize) -> usize {
        usize::from(u16::from_be_bytes([self.code(behind + 1), self.code(behind + 2)]))
    }

    #[inline(always)]
    pub fn need(&self, words: usize) -> Result<(), Leave> {
        if self.has(words) { Ok(()) } else { Err(Leave::Fails(InstructionResult::StackUnderflow)) }
    }

    #[inline(always)]
    pub fn need_room(&self) -> Result<(), Leave> {
        if self.has_room() { Ok(()) } else { Err(Leave::Fails(InstructionResult::StackOverflow)) }
    }

    /// Where the word is that so many are above, which must be there.
    #[inline(always)]
    fn word(&self, above: usize) -> *mut u64 {
        debug_assert!(self.has(above + 1));
        // SAFETY: the place is between the bottom and the end; a U256 is four numbers.
        unsafe { self.end.sub(above + 1).cast() }
    }

    /// The word that so many are above, which must be there. Words are read and written as four numbers one by one, and volatile, so
    /// that the compiler does not join two of them: a processor hands on what it has just stored only to a read that is not
    /// wider; else the read waits until the store has reached the cache.
    #[inline(always)]
    pub fn read(&self, above: usize) -> Word {
        let word = self.word(above);
        // SAFETY: up to the end all is initialized.
        let number = |place: usize| unsafe { read_volatile(word.add(place)) };
        Word(number(0), number(1), number(2), number(3))
    }

    /// Writes there.
    #[inline(always)]
    pub fn write(&mut self, above: usize, word: Word) {
        let place = self.word(above);
        let Word(a, b, c, d) = word;
        for (number, value) in [a, b, c, d].into_iter().enumerate() {
            // SAFETY: nobody else has the stack during a run.
            unsafe { write_volatile(place.add(number), value) };
        }
    }

    /// Exchanges the topmost word and the one that so many are above, number by number.
    #[inline(always)]
    pub fn exchange(&mut self, above: usize) {
        let (top, other) = (self.word(0), self.word(above));
        for number in 0..4 {
            // SAFETY: as for `read` and `write`.
            unsafe {
                let (one, two) = (read_volatile(top.add(number)), read_volatile(other.add(number)));
                write_volatile(other.add(number), one);
                write_volatile(top.add(number), two);
            }
        }
    }

    /// Drops so many words, which must be there.
    #[inline(always)]
    pub fn drop(&mut self, words: usize) {
        debug_assert!(self.has(words));
        // SAFETY: the end stays at the bottom or above.
        self.end = unsafe { self.end.sub(words) };
    }

    /// Puts a word on the stack, where there must be room.
    #[inline(always)]
    pub fn push(&mut self, word: Word) {
        debug_assert!(self.has_room());
        // SAFETY: the end stays at the limit or below.
        self.end = unsafe { self.end.add(1) };
        self.write(0, word);
    }

    /// Replaces the topmost word, which must be there, by what the call data has at a place.
    #[inline(always)]
    pub fn copy_call_data(&mut self, place: usize) {
        let word = self.word(0).cast();
        // SAFETY: a word of the stack, which nobody else has during a run.
        self.run.copy_call_data(place, unsafe { &mut *word });
    }

    /// Work on the `WORDS` topmost words, the topmost last, that is not worth to be compiled into each instruction: all but the
    /// lowest are dropped. They must be there.
    #[inline(always)]
    pub fn combine<const WORDS: usize>(&mut self, work: fn(&mut [U256; WORDS])) {
        // SAFETY: words of the stack, which nobody else has during a run.
        work(unsafe { &mut *self.word(WORDS - 1).cast() });
        self.drop(WORDS - 1);
    }

    /// The two topmost words replaced by one.
    #[inline(always)]
    pub fn replace_two(&mut self, work: impl FnOnce(Word, Word) -> Word) {
        let (one, two) = (self.read(0), self.read(1));
        self.drop(1);
        self.write(0, work(one, two));
    }
}
