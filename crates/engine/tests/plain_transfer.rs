//! Plain transfers without a frame of revm's: blocks of transactions without call data end as they do under a tracer, which
//! goes revm's way for each, on every fork, and on several workers.
#![allow(missing_docs)]

use std::io::Write;

use alloy_primitives::{Address, Bytes, TxKind, U256};
use revm::context_interface::transaction::{
    AccessListItem, Authorization, RecoveredAuthority, RecoveredAuthorization,
};
use solder_engine::state::StateAccount;
use solder_engine::state::memory::UnknownBlockHash;
use solder_engine::trace::{TraceFields, TraceSink};
use solder_engine::{
    Block, BlockOutcome, Chain, EngineError, ExecuteOptions, Fork, Header, MemoryState, Parallel, Policy,
    Transaction, execute_block,
};

const SEED: u64 = 0x7_1a1f;
const BLOCKS: u64 = 12;
const ACCOUNTS: u8 = 16;
const GWEI: u128 = 1_000_000_000;

struct Nowhere;

impl TraceSink for Nowhere {
    fn open(&self, _index: usize) -> std::io::Result<Box<dyn Write>> {
        Ok(Box::new(std::io::sink()))
    }

    fn fields(&self) -> TraceFields {
        TraceFields::default()
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Precompiles of all forks, accounts with and without code, missing ones, and the producer.
    fn address(&mut self) -> Address {
        match self.below(8) {
            0 => Address::with_last_byte(self.below(20) as u8),
            1 => producer(),
            _ => account(self.below(u64::from(ACCOUNTS)) as u8),
        }
    }
}

fn producer() -> Address {
    Address::repeat_byte(0xcb)
}

fn account(number: u8) -> Address {
    Address::repeat_byte(0x40 + number)
}

fn state(random: &mut Random) -> MemoryState {
    let mut state = MemoryState::new(UnknownBlockHash::Fault);
    for number in 0..ACCOUNTS {
        let code = match random.below(8) {
            // Pays back what it got: CALL(gas, caller, value).
            0 => Bytes::from_static(&[
                0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x34, 0x33, 0x61, 0x27, 0x10, 0xf1, 0x00,
            ]),
            1 => Bytes::from_static(&[0xfe]),
            2 => [&[0xef, 0x01, 0x00], account(random.below(16) as u8).as_slice()].concat().into(),
            _ => Bytes::new(),
        };
        let balance = match random.below(8) {
            0 => U256::ZERO,
            1 => U256::MAX - U256::from(random.below(1_000_000)),
            _ => U256::from(random.below(1 << 62)) << 4,
        };
        if random.below(6) > 0 {
            // No sender has code, or it would not be one.
            state.insert(account(number), StateAccount::new(0, balance, code));
        }
    }
    state
}

fn transaction(random: &mut Random, fork: Fork, nonces: &mut [u64]) -> Transaction {
    let from = random.below(u64::from(ACCOUNTS)) as usize;
    let types = match fork {
        _ if fork >= Fork::Prague => 5,
        _ if fork >= Fork::London => 3,
        _ if fork >= Fork::Berlin => 2,
        _ => 1,
    };
    let tx_type = [0, 1, 2, 2, 4][random.below(types) as usize];
    let recipient = random.address();
    let mut tx = Transaction {
        tx_type,
        chain_id: (tx_type > 0).then_some(1),
        nonce: nonces[from],
        gas_price: GWEI + u128::from(random.below(5)),
        max_priority_fee_per_gas: (tx_type >= 2).then_some(u128::from(random.below(3))),
        gas_limit: [21_000, 60_000, 100_000][random.below(3) as usize],
        to: TxKind::Call(recipient),
        value: U256::from(random.below(3) * random.below(1 << 40)),
        sender: account(from as u8),
        ..Transaction::default()
    };
    if tx_type > 0 && random.below(2) == 0 {
        let storage_keys = vec![U256::ONE.into()];
        tx.access_list.push(AccessListItem { address: random.address(), storage_keys });
    }
    if tx_type == 4 {
        let authority = account(random.below(u64::from(ACCOUNTS)) as u8);
        let named = Authorization { chain_id: U256::ZERO, address: random.address(), nonce: random.below(2) };
        tx.authorities =
            vec![RecoveredAuthorization::new_unchecked(named, RecoveredAuthority::Valid(authority))];
    }
    if random.below(10) > 0 {
        nonces[from] += 1;
    }
    tx
}

fn run(
    fork: Fork,
    block: &Block,
    state: &MemoryState,
    options: ExecuteOptions<'_>,
) -> Result<BlockOutcome, EngineError> {
    let options = ExecuteOptions { policy: Policy::Skip, transactions_only: true, ..options };
    execute_block(&Chain::at(fork), fork, block, state, &options)
}

fn assert_same(name: &str, expected: &mut BlockOutcome, found: &mut BlockOutcome) {
    assert_eq!(expected.receipts, found.receipts, "{name}");
    assert_eq!(format!("{:?}", expected.skipped), format!("{:?}", found.skipped), "{name}");
    expected.changes.sort();
    found.changes.sort();
    assert_eq!(expected.changes, found.changes, "{name}");
}

#[test]
fn transfers_end_as_revms_frames_do_on_every_fork() {
    let mut executed = 0;
    for fork in Fork::ALL {
        for number in 0..BLOCKS {
            let mut random = Random(SEED ^ (*fork as u64) << 32 ^ number);
            let state = state(&mut random);
            let mut nonces = [0; ACCOUNTS as usize];
            let header = Header {
                number: 1,
                timestamp: 1,
                gas_limit: 30_000_000,
                beneficiary: if number % 3 == 0 { account(2) } else { producer() },
                base_fee_per_gas: (*fork >= Fork::London).then_some(7),
                excess_blob_gas: (*fork >= Fork::Cancun).then_some(0),
                ..Default::default()
            };
            let transactions = (0..40).map(|_| transaction(&mut random, *fork, &mut nonces)).collect();
            let block = Block { header, transactions, ..Block::default() };
            let traced = ExecuteOptions { trace: Some(&Nowhere), ..Default::default() };
            let mut expected = run(*fork, &block, &state, traced).unwrap();
            executed += expected.receipts.len();
            let mut serial = run(*fork, &block, &state, ExecuteOptions::default()).unwrap();
            assert_same(&format!("{fork:?} {number}"), &mut expected, &mut serial);
            for workers in [1, 3] {
                let parallel = Some(Parallel { workers, forced: true, ..Default::default() });
                let mut found =
                    run(*fork, &block, &state, ExecuteOptions { parallel, ..Default::default() }).unwrap();
                assert_same(&format!("{fork:?} {number} on {workers}"), &mut expected, &mut found);
            }
        }
    }
    assert!(executed > 2_000, "{executed} ran");
}
