//! The sample blocks of this repository: they replay, from folders and from an archive, and what is wrong with a
//! file is said of that file and that field.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use solder_spec::InputError;
use solder_spec::replay::{LoadedBlock, Loader, ReplayOptions, find, load, replay};

fn times(repeat: u32) -> ReplayOptions<'static> {
    ReplayOptions { repeat, ..Default::default() }
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/blocks")
}

/// A folder of its own for each test, with a copy of one sample block.
fn copy(test: &str, block: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(root.join(block)).unwrap();
    for name in ["block.json", "pre_state.json"] {
        fs::copy(samples().join(block).join(name), root.join(block).join(name)).unwrap();
    }
    for name in ["codes.bin", "block_hashes.bincode"] {
        fs::copy(samples().join(name), root.join(name)).unwrap();
    }
    root.join(block)
}

/// Loads a copy of a block in which one file was edited.
fn load_edited(test: &str, file: &str, edit: impl FnOnce(&mut Value)) -> Result<LoadedBlock, InputError> {
    let folder = copy(test, "4370000");
    let path = folder.join(file);
    let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut value);
    fs::write(&path, value.to_string()).unwrap();
    load(folder.to_str().unwrap())
}

/// The edit must be refused, and blamed on this file and field.
fn refused(test: &str, file: &str, field: &str, edit: impl FnOnce(&mut Value)) {
    let error = load_edited(test, file, edit).err().unwrap();
    assert!(error.path.ends_with(file), "{error}");
    let blamed = error.field.clone().unwrap_or_default();
    assert!(blamed.contains(field), "{field}: {error}");
}

#[test]
fn sample_blocks_replay() {
    let mut loader = Loader::default();
    let ids = loader.find(samples().to_str().unwrap()).unwrap();
    assert!(ids.len() >= 5);
    for id in ids {
        let loaded = loader.load(&id).unwrap();
        assert_eq!(loaded.false_claims, [], "{id}");
        let found = replay(&loaded.chain, loaded.fork, &loaded.block, &loaded.state, &times(2)).unwrap();
        assert!(found.is_ok(), "{id}: {found:?}");
        assert_eq!(found.receipts_root_ok.is_none(), loaded.block.header.number < 4_370_000);
        assert!(found.serial_seconds > 0.0 && found.serial_cpu_seconds > 0.0);
    }
}

#[test]
fn an_archive_replays_as_its_folder() {
    let folder = copy("archive", "4370000");
    let path = folder.parent().unwrap().join("blocks.tar");
    let mut archive = tar::Builder::new(fs::File::create(&path).unwrap());
    archive.append_dir_all("some/where/4370000", &folder).unwrap();
    for name in ["codes.bin", "block_hashes.bincode"] {
        archive.append_path_with_name(samples().join(name), format!("some/where/{name}")).unwrap();
    }
    archive.into_inner().unwrap();
    let mut loader = Loader::default();
    let ids = loader.find(path.to_str().unwrap()).unwrap();
    assert_eq!(ids, [format!("{}::some/where/4370000", path.display())]);
    let (packed, plain) = (loader.load(&ids[0]).unwrap(), load(folder.to_str().unwrap()).unwrap());
    assert_eq!(packed.block, plain.block);
    let digest = |loaded: &LoadedBlock| {
        replay(&loaded.chain, loaded.fork, &loaded.block, &loaded.state, &times(1)).unwrap().state_digest
    };
    assert_eq!(digest(&packed), digest(&plain));
}

#[test]
fn contradictions_are_refused_by_field() {
    let block = "block.json";
    let other = json!("0x00000000000000000000000000000000000000aa");
    refused("from", block, "transactions[3].from", |value| value["transactions"][3]["from"] = other);
    refused("hash", block, "transactions[0].hash", |value| {
        value["transactions"][0]["hash"] = value["transactions"][1]["hash"].clone();
    });
    refused("value", block, "transactions[2].hash", |value| value["transactions"][2]["value"] = json!("0x7"));
    refused("index", block, "transactions[1].transactionIndex", |value| {
        value["transactions"][1]["transactionIndex"] = json!("0x9");
    });
    refused("number", block, "transactions[0].blockNumber", |value| value["number"] = json!("0x42ae51"));
    refused("fee", block, "baseFeePerGas", |value| value["baseFeePerGas"] = json!("0x7"));
    refused("chain", block, "chainId", |value| value["transactions"][0]["chainId"] = json!("0x5"));
}

#[test]
fn mistyped_and_missing_fields_are_refused_by_name() {
    let block = "block.json";
    refused("gas", block, "gasUsed", |value| value["gasUsed"] = json!(7));
    refused("miner", block, "miner", |value| value["miner"] = json!("0x12"));
    refused("type", block, "transactions[0].type", |value| value["transactions"][0]["type"] = json!("0x63"));
    let error = load_edited("parent", block, |value| {
        value.as_object_mut().unwrap().remove("parentHash");
    });
    assert!(error.err().unwrap().detail.contains("parentHash"));
}

#[test]
fn a_false_claim_of_the_header_is_no_error_of_the_file() {
    let loaded = load_edited("claim", "block.json", |value| value["gasUsed"] = json!("0x1")).unwrap();
    let fields: Vec<_> = loaded.false_claims.iter().map(|claim| claim.field).collect();
    assert_eq!(fields, ["hash"]);
    let found = replay(&loaded.chain, loaded.fork, &loaded.block, &loaded.state, &times(1)).unwrap();
    assert!(!found.gas_used_ok && !found.is_ok());
    assert_eq!((found.receipts_root_ok, found.logs_bloom_ok), (Some(true), true));
    let loaded = load_edited("claims", "block.json", |value| {
        value["transactions"].as_array_mut().unwrap().pop();
    });
    let fields: Vec<_> = loaded.unwrap().false_claims.iter().map(|claim| claim.field).collect();
    assert_eq!(fields, ["transactionsRoot"]);
}

#[test]
fn a_wrong_pre_state_is_refused_by_account() {
    let state = "pre_state.json";
    let first = |value: &mut Value| {
        let mut addresses = value.as_object().unwrap().keys();
        addresses.find(|address| address[2..].contains(|digit: char| digit.is_alphabetic())).unwrap().clone()
    };
    for (test, name, wrong) in [
        ("balance", "balance", json!("ten")),
        ("nonce", "nonce", json!(-1)),
        ("code", "code_hash", json!("0x1111111111111111111111111111111111111111111111111111111111111111")),
        ("storage", "storage", json!([1, 2])),
        ("unknown", "colour", json!("red")),
    ] {
        refused(test, state, name, |value| {
            let address = first(value);
            value[&address][name] = wrong;
        });
    }
    let error = load_edited("twice", state, |value| {
        let address = first(value);
        let account = value[&address].clone();
        value[address.to_uppercase().replace("0X", "0x")] = account;
    });
    assert!(error.err().unwrap().detail.contains("twice"));
}

#[test]
fn truncated_and_absent_files_are_named() {
    let folder = copy("truncated", "4370000");
    for name in ["block.json", "pre_state.json", "../codes.bin", "../block_hashes.bincode"] {
        let path = folder.join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = load(folder.to_str().unwrap()).err().unwrap();
        let file = name.rsplit('/').next().unwrap();
        assert!(error.path.ends_with(file), "{name}: {error}");
        fs::write(&path, whole).unwrap();
    }
    fs::remove_file(folder.join("pre_state.json")).unwrap();
    assert!(load(folder.to_str().unwrap()).err().unwrap().path.ends_with("pre_state.json"));
    fs::remove_file(folder.join("block.json")).unwrap();
    assert!(find(folder.to_str().unwrap()).is_err());
    assert!(find(folder.join("absent").to_str().unwrap()).is_err());
}
