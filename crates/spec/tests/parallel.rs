//! The formats by the parallel engine: forced, misled, under seeds; each case ends as it does one after the other.

#![allow(clippy::unwrap_used)]

mod harness;

use std::collections::HashSet;
use std::path::Path;

use harness::{case_mut, load, run_paths, sample};
use solder_engine::Parallel;
use solder_engine::parallel::MAX_WORKERS;
use solder_spec::replay::{Loader, ReplayOptions, replay};
use solder_spec::{Format, Options, Verdict};

fn misled(workers: usize) -> Parallel {
    Parallel { workers, forced: true, mislead: true, ..Default::default() }
}

fn by(parallel: Parallel) -> Options {
    Options { threads: 1, parallel: Some(parallel), ..Default::default() }
}

const SAMPLES: [(Format, &str); 2] = [(Format::State, "state.json"), (Format::Block, "block.json")];

#[test]
fn samples_pass_in_every_mode_and_each_transaction_runs_twice() {
    for (format, name) in SAMPLES {
        let serial =
            run_paths(format, &[&sample(name)], Options { threads: 1, ..Default::default() }).unwrap();
        for workers in [1, 2, 8] {
            let found = run_paths(format, &[&sample(name)], by(misled(workers))).unwrap();
            assert_eq!(found.errors, []);
            let verdicts = |reports: &harness::Reports| -> Vec<_> {
                reports.cases.iter().map(|case| (case.name.clone(), case.verdict.clone())).collect()
            };
            assert_eq!(verdicts(&found), verdicts(&serial));
            assert_eq!(serial.executions, serial.transactions);
            assert_eq!(found.transactions, serial.transactions);
            assert!(found.transactions > 0);
            assert!(found.executions >= 2 * found.transactions, "{name}: {}", found.executions);
        }
    }
}

#[test]
fn each_seed_runs_each_case() {
    for (format, name) in SAMPLES {
        let once = run_paths(format, &[&sample(name)], by(misled(3))).unwrap();
        let seeds: Vec<u64> = (0..5).collect();
        let options = Options { seeds, ..by(misled(3)) };
        let found = run_paths(format, &[&sample(name)], options).unwrap();
        assert_eq!(found.passed(), once.passed());
        assert_eq!(found.transactions, 5 * once.transactions);
    }
}

#[test]
fn a_wrong_expectation_fails_in_parallel_too_and_names_the_seed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("block.json");
    let mut fixture = load("block.json");
    let hash = "0x1111111111111111111111111111111111111111111111111111111111111111";
    case_mut(&mut fixture)["lastblockhash"] = hash.into();
    std::fs::write(&path, fixture.to_string()).unwrap();
    let options = Options { seeds: vec![7, 8], ..by(misled(2)) };
    let found = run_paths(Format::Block, &[&path], options).unwrap();
    assert_eq!(found.fields(), ["seed 7: lastblockhash"]);
    let found = run_paths(Format::Block, &[&path], by(misled(2))).unwrap();
    assert_eq!(found.fields(), ["lastblockhash"]);
}

#[test]
fn a_list_chooses_cases_by_their_names_in_the_file() {
    let all = run_paths(Format::Block, &[&sample("block.json")], by(misled(1))).unwrap();
    let name = load("block.json").as_object().unwrap().keys().next().unwrap().clone();
    let cases = Some(HashSet::from([name, "no such case".to_owned()]));
    let one = run_paths(Format::Block, &[&sample("block.json")], Options { cases, ..by(misled(1)) }).unwrap();
    assert_eq!(one.cases.len(), 1);
    assert_eq!(one.cases[0].verdict, Verdict::Passed);
    assert!(all.cases.len() > 1);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let refused = |options: Options, field: &str| {
        let error = run_paths(Format::State, &[&sample("state.json")], options).unwrap_err();
        assert_eq!(error.field.as_deref(), Some(field));
    };
    refused(by(misled(0)), "workers");
    refused(by(misled(MAX_WORKERS + 1)), "workers");
    refused(Options { seeds: vec![1], ..Default::default() }, "seed");
    refused(Options { seeds: vec![1; 10_001], ..by(misled(2)) }, "seed");
}

#[test]
fn sample_blocks_replay_the_same_in_parallel() {
    let mut loader = Loader::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/blocks");
    for id in loader.find(folder.to_str().unwrap()).unwrap() {
        let loaded = loader.load(&id).unwrap();
        for workers in [1, 2, 8] {
            let parallel = Parallel { record: true, ..misled(workers) };
            let options = ReplayOptions { repeat: 2, parallel: Some(parallel), cancel: None };
            let found = replay(&loaded.chain, loaded.fork, &loaded.block, &loaded.state, &options).unwrap();
            assert!(found.is_ok(), "{id}: {found:?}");
            let parallel = found.parallel.unwrap();
            assert_eq!((parallel.workers, parallel.clamp, parallel.difference), (workers, None, None));
            let count = found.transactions as u64;
            assert_eq!(parallel.counters.transactions, count);
            assert!(parallel.counters.executions >= 2 * count);
            assert!(parallel.seconds > 0.0 && parallel.cpu_seconds > 0.0);
            assert_eq!(parallel.recorded.unwrap().schedule.transactions.len(), found.transactions);
        }
    }
}

#[test]
fn sample_blocks_end_the_same_under_every_seed() {
    let mut loader = Loader::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/blocks");
    for id in loader.find(folder.to_str().unwrap()).unwrap() {
        let loaded = loader.load(&id).unwrap();
        for seed in (0..20).chain([u64::MAX]) {
            for mislead in [false, true] {
                let parallel = Parallel { mislead, interleave: Some(seed), ..misled(3) };
                let options = ReplayOptions { repeat: 2, parallel: Some(parallel), cancel: None };
                let found =
                    replay(&loaded.chain, loaded.fork, &loaded.block, &loaded.state, &options).unwrap();
                assert_eq!(found.parallel.unwrap().difference, None, "{id}: seed {seed}");
            }
        }
    }
}
