//! A bounded part of the search, the same in every run: seeds, every plan in every fork, real blocks, and the
//! generator's own promises. `make fuzz` goes on from there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use solder_engine::{ExecuteOptions, Fork, Policy, execute_block};
use solder_fuzz::check::{Mode, check, serial};
use solder_fuzz::reluctant::Failing;
use solder_fuzz::{Case, Tally, Watch, blocks, cast, difference, modes, motif};

/// Seeds of the bounded part.
const SEEDS: u64 = 500;

fn run(cases: impl Iterator<Item = (Case, Vec<Mode>)>) -> Tally {
    let watch = Watch::default();
    let mut tally = Tally::default();
    for (case, modes) in cases {
        match check(&case, &modes, &watch) {
            Ok(one) => tally.add(&one),
            Err(mismatch) => panic!("{mismatch}\n{}", case.describe()),
        }
    }
    println!("{tally}");
    tally
}

#[test]
fn blocks_of_many_seeds_are_the_same_in_parallel() {
    let tally = run((0..SEEDS).map(|seed| (Case::generate(seed), modes(seed))));
    assert_eq!(tally.blocks as u64, SEEDS);
    // Hostile, and yet mostly valid.
    let all = tally.succeeded + tally.reverted + tally.halted + tally.invalid;
    assert!(tally.succeeded * 10 > all * 7 && tally.invalid * 10 < all, "{tally}");
    assert!(tally.reverted > 100 && tally.halted > 100 && tally.invalid > 100 && tally.rejected > 100);
    assert!(tally.conflicts > 5_000 && tally.parked > 100, "{tally}");
}

/// Every plan in every fork, in turns and misled.
#[test]
fn every_motif_in_every_fork_is_the_same_in_parallel() {
    let mut number = 0;
    let mut cases = Vec::new();
    for (name, _) in motif::ALL {
        for fork in Fork::ALL {
            number += 1;
            let case = Case::of_motif(number, *fork, name);
            let turns = [Mode::interleaved(3, number), Mode::interleaved(2, number).misled().late()];
            cases.push((case, turns.to_vec()));
        }
    }
    let tally = run(cases.into_iter());
    assert_eq!(tally.blocks, motif::ALL.len() * Fork::ALL.len());
}

#[test]
fn real_blocks_are_the_same_in_parallel() {
    let data = std::env::var_os("SOLDER_DATA").map(PathBuf::from);
    let path = blocks::given(data.as_deref());
    let cases = blocks::load(&path.display().to_string()).unwrap();
    println!("{} blocks from {}", cases.len(), path.display());
    let count = cases.len();
    let tally = run(cases.into_iter().map(|(_, case)| {
        let modes = modes(case.seed);
        (case, modes)
    }));
    assert_eq!(tally.blocks, count);
}

/// A read that fails is a fault in parallel exactly where it is one in serial: what only a wrong incarnation asks for
/// harms nobody.
#[test]
fn a_read_that_fails_fails_the_same_blocks() {
    let (mut faults, mut runs) = (0, 0);
    for seed in 0..60 {
        let case = Case::generate(seed);
        for address in
            [cast::POOR[0], cast::ABSENT[0], cast::SENDERS[2], cast::destroyer(0), cast::program(1)]
        {
            let state = Failing { state: &case.state, address };
            let run = |parallel| {
                let options = ExecuteOptions { parallel, ..case.options(Policy::Skip, None) };
                execute_block(&case.chain, case.fork, &case.block, &state, &options)
            };
            let expected = run(None);
            faults += usize::from(expected.is_err());
            for mode in [
                Mode::threads(2),
                Mode::threads(8),
                Mode::interleaved(3, seed),
                Mode::interleaved(2, seed).misled(),
            ] {
                runs += 1;
                let got = run(Some(mode.parallel));
                if let Some(difference) = difference::first(&expected, &got) {
                    panic!(
                        "seed {seed}, {} unreadable: {difference} ({})",
                        cast::name(address),
                        mode.arguments()
                    );
                }
            }
        }
    }
    println!("{runs} runs, {faults} of {} blocks at fault", runs / 4);
    assert!(faults > 50 && faults < 290, "{faults}");
}

/// Since Amsterdam, CREATE derives the new address from its creator's nonce, and lists it as accessed, before any frame
/// begins: a creation that fails there has observed the nonce.
#[test]
fn a_creation_that_fails_early_has_observed_its_creators_nonce() {
    let turns: Vec<Mode> = (1..=30).map(|seed| Mode::interleaved(2, seed)).collect();
    let tally = run(std::iter::once((Case::generate(5_053_785), turns)));
    assert_eq!(tally.blocks, 1);
    assert!(tally.conflicts > 0, "{tally}");
}

#[test]
fn a_seed_gives_one_block() {
    for seed in 0..50 {
        let (one, two) = (Case::generate(seed), Case::generate(seed));
        assert_eq!(one.block, two.block);
        assert_eq!(one.describe_state(), two.describe_state());
    }
}

/// Every plan succeeds at something in every fork where it exists.
#[test]
fn every_motif_does_something() {
    for (name, _) in motif::ALL {
        for fork in [Fork::Frontier, Fork::Byzantium, Fork::Osaka] {
            let set_code = ["delegation chain", "delegated at once", "touched then authority"];
            if fork < Fork::Prague && set_code.contains(name) {
                continue;
            }
            let ran = (0..20).filter(|seed| {
                let case = Case::of_motif(*seed, fork, name);
                let receipts = serial(&case, Policy::Skip).attempt.unwrap().receipts;
                receipts.iter().any(|receipt| receipt.success)
            });
            let enough = if *name == "invalid" { 0 } else { 15 };
            assert!(ran.count() >= enough, "{name} in {fork}");
        }
    }
}
