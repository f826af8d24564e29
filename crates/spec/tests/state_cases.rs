//! State tests: the samples pass, a changed value is reported as that field's mismatch, a broken file as an input
//! error that names the field.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use harness::{case_mut, load, only, run_bytes, run_paths, run_value, sample};
use serde_json::{Value, json};
use solder_spec::{Format, Options, Verdict};

const LOGS: &str = "CallRecursiveBombLog2";
const REFUSED: &str = "test_tx_gas_limit_cap_exceeded";

fn post(case: &mut Value) -> &mut Value {
    &mut case["post"].as_object_mut().unwrap().values_mut().next().unwrap()[0]
}

/// Runs the named sample after a change, and returns the fields that are reported.
fn fields_after(part: &str, change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut fixture = only(&load("state.json"), part);
    change(case_mut(&mut fixture));
    run_value(Format::State, &fixture).fields()
}

/// The same for changes that make the file unusable: the field that is blamed.
fn blamed_after(change: impl FnOnce(&mut Value)) -> String {
    let mut fixture = only(&load("state.json"), LOGS);
    change(case_mut(&mut fixture));
    run_value(Format::State, &fixture).input_error().field.clone().expect("a field")
}

#[test]
fn samples_pass() {
    let reports = run_paths(Format::State, &[&sample("state.json")], Options::default()).unwrap();
    assert_eq!((reports.passed(), reports.cases.len()), (2, 2), "{reports:?}");
}

#[test]
fn changed_root_is_reported() {
    let fields = fields_after(LOGS, |case| post(case)["hash"] = json!(format!("0x{}", "12".repeat(32))));
    assert_eq!(fields, ["hash"]);
}

#[test]
fn changed_logs_hash_is_reported() {
    let fields = fields_after(LOGS, |case| post(case)["logs"] = json!(format!("0x{}", "12".repeat(32))));
    assert_eq!(fields, ["logs"]);
}

#[test]
fn changed_exception_name_is_reported() {
    let other = json!("TransactionException.NONCE_IS_MAX");
    assert_eq!(fields_after(REFUSED, |case| post(case)["expectException"] = other), ["expectException"]);
    let removed = |case: &mut Value| drop(post(case).as_object_mut().unwrap().remove("expectException"));
    assert_eq!(fields_after(REFUSED, removed), ["expectException"]);
    let added = json!("TransactionException.NONCE_IS_MAX");
    assert_eq!(fields_after(LOGS, |case| post(case)["expectException"] = added), ["expectException"]);
}

#[test]
fn one_of_several_exception_names_is_enough() {
    let fields = fields_after(REFUSED, |case| {
        let name = post(case)["expectException"].as_str().unwrap().to_owned();
        post(case)["expectException"] = json!(format!("TransactionException.NONCE_IS_MAX|{name}"));
    });
    assert!(fields.is_empty(), "{fields:?}");
}

#[test]
fn changed_fields_of_accounts_are_reported_by_address() {
    for field in ["balance", "nonce"] {
        let mut address = String::new();
        let fields = fields_after(LOGS, |case| {
            let (found, account) = post(case)["state"].as_object_mut().unwrap().iter_mut().next().unwrap();
            address = found.to_lowercase();
            account[field] = json!("0x123456");
        });
        assert_eq!(fields, [format!("state.{address}.{field}")]);
    }
}

#[test]
fn missing_and_added_accounts_and_slots_are_reported() {
    let address = "0x00000000000000000000000000000000000000aa";
    let fields = fields_after(LOGS, |case| {
        post(case)["state"][address] =
            json!({"nonce": "0x00", "balance": "0x01", "code": "0x", "storage": {}});
    });
    assert_eq!(fields, [format!("state.{address}")]);
    let fields = fields_after(LOGS, |case| {
        let account = post(case)["state"].as_object_mut().unwrap().values_mut().next().unwrap();
        account["storage"]["0xabcdef"] = json!("0x01");
    });
    assert!(fields.len() == 1 && fields[0].ends_with(".storage.0xabcdef"), "{fields:?}");
}

#[test]
fn changed_pre_balance_changes_the_root() {
    let fields = fields_after(LOGS, |case| {
        for account in case["pre"].as_object_mut().unwrap().values_mut() {
            account["balance"] = json!("0x0de0b6b3a7640001");
        }
    });
    assert!(fields.contains(&"hash".to_owned()), "{fields:?}");
}

#[test]
fn changed_transaction_differs_from_its_bytes() {
    let fields = fields_after(LOGS, |case| case["transaction"]["nonce"] = json!("0x01"));
    assert!(fields.contains(&"txbytes.nonce".to_owned()), "{fields:?}");
    let fields = fields_after(LOGS, |case| case["transaction"]["value"][0] = json!("0x0c"));
    assert!(fields.contains(&"txbytes.value".to_owned()), "{fields:?}");
}

#[test]
fn mistyped_fields_are_named() {
    let field = blamed_after(|case| case["env"]["currentNumber"] = json!(5));
    assert!(field.ends_with("env.currentNumber"), "{field}");
    let field = blamed_after(|case| case["env"]["currentGasLimit"] = json!("0x1ffffffffffffffff"));
    assert!(field.ends_with("env.currentGasLimit"), "{field}");
    let field = blamed_after(|case| post(case)["hash"] = json!("0x12"));
    assert!(field.ends_with("hash"), "{field}");
    let field = blamed_after(|case| case["transaction"]["to"] = json!("0x1234"));
    assert!(field.ends_with("transaction.to"), "{field}");
    let field = blamed_after(|case| case["post"] = json!({"Caucun": []}));
    assert!(field.ends_with("post.Caucun"), "{field}");
}

#[test]
fn contradictions_are_named() {
    let field = blamed_after(|case| post(case)["indexes"]["gas"] = json!(7));
    assert!(field.ends_with("post.indexes.gas"), "{field}");
    let field = blamed_after(|case| {
        let transaction = case["transaction"].as_object_mut().unwrap();
        transaction.remove("sender");
        transaction.remove("secretKey");
    });
    assert!(field.ends_with("transaction.sender"), "{field}");
    let field = blamed_after(|case| case["transaction"]["sender"] = json!(format!("0x{}", "11".repeat(20))));
    assert!(field.ends_with("transaction.secretKey"), "{field}");
}

#[test]
fn missing_fields_and_repeated_keys_are_input_errors() {
    let mut fixture = only(&load("state.json"), LOGS);
    case_mut(&mut fixture).as_object_mut().unwrap().remove("pre");
    let field = run_value(Format::State, &fixture).input_error().field.clone().unwrap();
    assert!(field.ends_with("[fork_Cancun-state_test-].pre"), "{field}");

    let text = serde_json::to_string(&only(&load("state.json"), LOGS)).unwrap();
    let address = "0x00000000000000000000000000000000000000aa";
    let account = r#"{"nonce": "0x00", "balance": "0x01", "code": "0x", "storage": {}}"#;
    let twice =
        text.replacen(r#""pre":{"#, &format!(r#""pre":{{"{address}":{account},"{address}":{account},"#), 1);
    let reports = run_bytes(Format::State, twice.as_bytes());
    let field = reports.input_error().field.clone().unwrap();
    assert!(field.ends_with(&format!("pre.{address}")), "{field}");
}

#[test]
fn truncated_files_are_input_errors_wherever_they_end() {
    let bytes = std::fs::read(sample("state.json")).unwrap();
    for end in (0..bytes.len() - 1).step_by(97) {
        let reports = run_bytes(Format::State, &bytes[..end]);
        assert!(reports.input_error().path.ends_with("case.json"));
    }
}

#[test]
fn a_failing_case_has_a_trace_where_one_is_asked_for() {
    let mut fixture = only(&load("state.json"), LOGS);
    post(case_mut(&mut fixture))["logs"] = json!(format!("0x{}", "12".repeat(32)));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.json");
    std::fs::write(&path, serde_json::to_vec(&fixture).unwrap()).unwrap();
    let options = Options { trace: true, ..Default::default() };
    let reports = run_paths(Format::State, &[&path], options).unwrap();
    assert!(matches!(reports.cases[0].verdict, Verdict::Failed(_)));
    let trace = reports.cases[0].trace.as_deref().expect("a trace");
    let lines: Vec<Value> = trace.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 10 && lines[0]["opName"].is_string(), "{}", lines.len());
}
