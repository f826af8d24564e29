//! What goes wrong between us and a node. Each kind has a stable code; all are faults of this machine or of the node, never
//! outcomes, and nothing of what came with one is kept.

use std::fmt;

use solder_engine::Fault;
use solder_engine::chain::UnknownFork;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// What kind of failure it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $($(#[$doc])* $variant),+ }

        impl Kind {
            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// All codes.
            pub const CODES: &'static [&'static str] = &[$($name),+];
        }
    };
}

kinds! {
    /// No answer after all attempts: no connection, a time-out, a truncated body, a status that asks to come again.
    Unreachable = "Fault.REMOTE_UNREACHABLE",
    /// The node answers that it will not: a status, or an error of JSON-RPC.
    Refused = "Fault.REMOTE_REFUSED",
    /// An answer that is none: no JSON, another id, a field missing or of another type.
    Reply = "Fault.REMOTE_REPLY",
    /// An answer beyond a limit.
    Limit = "Fault.REMOTE_LIMIT",
    /// An answer that contradicts the block's hash or state root.
    Mismatch = "Fault.REMOTE_MISMATCH",
    /// The pinned block is no longer in the node's chain.
    Reorganised = "Fault.REMOTE_REORGANISED",
    /// Something that a node cannot be asked for, such as all slots of an account.
    Unsupported = "Fault.REMOTE_UNSUPPORTED",
}

/// A failure, with its cause in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteError {
    /// What kind.
    pub kind: Kind,
    /// The cause; names the node, not the secrets in its URL.
    pub detail: String,
}

impl RemoteError {
    /// A failure of `kind`.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// An answer that is none.
    pub fn reply(detail: impl Into<String>) -> Self {
        Self::new(Kind::Reply, detail)
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for RemoteError {}

impl From<RemoteError> for Fault {
    fn from(error: RemoteError) -> Self {
        Self::Source { code: error.kind.code(), detail: error.detail }
    }
}

/// Why a state could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The node, or the way to it.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// An argument that cannot be used.
    #[error("{field}: {detail}")]
    Input {
        /// Which.
        field: &'static str,
        /// Why.
        detail: String,
    },
    /// A chain whose rules are not known here.
    #[error(transparent)]
    Unknown(#[from] UnknownFork),
}

impl OpenError {
    /// A bad argument.
    pub fn input(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Input { field, detail: detail.into() }
    }
}

/// Text that a node sent, as far as an error may repeat it: a line of printable characters.
pub(crate) fn excerpt(text: &str) -> String {
    const MOST: usize = 160;
    let mut shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push_str("...");
    }
    shown
}
