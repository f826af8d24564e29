//! What an overlay costs: a call on a state with one account set, beside the same call without; and memory, where very many
//! are alive.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use serde_json::{Value, json};
use solder_bench::failure::Failure;
use solder_engine::evm::attempt::Relaxed;
use solder_engine::state::StateAccount;
use solder_engine::state::memory::UnknownBlockHash;
use solder_engine::{MemoryState, Transaction};
use solder_simulate::call::call;
use solder_simulate::{Edit, Environment, Snapshot};

/// Accounts of the base.
const ACCOUNTS: u64 = 100_000;
/// Calls of one measurement.
const CALLS: u64 = 2_000;
/// Measurements; the least counts.
const ROUNDS: usize = 7;
/// Overlays alive at once.
const ALIVE: u64 = 100_000;

fn owner(number: u64) -> Address {
    Address::from_word(keccak256(number.to_be_bytes()))
}

fn base() -> Snapshot {
    let mut memory = MemoryState::new(UnknownBlockHash::Fault);
    for number in 0..ACCOUNTS {
        memory.insert(owner(number), StateAccount::new(0, U256::from(1u64 << 60), Bytes::new()));
    }
    Snapshot::new(Arc::new(memory), Environment::default())
}

fn overlay(base: &Snapshot, number: u64) -> Result<Snapshot, Failure> {
    let slots = (0..2u64).map(|slot| Edit::Slot(U256::from(slot), B256::from(U256::from(number)).into()));
    let edits =
        std::iter::once(Edit::Balance(U256::from(number) + U256::from(1u64 << 60))).chain(slots).collect();
    let edits = BTreeMap::from([(owner(number % ACCOUNTS), edits)]);
    base.edit(&edits).map_err(|fault| Failure::Outcome(fault.to_string()))
}

/// Resident bytes of this process, where the system tells them.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

pub fn measure() -> Result<Value, Failure> {
    let base = base();
    let never = AtomicBool::new(false);
    let run = |snapshot: &Snapshot, number: u64| {
        let tx = Transaction {
            sender: owner(number % ACCOUNTS),
            to: TxKind::Call(owner((number + 1) % ACCOUNTS)),
            value: U256::from(1),
            ..Default::default()
        };
        call(snapshot, &tx, Relaxed::ALL, &never).map_err(|error| Failure::Outcome(error.to_string()))
    };
    let (mut bare, mut overlaid) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        for number in 0..CALLS {
            run(&base, number)?;
        }
        bare = bare.min(begin.elapsed().as_secs_f64());
        let begin = Instant::now();
        for number in 0..CALLS {
            run(&overlay(&base, number)?, number)?;
        }
        overlaid = overlaid.min(begin.elapsed().as_secs_f64());
    }
    let before = resident();
    let alive = (0..ALIVE).map(|number| overlay(&base, number)).collect::<Result<Vec<_>, _>>()?;
    let bytes = before.zip(resident()).map(|(before, after)| after.saturating_sub(before));
    let microseconds = |seconds: f64| seconds / CALLS as f64 * 1e6;
    Ok(json!({
        "name": "overlays",
        "call_us": microseconds(bare),
        "overlay_and_call_us": microseconds(overlaid),
        "overlay_us": microseconds(overlaid - bare),
        "alive": alive.len(),
        "alive_bytes": bytes,
    }))
}
