//! Artefacts from strangers: whatever the bytes are, reading ends soon, in little memory, with an admitted graph or a
//! refusal that names a field. What is admitted is prepared and run, where it is small.
//!
//! `SOLDER_FUZZ_ARTEFACTS` says how many, `SOLDER_FUZZ_SEED` where to begin; a failure prints the number that repeats it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod artefact_file;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use artefact_file::seeds;
use solder_ai::artefact::{Artefact, Bytes, Extents};
use solder_ai::execute::{Array, Backend, Options, Processor, Values};
use solder_ai::kernels::Kernel;

/// Longer than any input of this size may take, on a loaded machine.
const SLOWEST: Duration = Duration::from_secs(5);
/// Runs are tried where they need less, in bytes.
const SMALL: u128 = 1 << 24;

/// A stream of numbers by a seed (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

const TOKENS: [&str; 30] = [
    "0",
    "-1",
    "1",
    "127",
    "-128",
    "2147483647",
    "-2147483648",
    "9223372036854775807",
    "16777216",
    "65536",
    "65537",
    "\"batch\"",
    "\"sequence\"",
    "\"x\"",
    "\"w\"",
    "[]",
    "{}",
    "[[[[[[[[[[[[",
    "null",
    "1.5",
    "1e9",
    "NaN",
    "\"linear\"",
    "\"concatenate\"",
    "\"reshape\"",
    "\"bits\":16",
    "\"padding\":[1,1,1,1]",
    "\\\"",
    "\u{0}",
    "é",
];

fn mutated(numbers: &mut Numbers, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut file = seeds[numbers.below(seeds.len())].clone();
    if numbers.below(50) == 0 {
        return (0..numbers.below(400)).map(|_| numbers.next() as u8).collect();
    }
    let header = 8 + u64::from_le_bytes(file[..8].try_into().expect("8 bytes")) as usize;
    let mut text = file[8..header].to_vec();
    let mut data = file.split_off(header);
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(text.len());
        match numbers.below(8) {
            0 => text[at] = numbers.next() as u8,
            1 => text[at] ^= 1 << numbers.below(8),
            2 => drop(text.drain(at..(at + numbers.below(20)).min(text.len()))),
            3 => {
                let end = (at + numbers.below(60)).min(text.len());
                let copied = text[at..end].to_vec();
                let to = numbers.below(text.len());
                text.splice(to..to, copied);
            }
            4 | 5 => number_replaced(numbers, &mut text),
            6 => {
                let token = TOKENS[numbers.below(TOKENS.len())].bytes();
                text.splice(at..at, token);
            }
            _ if data.is_empty() => {}
            _ => {
                let at = numbers.below(data.len());
                data[at] = [0, 0x80, 0x7f, 0xff, numbers.next() as u8][numbers.below(5)];
            }
        }
        if text.is_empty() {
            break;
        }
    }
    let mut length = text.len() as u64;
    match numbers.below(20) {
        0 => length = numbers.next() >> numbers.below(64),
        1 => data.truncate(numbers.below(data.len() + 1)),
        _ => {
            let trimmed = text.trim_ascii_end().len();
            text.truncate(trimmed);
            text.resize(trimmed.next_multiple_of(8), b' ');
            length = text.len() as u64;
        }
    }
    [&length.to_le_bytes()[..], &text, &data].concat()
}

/// Replaces one run of digits by another number: the mutation that stays canonical most often.
fn number_replaced(numbers: &mut Numbers, text: &mut Vec<u8>) {
    let start = numbers.below(text.len());
    let Some(first) = (start..text.len()).find(|at| text[*at].is_ascii_digit()) else { return };
    let end = (first..text.len()).find(|at| !text[*at].is_ascii_digit()).unwrap_or(text.len());
    let number = match numbers.below(4) {
        0 => TOKENS[numbers.below(11)].to_owned(),
        1 => numbers.below(70).to_string(),
        2 => (1u64 << numbers.below(63)).to_string(),
        _ => (numbers.next() >> numbers.below(64)).to_string(),
    };
    text.splice(first..end, number.into_bytes());
}

/// Reads, and runs what is small; whether it was admitted.
fn tried(file: Vec<u8>) -> bool {
    let Ok(artefact) = Artefact::read(&Bytes::new(file)) else { return false };
    let artefact = Arc::new(artefact);
    let graph = &artefact.graph;
    let extents = Extents { batch: graph.limits.batch.min(3), sequence: graph.limits.sequence.min(5) };
    assert!(graph.cost(extents).nodes.len() == graph.nodes.len());
    let Ok(processor) = Processor::new(artefact.clone(), Kernel::best()) else { return true };
    let work = graph.cost(extents).total.macs;
    if processor.memory(extents, 2).expect("extents within the limits") > SMALL || work > SMALL {
        return true;
    }
    let inputs: BTreeMap<String, Array> = graph
        .inputs
        .iter()
        .map(|(value, _)| {
            let facts = &graph.values[*value];
            let length = extents.elements(&facts.shape) as usize;
            let ends = [facts.lowest, facts.highest, facts.lowest.midpoint(facts.highest)];
            let values = Values::of(facts.dtype, (0..length).map(|at| ends[at % 3]));
            (facts.name.clone(), Array { shape: extents.shape(&facts.shape), values })
        })
        .collect();
    let cancel = AtomicBool::new(false);
    let options =
        Options { threads: 2, memory_limit: SMALL, cancel: &cancel, timed: false, thread_macs: Some(1) };
    let outcome = processor.run(&inputs, options).expect("an admitted graph runs");
    for (value, _) in &graph.outputs {
        let facts = &graph.values[*value];
        let (lowest, highest) = outcome.outputs[&facts.name].values.range().expect("elements");
        assert!(facts.lowest <= lowest && highest <= facts.highest, "{} leaves its proven range", facts.name);
    }
    true
}

#[test]
fn fuzz_artefact_reading_and_running_never_fail() {
    let from =
        |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (count, first) = (from("SOLDER_FUZZ_ARTEFACTS", 20_000), from("SOLDER_FUZZ_SEED", 1));
    println!("seeds {first}..{}", first + count);
    let seeds = seeds::all();
    let mut admitted = 0u64;
    let mut slowest = Duration::ZERO;
    for seed in first..first + count {
        let mut numbers = Numbers(seed);
        let file = mutated(&mut numbers, &seeds);
        let began = Instant::now();
        let result = std::panic::catch_unwind(|| tried(file));
        let took = began.elapsed();
        slowest = slowest.max(took);
        match result {
            Ok(was) => admitted += u64::from(was),
            Err(_) => panic!("SOLDER_FUZZ_SEED={seed} SOLDER_FUZZ_ARTEFACTS=1 panics"),
        }
        assert!(took < SLOWEST, "SOLDER_FUZZ_SEED={seed} took {took:?}");
    }
    println!("{count} artefacts, {admitted} admitted, slowest {slowest:?}");
    // Some mutations must get past the parser, or the rest is not tried at all.
    assert!(count < 1_000 || admitted > count / 100, "only {admitted} of {count} admitted");
}

#[test]
fn fuzz_artefact_seeds_are_admitted() {
    for seed in seeds::all() {
        assert!(tried(seed.clone()), "{}", Artefact::read(&Bytes::new(seed)).expect_err("a refusal"));
    }
}
