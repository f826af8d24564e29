//! `bench-replay`: blocks in parallel, against plain revm on its own `CacheDB` and against ours in series, in one run with
//! one allocator, the engines alternating. A table goes to standard error; the last line on standard output is one
//! JSON object.

mod measure;
mod options;
mod prediction;
mod report;

use std::cell::RefCell;
use std::process::ExitCode;

use solder_bench::data::{DataFolder, measured_blocks, measured_contracts};
use solder_bench::failure::Failure;
use solder_bench::provenance::cores;
use solder_bench::round_trip;
use solder_bench::workloads::{Family, Workload};

use measure::{Measured, measure};
use options::Options;
use report::Report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The sizes of generated blocks in gas.
const SIZES: [u64; 3] = [1_000_000, 100_000_000, 1_000_000_000];
const SEED: u64 = 0x501d_e201;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1), cores()) {
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
    report.print_table(options);
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
    eprintln!("{} cores; workers {:?}; {} repeats", cores(), options.workers, options.repeats);
    let round_trips = RefCell::new(Vec::new());
    let progress = |workload: &Workload, shown: bool| -> Result<Measured, Failure> {
        round_trips.borrow_mut().push(round_trip::nanoseconds());
        let measured = measure(workload, options.repeats, &options.workers)?;
        if shown {
            eprintln!("{}", report::line(&measured, options));
        }
        Ok(measured)
    };
    if options.wants("blocks") {
        for block in &measured_blocks(options.blocks.as_deref(), data.as_ref())? {
            report.blocks.push(progress(block, options.per_block)?);
        }
    }
    let contracts = measured_contracts(data.as_ref())?;
    for family in Family::ALL {
        for gas in SIZES {
            if options.wants(&format!("{}_{}", family.name(), gas / 1_000_000))
                && let Some(workload) = family.generate(contracts.as_ref(), gas, SEED)
            {
                report.generated.push(progress(&workload, true)?);
            }
        }
    }
    match &options.only {
        Some(name) if report.is_empty() => Err(Failure::Nothing(name.clone())),
        _ => {
            report.predict(options);
            report.round_trips = round_trips.into_inner();
            Ok(report)
        }
    }
}
