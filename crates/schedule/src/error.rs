//! The one error of this crate: a file that cannot be read or written, is not ours, exceeds a limit or contradicts itself.

use std::fmt;

/// What is wrong, in which file, and in which field of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// The file.
    pub path: String,
    /// The field, where one is to blame: `solder.blocks[0].spans[3]`.
    pub field: Option<String>,
    /// What is wrong with it.
    pub detail: String,
}

impl TraceError {
    pub(crate) fn file(path: &str, detail: impl fmt::Display) -> Self {
        Self { path: path.into(), field: None, detail: detail.to_string() }
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{}: {field}: {}", self.path, self.detail),
            None => write!(f, "{}: {}", self.path, self.detail),
        }
    }
}

impl std::error::Error for TraceError {}
