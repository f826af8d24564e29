//! One block under the clock, on both engines in turn. The clock runs from decoded transactions with senders, the
//! header, an in-memory state and analysed code, to receipts with logs and, for our engine, the ChangeSet. What revm
//! consumes (its database, its transactions) is copied outside of the clock, and nothing is freed inside it.
//! Both outcomes are compared in every repeat.

use std::time::Instant;

use solder_bench::Workload;
use solder_bench::baseline::{Baseline, Finished};
use solder_engine::{BlockOutcome, ExecuteOptions, execute_block};
use solder_spec::InputError;
use solder_spec::replay::thread_cpu_seconds;

/// Why nothing was measured.
pub enum Failure {
    /// A file.
    Input(InputError),
    /// Nothing has the name that was asked for.
    Nothing(String),
    /// An engine stopped, or the two disagree.
    Outcome(String),
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        Self::Input(error)
    }
}

/// Wall time, and CPU time of the executing thread: on a busy machine the second is the steadier one.
#[derive(Clone, Copy, Debug)]
pub struct Seconds {
    pub wall: f64,
    pub cpu: f64,
}

impl Seconds {
    const MAX: Self = Self { wall: f64::INFINITY, cpu: f64::INFINITY };
    pub const ZERO: Self = Self { wall: 0.0, cpu: 0.0 };

    fn min(self, other: Self) -> Self {
        Self { wall: self.wall.min(other.wall), cpu: self.cpu.min(other.cpu) }
    }

    /// Baseline over ours, wall and CPU.
    pub fn ratio(self, ours: Self) -> Self {
        Self { wall: self.wall / ours.wall, cpu: self.cpu / ours.cpu }
    }
}

impl std::ops::Add for Seconds {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }
}

/// Runs `work` under both clocks.
fn timed<T>(work: impl FnOnce() -> T) -> (Seconds, T) {
    let (wall, cpu) = (Instant::now(), thread_cpu_seconds());
    let result = work();
    let cpu = thread_cpu_seconds() - cpu;
    (Seconds { wall: wall.elapsed().as_secs_f64(), cpu }, result)
}

/// What was measured on one block: minima over the repeats.
#[derive(Clone, Debug)]
pub struct Measured {
    pub name: String,
    pub fork: &'static str,
    pub transactions: usize,
    pub gas_used: u64,
    pub ours: Seconds,
    pub baseline: Seconds,
    /// 64-byte hashes answered from memory, and computed.
    pub keccak_memo: (u64, u64),
}

impl Measured {
    /// Baseline seconds over ours.
    pub fn ratio(&self) -> Seconds {
        self.baseline.ratio(self.ours)
    }
}

/// Measures one block. One run of each engine before the first repeat fills caches and loads one-time tables.
pub fn measure(workload: &Workload, repeats: u32) -> Result<Measured, Failure> {
    let baseline = Baseline::new(workload);
    let mut found = Measured {
        name: workload.name.clone(),
        fork: workload.fork.name(),
        transactions: workload.block.transactions.len(),
        gas_used: 0,
        ours: Seconds::MAX,
        baseline: Seconds::MAX,
        keccak_memo: (0, 0),
    };
    for repeat in 0..=repeats {
        let (ours, theirs) = if repeat % 2 == 0 {
            let ours = run_ours(workload)?;
            (ours, run_baseline(&baseline, workload)?)
        } else {
            let theirs = run_baseline(&baseline, workload)?;
            (run_ours(workload)?, theirs)
        };
        compare(workload, &baseline, &ours.1, &theirs.1)?;
        found.gas_used = ours.1.gas_used;
        found.keccak_memo = ours.1.keccak_memo;
        if repeat > 0 {
            found.ours = found.ours.min(ours.0);
            found.baseline = found.baseline.min(theirs.0);
        }
    }
    Ok(found)
}

fn stopped(workload: &Workload, who: &str, why: impl std::fmt::Display) -> Failure {
    Failure::Outcome(format!("{}: {who}: {why}", workload.name))
}

fn run_ours(workload: &Workload) -> Result<(Seconds, BlockOutcome), Failure> {
    let Workload { chain, fork, block, state, .. } = workload;
    let options = ExecuteOptions::default();
    // revm's database and transactions are copied before each of its runs: both read memory that was just written.
    let (block, state) = (block.clone(), state.clone());
    let (seconds, outcome) = timed(|| execute_block(chain, *fork, &block, &state, &options));
    Ok((seconds, outcome.map_err(|error| stopped(workload, "solder", error))?))
}

fn run_baseline(baseline: &Baseline<'_>, workload: &Workload) -> Result<(Seconds, Finished), Failure> {
    let prepared = baseline.prepare();
    let (seconds, finished) = timed(|| baseline.run(prepared));
    Ok((seconds, finished.map_err(|error| stopped(workload, "revm", error))?))
}

/// Receipts, gas and the digest of all changes.
fn compare(
    workload: &Workload,
    baseline: &Baseline<'_>,
    ours: &BlockOutcome,
    theirs: &Finished,
) -> Result<(), Failure> {
    if ours.receipts.len() != theirs.receipts.len() {
        return Err(stopped(workload, "outcomes differ", "number of receipts"));
    }
    for (index, (our, their)) in ours.receipts.iter().zip(&theirs.receipts).enumerate() {
        if (our.success, our.gas_used, &our.logs) != (their.success, their.gas_used, &their.logs) {
            let detail =
                format!("transaction {index}: gas {} against revm's {}", our.gas_used, their.gas_used);
            return Err(stopped(workload, "outcomes differ", detail));
        }
    }
    let gas_used: u64 = theirs.receipts.iter().map(|receipt| receipt.gas_used).sum();
    if ours.gas_used != gas_used {
        return Err(stopped(
            workload,
            "outcomes differ",
            format!("gas {} against revm's {gas_used}", ours.gas_used),
        ));
    }
    let (our, their) = (ours.changes.digest(), baseline.digest(theirs));
    if our != their {
        return Err(stopped(
            workload,
            "outcomes differ",
            format!("state digest {our} against revm's {their}"),
        ));
    }
    Ok(())
}
