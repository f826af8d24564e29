//! Reads what [`super::write_trace`] wrote, and trusts nothing of it: sizes, types, indices and times are checked, and an
//! error names the field.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use alloy_primitives::{Address, U256};
use serde::Deserialize;
use serde_json::Value;
use solder_engine::parallel::record::{Ending, Location, ReadRecord, Span, TransactionRecord};
use solder_engine::parallel::{MAX_WORKERS, Schedule};

use super::{
    ACTIVITIES, MAX_ACCESSES, MAX_BLOCKS, MAX_EXPECTED, MAX_FILE_BYTES, MAX_LOCATIONS, MAX_NANOSECONDS,
    MAX_READING, MAX_SPANS, MAX_TRANSACTIONS, VERSION,
};
use crate::{Alone, BlockLabel, BlockSchedule, Cost, TraceError};

/// More seconds than a block can take.
const MAX_SECONDS: f64 = (MAX_NANOSECONDS / 1_000_000_000) as f64;
/// Incarnations are counted in single digits; this only keeps nonsense out.
const MAX_INCARNATION: u64 = 255;

/// A field and what is wrong with it.
struct Wrong(String, String);

type Checked<T> = Result<T, Wrong>;

/// The events are skipped: they say the same again.
#[derive(Deserialize)]
struct Document {
    solder: Option<Value>,
}

/// Reads a file.
pub fn read_trace(path: &Path) -> Result<Vec<BlockSchedule>, TraceError> {
    let name = path.to_string_lossy();
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| TraceError::file(&name, error))?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| TraceError::file(&name, error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(TraceError::file(&name, format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    parse_trace(&name, &bytes)
}

/// Reads a file's bytes; `path` is for errors.
pub fn parse_trace(path: &str, bytes: &[u8]) -> Result<Vec<BlockSchedule>, TraceError> {
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|error| TraceError::file(path, format!("not a saved schedule: {error}")))?;
    let ours = document
        .solder
        .ok_or_else(|| TraceError::file(path, "not a saved schedule of solder: it has no key \"solder\""))?;
    blocks(&ours).map_err(|Wrong(field, detail)| TraceError { path: path.into(), field: Some(field), detail })
}

fn blocks(ours: &Value) -> Checked<Vec<BlockSchedule>> {
    let at = "solder";
    match integer(key(ours, at, "version")?, "solder.version", u64::MAX)? {
        VERSION => {}
        other => return Err(wrong("solder.version", format!("{other}; this build reads {VERSION}"))),
    }
    let at = "solder.blocks";
    let values = list(key(ours, "solder", "blocks")?, at, MAX_BLOCKS)?;
    values.iter().enumerate().map(|(index, value)| block(value, &format!("{at}[{index}]"))).collect()
}

fn block(value: &Value, at: &str) -> Checked<BlockSchedule> {
    let number_at = |name: &str, most| integer(key(value, at, name)?, &format!("{at}.{name}"), most);
    let list_at = |name: &str, most| list(key(value, at, name)?, &format!("{at}.{name}"), most);
    let label = BlockLabel {
        number: number_at("number", u64::MAX)?,
        gas_used: number_at("gas_used", u64::MAX)?,
        transactions: number_at("transactions", MAX_TRANSACTIONS as u64)?,
        beneficiary: value
            .get("beneficiary")
            .map(|v| parsed::<Address>(v, &format!("{at}.beneficiary")))
            .transpose()?,
        serial_seconds: seconds(value, at, "serial_seconds")?,
        parallel_seconds: seconds(value, at, "parallel_seconds")?,
    };
    let workers = number_at("workers", MAX_WORKERS as u64)?;
    if workers == 0 {
        return Err(wrong(&format!("{at}.workers"), "at least one ran"));
    }
    let locations =
        each(list_at("locations", MAX_LOCATIONS)?, at, "locations", |value, at, _| location(value, at))?;
    let records = list_at("records", MAX_TRANSACTIONS)?;
    let limits = Limits { workers, transactions: records.len() as u64, locations: locations.len() as u64 };
    if limits.transactions != label.transactions {
        let detail = format!("{} for {} transactions", limits.transactions, label.transactions);
        return Err(wrong(&format!("{at}.records"), detail));
    }
    let transactions = each(records, at, "records", |value, at, index| record(value, at, index, &limits))?;
    let spans = each(list_at("spans", MAX_SPANS)?, at, "spans", |value, at, _| span(value, at, &limits))?;
    let wall = number_at("wall", MAX_NANOSECONDS)?;
    let alone =
        value.get("alone").map(|v| alone(v, &format!("{at}.alone"), limits.transactions)).transpose()?;
    Ok(BlockSchedule {
        label,
        around: number_at("around", MAX_NANOSECONDS)?,
        alone,
        schedule: Schedule {
            workers: narrow(workers),
            wall,
            reading: number_at("reading", MAX_READING)?,
            spans,
            transactions,
            locations,
        },
    })
}

fn alone(value: &Value, at: &str, transactions: u64) -> Checked<Alone> {
    let number_at = |name: &str| integer(key(value, at, name)?, &format!("{at}.{name}"), MAX_NANOSECONDS);
    let costs_at = format!("{at}.costs");
    let numbers = list(key(value, at, "costs")?, &costs_at, 2 * MAX_TRANSACTIONS)?;
    if numbers.len() as u64 != 2 * transactions {
        let detail = format!("{} numbers for {transactions} transactions", numbers.len());
        return Err(wrong(&costs_at, detail));
    }
    let number = |value: &Value| integer(value, &costs_at, MAX_NANOSECONDS);
    let cost = |pair: &[Value]| {
        let [execution, commit] = pair else {
            return Err(wrong(&costs_at, "an execution without its commit"));
        };
        Ok(Cost { execution: number(execution)?, commit: number(commit)? })
    };
    Ok(Alone {
        head: number_at("head")?,
        tail: number_at("tail")?,
        around: number_at("around")?,
        before_execution: number_at("before_execution")?,
        before_commit: number_at("before_commit")?,
        costs: numbers.chunks(2).map(cost).collect::<Checked<_>>()?,
    })
}

/// What indices may name.
struct Limits {
    workers: u64,
    transactions: u64,
    locations: u64,
}

fn each<T>(
    values: &[Value],
    at: &str,
    name: &str,
    read: impl Fn(&Value, &str, usize) -> Checked<T>,
) -> Checked<Vec<T>> {
    let element = |(index, value)| read(value, &format!("{at}.{name}[{index}]"), index);
    values.iter().enumerate().map(element).collect()
}

fn location(value: &Value, at: &str) -> Checked<Location> {
    let parts = list(value, at, 3)?;
    let part = |index: usize| parts.get(index).ok_or_else(|| wrong(at, "too short"));
    let address: Address = parsed(part(1)?, at)?;
    Ok(match text(part(0)?, at)? {
        "balance" => Location::Balance(address),
        "nonce" => Location::Nonce(address),
        "code" => Location::Code(address),
        "existence" => Location::Existence(address),
        "slot" => Location::Slot(address, parsed::<U256>(part(2)?, at)?),
        other => return Err(wrong(at, format!("{other:?} is no field of an account"))),
    })
}

fn span(value: &Value, at: &str, limits: &Limits) -> Checked<Span> {
    let [worker, activity, transaction, incarnation, start, end, ending, location, by] = parts(value, at)?;
    let activity = text(activity, at)?;
    let (activity, _) = ACTIVITIES
        .iter()
        .find(|(_, name)| *name == activity)
        .ok_or_else(|| wrong(at, format!("{activity:?} is no activity")))?;
    let (start, end) = (integer(start, at, MAX_NANOSECONDS)?, integer(end, at, MAX_NANOSECONDS)?);
    if start > end {
        return Err(wrong(at, format!("ends at {end}, before its start {start}")));
    }
    Ok(Span {
        worker: narrow(below(worker, at, limits.workers)?),
        activity: *activity,
        transaction: optional(transaction, at, limits.transactions)?,
        incarnation: narrow(integer(incarnation, at, MAX_INCARNATION)?),
        start,
        end,
        ending: match text(ending, at)? {
            "kept" => Ending::Kept,
            "parked" => Ending::Parked,
            "aborted" => Ending::Aborted {
                location: narrow(below(location, at, limits.locations)?),
                by: optional(by, at, limits.transactions)?,
            },
            other => return Err(wrong(at, format!("{other:?} is no ending"))),
        },
    })
}

fn record(value: &Value, at: &str, index: usize, limits: &Limits) -> Checked<TransactionRecord> {
    let [gas_used, expected, short, execution, commit, recording, reads, writes] = parts(value, at)?;
    let read = |pair: &[Value]| {
        let [location, writer] = pair else { return Err(wrong(at, "a read without its writer")) };
        Ok(ReadRecord {
            location: narrow(below(location, at, limits.locations)?),
            // Only a lower transaction can have written what was read.
            writer: optional(writer, at, index as u64)?,
        })
    };
    let writes = list(writes, at, MAX_ACCESSES)?.iter();
    Ok(TransactionRecord {
        gas_used: integer(gas_used, at, u64::MAX)?,
        expected: integer(expected, at, MAX_EXPECTED)?,
        short: integer(short, at, 1)? == 1,
        execution: integer(execution, at, MAX_NANOSECONDS)?,
        commit: integer(commit, at, MAX_NANOSECONDS)?,
        recording: integer(recording, at, MAX_NANOSECONDS)?,
        reads: list(reads, at, 2 * MAX_ACCESSES)?.chunks(2).map(read).collect::<Checked<_>>()?,
        writes: writes
            .map(|write| Ok(narrow(below(write, at, limits.locations)?)))
            .collect::<Checked<_>>()?,
    })
}

fn wrong(at: &str, detail: impl Into<String>) -> Wrong {
    Wrong(at.into(), detail.into())
}

/// Only for values that a check has bounded.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn key<'a>(value: &'a Value, at: &str, name: &str) -> Checked<&'a Value> {
    value.get(name).ok_or_else(|| wrong(&format!("{at}.{name}"), "missing"))
}

fn parts<'a, const N: usize>(value: &'a Value, at: &str) -> Checked<[&'a Value; N]> {
    let values: Vec<&Value> = list(value, at, N)?.iter().collect();
    values.try_into().map_err(|short: Vec<_>| wrong(at, format!("has {} entries, not {N}", short.len())))
}

fn list<'a>(value: &'a Value, at: &str, most: usize) -> Checked<&'a [Value]> {
    let values = value.as_array().ok_or_else(|| wrong(at, "not a list"))?;
    if values.len() > most {
        return Err(wrong(at, format!("has {} entries, more than {most}", values.len())));
    }
    Ok(values)
}

fn text<'a>(value: &'a Value, at: &str) -> Checked<&'a str> {
    value.as_str().ok_or_else(|| wrong(at, format!("{value} is no text")))
}

fn integer(value: &Value, at: &str, most: u64) -> Checked<u64> {
    let number = value.as_u64().ok_or_else(|| wrong(at, format!("{value} is no natural number")))?;
    if number > most { Err(wrong(at, format!("{number} is more than {most}"))) } else { Ok(number) }
}

fn below(value: &Value, at: &str, bound: u64) -> Checked<u64> {
    let number = integer(value, at, u64::from(u32::MAX))?;
    if number < bound { Ok(number) } else { Err(wrong(at, format!("{number} is not below {bound}"))) }
}

fn optional(value: &Value, at: &str, bound: u64) -> Checked<Option<u32>> {
    if value.as_i64() == Some(-1) { Ok(None) } else { Ok(Some(narrow(below(value, at, bound)?))) }
}

fn parsed<T: std::str::FromStr>(value: &Value, at: &str) -> Checked<T> {
    let digits = text(value, at)?;
    let parsed = digits.strip_prefix("0x").and_then(|_| digits.parse().ok());
    parsed.ok_or_else(|| wrong(at, format!("{value} is not such a number in hex")))
}

fn seconds(value: &Value, at: &str, name: &str) -> Checked<Option<f64>> {
    let Some(found) = value.get(name) else { return Ok(None) };
    let at = format!("{at}.{name}");
    let seconds = found.as_f64().ok_or_else(|| wrong(&at, "not a number"))?;
    if (0.0..=MAX_SECONDS).contains(&seconds) {
        Ok(Some(seconds))
    } else {
        Err(wrong(&at, format!("not between 0 and {MAX_SECONDS}")))
    }
}
