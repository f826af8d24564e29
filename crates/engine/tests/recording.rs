//! What a recorded schedule says of a block: who read whose write, by name, and when.

use alloy_primitives::{Address, Bytes, TxKind, U256, address};
use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::{Activity, Location};
use solder_engine::state::{MemoryState, StateAccount, memory::UnknownBlockHash};
use solder_engine::{Block, Chain, ExecuteOptions, Fork, Header, Parallel, Transaction, execute_block};

const CONTRACT: Address = address!("0x2000000000000000000000000000000000000002");
const OTHER: Address = address!("0x3000000000000000000000000000000000000003");

/// SSTORE(0, BALANCE(OTHER)).
fn reader() -> Bytes {
    let mut code = vec![0x73];
    code.extend(OTHER);
    code.extend([0x31, 0x5f, 0x55]);
    code.into()
}

fn sender(number: u8) -> Address {
    Address::with_last_byte(number + 16)
}

fn recorded(workers: usize) -> Option<Schedule> {
    let mut state = MemoryState::new(UnknownBlockHash::HashOfNumber);
    for number in 0..3 {
        state.insert(sender(number), StateAccount::new(0, U256::from(10).pow(U256::from(18)), Bytes::new()));
    }
    state.insert(CONTRACT, StateAccount::new(1, U256::ZERO, reader()));
    let transaction = |number: u8, to, value: u64| Transaction {
        gas_price: 10,
        gas_limit: 200_000,
        to: TxKind::Call(to),
        value: U256::from(value),
        sender: sender(number),
        ..Default::default()
    };
    let header = Header { gas_limit: 1_000_000, excess_blob_gas: Some(0), ..Default::default() };
    let transactions =
        vec![transaction(0, OTHER, 5), transaction(1, CONTRACT, 0), transaction(2, CONTRACT, 0)];
    let block = Block { header, transactions, ..Default::default() };
    let parallel = Some(Parallel { workers, forced: true, record: true, ..Parallel::default() });
    let options = ExecuteOptions { transactions_only: true, parallel, ..Default::default() };
    let outcome = execute_block(&Chain::at(Fork::Cancun), Fork::Cancun, &block, &state, &options).ok()?;
    outcome.parallel?.schedule()
}

#[test]
fn a_read_names_the_transaction_whose_write_it_saw() {
    for workers in [1, 2, 8] {
        let schedule = recorded(workers).unwrap();
        let writer = |tx: usize, location: Location| {
            let reads = &schedule.transactions[tx].reads;
            let read = reads.iter().find(|read| schedule.locations[read.location as usize] == location);
            read.map(|read| read.writer)
        };
        let (balance, slot) = (Location::Balance(OTHER), Location::Slot(CONTRACT, U256::ZERO));
        assert_eq!((writer(1, balance), writer(2, balance)), (Some(Some(0)), Some(Some(0))), "{workers}");
        assert_eq!((writer(1, slot), writer(2, slot)), (Some(None), Some(Some(1))), "{workers}");
        // Nobody wrote these in the block.
        assert_eq!(writer(1, Location::Code(CONTRACT)), Some(None), "{workers}");
        let writes = |tx: usize| {
            let places = schedule.transactions[tx].writes.iter();
            places.map(|place| schedule.locations[*place as usize]).collect::<Vec<_>>()
        };
        assert!(writes(0).contains(&balance) && writes(1).contains(&slot), "{workers}");
        assert!(!writes(2).contains(&slot), "{workers}: it wrote what was there");
    }
}

#[test]
fn every_transaction_has_its_spans_within_the_block() {
    for workers in [1, 2, 8] {
        let schedule = recorded(workers).unwrap();
        assert!(schedule.spans.iter().all(|span| span.start <= span.end && span.end <= schedule.wall));
        for tx in 0..3 {
            let count = |activity| {
                let of_tx = schedule.spans.iter().filter(|span| span.transaction == Some(tx));
                of_tx.filter(|span| span.activity == activity).count()
            };
            assert!(count(Activity::Execute) >= 1 && count(Activity::Commit) == 1, "{workers}");
            assert!(schedule.transactions[tx as usize].gas_used >= 21_000);
        }
    }
}
