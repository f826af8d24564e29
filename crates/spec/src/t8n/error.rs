//! What stops a transition before it has a result. A rejected transaction does not: it is part of the result.

use solder_engine::chain::fork::UnknownFork;
use solder_engine::{EngineError, Fault, Rejection};

use super::fields::Problem;

/// Why a transition has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum T8nError {
    /// An input is unreadable, mistyped or contradictory.
    #[error("{file}: {field}: {detail}")]
    Input {
        /// `alloc`, `env`, `txs`, `blobParams` or `state` (the options).
        file: &'static str,
        /// The field, as a path: `withdrawals[2].amount`. Empty for the whole file.
        field: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The fork is not known.
    #[error(transparent)]
    UnknownFork(#[from] UnknownFork),
    /// The block cannot be executed as a whole, whatever its transactions.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// This machine failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<EngineError> for T8nError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Rejected(rejection) => Self::Rejected(rejection),
            EngineError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl Problem {
    /// The problem as an error of `file`.
    pub(super) fn of(self, file: &'static str) -> T8nError {
        T8nError::Input { file, field: self.field, detail: self.detail }
    }
}
