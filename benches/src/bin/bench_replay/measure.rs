//! One block under the clock, on every engine in turn: plain revm, ours in series, ours forced through the parallel path
//! with one worker, and ours with several, both once more with the schedule recorded. The clock runs from decoded
//! transactions with senders, the header, an in-memory state and analysed code, to receipts with logs and, for ours,
//! the ChangeSet. What an engine consumes is copied outside of the clock, and nothing is freed inside it. The order
//! of the engines turns with each repeat, and all outcomes are compared in every one, with one serial outcome.

use super::prediction::{Predicted, predict};
use solder_bench::agreement::{with_baseline, with_serial};
use solder_bench::baseline::Baseline;
use solder_bench::clock::{Seconds, timed};
use solder_bench::failure::Failure;
use solder_bench::workloads::Workload;
use solder_engine::parallel::Report;
use solder_engine::parallel::scheduler::MAX_EXECUTIONS;
use solder_engine::{BlockOutcome, ExecuteOptions, Parallel, execute_block};

/// Who runs a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Plain revm: the baseline.
    Revm,
    /// Ours, one transaction after the other.
    Serial,
    /// Ours, the parallel path with one worker, whatever the block's size.
    Forced,
    /// Ours with that many workers.
    Parallel(usize),
    /// The same, and its schedule; with one worker forced.
    Recorded(usize),
}

impl Engine {
    /// All that are measured for these worker counts, each that records after the one that it is held against.
    pub fn all(workers: &[usize]) -> Vec<Self> {
        let mut engines = vec![Self::Revm, Self::Serial, Self::Forced, Self::Recorded(1)];
        for (place, workers) in workers.iter().enumerate() {
            engines.push(Self::Parallel(*workers));
            engines.extend((place == 0).then_some(Self::Recorded(*workers)));
        }
        engines
    }

    fn parallel(self) -> Option<Parallel> {
        match self {
            Self::Revm | Self::Serial => None,
            Self::Forced => Some(Parallel { workers: 1, forced: true, ..Parallel::default() }),
            Self::Parallel(workers) => Some(Parallel { workers, ..Parallel::default() }),
            Self::Recorded(workers) => {
                Some(Parallel { workers, forced: workers == 1, record: true, ..Parallel::default() })
            }
        }
    }

    /// What tables and messages call it.
    pub fn name(self) -> String {
        match self {
            Self::Revm => "revm".into(),
            Self::Serial => "serial".into(),
            Self::Forced => "forced 1".into(),
            Self::Parallel(workers) => format!("parallel {workers}"),
            Self::Recorded(1) => "forced 1, recorded".into(),
            Self::Recorded(workers) => format!("parallel {workers}, recorded"),
        }
    }
}

/// One engine on one block: minima over the repeats.
#[derive(Clone, Debug)]
pub struct Run {
    pub engine: Engine,
    pub seconds: Seconds,
    /// Wall seconds of each repeat.
    pub walls: Vec<f64>,
    /// What the fastest repeat told of itself; nothing for revm and in series.
    pub report: Report,
    /// The most executions in any repeat.
    pub executions_max: u64,
}

/// What was measured on one block.
#[derive(Clone, Debug)]
pub struct Measured {
    pub name: String,
    pub number: u64,
    pub fork: &'static str,
    pub transactions: usize,
    pub gas_used: u64,
    pub runs: Vec<Run>,
    /// What each repeat predicts, by worker count.
    pub predicted: Vec<Predicted>,
}

impl Measured {
    /// The run of one engine, where it was measured.
    pub fn run(&self, engine: Engine) -> Option<&Run> {
        self.runs.iter().find(|run| run.engine == engine)
    }

    /// Its time, or more than any.
    pub fn seconds(&self, engine: Engine) -> Seconds {
        self.run(engine).map_or(Seconds::MAX, |run| run.seconds)
    }

    /// Plain revm's seconds over an engine's.
    pub fn ratio(&self, engine: Engine) -> Seconds {
        self.seconds(Engine::Revm).ratio(self.seconds(engine))
    }
}

/// Measures one block. The first serial run is what every later outcome is compared with; one run of each engine before
/// the first repeat fills caches and loads one-time tables.
pub fn measure(workload: &Workload, repeats: u32, workers: &[usize]) -> Result<Measured, Failure> {
    let baseline = Baseline::new(workload);
    let (_, reference) = run_ours(Engine::Serial, workload)?;
    let engines = Engine::all(workers);
    let new_run = |engine: &Engine| Run {
        engine: *engine,
        seconds: Seconds::MAX,
        walls: Vec::new(),
        report: Report::default(),
        executions_max: 0,
    };
    let mut found = Measured {
        name: workload.name.clone(),
        number: workload.block.header.number,
        fork: workload.fork.name(),
        transactions: workload.block.transactions.len(),
        gas_used: reference.gas_used,
        runs: engines.iter().map(new_run).collect(),
        predicted: std::iter::once(1).chain(workers.iter().copied()).map(Predicted::none).collect(),
    };
    for repeat in 0..=repeats {
        let mut records = Vec::new();
        for index in order(repeat, &engines) {
            let (seconds, report) = match engines[index] {
                Engine::Revm => (run_baseline(workload, &baseline, &reference)?, None),
                engine => run_and_compare(engine, workload, &reference)?,
            };
            if let (Engine::Recorded(_), Some(report)) = (engines[index], &report) {
                records.push((seconds, report.clone()));
            }
            keep(&mut found.runs[index], repeat > 0, seconds, report);
        }
        if repeat > 0 {
            predict(&mut found.predicted, &records);
        }
    }
    Ok(found)
}

/// The engines in turn: another one begins each time, and every other time they go backwards, so that no engine always
/// follows the same one. A run that is recorded stays beside the one that it is held against: where the host puts the two
/// cores decides what sharing costs, and changes every second or so.
fn order(repeat: u32, engines: &[Engine]) -> Vec<usize> {
    let is_first = |place: &usize| !matches!(engines[*place], Engine::Recorded(_));
    let firsts: Vec<usize> = (0..engines.len()).filter(is_first).collect();
    let begin = firsts[repeat as usize / 2 % firsts.len()];
    let mut order: Vec<usize> = (begin..engines.len()).chain(0..begin).collect();
    if repeat % 2 == 1 {
        order.reverse();
    }
    order
}

fn run_baseline(
    workload: &Workload,
    baseline: &Baseline<'_>,
    reference: &BlockOutcome,
) -> Result<Seconds, Failure> {
    let prepared = baseline.prepare();
    let (seconds, finished) = timed(|| baseline.run(prepared));
    let finished = finished.map_err(|error| Failure::stopped(workload, &Engine::Revm.name(), error))?;
    with_baseline(workload, baseline, reference, &finished)?;
    Ok(seconds)
}

fn run_ours(engine: Engine, workload: &Workload) -> Result<(Seconds, BlockOutcome), Failure> {
    let Workload { chain, fork, block, state, .. } = workload;
    let options = ExecuteOptions { parallel: engine.parallel(), ..Default::default() };
    // revm's database and transactions are copied before each of its runs: all read memory that was just written.
    let (block, state) = (block.clone(), state.clone());
    let (seconds, outcome) = timed(|| execute_block(chain, *fork, &block, &state, &options));
    let outcome = outcome.map_err(|error| Failure::stopped(workload, &engine.name(), error))?;
    Ok((seconds, outcome))
}

fn run_and_compare(
    engine: Engine,
    workload: &Workload,
    reference: &BlockOutcome,
) -> Result<(Seconds, Option<Report>), Failure> {
    let (seconds, outcome) = run_ours(engine, workload)?;
    let who = engine.name();
    with_serial(workload, &who, &outcome, reference)?;
    if engine == Engine::Serial {
        return Ok((seconds, None));
    }
    let Some(report) = outcome.parallel else {
        return Err(Failure::stopped(workload, &who, "the engine did not take the parallel options"));
    };
    let most = workload.block.transactions.len() * MAX_EXECUTIONS;
    if report.counters.executions > most as u64 {
        let detail = format!("{} executions, at most {most} are due", report.counters.executions);
        return Err(Failure::stopped(workload, &who, detail));
    }
    Ok((seconds, Some(report)))
}

/// Takes a run in; one that does not count leaves only its executions.
fn keep(run: &mut Run, counts: bool, seconds: Seconds, report: Option<Report>) {
    if let Some(report) = &report {
        run.executions_max = run.executions_max.max(report.counters.executions);
    }
    if !counts {
        return;
    }
    run.walls.push(seconds.wall);
    if seconds.wall < run.seconds.wall
        && let Some(report) = report
    {
        run.report = report;
    }
    run.seconds = run.seconds.min(seconds);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_follows_more_than_one_and_records_are_beside_their_pairs() {
        let engines = Engine::all(&[2, 4]);
        let mut pairs = std::collections::BTreeSet::new();
        for repeat in 0..10 {
            let order = order(repeat, &engines);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6]);
            let place = |engine| order.iter().position(|index| engines[*index] == engine).unwrap();
            assert_eq!(place(Engine::Recorded(1)).abs_diff(place(Engine::Forced)), 1);
            assert_eq!(place(Engine::Recorded(2)).abs_diff(place(Engine::Parallel(2))), 1);
            pairs.extend(order.windows(2).map(|pair| (pair[0], pair[1])));
        }
        for engine in 0..engines.len() {
            assert!(pairs.iter().filter(|(_, after)| *after == engine).count() >= 2, "{engine}");
        }
    }

    #[test]
    fn the_first_worker_count_is_recorded_and_one_worker_alone() {
        let engines = Engine::all(&[2, 4]);
        let recorded = |engine: &&Engine| matches!(engine, Engine::Recorded(_));
        assert_eq!(
            engines.iter().filter(recorded).collect::<Vec<_>>(),
            [&Engine::Recorded(1), &Engine::Recorded(2)]
        );
        assert_eq!(engines.len(), 7);
    }
}
