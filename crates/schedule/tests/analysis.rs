//! Critical path, limits, utilisation and hottest locations of schedules made by hand.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use alloy_primitives::Address;
use made::{block, chain, conflicting, independent, schedule, transaction};
use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::Location;
use solder_schedule::analysis::{CriticalPath, busy, critical_path, work};
use solder_schedule::{
    Alone, BlockSchedule, Cost, Filter, Sharing, Summary, predicted_from_shared, predicted_seconds,
};

fn close(found: Option<f64>, expected: f64) {
    let found = found.unwrap();
    assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
}

#[test]
fn critical_path_of_independent_transactions_is_the_longest_one() {
    let mut made = independent(10);
    made.transactions[7].execution = 4000;
    assert_eq!(critical_path(&made), CriticalPath { nanoseconds: 4000, chain: vec![7] });
    assert_eq!(work(&made), 13_000);
}

#[test]
fn critical_path_of_a_chain_is_all_of_it() {
    assert_eq!(critical_path(&chain(5)), CriticalPath { nanoseconds: 5000, chain: (0..5).collect() });
}

#[test]
fn critical_path_takes_the_later_of_two_writers() {
    let made = schedule(
        vec![
            transaction(5000, &[], &[0]),
            transaction(1000, &[], &[1]),
            transaction(1000, &[(1, Some(1)), (0, Some(0))], &[]),
            transaction(3000, &[(1, Some(1))], &[]),
        ],
        2,
    );
    assert_eq!(critical_path(&made), CriticalPath { nanoseconds: 6000, chain: vec![0, 2] });
}

#[test]
fn critical_path_has_the_phases_and_no_commits() {
    assert_eq!(
        critical_path(&conflicting().schedule),
        CriticalPath { nanoseconds: 400 + 5000 + 300, chain: vec![0, 1] }
    );
}

#[test]
fn an_empty_block_has_no_path_and_no_ratios() {
    assert_eq!(critical_path(&Schedule::default()), CriticalPath::default());
    let summary = Summary::new(&[block(1, Schedule::default())], Filter::default());
    assert_eq!(summary.limit, [None; 5]);
    assert_eq!(summary.predicted_speedup, [None; 5]);
    assert_eq!((summary.utilisation, summary.measured_speedup), (None, None));
}

#[test]
fn busy_time_counts_overlaps_once_and_workers_apart() {
    let mut made = conflicting().schedule;
    let sum = 400 + 3000 + 100 + 2000 + 100 + 100 + 300 + 700 + 2100 + 1500;
    assert_eq!(busy(&made), sum);
    let mut inside = made.spans[1];
    (inside.start, inside.end) = (600, 900);
    made.spans.push(inside);
    assert_eq!(busy(&made), sum);
}

#[test]
fn summary_sums_over_the_blocks_that_pass() {
    let blocks = [block(1, independent(64)), block(2, chain(4))];
    let both = Summary::new(&blocks, Filter::default());
    assert_eq!((both.blocks, both.transactions, both.workers), (2, 68, 1));
    // 64 us / W beside a chain of 4 us.
    close(both.limit[0], 68.0 / (32.0 + 4.0));
    close(both.limit[4], 68.0 / (2.0 + 4.0));
    close(both.predicted_speedup[0], 68.0 / (32.0 + 4.0));
    close(both.measured_speedup, 1.0);
    close(both.utilisation, 1.0);
    let large = Summary::new(&blocks, Filter { min_gas: 64 * 21_000, min_transactions: 0 });
    assert_eq!(large.blocks, 1);
    close(large.limit[3], 16.0);
    let none = Summary::new(&blocks, Filter { min_gas: 0, min_transactions: 65 });
    assert_eq!((none.blocks, none.measured_speedup, none.limit[0]), (0, None, None));
}

#[test]
fn summary_without_serial_times_measures_nothing_but_predicts() {
    let mut made = block(1, independent(64));
    made.label.serial_seconds = None;
    let summary = Summary::new(&[made], Filter::default());
    assert_eq!(summary.measured_speedup, None);
    assert!(!summary.serial_measured);
    close(summary.predicted_speedup[1], 4.0);
}

#[test]
fn what_lies_around_a_record_is_part_of_every_prediction() {
    let mut made = block(1, independent(64));
    assert!((predicted_seconds(&made, 4) - 16e-6).abs() < 1e-12);
    made.around = 4000;
    assert!((predicted_seconds(&made, 4) - 20e-6).abs() < 1e-12);
    assert!((predicted_seconds(&made, 1) - 68e-6).abs() < 1e-12);
    // What another run took says nothing of this one.
    made.label.parallel_seconds = made.label.parallel_seconds.map(|seconds| seconds * 3.0);
    assert!((predicted_seconds(&made, 4) - 20e-6).abs() < 1e-12);
}

/// What 64 transactions cost on one worker, where executions take 700 ns and commits 30.
fn alone() -> Alone {
    Alone {
        head: 100,
        tail: 50,
        around: 25,
        before_execution: 10,
        before_commit: 5,
        costs: vec![Cost { execution: 700, commit: 30 }; 64],
    }
}

#[test]
fn one_worker_is_predicted_from_what_it_costs_alone() {
    let mut made = block(1, independent(64));
    made.around = 4000;
    let shared = predicted_seconds(&made, 2);
    made.alone = Some(alone());
    // The first execution begins at the end of the head.
    let nanoseconds = 100 + 64 * (700 + 5 + 30) + 63 * 10 + 50 + 25;
    assert!((predicted_seconds(&made, 1) - f64::from(nanoseconds) * 1e-9).abs() < 1e-12);
    assert!((predicted_from_shared(&made, 1) - 68e-6).abs() < 1e-12);
    assert_eq!(predicted_seconds(&made, 2), shared);
}

#[test]
fn what_sharing_costs_is_told_where_it_was_measured() {
    let mut made = block(1, independent(64));
    let sharing = |made: &BlockSchedule| Summary::new([made], Filter::default()).sharing;
    assert_eq!(sharing(&made), Sharing::default());
    made.alone = Some(alone());
    close(sharing(&made).executions, 1000.0 / 700.0);
    // Nothing was committed in the record.
    assert_eq!(sharing(&made).commits, None);
    made.schedule.transactions.iter_mut().for_each(|record| record.commit = 60);
    close(sharing(&made).commits, 2.0);
    // A block that was not recorded alone does not count.
    let both = Summary::new([&made, &block(2, independent(9))], Filter::default());
    assert_eq!(both.sharing, sharing(&made));
}

#[test]
fn summary_json_has_exactly_its_keys() {
    let text = Summary::new(&[conflicting()], Filter::default()).to_json();
    let places: Vec<_> =
        ["\"workers\"", "\"limit\":{\"2\":", ",\"32\":", "\"hottest\""].map(|key| text.find(key)).into();
    assert!(places.is_sorted() && places[0].is_some(), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "workers",
        "utilisation",
        "critical_path_seconds",
        "limit",
        "predicted_speedup",
        "measured_speedup",
        "sharing",
        "hottest",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    for map in ["limit", "predicted_speedup"] {
        let workers: Vec<_> = json[map].as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = ["2", "4", "8", "16", "32"];
        expected.sort_unstable();
        assert_eq!(workers, expected);
    }
    assert!(json["sharing"]["executions"].is_null() && json["sharing"]["commits"].is_null());
    assert_eq!(json["workers"], 2);
    assert_eq!(json["critical_path_seconds"], 5700e-9);
}

#[test]
fn hottest_counts_aborts_before_dependencies() {
    let mut made = conflicting();
    let reader = transaction(100, &[(2, Some(1)), (2, Some(0))], &[]);
    made.schedule.transactions.push(reader);
    let hot = Summary::new(&[made], Filter::default()).hottest;
    let told: Vec<_> = hot.iter().map(|hot| (hot.aborts, hot.dependencies, hot.of_beneficiary)).collect();
    assert_eq!(told, [(1, 1, false), (0, 2, true)]);
    assert_eq!(hot[1].location, Location::Balance(Address::repeat_byte(0xcb)));
}
