//! What is wrong, and where.

/// An interface, an argument or a result that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct AbiError {
    /// The place: `[3].inputs`, `amounts[2].to`.
    pub field: String,
    /// What is wrong there.
    pub detail: String,
}

impl AbiError {
    /// Something wrong at a place.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }

    /// The same, inside of `outer`.
    #[must_use]
    pub fn inside(mut self, outer: &str) -> Self {
        let joint =
            if self.field.is_empty() || self.field.starts_with('[') || outer.is_empty() { "" } else { "." };
        self.field = format!("{outer}{joint}{}", self.field);
        self
    }
}
