//! Runs of stack instructions against revm's own instructions: random programs give the same outcome, to the last unit of
//! gas, whatever the gas they start with; and runs do happen.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::Duration;

use alloy_primitives::{Address, Bytes, TxKind, U256};
use revm::bytecode::opcode as op;
use revm::context::result::{ExecutionResult, HaltReason};
use solder_engine::evm::attempt::Relaxed;
use solder_engine::evm::{Machine, Setup, Transact, environment};
use solder_engine::state::StateAccount;
use solder_engine::state::memory::UnknownBlockHash;
use solder_engine::{Chain, EngineError, Fault, Fork, Header, MemoryState, Transaction};

const SEED: u64 = 0x5eed_57ac;
const PROGRAMS: u64 = 6_000;
const CONTRACT: Address = Address::repeat_byte(0x70);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What a run takes, and what ends one, in about the proportions in which contracts have them.
fn instruction(random: &mut Random, code: &mut Vec<u8>) {
    let combining = [
        op::ADD,
        op::SUB,
        op::AND,
        op::OR,
        op::XOR,
        op::EQ,
        op::LT,
        op::GT,
        op::SLT,
        op::SGT,
        op::SHL,
        op::SHR,
        op::ISZERO,
        op::NOT,
        op::POP,
    ];
    let other = [
        op::MUL,
        op::DIV,
        op::MOD,
        op::SDIV,
        op::ADDMOD,
        op::MULMOD,
        op::SIGNEXTEND,
        op::RETURNDATASIZE,
        op::GAS,
        op::PC,
        op::MSIZE,
        op::CALLER,
        op::CALLVALUE,
        op::CALLDATASIZE,
        op::CALLDATALOAD,
        op::SAR,
        op::BYTE,
        op::MLOAD,
        op::MSTORE,
        op::MSTORE8,
        op::KECCAK256,
        op::ADDRESS,
        op::SLOAD,
        op::INVALID,
        op::PUSH0,
    ];
    let reach = if random.below(4) == 0 { 16 } else { 4 };
    match random.below(22) {
        20.. => {
            code.extend([op::PUSH1, random.below(3) as u8, op::PUSH1, random.below(3) as u8]);
            let number = random.below(idioms(0).len() as u64) as usize;
            let behind = code.len() + idioms(0)[number].len();
            code.extend(&idioms(behind as u16)[number]);
            code.push(op::JUMPDEST);
        }
        0..8 => {
            let length = [1, 1, 1, 2, 2, 3, 4, 8, 9, 20, 31, 32][random.below(12) as usize];
            code.push(op::PUSH0 + length);
            // Mostly small words, so that they are lengths, places and shifts.
            let small = random.below(3) > 0;
            let bytes = (0..length).map(|at| if small && at + 1 < length { 0 } else { random.next() as u8 });
            code.extend(bytes);
        }
        8..11 => code.push(op::DUP1 + random.below(reach) as u8),
        11..13 => code.push(op::SWAP1 + random.below(reach) as u8),
        13..16 => code.push(combining[random.below(combining.len() as u64) as usize]),
        16 => code.push(op::JUMPDEST),
        17 => {
            // A jump to some place, of which some are destinations.
            code.push(op::PUSH2);
            code.extend((random.below(code.len() as u64 + 60) as u16).to_be_bytes());
            code.push(if random.below(2) == 0 { op::JUMP } else { op::JUMPI });
        }
        18 => {
            // A jump over what follows, to a destination.
            code.extend([op::PUSH1, 1, op::PUSH2]);
            let target = code.len() as u16 + 4;
            code.extend(target.to_be_bytes());
            code.extend([op::JUMPI, random.next() as u8, op::JUMPDEST]);
        }
        _ => code.push(other[random.below(other.len() as u64) as usize]),
    }
}

/// What a run takes in one go, with a jump to `target` where there is one; and the same with a piece missing.
fn idioms(target: u16) -> Vec<Vec<u8>> {
    let [high, low] = target.to_be_bytes();
    let branch = [op::PUSH2, high, low, op::JUMPI];
    let mut all = vec![
        vec![op::PUSH2, high, low, op::JUMP],
        branch.to_vec(),
        vec![op::PUSH1, 7, op::ADD],
        vec![op::PUSH1, 7, op::PUSH1, 8],
        vec![op::PUSH1, 0x40, op::MLOAD],
        vec![op::PUSH1, 0, op::MSTORE, op::PUSH1, 0, op::MLOAD],
        vec![op::POP, op::POP],
        vec![op::SWAP1, op::POP],
        vec![op::SWAP2, op::POP],
        [&[op::DUP1, op::PUSH4, 0, 0, 0, 1, op::EQ][..], &branch].concat(),
        vec![op::DUP1, op::PUSH4, 0, 0, 0, 1, op::EQ],
        vec![op::DUP1, op::PUSH4, 0, 0, 0, 1, op::LT, op::PUSH2, high, low, op::JUMPI],
    ];
    for compare in [op::EQ, op::LT, op::GT, op::SLT, op::SGT, op::ISZERO] {
        all.push([&[compare][..], &branch].concat());
        all.push([&[compare, op::ISZERO][..], &branch].concat());
        all.push(vec![compare, op::ISZERO, op::PUSH2, high, low, op::JUMP]);
        all.push(vec![compare, op::PUSH2, high, low]);
    }
    all
}

fn program(random: &mut Random) -> Vec<u8> {
    let mut code = Vec::new();
    // Something to work on.
    for _ in 0..random.below(20) {
        code.extend([op::PUSH1, random.next() as u8]);
    }
    for _ in 0..1 + random.below(120) {
        instruction(random, &mut code);
    }
    // What the stack holds is what it returns; sometimes the end is missing.
    if random.below(4) > 0 {
        for place in 0..random.below(6) as u8 {
            code.extend([op::PUSH1, 32 * place, op::MSTORE]);
        }
        code.extend([op::PUSH1, 192, op::PUSH1, 0, op::RETURN]);
    }
    code
}

fn run(
    code: &[u8],
    fork: Fork,
    tx: &Transaction,
    with_runs: bool,
    unwatched: bool,
) -> Result<ExecutionResult<HaltReason>, EngineError> {
    run_until(code, fork, tx, with_runs, unwatched, None)
}

/// The same, that another thread may stop.
fn run_until(
    code: &[u8],
    fork: Fork,
    tx: &Transaction,
    with_runs: bool,
    unwatched: bool,
    cancel: Option<&AtomicBool>,
) -> Result<ExecutionResult<HaltReason>, EngineError> {
    let mut state = MemoryState::new(UnknownBlockHash::Fault);
    state.insert(CONTRACT, StateAccount::new(1, U256::ZERO, Bytes::copy_from_slice(code)));
    let chain = Chain::at(fork);
    let header = Header {
        number: 1,
        timestamp: 1,
        gas_limit: 30_000_000,
        base_fee_per_gas: (fork >= Fork::London).then_some(0),
        excess_blob_gas: (fork >= Fork::Cancun).then_some(0),
        ..Default::default()
    };
    let mut cfg = environment::config(&chain, fork, &header);
    Relaxed::ALL.set(&mut cfg);
    let setup = Setup {
        cfg,
        env: environment::block_env(&chain, fork, &header),
        reader: &state,
        record_accesses: false,
        net_gas_metering: fork == Fork::Constantinople,
        cancel,
    };
    let idle = Transaction::default();
    let mut machine = Machine::new(setup, &idle, ());
    if !with_runs {
        return machine.transact(0, tx, None);
    }
    machine = machine.for_attempts();
    if unwatched {
        machine = machine.unwatched();
    }
    machine.attempt(tx)
}

#[test]
fn random_programs_end_as_by_single_instructions() {
    let forks =
        [Fork::Frontier, Fork::Byzantium, Fork::Constantinople, Fork::London, Fork::Shanghai, Fork::Osaka];
    let mut random = Random(SEED);
    let (mut succeeded, mut halted) = (0, 0);
    for number in 0..PROGRAMS {
        let fork = forks[random.below(forks.len() as u64) as usize];
        let code = program(&mut random);
        let input: Vec<u8> = (0..random.below(70)).map(|_| random.next() as u8).collect();
        let mut tx = Transaction {
            sender: Address::repeat_byte(1),
            to: TxKind::Call(CONTRACT),
            gas_limit: 60_000,
            input: input.into(),
            ..Default::default()
        };
        let plain = run(&code, fork, &tx, false, false).unwrap();
        let used = plain.tx_gas_used();
        // With all the gas, and with so little that it ends anywhere.
        for gas_limit in [60_000, used, 24_000 + random.below(used.max(24_001) - 24_000)] {
            tx.gas_limit = gas_limit;
            let plain = run(&code, fork, &tx, false, false);
            let ours = run(&code, fork, &tx, true, number % 2 == 0);
            assert_eq!(
                format!("{plain:?}"),
                format!("{ours:?}"),
                "seed {SEED:#x}, program {number}, {fork}, gas {gas_limit}: {}",
                alloy_primitives::hex::encode(&code)
            );
            match plain {
                Ok(ExecutionResult::Success { .. }) => succeeded += 1,
                Ok(ExecutionResult::Halt { .. }) => halted += 1,
                _ => {}
            }
        }
    }
    // Else the programs would say little.
    assert!(succeeded > PROGRAMS / 4 && halted > PROGRAMS / 4, "{succeeded} succeeded, {halted} halted");
}

/// A loop that fills the stack, and one that empties it: the limits are met where revm meets them.
#[test]
fn stack_limits_are_the_same() {
    let tx = Transaction { to: TxKind::Call(CONTRACT), gas_limit: 200_000, ..Default::default() };
    for instruction in [op::PUSH1, op::PUSH2, op::PUSH3, op::PUSH32, op::DUP1, op::CALLER, op::POP, op::PUSH0]
    {
        let mut code = vec![op::PUSH1, 1, op::PUSH1, 2, op::JUMPDEST];
        let immediate = usize::from(instruction.saturating_sub(op::PUSH0) % 32);
        for _ in 0..8 {
            code.push(instruction);
            if (op::PUSH1..=op::PUSH32).contains(&instruction) {
                code.extend(std::iter::repeat_n(7, if instruction == op::PUSH32 { 32 } else { immediate }));
            }
        }
        code.extend([op::PUSH1, 4, op::JUMP]);
        let plain = run(&code, Fork::Osaka, &tx, false, false).unwrap();
        let ours = run(&code, Fork::Osaka, &tx, true, true).unwrap();
        assert_eq!(plain, ours, "{instruction:#x}");
        assert!(matches!(plain, ExecutionResult::Halt { .. }), "{instruction:#x}: {plain:?}");
    }
}

/// What a run takes in one go ends where its first failing instruction does: with every amount of gas that ends inside it, on a
/// stack that is nearly empty or nearly full.
#[test]
fn what_goes_in_one_go_fails_piece_by_piece() {
    let mut ends = std::collections::BTreeSet::new();
    for fill in (0..4).chain(1021..=1024) {
        for word in [0, 1] {
            for valid in [true, false] {
                let before = 2 * fill as u16;
                for number in 0..idioms(0).len() {
                    let length = idioms(0)[number].len() as u16;
                    let target = before + length + u16::from(valid);
                    let idiom = &idioms(target)[number];
                    let mut code = [op::PUSH1, word].repeat(fill);
                    code.extend(idiom);
                    // The destination is behind an instruction that a jump leaves out.
                    code.extend([op::GAS, op::JUMPDEST, op::STOP]);
                    let least = 21_000 + 3 * fill as u64;
                    for gas_limit in (least..least + 40).chain([100_000]) {
                        let to = TxKind::Call(CONTRACT);
                        let tx = Transaction { to, gas_limit, ..Default::default() };
                        let plain = run(&code, Fork::Osaka, &tx, false, false).unwrap();
                        let ours = run(&code, Fork::Osaka, &tx, true, true).unwrap();
                        assert_eq!(plain, ours, "{fill} words {word}, gas {gas_limit}: {idiom:02x?}");
                        if let ExecutionResult::Halt { reason, .. } = plain {
                            ends.insert(format!("{reason:?}"));
                        }
                    }
                }
            }
        }
    }
    assert!(ends.len() >= 4, "{ends:?}");
}

/// Every way to jump back meets the flag that stops a run, whatever goes with it in one go.
#[test]
fn every_loop_can_be_stopped() {
    static STOP: AtomicBool = AtomicBool::new(true);
    let tx = Transaction { to: TxKind::Call(CONTRACT), gas_limit: 10_000_000, ..Default::default() };
    let mut loops = vec![vec![op::PUSH1, 2, op::JUMP], vec![op::PUSH1, 1, op::PUSH1, 2, op::JUMPI]];
    // Jumps to the third byte are taken where a word of 1 or 0 is on the stack, or the two are.
    loops.extend(idioms(2).into_iter().filter(|idiom| matches!(idiom.last(), Some(&(op::JUMP | op::JUMPI)))));
    let mut stopped = 0;
    for body in loops {
        for words in [[0, 0], [0, 1], [1, 0], [1, 1]] {
            let mut code = vec![op::PUSH0, op::PUSH0, op::JUMPDEST];
            code.extend(words.iter().flat_map(|word| [op::PUSH1, *word]));
            code.extend(&body);
            code.push(op::STOP);
            let (sender, receiver) = mpsc::channel();
            let (of_thread, tx) = (code.clone(), tx.clone());
            std::thread::spawn(move || {
                sender.send(run_until(&of_thread, Fork::Osaka, &tx, true, false, Some(&STOP)))
            });
            let ended = receiver.recv_timeout(Duration::from_secs(60));
            let ended = ended.unwrap_or_else(|_| panic!("{code:02x?} goes on"));
            stopped += usize::from(matches!(ended, Err(EngineError::Fault(Fault::Cancelled))));
        }
    }
    assert!(stopped >= 40, "{stopped}");
}
