//! Values out of bytes that nobody vouches for: every word is checked against its type, every offset and length against
//! what is there, and the number of values against the length of the data.

use alloy_primitives::{Address, B256, Function, I256, U256};

use crate::Value;
use crate::error::AbiError;
use crate::parameter::{Kind, Parameter, Type};

/// Two offsets may name the same bytes; a value may so be read this often on average.
const MAX_SHARING: usize = 8;
const WORD: usize = 32;

/// The values of `parameters` in `data`. What follows them is not looked at, as Solidity does not.
pub fn decode(parameters: &[Parameter], data: &[u8]) -> Result<Vec<Value>, AbiError> {
    let budget = (data.len() / WORD + 1).saturating_mul(MAX_SHARING);
    Reader { data, budget }.fields(parameters, 0)
}

struct Reader<'a> {
    data: &'a [u8],
    /// How many more values may be read.
    budget: usize,
}

impl<'a> Reader<'a> {
    fn fields(&mut self, fields: &[Parameter], base: usize) -> Result<Vec<Value>, AbiError> {
        let mut head = base;
        let mut values = Vec::with_capacity(fields.len());
        for (index, field) in fields.iter().enumerate() {
            let value = self.value(&field.ty, base, head);
            values.push(value.map_err(|error| error.inside(&field.label(index)))?);
            head = head.saturating_add(field.ty.head_words * WORD);
        }
        Ok(values)
    }

    fn elements(&mut self, ty: &Type, count: usize, base: usize) -> Result<Vec<Value>, AbiError> {
        let needed = count.checked_mul(ty.head_words * WORD);
        let there = self.data.len().saturating_sub(base);
        if needed.is_none_or(|needed| needed > there) {
            let detail = format!("{count} elements of {ty} are not in the {there} bytes that are left");
            return Err(AbiError::new("", detail));
        }
        let mut values = Vec::with_capacity(count.min(self.budget));
        for index in 0..count {
            let value = self.value(ty, base, base + index * ty.head_words * WORD);
            values.push(value.map_err(|error| error.inside(&format!("[{index}]")))?);
        }
        Ok(values)
    }

    fn value(&mut self, ty: &Type, base: usize, head: usize) -> Result<Value, AbiError> {
        // What has a fixed size and parts is counted by its parts.
        if ty.dynamic || ty.is_word() {
            self.budget = self.budget.checked_sub(1).ok_or_else(|| {
                AbiError::new(
                    "",
                    format!("offsets unfold {} bytes to more than they can hold", self.data.len()),
                )
            })?;
        }
        let at = if ty.dynamic {
            let offset = self.number(head, "offset")?;
            base.checked_add(offset).filter(|at| *at <= self.data.len()).ok_or_else(|| {
                AbiError::new("", format!("offset {offset} is outside of {} bytes", self.data.len()))
            })?
        } else {
            head
        };
        match &ty.kind {
            Kind::Bytes => Ok(Value::Bytes(self.bytes(at)?.to_vec())),
            Kind::String => {
                let text = std::str::from_utf8(self.bytes(at)?);
                let text = text.map_err(|error| AbiError::new("", format!("not UTF-8: {error}")))?;
                Ok(Value::String(text.into()))
            }
            Kind::Array(inner) => {
                let count = self.number(at, "length")?;
                Ok(Value::Array(self.elements(inner, count, at + WORD)?))
            }
            Kind::FixedArray(inner, count) => Ok(Value::FixedArray(self.elements(inner, *count, at)?)),
            Kind::Tuple(fields) => Ok(Value::Tuple(self.fields(fields, at)?)),
            word => decode_word(word, self.word(at)?),
        }
    }

    fn bytes(&self, at: usize) -> Result<&'a [u8], AbiError> {
        let length = self.number(at, "length")?;
        let start = at + WORD;
        start.checked_add(length).and_then(|end| self.data.get(start..end)).ok_or_else(|| {
            let there = self.data.len().saturating_sub(start);
            AbiError::new("", format!("{length} bytes are not in the {there} that are left"))
        })
    }

    fn word(&self, at: usize) -> Result<&'a [u8; WORD], AbiError> {
        let word = self.data.get(at..).and_then(|rest| rest.first_chunk());
        word.ok_or_else(|| {
            AbiError::new("", format!("the data ends after {} bytes, a word is missing", self.data.len()))
        })
    }

    /// An offset or a length.
    fn number(&self, at: usize, what: &str) -> Result<usize, AbiError> {
        let number = U256::from_be_bytes(*self.word(at)?);
        usize::try_from(number).map_err(|_| AbiError::new("", format!("{what} {number} is too large")))
    }
}

/// Whether a word has bits only where its type has some. False for a type that is no word.
pub fn word_fits(kind: &Kind, word: &[u8; WORD]) -> bool {
    let zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    match kind {
        Kind::Bool => zero(&word[..31]) && word[31] <= 1,
        Kind::Uint(bits) => zero(&word[..WORD - bits / 8]),
        Kind::Int(bits) => {
            let start = WORD - bits / 8;
            let sign = if word[start] >= 0x80 { 0xff } else { 0 };
            word[..start].iter().all(|byte| *byte == sign)
        }
        Kind::FixedBytes(size) => zero(&word[*size..]),
        Kind::Address => zero(&word[..12]),
        Kind::Function => zero(&word[24..]),
        _ => false,
    }
}

/// The value of a type of one word. A word with bits where the type has none is refused.
pub fn decode_word(kind: &Kind, word: &[u8; WORD]) -> Result<Value, AbiError> {
    if !word_fits(kind, word) {
        let ty = Type { kind: kind.clone(), head_words: 1, dynamic: false };
        return Err(AbiError::new("", format!("{} is no {ty}", B256::new(*word))));
    }
    let number = U256::from_be_bytes(*word);
    Ok(match kind {
        Kind::Bool => Value::Bool(!number.is_zero()),
        Kind::Uint(bits) => Value::Uint(number, *bits),
        Kind::Int(bits) => Value::Int(I256::from_raw(number), *bits),
        Kind::Address => Value::Address(Address::from_slice(&word[12..])),
        Kind::Function => Value::Function(Function::from_slice(&word[..24])),
        Kind::FixedBytes(size) => Value::FixedBytes(B256::new(*word), *size),
        _ => Value::FixedBytes(B256::new(*word), WORD),
    })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Bytes;

    use super::*;
    use crate::Interface;

    fn outputs(signature: &str) -> Vec<Parameter> {
        let interface = Interface::from_signatures([signature]).unwrap();
        interface.functions[0].outputs.clone()
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let parameters = outputs("f() returns (string a, (uint8 b, int16[] c)[2] d)");
        let item = |number: u8| {
            Value::Tuple(vec![
                Value::Uint(U256::from(number), 8),
                Value::Array(vec![Value::Int(I256::MINUS_ONE, 16); 3]),
            ])
        };
        let values = vec![Value::String("\u{e9}".into()), Value::FixedArray(vec![item(1), item(255)])];
        let data = Value::Tuple(values.clone()).abi_encode_params();
        assert_eq!(decode(&parameters, &data), Ok(values));
        for end in 0..data.len() {
            // The last word ends with padding that nobody reads.
            let cut = decode(&parameters, &data[..end]);
            assert!(cut.is_err() || end + 32 > data.len(), "{end}");
        }
    }

    #[test]
    fn a_word_holds_what_its_type_holds() {
        let word = |number: U256| number.to_be_bytes::<32>();
        assert!(decode_word(&Kind::Uint(8), &word(U256::from(255))).is_ok());
        assert!(decode_word(&Kind::Uint(8), &word(U256::from(256))).is_err());
        assert!(decode_word(&Kind::Int(8), &word(U256::from(127))).is_ok());
        assert!(decode_word(&Kind::Int(8), &word(U256::from(128))).is_err());
        let least = U256::MAX - U256::from(127);
        assert_eq!(
            decode_word(&Kind::Int(8), &word(least)),
            Ok(Value::Int(I256::try_from(-128).unwrap(), 8))
        );
        assert!(decode_word(&Kind::Int(8), &word(least - U256::from(1))).is_err());
        assert!(decode_word(&Kind::Int(256), &word(U256::from(1) << 255)).is_ok());
        assert!(decode_word(&Kind::Bool, &word(U256::from(2))).is_err());
        assert!(decode_word(&Kind::Address, &word(U256::from(1) << 160)).is_err());
        assert!(decode_word(&Kind::FixedBytes(31), &word(U256::from(1))).is_err());
        assert!(decode_word(&Kind::Bytes, &word(U256::ZERO)).is_err());
    }

    #[test]
    fn lengths_that_lie_allocate_nothing() {
        let parameters = outputs("f() returns (bytes32[] a)");
        let mut data = word_of(32).to_vec();
        for length in [1u64, 1 << 32, 1 << 58, 1 << 59, u64::MAX] {
            data.truncate(32);
            data.extend(word_of(length));
            let error = decode(&parameters, &Bytes::from(data.clone())).unwrap_err();
            assert_eq!(error.field, "a");
            assert!(error.detail.contains("are not in the 0 bytes"), "{error}");
        }
    }

    #[test]
    fn nesting_alone_is_no_unfolding() {
        let parameters = outputs(&format!("f() returns ({}uint256{} a)", "(".repeat(15), ")".repeat(15)));
        assert!(decode(&parameters, &word_of(5)).is_ok());
    }

    #[test]
    fn two_offsets_may_name_the_same_bytes() {
        let parameters = outputs("f() returns (string a, string b)");
        let mut data = Vec::new();
        for word in [64, 64, 2] {
            data.extend(word_of(word));
        }
        data.extend(B256::right_padding_from(b"hi"));
        let twice = vec![Value::String("hi".into()); 2];
        assert_eq!(decode(&parameters, &data), Ok(twice));
    }

    fn word_of(number: u64) -> [u8; 32] {
        U256::from(number).to_be_bytes()
    }
}
