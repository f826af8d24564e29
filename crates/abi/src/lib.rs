//! What a contract's interface says: functions, events and errors, read from JSON, from signatures or from the artefacts of
//! forge, hardhat, solc and vyper; calls encoded, results, logs and reverts decoded. It knows neither the EVM nor Python.
//!
//! Types, signatures and encoding are alloy's. Decoding is ours: what comes back from a contract is untrusted, and alloy's
//! decoder neither names the field that is wrong, nor refuses a word that its type cannot hold, nor bounds what a few bytes
//! may unfold to below a gibibyte.

mod artefact;
mod decode;
mod entry;
mod error;
mod interface;
mod parameter;
mod signature;
mod text;

pub use alloy_dyn_abi::DynSolValue as Value;
pub use artefact::{Artefact, MAX_ARTEFACT_BYTES};
pub use decode::{decode, decode_word, word_fits};
pub use entry::{ErrorEntry, Event, Function};
pub use error::AbiError;
pub use interface::{Interface, Logged, MAX_ENTRIES};
pub use parameter::{Kind, MAX_HEAD_WORDS, MAX_NESTING, MAX_TYPE_CHARS, Parameter, Type};
pub use text::{MAX_TEXT_CHARS, shown, shown_values};
