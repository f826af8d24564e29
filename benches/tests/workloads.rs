//! Generated blocks do what they say, about as large as asked for, and plain revm agrees with the engine on them.

#![allow(clippy::unwrap_used)]

use solder_bench::agreement::with_serial;
use solder_bench::baseline::Baseline;
use solder_bench::data::DataFolder;
use solder_bench::workloads::{
    Contracts, Workload, chain_sender, erc20_transfers, hot_slot, native_transfers, one_pool, uniswap_swaps,
};
use solder_engine::{ExecuteOptions, Parallel, execute_block};

const GAS: u64 = 3_000_000;

fn contracts() -> Option<Contracts> {
    let contracts = DataFolder::find().and_then(|data| data.contracts().unwrap());
    if contracts.is_none() {
        eprintln!("absent: no data folder (SOLDER_DATA) with bytecodes");
    }
    contracts
}

/// Runs both engines, ours in series and in parallel too, compares them, and returns the logs per transaction.
fn check(workload: &Workload) -> usize {
    let Workload { chain, fork, block, state, name } = workload;
    let outcome = execute_block(chain, *fork, block, state, &ExecuteOptions::default()).unwrap();
    assert!(outcome.receipts.iter().all(|receipt| receipt.success), "{name}");
    let off = outcome.gas_used.abs_diff(GAS) as f64 / GAS as f64;
    assert!(off < 0.05, "{name}: {} gas instead of about {GAS}", outcome.gas_used);
    let baseline = Baseline::new(workload);
    let theirs = baseline.run(baseline.prepare()).unwrap();
    assert_eq!(baseline.digest(&theirs), outcome.changes.digest(), "{name}");
    let parallel = Some(Parallel { workers: 2, forced: true, ..Parallel::default() });
    let options = ExecuteOptions { parallel, ..ExecuteOptions::default() };
    let shared = execute_block(chain, *fork, block, state, &options).unwrap();
    with_serial(workload, "parallel", &shared, &outcome).unwrap();
    let counters = shared.parallel.unwrap().counters;
    assert_eq!(counters.transactions, block.transactions.len() as u64);
    assert!(counters.executions >= counters.transactions, "{name}: {counters:?}");
    let logs = |receipt: &solder_engine::Receipt| receipt.logs.len();
    let first = outcome.receipts.first().map(logs).unwrap();
    assert!(outcome.receipts.iter().all(|receipt| receipt.logs.len() == first), "{name}");
    first
}

#[test]
fn native_transfers_touch_different_accounts() {
    let workload = native_transfers(GAS, 7);
    assert_eq!(check(&workload), 0);
    let mut senders: Vec<_> = workload.block.transactions.iter().map(|tx| tx.sender).collect();
    senders.sort();
    senders.dedup();
    assert_eq!(senders.len(), workload.block.transactions.len());
}

#[test]
fn one_sender_sends_everything() {
    let workload = chain_sender(GAS, 7);
    assert_eq!(check(&workload), 0);
    assert!(workload.block.transactions.iter().all(|tx| tx.sender == workload.block.transactions[0].sender));
}

#[test]
fn hot_slot_is_written_by_all() {
    let workload = hot_slot(GAS, 7);
    assert_eq!(check(&workload), 0);
    let Workload { chain, fork, block, state, .. } = &workload;
    let outcome = execute_block(chain, *fork, block, state, &ExecuteOptions::default()).unwrap();
    let slots: Vec<_> = outcome.changes.accounts.iter().flat_map(|account| &account.storage).collect();
    assert_eq!(slots.len(), 1);
    assert_eq!(slots[0].after - slots[0].before, alloy_primitives::U256::from(block.transactions.len()));
}

#[test]
fn erc20_transfers_log_once() {
    let Some(contracts) = contracts() else { return };
    assert_eq!(check(&erc20_transfers(&contracts, GAS, 7)), 1);
}

#[test]
fn uniswap_swaps_move_both_tokens() {
    let Some(contracts) = contracts() else { return };
    // Two transfers, the pair's sync and its swap.
    assert_eq!(check(&uniswap_swaps(&contracts, GAS, 7)), 4);
}

#[test]
fn one_pool_is_swapped_on_by_all() {
    let Some(contracts) = contracts() else { return };
    let workload = one_pool(&contracts, GAS, 7);
    assert_eq!(check(&workload), 4);
    let Workload { chain, fork, block, state, .. } = &workload;
    let outcome = execute_block(chain, *fork, block, state, &ExecuteOptions::default()).unwrap();
    let pairs: std::collections::BTreeSet<_> =
        outcome.receipts.iter().map(|receipt| receipt.logs[3].address).collect();
    assert_eq!(pairs.len(), 1);
}

#[test]
fn the_same_seed_gives_the_same_block() {
    let (first, again, other) =
        (native_transfers(GAS, 1), native_transfers(GAS, 1), native_transfers(GAS, 2));
    assert_eq!(first.block, again.block);
    assert_ne!(first.block, other.block);
}
