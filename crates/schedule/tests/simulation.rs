//! The scheduler in virtual time: what must scale scales, what cannot does not, and the same input gives the same run.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use alloy_primitives::Address;
use made::{chain, conflicting, drawn, independent, schedule, transaction};
use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::{Activity, Location};
use solder_engine::parallel::scheduler::MAX_EXECUTIONS;
use solder_schedule::analysis::critical_path;
use solder_schedule::{Alone, Cost, simulate};

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
    assert_eq!(run.makespan, 500 + 2 * 100 + (3000 + 2100 + 1500) + 3 * 100 + 1100);
    assert_eq!((run.executions, run.conflicts), (3, 0));
}

/// Independent transactions with commits on one worker; `gap` is what lies before an execution.
fn with_gaps(count: usize, gap: impl Fn(usize) -> u64) -> Schedule {
    let mut made = independent(count);
    made.transactions.iter_mut().for_each(|record| record.commit = 100);
    let mut made = schedule(made.transactions, count as u64);
    let mut later = 0;
    for span in &mut made.spans {
        if span.activity == Activity::Execute {
            later += gap(span.transaction.unwrap() as usize);
        }
        span.start += later;
        span.end += later;
    }
    made.wall += later;
    made
}

#[test]
fn what_comes_now_and_then_is_charged_whole() {
    // Every twelfth execution has a long way, as where a run is begun; a median would see none of it.
    let made = with_gaps(121, |tx| if tx > 0 && tx % 12 == 0 { 1200 } else { 0 });
    assert_eq!(simulate(&made, 1).makespan, made.wall);
    // A processor that was lost for a while says nothing of other runs.
    let lost = with_gaps(121, |tx| if tx == 50 { 1_000_000 } else { 0 });
    assert_eq!(simulate(&lost, 1).makespan, lost.wall - 1_000_000);
}

#[test]
fn what_the_record_took_is_left_out() {
    let mut made = with_gaps(10, |_| 0);
    let mut later = 0;
    for span in &mut made.spans {
        later += if span.activity == Activity::Commit { 40 } else { 0 };
        span.start += later;
        span.end += later;
    }
    let without = made.wall;
    made.wall += later;
    made.transactions.iter_mut().for_each(|record| record.recording = 40);
    assert_eq!(simulate(&made, 1).makespan, without);
}

#[test]
fn what_reading_the_clock_took_is_left_out() {
    // 20 ns of each execution, of each commit and of the way to an execution, and three times as much before a commit.
    let mut made = with_gaps(10, |tx| if tx > 0 { 20 } else { 0 });
    made.reading = 20_000;
    let mut later = 0;
    for span in &mut made.spans {
        later += if span.activity == Activity::Commit { 60 } else { 0 };
        span.start += later;
        span.end += later;
    }
    made.wall += later;
    assert_eq!(simulate(&made, 1).makespan, 10 * (980 + 80));
    // No clock makes time run backwards.
    made.reading = 10_000_000;
    assert_eq!(simulate(&made, 1).makespan, 0);
}

#[test]
fn a_slower_worker_is_told_from_its_transactions() {
    // The same transactions took twice as long on worker 1.
    let mut made = independent(24);
    made.workers = 2;
    for (tx, span) in made.spans.iter_mut().enumerate() {
        let (place, slow) = (tx as u64 / 3, tx % 3 == 2);
        (span.worker, span.start) =
            if slow { (1, 2000 * place) } else { (0, 2000 * place + 1000 * (tx as u64 % 3)) };
        span.end = span.start + if slow { 2000 } else { 1000 };
        made.transactions[tx].execution = span.end - span.start;
    }
    made.spans.sort_by_key(|span| (span.worker, span.start));
    made.wall = 16_000;
    assert_eq!(simulate(&made, 2).makespan, 16_000);
    assert_eq!(simulate(&made, 1).makespan, 24_000);
    // Further workers are as the mean: 32 us of work on four.
    let more = simulate(&made, 4).makespan;
    assert!((8_000..=10_000).contains(&more), "{more}");
}

#[test]
fn waiting_for_others_is_no_cost() {
    // Transaction 1 reads what transaction 0 wrote, and began only when that was there.
    let mut made = schedule(vec![transaction(9000, &[], &[0]), transaction(1000, &[(0, Some(0))], &[])], 1);
    made.workers = 2;
    made.spans[1].worker = 1;
    let mut first = made.spans[0];
    (first.worker, first.transaction, first.start, first.end) = (1, Some(2), 0, 1000);
    made.spans.insert(1, first);
    made.transactions.push(transaction(1000, &[], &[]));
    made.wall = 10_000;
    assert_eq!(simulate(&made, 1).makespan, 11_000);
}

#[test]
fn short_transactions_are_begun_in_one_go_and_still_shared_out() {
    let mut made = independent(96);
    made.transactions.iter_mut().for_each(|record| record.short = true);
    for workers in [1, 2, 4] {
        let run = simulate(&made, workers);
        assert_eq!((run.executions, run.conflicts), (96, 0), "{workers}");
        let (shared, longest_run) = (96_000 / workers as u64, 12_000);
        assert!((shared..=shared + longest_run).contains(&run.makespan), "{workers}: {run:?}");
    }
    // Each increments one slot: whoever begins a run reads what the other's run will write, until the chain is found out.
    let mut made = chain(96);
    made.transactions.iter_mut().for_each(|record| record.short = true);
    let run = simulate(&made, 2);
    assert!(run.conflicts >= 1, "{run:?}");
    assert!(run.most_attempts <= MAX_EXECUTIONS, "{run:?}");
    assert_eq!(simulate(&made, 1).makespan, 96_000);
}

#[test]
fn what_one_worker_cost_is_taken_from_its_record() {
    let made = with_gaps(121, |tx| if tx > 0 && tx % 12 == 0 { 1200 } else { 0 });
    let alone = Alone::of(&made, 7);
    let Alone { head, tail, around, before_execution, before_commit, costs } = &alone;
    assert_eq!((*head, *tail, *around, *before_execution, *before_commit), (0, 0, 7, 100, 0));
    assert_eq!(costs, &vec![Cost { execution: 1000, commit: 100 }; 121]);
    // Another record of the same block says in which order.
    assert_eq!(alone.simulate(&independent(121)).makespan, made.wall);
}

/// Whoever stops at an estimate in the last place of a run still tells what the rest of it wrote.
#[test]
fn every_block_of_short_transactions_comes_to_its_end() {
    for seed in 1..400 {
        let mut made = drawn(seed, 8 + seed as usize % 90, 1 + seed as usize % 5);
        made.transactions.iter_mut().for_each(|record| record.short = true);
        for workers in WORKERS {
            let run = simulate(&made, workers);
            assert!(run.executions >= made.transactions.len() as u64, "seed {seed}, {workers}: {run:?}");
        }
    }
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
