//! The one error for files that cannot be read, do not have their type, exceed a limit or contradict themselves:
//! it names the file and the field. A test case that fails is no error (it is a report), and a fault of ours is
//! `solder_engine::Fault`.

use std::fmt;

/// An unreadable, mistyped, oversized or contradictory input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// The file, as it was named by the caller (`archive.tar.xz::inner/path` inside an archive).
    pub path: String,
    /// The field, where one is to blame: `pre.0xabc.balance`.
    pub field: Option<String>,
    /// What is wrong with it.
    pub detail: String,
}

impl InputError {
    /// An error of a whole file.
    pub fn file(path: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { path: path.into(), field: None, detail: detail.to_string() }
    }

    /// An error of one field of a file.
    pub fn field(path: impl Into<String>, field: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { path: path.into(), field: Some(field.into()), detail: detail.to_string() }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{}: {field}: {}", self.path, self.detail),
            None => write!(f, "{}: {}", self.path, self.detail),
        }
    }
}

impl std::error::Error for InputError {}
