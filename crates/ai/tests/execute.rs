//! Runs: the same bits for any kernel, any split of the batch and any number of threads; inputs refused by name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod artefact_file;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use artefact_file::seeds;
use solder_ai::artefact::{Artefact, Bytes, Extents};
use solder_ai::execute::{
    Array, Backend, DEFAULT_MEMORY_LIMIT, Options, Outcome, Processor, RunError, Values,
};
use solder_ai::kernels::Kernel;

static GO_ON: AtomicBool = AtomicBool::new(false);

fn read(file: Vec<u8>) -> Arc<Artefact> {
    Arc::new(Artefact::read(&Bytes::new(file)).expect("admitted"))
}

fn options(threads: usize) -> Options<'static> {
    Options {
        threads,
        memory_limit: DEFAULT_MEMORY_LIMIT,
        cancel: &GO_ON,
        timed: false,
        thread_macs: Some(1),
    }
}

/// Inputs of some rows of a larger batch: element by element the same as in any other cut of it.
fn inputs(artefact: &Artefact, rows: std::ops::Range<usize>, sequence: usize) -> BTreeMap<String, Array> {
    let graph = &artefact.graph;
    let extents = Extents { batch: rows.len(), sequence };
    let array = |value: usize| {
        let facts = &graph.values[value];
        let item = Extents { batch: 1, sequence }.elements(&facts.shape) as usize;
        let span = (facts.highest - facts.lowest + 1) as u64;
        let element =
            |at: usize| facts.lowest + ((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % span) as i64;
        let values = Values::of(facts.dtype, (rows.start * item..rows.end * item).map(element));
        (facts.name.clone(), Array { shape: extents.shape(&facts.shape), values })
    };
    graph.inputs.iter().map(|(value, _)| array(*value)).collect()
}

fn run(processor: &Processor, inputs: &BTreeMap<String, Array>, threads: usize) -> Outcome {
    processor.run(inputs, options(threads)).expect("a run")
}

fn bytes(outcome: &Outcome) -> BTreeMap<String, Vec<u8>> {
    outcome.outputs.iter().map(|(name, array)| (name.clone(), array.values.to_le_bytes())).collect()
}

#[test]
fn execute_perceptron_is_the_formula() {
    let artefact = read(seeds::perceptron());
    let processor = Processor::new(artefact.clone(), Kernel::SCALAR).unwrap();
    let given = inputs(&artefact, 0..9, 1);
    let outcome = run(&processor, &given, 1);
    let (weight, bias) = seeds::first_layer();
    let Values::Int8(x) = &given["x"].values else { panic!("int8") };
    let Values::Int32(logits) = &outcome.outputs["logits"].values else { panic!("int32") };
    let Values::Int32(classes) = &outcome.outputs["class"].values else { panic!("int32") };
    for row in 0..9 {
        let hidden: Vec<i64> = (0..5)
            .map(|n| {
                let products = (0..6).map(|k| i64::from(x[row * 6 + k]) * i64::from(weight[n * 6 + k]));
                let sum = products.sum::<i64>() + i64::from(bias[n]);
                (((sum << 22) + (1 << 30)) >> 31).clamp(0, 127)
            })
            .collect();
        let second = |n: usize, k: usize| i64::from(((((n * 5 + k) * 91 + 7) % 255) as u8) as i8);
        let expected: Vec<i64> = (0..3).map(|n| (0..5).map(|k| hidden[k] * second(n, k)).sum()).collect();
        let found: Vec<i64> = logits[row * 3..][..3].iter().map(|logit| i64::from(*logit)).collect();
        assert_eq!(found, expected);
        let best = (0..3).rev().max_by_key(|n| expected[*n]).unwrap();
        assert_eq!(classes[row], best as i32);
    }
}

#[test]
fn execute_bits_depend_on_nothing_else() {
    for file in seeds::all() {
        let artefact = read(file);
        let sequence = artefact.graph.limits.sequence.min(11);
        let plain = Processor::new(artefact.clone(), Kernel::SCALAR).unwrap();
        let whole = inputs(&artefact, 0..64, sequence);
        let expected = bytes(&run(&plain, &whole, 1));
        for kernel in Kernel::available() {
            let processor = Processor::new(artefact.clone(), kernel).unwrap();
            for threads in [1, 2, 3, 8, 64] {
                assert_eq!(
                    bytes(&run(&processor, &whole, threads)),
                    expected,
                    "{kernel:?}, {threads} threads"
                );
            }
            for cut in [1, 7, 33] {
                let mut joined: BTreeMap<String, Vec<u8>> = BTreeMap::new();
                for start in (0..64).step_by(cut) {
                    let part = inputs(&artefact, start..(start + cut).min(64), sequence);
                    for (name, part) in bytes(&run(&processor, &part, 2)) {
                        joined.entry(name).or_default().extend(part);
                    }
                }
                assert_eq!(joined, expected, "{kernel:?}, {cut} rows at once");
            }
        }
    }
}

#[test]
fn execute_fuses_what_follows_a_product() {
    let artefact = read(seeds::encoder());
    let processor = Processor::new(artefact.clone(), Kernel::best()).unwrap();
    let timed = Options { timed: true, ..options(1) };
    let outcome = processor.run(&inputs(&artefact, 0..2, 5), timed).unwrap();
    let calls: Vec<Vec<usize>> = outcome.times.into_iter().map(|(nodes, _)| nodes).collect();
    // The linear (2) and its rescale_rows (3) are one call.
    assert_eq!(calls, [vec![0], vec![1], vec![2, 3], vec![4], vec![5], vec![6], vec![7]]);
}

#[test]
fn execute_refuses_inputs_by_name() {
    let artefact = read(seeds::encoder());
    let processor = Processor::new(artefact.clone(), Kernel::best()).unwrap();
    let good = || inputs(&artefact, 0..2, 5);
    let field = |given: &BTreeMap<String, Array>| match processor.run(given, options(1)) {
        Err(RunError::Refused(error)) => format!("{}: {}", error.field, error.detail),
        other => panic!("{other:?}"),
    };
    let spoilt = |name: &str, shape: &[usize], values: Values| {
        let mut given = good();
        given.insert(name.to_owned(), Array { shape: shape.to_vec(), values });
        field(&given)
    };
    let mut missing = good();
    missing.remove("mask");
    assert_eq!(field(&missing), "inputs.mask: missing");
    assert!(spoilt("other", &[1], Values::Int8(vec![0])).starts_with("inputs.other: "));
    assert!(spoilt("mask", &[2, 5], Values::Int32(vec![0; 10])).starts_with("inputs.mask: int32, not int8"));
    assert!(spoilt("mask", &[10], Values::Int8(vec![0; 10])).contains("1 axes, not 2"));
    assert!(spoilt("mask", &[2, 4], Values::Int8(vec![0; 8])).contains("sequence"));
    assert!(spoilt("mask", &[3, 5], Values::Int8(vec![0; 15])).contains("batch"));
    assert!(spoilt("mask", &[2, 5], Values::Int8(vec![2; 10])).contains("values in 2..=2"));
    assert!(spoilt("mask", &[2, 5], Values::Int8(vec![0; 9])).contains("number of elements"));
    assert!(spoilt("ids", &[2, 17], Values::Int32(vec![0; 34])).contains("not in 1..=16"));
    assert!(spoilt("ids", &[0, 5], Values::Int32(vec![])).contains("batch 0"));
    assert!(spoilt("ids", &[2, 5], Values::Int32(vec![9; 10])).contains("takes 0..=8"));
}

#[test]
fn execute_memory_is_known_and_bounded() {
    let artefact = read(seeds::encoder());
    let processor = Processor::new(artefact.clone(), Kernel::best()).unwrap();
    let bytes = processor.memory(Extents { batch: 64, sequence: 16 }, 2).unwrap();
    let given = inputs(&artefact, 0..64, 16);
    assert!(processor.run(&given, Options { memory_limit: bytes, ..options(2) }).is_ok());
    let less = processor.run(&given, Options { memory_limit: bytes - 1, ..options(2) });
    assert!(matches!(less, Err(RunError::Refused(error)) if error.field == "memory_limit"));
    for (extents, threads) in [((65, 16), 1), ((1, 17), 1), ((0, 1), 1), ((1, 1), 0), ((1, 1), 65)] {
        let extents = Extents { batch: extents.0, sequence: extents.1 };
        assert!(matches!(processor.memory(extents, threads), Err(RunError::Refused(_))));
    }
}

#[test]
fn execute_stops_when_cancelled_and_runs_again() {
    let artefact = read(seeds::pictures());
    let processor = Processor::new(artefact.clone(), Kernel::best()).unwrap();
    let given = inputs(&artefact, 0..8, 1);
    let cancel = AtomicBool::new(true);
    assert_eq!(processor.run(&given, Options { cancel: &cancel, ..options(2) }), Err(RunError::Cancelled));
    cancel.store(false, Ordering::Relaxed);
    assert!(processor.run(&given, Options { cancel: &cancel, ..options(2) }).is_ok());
}
