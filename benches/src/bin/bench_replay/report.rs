//! The table and the JSON object.

use serde_json::{Map, Value, json};
use solder_bench::clock::Seconds;
use solder_bench::provenance;

use super::measure::{Engine, Measured, Run};
use super::options::Options;
use super::prediction::{Outlook, Prediction, compare_all, outlook};

/// What the names in `ratios` stand for.
const WORKERS: usize = 2;
/// A block that plain revm runs in less is not counted for `worst_block`, and its clamp is no fallback.
const SMALL_SECONDS: f64 = 50e-6;
/// The worker counts whose predicted share of the limit is named.
const SHARES: [usize; 2] = [8, 16];
/// The size whose ratio also goes by the family's name alone.
const NAMED_SIZE: &str = "_100";

/// Everything that was measured.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Given blocks.
    pub blocks: Vec<Measured>,
    /// Generated blocks.
    pub generated: Vec<Measured>,
    /// Nanoseconds that a cache line took between two threads and back, before each block.
    pub round_trips: Vec<f64>,
    predictions: Vec<Prediction>,
    outlook: Vec<Outlook>,
}

/// One block's row.
pub fn line(measured: &Measured, options: &Options) -> String {
    let mut line = format!(
        "{:>17} {:<12} {:>6} tx {:>12} gas  revm {:>9.3} ms  serial {:>5.2}  forced 1 {:>5.2}",
        measured.name,
        measured.fork,
        measured.transactions,
        measured.gas_used,
        measured.seconds(Engine::Revm).wall * 1e3,
        measured.ratio(Engine::Serial).wall,
        measured.ratio(Engine::Forced).wall,
    );
    for run in options.workers.iter().filter_map(|workers| measured.run(Engine::Parallel(*workers))) {
        let counters = &run.report.counters;
        line.push_str(&format!(
            "  {} {:>5.2} (cpu x{:>4.2}) on {}{}, {} executions, {} conflicts",
            run.engine.name(),
            measured.ratio(run.engine).wall,
            1.0 / measured.ratio(run.engine).cpu,
            run.report.workers_used,
            run.report.clamp.map_or(String::new(), |clamp| format!(" {}", clamp.name())),
            counters.executions,
            counters.conflicts,
        ));
    }
    line
}

/// The sum of an engine's times.
fn sum(blocks: &[Measured], engine: Engine) -> Seconds {
    blocks.iter().map(|block| block.seconds(engine)).sum()
}

/// Whether a run fell back to one worker although its block is worth sharing.
fn is_fallback(measured: &Measured, run: &Run) -> bool {
    run.report.clamp.is_some()
        && run.report.workers_used == 1
        && measured.seconds(Engine::Serial).wall >= SMALL_SECONDS
}

/// The ratio of the worst block that is not small, and its name.
fn worst(blocks: &[Measured], engine: Engine) -> Option<(f64, &str)> {
    let large = blocks.iter().filter(|block| block.seconds(Engine::Revm).wall >= SMALL_SECONDS);
    let ratios = large.map(|block| (block.ratio(engine).wall, block.name.as_str()));
    ratios.min_by(|one, other| one.0.total_cmp(&other.0))
}

impl Report {
    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.generated.is_empty()
    }

    /// Simulates what was recorded. To be called when everything is measured.
    pub fn predict(&mut self, options: &Options) {
        self.predictions = compare_all(&self.blocks, &self.generated, &options.workers);
        self.outlook =
            options.workers.first().and_then(|workers| outlook(&self.blocks, *workers)).unwrap_or_default();
    }

    /// What the rows, printed as they came, give together.
    pub fn print_table(&self, options: &Options) {
        eprintln!();
        self.print_predictions();
        if !self.blocks.is_empty() {
            self.print_sums(options);
        }
        if let Some(overhead) = self.schedule_overhead(options) {
            eprintln!("recording the schedule adds {:.1} %", overhead * 100.0);
        }
        if let Some([least, median, most]) = self.round_trip() {
            eprintln!("a cache line's round trip: {least:.0} to {most:.0} ns, median {median:.0}");
        }
    }

    fn print_predictions(&self) {
        for prediction in &self.predictions {
            let from_shared = prediction
                .from_shared
                .map(|seconds| format!("; {:.3} ms from the record of several workers only", seconds * 1e3));
            eprintln!(
                "{:>17} on {:>3}  predicted {:>9.3} ms  measured {:>9.3} ms  off by {:>5.1} % in pairs{}",
                prediction.name,
                prediction.workers,
                prediction.predicted * 1e3,
                prediction.measured * 1e3,
                prediction.error() * 100.0,
                from_shared.unwrap_or_default(),
            );
        }
        for outlook in &self.outlook {
            eprintln!(
                "{} large given blocks on {:>3}  predicted speed-up {:>5.2}  limit {:>5.2}  share {:.3}",
                outlook.blocks,
                outlook.workers,
                outlook.predicted,
                outlook.limit,
                outlook.share(),
            );
        }
    }

    fn print_sums(&self, options: &Options) {
        let revm = sum(&self.blocks, Engine::Revm);
        eprintln!("{} given blocks, in sum: revm {:.3} ms", self.blocks.len(), revm.wall * 1e3);
        for engine in Engine::all(&options.workers).into_iter().skip(1) {
            let ours = sum(&self.blocks, engine);
            let runs: Vec<_> =
                self.blocks.iter().filter_map(|block| Some((block, block.run(engine)?))).collect();
            let executions: u64 = runs.iter().map(|(_, run)| run.report.counters.executions).sum();
            let conflicts: u64 = runs.iter().map(|(_, run)| run.report.counters.conflicts).sum();
            let fallbacks = runs.iter().filter(|(block, run)| is_fallback(block, run)).count();
            let (least, name) = worst(&self.blocks, engine).unwrap_or((f64::NAN, "none"));
            eprintln!(
                "{:>22} {:>9.3} ms  ratio {:>5.3}  cpu x{:>5.3}  worst {least:.2} ({name})  {executions} executions  {conflicts} conflicts  {fallbacks} fallbacks",
                engine.name(),
                ours.wall * 1e3,
                revm.ratio(ours).wall,
                ours.cpu / revm.cpu,
            );
        }
    }

    pub fn to_json(&self, options: &Options) -> Value {
        let transactions: usize = self.blocks.iter().map(|block| block.transactions).sum();
        let mut object = json!({
            "benchmark": "replay",
            "baseline": provenance::baseline(),
            "repeats": options.repeats,
            "statistic": "minimum",
            "allocator": provenance::allocator(),
            "cores": provenance::cores(),
            "round_trip_nanoseconds": self.round_trip(),
            "workers": options.workers,
            "blocks": self.blocks.len(),
            "transactions": transactions,
            "workloads": self.generated.iter().map(details).collect::<Vec<_>>(),
            "sums": self.sums(options),
            "schedule_overhead": self.schedule_overhead(options),
            "prediction_errors": self.prediction_errors(options),
            "predictions": self.predictions.iter().map(prediction_json).collect::<Vec<_>>(),
            "outlook": self.outlook.iter().map(outlook_json).collect::<Vec<_>>(),
            "vs_serial": self.vs_serial(options),
            "ratios": self.ratios(options),
        });
        if options.per_block {
            object["per_block"] = self.blocks.iter().map(details).collect();
        }
        object
    }

    /// How far apart the cores were: least, median and most.
    fn round_trip(&self) -> Option<[f64; 3]> {
        let mut trips = self.round_trips.clone();
        trips.sort_by(f64::total_cmp);
        Some([*trips.first()?, *trips.get(trips.len() / 2)?, *trips.last()?])
    }

    /// The named figures: plain revm's seconds over ours.
    fn ratios(&self, options: &Options) -> Map<String, Value> {
        let mut ratios = Map::new();
        if !self.blocks.is_empty() {
            let revm = sum(&self.blocks, Engine::Revm);
            for workers in &options.workers {
                let ours = sum(&self.blocks, Engine::Parallel(*workers));
                ratios.insert(format!("parallel_{workers}_vs_revm"), json!(revm.ratio(ours).wall));
            }
            ratios.insert(
                "one_worker_forced".into(),
                json!(revm.ratio(sum(&self.blocks, Engine::Forced)).wall),
            );
            if options.workers.contains(&WORKERS) {
                let engine = Engine::Parallel(WORKERS);
                ratios.insert("worst_block".into(), json!(worst(&self.blocks, engine).map(|worst| worst.0)));
                ratios.insert("cpu_vs_revm".into(), json!(sum(&self.blocks, engine).cpu / revm.cpu));
            }
        }
        for measured in &self.generated {
            for workers in &options.workers {
                let ratio = json!(measured.ratio(Engine::Parallel(*workers)).wall);
                if *workers != WORKERS {
                    ratios.insert(format!("{}_workers_{workers}", measured.name), ratio);
                    continue;
                }
                if let Some(family) = measured.name.strip_suffix(NAMED_SIZE) {
                    ratios.insert(family.into(), ratio.clone());
                }
                ratios.insert(measured.name.clone(), ratio);
            }
        }
        for outlook in self.outlook.iter().filter(|outlook| SHARES.contains(&outlook.workers)) {
            ratios.insert(format!("predicted_{}", outlook.workers), json!(outlook.share()));
        }
        let error = self.predictions.iter().map(Prediction::error).max_by(f64::total_cmp);
        ratios.extend(error.map(|error| ("prediction_error".to_owned(), json!(error))));
        ratios
    }

    /// The largest error of a prediction, by worker count.
    fn prediction_errors(&self, options: &Options) -> Map<String, Value> {
        let largest = |workers: usize| {
            let of_workers = self.predictions.iter().filter(|prediction| prediction.workers == workers);
            of_workers.map(Prediction::error).max_by(f64::total_cmp)
        };
        let counts = std::iter::once(1).chain(options.workers.iter().copied());
        counts.filter_map(|workers| Some((workers.to_string(), json!(largest(workers)?)))).collect()
    }

    /// Our serial seconds over our parallel ones.
    fn vs_serial(&self, options: &Options) -> Map<String, Value> {
        let mut ratios = Map::new();
        for workers in &options.workers {
            let engine = Engine::Parallel(*workers);
            if !self.blocks.is_empty() {
                let ratio = sum(&self.blocks, Engine::Serial).ratio(sum(&self.blocks, engine)).wall;
                ratios.insert(format!("parallel_{workers}"), json!(ratio));
            }
            for measured in &self.generated {
                let ratio = measured.seconds(Engine::Serial).ratio(measured.seconds(engine)).wall;
                let suffix = if *workers == WORKERS { String::new() } else { format!("_workers_{workers}") };
                ratios.insert(format!("{}{suffix}", measured.name), json!(ratio));
            }
        }
        ratios
    }

    /// What recording the schedule adds to the time of all given blocks, else of the generated ones, as a share.
    fn schedule_overhead(&self, options: &Options) -> Option<f64> {
        let workers = *options.workers.first()?;
        let blocks = if self.blocks.is_empty() { &self.generated } else { &self.blocks };
        let (off, on) = (Engine::Parallel(workers), Engine::Recorded(workers));
        Some(sum(blocks, on).wall / sum(blocks, off).wall - 1.0)
    }

    /// Per engine, over the given blocks.
    fn sums(&self, options: &Options) -> Map<String, Value> {
        let mut sums = Map::new();
        if self.blocks.is_empty() {
            return sums;
        }
        for engine in Engine::all(&options.workers) {
            let runs = || self.blocks.iter().filter_map(|block| Some((block, block.run(engine)?)));
            let seconds = sum(&self.blocks, engine);
            let executions: u64 = runs().map(|(_, run)| run.report.counters.executions).sum();
            let conflicts: u64 = runs().map(|(_, run)| run.report.counters.conflicts).sum();
            let fallbacks = runs().filter(|(block, run)| is_fallback(block, run)).count();
            sums.insert(
                engine.name(),
                json!({
                    "seconds": seconds.wall, "cpu_seconds": seconds.cpu, "executions": executions,
                    "conflicts": conflicts, "serial_fallbacks": fallbacks,
                }),
            );
        }
        sums
    }
}

fn prediction_json(prediction: &Prediction) -> Value {
    json!({
        "name": prediction.name, "workers": prediction.workers, "predicted_seconds": prediction.predicted,
        "from_shared": prediction.from_shared, "measured_seconds": prediction.measured,
        "ratio": prediction.ratio, "error": prediction.error(), "repeats": prediction.repeats,
    })
}

fn outlook_json(outlook: &Outlook) -> Value {
    json!({
        "workers": outlook.workers, "blocks": outlook.blocks, "predicted_speedup": outlook.predicted,
        "limit": outlook.limit,
    })
}

/// One block, whole.
fn details(measured: &Measured) -> Value {
    let mut engines = Map::new();
    for run in &measured.runs {
        let mut object = json!({"seconds": run.seconds.wall, "cpu_seconds": run.seconds.cpu});
        if !matches!(run.engine, Engine::Revm | Engine::Serial) {
            let counters = &run.report.counters;
            object["workers_used"] = json!(run.report.workers_used);
            object["clamp_reason"] = json!(run.report.clamp.map(|clamp| clamp.name()));
            object["executions"] = json!(counters.executions);
            object["executions_max"] = json!(run.executions_max);
            object["conflicts"] = json!(counters.conflicts);
        }
        engines.insert(run.engine.name(), object);
    }
    json!({
        "name": measured.name, "fork": measured.fork, "transactions": measured.transactions,
        "gas_used": measured.gas_used, "engines": engines,
    })
}
