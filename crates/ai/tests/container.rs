//! The container: one canonical form, everything else refused with its field.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod artefact_file;

use std::collections::BTreeMap;

use artefact_file::{Stored, artefact, file, header};
use sha2::{Digest, Sha256};
use solder_ai::artefact::container::{Container, MAXIMUM_HEADER_BYTES, read};
use solder_ai::artefact::{ArtefactError, Bytes};

fn tensors() -> BTreeMap<String, Stored> {
    BTreeMap::from([
        ("weight".to_owned(), Stored::int8(&[2, 3], &[1, -2, 3, -128, 127, 0])),
        ("bias".to_owned(), Stored::int32(&[2], &[-70_000, i32::MAX])),
    ])
}

fn parse(bytes: Vec<u8>) -> Result<Container, ArtefactError> {
    read(&Bytes::new(bytes))
}

fn refusal(bytes: Vec<u8>) -> String {
    parse(bytes).err().expect("refused").to_string()
}

#[test]
fn container_reads_what_was_written() {
    let bytes = artefact("{\"a\":\"\\\\\"}", &tensors());
    let container = parse(bytes.clone()).unwrap();
    assert_eq!(container.graph, "{\"a\":\"\\\\\"}");
    assert_eq!(container.identity, <[u8; 32]>::from(Sha256::digest(&bytes)));
    assert_eq!(container.tensors["weight"].shape, [2, 3]);
    assert_eq!(container.tensors["weight"].iter().collect::<Vec<_>>(), [1, -2, 3, -128, 127, 0]);
    assert_eq!(container.tensors["bias"].iter().collect::<Vec<_>>(), [-70_000, i64::from(i32::MAX)]);
}

#[test]
fn container_truncated_anywhere_is_refused() {
    let bytes = artefact("{}", &tensors());
    for length in 0..bytes.len() {
        assert!(parse(bytes[..length].to_vec()).is_err(), "{length} bytes were accepted");
    }
    assert!(refusal([bytes, vec![0]].concat()).contains("file"));
}

#[test]
fn container_header_length_is_bounded() {
    let mut bytes = artefact("{}", &tensors());
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(bytes.clone()).contains(&MAXIMUM_HEADER_BYTES.to_string()));
    bytes[..8].copy_from_slice(&(1u64 << 20).to_le_bytes());
    assert!(refusal(bytes).contains("header"));
}

#[test]
fn container_refuses_each_spoilt_header_by_field() {
    let good = header("{}", &tensors());
    for (from, to, field) in [
        ("[0,8]", "[0,9]", "tensors.bias"),
        ("[8,14]", "[0,6]", "tensors.weight"),
        ("[8,14]", "[9,15]", "tensors.weight"),
        ("\"I32\"", "\"F32\"", "tensors.bias"),
        ("\"I32\"", "\"I64\"", "tensors.bias"),
        ("[2,3]", "[2,-3]", "tensors.weight"),
        ("[2,3]", "[2,0]", "tensors.weight"),
        ("[2,3]", "[1073741824,1073741824,1073741824]", "tensors.weight"),
        ("[2,3]", "[1,1,1,1,1,1,1,6]", "tensors.weight"),
        ("[2,3]", "[2,3.0]", "header"),
        ("\"dtype\":\"I8\",", "", "tensors.weight"),
        ("\"weight\"", "\"we ight\"", "tensors.we ight"),
        ("\"weight\"", "\"\"", "header"),
        ("\"weight\"", "\"a\"", "header"),
        ("\"solder\"", "\"other\"", "header.__metadata__"),
        ("\"bias\":", "\"bias\": ", "header"),
    ] {
        let spoilt = good.replacen(from, to, 1);
        assert_ne!(spoilt, good, "{from:?} is not in the header");
        let error = parse(file(&spoilt, &tensors())).err().expect(to);
        assert_eq!(error.field, field, "{from} -> {to}: {error}");
    }
}

#[test]
fn container_fill_is_spaces_and_shorter_than_eight() {
    let text = header("{}", &BTreeMap::new());
    let with_fill = |fill: &str| {
        let text = format!("{text}{fill}");
        [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
    };
    let missing = text.len().next_multiple_of(8) - text.len();
    assert!(parse(with_fill(&" ".repeat(missing))).is_ok());
    assert!(parse(with_fill(&" ".repeat(missing + 8))).is_err());
    assert!(parse(with_fill(&"\n".repeat(missing.max(1)))).is_err());
    assert!(parse(with_fill(&" ".repeat(missing + 1))).is_err());
}
