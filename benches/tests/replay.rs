//! `bench-replay` from outside: its last line is one JSON object with the named figures, and wrong input has its own exit
//! code. One repeat of the sample blocks: that engines agree is checked in every repeat, the figures say nothing.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

use serde_json::Value;

fn bench_replay(arguments: &[&str]) -> Output {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/blocks");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-replay"));
    command.args(["--repeats", "1", "--workers", "2,3", "--blocks", samples]).args(arguments);
    command.output().unwrap()
}

fn last_line(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn given_blocks_have_their_figures() {
    let found = last_line(&bench_replay(&["--only", "blocks", "--per-block"]));
    for name in
        ["parallel_2_vs_revm", "parallel_3_vs_revm", "worst_block", "one_worker_forced", "cpu_vs_revm"]
    {
        assert!(found["ratios"][name].as_f64().is_some_and(|ratio| ratio > 0.0), "{name}: {found}");
    }
    assert!(found["schedule_overhead"].is_f64());
    let blocks = found["per_block"].as_array().unwrap();
    assert_eq!(blocks.len(), 6);
    for block in blocks {
        let forced = &block["engines"]["forced 1"];
        assert_eq!(forced["clamp_reason"], Value::Null, "{block}");
        assert!(forced["executions"].as_u64() >= block["transactions"].as_u64(), "{block}");
    }
    let predicted = found["ratios"]["predicted_8"].as_f64().unwrap();
    assert!(predicted > 0.0 && predicted < 1.2, "{predicted}");
}

#[test]
fn a_generated_block_has_its_figures() {
    let found = last_line(&bench_replay(&["--only", "hot_slot_1"]));
    let names: Vec<_> = found["ratios"].as_object().unwrap().keys().map(String::as_str).collect();
    assert!(names.starts_with(&["hot_slot_1", "hot_slot_1_workers_3"]), "{names:?}");
    assert_eq!(found["workloads"].as_array().unwrap().len(), 1);
}

#[test]
fn wrong_input_has_its_own_exit_code() {
    assert_eq!(bench_replay(&["--only", "nothing"]).status.code(), Some(2));
    assert_eq!(bench_replay(&["--workers", "0"]).status.code(), Some(2));
    assert_eq!(bench_replay(&["--blocks", "no/such/folder"]).status.code(), Some(2));
}
