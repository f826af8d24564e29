//! The scheduler in virtual time: what must scale scales, what cannot does not, and the same input gives the same run.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use alloy_primitives::Address;
use made::{chain, conflicting, drawn, independent, schedule, transaction};
use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::Location;
use solder_engine::parallel::scheduler::MAX_EXECUTIONS;
use solder_schedule::analysis::critical_path;
use solder_schedule::simulate;

const WORKERS: [usize; 6] = [1, 2, 4, 8, 16, 32];

#[test]
fn independent_transactions_scale() {
    let made = independent(64);
    for workers in WORKERS {
        let run = simulate(&made, workers);
        assert_eq!(run.makespan, 64_000 / workers as u64, "{workers}");
        assert_eq!((run.executions, run.conflicts), (64, 0));
    }
}

#[test]
fn a_chain_does_not_scale_and_does_not_collapse() {
    let made = chain(64);
    assert_eq!(simulate(&made, 1).makespan, 64_000);
    for workers in WORKERS {
        let run = simulate(&made, workers);
        assert!(run.makespan >= 64_000, "{workers}: {run:?}");
        assert!(run.makespan <= 2 * 64_000, "{workers}: {run:?}");
        assert!(run.executions <= (MAX_EXECUTIONS * 64) as u64);
    }
}

#[test]
fn one_hot_slot_costs_its_writers_and_nobody_else() {
    // Every fourth transaction increments slot 0, the others are alone.
    let record = |tx: u32| match tx % 4 {
        0 => transaction(1000, &[(0, tx.checked_sub(4))], &[0]),
        _ => transaction(1000, &[], &[tx]),
    };
    let made = schedule((0..256).map(record).collect(), 256);
    assert_eq!(critical_path(&made).nanoseconds, 64_000);
    let run = simulate(&made, 4);
    // Three quarters are never repeated.
    assert!(run.executions <= 192 + 3 * 64, "{run:?}");
    assert!(run.makespan >= 64_000, "{run:?}");
    assert!(run.makespan < 160_000, "{run:?}");
}

#[test]
fn a_chain_of_one_group_is_found_out() {
    // All call one contract, whose slot 0 each increments: first locations are the senders' nonces, then its code.
    let count = 64u32;
    let record = |tx: u32| {
        let reads = [(2 + tx, None), (1, None), (0, tx.checked_sub(1))];
        transaction(1000, &reads, &[0])
    };
    let mut made = schedule((0..count).map(record).collect(), u64::from(count) + 2);
    made.locations[1] = Location::Code(Address::repeat_byte(0x11));
    for tx in 0..count {
        made.locations[2 + tx as usize] = Location::Nonce(Address::with_last_byte(tx as u8));
    }
    let run = simulate(&made, 8);
    // What is lost at first is lost beside the chain, not in it.
    assert!(run.executions <= 2 * u64::from(count), "{run:?}");
    assert!(run.makespan < 70_000, "{run:?}");
}

#[test]
fn a_late_read_sees_what_was_published_meanwhile() {
    // Transaction 1 reads at the end of its long execution what transaction 0 wrote long before.
    let reads = |position: usize| -> Vec<(u32, Option<u32>)> {
        (0..8).map(|place| if place == position { (0, Some(0)) } else { (1, None) }).collect()
    };
    let made =
        |position| schedule(vec![transaction(1000, &[], &[0]), transaction(8000, &reads(position), &[])], 2);
    let late = simulate(&made(7), 2);
    assert_eq!((late.makespan, late.conflicts), (8000, 0));
    let early = simulate(&made(0), 2);
    assert_eq!((early.makespan, early.conflicts, early.executions), (16_000, 1, 3));
}

#[test]
fn what_one_worker_loses_around_its_tasks_is_charged() {
    let made = conflicting().schedule;
    let run = simulate(&made, 1);
    // 500 before, 700 + 500 after the last task; between two tasks 100; 3 executions; 3 commits.
    assert_eq!(run.makespan, 500 + 3 * 100 + (3000 + 2100 + 1500) + 3 * 100 + 1100);
    assert_eq!((run.executions, run.conflicts), (3, 0));
}

#[test]
fn an_empty_block_takes_its_wall() {
    assert_eq!(simulate(&Schedule { wall: 700, ..Schedule::default() }, 8).makespan, 700);
}

#[test]
fn drawn_blocks_keep_every_bound_and_repeat_exactly() {
    for seed in 1..200 {
        let made = drawn(seed, 1 + seed as usize, 1 + seed as usize % 17);
        let longest = made.transactions.iter().map(|record| record.execution).max().unwrap();
        let total: u64 = made.transactions.iter().map(|record| record.execution + record.commit).sum();
        for workers in WORKERS {
            let run = simulate(&made, workers);
            assert_eq!(run, simulate(&made, workers), "seed {seed}, {workers} workers");
            assert!(run.most_attempts <= MAX_EXECUTIONS, "seed {seed}: {run:?}");
            assert!(run.makespan >= longest.max(total / workers as u64), "seed {seed}: {run:?}");
            assert!(run.executions >= made.transactions.len() as u64);
            if workers == 1 {
                assert_eq!((run.makespan, run.conflicts), (total, 0), "seed {seed}");
            }
        }
    }
}
