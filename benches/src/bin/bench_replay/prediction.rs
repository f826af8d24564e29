//! What the simulator says of other numbers of workers, beside what was measured: for the given blocks that are large
//! enough, in sum, and for each generated block. Every prediction of a block is made from one schedule, that of the
//! fastest recorded repeat.

use solder_schedule::{BlockLabel, BlockSchedule, Filter, PREDICTED_WORKERS, Summary, simulate};

use super::measure::{Engine, Measured};

/// Which given blocks count: there is something to share.
const FILTER: Filter = Filter { min_gas: 4_000_000, min_transactions: 8 };
const NANOSECOND: f64 = 1e-9;

/// Predicted beside measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Of which block, or `blocks` for the sum.
    pub name: String,
    /// With how many workers.
    pub workers: usize,
    /// Seconds that the simulator gives.
    pub predicted: f64,
    /// Seconds on the clock.
    pub measured: f64,
}

impl Prediction {
    /// How far off, as a share of what was measured.
    pub fn error(&self) -> f64 {
        (self.predicted - self.measured).abs() / self.measured
    }
}

/// The schedule of a block that was recorded while several workers ran it. A block that was clamped to one worker has no
/// parallel run to predict.
fn recorded(measured: &Measured, workers: usize) -> Option<BlockSchedule> {
    let run = measured.run(Engine::Recorded(workers))?;
    let schedule = run.report.schedule().filter(|_| run.report.workers_used > 1)?;
    let label = BlockLabel {
        number: measured.number,
        gas_used: measured.gas_used,
        transactions: measured.transactions as u64,
        beneficiary: None,
        serial_seconds: Some(measured.seconds(Engine::Serial).wall),
        parallel_seconds: Some(measured.seconds(Engine::Parallel(workers)).wall),
    };
    Some(BlockSchedule { label, schedule })
}

/// Predicted and measured for one worker (the parallel path, forced) and for each worker count, of several blocks in sum.
/// Blocks that were clamped at a worker count are left out of its sum.
fn compare(name: &str, blocks: &[(&Measured, &BlockSchedule)], workers: &[usize]) -> Vec<Prediction> {
    let engines = workers.iter().map(|workers| (*workers, Engine::Parallel(*workers)));
    let mut found = Vec::new();
    for (workers, engine) in std::iter::once((1, Engine::Forced)).chain(engines) {
        let mut sum = Prediction { name: name.into(), workers, predicted: 0.0, measured: 0.0 };
        for (measured, block) in blocks {
            if measured.run(engine).is_some_and(|run| run.report.workers_used == workers) {
                sum.predicted += simulate(&block.schedule, workers).makespan as f64 * NANOSECOND;
                sum.measured += measured.seconds(engine).wall;
            }
        }
        if sum.measured > 0.0 {
            found.push(sum);
        }
    }
    found
}

/// All predictions: the given blocks in sum, then each generated one.
pub fn compare_all(blocks: &[Measured], generated: &[Measured], workers: &[usize]) -> Vec<Prediction> {
    let Some(first) = workers.first() else { return Vec::new() };
    let schedules = schedules(blocks, *first);
    let large: Vec<_> = schedules
        .iter()
        .filter(|(_, block)| FILTER.passes(block))
        .map(|(measured, block)| (*measured, block))
        .collect();
    let mut found = compare("blocks", &large, workers);
    for measured in generated {
        if let Some(block) = recorded(measured, *first) {
            found.extend(compare(&measured.name, &[(measured, &block)], workers));
        }
    }
    found
}

fn schedules(blocks: &[Measured], workers: usize) -> Vec<(&Measured, BlockSchedule)> {
    blocks.iter().filter_map(|block| Some((block, recorded(block, workers)?))).collect()
}

/// The given blocks that count, by worker count: predicted speed-up, the limit of the critical path, how many blocks.
pub fn outlook(blocks: &[Measured], workers: usize) -> Option<Vec<Outlook>> {
    let schedules: Vec<_> = schedules(blocks, workers).into_iter().map(|(_, block)| block).collect();
    let summary = Summary::new(&schedules, FILTER);
    let row = |place: usize| {
        Some(Outlook {
            workers: PREDICTED_WORKERS[place],
            blocks: summary.blocks,
            predicted: summary.predicted_speedup[place]?,
            limit: summary.limit[place]?,
        })
    };
    (0..PREDICTED_WORKERS.len()).map(row).collect()
}

/// What more workers would give on the given blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    pub workers: usize,
    pub blocks: usize,
    /// Serial seconds over simulated ones.
    pub predicted: f64,
    /// Serial seconds over those of the critical path, or of equally shared work where that is longer.
    pub limit: f64,
}

impl Outlook {
    /// How much of the limit is reached.
    pub fn share(&self) -> f64 {
        self.predicted / self.limit
    }
}
