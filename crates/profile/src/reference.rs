//! A made-up block on which the meter's own cost is found: code like that of real blocks to the processor, that is long,
//! different in each transaction, with jumps that cannot be foreseen. Drawn with a fixed seed.

use alloy_consensus::Header;
use alloy_primitives::{Address, TxKind, U256};
use revm::bytecode::opcode;
use solder_engine::state::StateAccount;
use solder_engine::state::memory::UnknownBlockHash;
use solder_engine::{Block, Chain, Fork, MemoryState, Transaction};

use crate::run::Subject;

/// Contracts, each called by one transaction.
const CONTRACTS: usize = 32;
/// Pieces of code in each.
const PIECES: usize = 1_200;
/// Every so many pieces, one that a metered run clocks.
const CLOCKED_EVERY: usize = 6;
const SEED: u64 = 0x5eed_0f50_1de2;
const SENDER: Address = Address::repeat_byte(0x5e);
const GAS_LIMIT: u64 = 1_000_000;
/// Words that lie on the stack throughout.
const STACK_WORDS: usize = 8;

/// The made-up block.
pub struct Reference {
    chain: Chain,
    block: Block,
    state: MemoryState,
    /// Instructions that a metered run clocks.
    pub clocked: u64,
}

impl Reference {
    /// Code like that of real blocks, with or without clocked instructions.
    pub fn new(clocked: bool) -> Self {
        let mut random = Random(SEED);
        let programs = (0..CONTRACTS).map(|_| program(&mut random, clocked)).collect();
        let clocked = if clocked { CONTRACTS * PIECES.div_ceil(CLOCKED_EVERY) } else { 0 };
        Self::of(programs, clocked as u64)
    }

    /// A block that calls each of these programs once.
    fn of(programs: Vec<Vec<u8>>, clocked: u64) -> Self {
        let mut state = MemoryState::new(UnknownBlockHash::Fault);
        state.insert(SENDER, StateAccount::new(0, U256::MAX >> 1, Default::default()));
        let mut transactions = Vec::with_capacity(programs.len());
        for (index, program) in programs.into_iter().enumerate() {
            let address = Address::with_last_byte(0x80 | index as u8);
            state.insert(address, StateAccount::new(1, U256::ZERO, program.into()));
            transactions.push(Transaction {
                nonce: index as u64,
                gas_limit: GAS_LIMIT,
                to: TxKind::Call(address),
                sender: SENDER,
                ..Transaction::default()
            });
        }
        let header = Header {
            gas_limit: GAS_LIMIT * CONTRACTS as u64,
            base_fee_per_gas: Some(0),
            excess_blob_gas: Some(0),
            ..Header::default()
        };
        let block = Block { header, transactions, ..Block::default() };
        Self { chain: Chain::at(Fork::Cancun), block, state, clocked }
    }

    /// What to run.
    pub fn subject(&self) -> Subject<'_> {
        let Self { chain, block, state, .. } = self;
        Subject { chain, fork: Fork::Cancun, block, state, transactions_only: true, cancel: None }
    }
}

/// A linear congruential generator: any numbers without a pattern will do.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }
}

/// Pieces that leave the stack as they found it, in the proportions of real code.
fn program(random: &mut Random, clocked: bool) -> Vec<u8> {
    let mut code = Vec::new();
    for _ in 0..STACK_WORDS {
        code.extend([opcode::PUSH2, random.byte(), random.byte()]);
    }
    for piece in 0..PIECES {
        if clocked && piece % CLOCKED_EVERY == 0 {
            code.extend([opcode::PUSH0, opcode::PUSH0, opcode::PUSH0, opcode::MCOPY]);
        }
        match random.below(10) {
            0 => code.extend([opcode::PUSH2, random.byte() & 3, random.byte(), opcode::MLOAD, opcode::POP]),
            1 => code.extend([opcode::PUSH1, random.byte(), opcode::PUSH1, random.byte(), opcode::MSTORE]),
            2 => jump(&mut code, None),
            3 | 4 => {
                let taken = random.below(2) as u8;
                jump(&mut code, Some(taken));
            }
            5 => code.push(opcode::SWAP1 + random.below(STACK_WORDS as u64 - 1) as u8),
            6 => code.extend([opcode::CALLVALUE, opcode::POP]),
            _ => {
                let two = [
                    opcode::ADD,
                    opcode::SUB,
                    opcode::AND,
                    opcode::OR,
                    opcode::LT,
                    opcode::EQ,
                    opcode::SHL,
                    opcode::SHR,
                    opcode::MUL,
                    opcode::DIV,
                ];
                let op = two[random.below(two.len() as u64) as usize];
                code.push(opcode::DUP1 + random.below(STACK_WORDS as u64) as u8);
                code.extend([opcode::PUSH1, random.byte(), op, opcode::ISZERO, opcode::POP]);
            }
        }
    }
    code.push(opcode::STOP);
    code
}

/// To the next instruction; where `taken` is given, only if it is not zero.
fn jump(code: &mut Vec<u8>, taken: Option<u8>) {
    if let Some(taken) = taken {
        code.extend([opcode::PUSH1, taken]);
    }
    // PUSH2 and its two bytes, the jump, then the place to land.
    let destination = (code.len() + 4) as u16;
    let [high, low] = destination.to_be_bytes();
    let op = if taken.is_some() { opcode::JUMPI } else { opcode::JUMP };
    code.extend([opcode::PUSH2, high, low, op, opcode::JUMPDEST]);
}
