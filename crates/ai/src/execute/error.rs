//! Why a run ends without outputs.

use crate::artefact::{ArtefactError, Limit};
use crate::kernels::KernelError;

/// A run that gives no outputs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// An input, an option or a limit: the caller's to change.
    #[error(transparent)]
    Refused(#[from] ArtefactError),
    /// The caller does not wait any more.
    #[error("cancelled")]
    Cancelled,
    /// This machine's failure, or a defect of ours.
    #[error("{0}")]
    Fault(String),
}

impl RunError {
    /// An input or option with what is wrong in it.
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Refused(ArtefactError::field(field, detail))
    }

    /// More memory than is allowed.
    pub fn memory(bytes: u128, most: u128) -> Self {
        let detail = format!("{bytes} bytes needed, {most} allowed ({})", Limit::MemoryBytes);
        Self::field("memory_limit", detail)
    }

    /// What admission rules out.
    pub fn defect(what: &str) -> Self {
        Self::Fault(format!("an admitted graph led to {what}"))
    }
}

impl From<KernelError> for RunError {
    fn from(error: KernelError) -> Self {
        match error {
            KernelError::UnknownPath { .. } | KernelError::UnavailablePath { .. } => {
                Self::field("kernel", error.to_string())
            }
            other => Self::Fault(other.to_string()),
        }
    }
}
