//! Replays one block under the clock and holds the outcome against the header. The clock runs from decoded
//! transactions with senders, the header, an in-memory state and analysed code, to receipts with logs and the
//! ChangeSet; parsing, recovery, bloom, roots and freeing the outcome are outside of it.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use alloy_primitives::{B256, Bloom};
use rustix::time::{ClockId, clock_gettime};
use solder_engine::chain::receipt::{logs_bloom, receipts_root};
use solder_engine::{
    Block, BlockOutcome, Chain, EngineError, ExecuteOptions, Fault, Fork, StateReader, execute_block,
};

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
}

impl Replay {
    /// Whether no check failed.
    pub fn is_ok(&self) -> bool {
        self.gas_used_ok && self.receipts_root_ok != Some(false) && self.logs_bloom_ok
    }
}

/// Replays a block `repeat` times (at least once). Runs that differ from each other are a fault.
pub fn replay(
    chain: &Chain,
    fork: Fork,
    block: &Block,
    state: &dyn StateReader,
    repeat: u32,
    cancel: Option<&AtomicBool>,
) -> Result<Replay, EngineError> {
    let options = ExecuteOptions { cancel, ..Default::default() };
    let (mut seconds, mut cpu_seconds) = (f64::INFINITY, f64::INFINITY);
    let mut run = || -> Result<BlockOutcome, EngineError> {
        let (wall_start, cpu_start) = (Instant::now(), thread_cpu_seconds());
        let outcome = execute_block(chain, fork, block, state, &options)?;
        cpu_seconds = cpu_seconds.min(thread_cpu_seconds() - cpu_start);
        seconds = seconds.min(wall_start.elapsed().as_secs_f64());
        Ok(outcome)
    };
    let outcome = run()?;
    let state_digest = outcome.changes.digest();
    for _ in 1..repeat {
        let again = run()?;
        if again.receipts != outcome.receipts || again.changes.digest() != state_digest {
            return Err(Fault::Interpreter("two runs of one block differ".into()).into());
        }
    }
    let header = &block.header;
    let receipts_root = receipts_root(&outcome.receipts);
    let logs_bloom = logs_bloom(&outcome.receipts);
    Ok(Replay {
        block: header.number,
        fork,
        transactions: block.transactions.len(),
        gas_used: outcome.gas_used,
        receipts_root,
        logs_bloom,
        gas_used_ok: outcome.gas_used == header.gas_used,
        receipts_root_ok: (fork >= Fork::Byzantium).then(|| receipts_root == header.receipts_root),
        logs_bloom_ok: logs_bloom == header.logs_bloom,
        state_digest,
        serial_seconds: seconds,
        serial_cpu_seconds: cpu_seconds,
        keccak_memo: outcome.keccak_memo,
    })
}

/// The CPU time of this thread so far, in seconds.
pub fn thread_cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
