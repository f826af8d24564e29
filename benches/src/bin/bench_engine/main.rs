//! `bench-engine`: the serial engine against plain revm on its own `CacheDB`, in one run with one allocator, the two
//! alternating. A table goes to standard error; the last line on standard output is one JSON object.

mod measure;
mod options;
mod recovery;
mod report;

use std::process::ExitCode;

use solder_bench::data::{DataFolder, measured_blocks, measured_contracts};
use solder_bench::failure::Failure;
use solder_bench::workloads::Family;

use measure::{Measured, measure};
use options::Options;
use report::Report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The sizes of generated blocks in gas.
const SIZES: [u64; 4] = [1_000_000, 10_000_000, 100_000_000, 1_000_000_000];
const SEED: u64 = 0x501d_e201;

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
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit_code())
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
        let blocks = measured_blocks(options.blocks.as_deref(), data.as_ref())?;
        if options.wants("serial_vs_revm") {
            for block in &blocks {
                report.blocks.push(progress(measure(block, options.repeats)?));
            }
        }
        if options.wants("recovery") {
            report.recovery = Some(recovery::measure(&blocks, options.repeats));
        }
    }
    let contracts = measured_contracts(data.as_ref())?;
    for family in Family::ALL {
        for gas in SIZES {
            if options.wants(&format!("{}_{}", family.name(), gas / 1_000_000))
                && let Some(workload) = family.generate(contracts.as_ref(), gas, SEED)
            {
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
