//! What the meter must know before it measures: what reading the clock and counting cost, and what each counted
//! instruction costs. The first two are properties of the machine and are found once in a process, on a made-up block.
//! The last is found on the block itself, in runs of their own in which every instruction is clocked: in real code an
//! instruction costs two to four times what it costs in a loop, because its code is cold and its jumps are not
//! foreseen, so that a table made elsewhere would explain a third of the time.
//!
//! How long the profiled run takes does not enter. The residual says how well it agrees with the calibrating ones.

use std::sync::{Mutex, OnceLock, PoisonError};

use solder_engine::EngineError;
use solder_engine::trace::meter::{Costs, MeterSink, OpcodeTimes, Ticks, TransactionBill, is_counted};

use crate::reference::Reference;
use crate::run::{Subject, keep_least};

/// Runs of the made-up block; the fastest counts.
const REFERENCE_RUNS: usize = 16;
/// Pairs of readings.
const READINGS: usize = 4_096;
/// A counted instruction that takes longer was interrupted.
const LONGEST_NANOSECONDS: f64 = 1_000.0;

/// The costs for a block: those of the machine, and those of the block's instructions. Each of `repeat` rounds runs
/// the block twice, with every instruction clocked and as a profiled run does it; of each transaction the fastest run
/// of both kinds counts, so that a run that was interrupted does not. What clocking an instruction costs is the
/// difference of both sums, by instruction.
pub fn calibrate(subject: &Subject<'_>, repeat: u32) -> Result<Costs, EngineError> {
    let machine = machine_costs()?;
    let found = measure(subject, machine, repeat)?;
    let mut costs = machine.clone();
    let clocking = ((found.each - found.counting) / found.instructions().max(1.0)).max(0.0);
    for (op, cost) in costs.opcodes.0.iter_mut().enumerate() {
        let count = found.times.counts[op];
        if count > 0 && is_counted(op as u8) {
            *cost = (found.times.ticks[op] as f64 / count as f64 - clocking - machine.counting).max(0.0);
        }
    }
    Ok(costs)
}

/// Clocks each instruction.
struct EachClocked<'a> {
    costs: &'a Costs,
    /// The ticks of each transaction, and of its instructions.
    found: Mutex<Vec<(u64, OpcodeTimes)>>,
}

impl MeterSink for EachClocked<'_> {
    fn costs(&self) -> &Costs {
        self.costs
    }

    fn bill(&self, bill: TransactionBill) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.push((bill.ticks, OpcodeTimes::default()));
    }

    fn clocks_each(&self) -> bool {
        true
    }

    fn opcode_times(&self, times: &OpcodeTimes) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, last)) = found.last_mut() {
            *last = times.clone();
        }
    }
}

/// Counts, as a profiled run does; the ticks of each transaction.
struct Counting<'a> {
    costs: &'a Costs,
    found: Mutex<Vec<u64>>,
}

impl MeterSink for Counting<'_> {
    fn costs(&self) -> &Costs {
        self.costs
    }

    fn bill(&self, bill: TransactionBill) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push(bill.ticks);
    }
}

/// Ticks of all transactions in each kind of run.
struct Measured {
    counting: f64,
    each: f64,
    times: OpcodeTimes,
}

impl Measured {
    fn instructions(&self) -> f64 {
        self.times.counts.iter().sum::<u64>() as f64
    }
}

/// Of each transaction the least over `repeat` rounds.
fn measure(subject: &Subject<'_>, costs: &Costs, repeat: u32) -> Result<Measured, EngineError> {
    let (mut each, mut counting): (Vec<(u64, OpcodeTimes)>, Vec<u64>) = (Vec::new(), Vec::new());
    for _ in 0..repeat.max(1) {
        let run = EachClocked { costs, found: Mutex::default() };
        subject.execute(&costs.ticks, Some(&run))?;
        keep_least(&mut each, run.found.into_inner().unwrap_or_else(PoisonError::into_inner), |one| one.0);
        let run = Counting { costs, found: Mutex::default() };
        subject.execute(&costs.ticks, Some(&run))?;
        keep_least(&mut counting, run.found.into_inner().unwrap_or_else(PoisonError::into_inner), |one| *one);
    }
    let mut times = OpcodeTimes::default();
    for (_, found) in &each {
        let add = |sums: &mut [u64; 256], more: &[u64; 256]| {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        };
        add(&mut times.counts, &found.counts);
        add(&mut times.ticks, &found.ticks);
    }
    let each = each.iter().map(|(ticks, _)| *ticks as f64).sum();
    Ok(Measured { counting: counting.iter().map(|ticks| *ticks as f64).sum(), each, times })
}

fn machine_costs() -> Result<&'static Costs, EngineError> {
    static MACHINE: OnceLock<Costs> = OnceLock::new();
    if let Some(found) = MACHINE.get() {
        return Ok(found);
    }
    let found = measure_machine()?;
    Ok(MACHINE.get_or_init(|| found))
}

/// On a made-up block, with and without instructions that a profiled run clocks.
fn measure_machine() -> Result<Costs, EngineError> {
    let mut costs = Costs::default();
    costs.longest = (LONGEST_NANOSECONDS / costs.ticks.nanoseconds()) as u64;
    let (counted, clocked) = (Reference::new(false), Reference::new(true));
    let (without, count) = measure_reference(&counted, &costs)?;
    let (with, all) = measure_reference(&clocked, &costs)?;
    costs.counting = (without / count).max(0.0);
    let clocking = ((with - all * costs.counting) / clocked.clocked as f64).max(0.0);
    // Where the processor has other work, a reading costs less than between two readings.
    costs.inside = reading_cost(&costs.ticks).min(clocking);
    costs.outside = clocking - costs.inside;
    Ok(costs)
}

/// The ticks that metering adds to a block, and the block's instructions.
fn measure_reference(reference: &Reference, costs: &Costs) -> Result<(f64, f64), EngineError> {
    let subject = reference.subject();
    let (mut plain, mut counting) = (u64::MAX, u64::MAX);
    for _ in 0..REFERENCE_RUNS {
        plain = plain.min(subject.execute(&costs.ticks, None)?.1);
        let run = Counting { costs, found: Mutex::default() };
        counting = counting.min(subject.execute(&costs.ticks, Some(&run))?.1);
    }
    let instructions = measure(&subject, costs, 1)?.instructions();
    Ok((counting as f64 - plain as f64, instructions))
}

/// The median of what passes between two readings.
fn reading_cost(ticks: &Ticks) -> f64 {
    let mut passed: Vec<u64> = (0..READINGS)
        .map(|_| {
            let start = ticks.now();
            ticks.now() - start
        })
        .collect();
    passed.sort_unstable();
    passed[READINGS / 2] as f64
}
