//! What geth makes of the data that a call reverted with: the text of `Error(string)`, and its words for `Panic(uint256)`.

use alloy_primitives::U256;

/// `Error(string)`.
const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// `Panic(uint256)`.
const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];

/// The reason; `None` where the data are neither.
pub fn revert_reason(output: &[u8]) -> Option<String> {
    let (selector, arguments) = output.split_first_chunk::<4>()?;
    match *selector {
        ERROR => message(arguments),
        PANIC => arguments.first_chunk::<32>().map(|code| panic_text(U256::from_be_bytes(*code))),
        _ => None,
    }
}

fn message(arguments: &[u8]) -> Option<String> {
    let offset = number(arguments, 0)?;
    let length = number(arguments, offset)?;
    let start = offset.checked_add(32)?;
    let text = arguments.get(start..start.checked_add(length)?)?;
    let mut found = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        found.push_str(chunk.valid());
        // Go's encoder replaces each byte that is no text.
        found.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Some(found)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..at.checked_add(32)?)?;
    usize::try_from(U256::from_be_slice(word)).ok()
}

fn panic_text(code: U256) -> String {
    let known = match u8::try_from(code) {
        Ok(0x00) => "generic panic",
        Ok(0x01) => "assert(false)",
        Ok(0x11) => "arithmetic underflow or overflow",
        Ok(0x12) => "division or modulo by zero",
        Ok(0x21) => "enum overflow",
        Ok(0x22) => "invalid encoded storage byte array accessed",
        Ok(0x31) => "out-of-bounds array access; popping on an empty array",
        Ok(0x32) => "out-of-bounds access of an array or bytesN",
        Ok(0x41) => "out of memory",
        Ok(0x51) => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}"),
    };
    known.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(offset: u64, length: u64, text: &[u8]) -> Vec<u8> {
        let word = |value: u64| U256::from(value).to_be_bytes::<32>();
        [&ERROR[..], &word(offset), &word(length), text].concat()
    }

    #[test]
    fn text_is_cut_out_and_repaired() {
        assert_eq!(revert_reason(&error(32, 2, b"no pad")), Some("no".into()));
        assert_eq!(revert_reason(&error(32, 3, b"a\xff\xfe")), Some("a\u{fffd}\u{fffd}".into()));
        assert_eq!(revert_reason(&error(32, 9, b"short")), None);
        assert_eq!(revert_reason(&error(u64::MAX, 1, b"a")), None);
        assert_eq!(revert_reason(&ERROR), None);
        assert_eq!(revert_reason(b"\x01"), None);
    }

    #[test]
    fn panics_are_geths_words() {
        let panic = |code: u64| [&PANIC[..], &U256::from(code).to_be_bytes::<32>()].concat();
        assert_eq!(revert_reason(&panic(0x11)).unwrap(), "arithmetic underflow or overflow");
        assert_eq!(revert_reason(&panic(0x99)).unwrap(), "unknown panic code: 0x99");
        assert_eq!(revert_reason(&panic(0x1_0001)).unwrap(), "unknown panic code: 0x10001");
    }
}
