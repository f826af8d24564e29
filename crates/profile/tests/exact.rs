//! Every unit of gas has its part: the ENS transaction to the figure, the sample blocks, and all mainnet blocks where
//! the data folder is there.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use solder_engine::trace::meter::{Costs, Part, TransactionBill};
use solder_engine::{ExecuteOptions, Fork, execute_block};
use solder_profile::case::Case;
use solder_profile::{BlockBill, Subject, profile_block};
use solder_spec::replay::Loader;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn gas_of(bill: &TransactionBill, part: Part) -> u64 {
    bill.nodes.iter().map(|node| node.part(part).gas).sum()
}

#[test]
fn ens_has_the_figures_of_its_file() {
    let case = Case::load(root().join("examples/ens/contenthash.json").to_str().unwrap()).unwrap();
    assert_eq!(case.fork, Fork::Cancun);
    let bill = profile_block(&case.subject(), &Costs::default(), 1).unwrap();
    let [bill] = &bill.transactions[..] else { panic!("one transaction") };
    assert_eq!(bill.gas_used, 46_924);
    assert_eq!(gas_of(bill, Part::Signature) + gas_of(bill, Part::Base), 21_000);
    assert_eq!(gas_of(bill, Part::Calldata), 1_556);
    assert_eq!(gas_of(bill, Part::Sload), 6_400);
    assert_eq!(gas_of(bill, Part::Sstore), 10_100);
    assert_eq!(gas_of(bill, Part::Log), 2_149);
    assert_eq!(gas_of(bill, Part::Keccak), 282);
    assert_eq!(gas_of(bill, Part::Call) + gas_of(bill, Part::AccountAccess), 2_600);
    let instructions = Part::ALL
        .into_iter()
        .filter(|part| *part != Part::Call)
        .map(|part| bill.nodes.iter().skip(1).map(|node| node.part(part).count).sum::<u64>());
    assert_eq!(instructions.sum::<u64>(), 866);
    assert_eq!((bill.refund, bill.floor_top_up), (0, 0));
}

fn check(id: &str, transactions: usize, found: &BlockBill) {
    assert_eq!(found.transactions.len(), transactions, "{id}");
    for (bill, receipt) in found.transactions.iter().zip(&found.outcome.receipts) {
        let sum = bill.gas_of_parts() - bill.refund + bill.floor_top_up;
        assert_eq!(sum, receipt.gas_used, "{id} transaction {}", bill.index);
    }
}

fn check_all(path: &str, least: usize) {
    let mut loader = Loader::default();
    let ids = loader.find(path).unwrap();
    assert!(ids.len() >= least);
    let mut transactions = 0;
    for id in ids {
        let loaded = loader.load(&id).unwrap();
        let subject = Subject {
            chain: &loaded.chain,
            fork: loaded.fork,
            block: &loaded.block,
            state: &loaded.state,
            transactions_only: false,
            cancel: None,
        };
        let found = profile_block(&subject, &Costs::default(), 1).unwrap();
        assert_eq!(found.outcome.gas_used, loaded.block.header.gas_used, "{id}");
        let plain = ExecuteOptions::default();
        let plain = execute_block(&loaded.chain, loaded.fork, &loaded.block, &loaded.state, &plain).unwrap();
        assert_eq!(found.outcome.receipts, plain.receipts, "{id}");
        assert_eq!(found.outcome.changes.digest(), plain.changes.digest(), "{id}");
        check(&id, loaded.block.transactions.len(), &found);
        transactions += found.transactions.len();
    }
    println!("{transactions} transactions");
}

#[test]
fn sample_blocks_add_up() {
    check_all(root().join("examples/blocks").to_str().unwrap(), 5);
}

#[test]
fn mainnet_blocks_add_up() {
    let data = std::env::var("SOLDER_DATA").map_or_else(|_| root().join("../shared/data"), PathBuf::from);
    let archive = data.join("mainnet/blocks.tar.xz");
    if !archive.is_file() {
        println!("absent: {}", archive.display());
        return;
    }
    check_all(archive.to_str().unwrap(), 54);
}
