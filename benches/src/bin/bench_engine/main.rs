//! `bench-engine`: the serial engine against plain revm on its own `CacheDB`, in one run with one allocator, the two
//! alternating. A table goes to standard error; the last line on standard output is one JSON object.

mod measure;
mod options;
mod recovery;
mod report;

use std::process::ExitCode;

use solder_bench::data::{DataFolder, load_blocks, sample_blocks};
use solder_bench::workloads::{
    Contracts, Workload, erc20_transfers, hot_slot, native_transfers, one_sender, uniswap_swaps,
};

use measure::{Failure, Measured, measure};
use options::Options;
use report::Report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The sizes of generated blocks in gas.
const SIZES: [u64; 4] = [1_000_000, 10_000_000, 100_000_000, 1_000_000_000];
const SEED: u64 = 0x501d_e201;

type Generate = Box<dyn Fn(u64) -> Workload>;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(report) => finish(&options, &report),
        Err(Failure::Input(error)) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
        Err(Failure::Nothing(name)) => {
            eprintln!("--only {name}: no such measurement, or its data is absent");
            ExitCode::from(2)
        }
        Err(Failure::Outcome(detail)) => {
            eprintln!("{detail}");
            ExitCode::FAILURE
        }
    }
}

fn finish(options: &Options, report: &Report) -> ExitCode {
    report.print_table();
    let line = report.to_json(options).to_string();
    if let Some(path) = &options.json
        && let Err(error) = std::fs::write(path, format!("{line}\n"))
    {
        eprintln!("{}: {error}", path.display());
        return ExitCode::from(2);
    }
    println!("{line}");
    ExitCode::SUCCESS
}

fn run(options: &Options) -> Result<Report, Failure> {
    let data = DataFolder::find();
    let mut report = Report::default();
    if options.wants("serial_vs_revm") || options.wants("recovery") {
        let path = options.blocks.clone().or_else(|| data.as_ref().and_then(DataFolder::blocks));
        let path = path.unwrap_or_else(|| {
            eprintln!(
                "no data folder (SOLDER_DATA): the sample blocks of this repository stand in for mainnet's"
            );
            sample_blocks()
        });
        let blocks = load_blocks(&path)?;
        eprintln!("{} blocks from {}", blocks.len(), path.display());
        if options.wants("serial_vs_revm") {
            for block in &blocks {
                report.blocks.push(progress(measure(block, options.repeats)?));
            }
        }
        if options.wants("recovery") {
            report.recovery = Some(recovery::measure(&blocks, options.repeats));
        }
    }
    let contracts = data.map(|data| data.contracts()).transpose()?.flatten();
    if contracts.is_none() {
        eprintln!("no data folder (SOLDER_DATA): blocks of ERC-20 transfers and Uniswap swaps are left out");
    }
    for (name, generate) in generators(contracts) {
        for gas in SIZES {
            if options.wants(&format!("{name}_{}", gas / 1_000_000)) {
                let workload = generate(gas);
                report.generated.push(progress(measure(&workload, options.repeats)?));
            }
        }
    }
    match &options.only {
        Some(name) if report.is_empty() => Err(Failure::Nothing(name.clone())),
        _ => Ok(report),
    }
}

fn progress(measured: Measured) -> Measured {
    eprintln!("{}", report::line(&measured));
    measured
}

fn generators(contracts: Option<Contracts>) -> Vec<(&'static str, Generate)> {
    let mut generators: Vec<(&'static str, Generate)> = vec![
        ("native", Box::new(|gas| native_transfers(gas, SEED))),
        ("one_sender", Box::new(|gas| one_sender(gas, SEED))),
        ("hot_slot", Box::new(|gas| hot_slot(gas, SEED))),
    ];
    if let Some(contracts) = contracts {
        let others = contracts.clone();
        generators.insert(1, ("erc20", Box::new(move |gas| erc20_transfers(&contracts, gas, SEED))));
        generators.insert(2, ("uniswap", Box::new(move |gas| uniswap_swaps(&others, gas, SEED))));
    }
    generators
}
