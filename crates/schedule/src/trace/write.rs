//! Writes the file as a stream: to a neighbour of the target first, which then takes its place.

use std::fs::{File, rename};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use solder_engine::parallel::Schedule;
use solder_engine::parallel::record::{Ending, Location, Span, TransactionRecord};

use super::events::Events;
use super::{VERSION, activity_name, field_name};
use crate::{Alone, BlockLabel, BlockSchedule, Cost, TraceError};

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 16;

/// Saves recorded blocks to `path`, whole or not at all.
pub fn write_trace<'a>(
    path: &Path,
    blocks: impl IntoIterator<Item = &'a BlockSchedule, IntoIter: Clone>,
) -> Result<(), TraceError> {
    let fail = |error: io::Error| TraceError::file(&path.to_string_lossy(), error);
    let name = path.file_name().ok_or_else(|| fail(io::Error::other("names no file")))?;
    let mut beside = name.to_os_string();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = path.with_file_name(beside);
    let written = File::create(&beside)
        .and_then(|file| {
            let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
            write_events(&mut out, blocks)?;
            out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
        })
        .and_then(|()| rename(&beside, path));
    written.map_err(|error| {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&beside);
        fail(error)
    })
}

/// Writes the whole JSON object.
pub fn write_events<'a>(
    out: &mut impl Write,
    blocks: impl IntoIterator<Item = &'a BlockSchedule, IntoIter: Clone>,
) -> io::Result<()> {
    let blocks = blocks.into_iter();
    out.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    let mut events = Events::new(out);
    for block in blocks.clone() {
        events.block(block)?;
    }
    write!(out, "\n],\n\"solder\":{{\"version\":{VERSION},\"blocks\":[")?;
    separated(out, blocks, write_block)?;
    out.write_all(b"]}}\n")
}

fn separated<W: Write, T>(
    out: &mut W,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut W, T) -> io::Result<()>,
) -> io::Result<()> {
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.write_all(b",")?;
        }
        write(out, item)?;
    }
    Ok(())
}

fn write_block<W: Write>(out: &mut W, block: &BlockSchedule) -> io::Result<()> {
    let BlockSchedule { label, schedule, around, alone } = block;
    out.write_all(b"\n{")?;
    write_label(out, label)?;
    let Schedule { workers, wall, reading, spans, transactions, locations } = schedule;
    write!(out, "\"workers\":{workers},\"wall\":{wall},\"around\":{around},\"reading\":{reading},")?;
    if let Some(alone) = alone {
        write_alone(out, alone)?;
    }
    out.write_all(b"\n\"locations\":[")?;
    separated(out, locations, write_location)?;
    out.write_all(b"],\n\"spans\":[")?;
    separated(out, spans, write_span)?;
    out.write_all(b"],\n\"records\":[")?;
    separated(out, transactions, write_record)?;
    out.write_all(b"]}")
}

fn write_label<W: Write>(out: &mut W, label: &BlockLabel) -> io::Result<()> {
    let BlockLabel { number, gas_used, transactions, beneficiary, serial_seconds, parallel_seconds } = label;
    write!(out, "\"number\":{number},\"gas_used\":{gas_used},\"transactions\":{transactions},")?;
    if let Some(address) = beneficiary {
        write!(out, "\"beneficiary\":\"{address:#x}\",")?;
    }
    for (key, value) in [("serial_seconds", serial_seconds), ("parallel_seconds", parallel_seconds)] {
        // JSON has no word for infinity: a time that is none is left out.
        if let Some(seconds) = value.filter(|seconds| seconds.is_finite()) {
            write!(out, "\"{key}\":{seconds:?},")?;
        }
    }
    Ok(())
}

fn write_alone<W: Write>(out: &mut W, alone: &Alone) -> io::Result<()> {
    let Alone { head, tail, around, before_execution, before_commit, costs } = alone;
    write!(out, "\n\"alone\":{{\"head\":{head},\"tail\":{tail},\"around\":{around},")?;
    write!(out, "\"before_execution\":{before_execution},\"before_commit\":{before_commit},\"costs\":[")?;
    separated(out, costs, |out, Cost { execution, commit }| write!(out, "{execution},{commit}"))?;
    out.write_all(b"]},")
}

fn write_location<W: Write>(out: &mut W, location: &Location) -> io::Result<()> {
    let field = field_name(location);
    match location {
        Location::Slot(address, slot) => write!(out, "[\"{field}\",\"{address:#x}\",\"{slot:#x}\"]"),
        Location::Balance(address)
        | Location::Nonce(address)
        | Location::Code(address)
        | Location::Existence(address) => write!(out, "[\"{field}\",\"{address:#x}\"]"),
    }
}

fn signed(index: Option<u32>) -> i64 {
    index.map_or(-1, i64::from)
}

fn write_span<W: Write>(out: &mut W, span: &Span) -> io::Result<()> {
    let (ending, location, by) = match span.ending {
        Ending::Kept => ("kept", -1, -1),
        Ending::Aborted { location, by } => ("aborted", i64::from(location), signed(by)),
        Ending::Parked => ("parked", -1, -1),
    };
    let Span { worker, activity, transaction, incarnation, start, end, .. } = *span;
    let (activity, transaction) = (activity_name(activity), signed(transaction));
    write!(
        out,
        "[{worker},\"{activity}\",{transaction},{incarnation},{start},{end},\"{ending}\",{location},{by}]"
    )
}

fn write_record<W: Write>(out: &mut W, record: &TransactionRecord) -> io::Result<()> {
    let TransactionRecord { gas_used, expected, short, execution, commit, recording, reads, writes } = record;
    let short = u8::from(*short);
    write!(out, "[{gas_used},{expected},{short},{execution},{commit},{recording},[")?;
    separated(out, reads, |out, read| write!(out, "{},{}", read.location, signed(read.writer)))?;
    out.write_all(b"],[")?;
    separated(out, writes, |out, write| write!(out, "{write}"))?;
    out.write_all(b"]]")
}
