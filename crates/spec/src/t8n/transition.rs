//! The transition itself: the inputs become a block, the engine executes it and leaves out what is invalid.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::{Address, B256, U256};
use revm::state::{AccountId, AccountInfo, Bytecode};
use solder_engine::block::import::root_with;
use solder_engine::block::{ExecuteOptions, Policy};
use solder_engine::state::{MemoryState, Read, StateReader, Ticket};
use solder_engine::trace::{TraceFields, TraceSink};
use solder_engine::{Block, BlockOutcome, Chain, ChangeSet, Fault, Rejection, Transaction, execute_block};

use super::error::T8nError;
use super::fields::{Json, Problem};
use super::input::Env;
use super::transactions::Candidate;
use super::{Options, TraceOptions};

/// Everything that the outputs are written from.
#[derive(Debug)]
pub(super) struct Transition {
    /// The environment.
    pub env: Env,
    /// Every transaction that can be read, as it was given: what the body and the transactions trie hold.
    pub listed: Vec<Vec<u8>>,
    /// The transactions that were given to the engine, in order.
    pub transactions: Vec<Transaction>,
    /// For each receipt: the index of its transaction among `transactions`, and among `listed`.
    pub included: Vec<(usize, usize)>,
    /// What the engine says.
    pub outcome: BlockOutcome,
    /// Rejected transactions: index in the input, and why.
    pub rejected: Vec<(usize, Rejection)>,
    /// The state after the block.
    pub state: MemoryState,
    /// Its root.
    pub state_root: B256,
}

/// The rules that the options name.
pub(super) fn chain(options: &Options) -> Result<Chain, T8nError> {
    let mut chain = Chain::from_network(&options.fork)?;
    chain.id = options.chain_id;
    if let Some(text) = &options.blob_params {
        override_blobs(&mut chain, text).map_err(|problem| problem.of("blobParams"))?;
    }
    Ok(chain)
}

/// Replaces the blob parameters of every fork in the schedule; without effect on forks before blobs.
fn override_blobs(chain: &mut Chain, text: &[u8]) -> Result<(), Problem> {
    let json = Json::parse(text)?;
    let fields = json.object().map_err(|detail| Problem::new("", detail))?;
    let target = fields.required("target", Json::u64)?;
    let max = fields.required("max", Json::u64)?;
    let fraction = fields.required("baseFeeUpdateFraction", Json::u64)?;
    if fraction == 0 || target > max {
        return Err(Problem::new("baseFeeUpdateFraction", "is zero, or target is above max"));
    }
    let forks: Vec<_> = chain.schedule.iter().map(|(fork, _)| *fork).collect();
    for fork in forks {
        let Some(mut params) = fork.blob_params() else { continue };
        if params.max_blobs_per_tx == params.max_blob_count {
            params.max_blobs_per_tx = max;
        }
        (params.target_blob_count, params.max_blob_count) = (target, max);
        params.update_fraction = u128::from(fraction);
        chain.blob_schedule.push((fork, params));
    }
    Ok(())
}

/// Executes the block that the inputs make.
pub(super) fn transition(
    env: Env,
    mut state: MemoryState,
    candidates: Vec<Candidate>,
    options: &Options,
) -> Result<Transition, T8nError> {
    for (number, hash) in &env.block_hashes {
        state.insert_block_hash(*number, *hash);
    }
    let mut listed = Vec::with_capacity(candidates.len());
    let mut transactions = Vec::with_capacity(candidates.len());
    // For each transaction of the block: its index in the input, and among the listed ones.
    let mut places = Vec::with_capacity(candidates.len());
    let mut rejected = Vec::new();
    for (index, candidate) in candidates.into_iter().enumerate() {
        let is_transaction = candidate.is_transaction();
        match candidate.read {
            Ok(transaction) => {
                transactions.push(transaction);
                places.push((index, listed.len()));
            }
            Err(rejection) => rejected.push((index, rejection)),
        }
        if is_transaction {
            listed.push(candidate.raw);
        }
    }
    let mut block = Block {
        header: env.header.clone(),
        transactions,
        ommers: env.ommers.clone(),
        withdrawals: env.withdrawals.clone(),
        size: None,
    };
    let names = trace_names(&block.transactions, &places, options);
    let outcome = execute(&env, &block, &state, options, &names)?;
    let mut included: Vec<_> = places.iter().map(|(_, place)| *place).enumerate().collect();
    for skipped in &outcome.skipped {
        rejected.push((places[skipped.index].0, skipped.rejection.clone()));
        included.retain(|(index, _)| *index != skipped.index);
    }
    rejected.sort_by_key(|(index, _)| *index);
    state.apply(&outcome.changes);
    let state_root = solder_engine::trie::state_root(&state);
    let transactions = std::mem::take(&mut block.transactions);
    Ok(Transition { env, listed, transactions, included, outcome, rejected, state, state_root })
}

fn execute(
    env: &Env,
    block: &Block,
    state: &MemoryState,
    options: &Options,
    names: &[PathBuf],
) -> Result<BlockOutcome, T8nError> {
    let fields = |trace: &TraceOptions| TraceFields {
        memory: trace.memory,
        return_data: trace.return_data,
        no_stack: !trace.stack,
        ..TraceFields::default()
    };
    let traces = options.trace.as_ref().map(|trace| TraceFiles { names, fields: fields(trace) });
    let reader = InputState { state, missing: AtomicU64::new(NONE_MISSING) };
    let intermediate_root = |changes: &ChangeSet| root_with(state, changes);
    let execute_options = ExecuteOptions {
        policy: Policy::Skip,
        intermediate_root: Some(&intermediate_root),
        reward: options.reward,
        transactions_only: options.state_test,
        trace: traces.as_ref().map(|traces| traces as &dyn TraceSink),
        cancel: None,
        meter: None,
        parallel: None,
    };
    let outcome = execute_block(&env.chain, env.fork, block, &reader, &execute_options);
    match reader.missing.into_inner() {
        NONE_MISSING => Ok(outcome?),
        number => {
            Err(Problem::new(format!("blockHashes.{number:#x}"), "is missing, and BLOCKHASH asks for it")
                .of("env"))
        }
    }
}

/// Where the trace of each transaction goes, if any does.
fn trace_names(transactions: &[Transaction], places: &[(usize, usize)], options: &Options) -> Vec<PathBuf> {
    let Some(trace) = &options.trace else { return Vec::new() };
    let name = |(tx, (_, place)): (&Transaction, &(usize, usize))| {
        trace.folder.join(format!("trace-{place}-{}.jsonl", tx.hash()))
    };
    transactions.iter().zip(places).map(name).collect()
}

/// One file a transaction.
struct TraceFiles<'a> {
    names: &'a [PathBuf],
    fields: TraceFields,
}

impl TraceSink for TraceFiles<'_> {
    fn open(&self, index: usize) -> std::io::Result<Box<dyn Write>> {
        Ok(Box::new(TraceFile { path: self.names[index].clone(), file: None }))
    }

    fn fields(&self) -> TraceFields {
        self.fields
    }
}

/// A file that is created by the first write: a rejected transaction leaves none.
struct TraceFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Write for TraceFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => self.file.insert(BufWriter::new(File::create(&self.path)?)).write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

const NONE_MISSING: u64 = u64::MAX;

/// The given state, which remembers that a hash was asked for that env does not give: the input's fault, not ours.
struct InputState<'a> {
    state: &'a MemoryState,
    missing: AtomicU64,
}

impl StateReader for InputState<'_> {
    fn account(&self, address: Address) -> Result<Read<Option<AccountInfo>>, Fault> {
        self.state.account(address)
    }

    fn storage(&self, address: Address, hint: Option<AccountId>, slot: U256) -> Result<Read<U256>, Fault> {
        self.state.storage(address, hint, slot)
    }

    fn code(&self, hash: B256) -> Result<Read<Bytecode>, Fault> {
        self.state.code(hash)
    }

    fn block_hash(&self, number: u64) -> Result<Read<B256>, Fault> {
        let found = self.state.block_hash(number);
        if found.is_err() {
            self.missing.store(number, Ordering::Relaxed);
        }
        found
    }

    fn slots(&self, address: Address) -> Result<Read<Vec<(U256, U256)>>, Fault> {
        self.state.slots(address)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), Fault> {
        self.state.wait(ticket)
    }
}
