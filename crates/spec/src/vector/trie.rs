//! Trie vectors: pairs put in and taken out, and the root that must come of them. The plain root here is computed
//! by the definition (Yellow Paper, appendix D); where keys are hashed it is held against the fast one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use alloy_primitives::{B256, hex, keccak256};
use alloy_rlp::{EMPTY_STRING_CODE, Encodable, Header};
use alloy_trie::{HashBuilder, Nibbles};
use serde::Deserialize;

use crate::fixture::{self, Pairs, Shape, is_foreign};
use crate::input_error::InputError;
use crate::run::{Cases, Mismatch, Verdict};

const SHAPE: Shape = Shape { own: &["root"] };

#[derive(Deserialize)]
struct TrieTest {
    #[serde(rename = "in")]
    input: Operations,
    root: B256,
}

/// A map in any order, or puts and deletions in theirs.
#[derive(Deserialize)]
#[serde(untagged)]
enum Operations {
    Map(Pairs<String, Option<String>>),
    List(Vec<(String, Option<String>)>),
}

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) fn run_file(cases: &mut Cases<'_>) -> Result<ControlFlow<()>, InputError> {
    let file = cases.file;
    let tests: Pairs<String, TrieTest> = match fixture::parse(&file.path, &file.bytes) {
        Ok(tests) => tests,
        Err(error) if is_foreign(SHAPE, &file.bytes) => return cases.foreign(error),
        Err(error) => return Err(error),
    };
    // The format says nowhere but in the file's name that keys are hashed.
    let secure = file.name.to_lowercase().contains("secure");
    for (name, test) in &tests.0 {
        let entries = entries(&test.input, secure)
            .map_err(|detail| InputError::field(&file.path, format!("{name}.in"), detail))?;
        let flow = cases.run(cases.full_name(name), "", || Ok((check(test.root, &entries, secure), None)));
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn bytes_of(text: &str) -> Result<Vec<u8>, String> {
    match text.strip_prefix("0x") {
        Some(digits) => hex::decode(digits).map_err(|error| format!("{text:?}: {error}")),
        None => Ok(text.as_bytes().to_vec()),
    }
}

/// What is left after all operations.
fn entries(operations: &Operations, secure: bool) -> Result<Entries, String> {
    let list = match operations {
        Operations::Map(pairs) => &pairs.0,
        Operations::List(list) => list,
    };
    let mut entries = Entries::new();
    for (key, value) in list {
        let mut key = bytes_of(key)?;
        if secure {
            key = keccak256(key).to_vec();
        }
        match value {
            Some(value) => entries.insert(key, bytes_of(value)?),
            None => entries.remove(&key),
        };
    }
    Ok(entries)
}

fn check(expected: B256, entries: &Entries, secure: bool) -> Verdict {
    let mut wrong = Vec::new();
    let root = plain_root(entries);
    if root != expected {
        wrong.push(Mismatch::new("root", expected, root));
    }
    if secure {
        let fast = fast_root(entries);
        if fast != expected {
            wrong.push(Mismatch::new("root (fast form)", expected, fast));
        }
    }
    Verdict::of(wrong)
}

fn fast_root(entries: &Entries) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in entries {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    builder.root()
}

/// The root by the definition, with values at branches.
fn plain_root(entries: &Entries) -> B256 {
    let split = |byte: &u8| [byte >> 4, byte & 15];
    let leaves: Vec<(Vec<u8>, &[u8])> =
        entries.iter().map(|(key, value)| (key.iter().flat_map(split).collect(), value.as_slice())).collect();
    let leaves: Vec<(&[u8], &[u8])> = leaves.iter().map(|(key, value)| (key.as_slice(), *value)).collect();
    keccak256(node(&leaves))
}

/// The RLP of the node over these leaves, whose keys are sorted and what is left of them.
fn node(leaves: &[(&[u8], &[u8])]) -> Vec<u8> {
    match leaves {
        [] => vec![EMPTY_STRING_CODE],
        [(key, value)] => {
            let mut payload = path(key, true);
            value.encode(&mut payload);
            list(&payload)
        }
        [(first, _), .., (last, _)] => {
            let shared = first.iter().zip(last.iter()).take_while(|(a, b)| a == b).count();
            if shared > 0 {
                let rest: Vec<_> = leaves.iter().map(|(key, value)| (&key[shared..], *value)).collect();
                let mut payload = path(&first[..shared], false);
                payload.extend(reference(&node(&rest)));
                return list(&payload);
            }
            branch(leaves)
        }
    }
}

fn branch(leaves: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut payload = Vec::new();
    for nibble in 0..16u8 {
        let below: Vec<_> = leaves
            .iter()
            .filter(|(key, _)| key.first() == Some(&nibble))
            .map(|(key, value)| (&key[1..], *value))
            .collect();
        payload.extend(reference(&node(&below)));
    }
    let own = leaves.iter().find(|(key, _)| key.is_empty()).map(|(_, value)| *value);
    own.unwrap_or_default().encode(&mut payload);
    list(&payload)
}

/// A node in its parent: itself if it is short, its hash otherwise.
fn reference(node: &[u8]) -> Vec<u8> {
    if node.len() < 32 {
        return node.to_vec();
    }
    let mut out = Vec::with_capacity(33);
    keccak256(node).encode(&mut out);
    out
}

/// The compact encoding of nibbles with the flag of a leaf.
fn path(nibbles: &[u8], leaf: bool) -> Vec<u8> {
    let flag = if leaf { 2 } else { 0 };
    let odd = nibbles.len() % 2;
    let mut bytes = Vec::with_capacity(nibbles.len() / 2 + 1);
    bytes.push(if odd == 1 { (flag + 1) << 4 | nibbles[0] } else { flag << 4 });
    bytes.extend(nibbles[odd..].chunks(2).map(|pair| pair[0] << 4 | pair[1]));
    let mut out = Vec::new();
    bytes.as_slice().encode(&mut out);
    out
}

fn list(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 5);
    Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_trie_has_the_known_root() {
        assert_eq!(plain_root(&Entries::new()), alloy_trie::EMPTY_ROOT_HASH);
    }

    #[test]
    fn plain_and_fast_forms_agree_on_hashed_keys() {
        let mut entries = Entries::new();
        for number in 0u32..300 {
            let value = vec![number as u8 | 1; number as usize % 70 + 1];
            entries.insert(keccak256(number.to_be_bytes()).to_vec(), value);
            assert_eq!(plain_root(&entries), fast_root(&entries), "{number}");
        }
    }

    #[test]
    fn a_changed_value_changes_the_root() {
        let mut entries =
            Entries::from([(b"dog".to_vec(), b"puppy".to_vec()), (b"do".to_vec(), b"verb".to_vec())]);
        let root = plain_root(&entries);
        assert_eq!(check(root, &entries, false), Verdict::Passed);
        entries.insert(b"dog".to_vec(), b"puppz".to_vec());
        assert!(matches!(check(root, &entries, false), Verdict::Failed(wrong) if wrong[0].field == "root"));
    }
}
