//! `fuzz`: looks for blocks on which parallel and serial execution differ, until the time is over or one is found.

#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use solder_engine::{Parallel, Policy};
use solder_fuzz::check::{self, Mismatch, Mode, Tally};
use solder_fuzz::{Case, Watch, blocks, modes, shrink::shrink};

const HELP: &str = "\
fuzz [--seconds S] [--what hostile|blocks|all] [--from SEED]   look until the time is over
fuzz --seed N [--count C]                                      the blocks of these seeds, in every mode
fuzz --seed N --replay [--keep 0,3,5] [--workers W] [--interleave S] [--mislead] [--late] [--record] [--reject]
                                                               one block in one mode; prints it
  --out DIR   where the block that differs is described (default: beside the build, fuzz/)
  --go-on     one line for each block that differs, none made smaller
  --threads   without the interleaved modes
  --blocks P  a folder or archive of real blocks instead of the given ones
Real blocks are read from SOLDER_DATA; without it from the samples of this repository.";

/// How often a block is tried while it is made smaller: threads do not do the same twice.
const TRIES_THREADED: usize = 12;
/// No block takes that long in any mode.
const STUCK: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Hostile,
    Blocks,
    All,
}

struct Options {
    seconds: u64,
    what: What,
    from: Option<u64>,
    seed: Option<u64>,
    count: u64,
    replay: bool,
    keep: Option<Vec<usize>>,
    mode: Mode,
    out: PathBuf,
    blocks: Option<String>,
    threads_only: bool,
    go_on: bool,
    watch: Watch,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            seconds: 60,
            what: What::All,
            from: None,
            seed: None,
            count: 1,
            replay: false,
            keep: None,
            mode: Mode::threads(2),
            out: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/fuzz")),
            blocks: None,
            threads_only: false,
            go_on: false,
            watch: Watch::default(),
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            let number = |text: String| {
                text.parse::<u64>().map_err(|_| format!("{argument}: {text:?} is not a number"))
            };
            let parallel: &mut Parallel = &mut options.mode.parallel;
            match argument.as_str() {
                "--seconds" => options.seconds = number(value()?)?,
                "--from" => options.from = Some(number(value()?)?),
                "--seed" => options.seed = Some(number(value()?)?),
                "--count" => options.count = number(value()?)?,
                "--workers" => parallel.workers = number(value()?)?.clamp(1, 128) as usize,
                "--interleave" => parallel.interleave = Some(number(value()?)?),
                "--mislead" => parallel.mislead = true,
                "--record" => parallel.record = true,
                "--late" => options.mode.late = true,
                "--reject" => options.mode.policy = Policy::Reject,
                "--replay" => options.replay = true,
                "--out" => options.out = value()?.into(),
                "--go-on" => options.go_on = true,
                "--threads" => options.threads_only = true,
                "--blocks" => options.blocks = Some(value()?),
                "--keep" => {
                    let places: Result<Vec<usize>, _> =
                        value()?.split(',').map(|text| text.trim().parse()).collect();
                    options.keep = Some(places.map_err(|_| "--keep: numbers with commas".to_owned())?);
                }
                "--what" => {
                    options.what = match value()?.as_str() {
                        "hostile" => What::Hostile,
                        "blocks" => What::Blocks,
                        "all" => What::All,
                        other => return Err(format!("--what: {other:?} is not known")),
                    };
                }
                other => return Err(format!("{other:?} is not known\n{HELP}")),
            }
        }
        Ok(options)
    }

    fn modes(&self, seed: u64) -> Vec<Mode> {
        let mut modes = modes(seed);
        modes.retain(|mode| !self.threads_only || mode.parallel.interleave.is_none());
        modes
    }
}

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("fuzz: {message}");
            return ExitCode::from(2);
        }
    };
    options.watch.guard(STUCK);
    match (options.seed, options.replay) {
        (None, true) => {
            eprintln!("fuzz: --replay needs --seed");
            ExitCode::from(2)
        }
        (Some(seed), true) => replay(&options, seed),
        (Some(seed), false) => seeds(&options, seed, seed + options.count, None),
        (None, false) => search(&options),
    }
}

/// One block in one mode, with what it is.
fn replay(options: &Options, seed: u64) -> ExitCode {
    let mut case = Case::generate(seed);
    if let Some(keep) = &options.keep {
        case = case.keep(keep);
    }
    println!("{}", case.describe());
    match check::check(&case, &[options.mode], &options.watch) {
        Ok(tally) => {
            println!("equal: {tally}");
            ExitCode::SUCCESS
        }
        Err(mismatch) => {
            println!("DIFFERS: {mismatch}");
            ExitCode::FAILURE
        }
    }
}

/// Half of the time for each where both are asked for.
fn search(options: &Options) -> ExitCode {
    let share = if options.what == What::All { options.seconds / 2 } else { options.seconds };
    if options.what != What::Hostile && !real_blocks(options, Duration::from_secs(share)) {
        return ExitCode::FAILURE;
    }
    if options.what == What::Blocks {
        return ExitCode::SUCCESS;
    }
    let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let from = options.from.unwrap_or_else(|| clock().as_secs() << 16);
    seeds(options, from, u64::MAX, Some(Duration::from_secs(share)))
}

fn seeds(options: &Options, from: u64, to: u64, time: Option<Duration>) -> ExitCode {
    let start = Instant::now();
    let mut tally = Tally::default();
    let mut seed = from;
    let mut differing = 0;
    while seed < to && time.is_none_or(|time| start.elapsed() < time) {
        let case = Case::generate(seed);
        match check::check(&case, &options.modes(seed), &options.watch) {
            Ok(one) => tally.add(&one),
            Err(mismatch) => {
                differing += 1;
                if !options.go_on {
                    report(options, &case, &mismatch);
                    return ExitCode::FAILURE;
                }
                println!("seed {seed} in {} differs: {mismatch}", case.fork);
            }
        }
        seed += 1;
    }
    println!("seeds {from} to {}: {differing} differ; {tally}", seed.saturating_sub(1));
    if differing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Makes the block smaller, says how to run it again, and writes it down.
fn report(options: &Options, case: &Case, mismatch: &Mismatch) {
    println!("seed {} in {} DIFFERS: {mismatch}", case.seed, case.fork);
    let modes: Vec<_> = mismatch.mode.into_iter().collect();
    let certain = mismatch.mode.is_none_or(|mode| mode.parallel.interleave.is_some());
    let tries = if certain { 1 } else { TRIES_THREADED };
    let fails = |case: &Case| (0..tries).find_map(|_| check::check(case, &modes, &options.watch).err());
    let small = shrink(case, |case| fails(case).is_some_and(|other| other.kind() == mismatch.kind()));
    let places: Vec<_> = small.kept.iter().map(usize::to_string).collect();
    let arguments = mismatch.mode.map(|mode| mode.arguments()).unwrap_or_default();
    println!("again: fuzz --seed {} --replay --keep {} {arguments}", case.seed, places.join(","));
    let last = fails(&small).map_or_else(|| "not on this attempt".to_owned(), |last| last.to_string());
    println!("{} of {} transactions: {last}\n{}", places.len(), case.kept.len(), small.describe());
    let path = options.out.join(format!("seed-{}.txt", case.seed));
    let text = format!("{mismatch}\n\n{}\n{}\n\n{last}\n", small.describe(), small.describe_state());
    match std::fs::create_dir_all(&options.out).and_then(|()| std::fs::write(&path, text)) {
        Ok(()) => println!("written to {}", path.display()),
        Err(error) => eprintln!("fuzz: {}: {error}", path.display()),
    }
}

/// The given blocks under many seeds, round after round. False where one differs.
fn real_blocks(options: &Options, time: Duration) -> bool {
    let start = Instant::now();
    let data = std::env::var_os("SOLDER_DATA").map(PathBuf::from);
    let path = options.blocks.clone();
    let path = path.unwrap_or_else(|| blocks::given(data.as_deref()).display().to_string());
    let cases = match blocks::load(&path) {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("fuzz: {error}");
            return false;
        }
    };
    let mut tally = Tally::default();
    let mut round = 0u64;
    loop {
        for (id, case) in &cases {
            // The first round is whole, whatever the time.
            if round > 0 && start.elapsed() >= time {
                println!("{} blocks of {path}, {round} whole rounds: {tally}", cases.len());
                return true;
            }
            let modes = options.modes(round.wrapping_mul(1009).wrapping_add(case.seed));
            match check::check(case, &modes, &options.watch) {
                Ok(one) => tally.add(&one),
                Err(mismatch) => {
                    println!("{id} DIFFERS in round {round}: {mismatch}");
                    return false;
                }
            }
        }
        round += 1;
    }
}
