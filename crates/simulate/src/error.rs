//! What stops a simulation.

use solder_engine::{EngineError, Fault, Rejection};

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SimulateError {
    /// The chain's rules forbid it, or this machine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An argument or bytes that cannot be used.
    #[error("{field}: {detail}")]
    Input {
        /// Which.
        field: String,
        /// Why.
        detail: String,
    },
}

impl SimulateError {
    /// A bad argument.
    pub fn input(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Input { field: field.into(), detail: detail.into() }
    }
}

impl From<Fault> for SimulateError {
    fn from(fault: Fault) -> Self {
        Self::Engine(fault.into())
    }
}

impl From<Rejection> for SimulateError {
    fn from(rejection: Rejection) -> Self {
        Self::Engine(rejection.into())
    }
}
