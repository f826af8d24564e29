//! Signature recovery on one thread, apart from execution.

use std::hint::black_box;
use std::time::Instant;

use solder_bench::Workload;
use solder_engine::Transaction;

/// The most transactions that are recovered in one pass.
const TRANSACTIONS: usize = 2_000;
/// The most passes: a pass is long enough to measure.
const PASSES: u32 = 5;

/// Senders recovered per second, hashing of what was signed included; the best pass counts.
pub fn measure(blocks: &[Workload], repeats: u32) -> f64 {
    let mut sample: Vec<Transaction> =
        blocks.iter().flat_map(|block| &block.block.transactions).take(TRANSACTIONS).cloned().collect();
    let mut best = f64::INFINITY;
    for _ in 0..repeats.min(PASSES) {
        let start = Instant::now();
        for tx in &mut sample {
            // Loading has recovered every one of these already.
            let _ = black_box(tx.recover_sender());
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    sample.len() as f64 / best
}
