//! What went wrong for others who ran blocks in parallel, each as a test: a block made for it, run by threads, misled,
//! and in many orders of turns, against serial execution.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy_eips::eip4895::Withdrawal;
use alloy_eips::{eip4788, eip7002};
use alloy_primitives::{Address, Bytes, U256};
use revm::bytecode::opcode as op;
use solder_engine::block::Reward;
use solder_engine::parallel::Clamp;
use solder_engine::parallel::scheduler::{Finish, Scheduler, Task};
use solder_engine::state::{MemoryState, StateAccount};
use solder_engine::trie::state_root;
use solder_engine::{BlockOutcome, Code, ExecuteOptions, Fork, Parallel, Policy, Receipt, execute_block};
use solder_fuzz::assembler::{Assembler, words};
use solder_fuzz::cast::{self, Part, address_of};
use solder_fuzz::check::{Mode, check, compare, many_modes, serial};
use solder_fuzz::contracts::{child_address, factory_mode};
use solder_fuzz::step::{Amount, Delegation, Kind, Step};
use solder_fuzz::{Case, Watch};

const A: Address = cast::SENDERS[0];
const B: Address = cast::SENDERS[1];
const C: Address = cast::SENDERS[2];
const D: Address = cast::SENDERS[3];
const PRODUCER: Address = cast::PRODUCER;
/// Code of a test's own.
const SPECIAL: Address = Address::repeat_byte(0x5c);

fn word(address: Address) -> U256 {
    address.into_word().into()
}

fn number(number: u64) -> U256 {
    U256::from(number)
}

fn wei(amount: u64) -> Amount {
    Amount::Wei(number(amount))
}

fn case(fork: Fork, steps: &[Step]) -> Case {
    Case::of_steps(fork, PRODUCER, |_| {}, steps)
}

/// A block with a contract of its own, without balance.
fn with_code(fork: Fork, code: Assembler, slots: &[(u64, u64)], steps: &[Step]) -> Case {
    let mut account = StateAccount::new(1, U256::ZERO, code.finish());
    account.storage.extend(slots.iter().map(|(slot, value)| (number(*slot), number(*value))));
    Case::of_steps(fork, PRODUCER, |state: &mut MemoryState| state.insert(SPECIAL, account), steps)
}

/// Runs the block in every mode and gives what serial gave.
fn same(case: &Case) -> BlockOutcome {
    if let Err(mismatch) = check(case, &many_modes(), &Watch::default()) {
        panic!("{mismatch}\n{}", case.describe());
    }
    serial(case, Policy::Skip).attempt.unwrap()
}

fn observe(from: Address, target: Address) -> Step {
    Step::call(from, address_of(Part::Observer), words(&[word(target), U256::ZERO]))
}

/// Word `index` of the only log of a transaction.
fn logged(receipt: &Receipt, index: usize) -> U256 {
    assert_eq!(receipt.logs.len(), 1, "{receipt:?}");
    U256::from_be_slice(&receipt.logs[0].data.data[32 * index..32 * index + 32])
}

fn destroy(from: Address, victim: Address, heir: Address) -> Step {
    Step::call(from, victim, words(&[number(1), word(heir)]))
}

fn factory(from: Address, mode: u64) -> Step {
    let place = address_of(Part::Factory);
    let child = child_address(place, 0);
    let arguments = [number(mode), U256::ZERO, U256::ZERO, word(from), word(child)];
    Step { gas: 900_000, ..Step::call(from, place, words(&arguments)) }
}

#[test]
fn pitfall_01_a_destruction_does_not_send_the_block_to_serial() {
    let victim = cast::destroyer(0);
    let mut steps = vec![Step::call(A, victim, words(&[U256::ZERO])), destroy(B, victim, C)];
    steps.extend(cast::SENDERS.map(|sender| Step::transfer(sender, victim, wei(1))));
    steps.push(factory(D, factory_mode::CREATE | factory_mode::DESTROY));
    for fork in [Fork::Frontier, Fork::Shanghai, Fork::Osaka] {
        let case = case(fork, &steps);
        same(&case);
        let mode = Mode::interleaved(4, 9);
        let report = compare(&case, &mode, &serial(&case, Policy::Skip)).unwrap().unwrap();
        assert_eq!((report.workers_used, report.clamp), (4, None));
        assert!(report.counters.published > 0, "{report:?}");
    }
}

#[test]
fn pitfall_02_nothing_is_seen_across_a_destruction() {
    let victim = cast::destroyer(1);
    let touch = |from| Step::call(from, victim, words(&[U256::ZERO]));
    let steps = [
        Step::transfer(A, victim, wei(100)),
        touch(B),
        observe(C, victim),
        destroy(D, victim, A),
        observe(B, victim),
        touch(C),
        Step::transfer(D, victim, wei(3)),
        observe(A, victim),
        Step::transfer(B, victim, wei(4)),
        observe(C, victim),
    ];
    let outcome = same(&case(Fork::Shanghai, &steps));
    let receipts = &outcome.receipts;
    assert!(logged(&receipts[2], 1) > U256::ZERO, "there is code before");
    for (index, balance) in [(4, 0), (7, 3), (9, 7)] {
        assert_eq!(logged(&receipts[index], 0), number(balance));
        assert_eq!(logged(&receipts[index], 1), U256::ZERO);
    }
    let change = outcome.changes.accounts.iter().find(|change| change.address == victim).unwrap();
    assert!(change.reset && change.storage.iter().all(|slot| slot.after.is_zero()));
}

/// Where it writes depends on what it reads; somebody reads both places afterwards.
#[test]
fn pitfall_03_writes_of_a_wrong_incarnation_are_not_left_behind() {
    let mut code = Assembler::new();
    code.case(0, 1, |code| {
        code.number(1).number(0).op(&[op::SSTORE]);
    });
    code.case(0, 2, |code| {
        code.number(7).number(10).number(0).op(&[op::SLOAD, op::ADD, op::SSTORE]);
    });
    code.case(0, 3, |code| {
        code.number(10).op(&[op::SLOAD]).store_at(0).number(11).op(&[op::SLOAD]).store_at(32).log(64);
    });
    let call = |from, entry| Step::call(from, SPECIAL, words(&[number(entry)]));
    let steps = [call(A, 1), call(B, 2), call(C, 3), call(D, 3)];
    let outcome = same(&with_code(Fork::Osaka, code, &[], &steps));
    for receipt in &outcome.receipts[2..] {
        assert_eq!((logged(receipt, 0), logged(receipt, 1)), (U256::ZERO, number(7)));
    }
}

#[test]
fn pitfall_04_each_gas_limit_must_fit_what_is_left() {
    let steps = [A, B, C, D].map(|from| Step::transfer(from, cast::POOR[0], wei(1)));
    let mut case = case(Fork::Osaka, &steps);
    // All of the gas used fits, and so do three limits.
    case.block.header.gas_limit = 3 * 21_000 + 59_999;
    let outcome = same(&case);
    assert_eq!(outcome.receipts.len(), 3);
    assert_eq!(outcome.skipped[0].index, 3);
    assert_eq!(outcome.skipped[0].rejection.code, Code::GasAllowanceExceeded);
    assert!(serial(&case, Policy::Reject).attempt.is_err());
}

#[test]
fn pitfall_05_the_producer_in_every_role() {
    let contract = cast::destroyer(2);
    let payer = address_of(Part::Payer);
    for (fork, coinbase) in [
        (Fork::Frontier, PRODUCER),
        (Fork::Byzantium, cast::POOR[0]),
        (Fork::Shanghai, A),
        (Fork::Osaka, A),
        (Fork::Osaka, PRODUCER),
        (Fork::Shanghai, contract),
        (Fork::Osaka, payer),
        (Fork::Osaka, cast::EMPTY[0]),
    ] {
        let tip = |step: Step, tip| Step { tip, ..step };
        let steps = [
            tip(observe(B, coinbase), 0),
            tip(Step::transfer(C, coinbase, wei(0)), 0),
            observe(D, coinbase),
            tip(destroy(B, cast::destroyer(0), coinbase), 1_000),
            observe(C, coinbase),
            Step::transfer(coinbase, D, wei(1)),
            destroy(D, contract, coinbase),
            Step::call(B, payer, words(&[word(coinbase), number(1)])),
            observe(A, coinbase),
        ];
        same(&Case::of_steps(fork, coinbase, |_| {}, &steps));
    }
}

#[test]
fn pitfall_05_an_absent_producer_without_reward() {
    for fork in [Fork::Frontier, Fork::SpuriousDragon, Fork::Osaka] {
        let free = |step: Step| Step { tip: 0, ..step };
        let steps =
            [free(observe(A, PRODUCER)), free(Step::transfer(B, C, wei(1))), free(observe(C, PRODUCER))];
        let mut case = case(fork, &steps);
        case.reward = Some(Reward::Disabled);
        let outcome = same(&case);
        let change = outcome.changes.accounts.iter().find(|change| change.address == PRODUCER);
        let exists = change.is_some_and(|change| change.after.is_some());
        assert_eq!(exists, fork < Fork::SpuriousDragon, "{fork}: {change:?}");
    }
}

#[test]
fn pitfall_06_a_delegation_is_published_each_time_its_hash_changes() {
    let authority = cast::POOR[2];
    let (counter, observer) = (address_of(Part::Counter), address_of(Part::Observer));
    let set = |from, target| {
        let delegation = Delegation { authority, target, nonce_off: 0, forged: false };
        Step::call(from, B, Bytes::new()).of_kind(Kind::SetCode(vec![delegation]))
    };
    let call = |from| Step::call(from, authority, words(&[word(authority)]));
    let steps = [
        call(A),
        set(B, counter),
        call(C),
        set(D, observer),
        call(A),
        observe(B, authority),
        set(C, Address::ZERO),
        call(D),
        observe(A, authority),
    ];
    let outcome = same(&case(Fork::Osaka, &steps));
    let logs: Vec<_> = [0, 2, 4, 7].iter().map(|index| outcome.receipts[*index].logs.len()).collect();
    assert_eq!(logs, [0, 1, 1, 0], "code of X, then of Y, then none");
    assert_eq!(logged(&outcome.receipts[2], 0), number(1), "X counts in the authority's storage");
    assert_eq!(logged(&outcome.receipts[5], 1), number(23), "a delegation is 23 bytes");
    assert_eq!(logged(&outcome.receipts[8], 1), U256::ZERO);
}

/// An account that is touched while empty does not exist afterwards, so setting its code costs the same as ever. (The
/// journal of a block must not take the touch for existence.)
#[test]
fn pitfall_06_a_touched_empty_authority_gets_no_refund_of_an_existing_one() {
    for authority in [cast::ABSENT[0], cast::EMPTY[0]] {
        let delegation = Delegation { authority, target: SPECIAL, nonce_off: 0, forged: false };
        let set = Step::call(B, C, Bytes::new()).of_kind(Kind::SetCode(vec![delegation]));
        let touch = Step::transfer(A, authority, wei(0));
        let touched = Step::call(D, address_of(Part::Toucher), words(&[word(authority)]));
        let gas = |case: Case| same(&case).receipts.last().map(|receipt| receipt.gas_used).unwrap();
        let alone = gas(case(Fork::Osaka, std::slice::from_ref(&set)));
        assert_eq!(gas(case(Fork::Osaka, &[touch, touched, set.clone()])), alone);
        let funded = gas(case(Fork::Osaka, &[Step::transfer(A, authority, wei(1)), set]));
        assert!(funded < alone, "{funded} and {alone}");
    }
}

/// What an SSTORE costs depends on zero and non-zero, so a balance in a token cannot be made up.
#[test]
fn pitfall_07_the_price_of_a_write_follows_from_the_values() {
    let count = |from, clears| {
        let arguments = [number(40), number(clears), U256::ZERO];
        Step::call(from, address_of(Part::Counter), words(&arguments))
    };
    let steps = [count(A, 0), count(B, 1), count(C, 0), count(D, 0), count(A, 1), count(B, 0)];
    let outcome = same(&case(Fork::Osaka, &steps));
    let gas: Vec<_> = outcome.receipts.iter().map(|receipt| receipt.gas_used).collect();
    assert!(gas[0] > gas[3], "from zero costs more: {gas:?}");
    assert!(gas[5] > gas[3], "{gas:?}");
}

/// The slot is 5 before, nothing in between, and 5 again: equal, and yet not the same.
#[test]
fn pitfall_08_an_equal_value_across_a_destruction_is_another_version() {
    let (create, count, destroy) = (factory_mode::CREATE, factory_mode::COUNT, factory_mode::DESTROY);
    let steps = [
        factory(A, create),
        factory(B, destroy),
        factory(C, create),
        factory(D, count),
        factory(A, destroy),
        factory(B, create),
        factory(C, count | destroy),
    ];
    let outcome = same(&case(Fork::Shanghai, &steps));
    for index in [3, 6] {
        let child_log = &outcome.receipts[index].logs[0].data.data;
        assert_eq!(U256::from_be_slice(&child_log[..32]), number(6), "5 and one");
    }
}

/// The order in which it went wrong: the last transaction runs again when all others are committed. All orders are
/// explored in solder-engine, tests/scheduler/.
#[test]
fn pitfall_09_done_is_not_latched_before_the_last_commit() {
    let mut machine = Scheduler::new(2, 2, &|_| 1);
    let first = machine.next_task(0);
    let second = machine.next_task(0);
    assert_eq!(first, Task::Execute { tx: 0, incarnation: 0, at_head: true });
    assert_eq!(second, Task::Execute { tx: 1, incarnation: 0, at_head: false });
    assert_eq!(machine.finish(1), Finish::Publish);
    assert!(!machine.published(1));
    assert_eq!(machine.finish(0), Finish::Commit);
    assert!(machine.invalidate(1), "what it read is stale");
    assert_eq!(machine.committed(), None);
    assert!(!machine.is_done());
    assert_eq!(machine.next_task(0), Task::Execute { tx: 1, incarnation: 1, at_head: true });
    assert_eq!(machine.next_task(0), Task::Idle, "one is left: nobody may leave");
    assert_eq!(machine.finish(1), Finish::Commit);
    assert_eq!(machine.committed(), None);
    assert_eq!(machine.next_task(0), Task::Done);
}

/// Slots that differ in one bit, wherever it is.
#[test]
fn pitfall_10_a_location_is_its_whole_key() {
    let mut code = Assembler::new();
    code.number(1).argument(0).op(&[op::SLOAD, op::ADD, op::DUP1]).store_at(0);
    code.argument(0).op(&[op::SSTORE]).log(32);
    let call = |bit: usize| Step::call(cast::SENDERS[bit % 4], SPECIAL, words(&[U256::from(1) << bit]));
    let steps: Vec<_> = (0..256).step_by(5).chain((0..256).step_by(7)).map(call).collect();
    let outcome = same(&with_code(Fork::Osaka, code, &[], &steps));
    let change = outcome.changes.accounts.iter().find(|change| change.address == SPECIAL).unwrap();
    assert_eq!(change.storage.len(), 52 + 37 - 8, "both reach every 35th");
    assert!(change.storage.iter().all(|slot| slot.after <= number(2)));
}

#[test]
fn pitfall_11_a_lone_transaction_needs_no_threads_unless_forced() {
    let case = case(Fork::Osaka, &[Step::transfer(A, B, wei(1))]);
    same(&case);
    let run = |forced| {
        let parallel = Parallel { workers: 8, forced, ..Default::default() };
        let options = ExecuteOptions { parallel: Some(parallel), ..case.options(Policy::Reject, None) };
        execute_block(&case.chain, case.fork, &case.block, &case.state, &options).unwrap().parallel.unwrap()
    };
    let report = run(false);
    assert_eq!((report.workers_used, report.clamp), (1, Some(Clamp::FewTransactions)));
    let report = run(true);
    assert_eq!((report.workers_used, report.clamp), (8, None));
}

#[test]
fn pitfall_12_a_touched_empty_account_is_gone_for_later_transactions() {
    let (empty, absent) = (cast::EMPTY[0], cast::ABSENT[0]);
    let meter = |from, target| Step::call(from, address_of(Part::Meter), words(&[word(target), number(1)]));
    let toucher = |from, target| {
        Step::call(from, address_of(Part::Toucher), words(&[word(target), U256::ZERO, U256::ZERO]))
    };
    for fork in [Fork::Frontier, Fork::TangerineWhistle, Fork::SpuriousDragon, Fork::Osaka] {
        let steps = [
            toucher(A, empty),
            observe(B, empty),
            toucher(C, absent),
            meter(D, absent),
            meter(B, empty),
            toucher(A, absent),
        ];
        let prepare = |state: &mut MemoryState| state.insert(empty, StateAccount::default());
        let outcome = same(&Case::of_steps(fork, PRODUCER, prepare, &steps));
        assert_eq!(outcome.receipts.len(), 6);
    }
}

#[test]
fn pitfall_12_the_touch_of_ripemd_outlives_a_failure() {
    let ripemd = cast::precompile(3);
    let fails =
        |from| Step::call(from, address_of(Part::Toucher), words(&[word(ripemd), number(1), number(100)]));
    let steps = [fails(A), observe(B, ripemd), fails(C)];
    let prepare = |state: &mut MemoryState| state.insert(ripemd, StateAccount::default());
    let outcome = same(&Case::of_steps(Fork::SpuriousDragon, PRODUCER, prepare, &steps));
    let change = outcome.changes.accounts.iter().find(|change| change.address == ripemd);
    assert!(change.is_some_and(|change| change.before.is_some() && change.after.is_none()), "{change:?}");
}

#[test]
fn pitfall_12_created_destroyed_and_created_again_in_one_block() {
    let (create, count, destroy) = (factory_mode::CREATE, factory_mode::COUNT, factory_mode::DESTROY);
    let again = factory_mode::REVIVE | factory_mode::AGAIN;
    for fork in [Fork::Constantinople, Fork::Shanghai, Fork::Cancun, Fork::Osaka] {
        let steps = [
            factory(A, create | count | destroy),
            factory(B, create | count | destroy | again),
            factory(C, create),
            factory(D, count),
            factory(A, create),
        ];
        let outcome = same(&case(fork, &steps));
        assert!(outcome.receipts.iter().take(4).all(|receipt| receipt.success), "{fork}");
    }
}

#[test]
fn pitfall_12_destroyed_and_recreated_with_identical_storage() {
    let place = address_of(Part::Factory);
    let child = child_address(place, 0);
    // As the constructor leaves it.
    let prepare = |state: &mut MemoryState| {
        let mut account = StateAccount::new(1, U256::ZERO, solder_fuzz::contracts::destroyer());
        account.storage.insert(number(1), number(5));
        state.insert(child, account);
    };
    let steps = [factory(A, factory_mode::DESTROY), factory(B, factory_mode::CREATE), observe(C, child)];
    let outcome = same(&Case::of_steps(Fork::Shanghai, PRODUCER, prepare, &steps));
    let change = outcome.changes.accounts.iter().find(|change| change.address == child).unwrap();
    assert!(change.reset);
    assert_eq!(change.before, change.after);
    assert_eq!(change.storage.len(), 1, "the equal slot is listed: {change:?}");
}

#[test]
fn pitfall_13_the_protocols_calls_stand_around_the_transactions() {
    let beacon = Step::call(A, eip4788::BEACON_ROOTS_ADDRESS, words(&[number(1_000_000)]));
    let mut request = vec![0x33; 48];
    request.extend_from_slice(&8u64.to_be_bytes());
    let contract = eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS;
    let withdraw = |from| Step { amount: wei(9), ..Step::call(from, contract, Bytes::from(request.clone())) };
    let inactive = cast::precompile(0xff);
    let meter = |from, target| Step::call(from, address_of(Part::Meter), words(&[word(target), U256::ZERO]));
    let steps = [
        beacon,
        withdraw(B),
        withdraw(C),
        meter(D, inactive),
        meter(D, cast::precompile(9)),
        observe(A, cast::EMPTY[0]),
    ];
    let prepare = |state: &mut MemoryState| state.insert(cast::EMPTY[0], StateAccount::default());
    let mut case = Case::of_steps(Fork::Osaka, PRODUCER, prepare, &steps);
    let withdrawal = |index, address, amount| Withdrawal { index, validator_index: 1, address, amount };
    case.block.withdrawals =
        Some(vec![withdrawal(0, cast::EMPTY[0], 0), withdrawal(1, A, 3), withdrawal(2, PRODUCER, 1)]);
    let outcome = same(&case);
    assert_eq!(outcome.receipts[0].output.as_ref(), [0x44; 32], "the root of this very block");
    let requests = outcome.requests.unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].len(), 1 + 2 * 76, "two withdrawals of 76 bytes");
    let cost = |index: usize| logged(&outcome.receipts[index], 1);
    assert_eq!(cost(3) - cost(4), number(2_600 - 100), "an inactive precompile is cold");
    let empty = outcome.changes.accounts.iter().find(|change| change.address == cast::EMPTY[0]).unwrap();
    assert!(empty.before.is_some() && empty.after.is_none(), "a withdrawal of nothing clears it");
}

/// Whether the whole is faster is measured by `make bench-replay`; that what follows the block gets the same is here.
#[test]
fn pitfall_14_the_state_root_after_a_parallel_block_is_the_same() {
    let case = Case::generate(11);
    let expected = serial(&case, Policy::Skip).attempt.unwrap();
    for workers in [1, 2, 8] {
        let mode = Mode::threads(workers);
        let options = ExecuteOptions { parallel: Some(mode.parallel), ..case.options(Policy::Skip, None) };
        let outcome = execute_block(&case.chain, case.fork, &case.block, &case.state, &options).unwrap();
        let root = |outcome: &BlockOutcome| {
            let mut state = case.state.clone();
            state.apply(&outcome.changes);
            state_root(&state)
        };
        assert_eq!(root(&outcome), root(&expected));
        assert_eq!(outcome.changes.digest(), expected.changes.digest());
    }
}
