//! A writer of artefact files for tests: canonical by construction, with a way to spoil each part.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod seeds;

use std::collections::BTreeMap;

/// A tensor to store: container dtype, shape, elements.
pub struct Stored {
    pub code: &'static str,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Stored {
    /// Elements of one byte.
    pub fn int8(shape: &[usize], elements: &[i8]) -> Self {
        Self {
            code: "I8",
            shape: shape.to_vec(),
            bytes: elements.iter().map(|e| e.cast_unsigned()).collect(),
        }
    }

    /// Elements of four bytes.
    pub fn int32(shape: &[usize], elements: &[i32]) -> Self {
        Self {
            code: "I32",
            shape: shape.to_vec(),
            bytes: elements.iter().flat_map(|e| e.to_le_bytes()).collect(),
        }
    }
}

/// The header's JSON text.
pub fn header(graph: &str, tensors: &BTreeMap<String, Stored>) -> String {
    let escaped = graph.replace('\\', "\\\\").replace('"', "\\\"");
    let mut entries = vec![("__metadata__".to_owned(), format!("{{\"solder\":\"{escaped}\"}}"))];
    let mut at = 0;
    for (name, tensor) in tensors {
        let shape: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
        let end = at + tensor.bytes.len();
        let text = format!(
            "{{\"data_offsets\":[{at},{end}],\"dtype\":\"{}\",\"shape\":[{}]}}",
            tensor.code,
            shape.join(",")
        );
        entries.push((name.clone(), text));
        at = end;
    }
    entries.sort();
    let parts: Vec<String> = entries.iter().map(|(key, text)| format!("\"{key}\":{text}")).collect();
    format!("{{{}}}", parts.join(","))
}

/// The file of a header and data.
pub fn file(header: &str, tensors: &BTreeMap<String, Stored>) -> Vec<u8> {
    let mut text = header.as_bytes().to_vec();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut file = (text.len() as u64).to_le_bytes().to_vec();
    file.append(&mut text);
    tensors.values().for_each(|tensor| file.extend_from_slice(&tensor.bytes));
    file
}

/// A whole artefact.
pub fn artefact(graph: &str, tensors: &BTreeMap<String, Stored>) -> Vec<u8> {
    file(&header(graph, tensors), tensors)
}
