//! Runs one engine alone on one block for some seconds, for a profiler to watch:
//! `perf record cargo run --release -p solder-bench --example profile_engine -- solder native_100 5`.
//! The block is a mainnet block's number, or a generated one (`native_100`, `erc20_1000`, ...).

use std::process::ExitCode;
use std::time::{Duration, Instant};

use solder_bench::Workload;
use solder_bench::baseline::Baseline;
use solder_bench::data::{DataFolder, load_blocks, sample_blocks};
use solder_bench::workloads::{erc20_transfers, hot_slot, native_transfers, one_sender, uniswap_swaps};
use solder_engine::{ExecuteOptions, execute_block};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEED: u64 = 0x501d_e201;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [engine, name, seconds] = arguments.as_slice() else {
        eprintln!("usage: profile_engine solder|revm BLOCK SECONDS");
        return ExitCode::from(2);
    };
    let Some(workload) = find(name) else {
        eprintln!("no block {name}");
        return ExitCode::from(2);
    };
    let time = Duration::from_secs(seconds.parse().unwrap_or(5));
    let (mut runs, mut best, start) = (0u32, Duration::MAX, Instant::now());
    let baseline = (engine == "revm").then(|| Baseline::new(&workload));
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
                let outcome = execute_block(chain, *fork, block, state, &ExecuteOptions::default());
                let took = begin.elapsed();
                drop(outcome);
                took
            }
        };
        best = best.min(took);
        runs += 1;
    }
    println!("{engine} {name}: {runs} runs, best {:.3} ms", best.as_secs_f64() * 1e3);
    ExitCode::SUCCESS
}

fn find(name: &str) -> Option<Workload> {
    let data = DataFolder::find();
    if name.parse::<u64>().is_ok() {
        let path = data.and_then(|data| data.blocks()).unwrap_or_else(sample_blocks);
        return load_blocks(&path).ok()?.into_iter().find(|block| block.name == name);
    }
    let (kind, size) = name.rsplit_once('_')?;
    let gas = size.parse::<u64>().ok()? * 1_000_000;
    let contracts = || data?.contracts().ok().flatten();
    match kind {
        "native" => Some(native_transfers(gas, SEED)),
        "one_sender" => Some(one_sender(gas, SEED)),
        "hot_slot" => Some(hot_slot(gas, SEED)),
        "erc20" => Some(erc20_transfers(&contracts()?, gas, SEED)),
        "uniswap" => Some(uniswap_swaps(&contracts()?, gas, SEED)),
        _ => None,
    }
}
