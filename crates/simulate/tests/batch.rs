//! A batch gives what its calls give one by one, on any number of workers, over a base or over layers; a snapshot survives
//! its bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use solder_engine::evm::attempt::Relaxed;
use solder_engine::state::StateAccount;
use solder_engine::state::memory::UnknownBlockHash;
use solder_engine::{EngineError, Fork, MemoryState, Transaction};
use solder_simulate::batch::{BatchOptions, Calls, Column, Input, Progress, simulate};
use solder_simulate::call::{Status, call, transact};
use solder_simulate::{Edit, Environment, SimulateError, Snapshot, file};

/// Adds the first word of call data to slot 0 and returns the sum; reverts on 13.
const ADDER: [u8; 32] = hex!("60003580600d14601a57600054018060005560005260206000f35b60006000fd");
/// Destroys itself in favour of its caller.
const DESTROYER: [u8; 2] = hex!("33ff");
static NEVER: AtomicBool = AtomicBool::new(false);

fn owner(number: u8) -> Address {
    Address::repeat_byte(number)
}

fn snapshot(fork: Fork) -> Snapshot {
    let mut memory = MemoryState::new(UnknownBlockHash::Fault);
    let mut adder = StateAccount::new(1, U256::ZERO, Bytes::from_static(&ADDER));
    adder.storage.insert(U256::ZERO, U256::from(100));
    memory.insert(owner(0xcc), adder);
    memory.insert(owner(0xdd), StateAccount::new(1, U256::from(7), Bytes::from_static(&DESTROYER)));
    memory.insert(owner(0xaa), StateAccount::new(0, U256::from(1u64 << 60), Bytes::new()));
    Snapshot::new(Arc::new(memory), Environment::at(fork))
}

/// Calls of every kind, by a sequence that the seed repeats.
fn calls(count: usize, mut seed: u64) -> Result<Calls, SimulateError> {
    let (mut to, mut value, mut gas, mut bytes, mut offsets) = (vec![], vec![], vec![], vec![], vec![0]);
    for _ in 0..count {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let kind = (seed >> 33) % 6;
        to.push(match kind {
            0 | 1 => Some(owner(0xcc)),
            2 => Some(owner(0xdd)),
            3 => None,
            4 => Some(owner(0x03)),
            _ => Some(owner(0xee)),
        });
        if kind == 3 {
            bytes.extend_from_slice(&hex!("600160005560016000f3"));
        } else {
            bytes.extend_from_slice(&U256::from(seed >> 60).to_be_bytes::<32>());
        }
        offsets.push(bytes.len());
        value.push(U256::from(if kind == 5 { seed >> 2 } else { 0 }));
        gas.push(if (seed >> 40).is_multiple_of(9) { 22_000 } else { 200_000 });
    }
    Calls::new(
        Column::Same(owner(0xaa)),
        Column::Each(to),
        Column::Each(value),
        Column::Each(gas),
        Column::Same(0),
        Input::Packed { bytes, offsets },
        Column::Same(Vec::new()),
    )
}

#[test]
fn a_batch_is_its_calls_one_by_one() {
    let seed = 0x501d_0005;
    let calls = calls(700, seed).unwrap();
    for fork in [Fork::Byzantium, Fork::Berlin, Fork::Cancun, Fork::Osaka] {
        let base = snapshot(fork);
        let layered =
            base.edit(&BTreeMap::from([(owner(0xcc), vec![Edit::Slot(U256::ZERO, U256::from(5))])])).unwrap();
        for snapshot in [&base, &layered] {
            let mut all = Vec::new();
            for workers in [1, 3] {
                for diffs in [false, true] {
                    let options = BatchOptions { workers, diffs, ..BatchOptions::default() };
                    let mut columns =
                        simulate(snapshot, &calls, &options, &Progress::default(), &NEVER).unwrap();
                    columns.diffs = None;
                    all.push(columns);
                }
            }
            assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{fork}, seed {seed:#x}");
            let columns = &all[0];
            let mut seen = [0; 4];
            for index in 0..calls.len() {
                let tx = calls.transaction(index, 1);
                seen[usize::from(columns.status[index])] += 1;
                match call(snapshot, &tx, Relaxed::ALL, &NEVER) {
                    Ok(outcome) => {
                        let start = columns.output_offsets[index] as usize;
                        let end = columns.output_offsets[index + 1] as usize;
                        let row =
                            (columns.status[index], columns.gas_used[index], columns.gas_refunded[index]);
                        assert_eq!(
                            row,
                            (outcome.status as u8, outcome.gas_used, outcome.gas_refunded),
                            "{index}"
                        );
                        assert_eq!(columns.output[start..end], outcome.output[..], "{index}");
                        assert_eq!(columns.created[index], outcome.created.unwrap_or_default(), "{index}");
                    }
                    Err(EngineError::Rejected(_)) => {
                        assert_eq!(columns.status[index], Status::Rejected as u8)
                    }
                    Err(fault) => panic!("{fault}"),
                }
            }
            assert!(seen.iter().all(|count| *count > 0), "{fork}: {seen:?}");
        }
    }
}

#[test]
fn a_cancelled_batch_is_a_fault() {
    let stopped = AtomicBool::new(true);
    let options = BatchOptions { workers: 2, ..BatchOptions::default() };
    let ended =
        simulate(&snapshot(Fork::Osaka), &calls(500, 1).unwrap(), &options, &Progress::default(), &stopped);
    assert_eq!(ended, Err(solder_engine::Fault::Cancelled.into()));
}

#[test]
fn a_snapshot_survives_its_bytes() {
    let base = snapshot(Fork::Cancun);
    let tx = Transaction {
        sender: owner(0xaa),
        to: TxKind::Call(owner(0xcc)),
        input: U256::from(3).to_be_bytes_vec().into(),
        gas_limit: 100_000,
        ..Default::default()
    };
    let (outcome, changes) = transact(&base, &tx, Relaxed::ALL, &NEVER).unwrap();
    assert_eq!(outcome.status, Status::Success);
    let after = base.apply(&changes).unwrap();
    assert_eq!(after.slot(owner(0xcc), U256::ZERO).unwrap(), U256::from(103));
    let bytes = file::encode(&after).unwrap();
    let copy = file::decode(&bytes).unwrap();
    assert_eq!(copy.root().unwrap(), after.root().unwrap());
    assert_eq!(copy.environment(), after.environment());
    assert_eq!(file::encode(&copy).unwrap(), bytes);
    for length in 0..bytes.len() {
        assert!(file::decode(&bytes[..length]).is_err(), "{length} bytes");
    }
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        assert!(file::decode(&damaged).is_err(), "byte {place}");
    }
}
