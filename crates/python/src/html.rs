//! What a notebook shows of results and changes: small tables, bounded, with everything that a chain wrote escaped.

use std::fmt::Write;

use alloy_primitives::{Address, U256, hex};
use pyo3::prelude::*;
use solder_engine::ChangeSet;
use solder_engine::state::AccountChange;
use solder_schedule::picture::grouped;

use crate::changes::PyChangeSet;
use crate::result::{PyBlockResult, PyLog, PyReceipt};
use crate::simulate::outcome::{PyBundleResult, PyCallResult};

/// The most rows of one table; how many more there are is said below.
const MAX_ROWS: usize = 20;
/// The most bytes that are shown of a byte string.
const MAX_BYTES: usize = 16;
/// Digits of an address with its 0x: longer ones are shown by their ends, and in full where the pointer rests on them.
const MAX_DIGITS: usize = 42;

/// A table that is being written.
struct Table(String);

impl Table {
    fn new(caption: &str) -> Self {
        Self(format!("<table><caption style='text-align:left'>{}</caption>", escaped(caption)))
    }

    fn heads(mut self, names: &[&str]) -> Self {
        let cells: String = names.iter().map(|name| format!("<th>{}</th>", escaped(name))).collect();
        let _ = write!(self.0, "<tr>{cells}</tr>");
        self
    }

    fn pair(&mut self, name: &str, value: &str) {
        let _ = write!(self.0, "<tr><th style='text-align:left'>{}</th>{}</tr>", escaped(name), cell(value));
    }

    fn row(&mut self, cells: &[String]) {
        let cells: String = cells.iter().map(|text| cell(text)).collect();
        let _ = write!(self.0, "<tr>{cells}</tr>");
    }

    /// The rows of `cells`, as many as are shown of `total`.
    fn rows(mut self, total: usize, cells: impl Iterator<Item = Vec<String>>) -> Self {
        for row in cells.take(MAX_ROWS) {
            self.row(&row);
        }
        if total > MAX_ROWS {
            let _ = write!(self.0, "<tr><td>and {} more</td></tr>", grouped(total - MAX_ROWS));
        }
        self
    }

    fn end(self) -> String {
        self.0 + "</table>"
    }
}

fn cell(text: &str) -> String {
    let start = "<td style='text-align:left'";
    let (lead, digits) = text.strip_prefix("slot ").map_or(("", text), |digits| ("slot ", digits));
    let hexadecimal = digits.starts_with("0x") && digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match (digits.get(..10), digits.get(digits.len().saturating_sub(8)..)) {
        (Some(head), Some(tail)) if hexadecimal && digits.len() > MAX_DIGITS => {
            format!("{start} title='{digits}'>{lead}{head}…{tail}</td>")
        }
        _ => format!("{start}>{}</td>", escaped(text)),
    }
}

/// Text that cannot become markup: a revert's reason comes from whoever wrote the contract.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            _ => safe.push(letter),
        }
    }
    safe
}

fn shortened(raw: &[u8]) -> String {
    match raw.get(..MAX_BYTES) {
        Some(start) if raw.len() > MAX_BYTES => {
            format!("0x{}… ({} bytes)", hex::encode(start), grouped(raw.len()))
        }
        _ => format!("0x{}", hex::encode(raw)),
    }
}

fn logs(logs: &[PyLog]) -> String {
    let cells = logs.iter().enumerate().map(|(index, log)| {
        let topic = log.inner.topics().first().map(ToString::to_string).unwrap_or_default();
        vec![index.to_string(), log.inner.address.to_string(), topic, shortened(&log.inner.data.data)]
    });
    let caption = format!("logs: {}", grouped(logs.len()));
    Table::new(&caption).heads(&["", "address", "topic 0", "data"]).rows(logs.len(), cells).end()
}

/// The fields of a result that its class has as attributes.
fn call_table(result: &Bound<'_, PyAny>) -> PyResult<Table> {
    let status: String = result.getattr("status")?.extract()?;
    let mut table = Table::new(&format!("CallResult: {status}"));
    if let Some(error) = result.getattr("error")?.extract::<Option<String>>()? {
        table.pair("error", &error);
    }
    table.pair("gas used", &grouped(result.getattr("gas_used")?.extract::<u64>()?));
    table.pair("gas refunded", &grouped(result.getattr("gas_refunded")?.extract::<u64>()?));
    table.pair("output", &shortened(&result.getattr("output")?.extract::<Vec<u8>>()?));
    if let Some(created) = result.getattr("created")?.extract::<Option<Vec<u8>>>()? {
        table.pair("created", &Address::from_slice(&created).to_string());
    }
    let payment = result.getattr("coinbase_payment")?;
    if !payment.is_none() {
        table.pair("paid to the coinbase, wei", &payment.str()?.to_cow()?);
    }
    Ok(table)
}

#[pymethods]
impl PyCallResult {
    /// What a notebook shows: the result, its logs, what changed.
    fn _repr_html_(this: &Bound<'_, Self>) -> PyResult<String> {
        let mut page = call_table(this.as_any())?.end();
        let found: Vec<Bound<'_, PyLog>> = this.getattr("logs")?.extract()?;
        if !found.is_empty() {
            let found: Vec<PyLog> =
                found.iter().map(|log| PyLog { inner: log.get().inner.clone() }).collect();
            page += &logs(&found);
        }
        if let Some(changes) = this.getattr("changes")?.extract::<Option<Bound<'_, PyChangeSet>>>()? {
            page += &changes.get()._repr_html_();
        }
        Ok(page)
    }
}

#[pymethods]
impl PyBundleResult {
    /// What a notebook shows: a row for each transaction.
    fn _repr_html_(this: &Bound<'_, Self>) -> PyResult<String> {
        let results: Vec<Bound<'_, PyCallResult>> = this.getattr("results")?.extract()?;
        let word = if this.getattr("ok")?.extract::<bool>()? { "ok" } else { "failed" };
        let paid = this.getattr("coinbase_payment")?.str()?;
        let caption = format!("BundleResult: {word}, {} wei to the coinbase", paid.to_cow()?);
        let mut cells = Vec::new();
        for (index, result) in results.iter().enumerate() {
            cells.push(vec![
                index.to_string(),
                result.getattr("status")?.extract()?,
                grouped(result.getattr("gas_used")?.extract::<u64>()?),
                result.getattr("coinbase_payment")?.str()?.extract()?,
                result.getattr("error")?.extract::<Option<String>>()?.unwrap_or_default(),
            ]);
        }
        let heads = ["", "status", "gas used", "coinbase, wei", "error"];
        Ok(Table::new(&caption).heads(&heads).rows(cells.len(), cells.into_iter()).end())
    }
}

#[pymethods]
impl PyBlockResult {
    /// What a notebook shows: totals, and a row for each receipt.
    fn _repr_html_(this: &Bound<'_, Self>) -> PyResult<String> {
        let receipts: Vec<Bound<'_, PyReceipt>> = this.getattr("receipts")?.extract()?;
        let skipped: Vec<(usize, String, String)> = this.getattr("skipped")?.extract()?;
        let mut table = Table::new("BlockResult");
        table.pair("gas used", &grouped(this.getattr("gas_used")?.extract::<u64>()?));
        table.pair("receipts root", &shortened(&this.getattr("receipts_root")?.extract::<Vec<u8>>()?));
        table.pair("accounts touched", &grouped(this.getattr("changes")?.len()?));
        for (index, code, detail) in skipped.iter().take(MAX_ROWS) {
            table.pair(&format!("skipped: {index}"), &format!("{code} {detail}"));
        }
        let mut cells = Vec::new();
        for (index, receipt) in receipts.iter().take(MAX_ROWS).enumerate() {
            let success: bool = receipt.getattr("success")?.extract()?;
            cells.push(vec![
                index.to_string(),
                (if success { "success" } else { "failed" }).into(),
                grouped(receipt.getattr("gas_used")?.extract::<u64>()?),
                receipt.getattr("logs")?.len()?.to_string(),
            ]);
        }
        let caption = format!("receipts: {}", grouped(receipts.len()));
        let heads = ["", "status", "gas used", "logs"];
        Ok(table.end() + &Table::new(&caption).heads(&heads).rows(receipts.len(), cells.into_iter()).end())
    }
}

#[pymethods]
impl PyChangeSet {
    /// What a notebook shows: a row for each field that differs.
    fn _repr_html_(&self) -> String {
        let (total, cells) = fields(&self.inner);
        let changed = self.inner.changed().count();
        let caption =
            format!("ChangeSet: {} of {} touched accounts changed", changed, self.inner.accounts.len());
        Table::new(&caption)
            .heads(&["account", "field", "before", "after"])
            .rows(total, cells.into_iter())
            .end()
    }
}

/// How many fields differ, and the cells of those that are shown.
fn fields(changes: &ChangeSet) -> (usize, Vec<Vec<String>>) {
    let (mut total, mut shown) = (0, Vec::new());
    for change in changes.changed() {
        let row = |field: String, before: String, after: String| {
            total += 1;
            if shown.len() < MAX_ROWS {
                shown.push(vec![change.address.to_string(), field, before, after]);
            }
        };
        account_rows(change, row);
    }
    (total, shown)
}

fn account_rows(change: &AccountChange, mut row: impl FnMut(String, String, String)) {
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    let balance = |fields: Option<&solder_engine::state::AccountFields>| {
        fields.map_or_else(|| "none".into(), |fields| grouped(fields.balance))
    };
    if before.map(|fields| fields.balance) != after.map(|fields| fields.balance) {
        row("balance".into(), balance(before), balance(after));
    }
    let nonce = |fields: Option<&solder_engine::state::AccountFields>| {
        fields.map_or_else(|| "none".into(), |fields| fields.nonce.to_string())
    };
    if before.map(|fields| fields.nonce) != after.map(|fields| fields.nonce) {
        row("nonce".into(), nonce(before), nonce(after));
    }
    if let Some(code) = &change.code {
        let hash = before.map_or_else(|| "none".into(), |fields| fields.code_hash.to_string());
        row("code".into(), hash, format!("{} bytes", grouped(code.original_bytes().len())));
    }
    if change.reset {
        row("storage".into(), "all".into(), "reset".into());
    }
    for slot in change.changed_slots() {
        row(format!("slot {}", word(slot.slot)), word(slot.before), word(slot.after));
    }
}

/// A small number as it is, a large one in hex.
fn word(value: U256) -> String {
    if value < U256::from(1_000_000) { grouped(value) } else { format!("{value:#x}") }
}
