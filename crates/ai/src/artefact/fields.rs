//! Reading an object's fields: each by name and type, none left over.

use super::canonical::Value;
use super::error::ArtefactError;

/// The fields of one object that have not been taken yet.
pub struct Fields {
    place: String,
    entries: Vec<(String, Value)>,
}

impl Fields {
    /// The fields of an object; `place` names it in errors.
    pub fn new(value: Value, place: impl Into<String>) -> Result<Self, ArtefactError> {
        let place = place.into();
        match value {
            Value::Object(entries) => Ok(Self { place, entries }),
            _ => Err(ArtefactError::field(place, "not an object")),
        }
    }

    /// The name of one field in errors.
    pub fn place(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    /// A field that may be missing.
    pub fn optional(&mut self, name: &str) -> Option<Value> {
        let at = self.entries.iter().position(|(key, _)| key == name)?;
        Some(self.entries.remove(at).1)
    }

    /// A field that must be there.
    pub fn required(&mut self, name: &str) -> Result<Value, ArtefactError> {
        self.optional(name).ok_or_else(|| ArtefactError::field(self.place(name), "missing"))
    }

    /// An integer in a range.
    pub fn integer(&mut self, name: &str, least: i64, most: i64) -> Result<i64, ArtefactError> {
        match self.required(name)? {
            Value::Integer(number) if (least..=most).contains(&number) => Ok(number),
            Value::Integer(number) => {
                Err(ArtefactError::field(self.place(name), format!("{number} is not in {least}..={most}")))
            }
            _ => Err(ArtefactError::field(self.place(name), "not an integer")),
        }
    }

    /// A count or size in a range.
    pub fn size(&mut self, name: &str, least: usize, most: usize) -> Result<usize, ArtefactError> {
        let signed = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let number = self.integer(name, signed(least), signed(most))?;
        Ok(usize::try_from(number).unwrap_or(least))
    }

    /// A string.
    pub fn text(&mut self, name: &str) -> Result<String, ArtefactError> {
        match self.required(name)? {
            Value::Text(text) => Ok(text),
            _ => Err(ArtefactError::field(self.place(name), "not a string")),
        }
    }

    /// A list.
    pub fn list(&mut self, name: &str) -> Result<Vec<Value>, ArtefactError> {
        match self.required(name)? {
            Value::List(items) => Ok(items),
            _ => Err(ArtefactError::field(self.place(name), "not a list")),
        }
    }

    /// A list of strings.
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>, ArtefactError> {
        let items = self.list(name)?;
        let text = |value| match value {
            Value::Text(text) => Ok(text),
            _ => Err(ArtefactError::field(self.place(name), "not a list of strings")),
        };
        items.into_iter().map(text).collect()
    }

    /// Refuses what nobody asked for.
    pub fn finish(self) -> Result<(), ArtefactError> {
        match self.entries.first() {
            None => Ok(()),
            Some((name, _)) => Err(ArtefactError::field(self.place(name), "unknown field")),
        }
    }
}
