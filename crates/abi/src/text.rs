//! Values as people read them: in traces, reverts and tables.

use std::fmt::Write;

use alloy_primitives::hex;

use crate::Value;
use crate::parameter::Parameter;

/// The most characters of a list of values; what is more is left out and said to be.
pub const MAX_TEXT_CHARS: usize = 4096;

/// `name: value, name: value`.
pub fn shown_values(parameters: &[Parameter], values: &[Value]) -> String {
    let mut text = String::new();
    for (index, (parameter, value)) in parameters.iter().zip(values).enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        if !parameter.name.is_empty() {
            text.push_str(&parameter.name);
            text.push_str(": ");
        }
        write_value(&mut text, value);
        if text.len() > MAX_TEXT_CHARS {
            break;
        }
    }
    bounded(text)
}

/// One value.
pub fn shown(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    bounded(text)
}

fn bounded(mut text: String) -> String {
    if text.len() > MAX_TEXT_CHARS {
        let end = (0..=MAX_TEXT_CHARS).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push('\u{2026}');
    }
    text
}

fn write_value(text: &mut String, value: &Value) {
    if text.len() > MAX_TEXT_CHARS {
        return;
    }
    // Writing to a string cannot fail.
    let _ = match value {
        Value::Bool(value) => write!(text, "{value}"),
        Value::Int(number, _) => write!(text, "{number}"),
        Value::Uint(number, _) => write!(text, "{number}"),
        Value::Address(address) => write!(text, "{address}"),
        Value::FixedBytes(word, size) => write!(text, "0x{}", hex::encode(&word[..*size])),
        Value::Function(pointer) => write!(text, "0x{}", hex::encode(pointer)),
        Value::Bytes(bytes) => {
            write!(text, "0x{}", hex::encode(&bytes[..bytes.len().min(MAX_TEXT_CHARS)]))
        }
        Value::String(string) => {
            write!(text, "{:?}", string.chars().take(MAX_TEXT_CHARS).collect::<String>())
        }
        Value::Array(values) | Value::FixedArray(values) => {
            write_list(text, values, ['[', ']']);
            Ok(())
        }
        Value::Tuple(values) => {
            write_list(text, values, ['(', ')']);
            Ok(())
        }
    };
}

fn write_list(text: &mut String, values: &[Value], brackets: [char; 2]) {
    text.push(brackets[0]);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        if text.len() > MAX_TEXT_CHARS {
            break;
        }
        write_value(text, value);
    }
    text.push(brackets[1]);
}
