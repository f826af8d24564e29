//! The table and the JSON object.

use serde_json::{Map, Value, json};
use solder_bench::clock::Seconds;
use solder_bench::provenance;

use super::measure::Measured;
use super::options::Options;

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
        "{:>16} {:<16} {:>6} tx {:>13} gas  solder {:>10.3} ms  revm {:>10.3} ms  ratio {:>5.2} (cpu {:>5.2})  {:>6.0} Mgas/s  memo {hits}/{}",
        measured.name,
        measured.fork,
        measured.transactions,
        measured.gas_used,
        measured.ours.wall * 1e3,
        measured.baseline.wall * 1e3,
        measured.ratio().wall,
        measured.ratio().cpu,
        measured.gas_used as f64 / measured.ours.wall / 1e6,
        hits + misses,
    )
}

impl Report {
    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.generated.is_empty() && self.recovery.is_none()
    }

    /// Sums over mainnet's blocks: ours, the baseline's.
    fn sums(&self) -> (Seconds, Seconds) {
        let sum = |of: fn(&Measured) -> Seconds| self.blocks.iter().map(of).sum::<Seconds>();
        (sum(|block| block.ours), sum(|block| block.baseline))
    }

    pub fn print_table(&self) {
        eprintln!();
        for measured in &self.generated {
            eprintln!("{}", line(measured));
        }
        if !self.blocks.is_empty() {
            let (ours, baseline) = self.sums();
            let ratio = baseline.ratio(ours);
            let slower = self.blocks.iter().filter(|block| block.ratio().wall < 1.0).count();
            eprintln!(
                "{} mainnet blocks: solder {:.3} ms, revm {:.3} ms, ratio {:.3} (cpu {:.3}); slower on {slower}",
                self.blocks.len(),
                ours.wall * 1e3,
                baseline.wall * 1e3,
                ratio.wall,
                ratio.cpu,
            );
        }
        if let Some(rate) = self.recovery {
            eprintln!("signature recovery, one thread, measured apart: {rate:.0} senders/s");
        }
    }

    pub fn to_json(&self, options: &Options) -> Value {
        let (mut ratios, mut cpu_ratios, mut seconds) = (Map::new(), Map::new(), Map::new());
        let mut add = |name: &str, ours: Seconds, baseline: Seconds| {
            let ratio = baseline.ratio(ours);
            ratios.insert(name.into(), json!(ratio.wall));
            cpu_ratios.insert(name.into(), json!(ratio.cpu));
            seconds.insert(name.into(), json!({"solder": ours.wall, "revm": baseline.wall}));
        };
        if !self.blocks.is_empty() {
            let (ours, baseline) = self.sums();
            add("serial_vs_revm", ours, baseline);
        }
        for measured in &self.generated {
            add(&measured.name, measured.ours, measured.baseline);
        }
        json!({
            "benchmark": "engine",
            "baseline": provenance::baseline(),
            "repeats": options.repeats,
            "statistic": "minimum",
            "allocator": provenance::allocator(),
            "blocks": self.blocks.len(),
            "recovered_senders_per_second": self.recovery,
            "seconds": seconds,
            "cpu_ratios": cpu_ratios,
            "ratios": ratios,
        })
    }
}
