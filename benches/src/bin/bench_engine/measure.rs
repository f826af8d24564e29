//! One block under the clock, on both engines in turn. The clock runs from decoded transactions with senders, the
//! header, an in-memory state and analysed code, to receipts with logs and, for our engine, the ChangeSet. What revm
//! consumes (its database, its transactions) is copied outside of the clock, and nothing is freed inside it.
//! Both outcomes are compared in every repeat.

use solder_bench::agreement::with_baseline;
use solder_bench::baseline::{Baseline, Finished};
use solder_bench::clock::{Seconds, timed};
use solder_bench::failure::Failure;
use solder_bench::workloads::Workload;
use solder_engine::{BlockOutcome, ExecuteOptions, execute_block};

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
        with_baseline(workload, &baseline, &ours.1, &theirs.1)?;
        found.gas_used = ours.1.gas_used;
        found.keccak_memo = ours.1.keccak_memo;
        if repeat > 0 {
            found.ours = found.ours.min(ours.0);
            found.baseline = found.baseline.min(theirs.0);
        }
    }
    Ok(found)
}

fn run_ours(workload: &Workload) -> Result<(Seconds, BlockOutcome), Failure> {
    let Workload { chain, fork, block, state, .. } = workload;
    let options = ExecuteOptions::default();
    // revm's database and transactions are copied before each of its runs: both read memory that was just written.
    let (block, state) = (block.clone(), state.clone());
    let (seconds, outcome) = timed(|| execute_block(chain, *fork, &block, &state, &options));
    Ok((seconds, outcome.map_err(|error| Failure::stopped(workload, "solder", error))?))
}

fn run_baseline(baseline: &Baseline<'_>, workload: &Workload) -> Result<(Seconds, Finished), Failure> {
    let prepared = baseline.prepare();
    let (seconds, finished) = timed(|| baseline.run(prepared));
    Ok((seconds, finished.map_err(|error| Failure::stopped(workload, "revm", error))?))
}
