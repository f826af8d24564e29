//! Random programs over few slots and few accounts. What a program observes is folded into one word, which ends up in
//! a log, in storage, or in what is returned, so that a wrong observation shows.

use alloy_primitives::{Address, Bytes, U256};
use revm::bytecode::opcode as op;
use solder_engine::Fork;

use crate::assembler::{Assembler, deploying};
use crate::cast::{self, PRODUCER};
use crate::contracts::half_of_gas;
use crate::random::Random;

/// Slots that programs share.
pub const SLOTS: u64 = 4;
/// Entries of a contract, chosen by the first word of the call data.
pub const ENTRIES: u64 = 4;
/// Where init code is put together in memory.
const WORKSPACE: u64 = 64;

/// A contract of random entries.
pub fn contract(fork: Fork, random: &mut Random) -> Bytes {
    let mut code = Assembler::new();
    for entry in 0..ENTRIES {
        let length = 2 + random.below(7);
        code.case(0, entry, |code| statements(code, fork, random, length));
    }
    code.finish()
}

/// Init code: a few random statements, then a random program to deploy, or none.
pub fn init_code(fork: Fork, random: &mut Random) -> Bytes {
    let length = 1 + random.below(4);
    if random.chance(30) {
        let mut constructor = Assembler::new();
        statements(&mut constructor, fork, random, length);
        return constructor.finish();
    }
    let runtime = if random.chance(40) { crate::contracts::destroyer() } else { contract(fork, random) };
    deploying(|code| statements(code, fork, random, length), runtime)
}

fn statements(code: &mut Assembler, fork: Fork, random: &mut Random, count: usize) {
    for _ in 0..count {
        if random.chance(20) {
            value(code, fork, random);
            code.number(1).op(&[op::AND]).when(|code| statement(code, fork, random));
        } else {
            statement(code, fork, random);
        }
    }
    match random.below(10) {
        0..=4 => code.log(32),
        5..=7 => {
            let slot = random.below(SLOTS as usize) as u64;
            code.number(0).op(&[op::MLOAD]).number(slot).op(&[op::SSTORE])
        }
        _ => code.number(32).number(0).op(&[op::RETURN]),
    };
}

/// Somebody: fixed, or named by the second word of the call data.
fn somebody(code: &mut Assembler, random: &mut Random) {
    match random.below(10) {
        0..=2 => code.argument(1),
        3 => code.op(&[op::ADDRESS]),
        4 => code.op(&[op::COINBASE]),
        5 => code.op(&[op::CALLER]),
        _ => code.address(cast::anybody(random, PRODUCER)),
    };
}

/// Pushes a word that was observed, or a constant.
fn value(code: &mut Assembler, fork: Fork, random: &mut Random) {
    match random.below(18) {
        0 => code.number(random.below(3) as u64),
        1 => code.number(0).op(&[op::MLOAD]),
        2..=4 => {
            let slot = random.below(SLOTS as usize) as u64;
            code.number(slot).op(&[op::SLOAD])
        }
        5 | 6 => {
            somebody(code, random);
            code.op(&[op::BALANCE])
        }
        7 if fork >= Fork::Istanbul => code.op(&[op::SELFBALANCE]),
        8 => {
            somebody(code, random);
            code.op(&[op::EXTCODESIZE])
        }
        9 if fork >= Fork::Constantinople => {
            somebody(code, random);
            code.op(&[op::EXTCODEHASH])
        }
        10 => code.op(&[op::CALLVALUE]),
        11 => code.op(&[op::GASPRICE]),
        12 if fork >= Fork::London => code.op(&[op::BASEFEE]),
        13 if fork >= Fork::Cancun => code.number(random.below(2) as u64).op(&[op::TLOAD]),
        14 => code.op(&[op::GAS]),
        15 => code.number(1).op(&[op::NUMBER, op::SUB, op::BLOCKHASH]),
        16 if fork >= Fork::Cancun => code.op(&[op::BLOBBASEFEE]),
        _ => code.op(&[op::ORIGIN]),
    };
}

/// Folds the top into the word in memory.
fn fold(code: &mut Assembler) {
    code.number(31).number(0).op(&[op::MLOAD, op::MUL, op::ADD]).store_at(0);
}

fn statement(code: &mut Assembler, fork: Fork, random: &mut Random) {
    match random.below(20) {
        0..=4 => {
            value(code, fork, random);
            fold(code);
        }
        5..=8 => {
            match random.below(4) {
                0 => value(code, fork, random),
                1 => {
                    code.number(0);
                }
                2 => {
                    code.number(1 + random.below(2) as u64);
                }
                _ => {
                    code.number(1).number(random.below(SLOTS as usize) as u64).op(&[op::SLOAD, op::ADD]);
                }
            }
            code.number(random.below(SLOTS as usize) as u64).op(&[op::SSTORE]);
        }
        9..=13 => call(code, fork, random),
        14 => create(code, fork, random),
        15 if random.chance(40) => {
            somebody(code, random);
            code.op(&[op::SELFDESTRUCT]);
        }
        16 if fork >= Fork::Cancun => {
            value(code, fork, random);
            code.number(random.below(2) as u64).op(&[op::TSTORE]);
        }
        17 => {
            code.number(32).number(0).number(32);
            somebody(code, random);
            code.op(&[op::EXTCODECOPY]).number(32).op(&[op::MLOAD]);
            fold(code);
        }
        18 if random.chance(30) => failure(code, fork, random),
        _ => {
            code.log(32);
        }
    }
}

fn failure(code: &mut Assembler, fork: Fork, random: &mut Random) {
    if fork >= Fork::Byzantium && random.chance(70) {
        code.number(32).number(0).op(&[op::REVERT]);
    } else {
        code.op(&[op::INVALID]);
    }
}

/// Calls somebody in one of four ways, with two words of data, and folds what came of it.
fn call(code: &mut Assembler, fork: Fork, random: &mut Random) {
    let opcode = match random.below(10) {
        0 if fork >= Fork::Homestead => op::DELEGATECALL,
        1 if fork >= Fork::Byzantium => op::STATICCALL,
        2 => op::CALLCODE,
        _ => op::CALL,
    };
    code.number(random.below(ENTRIES as usize) as u64).store_at(WORKSPACE);
    somebody(code, random);
    code.store_at(WORKSPACE + 32);
    code.number(32).number(WORKSPACE).number(64).number(WORKSPACE);
    if matches!(opcode, op::CALL | op::CALLCODE) {
        match random.below(10) {
            0..=4 => code.number(0),
            5..=7 => code.number(1 + random.below(3) as u64),
            8 => code.op(&[op::ADDRESS, op::BALANCE]),
            _ => code.push(U256::MAX >> random.below(200)),
        };
    }
    somebody(code, random);
    half_of_gas(code).op(&[opcode]);
    fold(code);
    code.number(WORKSPACE).op(&[op::MLOAD]);
    fold(code);
}

/// Creates a destroyer by CREATE or CREATE2, with an endowment that may be too large.
fn create(code: &mut Assembler, fork: Fork, random: &mut Random) {
    let init_code = crate::contracts::child_init_code();
    let length = init_code.len() as u64;
    code.copy(init_code, WORKSPACE);
    let second = fork >= Fork::Constantinople && random.chance(60);
    if second {
        code.number(random.below(2) as u64);
    }
    code.number(length).number(WORKSPACE);
    match random.below(4) {
        0 | 1 => code.number(0),
        2 => code.number(1),
        _ => code.op(&[op::ADDRESS, op::BALANCE]),
    };
    code.op(&[if second { op::CREATE2 } else { op::CREATE }]);
    fold(code);
}

/// Call data for an entry of a program.
pub fn entry(random: &mut Random, somebody: Address) -> Bytes {
    let entry = U256::from(random.below(ENTRIES as usize));
    crate::assembler::words(&[entry, somebody.into_word().into()])
}
