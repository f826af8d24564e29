//! What a chain is made of: forks, headers, transactions, blocks, receipts. Values and their encodings; nothing
//! here executes.

pub mod block;
pub mod envelope;
pub mod fork;
pub mod public;
pub mod receipt;
pub mod transaction;

pub use alloy_consensus::Header;
pub use alloy_eips::eip4895::Withdrawal;
pub use block::Block;
pub use fork::{Activation, Chain, Fork, UnknownFork};
pub use receipt::Receipt;
pub use transaction::{Signature, Transaction};
