//! What the simulator says of other numbers of workers, beside what was measured: for the given blocks that are large
//! enough, in sum, and for each generated block. Each repeat records a run on several workers and one on one worker. They
//! are simulated by themselves, as a schedule that is saved would be, and what they predict is held against the run beside
//! them in that repeat: the error is that of the median over these pairs. What sharing costs depends on where the host puts
//! the cores, a line's round trip takes eight times as long in one place as in another, and that changes while a block is
//! repeated: the median of all predictions and that of all measured runs may be of different places. A minimum would choose
//! the repeats in which the engine that needs one core only had an undisturbed one, against recordings that need them all.
//! The outlook on more workers is that of the fastest recorded repeat.

use solder_bench::clock::Seconds;
use solder_engine::parallel::Report;
use solder_schedule::{
    Alone, BlockLabel, BlockSchedule, Filter, PREDICTED_WORKERS, Summary, predicted_from_shared,
    predicted_seconds,
};

use super::measure::{Engine, Measured};

/// Which given blocks count: there is something to share.
const FILTER: Filter = Filter { min_gas: 4_000_000, min_transactions: 8 };

/// What recorded repeats say of a number of workers.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    pub workers: usize,
    /// Of each repeat.
    pub seconds: Vec<f64>,
    /// From the record of several workers only, where that is something else.
    pub from_shared: Vec<f64>,
}

impl Predicted {
    /// Nothing yet.
    pub fn none(workers: usize) -> Self {
        Self { workers, seconds: Vec::new(), from_shared: Vec::new() }
    }
}

/// Simulates the recorded runs of one repeat. A block that was clamped to one worker has no parallel run to predict.
pub fn predict(into: &mut [Predicted], records: &[(Seconds, Report)]) {
    let recorded = |is_wanted: fn(usize) -> bool| {
        records.iter().find(|(_, report)| is_wanted(report.workers)).and_then(|(took, report)| {
            let recording = report.recording.as_ref().filter(|_| is_wanted(report.workers_used))?;
            Some((recording.schedule(), recording.around(took.wall)))
        })
    };
    let Some((schedule, around)) = recorded(|workers| workers > 1) else { return };
    let alone = recorded(|workers| workers == 1).map(|(schedule, around)| Alone::of(&schedule, around));
    let block = BlockSchedule { label: BlockLabel::default(), schedule, around, alone };
    for predicted in into {
        predicted.seconds.push(predicted_seconds(&block, predicted.workers));
        if predicted.workers == 1 {
            predicted.from_shared.push(predicted_from_shared(&block, 1));
        }
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
    /// The same from the record of several workers only, where that is something else.
    pub from_shared: Option<f64>,
    /// Seconds on the clock, in the median.
    pub measured: f64,
    /// Predicted over measured of the same repeat, in the median; of several blocks the mean, by what was measured.
    pub ratio: f64,
    /// Predicted and measured seconds of each repeat, of several blocks in sum.
    pub repeats: Vec<(f64, f64)>,
}

impl Prediction {
    /// How far off, as a share of what was measured.
    pub fn error(&self) -> f64 {
        (self.ratio - 1.0).abs()
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
    let around = run.report.recording.as_ref()?.around(run.seconds.wall);
    Some(BlockSchedule { label, schedule, around, alone: None })
}

/// Predicted and measured for one worker (the parallel path, forced) and for each worker count, of several blocks in sum.
/// Blocks that were clamped at a worker count are left out of its sum.
fn compare(name: &str, blocks: &[&Measured], workers: &[usize]) -> Vec<Prediction> {
    let engines = workers.iter().map(|workers| (*workers, Engine::Parallel(*workers)));
    let engines = std::iter::once((1, Engine::Forced)).chain(engines);
    engines.filter_map(|(workers, engine)| compare_on(name, blocks, workers, engine)).collect()
}

fn compare_on(name: &str, blocks: &[&Measured], workers: usize, engine: Engine) -> Option<Prediction> {
    let mut sum = Prediction {
        name: name.into(),
        workers,
        predicted: 0.0,
        from_shared: None,
        measured: 0.0,
        ratio: 0.0,
        repeats: Vec::new(),
    };
    for measured in blocks {
        let predicted = measured.predicted.iter().find(|predicted| predicted.workers == workers)?;
        let run = measured.run(engine).filter(|run| run.report.workers_used == workers);
        let Some(run) = run.filter(|run| run.walls.len() == predicted.seconds.len()) else { continue };
        let pairs: Vec<(f64, f64)> =
            predicted.seconds.iter().copied().zip(run.walls.iter().copied()).collect();
        let ratios: Vec<f64> = pairs.iter().map(|(predicted, measured)| predicted / measured).collect();
        if let (Some(seconds), Some(measured), Some(ratio)) =
            (median(&predicted.seconds), median(&run.walls), median(&ratios))
        {
            sum.predicted += seconds;
            sum.measured += measured;
            sum.ratio += ratio * measured;
            add_repeats(&mut sum.repeats, &pairs);
            if let Some(seconds) = median(&predicted.from_shared) {
                *sum.from_shared.get_or_insert(0.0) += seconds;
            }
        }
    }
    sum.ratio /= sum.measured;
    (sum.measured > 0.0).then_some(sum)
}

/// Adds a block's repeats to those of the sum.
fn add_repeats(sum: &mut Vec<(f64, f64)>, pairs: &[(f64, f64)]) {
    sum.resize(pairs.len(), (0.0, 0.0));
    for (sum, (predicted, measured)) in sum.iter_mut().zip(pairs) {
        *sum = (sum.0 + predicted, sum.1 + measured);
    }
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
