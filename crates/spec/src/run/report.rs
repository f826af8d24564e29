//! What a run says about a case.

use std::fmt;

use solder_engine::Fault;

use crate::input_error::InputError;

/// The official formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// State tests: one transaction on a state.
    State,
    /// Blockchain tests: blocks on a genesis.
    Block,
    /// RLP, valid and invalid.
    Rlp,
    /// Trie roots.
    Trie,
    /// Transactions, valid and invalid by fork.
    Transaction,
}

/// One field that is not what the fixture says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Which one, by its name in the fixture.
    pub field: String,
    /// What the fixture says.
    pub expected: String,
    /// What came out.
    pub got: String,
}

impl Mismatch {
    /// A mismatch of `field`.
    pub fn new(field: impl Into<String>, expected: impl ToString, got: impl ToString) -> Self {
        Self { field: field.into(), expected: expected.to_string(), got: got.to_string() }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.field, self.expected, self.got)
    }
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As the fixture says.
    Passed,
    /// Not as the fixture says; at least one mismatch.
    Failed(Vec<Mismatch>),
    /// Not run, and why.
    Skipped(&'static str),
}

impl Verdict {
    /// Passed where nothing is wrong.
    pub fn of(mismatches: Vec<Mismatch>) -> Self {
        if mismatches.is_empty() { Self::Passed } else { Self::Failed(mismatches) }
    }
}

/// One case of one file.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// Its name, unique in the run.
    pub name: String,
    /// Its fork or network.
    pub fork: String,
    /// The file that holds it.
    pub file: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Seconds of wall time that executing and checking took.
    pub seconds: f64,
    /// An EIP-3155 trace, where it failed and traces were asked for.
    pub trace: Option<String>,
}

impl CaseReport {
    /// Why it did not pass.
    pub fn error(&self) -> Option<String> {
        match &self.verdict {
            Verdict::Passed => None,
            Verdict::Skipped(reason) => Some((*reason).to_owned()),
            Verdict::Failed(mismatches) => {
                let texts: Vec<_> = mismatches.iter().map(Mismatch::to_string).collect();
                Some(texts.join("; "))
            }
        }
    }
}

/// What stops a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunError {
    /// The file is unreadable, mistyped, too large or contradicts itself.
    Input(InputError),
    /// A fault of ours in a case.
    Fault {
        /// The file.
        file: String,
        /// The case.
        case: String,
        /// What broke.
        detail: String,
    },
}

impl From<InputError> for RunError {
    fn from(error: InputError) -> Self {
        Self::Input(error)
    }
}

impl RunError {
    /// A panic, caught: in a case, or in a file before any case.
    pub(crate) fn panic(file: &str, case: &str, panic: Box<dyn std::any::Any + Send>) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
        Self::Fault { file: file.to_owned(), case: case.to_owned(), detail: format!("panic: {text}") }
    }

    /// A fault in a case.
    pub fn fault(file: &str, case: &str, fault: &Fault) -> Self {
        Self::Fault { file: file.to_owned(), case: case.to_owned(), detail: fault.to_string() }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(error) => error.fmt(f),
            Self::Fault { file, case, detail } => write!(f, "{file}: {case}: fault: {detail}"),
        }
    }
}

impl std::error::Error for RunError {}
