//! Why nothing was measured.

use std::fmt;

use solder_spec::InputError;

use crate::Workload;

/// Why nothing was measured.
#[derive(Debug)]
pub enum Failure {
    /// A file.
    Input(InputError),
    /// Nothing has the name that was asked for.
    Nothing(String),
    /// An engine stopped, or two of them disagree.
    Outcome(String),
}

impl Failure {
    /// `who` stopped on a block.
    pub fn stopped(workload: &Workload, who: &str, why: impl fmt::Display) -> Self {
        Self::Outcome(format!("{}: {who}: {why}", workload.name))
    }

    /// The process's exit code: 2 for input, 1 for an outcome.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) | Self::Nothing(_) => 2,
            Self::Outcome(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(error) => error.fmt(f),
            Self::Nothing(name) => write!(f, "--only {name}: no such measurement, or its data is absent"),
            Self::Outcome(detail) => f.write_str(detail),
        }
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        Self::Input(error)
    }
}
