//! KECCAK256 with a memory: Solidity derives the slot of a mapping entry from 64 bytes (key and slot), and a block
//! derives the same ones many times. A small direct-mapped table keeps those hashes for the length of a block.
//! Gas is charged exactly as by the stock instruction; only the hashing is skipped.

use std::cell::Cell;

use alloy_primitives::{B256, keccak256};
use revm::Database;
use revm::bytecode::opcode;
use revm::context::JournalTr;
use revm::handler::instructions::EthInstructions;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{
    Host, Instruction, InstructionContext, InstructionExecResult, InstructionResult,
    interpreter::resize_memory,
};
use revm::primitives::KECCAK_EMPTY;

use super::EngineContext;
use crate::error::Fault;

/// Entries in the table (a power of two).
const ENTRIES: usize = 1024;
/// Entries in a small table (a power of two): it fits the first cache, so that a miss costs little.
const SMALL_ENTRIES: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(32))]
struct Entry {
    input: [u64; 8],
    hash: B256,
    epoch: u64,
}

/// The table. One per thread is kept between blocks; entries of an earlier block do not count.
pub struct KeccakMemo {
    entries: usize,
    table: Option<Box<[Entry]>>,
    epoch: u64,
    /// Hashes answered from the table in this block.
    pub hits: u64,
    /// Hashes of 64 bytes computed in this block.
    pub misses: u64,
}

thread_local! {
    static KEPT: Cell<Option<(Box<[Entry]>, u64)>> = const { Cell::new(None) };
}

impl KeccakMemo {
    /// An empty memory for a new block, in the memory that this thread kept.
    pub fn take() -> Self {
        let (table, epoch) = match KEPT.take() {
            Some((table, epoch)) => (Some(table), epoch + 1),
            None => (None, 1),
        };
        Self { entries: ENTRIES, table, epoch, hits: 0, misses: 0 }
    }

    /// A small memory of its own, for calls that have little in common.
    pub fn small() -> Self {
        Self { entries: SMALL_ENTRIES, table: None, epoch: 1, hits: 0, misses: 0 }
    }

    /// keccak256 of `input`, remembered.
    #[inline]
    pub fn hash(&mut self, input: &[u8; 64]) -> B256 {
        let mut words = [0u64; 8];
        for (word, bytes) in words.iter_mut().zip(input.chunks_exact(8)) {
            let mut buffer = [0u8; 8];
            buffer.copy_from_slice(bytes);
            *word = u64::from_le_bytes(buffer);
        }
        let mut mixed = words[0];
        for word in &words[1..] {
            mixed = (mixed.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        let table = self.table.get_or_insert_with(|| {
            let empty = Entry { input: [0; 8], hash: B256::ZERO, epoch: 0 };
            vec![empty; self.entries].into_boxed_slice()
        });
        // Both sizes are powers of two.
        let place = (mixed >> 40) as usize & (table.len() - 1);
        let entry = &mut table[place];
        if entry.epoch == self.epoch && is_same(&entry.input, &words) {
            self.hits += 1;
            return entry.hash;
        }
        self.misses += 1;
        *entry = Entry { input: words, hash: keccak256(input), epoch: self.epoch };
        entry.hash
    }
}

/// Equality without a branch or a call for each word.
#[inline]
fn is_same(left: &[u64; 8], right: &[u64; 8]) -> bool {
    left.iter().zip(right).fold(0, |difference, (left, right)| difference | (left ^ right)) == 0
}

impl Drop for KeccakMemo {
    fn drop(&mut self) {
        if let Some(table) = self.table.take().filter(|table| table.len() == ENTRIES) {
            KEPT.set(Some((table, self.epoch)));
        }
    }
}

/// Replaces the KECCAK256 instruction by ours.
pub fn install<'a, DB: Database<Error = Fault>, J: JournalTr<Database = DB>>(
    instructions: &mut EthInstructions<EthInterpreter, EngineContext<'a, DB, J>>,
) {
    let gas = instructions.gas_table()[opcode::KECCAK256 as usize];
    instructions.insert_instruction(opcode::KECCAK256, Instruction::new(keccak256_instruction), gas);
}

fn keccak256_instruction<'a, DB: Database<Error = Fault>, J: JournalTr<Database = DB>>(
    context: InstructionContext<'_, EngineContext<'a, DB, J>, EthInterpreter>,
) -> InstructionExecResult {
    let InstructionContext { interpreter, host } = context;
    let Some(([offset], top)) = interpreter.stack.popn_top::<1>() else {
        return Err(InstructionResult::StackUnderflow);
    };
    let length = usize::try_from(*top).map_err(|_| InstructionResult::InvalidOperandOOG)?;
    if !interpreter.gas.record_regular_cost(host.gas_params().keccak256_cost(length)) {
        return Err(InstructionResult::OutOfGas);
    }
    let hash = if length == 0 {
        KECCAK_EMPTY
    } else {
        let from = usize::try_from(offset).map_err(|_| InstructionResult::InvalidOperandOOG)?;
        resize_memory(&mut interpreter.gas, &mut interpreter.memory, &host.cfg.gas_params, from, length)?;
        let memory = interpreter.memory.slice_len(from, length);
        match <&[u8; 64]>::try_from(&*memory) {
            Ok(input) => host.chain.keccak.hash(input),
            Err(_) => keccak256(&*memory),
        }
    };
    *top = hash.into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memo_equals_keccak_and_remembers_within_a_block() {
        let mut memo = KeccakMemo::take();
        let mut input = [0u8; 64];
        for round in 0..3u64 {
            for value in 0..5000u64 {
                input[24..32].copy_from_slice(&value.to_be_bytes());
                input[63] = (value % 7) as u8;
                assert_eq!(memo.hash(&input), keccak256(input), "round {round} value {value}");
            }
        }
        assert!(memo.hits > 0 && memo.misses >= 5000);
        drop(memo);
        let mut small = KeccakMemo::small();
        assert_eq!(small.hash(&input), small.hash(&input));
        assert_eq!((small.hits, small.misses), (1, 1));
        drop(small);
        let mut next = KeccakMemo::take();
        assert_eq!(next.hash(&input), keccak256(input));
        assert_eq!((next.hits, next.misses), (0, 1), "an earlier block's entry does not count");
    }
}
