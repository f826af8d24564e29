//! Runs one transaction of a state test and compares what came out.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, U256, keccak256};
use solder_engine::chain::{Chain, Fork, Receipt};
use solder_engine::state::memory::{MemoryState, UnknownBlockHash};
use solder_engine::trie::state_root;
use solder_engine::{
    Block, BlockOutcome, EngineError, ExecuteOptions, Rejection, Transaction, execute_block,
};

use super::format::{Env, Post, StateTest};
use super::transaction::{TooLarge, address_of, build, compare_bytes, decode};
use crate::fixture::{compare_alloc, is_named, state_of};
use crate::run::{CaseOutcome, Mismatch, Mode, TraceBuffer, Verdict};

/// A fault of a fixture's field: which, and what is wrong with it.
type FieldError = (String, &'static str);

/// A test with its state built and its sender known.
pub(super) struct Prepared<'a> {
    test: &'a StateTest,
    state: MemoryState,
    sender: Address,
}

/// One fork of one test.
pub(super) struct ForkRules {
    chain: Chain,
    fork: Fork,
    header: Header,
}

/// How the transaction went.
enum Attempt {
    Ran(Box<BlockOutcome>),
    Refused(Rejection),
}

impl<'a> Prepared<'a> {
    pub fn new(test: &'a StateTest) -> Result<Self, FieldError> {
        let in_pre = |(field, detail): FieldError| (format!("pre.{field}"), detail);
        let state = state_of(&test.pre, UnknownBlockHash::HashOfNumber).map_err(in_pre)?;
        let template = &test.transaction;
        let signer = template.secret_key.as_ref().and_then(address_of);
        let missing = || ("transaction.sender".into(), "neither a sender nor a usable secretKey");
        let sender = template.sender.or(signer).ok_or_else(missing)?;
        if signer.is_some_and(|signer| signer != sender) {
            return Err(("transaction.secretKey".into(), "is not the sender's"));
        }
        Ok(Self { test, state, sender })
    }

    pub fn chain(&self, fork: &str) -> Result<ForkRules, FieldError> {
        let fork = Fork::parse(fork).map_err(|_| (format!("post.{fork}"), "unknown fork"))?;
        let mut chain = Chain::at(fork);
        if let Some(config) = &self.test.config {
            let unknown = |_| ("config.blobSchedule".to_owned(), "names an unknown fork");
            config.apply(&mut chain).map_err(unknown)?;
        }
        Ok(ForkRules { chain, fork, header: header_of(&self.test.env, fork) })
    }

    /// Runs one case; a failing one again with a trace, if asked for.
    pub fn run(&self, rules: &ForkRules, post: &Post, mode: &Mode<'_>, trace: bool) -> CaseOutcome {
        let verdict = self.check(rules, post, mode)?;
        if !trace || verdict == Verdict::Passed {
            return Ok((verdict, None));
        }
        let buffer = TraceBuffer::default();
        self.check(rules, post, &mode.traced(&buffer))?;
        Ok((verdict, Some(buffer.take_text())))
    }

    fn check(
        &self,
        rules: &ForkRules,
        post: &Post,
        mode: &Mode<'_>,
    ) -> Result<Verdict, solder_engine::Fault> {
        let mut wrong = Vec::new();
        let attempt = match self.transaction(rules, post, &mut wrong) {
            Ok(tx) => self.execute(rules, tx, mode)?,
            Err(rejection) => Attempt::Refused(rejection),
        };
        compare_exception(post, rules.fork, &attempt, &mut wrong);
        let outcome = match &attempt {
            Attempt::Ran(outcome) => Some(outcome.as_ref()),
            Attempt::Refused(_) => None,
        };
        let logs = logs_hash(outcome.map(|outcome| outcome.receipts.as_slice()).unwrap_or_default());
        if logs != post.logs {
            wrong.push(Mismatch::new("logs", post.logs, logs));
        }
        let mut after = std::borrow::Cow::Borrowed(&self.state);
        if let Some(outcome) = outcome {
            after.to_mut().apply(&outcome.changes);
        }
        let root = state_root(&after);
        if root != post.hash {
            wrong.push(Mismatch::new("hash", post.hash, root));
        }
        if let Some(expected) = &post.state {
            compare_alloc("state", expected, &after, &mut wrong);
        }
        Ok(Verdict::of(wrong))
    }

    /// The transaction of the template, held against its bytes.
    fn transaction(
        &self,
        rules: &ForkRules,
        post: &Post,
        wrong: &mut Vec<Mismatch>,
    ) -> Result<Transaction, Rejection> {
        let built = build(&self.test.transaction, post.indexes, self.sender, rules.chain.id);
        let bytes = post.txbytes.as_ref().map(|bytes| decode(bytes));
        match (built, bytes) {
            (Ok(tx), Some(Ok(decoded))) => {
                compare_bytes(&tx, &decoded, wrong);
                Ok(tx)
            }
            (Ok(_), Some(Err(rejection))) => Err(rejection),
            (Ok(tx), None) => Ok(tx),
            (Err(_), Some(Err(rejection))) => Err(rejection),
            (Err(TooLarge(field)), Some(Ok(decoded))) => {
                wrong.push(Mismatch::new(
                    format!("transaction.{field}"),
                    "a value that fits",
                    "one too large",
                ));
                Ok(Transaction { sender: self.sender, ..decoded })
            }
            (Err(TooLarge(field)), None) => {
                Err(Rejection::new(solder_engine::Code::TransactionRlp, format!("{field} is too large")))
            }
        }
    }

    fn execute(
        &self,
        rules: &ForkRules,
        tx: Transaction,
        mode: &Mode<'_>,
    ) -> Result<Attempt, solder_engine::Fault> {
        let block = Block { header: rules.header.clone(), transactions: vec![tx], ..Default::default() };
        let options = ExecuteOptions { transactions_only: true, ..mode.execute_options() };
        match execute_block(&rules.chain, rules.fork, &block, &self.state, &options) {
            Ok(outcome) => {
                mode.count(&outcome);
                Ok(Attempt::Ran(Box::new(outcome)))
            }
            Err(EngineError::Rejected(rejection)) => Ok(Attempt::Refused(rejection)),
            Err(EngineError::Fault(fault)) => Err(fault),
        }
    }
}

fn header_of(env: &Env, fork: Fork) -> Header {
    let merged = fork >= Fork::Paris;
    Header {
        beneficiary: env.current_coinbase,
        gas_limit: env.current_gas_limit.0,
        number: env.current_number.0,
        timestamp: env.current_timestamp.0,
        difficulty: if merged { U256::ZERO } else { env.current_difficulty.unwrap_or_default().0 },
        mix_hash: env.current_random.unwrap_or_default(),
        base_fee_per_gas: env.current_base_fee.map(|fee| fee.0).filter(|_| fork >= Fork::London),
        excess_blob_gas: (fork >= Fork::Cancun).then(|| env.current_excess_blob_gas.unwrap_or_default().0),
        slot_number: env.slot_number.map(|slot| slot.0),
        ..Default::default()
    }
}

fn compare_exception(post: &Post, fork: Fork, attempt: &Attempt, wrong: &mut Vec<Mismatch>) {
    match (&post.expect_exception, attempt) {
        (None, Attempt::Ran(_)) => {}
        (Some(expected), Attempt::Refused(rejection)) if is_named(expected, rejection, fork) => {}
        (Some(expected), Attempt::Refused(rejection)) => {
            wrong.push(Mismatch::new("expectException", expected, rejection));
        }
        (Some(expected), Attempt::Ran(_)) => {
            wrong.push(Mismatch::new("expectException", expected, "the transaction ran"));
        }
        (None, Attempt::Refused(rejection)) => {
            wrong.push(Mismatch::new("expectException", "none", rejection));
        }
    }
}

/// keccak256 of the RLP of all logs.
fn logs_hash(receipts: &[Receipt]) -> B256 {
    let logs: Vec<_> = receipts.iter().flat_map(|receipt| &receipt.logs).collect();
    let mut bytes = Vec::new();
    alloy_rlp::encode_list::<_, alloy_primitives::Log>(&logs, &mut bytes);
    keccak256(bytes)
}
