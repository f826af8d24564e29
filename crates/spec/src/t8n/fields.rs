//! JSON read strictly: duplicate keys are an error, numbers are whole, and a problem names its field. Values are
//! read as geth's tools read them: a quantity is a JSON number, a `0x` hex string or a decimal string.
//!
//! Not for output, and no mirror of a file's structure in Rust types: inputs are small, and what they hold depends
//! on the fork.

use std::borrow::Cow;
use std::fmt;

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// A JSON value that borrows its text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Number(u64),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// What is wrong with which field; the file is added where it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub field: String,
    pub detail: String,
}

impl Problem {
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }

    /// The same problem, seen from the value that holds the field.
    pub fn within(self, outer: impl fmt::Display) -> Self {
        let dot = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        Self { field: format!("{outer}{dot}{}", self.field), detail: self.detail }
    }
}

impl<'a> Json<'a> {
    /// Parses a whole document.
    pub fn parse(text: &'a [u8]) -> Result<Self, Problem> {
        serde_json::from_slice(text).map_err(|error| Problem::new("", error.to_string()))
    }

    /// The members of an object.
    pub fn object(&self) -> Result<Fields<'_, 'a>, String> {
        match self {
            Self::Object(members) => Ok(Fields(members)),
            other => Err(format!("{} instead of an object", other.kind())),
        }
    }

    pub fn list(&self) -> Result<&[Json<'a>], String> {
        match self {
            Self::List(items) => Ok(items),
            other => Err(format!("{} instead of a list", other.kind())),
        }
    }

    pub fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(format!("{} instead of a string", other.kind())),
        }
    }

    pub fn flag(&self) -> Result<bool, String> {
        match self {
            Self::Bool(value) => Ok(*value),
            other => Err(format!("{} instead of true or false", other.kind())),
        }
    }

    pub fn u256(&self) -> Result<U256, String> {
        match self {
            Self::Number(value) => Ok(U256::from(*value)),
            other => parse_quantity(other.text()?),
        }
    }

    pub fn u64(&self) -> Result<u64, String> {
        let value = self.u256()?;
        u64::try_from(value).map_err(|_| format!("{value} has more than 64 bits"))
    }

    pub fn bytes(&self) -> Result<Bytes, String> {
        parse_hex(self.text()?).map(Bytes::from)
    }

    pub fn address(&self) -> Result<Address, String> {
        parse_address(self.text()?)
    }

    pub fn hash(&self) -> Result<B256, String> {
        let bytes = parse_hex(self.text()?)?;
        B256::try_from(bytes.as_slice()).map_err(|_| format!("{} bytes instead of 32", bytes.len()))
    }

    /// A 32-byte word that may be written short.
    pub fn word(&self) -> Result<B256, String> {
        self.u256().map(B256::from)
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// The members of an object, to be asked for by name. `null` counts as absent.
#[derive(Clone, Copy)]
pub(super) struct Fields<'j, 'a>(pub &'j [(Cow<'a, str>, Json<'a>)]);

impl<'j, 'a> Fields<'j, 'a> {
    pub fn get(&self, name: &str) -> Option<&'j Json<'a>> {
        let found = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        found.filter(|value| **value != Json::Null)
    }

    /// Reads a field that may be absent.
    pub fn optional<T>(
        &self,
        name: &str,
        read: impl FnOnce(&'j Json<'a>) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        self.get(name).map(|value| read(value).map_err(|detail| Problem::new(name, detail))).transpose()
    }

    /// Reads a field that must be there.
    pub fn required<T>(
        &self,
        name: &str,
        read: impl FnOnce(&'j Json<'a>) -> Result<T, String>,
    ) -> Result<T, Problem> {
        self.optional(name, read)?.ok_or_else(|| Problem::new(name, "is missing"))
    }

    /// Reads the first of several names for one field.
    pub fn either<T>(
        &self,
        names: &[&str],
        read: impl Fn(&'j Json<'a>) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        for name in names {
            if let Some(value) = self.optional(name, &read)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

/// `0x` hex, or decimal.
pub(super) fn parse_quantity(text: &str) -> Result<U256, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some("") => return Ok(U256::ZERO),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            U256::from_str_radix(digits, 16)
        }
        None if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            U256::from_str_radix(text, 10)
        }
        _ => return Err(format!("{} is not a number", shorten(text))),
    };
    parsed.map_err(|_| format!("{} has more than 256 bits", shorten(text)))
}

/// Bytes in hex; the prefix may be missing, as geth reads addresses.
pub(super) fn parse_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    alloy_primitives::hex::decode(digits).map_err(|error| format!("{} is not hex: {error}", shorten(text)))
}

pub(super) fn parse_address(text: &str) -> Result<Address, String> {
    let bytes = parse_hex(text)?;
    Address::try_from(bytes.as_slice()).map_err(|_| format!("{} bytes instead of 20", bytes.len()))
}

/// Text for a message, cut where it is long.
fn shorten(text: &str) -> String {
    const SHOWN: usize = 40;
    let cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() { format!("{cut:?}...") } else { format!("{cut:?}") }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON with whole numbers")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Json::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        while let Some(Key(key)) = entries.next_key()? {
            members.push((key, entries.next_value()?));
        }
        let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(A::Error::custom(format!("key {:?} appears twice", pair[0]))),
            None => Ok(Json::Object(members)),
        }
    }
}

/// A key that borrows where it can.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(value.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quantity_forms() {
        let read = |text: &str| Json::parse(text.as_bytes()).unwrap().u256();
        assert_eq!(read("7"), Ok(U256::from(7)));
        assert_eq!(read("\"7\""), Ok(U256::from(7)));
        assert_eq!(read("\"0x10\""), Ok(U256::from(16)));
        assert_eq!(read("\"0x\""), Ok(U256::ZERO));
        assert!(read("\"\"").is_err());
        assert!(read("\"0xg\"").is_err());
        assert!(read("\"1_0\"").is_err());
        assert!(read("[]").is_err());
        assert!(read(&format!("\"0x1{}\"", "0".repeat(64))).is_err());
    }

    #[test]
    fn duplicate_keys_and_fractions_are_errors() {
        assert!(Json::parse(b"{\"a\": 1, \"a\": 2}").is_err());
        assert!(Json::parse(b"1.5").is_err());
        assert!(Json::parse(b"-1").is_err());
        assert!(Json::parse(b"{} x").is_err());
    }

    #[test]
    fn problem_names_the_path() {
        let problem = Problem::new("nonce", "is missing").within("[3]").within("txs");
        assert_eq!(problem.field, "txs[3].nonce");
    }
}
