//! What the simulator says of other numbers of workers, beside what was measured: for the given blocks that are large
//! enough, in sum, and for each generated block. Each recorded repeat is simulated by itself, and its prediction is of the
//! same moment as the runs that were measured in that repeat: the medians of both are compared. A minimum would choose the
//! repeats in which the engine that needs one core only had an undisturbed one, against recordings that need them all.
//! The outlook on more workers is that of the fastest recorded repeat.

use solder_bench::clock::Seconds;
use solder_engine::parallel::Report;
use solder_schedule::{BlockLabel, BlockSchedule, Filter, PREDICTED_WORKERS, Summary, simulate};

use super::measure::{Engine, Measured};

/// Which given blocks count: there is something to share.
const FILTER: Filter = Filter { min_gas: 4_000_000, min_transactions: 8 };
const NANOSECOND: f64 = 1e-9;

/// What recorded repeats say of a number of workers.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    pub workers: usize,
    /// Of each repeat.
    pub seconds: Vec<f64>,
}

impl Predicted {
    /// Nothing yet.
    pub fn none(workers: usize) -> Self {
        Self { workers, seconds: Vec::new() }
    }
}

/// Simulates a recorded run that took that long: what passed before its first phase and after its last is added, save
/// for what the record itself took. A block that was clamped to one worker has no parallel run to predict.
pub fn predict(into: &mut [Predicted], took: Seconds, report: &Report) {
    let (Some(recording), true) = (&report.recording, report.workers_used > 1) else { return };
    let recorded = (recording.wall() + recording.naming()) as f64 * NANOSECOND;
    let (outside, schedule) = ((took.wall - recorded).max(0.0), recording.schedule());
    for predicted in into {
        let makespan = simulate(&schedule, predicted.workers).makespan as f64 * NANOSECOND;
        predicted.seconds.push(makespan + outside);
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Predicted beside measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Of which block, or `blocks` for the sum.
    pub name: String,
    /// With how many workers.
    pub workers: usize,
    /// Seconds that the simulator gives, in the median.
    pub predicted: f64,
    /// Seconds on the clock, in the median.
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
fn compare(name: &str, blocks: &[&Measured], workers: &[usize]) -> Vec<Prediction> {
    let engines = workers.iter().map(|workers| (*workers, Engine::Parallel(*workers)));
    let mut found = Vec::new();
    for (workers, engine) in std::iter::once((1, Engine::Forced)).chain(engines) {
        let mut sum = Prediction { name: name.into(), workers, predicted: 0.0, measured: 0.0 };
        for measured in blocks {
            let predicted = measured.predicted.iter().find(|predicted| predicted.workers == workers);
            let run = measured.run(engine).filter(|run| run.report.workers_used == workers);
            if let (Some(predicted), Some(run)) = (predicted, run)
                && let (Some(predicted), Some(measured)) = (median(&predicted.seconds), median(&run.walls))
            {
                sum.predicted += predicted;
                sum.measured += measured;
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
    let is_large = |block: &&Measured| {
        block.gas_used >= FILTER.min_gas && block.transactions as u64 >= FILTER.min_transactions
    };
    let large: Vec<_> = blocks.iter().filter(is_large).collect();
    let mut found = compare("blocks", &large, workers);
    for measured in generated {
        found.extend(compare(&measured.name, &[measured], workers));
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
