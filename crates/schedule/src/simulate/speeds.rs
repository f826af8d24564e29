//! How fast the recorded workers were beside each other. A core may have a busy neighbour, and only the caller's has
//! the state of the block in its caches: one transaction takes longer on one worker than on another. Transactions of a
//! kind (as many slots read and written, nearly the same gas) are compared, so nothing but the record is needed.

use std::collections::BTreeMap;

use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::{Activity, Ending, Location, Span, TransactionRecord};

/// Transactions whose gas differs by less than this share are of a kind.
const GAS_SHARE: f64 = 0.05;
/// Pairs of transactions without which nothing is said of a worker: at least as many, and one for so many transactions. Where
/// one worker ran nearly all, as in a chain, what the others ran says how the block began and not how fast they were.
const MIN_PAIRS: usize = 4;
const MAX_TRANSACTIONS_PER_PAIR: usize = 16;

/// By recorded worker: how long things take there, where the mean over all recorded work is 1.
#[derive(Default)]
pub(super) struct Speeds(Vec<f64>);

/// Slots read, slots written, and the gas on a logarithmic scale.
type Kind = (usize, usize, i64);

impl Speeds {
    pub(super) fn of(schedule: &Schedule) -> Self {
        let count = schedule.workers as usize;
        let mut kinds: BTreeMap<Kind, Vec<Vec<u64>>> = BTreeMap::new();
        let mut work = vec![0.0; count];
        for (record, worker) in schedule.transactions.iter().zip(kept_on(schedule)) {
            let Some(worker) = worker.filter(|worker| *worker < count) else { continue };
            work[worker] += record.execution as f64;
            let by_worker = kinds.entry(kind(schedule, record)).or_insert_with(|| vec![Vec::new(); count]);
            by_worker[worker].push(record.execution);
        }
        let mut factors: Vec<f64> = (0..count).map(|worker| beside_the_first(&kinds, worker)).collect();
        let total: f64 = work.iter().sum();
        let alike: f64 = work.iter().zip(&factors).map(|(work, factor)| work / factor).sum();
        if total > 0.0 && alike > 0.0 {
            factors.iter_mut().for_each(|factor| *factor *= alike / total);
        }
        Self(factors)
    }

    /// How much longer things take on a worker than on the mean one, which all are beyond those that were recorded.
    pub(super) fn factor(&self, worker: usize) -> f64 {
        self.0.get(worker).copied().unwrap_or(1.0)
    }

    /// Of a length in or after a span: what the mean worker would take.
    pub(super) fn alike(&self, span: &Span, length: u64) -> u64 {
        (length as f64 / self.factor(span.worker as usize)).round() as u64
    }
}

/// The worker of each transaction's kept execution.
fn kept_on(schedule: &Schedule) -> Vec<Option<usize>> {
    let mut workers = vec![None; schedule.transactions.len()];
    for span in schedule.spans.iter().filter(|span| span.activity == Activity::Execute) {
        if span.ending == Ending::Kept
            && let Some(worker) = span.transaction.and_then(|tx| workers.get_mut(tx as usize))
        {
            *worker = Some(span.worker as usize);
        }
    }
    workers
}

fn kind(schedule: &Schedule, record: &TransactionRecord) -> Kind {
    let is_slot =
        |location: &u32| matches!(schedule.locations.get(*location as usize), Some(Location::Slot(..)));
    let read = record.reads.iter().filter(|read| is_slot(&read.location)).count();
    let written = record.writes.iter().filter(|location| is_slot(location)).count();
    let gas = ((record.gas_used.max(1) as f64).ln() / GAS_SHARE).round();
    (read, written, gas as i64)
}

/// How much longer a worker took than worker 0: the median over the kinds that both ran, by the time that they compare.
fn beside_the_first(kinds: &BTreeMap<Kind, Vec<Vec<u64>>>, worker: usize) -> f64 {
    let (mut ratios, mut pairs) = (Vec::new(), 0);
    for by_worker in kinds.values() {
        let (first, other) = (&by_worker[0], &by_worker[worker]);
        let (Some(one), Some(two)) = (middle(first), middle(other)) else { continue };
        let count = first.len().min(other.len());
        pairs += count;
        if one > 0 && two > 0 {
            ratios.push((two as f64 / one as f64, count as f64 * one.min(two) as f64));
        }
    }
    let all: usize = kinds.values().flatten().map(Vec::len).sum();
    if worker == 0 || pairs < MIN_PAIRS.max(all / MAX_TRANSACTIONS_PER_PAIR) {
        return 1.0;
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = ratios.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut passed = 0.0;
    let found = ratios.iter().find(|(_, weight)| {
        passed += weight;
        passed >= half
    });
    found.map_or(1.0, |(ratio, _)| *ratio)
}

fn middle(values: &[u64]) -> Option<u64> {
    let mut values = values.to_vec();
    let place = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable(place).1)
}
