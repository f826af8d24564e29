//! Each recorder of the parallel journal is needed: with it, a block made for it is the same as serial in every order of
//! turns; without it, in one of them at least it is not. Needs the feature `recorder-switches`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Mutex, PoisonError};

use alloy_primitives::{Address, U256};
use revm::bytecode::opcode as op;
use solder_engine::parallel::recorder::{Recorder, switch_off};
use solder_engine::state::{MemoryState, StateAccount};
use solder_engine::{Fork, Policy};
use solder_fuzz::Case;
use solder_fuzz::assembler::{Assembler, deploying, words};
use solder_fuzz::cast::{self, Part, address_of};
use solder_fuzz::check::{Mode, compare, serial};
use solder_fuzz::step::{Amount, Delegation, Kind, Step};

const A: Address = cast::SENDERS[0];
const B: Address = cast::SENDERS[1];
const C: Address = cast::SENDERS[2];
const PRODUCER: Address = cast::PRODUCER;

/// Where [`looking`] puts its contract.
const LOOKING: Address = Address::repeat_byte(0x1c);

/// The switches are the process's: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Orders of turns that are tried.
const ORDERS: u64 = 60;

fn word(address: Address) -> U256 {
    address.into_word().into()
}

fn wei(amount: u64) -> Amount {
    Amount::Wei(U256::from(amount))
}

fn case(fork: Fork, steps: &[Step]) -> Case {
    Case::of_steps(fork, PRODUCER, |_| {}, steps)
}

/// How many of the orders differ from serial.
fn differing(case: &Case) -> usize {
    let expected = serial(case, Policy::Skip);
    assert!(expected.attempt.is_ok());
    let differs =
        |seed: &u64| compare(case, &Mode::interleaved(2 + *seed as usize % 3, *seed), &expected).is_err();
    (0..ORDERS).filter(differs).count()
}

fn is_needed(recorder: Recorder, case: &Case) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    switch_off(None);
    assert_eq!(differing(case), 0, "with every recorder\n{}", case.describe());
    switch_off(Some(recorder));
    let without = differing(case);
    switch_off(None);
    println!("{recorder:?}: {without} of {ORDERS} orders differ without it");
    assert!(without > 0, "{recorder:?} is not missed\n{}", case.describe());
}

/// A contract that logs what one instruction says of an account, and nothing else.
fn looking(opcode: u8) -> impl FnOnce(&mut MemoryState) {
    move |state| {
        let mut code = Assembler::new();
        code.argument(0).op(&[opcode]).store_at(0).log(32);
        state.insert(LOOKING, StateAccount::new(1, U256::ZERO, code.finish()));
    }
}

fn look(from: Address, target: Address) -> Step {
    Step::call(from, LOOKING, words(&[word(target)]))
}

#[test]
fn exact_balances_are_needed() {
    let steps = [Step::transfer(A, C, wei(5)), look(B, C)];
    is_needed(Recorder::Balance, &Case::of_steps(Fork::Osaka, PRODUCER, looking(op::BALANCE), &steps));
}

/// Whether a call may send what it sends.
#[test]
fn comparisons_of_balances_are_needed() {
    let gate = address_of(Part::Gate);
    let prepare = |state: &mut MemoryState| {
        let code = state.get(&gate).unwrap().info.code.as_ref().unwrap().original_bytes();
        state.insert(gate, StateAccount::new(1, U256::ZERO, code));
    };
    let pay = Step::call(B, gate, words(&[word(C), U256::from(8)]));
    let steps = [Step::transfer(A, gate, wei(9)), pay];
    is_needed(Recorder::BalanceBound, &Case::of_steps(Fork::Osaka, PRODUCER, prepare, &steps));
}

/// The address of what a contract creates follows from its nonce.
#[test]
fn nonces_are_needed() {
    let create = |from| Step::call(from, address_of(Part::Creator), words(&[U256::ZERO, U256::ZERO]));
    is_needed(Recorder::Nonce, &case(Fork::Osaka, &[create(A), create(B), create(C)]));
}

#[test]
fn code_is_needed() {
    let authority = C;
    let target = address_of(Part::Counter);
    let delegation = Delegation { authority, target, nonce_off: 0, forged: false };
    let set = Step::call(A, B, Default::default()).of_kind(Kind::SetCode(vec![delegation]));
    let steps = [set, look(B, authority)];
    let prepare = |state: &mut MemoryState| {
        looking(op::EXTCODESIZE)(state);
        // Alive by its nonce before and after, so that nothing else changes with its code.
        state.insert(authority, StateAccount::new(3, U256::from(1), Default::default()));
    };
    is_needed(Recorder::Code, &Case::of_steps(Fork::Osaka, PRODUCER, prepare, &steps));
}

/// Before Spurious Dragon a touch makes an account, and a call to a new one costs more.
#[test]
fn existence_is_needed() {
    let absent = cast::ABSENT[1];
    let steps = [
        Step::transfer(A, absent, wei(0)),
        Step::call(B, address_of(Part::Meter), words(&[word(absent), U256::ZERO])),
    ];
    is_needed(Recorder::Existence, &case(Fork::Homestead, &steps));
}

/// After it a call with value costs more where the account is empty.
#[test]
fn emptiness_is_needed() {
    let absent = cast::ABSENT[1];
    let meter = address_of(Part::Meter);
    let prepare = |state: &mut MemoryState| {
        let code = state.get(&meter).unwrap().info.code.as_ref().unwrap().original_bytes();
        state.insert(meter, StateAccount::new(1, U256::from(1_000), code));
    };
    let steps =
        [Step::transfer(A, absent, wei(1)), Step::call(B, meter, words(&[word(absent), U256::from(1)]))];
    is_needed(Recorder::Emptiness, &Case::of_steps(Fork::Osaka, PRODUCER, prepare, &steps));
}

#[test]
fn slots_are_needed() {
    let count = |from| Step::call(from, address_of(Part::Counter), words(&[U256::from(1)]));
    is_needed(Recorder::Slot, &case(Fork::Osaka, &[count(A), count(B), count(C)]));
}

/// A contract is destroyed and created again with the same code, by a constructor that writes nothing: only the reset
/// says that its slot is not what it was.
#[test]
fn resets_are_needed() {
    let mut runtime = Assembler::new();
    runtime.case(0, 1, |code| {
        code.op(&[op::CALLER, op::SELFDESTRUCT]);
    });
    runtime.case(0, 2, |code| {
        code.number(5).op(&[op::SLOAD]).store_at(0).log(32);
    });
    let runtime = runtime.finish();
    let nonce = 7;
    let place = A.create(nonce);
    let prepare = |state: &mut MemoryState| {
        let mut account = StateAccount::new(1, U256::ZERO, runtime.clone());
        account.storage.insert(U256::from(5), U256::from(9));
        state.insert(place, account);
        state.insert(A, StateAccount::new(nonce, U256::from(10u64.pow(18)), Default::default()));
    };
    let entry = |from, entry: u64| Step::call(from, place, words(&[U256::from(entry)]));
    let create = Step::create(A, deploying(|_| {}, runtime.clone()));
    let steps = [entry(B, 1), create, entry(C, 2), entry(B, 2)];
    is_needed(Recorder::Reset, &Case::of_steps(Fork::Shanghai, PRODUCER, prepare, &steps));
}
