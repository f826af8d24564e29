//! The table and the JSON object.

use serde_json::{Map, Value, json};

use super::measure::Measured;
use super::options::Options;

/// The lock file names the baseline's exact version.
const LOCK: &str = include_str!("../../../../Cargo.lock");

/// Everything that was measured.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Mainnet's blocks.
    pub blocks: Vec<Measured>,
    /// Generated blocks.
    pub generated: Vec<Measured>,
    /// Senders recovered per second.
    pub recovery: Option<f64>,
}

/// One block's row.
pub fn line(measured: &Measured) -> String {
    let (hits, misses) = measured.keccak_memo;
    format!(
        "{:>16} {:<16} {:>6} tx {:>13} gas  solder {:>10.3} ms  revm {:>10.3} ms  ratio {:>5.2}  {:>6.0} Mgas/s  memo {hits}/{}",
        measured.name,
        measured.fork,
        measured.transactions,
        measured.gas_used,
        measured.seconds * 1e3,
        measured.baseline_seconds * 1e3,
        measured.ratio(),
        measured.gas_used as f64 / measured.seconds / 1e6,
        hits + misses,
    )
}

/// The version that the lock file holds for a crate.
fn locked_version(name: &str) -> &'static str {
    let mut lines = LOCK.lines();
    let wanted = format!("name = \"{name}\"");
    while let Some(line) = lines.next() {
        if line == wanted {
            let version = lines.next().and_then(|line| line.strip_prefix("version = \""));
            return version.map_or("unknown", |version| version.trim_end_matches('"'));
        }
    }
    "unknown"
}

impl Report {
    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.generated.is_empty() && self.recovery.is_none()
    }

    /// Sums over mainnet's blocks: ours, the baseline's.
    fn sums(&self) -> (f64, f64) {
        let ours = self.blocks.iter().map(|block| block.seconds).sum();
        (ours, self.blocks.iter().map(|block| block.baseline_seconds).sum())
    }

    pub fn print_table(&self) {
        eprintln!();
        for measured in &self.generated {
            eprintln!("{}", line(measured));
        }
        if !self.blocks.is_empty() {
            let (ours, baseline) = self.sums();
            let slower = self.blocks.iter().filter(|block| block.ratio() < 1.0).count();
            eprintln!(
                "{} mainnet blocks: solder {:.3} ms, revm {:.3} ms, ratio {:.3}; slower on {slower}",
                self.blocks.len(),
                ours * 1e3,
                baseline * 1e3,
                baseline / ours,
            );
        }
        if let Some(rate) = self.recovery {
            eprintln!("signature recovery, one thread, measured apart: {rate:.0} senders/s");
        }
    }

    pub fn to_json(&self, options: &Options) -> Value {
        let mut ratios = Map::new();
        let mut seconds = Map::new();
        if !self.blocks.is_empty() {
            let (ours, baseline) = self.sums();
            ratios.insert("serial_vs_revm".into(), json!(baseline / ours));
            seconds.insert("serial_vs_revm".into(), json!({"solder": ours, "revm": baseline}));
        }
        for measured in &self.generated {
            ratios.insert(measured.name.clone(), json!(measured.ratio()));
            let pair = json!({"solder": measured.seconds, "revm": measured.baseline_seconds});
            seconds.insert(measured.name.clone(), pair);
        }
        json!({
            "benchmark": "engine",
            "baseline": format!("revm {} on CacheDB, transact_commit", locked_version("revm")),
            "repeats": options.repeats,
            "statistic": "minimum",
            "allocator": format!("mimalloc {}", locked_version("mimalloc")),
            "blocks": self.blocks.len(),
            "recovered_senders_per_second": self.recovery,
            "seconds": seconds,
            "ratios": ratios,
        })
    }
}
