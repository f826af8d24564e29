//! Replays one block under the clock and holds the outcome against the header. The clock runs from decoded
//! transactions with senders, the header, an in-memory state and analysed code, to receipts with logs and the
//! ChangeSet; parsing, recovery, bloom, roots, comparisons and freeing the outcome are outside of it.
//!
//! With workers each repeat is a serial run and then a parallel one, so that both meet the same machine.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use alloy_primitives::{B256, Bloom};
use rustix::time::{ClockId, clock_gettime};
use solder_engine::chain::receipt::{logs_bloom, receipts_root};
use solder_engine::parallel::{Clamp, Counters, Recording, Schedule};
use solder_engine::{
    Block, BlockOutcome, Chain, EngineError, ExecuteOptions, Fault, Fork, Parallel, StateReader,
    execute_block,
};

use super::comparison::ending_difference;

/// A block whose serial time is less may run on one worker: waking another costs more than it gains.
pub const FALLBACK_SECONDS: f64 = 50e-6;

/// How to replay.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayOptions<'a> {
    /// Runs; at least one is made.
    pub repeat: u32,
    /// Run in parallel beside each serial run. With `record` set, a further parallel run in each repeat records, so
    /// that the timed ones do not pay for it, and where several workers ran, one more on one worker.
    pub parallel: Option<Parallel>,
    /// Set from another thread to stop.
    pub cancel: Option<&'a AtomicBool>,
}

/// What a replay found.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The block's number.
    pub block: u64,
    /// The rules it ran by.
    pub fork: Fork,
    /// How many transactions it has.
    pub transactions: usize,
    /// Gas that they used.
    pub gas_used: u64,
    /// Root of the receipts.
    pub receipts_root: B256,
    /// Bloom of the logs.
    pub logs_bloom: Bloom,
    /// Whether the header says the same gas.
    pub gas_used_ok: bool,
    /// Whether the header has the same receipts root. `None` before Byzantium: receipts held intermediate state
    /// roots, which a partial state cannot tell.
    pub receipts_root_ok: Option<bool>,
    /// Whether the header has the same bloom.
    pub logs_bloom_ok: bool,
    /// Fingerprint of the changes.
    pub state_digest: B256,
    /// Wall time in seconds, the least over the repeats.
    pub serial_seconds: f64,
    /// CPU time of the executing thread in seconds, the least over the repeats.
    pub serial_cpu_seconds: f64,
    /// 64-byte hashes answered from memory, and computed.
    pub keccak_memo: (u64, u64),
    /// The parallel runs, where asked for.
    pub parallel: Option<ParallelReplay>,
}

impl Replay {
    /// Whether no check failed.
    pub fn is_ok(&self) -> bool {
        self.gas_used_ok
            && self.receipts_root_ok != Some(false)
            && self.logs_bloom_ok
            && self.parallel.as_ref().is_none_or(|parallel| parallel.difference.is_none())
    }
}

/// What the parallel runs of a replay found.
#[derive(Clone, Debug)]
pub struct ParallelReplay {
    /// Workers asked for.
    pub workers: usize,
    /// Workers that took part.
    pub workers_used: usize,
    /// Why fewer.
    pub clamp: Option<Clamp>,
    /// Where the outcome of a run differs from the serial one; `None` where every run is equal.
    pub difference: Option<String>,
    /// Wall time in seconds, the least over the repeats.
    pub seconds: f64,
    /// CPU time of the whole process in seconds, the least over the repeats.
    pub cpu_seconds: f64,
    /// What the fastest run counted.
    pub counters: Counters,
    /// The fastest of the recorded runs, where asked for.
    pub recorded: Option<Recorded>,
    /// The fastest of the runs on one worker that were recorded beside those of several.
    pub alone: Option<Recorded>,
}

/// A recorded run.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What happened.
    pub schedule: Schedule,
    /// Nanoseconds of the run before its first phase and after its last.
    pub around: u64,
}

impl ParallelReplay {
    /// Whether the block ran on one worker although more were asked for and it was worth sharing.
    pub fn is_fallback(&self, serial_seconds: f64) -> bool {
        self.workers > 1 && self.workers_used == 1 && serial_seconds >= FALLBACK_SECONDS
    }
}

/// Replays a block. Serial runs that differ from each other are a fault, and so is a block that is refused by only
/// one of a serial and a parallel run, or for different reasons; any other difference is reported.
pub fn replay(
    chain: &Chain,
    fork: Fork,
    block: &Block,
    state: &dyn StateReader,
    options: &ReplayOptions<'_>,
) -> Result<Replay, EngineError> {
    let subject = Subject { chain, fork, block, state, cancel: options.cancel };
    let (mut serial_times, mut first) = (Times::NONE, None);
    let mut parallel = options.parallel.map(ParallelRuns::new);
    for _ in 0..options.repeat.max(1) {
        let outcome = subject.run(None, ClockId::ThreadCPUTime, &mut serial_times);
        if let Err(fault @ EngineError::Fault(_)) = outcome {
            return Err(fault);
        }
        let first = first.get_or_insert_with(|| outcome.clone());
        if ending_difference(first, &outcome).is_some() {
            return Err(Fault::Interpreter("two runs of one block differ".into()).into());
        }
        if let Some(parallel) = &mut parallel {
            parallel.repeat(&subject, &outcome)?;
        }
        if outcome.is_err() {
            break;
        }
    }
    let parallel = parallel.map(ParallelRuns::finish);
    match first.unwrap_or_else(|| Ok(BlockOutcome::default())) {
        Ok(outcome) => Ok(report(&subject, &outcome, &serial_times, parallel)),
        Err(rejection) => match parallel.and_then(|parallel| parallel.difference) {
            Some(difference) => {
                Err(Fault::Interpreter(format!("parallel and serial differ: {difference}")).into())
            }
            None => Err(rejection),
        },
    }
}

fn report(
    subject: &Subject<'_>,
    outcome: &BlockOutcome,
    times: &Times,
    parallel: Option<ParallelReplay>,
) -> Replay {
    let header = &subject.block.header;
    let receipts_root = receipts_root(&outcome.receipts);
    let logs_bloom = logs_bloom(&outcome.receipts);
    Replay {
        block: header.number,
        fork: subject.fork,
        transactions: subject.block.transactions.len(),
        gas_used: outcome.gas_used,
        receipts_root,
        logs_bloom,
        gas_used_ok: outcome.gas_used == header.gas_used,
        receipts_root_ok: (subject.fork >= Fork::Byzantium).then(|| receipts_root == header.receipts_root),
        logs_bloom_ok: logs_bloom == header.logs_bloom,
        state_digest: outcome.changes.digest(),
        serial_seconds: times.seconds,
        serial_cpu_seconds: times.cpu_seconds,
        keccak_memo: outcome.keccak_memo,
        parallel,
    }
}

/// The least times of several runs.
#[derive(Clone, Copy)]
struct Times {
    seconds: f64,
    cpu_seconds: f64,
}

impl Times {
    const NONE: Self = Self { seconds: f64::INFINITY, cpu_seconds: f64::INFINITY };
}

/// A block with all that it runs on.
struct Subject<'a> {
    chain: &'a Chain,
    fork: Fork,
    block: &'a Block,
    state: &'a dyn StateReader,
    cancel: Option<&'a AtomicBool>,
}

impl Subject<'_> {
    /// One run; its changes come in canonical order.
    fn run(
        &self,
        parallel: Option<Parallel>,
        clock: ClockId,
        least: &mut Times,
    ) -> Result<BlockOutcome, EngineError> {
        let options = ExecuteOptions { cancel: self.cancel, parallel, ..Default::default() };
        let (wall_start, cpu_start) = (Instant::now(), cpu_seconds(clock));
        let outcome = execute_block(self.chain, self.fork, self.block, self.state, &options);
        let cpu = cpu_seconds(clock) - cpu_start;
        let wall = wall_start.elapsed().as_secs_f64();
        let mut outcome = outcome?;
        least.seconds = least.seconds.min(wall);
        least.cpu_seconds = least.cpu_seconds.min(cpu);
        outcome.changes.sort();
        Ok(outcome)
    }
}

fn keep_faster(least: &mut Option<Recorded>, found: Option<(Recording, f64)>) {
    if let Some((recording, seconds)) = found
        && least.as_ref().is_none_or(|least| recording.wall() < least.schedule.wall)
    {
        *least = Some(Recorded { schedule: recording.schedule(), around: recording.around(seconds) });
    }
}

/// The parallel runs so far.
struct ParallelRuns {
    options: Parallel,
    times: Times,
    found: ParallelReplay,
}

impl ParallelRuns {
    fn new(options: Parallel) -> Self {
        let found = ParallelReplay {
            workers: options.workers,
            workers_used: 1,
            clamp: None,
            difference: None,
            seconds: 0.0,
            cpu_seconds: 0.0,
            counters: Counters::default(),
            recorded: None,
            alone: None,
        };
        Self { options, times: Times::NONE, found }
    }

    /// Runs once under the clock, and once more to record where asked for.
    fn repeat(
        &mut self,
        subject: &Subject<'_>,
        serial: &Result<BlockOutcome, EngineError>,
    ) -> Result<(), EngineError> {
        let least = self.times.seconds;
        let timed = Parallel { record: false, ..self.options };
        let outcome = subject.run(Some(timed), ClockId::ProcessCPUTime, &mut self.times);
        self.compare(serial, &outcome)?;
        if self.times.seconds < least
            && let Ok(outcome) = &outcome
        {
            self.count(outcome);
        }
        drop(outcome);
        if self.options.record {
            let found = self.record(self.options, subject, serial)?;
            keep_faster(&mut self.found.recorded, found);
            if self.found.recorded.as_ref().is_some_and(|recorded| recorded.schedule.workers > 1) {
                let alone = Parallel { workers: 1, forced: true, record: true, ..Parallel::default() };
                let found = self.record(alone, subject, serial)?;
                keep_faster(&mut self.found.alone, found);
            }
        }
        Ok(())
    }

    /// A recorded run and how many seconds it took.
    fn record(
        &mut self,
        options: Parallel,
        subject: &Subject<'_>,
        serial: &Result<BlockOutcome, EngineError>,
    ) -> Result<Option<(Recording, f64)>, EngineError> {
        let mut took = Times::NONE;
        let outcome = subject.run(Some(options), ClockId::ProcessCPUTime, &mut took);
        self.compare(serial, &outcome)?;
        let report = outcome.ok().and_then(|outcome| outcome.parallel);
        Ok(report.and_then(|report| report.recording).map(|recording| (recording, took.seconds)))
    }

    fn compare(
        &mut self,
        serial: &Result<BlockOutcome, EngineError>,
        outcome: &Result<BlockOutcome, EngineError>,
    ) -> Result<(), EngineError> {
        if let Err(fault @ EngineError::Fault(_)) = outcome {
            return Err(fault.clone());
        }
        if self.found.difference.is_none() {
            self.found.difference = ending_difference(serial, outcome);
        }
        Ok(())
    }

    /// A run without a report was a serial one, which executes each transaction once.
    fn count(&mut self, outcome: &BlockOutcome) {
        let transactions = (outcome.receipts.len() + outcome.skipped.len()) as u64;
        let plain = Counters { transactions, executions: transactions, ..Counters::default() };
        let report = outcome.parallel.as_ref();
        self.found.workers_used = report.map_or(1, |report| report.workers_used);
        self.found.clamp = report.and_then(|report| report.clamp);
        self.found.counters = report.map_or(plain, |report| report.counters);
    }

    fn finish(self) -> ParallelReplay {
        let Times { seconds, cpu_seconds } = self.times;
        ParallelReplay { seconds, cpu_seconds, ..self.found }
    }
}

/// The CPU time of this thread so far, in seconds.
pub fn thread_cpu_seconds() -> f64 {
    cpu_seconds(ClockId::ThreadCPUTime)
}

fn cpu_seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
