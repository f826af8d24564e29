//! Schedules made by hand, whose critical path, limits and makespans are known; shared by this folder's tests.
#![allow(dead_code, missing_docs)]

use alloy_primitives::{Address, U256};
use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::{Activity, Ending, Location, ReadRecord, Span, TransactionRecord};
use solder_schedule::{BlockLabel, BlockSchedule};

pub fn slot(number: u64) -> Location {
    Location::Slot(Address::repeat_byte(0x11), U256::from(number))
}

/// A transaction of `execution` nanoseconds that reads (location, writer) and writes locations.
pub fn transaction(execution: u64, reads: &[(u32, Option<u32>)], writes: &[u32]) -> TransactionRecord {
    let reads = reads.iter().map(|(location, writer)| ReadRecord { location: *location, writer: *writer });
    TransactionRecord {
        gas_used: 21_000,
        expected: 21_000,
        short: false,
        execution,
        commit: 0,
        recording: 0,
        reads: reads.collect(),
        writes: writes.to_vec(),
    }
}

/// As one worker would have recorded it, without pauses.
pub fn schedule(transactions: Vec<TransactionRecord>, locations: u64) -> Schedule {
    let mut spans = Vec::new();
    let mut now = 0;
    for (tx, record) in (0..).zip(&transactions) {
        let span = |activity, start, end| Span {
            worker: 0,
            activity,
            transaction: Some(tx),
            incarnation: 0,
            start,
            end,
            ending: Ending::Kept,
        };
        spans.push(span(Activity::Execute, now, now + record.execution));
        now += record.execution;
        if record.commit > 0 {
            spans.push(span(Activity::Commit, now, now + record.commit));
            now += record.commit;
        }
    }
    let locations = (0..locations).map(slot).collect();
    Schedule { workers: 1, wall: now, reading: 0, spans, transactions, locations }
}

pub fn independent(count: usize) -> Schedule {
    schedule((0..count).map(|tx| transaction(1000, &[], &[tx as u32])).collect(), count as u64)
}

/// Each transaction reads what the one before it wrote, at the start of its execution.
pub fn chain(count: u32) -> Schedule {
    let link = |tx: u32| match tx.checked_sub(1) {
        Some(before) => transaction(1000, &[(0, Some(before))], &[0]),
        None => transaction(1000, &[(0, None)], &[0]),
    };
    schedule((0..count).map(link).collect(), 1)
}

pub fn block(number: u64, schedule: Schedule) -> BlockSchedule {
    let serial: u64 = schedule.transactions.iter().map(|record| record.execution).sum();
    let label = BlockLabel {
        number,
        gas_used: schedule.transactions.iter().map(|record| record.gas_used).sum(),
        transactions: schedule.transactions.len() as u64,
        beneficiary: Some(Address::repeat_byte(0xcb)),
        serial_seconds: Some(serial as f64 * 1e-9),
        parallel_seconds: Some(schedule.wall as f64 * 1e-9),
    };
    BlockSchedule { label, schedule, around: 0, alone: None }
}

/// Two workers, one conflict: transaction 1 ran too early and once more at its commit position.
pub fn conflicting() -> BlockSchedule {
    let records = vec![
        transaction(3000, &[(0, None)], &[0]),
        transaction(2000, &[(0, Some(0))], &[0, 1]),
        transaction(1500, &[(1, None)], &[2]),
    ];
    let execute = |worker, transaction, incarnation, start, end, ending| Span {
        worker,
        activity: Activity::Execute,
        transaction: Some(transaction),
        incarnation,
        start,
        end,
        ending,
    };
    let commit = |worker, transaction, start| Span {
        activity: Activity::Commit,
        ..execute(worker, transaction, 0, start, start + 100, Ending::Kept)
    };
    let phase = |activity, start, end| Span {
        activity,
        transaction: None,
        ..execute(0, 0, 0, start, end, Ending::Kept)
    };
    let stale = Ending::Aborted { location: 0, by: Some(0) };
    let spans = vec![
        phase(Activity::PreExecution, 0, 400),
        execute(0, 0, 0, 500, 3500, Ending::Kept),
        commit(0, 0, 3500),
        execute(0, 1, 1, 3700, 5700, Ending::Kept),
        commit(0, 1, 5700),
        commit(0, 2, 5800),
        phase(Activity::PostExecution, 6000, 6300),
        phase(Activity::Collect, 6300, 7000),
        execute(1, 1, 0, 700, 2800, stale),
        execute(1, 2, 0, 2900, 4400, Ending::Kept),
    ];
    let mut made = schedule(records, 3);
    made.transactions.iter_mut().for_each(|record| record.commit = 100);
    (made.workers, made.wall, made.spans) = (2, 7000, spans);
    made.locations[2] = Location::Balance(Address::repeat_byte(0xcb));
    block(17_034_870, made)
}

/// xorshift64*: draws the same numbers everywhere.
pub struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }
}

/// A block drawn from a seed: any reads below any writes, with true writers.
pub fn drawn(seed: u64, count: usize, locations: usize) -> Schedule {
    let mut draw = Draw(seed | 1);
    let mut latest: Vec<Option<u32>> = vec![None; locations];
    let mut records = Vec::new();
    for tx in 0..count as u32 {
        let mut reads: Vec<(u32, Option<u32>)> = (0..draw.below(6))
            .map(|_| draw.below(locations) as u32)
            .map(|location| (location, latest[location as usize]))
            .collect();
        reads.sort_unstable();
        reads.dedup();
        let mut writes: Vec<u32> = (0..draw.below(4)).map(|_| draw.below(locations) as u32).collect();
        writes.sort_unstable();
        writes.dedup();
        writes.iter().for_each(|location| latest[*location as usize] = Some(tx));
        let mut record = transaction(200 + draw.below(5000) as u64, &reads, &writes);
        record.commit = draw.below(200) as u64;
        records.push(record);
    }
    schedule(records, locations as u64)
}
