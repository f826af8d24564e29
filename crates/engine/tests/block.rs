//! Whole blocks through the public API: outcomes, policies, resets, and what a ChangeSet promises.

use alloy_primitives::{Address, Bytes, TxKind, U256, address, b256, keccak256};
use solder_engine::block::import::root_with;
use solder_engine::state::{MemoryState, StateAccount, memory::UnknownBlockHash};
use solder_engine::trie::state_root;
use solder_engine::{
    Block, Chain, Code, EngineError, ExecuteOptions, Fault, Fork, Header, Policy, Transaction, execute_block,
};

const SENDER: Address = address!("0x1000000000000000000000000000000000000001");
const CONTRACT: Address = address!("0x2000000000000000000000000000000000000002");
const OTHER: Address = address!("0x3000000000000000000000000000000000000003");
const COINBASE: Address = address!("0xc000000000000000000000000000000000000000");
const ETHER: u128 = 1_000_000_000_000_000_000;

/// SSTORE(0, SLOAD(0) + 1); LOG0 of nothing.
const COUNTER: &[u8] = &[0x60, 0x00, 0x54, 0x60, 0x01, 0x01, 0x60, 0x00, 0x55, 0x5f, 0x5f, 0xa0];
/// SELFDESTRUCT to the caller.
const DESTROY: &[u8] = &[0x33, 0xff];

fn state_with(accounts: &[(Address, u128, &[u8])]) -> MemoryState {
    let mut state = MemoryState::new(UnknownBlockHash::HashOfNumber);
    for (address, balance, code) in accounts {
        let account = StateAccount::new(0, U256::from(*balance), Bytes::copy_from_slice(code));
        state.insert(*address, account);
    }
    state
}

fn call(nonce: u64, to: Address, value: u128) -> Transaction {
    Transaction {
        nonce,
        gas_price: 10,
        gas_limit: 200_000,
        to: TxKind::Call(to),
        value: U256::from(value),
        sender: SENDER,
        ..Default::default()
    }
}

fn block(transactions: Vec<Transaction>) -> Block {
    let header = Header {
        number: 1,
        timestamp: 1_000,
        gas_limit: 1_000_000,
        beneficiary: COINBASE,
        excess_blob_gas: Some(0),
        ..Default::default()
    };
    Block { header, transactions, ..Default::default() }
}

fn run(
    fork: Fork,
    block: &Block,
    state: &MemoryState,
    policy: Policy,
) -> Result<solder_engine::BlockOutcome, EngineError> {
    let options = ExecuteOptions { policy, transactions_only: true, ..Default::default() };
    execute_block(&Chain::at(fork), fork, block, state, &options)
}

#[test]
fn transfers_move_balances_and_pay_the_beneficiary() {
    let state = state_with(&[(SENDER, ETHER, &[])]);
    let outcome =
        run(Fork::Cancun, &block(vec![call(0, OTHER, 5), call(1, OTHER, 7)]), &state, Policy::Reject)
            .unwrap();
    assert_eq!(outcome.gas_used, 42_000);
    assert_eq!(outcome.receipts[1].cumulative_gas_used, 42_000);
    let mut after = state.clone();
    after.apply(&outcome.changes);
    assert_eq!(after.get(&OTHER).unwrap().info.balance, U256::from(12));
    assert_eq!(after.get(&COINBASE).unwrap().info.balance, U256::from(420_000));
    assert_eq!(after.get(&SENDER).unwrap().info.nonce, 2);
}

#[test]
fn an_invalid_transaction_rejects_the_block_or_is_skipped() {
    let state = state_with(&[(SENDER, ETHER, &[]), (CONTRACT, 0, COUNTER)]);
    let transactions = vec![call(0, CONTRACT, 0), call(5, CONTRACT, 0), call(1, CONTRACT, 0)];
    let bad = block(transactions);
    let error = run(Fork::Cancun, &bad, &state, Policy::Reject).unwrap_err();
    let EngineError::Rejected(rejection) = error else { panic!("a rejection, not {error:?}") };
    assert_eq!((rejection.code, rejection.index), (Code::NonceMismatchTooHigh, Some(1)));

    let skipped = run(Fork::Cancun, &bad, &state, Policy::Skip).unwrap();
    assert_eq!(skipped.skipped.len(), 1);
    assert_eq!(
        (skipped.skipped[0].index, skipped.skipped[0].rejection.code),
        (1, Code::NonceMismatchTooHigh)
    );
    let good = block(vec![call(0, CONTRACT, 0), call(1, CONTRACT, 0)]);
    let plain = run(Fork::Cancun, &good, &state, Policy::Reject).unwrap();
    assert_eq!(skipped.receipts, plain.receipts);
    assert_eq!(skipped.changes.digest(), plain.changes.digest());
}

#[test]
fn the_gas_limit_of_each_transaction_must_fit_what_is_left() {
    let state = state_with(&[(SENDER, ETHER, &[])]);
    let mut over = block(vec![call(0, OTHER, 1), call(1, OTHER, 1)]);
    over.header.gas_limit = 220_999;
    let error = run(Fork::Cancun, &over, &state, Policy::Reject).unwrap_err();
    let EngineError::Rejected(rejection) = error else { panic!("a rejection, not {error:?}") };
    assert_eq!((rejection.code, rejection.index), (Code::GasAllowanceExceeded, Some(1)));
    over.header.gas_limit = 221_000;
    assert!(run(Fork::Cancun, &over, &state, Policy::Reject).is_ok());
}

#[test]
fn a_destroyed_account_costs_what_a_missing_one_costs() {
    // Frontier to Tangerine Whistle price a call to a missing account; the account is destroyed in this block.
    for fork in [Fork::TangerineWhistle, Fork::SpuriousDragon, Fork::London] {
        let mut state =
            state_with(&[(SENDER, ETHER, &[]), (CONTRACT, 1, DESTROY), (OTHER, 0, &caller_of(CONTRACT))]);
        let mut account = state.get(&CONTRACT).unwrap().clone();
        account.storage.insert(U256::from(1), U256::from(9));
        state.insert(CONTRACT, account);
        let first = run(fork, &block(vec![call(0, CONTRACT, 0)]), &state, Policy::Reject).unwrap();
        let mut between = state.clone();
        between.apply(&first.changes);
        assert!(between.get(&CONTRACT).is_none(), "{fork}");
        let mut second_block = block(vec![call(1, OTHER, 0)]);
        let alone = run(fork, &second_block, &between, Policy::Reject).unwrap();
        second_block.transactions.insert(0, call(0, CONTRACT, 0));
        let together = run(fork, &second_block, &state, Policy::Reject).unwrap();
        assert_eq!(together.receipts[1].gas_used, alone.receipts[0].gas_used, "{fork}");
        let change = together.changes.accounts.iter().find(|change| change.address == CONTRACT).unwrap();
        assert!(change.reset, "{fork}");
    }
}

/// CALL(gas, address, value 0) and stop.
fn caller_of(address: Address) -> Vec<u8> {
    let mut code = vec![0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x73];
    code.extend_from_slice(address.as_slice());
    code.extend_from_slice(&[0x61, 0x27, 0x10, 0xf1, 0x00]);
    code
}

#[test]
fn applying_a_change_set_and_its_inverse_restores_the_state() {
    let mut state = state_with(&[(SENDER, ETHER, &[]), (CONTRACT, 3, COUNTER), (OTHER, 1, DESTROY)]);
    let mut destroyed = state.get(&OTHER).unwrap().clone();
    destroyed.storage.insert(U256::from(7), U256::from(8));
    state.insert(OTHER, destroyed);
    let before = state_root(&state);
    let transactions = vec![call(0, CONTRACT, 1), call(1, OTHER, 0), call(2, OTHER, 4), call(3, CONTRACT, 0)];
    let outcome = run(Fork::Shanghai, &block(transactions), &state, Policy::Reject).unwrap();
    let expected = root_with(&state, &outcome.changes);
    state.apply(&outcome.changes);
    assert_eq!(state_root(&state), expected);
    assert_ne!(expected, before);
    assert_eq!(state.get(&OTHER).unwrap().info.balance, U256::from(4));
    assert!(state.get(&OTHER).unwrap().storage.is_empty());
    state.apply(&outcome.changes.invert());
    assert_eq!(state_root(&state), before);
}

#[test]
fn the_digest_is_the_hash_of_the_documented_list() {
    let state = state_with(&[(SENDER, ETHER, &[])]);
    let mut transfer = call(0, OTHER, 5);
    transfer.gas_price = 0;
    let mut empty_fee = block(vec![transfer]);
    empty_fee.header.beneficiary = SENDER;
    let outcome = run(Fork::Cancun, &empty_fee, &state, Policy::Reject).unwrap();
    // The list of the specification, encoded by hand: two accounts without changed slots.
    let empty_code = b256!("0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    let account = |address: Address, nonce: u8, balance: &[u8]| {
        let mut item = vec![0x94];
        item.extend(address);
        item.push(if nonce == 0 { 0x80 } else { nonce });
        item.extend_from_slice(balance);
        item.push(0xa0);
        item.extend(empty_code);
        item.push(0xc0);
        list_of(&item)
    };
    let mut rest = vec![0x88];
    rest.extend((ETHER as u64 - 5).to_be_bytes());
    let list = list_of(&[account(SENDER, 1, &rest), account(OTHER, 0, &[5])].concat());
    assert_eq!(outcome.changes.digest(), keccak256(list));
}

fn list_of(payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap_or(u8::MAX);
    let mut list = if length < 56 { vec![0xc0 + length] } else { vec![0xf8, length] };
    list.extend_from_slice(payload);
    list
}

#[test]
fn cancelling_is_a_fault_and_leaves_no_outcome() {
    let state = state_with(&[(SENDER, ETHER, &[])]);
    let cancel = std::sync::atomic::AtomicBool::new(true);
    let options = ExecuteOptions { cancel: Some(&cancel), ..Default::default() };
    let stopped = block(vec![call(0, OTHER, 1)]);
    let error =
        execute_block(&Chain::at(Fork::Cancun), Fork::Cancun, &stopped, &state, &options).unwrap_err();
    assert_eq!(error, EngineError::Fault(Fault::Cancelled));
}

#[test]
fn constantinople_prices_a_dirty_slot_at_sload_gas() {
    // Two writes to one slot: the second is dirty. Petersburg charges both in full.
    let twice: &[u8] = &[0x60, 1, 0x60, 0, 0x55, 0x60, 2, 0x60, 0, 0x55];
    let state = state_with(&[(SENDER, ETHER, &[]), (CONTRACT, 0, twice)]);
    let gas = |fork| run(fork, &block(vec![call(0, CONTRACT, 0)]), &state, Policy::Reject).unwrap().gas_used;
    assert_eq!(gas(Fork::Petersburg), 21_000 + 4 * 3 + 20_000 + 5_000);
    assert_eq!(gas(Fork::Constantinople), 21_000 + 4 * 3 + 20_000 + 200);
}

#[test]
fn unknown_names_are_errors() {
    for name in ["osaka", "Latest", "", "Osaka ", "OsakaToBPO9AtTime15k", "ToAt", "BerlinToLondonAt"] {
        assert!(Chain::from_network(name).is_err(), "{name:?}");
    }
    assert!(Chain::from_id(2).is_err());
    let chain = Chain::from_network("CancunToPragueAtTime15k").unwrap();
    assert_eq!(chain.fork_at(1, 14_999, 0), Fork::Cancun);
    assert_eq!(chain.fork_at(1, 15_000, 0), Fork::Prague);
    assert_eq!(Chain::mainnet().fork_at(12_964_999, 0, 0), Fork::Berlin);
}

#[test]
fn cancelling_stops_a_transaction_that_would_run_for_hours() {
    // JUMPDEST; PUSH1 0; JUMP, and a contract that calls itself twice without a jump.
    let recursion: &[u8] =
        &[0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x30, 0x5a, 0xf1, 0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x30, 0x5a, 0xf1];
    for code in [&[0x5b, 0x60, 0x00, 0x56][..], recursion] {
        let state = state_with(&[(SENDER, u128::MAX, &[]), (CONTRACT, 0, code)]);
        let mut endless = call(0, CONTRACT, 0);
        endless.gas_limit = 1 << 50;
        endless.gas_price = 0;
        let mut stopped = block(vec![endless]);
        stopped.header.gas_limit = 1 << 51;
        let cancel = std::sync::atomic::AtomicBool::new(false);
        let options = ExecuteOptions { cancel: Some(&cancel), transactions_only: true, ..Default::default() };
        let error = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(30));
                cancel.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            execute_block(&Chain::at(Fork::Cancun), Fork::Shanghai, &stopped, &state, &options).unwrap_err()
        });
        assert_eq!(error, EngineError::Fault(Fault::Cancelled));
    }
}

/// SSTORE(1, 9), then deploys [`DESTROY`].
const RECREATE: &[u8] = &[0x60, 9, 0x60, 1, 0x55, 0x61, 0x33, 0xff, 0x60, 0, 0x52, 0x60, 2, 0x60, 30, 0xf3];

#[test]
fn an_account_destroyed_and_recreated_with_the_same_storage_keeps_it() {
    // CREATE2 of RECREATE with salt 0: the pitfall of block 10,094,566.
    let mut factory = vec![0x6f];
    factory.extend_from_slice(RECREATE);
    factory.extend_from_slice(&[0x60, 0, 0x52, 0x60, 0, 0x60, 16, 0x60, 16, 0x60, 0, 0xf5]);
    assert_eq!(RECREATE.len(), 16);
    let child = OTHER.create2_from_code([0; 32], RECREATE);
    let mut state = state_with(&[(SENDER, ETHER, &[]), (child, 0, DESTROY), (OTHER, 0, &factory)]);
    let mut account = state.get(&child).unwrap().clone();
    account.info.nonce = 1;
    account.storage.insert(U256::from(1), U256::from(9));
    state.insert(child, account.clone());
    let before = state_root(&state);
    let transactions = vec![call(0, child, 0), call(1, OTHER, 0)];
    let outcome = run(Fork::Shanghai, &block(transactions), &state, Policy::Reject).unwrap();
    assert!(outcome.receipts.iter().all(|receipt| receipt.success));
    let change = outcome.changes.accounts.iter().find(|change| change.address == child).unwrap();
    assert!(change.reset && !change.is_changed(), "a touch and a reset, but nothing differs");
    state.apply(&outcome.changes);
    assert_eq!(state.get(&child).unwrap().storage, account.storage);
    state.apply(&outcome.changes.invert());
    assert_eq!(state.get(&child).unwrap().storage, account.storage);
    assert_eq!(state_root(&state), before);
}
