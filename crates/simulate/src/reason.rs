//! Why a call reverted, in words: Solidity's `Error(string)` and `Panic(uint256)`. Custom errors need an ABI, which the
//! layer above knows.

use alloy_primitives::U256;

/// `Error(string)`.
const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// `Panic(uint256)`.
const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];
/// The most bytes of a message that are shown.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// A decoded reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `Error(string)`: what `require` and `revert` were given.
    Message(String),
    /// `Panic(uint256)`: what the compiler checks.
    Panic(U256),
    /// Neither: a custom error, by its selector.
    Custom([u8; 4]),
}

impl Reason {
    /// Reads what a call reverted with. `None` where it says nothing.
    pub fn decode(output: &[u8]) -> Option<Self> {
        let (selector, arguments) = output.split_first_chunk::<4>()?;
        let decoded = match *selector {
            ERROR => message(arguments),
            PANIC => arguments.first_chunk::<32>().map(|code| Self::Panic(U256::from_be_bytes(*code))),
            _ => None,
        };
        Some(decoded.unwrap_or(Self::Custom(*selector)))
    }
}

fn message(arguments: &[u8]) -> Option<Reason> {
    let offset = number(arguments, 0)?;
    let length = number(arguments, offset)?.min(MAX_MESSAGE_BYTES);
    let start = offset.checked_add(32)?;
    let text = arguments.get(start..start.checked_add(length)?)?;
    Some(Reason::Message(String::from_utf8_lossy(text).into_owned()))
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..at.checked_add(32)?)?;
    usize::try_from(U256::from_be_slice(word)).ok()
}

/// What Solidity means by a panic's code.
pub fn panic_meaning(code: U256) -> &'static str {
    match u8::try_from(code) {
        Ok(0x00) => "a compiler's own check",
        Ok(0x01) => "assertion failed",
        Ok(0x11) => "arithmetic overflow or underflow",
        Ok(0x12) => "division or modulo by zero",
        Ok(0x21) => "value is no member of the enum",
        Ok(0x22) => "storage byte array is wrongly encoded",
        Ok(0x31) => "pop from an empty array",
        Ok(0x32) => "array index out of bounds",
        Ok(0x41) => "too much memory, or an array too long",
        Ok(0x51) => "call of a zero function pointer",
        _ => "unknown code",
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Message(text) => f.write_str(text),
            Self::Panic(code) => write!(f, "Panic({code:#04x}): {}", panic_meaning(*code)),
            Self::Custom(selector) => {
                write!(f, "custom error {}", alloy_primitives::hex::encode_prefixed(selector))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;

    use super::*;

    #[test]
    fn reasons_are_decoded() {
        let error = hex!(
            "08c379a0"
            "0000000000000000000000000000000000000000000000000000000000000020"
            "0000000000000000000000000000000000000000000000000000000000000005"
            "68656c6c6f000000000000000000000000000000000000000000000000000000"
        );
        assert_eq!(Reason::decode(&error), Some(Reason::Message("hello".into())));
        let mut panic = PANIC.to_vec();
        panic.extend(U256::from(0x11).to_be_bytes::<32>());
        let reason = Reason::decode(&panic).unwrap();
        assert_eq!(reason.to_string(), "Panic(0x11): arithmetic overflow or underflow");
        assert_eq!(Reason::decode(b"\x01\x02\x03\x04"), Some(Reason::Custom([1, 2, 3, 4])));
        assert_eq!(Reason::decode(b""), None);
        assert_eq!(Reason::decode(&[1, 2, 3]), None);
    }

    #[test]
    fn a_lying_message_is_a_custom_error() {
        for offset in [U256::from(32), U256::from(64), U256::MAX] {
            for length in [U256::from(5), U256::MAX, U256::from(u64::MAX)] {
                let mut output = ERROR.to_vec();
                output.extend(offset.to_be_bytes::<32>());
                output.extend(length.to_be_bytes::<32>());
                assert_eq!(Reason::decode(&output), Some(Reason::Custom(ERROR)), "{offset} {length}");
            }
        }
    }
}
