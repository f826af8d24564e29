//! Canonical JSON: a reader that accepts one spelling of a value and no other, so that a graph has one identity.
//!
//! Integers, strings, lists and objects; no spaces; the keys of an object strictly ascending by their UTF-8 bytes;
//! integers without sign of plus, leading zero or `-0`; in strings `\"` and `\\` are the only escapes and control
//! characters are refused. Depth and count of values are limited; the work is linear in the text.

use super::error::{ArtefactError, Limit};

/// How deep lists and objects may nest.
pub const MAXIMUM_DEPTH: usize = 8;
/// How many values one text may hold.
pub const MAXIMUM_VALUES: usize = 1 << 20;

/// A value of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A signed 64-bit integer.
    Integer(i64),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object: its keys ascend.
    Object(Vec<(String, Value)>),
}

/// Reads a whole text. `field` names it in errors.
pub fn read(text: &[u8], field: &'static str) -> Result<Value, ArtefactError> {
    let mut reader = Reader { text, at: 0, values: 0, field };
    let value = reader.value(0)?;
    if reader.at == text.len() { Ok(value) } else { Err(reader.refuse("text after the end")) }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    values: usize,
    field: &'static str,
}

impl Reader<'_> {
    fn refuse(&self, why: &str) -> ArtefactError {
        ArtefactError::field(self.field, format!("not canonical JSON at byte {}: {why}", self.at))
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, wanted: u8) -> Result<(), ArtefactError> {
        if self.peek() != Some(wanted) {
            return Err(self.refuse(&format!("{:?} expected", char::from(wanted))));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value, ArtefactError> {
        self.values += 1;
        if self.values > MAXIMUM_VALUES {
            return Err(ArtefactError::limit(self.field, Limit::Values, MAXIMUM_VALUES));
        }
        if depth > MAXIMUM_DEPTH {
            return Err(ArtefactError::limit(self.field, Limit::Depth, MAXIMUM_DEPTH));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.integer(),
            _ => Err(self.refuse("an integer, string, list or object expected")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, ArtefactError> {
        self.expect(b'{')?;
        let mut entries: Vec<(String, Value)> = Vec::new();
        while self.peek() != Some(b'}') {
            if !entries.is_empty() {
                self.expect(b',')?;
            }
            let key = self.string()?;
            if entries.last().is_some_and(|(last, _)| *last >= key) {
                return Err(self.refuse(&format!("key {key:?} is out of order or repeated")));
            }
            self.expect(b':')?;
            entries.push((key, self.value(depth + 1)?));
        }
        self.at += 1;
        Ok(Value::Object(entries))
    }

    fn list(&mut self, depth: usize) -> Result<Value, ArtefactError> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        while self.peek() != Some(b']') {
            if !items.is_empty() {
                self.expect(b',')?;
            }
            items.push(self.value(depth + 1)?);
        }
        self.at += 1;
        Ok(Value::List(items))
    }

    fn string(&mut self) -> Result<String, ArtefactError> {
        self.expect(b'"')?;
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(escaped @ (b'"' | b'\\')) => bytes.push(escaped),
                        _ => return Err(self.refuse("only \\\" and \\\\ are escapes")),
                    }
                }
                Some(plain) if plain >= 0x20 => bytes.push(plain),
                Some(_) => return Err(self.refuse("a control character in a string")),
                None => return Err(self.refuse("the text ends inside a string")),
            }
            self.at += 1;
        }
        self.at += 1;
        String::from_utf8(bytes).map_err(|_| self.refuse("a string that is not UTF-8"))
    }

    fn integer(&mut self) -> Result<Value, ArtefactError> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        let digits = std::str::from_utf8(&self.text[start..self.at]).unwrap_or_default();
        let number: i64 = digits.parse().map_err(|_| self.refuse("not a 64-bit integer"))?;
        // One spelling only: this also refuses -0 and leading zeros.
        if number.to_string() != digits {
            return Err(self.refuse("an integer with leading zeros or a negative zero"));
        }
        Ok(Value::Integer(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Result<Value, ArtefactError> {
        read(value.as_bytes(), "test")
    }

    #[test]
    fn canonical_reads_every_kind() {
        let value = text(r#"{"a":[1,-2,{}],"b":"\"\\é"}"#).unwrap();
        let list = Value::List(vec![Value::Integer(1), Value::Integer(-2), Value::Object(vec![])]);
        assert_eq!(value, Value::Object(vec![("a".into(), list), ("b".into(), Value::Text("\"\\é".into()))]));
        assert_eq!(text("-9223372036854775808").unwrap(), Value::Integer(i64::MIN));
    }

    #[test]
    fn canonical_refuses_every_other_spelling() {
        for bad in [
            "",
            " 1",
            "1 ",
            "01",
            "-0",
            "+1",
            "1.0",
            "1e3",
            "9223372036854775808",
            "true",
            "null",
            "[1,]",
            "[,1]",
            "[1 ,2]",
            "{\"a\":1,\"a\":2}",
            "{\"b\":1,\"a\":2}",
            "{\"a\": 1}",
            "{a:1}",
            "\"\\n\"",
            "\"\\u0041\"",
            "\"\n\"",
            "\"",
            "[",
            "{",
            "{\"a\"",
            "{\"a\":",
            "[1]]",
            "-",
            "\"\\",
            "{\"a\":1,}",
        ] {
            assert!(text(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(read(b"\"\xff\"", "test").is_err());
    }

    #[test]
    fn canonical_limits_depth_and_count() {
        let deep = "[".repeat(1 << 16);
        assert!(text(&deep).unwrap_err().to_string().contains("depth"));
        let fits = format!("{}{}", "[".repeat(MAXIMUM_DEPTH), "]".repeat(MAXIMUM_DEPTH));
        assert!(text(&fits).is_ok());
        let many = format!("[{}1]", "1,".repeat(MAXIMUM_VALUES));
        assert!(text(&many).unwrap_err().to_string().contains("values"));
    }
}
