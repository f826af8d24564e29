//! Runs official test suites without Python:
//! `cargo run --release -p solder-spec --example run_tests -- state PATH... [--fork F] [--filter TEXT] [--threads N] [--trace]`.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use solder_spec::{CaseReport, Format, Next, Options, Run, Verdict};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many slow cases and how many failing ones are printed.
const SHOWN: usize = 20;

struct Arguments {
    format: Format,
    paths: Vec<String>,
    options: Options,
    shown: usize,
}

fn arguments() -> Result<Arguments, String> {
    let mut list = std::env::args().skip(1);
    let format = match list.next().as_deref() {
        Some("state") => Format::State,
        Some("block") => Format::Block,
        Some("rlp") => Format::Rlp,
        Some("trie") => Format::Trie,
        Some("transaction") => Format::Transaction,
        other => return Err(format!("unknown format {other:?}")),
    };
    let mut arguments = Arguments { format, paths: Vec::new(), options: Options::default(), shown: SHOWN };
    while let Some(argument) = list.next() {
        let mut value = || list.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--fork" => arguments.options.fork = Some(value()?),
            "--filter" => arguments.options.filter = Some(value()?),
            "--threads" => arguments.options.threads = value()?.parse().map_err(|_| "--threads: a number")?,
            "--show" => arguments.shown = value()?.parse().map_err(|_| "--show: a number")?,
            "--workers" => {
                let workers = value()?.parse().map_err(|_| "--workers: a number")?;
                let parallel = arguments.options.parallel.get_or_insert_default();
                (parallel.workers, parallel.forced, parallel.mislead) = (workers, true, true);
            }
            "--seed" => arguments.options.seeds.push(value()?.parse().map_err(|_| "--seed: a number")?),
            "--trace" => arguments.options.trace = true,
            path => arguments.paths.push(path.to_owned()),
        }
    }
    Ok(arguments)
}

fn print_failure(report: &CaseReport) {
    println!("FAIL {} [{}]\n     {}", report.name, report.fork, report.error().unwrap_or_default());
    if let Some(trace) = &report.trace {
        println!("{trace}");
    }
}

fn main() -> ExitCode {
    let Arguments { format, paths, options, shown } = match arguments() {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let started = Instant::now();
    let mut run = match Run::start(format, &paths, options) {
        Ok(run) => run,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let (mut passed, mut failed, mut skipped, mut errors) = (0u64, 0usize, 0u64, 0u64);
    let mut slowest: Vec<(f64, String)> = Vec::new();
    loop {
        match run.next(Duration::from_secs(1)) {
            Next::Case(report) => {
                match report.verdict {
                    Verdict::Passed => passed += 1,
                    Verdict::Skipped(_) => skipped += 1,
                    Verdict::Failed(_) => {
                        failed += 1;
                        if failed <= shown {
                            print_failure(&report);
                        }
                    }
                }
                slowest.push((report.seconds, report.name));
                if slowest.len() > 4096 {
                    slowest.sort_by(|a, b| b.0.total_cmp(&a.0));
                    slowest.truncate(SHOWN);
                }
            }
            Next::Error(error) => {
                errors += 1;
                println!("ERROR {error}");
            }
            Next::Pending => {}
            Next::Done => break,
        }
    }
    slowest.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (seconds, name) in slowest.iter().take(SHOWN.min(shown)) {
        eprintln!("{seconds:9.3} s  {name}");
    }
    let foreign = run.progress().files_foreign.load(Ordering::Relaxed);
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "passed {passed}, failed {failed}, skipped {skipped}, errors {errors}, other files {foreign}, {seconds:.2} s"
    );
    if errors > 0 { ExitCode::from(2) } else { ExitCode::from(u8::from(failed > 0)) }
}
