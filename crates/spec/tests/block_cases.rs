//! Blockchain tests: the samples pass, and a changed value is reported as that field's mismatch.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use harness::{case_mut, load, only, run_paths, run_value, sample};
use serde_json::{Value, json};
use solder_spec::{Format, Options};

const INVALID: &str = "test_blob_type_tx_pre_fork";
const SEVERAL: &str = "test_block_intermediate_state";
const HEADER_FIELDS: &[&str] = &[
    "parentHash",
    "uncleHash",
    "coinbase",
    "stateRoot",
    "transactionsTrie",
    "receiptTrie",
    "bloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
    "hash",
];

fn fields_after(part: &str, change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut fixture = only(&load("block.json"), part);
    change(case_mut(&mut fixture));
    run_value(Format::Block, &fixture).fields()
}

/// Another value of the same length.
fn flipped(value: &Value) -> Value {
    let text = value.as_str().unwrap();
    if text.is_empty() {
        return json!(format!("0x{}", "12".repeat(20)));
    }
    let (head, last) = text.split_at(text.len() - 1);
    match last {
        "x" => json!("0x01"),
        "7" => json!(format!("{head}6")),
        _ => json!(format!("{head}7")),
    }
}

#[test]
fn samples_pass() {
    let reports = run_paths(Format::Block, &[&sample("block.json")], Options::default()).unwrap();
    assert_eq!((reports.passed(), reports.cases.len()), (2, 2), "{reports:?}");
}

#[test]
fn every_changed_header_field_is_reported_by_its_name() {
    for field in HEADER_FIELDS {
        for (header, prefix) in
            [("/genesisBlockHeader", "genesisBlockHeader"), ("/blocks/1/blockHeader", "blocks.1.blockHeader")]
        {
            let fields = fields_after(SEVERAL, |case| {
                let header = case.pointer_mut(header).unwrap();
                header[field] = flipped(&header[field]);
            });
            assert!(fields.contains(&format!("{prefix}.{field}")), "{prefix}.{field}: {fields:?}");
        }
    }
}

#[test]
fn changed_exception_names_are_reported() {
    let field = "blocks.0.expectException".to_owned();
    let other = json!("BlockException.INVALID_STATE_ROOT");
    assert_eq!(fields_after(INVALID, |case| case["blocks"][0]["expectException"] = other), [field.as_str()]);
    let added = json!("BlockException.INVALID_STATE_ROOT");
    assert!(fields_after(SEVERAL, |case| case["blocks"][0]["expectException"] = added).contains(&field));
    let removed =
        |case: &mut Value| drop(case["blocks"][0].as_object_mut().unwrap().remove("expectException"));
    assert_eq!(fields_after(INVALID, removed), ["blocks.0"]);
}

#[test]
fn changed_heads_and_states_are_reported() {
    let fields = fields_after(SEVERAL, |case| case["lastblockhash"] = flipped(&case["lastblockhash"]));
    assert_eq!(fields, ["lastblockhash"]);
    let mut address = String::new();
    let fields = fields_after(SEVERAL, |case| {
        let (found, account) = case["postState"].as_object_mut().unwrap().iter_mut().next().unwrap();
        address = found.to_lowercase();
        account["balance"] = json!("0x123456");
    });
    assert_eq!(fields, [format!("postState.{address}.balance")]);
    let fields = fields_after(SEVERAL, |case| {
        for account in case["pre"].as_object_mut().unwrap().values_mut() {
            account["balance"] = json!("0x123456");
        }
    });
    assert!(fields.contains(&"genesisBlockHeader.stateRoot".to_owned()), "{fields:?}");
}

#[test]
fn changed_transactions_are_reported_by_index() {
    for field in ["nonce", "gasPrice", "gasLimit", "to", "value", "v", "r", "s", "sender"] {
        let fields = fields_after(SEVERAL, |case| {
            let tx = &mut case["blocks"][0]["transactions"][0];
            tx[field] = flipped(&tx[field]);
        });
        assert_eq!(fields, [format!("blocks.0.transactions.0.{field}")]);
    }
}

#[test]
fn a_changed_byte_of_a_block_is_never_overlooked() {
    let fixture = only(&load("block.json"), SEVERAL);
    let rlp = fixture.as_object().unwrap().values().next().unwrap()["blocks"][0]["rlp"]
        .as_str()
        .unwrap()
        .to_owned();
    let (mut position, mut tried) = (2, 0);
    while position < rlp.len() {
        let fields = fields_after(SEVERAL, |case| {
            let mut bytes = rlp.clone().into_bytes();
            bytes[position] = if bytes[position] == b'3' { b'4' } else { b'3' };
            case["blocks"][0]["rlp"] = json!(String::from_utf8(bytes).unwrap());
        });
        assert!(!fields.is_empty(), "digit {position}");
        (position, tried) = (position + 29, tried + 1);
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn unknown_networks_and_mistyped_blocks_are_input_errors() {
    for (field, value) in
        [("network", json!("Ozaka")), ("network", json!(7)), ("lastblockhash", json!("0x1"))]
    {
        let mut fixture = only(&load("block.json"), SEVERAL);
        case_mut(&mut fixture)[field] = value;
        let blamed = run_value(Format::Block, &fixture).input_error().field.clone().expect("a field");
        assert!(blamed.ends_with(field), "{blamed}");
    }
    let mut fixture = only(&load("block.json"), SEVERAL);
    case_mut(&mut fixture)["blocks"][1]["rlp"] = json!("0x1");
    let blamed = run_value(Format::Block, &fixture).input_error().field.clone().expect("a field");
    assert!(blamed.ends_with("blocks.1.rlp"), "{blamed}");
}
