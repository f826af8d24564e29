//! JSON, written as geth writes it: lower-case hex, no spaces.

use std::fmt::Write;

use alloy_primitives::hex;

/// Bytes as a hex string with quotes.
pub fn write_hex(out: &mut String, bytes: &[u8]) {
    out.push('"');
    out.push_str(&hex::encode_prefixed(bytes));
    out.push('"');
}

/// Any text as a JSON string.
pub fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control < ' ' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// A comma, except in front of the first of a list or an object.
pub fn separate(out: &mut String) {
    if !out.ends_with(['{', '[']) {
        out.push(',');
    }
}

/// A member's name and colon.
pub fn write_key(out: &mut String, key: &str) {
    separate(out);
    write_text(out, key);
    out.push(':');
}
