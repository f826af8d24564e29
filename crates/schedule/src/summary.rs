//! Several blocks in a few figures: what was measured, what the dependencies allow, what more workers would give.

use serde::{Serialize, Serializer};
use solder_engine::parallel::record::Location;

use crate::BlockSchedule;
use crate::analysis::{Hot, busy, critical_path, hottest, work};
use crate::contracts::{contract_name, owner, slot_name};
use crate::simulate::{costs, simulate};
use crate::trace::field_name;

/// For how many workers limits and predictions are given.
pub const PREDICTED_WORKERS: [usize; 5] = [2, 4, 8, 16, 32];
/// How many of the hottest locations are given.
pub const HOTTEST: usize = 10;

/// Which blocks count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Blocks that used less gas are left out.
    pub min_gas: u64,
    /// Blocks with fewer transactions are left out.
    pub min_transactions: u64,
}

impl Filter {
    /// Whether a block counts.
    pub fn passes(&self, block: &BlockSchedule) -> bool {
        block.label.gas_used >= self.min_gas && block.label.transactions >= self.min_transactions
    }
}

/// In sum over the blocks that count. A ratio without its parts is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// How many blocks count.
    pub blocks: usize,
    /// Transactions in them.
    pub transactions: u64,
    /// The most workers that ran one of them.
    pub workers: u32,
    /// Share of the workers' time in which they did something.
    pub utilisation: Option<f64>,
    /// Sum of the blocks' critical paths.
    pub critical_path_seconds: f64,
    /// Sum of the serial times: measured, or else the recorded work.
    pub serial_seconds: f64,
    /// Whether every serial time was measured.
    pub serial_measured: bool,
    /// Serial time over the larger of critical path and equally shared work, for each of [`PREDICTED_WORKERS`].
    pub limit: [Option<f64>; PREDICTED_WORKERS.len()],
    /// Serial time over predicted time ([`predicted_seconds`]), for each of [`PREDICTED_WORKERS`].
    pub predicted_speedup: [Option<f64>; PREDICTED_WORKERS.len()],
    /// Serial time over parallel time for the workers that ran, both measured.
    pub measured_speedup: Option<f64>,
    /// What sharing costs, over the blocks that were recorded on one worker too.
    pub sharing: Sharing,
    /// The locations that stood in the way most often.
    pub hottest: Vec<Hot>,
}

const NANOSECONDS: f64 = 1e9;

fn ratio(above: f64, below: f64) -> Option<f64> {
    (above > 0.0 && below > 0.0).then(|| above / below)
}

/// Serial seconds of a block: measured, or else the recorded work.
pub fn serial_seconds(block: &BlockSchedule) -> f64 {
    block.label.serial_seconds.unwrap_or_else(|| work(&block.schedule) as f64 / NANOSECONDS)
}

/// Seconds that a block would take on `workers`: what the simulator gives, which leaves out what recording took, and what the
/// recorded run took around its record. One worker is simulated from what the transactions cost alone, where that is known.
pub fn predicted_seconds(block: &BlockSchedule, workers: usize) -> f64 {
    match &block.alone {
        Some(alone) if workers == 1 => {
            (alone.simulate(&block.schedule).makespan + alone.around) as f64 / NANOSECONDS
        }
        _ => predicted_from_shared(block, workers),
    }
}

/// The same from the record of several workers only.
pub fn predicted_from_shared(block: &BlockSchedule, workers: usize) -> f64 {
    (simulate(&block.schedule, workers).makespan + block.around) as f64 / NANOSECONDS
}

/// How much longer transactions take on workers that share a block than on one alone. A ratio without its parts is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sharing {
    /// Executions that were kept, as recorded with several workers, over the same alone.
    pub executions: Option<f64>,
    /// Their commits.
    pub commits: Option<f64>,
}

impl Sharing {
    /// In sum over the blocks that were recorded alone too.
    fn of(blocks: &[&BlockSchedule]) -> Self {
        let (mut shared, mut alone) = ([0.0; 2], [0.0; 2]);
        for block in blocks {
            let Some(single) = &block.alone else { continue };
            for (sums, costs) in [(&mut shared, &costs(&block.schedule)), (&mut alone, &single.costs)] {
                sums[0] += costs.iter().map(|cost| cost.execution as f64).sum::<f64>();
                sums[1] += costs.iter().map(|cost| cost.commit as f64).sum::<f64>();
            }
        }
        let over = |place: usize| ratio(shared[place], alone[place]);
        Self { executions: over(0), commits: over(1) }
    }
}

impl Summary {
    /// Of the blocks that pass the filter.
    pub fn new<'a>(blocks: impl IntoIterator<Item = &'a BlockSchedule>, filter: Filter) -> Self {
        let counted: Vec<&BlockSchedule> = blocks.into_iter().filter(|block| filter.passes(block)).collect();
        let (mut busy_sum, mut offered) = (0.0, 0.0);
        let (mut shortest, mut simulated) = ([0.0; PREDICTED_WORKERS.len()], [0.0; PREDICTED_WORKERS.len()]);
        let mut critical = 0.0;
        for block in &counted {
            let schedule = &block.schedule;
            busy_sum += busy(schedule) as f64;
            offered += f64::from(schedule.workers) * schedule.wall as f64;
            let (path, work) = (critical_path(schedule).nanoseconds as f64, work(schedule) as f64);
            critical += path;
            for (place, workers) in PREDICTED_WORKERS.iter().enumerate() {
                shortest[place] += path.max(work / *workers as f64) / NANOSECONDS;
                simulated[place] += predicted_seconds(block, *workers);
            }
        }
        let serial: f64 = counted.iter().map(|block| serial_seconds(block)).sum();
        let measured = |seconds: fn(&BlockSchedule) -> Option<f64>| {
            counted.iter().map(|block| seconds(block)).sum::<Option<f64>>().filter(|_| !counted.is_empty())
        };
        let serial_measured = measured(|block| block.label.serial_seconds);
        let parallel_measured = measured(|block| block.label.parallel_seconds);
        Self {
            blocks: counted.len(),
            transactions: counted.iter().map(|block| block.label.transactions).sum(),
            workers: counted.iter().map(|block| block.schedule.workers).max().unwrap_or(0),
            utilisation: ratio(busy_sum, offered),
            critical_path_seconds: critical / NANOSECONDS,
            serial_seconds: serial,
            serial_measured: serial_measured.is_some(),
            limit: shortest.map(|seconds| ratio(serial, seconds)),
            predicted_speedup: simulated.map(|seconds| ratio(serial, seconds)),
            measured_speedup: serial_measured
                .zip(parallel_measured)
                .and_then(|(serial, parallel)| ratio(serial, parallel)),
            sharing: Sharing::of(&counted),
            hottest: hottest(counted.iter().copied(), HOTTEST),
        }
    }

    /// As `solder schedule --json` prints it: one JSON object, its keys in a fixed order.
    pub fn to_json(&self) -> String {
        let document = Document {
            workers: self.workers,
            utilisation: self.utilisation,
            critical_path_seconds: self.critical_path_seconds,
            limit: ByWorkers(&self.limit),
            predicted_speedup: ByWorkers(&self.predicted_speedup),
            measured_speedup: self.measured_speedup,
            sharing: self.sharing,
            hottest: self.hottest.iter().map(Told::new).collect(),
        };
        // Numbers and text under text keys always have a form in JSON.
        serde_json::to_string(&document).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Document<'a> {
    workers: u32,
    utilisation: Option<f64>,
    critical_path_seconds: f64,
    limit: ByWorkers<'a>,
    predicted_speedup: ByWorkers<'a>,
    measured_speedup: Option<f64>,
    sharing: Sharing,
    hottest: Vec<Told>,
}

/// A ratio for each of [`PREDICTED_WORKERS`].
struct ByWorkers<'a>(&'a [Option<f64>]);

impl Serialize for ByWorkers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(PREDICTED_WORKERS.iter().zip(self.0))
    }
}

/// A hot location in words.
#[derive(Serialize)]
struct Told {
    address: String,
    contract: Option<&'static str>,
    field: &'static str,
    slot: Option<String>,
    meaning: Option<&'static str>,
    aborts: u64,
    dependencies: u64,
}

impl Told {
    fn new(hot: &Hot) -> Self {
        let address = owner(&hot.location);
        let (slot, meaning) = match &hot.location {
            Location::Slot(address, slot) => (Some(format!("{slot:#x}")), slot_name(address, slot)),
            _ => (None, None),
        };
        Self {
            address: format!("{address:#x}"),
            contract: contract_name(address).or(hot.of_beneficiary.then_some("coinbase")),
            field: field_name(&hot.location),
            slot,
            meaning,
            aborts: hot.aborts,
            dependencies: hot.dependencies,
        }
    }
}
