//! RLP vectors: a value and its encoding, or bytes that no decoder may accept.

use std::ops::ControlFlow;

use alloy_primitives::{U256, hex};
use alloy_rlp::{Encodable, Header};
use serde::Deserialize;
use serde_json::Value;

use crate::fixture::{self, Pairs, Shape, is_foreign};
use crate::input_error::InputError;
use crate::run::{Cases, Mismatch, Verdict};

const SHAPE: Shape = Shape { own: &["in", "out"] };
/// How deep lists may nest.
const MAX_DEPTH: usize = 1024;

#[derive(Deserialize)]
struct RlpTest {
    #[serde(rename = "in")]
    input: Value,
    out: String,
}

/// A value of RLP.
#[derive(Debug, PartialEq, Eq)]
enum Item {
    Bytes(Vec<u8>),
    List(Vec<Item>),
}

pub(crate) fn run_file(cases: &mut Cases<'_>) -> Result<ControlFlow<()>, InputError> {
    let file = cases.file;
    let tests: Pairs<String, RlpTest> = match fixture::parse(&file.path, &file.bytes) {
        Ok(tests) => tests,
        Err(error) if is_foreign(SHAPE, &file.bytes) => return cases.foreign(error),
        Err(error) => return Err(error),
    };
    for (name, test) in &tests.0 {
        let bytes = hex::decode(&test.out)
            .map_err(|error| InputError::field(&file.path, format!("{name}.out"), error))?;
        let expected = Expected::of(&test.input)
            .map_err(|detail| InputError::field(&file.path, format!("{name}.in"), detail))?;
        let flow = cases.run(cases.full_name(name), "", || Ok((check(&expected, &bytes), None)));
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

enum Expected {
    Invalid,
    Valid,
    Value(Item),
}

impl Expected {
    fn of(input: &Value) -> Result<Self, String> {
        match input.as_str() {
            Some("INVALID") => Ok(Self::Invalid),
            Some("VALID") => Ok(Self::Valid),
            _ => Item::of(input).map(Self::Value),
        }
    }
}

impl Item {
    /// A JSON value as the vectors write it: text, small numbers, `#` and decimal digits for large ones, lists.
    fn of(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => match text.strip_prefix('#') {
                Some(digits) => decimal_bytes(digits).map(Self::Bytes),
                None => Ok(Self::Bytes(text.as_bytes().to_vec())),
            },
            Value::Number(number) => {
                let number = number.as_u64().ok_or_else(|| format!("{number} is no unsigned number"))?;
                Ok(Self::Bytes(U256::from(number).to_be_bytes_trimmed_vec()))
            }
            Value::Array(values) => values.iter().map(Self::of).collect::<Result<_, _>>().map(Self::List),
            other => Err(format!("{other} has no RLP")),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bytes(bytes) => bytes.as_slice().encode(out),
            Self::List(items) => {
                let mut payload = Vec::new();
                items.iter().for_each(|item| item.encode(&mut payload));
                Header { list: true, payload_length: payload.len() }.encode(out);
                out.extend_from_slice(&payload);
            }
        }
    }

    fn decode(cursor: &mut &[u8], depth: usize) -> Result<Self, alloy_rlp::Error> {
        if depth > MAX_DEPTH {
            return Err(alloy_rlp::Error::Custom("nested too deep"));
        }
        let header = Header::decode(cursor)?;
        if header.payload_length > cursor.len() {
            return Err(alloy_rlp::Error::InputTooShort);
        }
        let (mut payload, rest) = cursor.split_at(header.payload_length);
        *cursor = rest;
        if !header.list {
            return Ok(Self::Bytes(payload.to_vec()));
        }
        let mut items = Vec::new();
        while !payload.is_empty() {
            items.push(Self::decode(&mut payload, depth + 1)?);
        }
        Ok(Self::List(items))
    }

    fn decode_all(mut bytes: &[u8]) -> Result<Self, alloy_rlp::Error> {
        let item = Self::decode(&mut bytes, 0)?;
        if bytes.is_empty() { Ok(item) } else { Err(alloy_rlp::Error::UnexpectedLength) }
    }
}

/// A decimal number of any size, big-endian without leading zeros.
fn decimal_bytes(digits: &str) -> Result<Vec<u8>, String> {
    let mut bytes: Vec<u8> = Vec::new();
    for digit in digits.chars() {
        let mut carry = digit.to_digit(10).ok_or_else(|| format!("{digits:?} is no decimal number"))?;
        for byte in bytes.iter_mut().rev() {
            let value = u32::from(*byte) * 10 + carry;
            *byte = (value & 0xff) as u8;
            carry = value >> 8;
        }
        if carry > 0 {
            bytes.insert(0, carry as u8);
        }
    }
    Ok(bytes)
}

fn check(expected: &Expected, bytes: &[u8]) -> Verdict {
    let decoded = Item::decode_all(bytes);
    let mut wrong = Vec::new();
    match (expected, &decoded) {
        (Expected::Invalid, Err(_)) => {}
        (Expected::Invalid, Ok(item)) => wrong.push(Mismatch::new("in", "INVALID", format!("{item:?}"))),
        (_, Err(error)) => wrong.push(Mismatch::new("out", "valid RLP", error)),
        (Expected::Value(value), Ok(item)) if value != item => {
            wrong.push(Mismatch::new("in", format!("{value:?}"), format!("{item:?}")));
        }
        (_, Ok(item)) => {
            let mut encoded = Vec::new();
            item.encode(&mut encoded);
            if encoded != bytes {
                wrong.push(Mismatch::new("out", hex::encode_prefixed(bytes), hex::encode_prefixed(encoded)));
            }
        }
    }
    Verdict::of(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_numbers_of_any_size() {
        assert_eq!(decimal_bytes("0"), Ok(vec![]));
        assert_eq!(decimal_bytes("65536"), Ok(vec![1, 0, 0]));
        assert!(decimal_bytes("12a").is_err());
    }

    #[test]
    fn a_changed_value_is_reported() {
        let expected = Expected::Value(Item::Bytes(b"dog".to_vec()));
        assert_eq!(check(&expected, b"\x83dog"), Verdict::Passed);
        assert!(matches!(check(&expected, b"\x83dot"), Verdict::Failed(wrong) if wrong[0].field == "in"));
        assert!(matches!(check(&Expected::Invalid, b"\x80"), Verdict::Failed(_)));
        assert!(matches!(check(&expected, b"\x81\x01"), Verdict::Failed(wrong) if wrong[0].field == "out"));
    }
}
