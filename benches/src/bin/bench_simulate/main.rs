//! `bench-simulate`: independent calls on one snapshot, ours against plain revm on its own `CacheDB` (`transact`, whose
//! state is thrown away), in one process with one allocator. It answers line by line, so that `benches/simulate` can put a
//! third engine, in Python, between the two: each line on standard input is `NAME WORKERS`, each answer
//! `{"name", "calls", "solder", "revm"}` in seconds. `overlays` measures overlays instead. For a profiler, `NAME WORKERS
//! solder 50` runs one engine only, fifty times.

mod overlays;
mod plain;

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use alloy_primitives::{Address, U256};
use serde_json::{Value, json};
use solder_bench::clock::{Seconds, timed};
use solder_bench::data::{DataFolder, measured_contracts};
use solder_bench::failure::Failure;
use solder_bench::workloads::{erc20_transfers, native_transfers};
use solder_bench::{Workload, provenance};
use solder_simulate::batch::{BatchOptions, Calls, Column, Columns, Input, Progress, simulate};
use solder_simulate::{Environment, Snapshot};

use plain::Plain;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEED: u64 = 0x501d_e205;
/// Gas of the workloads: about 5,000 transfers of each kind.
const ERC20_GAS: u64 = 172_500_000;
const NATIVE_GAS: u64 = 105_000_000;

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn serve() -> Result<(), Failure> {
    let contracts = measured_contracts(DataFolder::find().as_ref())?;
    let mut measures = vec![Measure::new("native", native_transfers(NATIVE_GAS, SEED))?];
    if let Some(contracts) = &contracts {
        let scattered = erc20_transfers(contracts, ERC20_GAS, SEED);
        measures.push(Measure::new("erc20", of_one_sender(scattered.clone()))?);
        measures.push(Measure::new("erc20_scattered", scattered)?);
    }
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let mut words = line.split_whitespace();
        let (name, workers) = (words.next().unwrap_or_default(), words.next().unwrap_or("1"));
        let only = words.next().zip(words.next().and_then(|times| times.parse().ok()));
        let workers = workers.parse().unwrap_or(1);
        let answer = match (measures.iter_mut().find(|measure| measure.name == name), only) {
            _ if name == "overlays" => overlays::measure()?,
            (Some(measure), Some((engine, times))) => measure.repeat(workers, engine, times)?,
            (Some(measure), None) => measure.run(workers)?,
            (None, _) => json!({"name": name, "absent": true}),
        };
        println!("{answer}");
        let _ = std::io::stdout().flush();
    }
    Ok(())
}

/// The same transfers, all by the first holder: what a sweep over recipients and amounts is.
fn of_one_sender(mut workload: Workload) -> Workload {
    let sender = workload.block.transactions.first().map(|tx| tx.sender).unwrap_or_default();
    workload.block.transactions.iter_mut().for_each(|tx| tx.sender = sender);
    workload
}

/// One workload as independent calls.
struct Measure {
    name: &'static str,
    snapshot: Snapshot,
    calls: Calls,
    plain: Plain,
    runs: usize,
}

impl Measure {
    fn new(name: &'static str, workload: Workload) -> Result<Self, Failure> {
        let txs = &workload.block.transactions;
        let (mut bytes, mut offsets) = (Vec::new(), vec![0]);
        for tx in txs {
            bytes.extend_from_slice(&tx.input);
            offsets.push(bytes.len());
        }
        let calls = Calls::new(
            Column::Each(txs.iter().map(|tx| tx.sender).collect()),
            Column::Each(txs.iter().map(|tx| tx.to.to().copied()).collect::<Vec<Option<Address>>>()),
            Column::Each(txs.iter().map(|tx| tx.value).collect::<Vec<U256>>()),
            Column::Each(txs.iter().map(|tx| tx.gas_limit).collect()),
            Column::Same(0),
            Input::Packed { bytes, offsets },
            Column::Same(Vec::new()),
        )
        .map_err(|error| Failure::stopped(&workload, "solder", error))?;
        let plain = Plain::new(&workload);
        let environment = Environment::of(workload.chain.clone(), workload.fork, &workload.block.header);
        let snapshot = Snapshot::new(Arc::new(workload.state), environment);
        Ok(Self { name, snapshot, calls, plain, runs: 0 })
    }

    /// Runs both once, in turn first, and compares what they gave.
    fn run(&mut self, workers: usize) -> Result<Value, Failure> {
        self.runs += 1;
        let (ours, theirs) = if self.runs.is_multiple_of(2) {
            let ours = self.ours(workers)?;
            (ours, self.theirs()?)
        } else {
            let theirs = self.theirs()?;
            (self.ours(workers)?, theirs)
        };
        if ours.1.gas_used != theirs.1 {
            return Err(Failure::Outcome(format!("{}: gas used differs from plain revm's", self.name)));
        }
        Ok(json!({
            "name": self.name,
            "calls": self.calls.len(),
            "workers": workers,
            "solder": ours.0.wall,
            "revm": theirs.0.wall,
            "solder_cpu": ours.0.cpu,
            "revm_cpu": theirs.0.cpu,
            "baseline": format!("revm {} on CacheDB, transact", provenance::locked_version("revm")),
        }))
    }

    /// Runs one engine again and again; the least seconds.
    fn repeat(&mut self, workers: usize, engine: &str, times: usize) -> Result<Value, Failure> {
        let mut least = Seconds::MAX;
        for _ in 0..times {
            let seconds = if engine == "revm" { self.theirs()?.0 } else { self.ours(workers)?.0 };
            least = least.min(seconds);
        }
        Ok(
            json!({"name": self.name, "engine": engine, "calls": self.calls.len(), "least": least.wall, "cpu": least.cpu}),
        )
    }

    fn ours(&self, workers: usize) -> Result<(Seconds, Columns), Failure> {
        let options = BatchOptions { workers, ..BatchOptions::default() };
        let (progress, never) = (Progress::default(), AtomicBool::new(false));
        let (seconds, columns) = timed(|| simulate(&self.snapshot, &self.calls, &options, &progress, &never));
        let columns = columns.map_err(|error| Failure::Outcome(format!("{}: {error}", self.name)))?;
        Ok((seconds, columns))
    }

    fn theirs(&mut self) -> Result<(Seconds, Vec<u64>), Failure> {
        let (seconds, gas_used) = timed(|| self.plain.run());
        Ok((seconds, gas_used.map_err(|error| Failure::Outcome(format!("{}: {error}", self.name)))?))
    }
}
