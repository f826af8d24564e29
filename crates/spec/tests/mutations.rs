//! Two hundred seeded changes, each of one value of a sample: every one is reported, as a mismatch or as an input
//! error, and none is a fault of ours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use harness::{load, only, run_value};
use serde_json::{Value, json};
use solder_spec::{Format, Verdict};

const CHANGES: usize = 100;
/// Values that a test may hold without any effect on what comes out.
const WITHOUT_EFFECT: &[&str] = &[
    "/_info/",
    "/blobSchedule/",
    "/blocknumber",
    "/sealEngine",
    "/config/network",
    "/config/chainid",
    // A transaction that does not ask for it is not moved by its block.
    "/env/",
    // A transaction of before EIP-155 does not say its chain.
    "/chainId",
    // State tests name the sender; the signature in the bytes is not recovered.
    "/txbytes",
];

/// A small generator of our own, so that a failing change can be replayed from its number.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

/// The JSON pointers of all strings that are numbers, bytes or names.
fn leaves(value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                leaves(value, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), out);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                leaves(value, &format!("{path}/{index}"), out);
            }
        }
        Value::String(text) if text.len() > 2 && !WITHOUT_EFFECT.iter().any(|part| path.contains(part)) => {
            out.push(path.to_owned());
        }
        _ => {}
    }
}

/// Changes one digit or letter.
fn changed(text: &str, random: &mut SplitMix) -> String {
    let start = if text.starts_with("0x") { 2 } else { 0 };
    let position = start + random.next(text.len() - start);
    let mut bytes = text.as_bytes().to_vec();
    bytes[position] = match bytes[position] {
        b'0'..=b'8' | b'a'..=b'e' | b'A'..=b'Y' => bytes[position] + 1,
        b'9' => b'0',
        _ => b'1',
    };
    String::from_utf8(bytes).unwrap()
}

fn change_and_see(format: Format, fixture: &Value, seed: u64) {
    let mut paths = Vec::new();
    leaves(fixture, "", &mut paths);
    assert!(paths.len() > 20, "{}", paths.len());
    let mut random = SplitMix(seed);
    let mut mismatches = 0;
    for number in 0..CHANGES {
        let path = &paths[random.next(paths.len())];
        let mut fixture = fixture.clone();
        let value = fixture.pointer_mut(path).unwrap();
        let before = value.as_str().unwrap().to_owned();
        *value = json!(changed(&before, &mut random));
        let after = value.clone();
        let reports = run_value(format, &fixture);
        let what = format!("change {number} of seed {seed}: {path}: {before} -> {after}");
        if reports.errors.is_empty() {
            assert!(reports.cases.iter().any(|case| matches!(case.verdict, Verdict::Failed(_))), "{what}");
            mismatches += 1;
        } else {
            let error = reports.input_error();
            assert!(error.path.ends_with("case.json") && error.field.is_some(), "{what}: {error}");
        }
    }
    assert!(mismatches > CHANGES / 2, "{mismatches}");
}

#[test]
fn changed_state_tests_are_reported() {
    let fixture = load("state.json");
    change_and_see(Format::State, &only(&fixture, "CallRecursiveBombLog2"), 1);
}

#[test]
fn changed_blockchain_tests_are_reported() {
    let fixture = load("block.json");
    change_and_see(Format::Block, &only(&fixture, "test_block_intermediate_state"), 2);
}
