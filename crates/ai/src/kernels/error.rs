//! What a kernel refuses. Kernels check shapes and the machine's features; ranges are proven at admission.

use thiserror::Error;

/// A call that no kernel can serve. None of these depends on the values in a tensor.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KernelError {
    /// The name is none of the paths.
    #[error("kernel {name:?} is unknown; one of {known}")]
    UnknownPath {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// This machine lacks the instructions.
    #[error("kernel {path} needs {needs}, which this machine lacks")]
    UnavailablePath {
        /// The path's name.
        path: &'static str,
        /// The instruction sets that it needs.
        needs: &'static str,
    },
    /// A length, width or stride does not fit its neighbours.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Which extent of which argument.
        what: &'static str,
        /// What the other arguments ask for.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// A parameter is outside what the formula allows.
    #[error("{what} is {found}, outside {minimum}..={maximum}")]
    Parameter {
        /// The parameter's name.
        what: &'static str,
        /// Its value.
        found: i64,
        /// The least allowed value.
        minimum: i64,
        /// The greatest allowed value.
        maximum: i64,
    },
    /// A size does not fit the address space.
    #[error("{what} needs more bytes than can be addressed")]
    TooLarge {
        /// What was to be made.
        what: &'static str,
    },
}

/// Refuses `found` unless it is `expected`.
pub(crate) fn expect(what: &'static str, expected: usize, found: usize) -> Result<(), KernelError> {
    if expected == found { Ok(()) } else { Err(KernelError::Shape { what, expected, found }) }
}

/// Refuses `found` outside of `minimum..=maximum`.
pub(crate) fn within(what: &'static str, found: i64, minimum: i64, maximum: i64) -> Result<(), KernelError> {
    if (minimum..=maximum).contains(&found) {
        Ok(())
    } else {
        Err(KernelError::Parameter { what, found, minimum, maximum })
    }
}
