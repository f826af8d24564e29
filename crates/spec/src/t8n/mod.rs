//! The state-transition tool: three inputs (`alloc`, `env`, `txs`) in, three outputs (`result`, `alloc`, `body`)
//! out, in the JSON of geth's `evm t8n`. The oracle is the specification's own tool, `ethereum-spec-evm t8n`
//! (tests/t8n compares): where it and geth differ, it is followed.
//!
//! - The transactions trie and the body hold every transaction that can be read, rejected ones included, and the
//!   receipts trie keeps each one's index.
//! - Without a reward in the options the fork's own is paid.
//! - A receipt has the fields of both tools.
//!
//! Not here: files, flags and standard streams, which are the command line's.

mod error;
mod fields;
mod input;
mod output;
mod transactions;
mod transition;

use std::path::PathBuf;

pub use error::T8nError;
pub use solder_engine::block::Reward;

/// The most bytes that one input may have.
pub const MAX_INPUT_BYTES: usize = 1 << 30;

/// What the command line says beside the inputs.
#[derive(Clone, Debug)]
pub struct Options {
    /// A fork, or a transition as the official tests name it (`BerlinToLondonAt5`).
    pub fork: String,
    /// The chain's id.
    pub chain_id: u64,
    /// `None` for the fork's own block reward.
    pub reward: Option<Reward>,
    /// Blob parameters that replace the fork's: JSON `{"target", "max", "baseFeeUpdateFraction"}`.
    pub blob_params: Option<Vec<u8>>,
    /// Transactions alone: no calls of the protocol, no reward, no withdrawals.
    pub state_test: bool,
    /// Where to trace to, if anywhere.
    pub trace: Option<TraceOptions>,
}

/// Step traces: one file a transaction, written while it runs, since a trace can be far larger than memory.
#[derive(Clone, Debug)]
pub struct TraceOptions {
    /// Where `trace-<index>-<hash>.jsonl` go.
    pub folder: PathBuf,
    /// With memory before each step.
    pub memory: bool,
    /// With the stack.
    pub stack: bool,
    /// With what the last call returned.
    pub return_data: bool,
}

/// What a transition gives: JSON documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// Roots, receipts, rejected transactions, gas.
    pub result: Vec<u8>,
    /// The state after the block.
    pub alloc: Vec<u8>,
    /// The transactions as a JSON string with the hex of their RLP list.
    pub body: Vec<u8>,
}

/// Runs a transition.
pub fn run(alloc: &[u8], env: &[u8], txs: &[u8], options: &Options) -> Result<Outputs, T8nError> {
    for (file, text) in [("alloc", alloc), ("env", env), ("txs", txs)] {
        if text.len() > MAX_INPUT_BYTES {
            let detail = format!("{} bytes, more than {MAX_INPUT_BYTES}", text.len());
            return Err(fields::Problem::new("", detail).of(file));
        }
    }
    let chain = transition::chain(options)?;
    let env = input::read_env(env, &options.fork, chain)?;
    let state = input::read_alloc(alloc)?;
    let candidates = transactions::read_transactions(txs, env.fork, options.chain_id)?;
    output::write(&transition::transition(env, state, candidates, options)?)
}
