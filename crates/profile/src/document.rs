//! A profile as one JSON document.

use serde::Serialize;
use solder_engine::{EngineError, Fault};

use crate::calibrate::calibrate;
use crate::recovery::recovery_nanoseconds;
use crate::report::{self, Report, ReportOptions};
use crate::run::{Subject, profile_block};

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Rounds of calibrating, and then of profiling; the fastest count.
    pub repeat: u32,
    /// A report for each transaction too.
    pub by_transaction: bool,
    /// Call trees too.
    pub tree: bool,
}

#[derive(Serialize)]
struct Document {
    block: u64,
    fork: &'static str,
    transactions: usize,
    /// Whether the header says the same gas.
    gas_used_ok: bool,
    #[serde(flatten)]
    report: Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_transaction: Option<Vec<TransactionDocument>>,
}

#[derive(Serialize)]
struct TransactionDocument {
    index: usize,
    to: Option<String>,
    #[serde(flatten)]
    report: Report,
}

/// Calibrates, profiles and reports.
pub fn profile_to_json(subject: &Subject<'_>, order: Order) -> Result<Vec<u8>, EngineError> {
    let costs = calibrate(subject, order.repeat)?;
    let bill = profile_block(subject, &costs, order.repeat)?;
    let options = ReportOptions { recovery_nanoseconds: recovery_nanoseconds(), tree: order.tree };
    let by_transaction = order.by_transaction.then(|| {
        let one = |(bill_of_one, tx): (_, &solder_engine::Transaction)| TransactionDocument {
            index: usize::default(),
            to: tx.to.to().map(ToString::to_string),
            report: report::of_transaction(bill_of_one, bill.nanoseconds_per_tick, options),
        };
        let all = bill.transactions.iter().zip(&subject.block.transactions).map(one);
        all.enumerate().map(|(index, document)| TransactionDocument { index, ..document }).collect()
    });
    let document = Document {
        block: subject.block.header.number,
        fork: subject.fork.name(),
        transactions: subject.block.transactions.len(),
        gas_used_ok: bill.outcome.gas_used == subject.block.header.gas_used,
        report: report::of_block(&bill, options),
        by_transaction,
    };
    serde_json::to_vec(&document).map_err(|error| Fault::Interpreter(error.to_string()).into())
}
