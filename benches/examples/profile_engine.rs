//! Runs one engine alone on one block for some seconds, for a profiler to watch:
//! `perf record cargo run --release -p solder-bench --example profile_engine -- parallel:2 native_100 5`.
//! The engine is `revm`, `serial`, `forced:W`, `parallel:W` or `recorded:W` (the last tells what its workers did in the
//! fastest run) on W workers; the block is a mainnet block's number, or a
//! generated one (`native_100`, `erc20_1000`, ...).

use std::process::ExitCode;
use std::time::{Duration, Instant};

use solder_bench::Workload;
use solder_bench::baseline::Baseline;
use solder_bench::data::{DataFolder, load_blocks, sample_blocks};
use solder_bench::workloads::Family;
use solder_engine::parallel::record::Activity;
use solder_engine::parallel::{Report, Schedule};
use solder_engine::{ExecuteOptions, Parallel, execute_block};
use solder_schedule::BlockSchedule;
use solder_schedule::analysis::{critical_path, hottest, work};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Locations that are named.
const HOTTEST: usize = 5;
const SEED: u64 = 0x501d_e201;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [engine, name, seconds] = arguments.as_slice() else {
        eprintln!("usage: profile_engine revm|serial|forced:W|parallel:W|recorded:W BLOCK SECONDS");
        return ExitCode::from(2);
    };
    let parallel = match parse_engine(engine) {
        Ok(parallel) => parallel,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let (Some(workload), Ok(seconds)) = (find(name), seconds.parse()) else {
        eprintln!("no block {name}, or no seconds {seconds}");
        return ExitCode::from(2);
    };
    let time = Duration::from_secs(seconds);
    let (mut all, mut best, start) = (Vec::new(), Duration::MAX, Instant::now());
    let baseline = (engine == "revm").then(|| Baseline::new(&workload));
    let options = ExecuteOptions { parallel, ..Default::default() };
    let mut report = None;
    while start.elapsed() < time {
        let took = match &baseline {
            Some(baseline) => {
                let prepared = baseline.prepare();
                let begin = Instant::now();
                let finished = baseline.run(prepared);
                let took = begin.elapsed();
                drop(finished);
                took
            }
            None => {
                let Workload { chain, fork, block, state, .. } = &workload;
                let begin = Instant::now();
                let outcome = execute_block(chain, *fork, block, state, &options);
                let took = begin.elapsed();
                if took < best {
                    report = outcome.ok().and_then(|outcome| outcome.parallel);
                }
                took
            }
        };
        best = best.min(took);
        all.push(took);
    }
    all.sort_unstable();
    let median = all.get(all.len() / 2).copied().unwrap_or_default();
    let [best, median] = [best, median].map(|time| time.as_secs_f64() * 1e3);
    println!("{engine} {name}: {} runs, best {best:.3} ms, median {median:.3} ms", all.len());
    if let Some(report) = report {
        print_report(&report);
    }
    ExitCode::SUCCESS
}

fn print_report(report: &Report) {
    println!("{} workers, clamp {:?}, {:?}", report.workers_used, report.clamp, report.counters);
    let Some(schedule) = &report.schedule() else { return };
    println!("{:.1} us from the first phase to the last", schedule.wall as f64 / 1e3);
    for worker in 0..schedule.workers {
        print_worker(schedule, worker);
    }
    let block = BlockSchedule { schedule: schedule.clone(), ..BlockSchedule::default() };
    for hot in hottest([&block], HOTTEST) {
        println!("{:?}: {} aborts, {} dependencies", hot.location, hot.aborts, hot.dependencies);
    }
    let path = critical_path(schedule);
    let longest = schedule.transactions.iter().map(|record| record.execution).max().unwrap_or(0);
    println!(
        "critical path {:.1} us over {} transactions; the longest takes {:.1} us; work {:.1} us",
        path.nanoseconds as f64 / 1e3,
        path.chain.len(),
        longest as f64 / 1e3,
        work(schedule) as f64 / 1e3,
    );
}

/// When a worker began and ended, and how long it did what.
fn print_worker(schedule: &Schedule, worker: u32) {
    let spans = || schedule.spans.iter().filter(move |span| span.worker == worker);
    let first = spans().map(|span| span.start).min().unwrap_or(0);
    let last = spans().map(|span| span.end).max().unwrap_or(0);
    print!("worker {worker}: {:.1} to {:.1} us", first as f64 / 1e3, last as f64 / 1e3);
    for activity in [
        Activity::PreExecution,
        Activity::Execute,
        Activity::Validate,
        Activity::Commit,
        Activity::PostExecution,
        Activity::Collect,
    ] {
        let (mut sum, mut count) = (0, 0);
        for span in spans().filter(|span| span.activity == activity) {
            (sum, count) = (sum + span.end - span.start, count + 1);
        }
        if count > 0 {
            print!("  {activity:?} {:.1} us in {count}", sum as f64 / 1e3);
        }
    }
    println!();
}

/// How ours is to run; `None` in series, and for revm.
fn parse_engine(name: &str) -> Result<Option<Parallel>, String> {
    let (kind, workers) = name.split_once(':').unwrap_or((name, ""));
    match (kind, workers.parse::<usize>()) {
        ("revm" | "serial", Err(_)) if workers.is_empty() => Ok(None),
        ("forced" | "parallel" | "recorded", Ok(workers)) if workers > 0 => {
            let (forced, record) = (kind == "forced", kind == "recorded");
            Ok(Some(Parallel { workers, forced, record, ..Default::default() }))
        }
        _ => Err(format!("no engine {name}")),
    }
}

fn find(name: &str) -> Option<Workload> {
    let data = DataFolder::find();
    if name.parse::<u64>().is_ok() {
        let path = data.and_then(|data| data.blocks()).unwrap_or_else(sample_blocks);
        return load_blocks(&path).ok()?.into_iter().find(|block| block.name == name);
    }
    let (kind, size) = name.rsplit_once('_')?;
    let gas = size.parse::<u64>().ok()? * 1_000_000;
    let contracts = data.and_then(|data| data.contracts().ok().flatten());
    Family::from_name(kind)?.generate(contracts.as_ref(), gas, SEED)
}
