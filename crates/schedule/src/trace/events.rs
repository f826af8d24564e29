//! The events that a viewer draws. Blocks lie one after the other in time, each a process with a track per worker.

use std::io::{self, Write};

use solder_engine::parallel::record::{Activity, Ending, Span};

use super::activity_name;
use crate::BlockSchedule;
use crate::conflicts::{Conflict, conflicts, thrown_away};
use crate::contracts::describe;

/// Between two blocks, in nanoseconds.
const GAP: u64 = 20_000;

pub(super) struct Events<'a, W> {
    out: &'a mut W,
    first: bool,
    process: usize,
    flow: u64,
    offset: u64,
}

/// Nanoseconds as the microseconds of the format.
struct Micros(u64);

impl std::fmt::Display for Micros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

impl<'a, W: Write> Events<'a, W> {
    pub(super) fn new(out: &'a mut W) -> Self {
        Self { out, first: true, process: 0, flow: 0, offset: 0 }
    }

    pub(super) fn block(&mut self, block: &BlockSchedule) -> io::Result<()> {
        self.process += 1;
        let spans = &block.schedule.spans;
        self.names(block)?;
        let thrown = thrown_away(spans);
        for (span, thrown) in spans.iter().zip(&thrown) {
            self.span(block, span, *thrown)?;
        }
        self.flows(block)?;
        let executions = || spans.iter().filter(|span| span.activity == Activity::Execute);
        let busy = executions().flat_map(|span| [(span.start, 1), (span.end, -1)]);
        self.counter("executing workers", busy.collect())?;
        let commits = spans.iter().filter(|span| span.activity == Activity::Commit);
        self.counter("committed transactions", commits.map(|span| (span.end, 1)).collect())?;
        let aborted = spans.iter().zip(&thrown).filter(|(_, thrown)| **thrown);
        self.counter("aborted executions", aborted.map(|(span, _)| (span.end, 1)).collect())?;
        self.offset += block.schedule.wall + GAP;
        Ok(())
    }

    /// Opens an event: what follows are its own fields, each with a leading comma.
    fn open(&mut self, phase: char, name: &str) -> io::Result<()> {
        let comma = if std::mem::take(&mut self.first) { "" } else { "," };
        write!(self.out, "{comma}\n{{\"ph\":\"{phase}\",\"pid\":{},\"name\":\"{name}\"", self.process)
    }

    fn at(&self, nanoseconds: u64) -> Micros {
        Micros(self.offset + nanoseconds)
    }

    fn names(&mut self, block: &BlockSchedule) -> io::Result<()> {
        let label = &block.label;
        self.open('M', "process_name")?;
        write!(
            self.out,
            ",\"args\":{{\"name\":\"block {}, {} transactions\"}}}}",
            label.number, label.transactions
        )?;
        self.open('M', "process_sort_index")?;
        write!(self.out, ",\"args\":{{\"sort_index\":{}}}}}", self.process)?;
        for worker in 0..block.schedule.workers {
            self.open('M', "thread_name")?;
            write!(self.out, ",\"tid\":{},\"args\":{{\"name\":\"worker {worker}\"}}}}", worker + 1)?;
            self.open('M', "thread_sort_index")?;
            write!(self.out, ",\"tid\":{},\"args\":{{\"sort_index\":{worker}}}}}", worker + 1)?;
        }
        Ok(())
    }

    fn span(&mut self, block: &BlockSchedule, span: &Span, thrown: bool) -> io::Result<()> {
        let activity = activity_name(span.activity);
        let name = match (span.activity, span.transaction) {
            (Activity::Execute, Some(tx)) if span.incarnation == 0 => format!("tx {tx}"),
            (Activity::Execute, Some(tx)) => format!("tx {tx} again"),
            (_, Some(tx)) => format!("{activity} {tx}"),
            (_, None) => activity.replace('_', "-"),
        };
        self.open('X', &name)?;
        let (start, length) = (self.at(span.start), Micros(span.end - span.start));
        write!(
            self.out,
            ",\"cat\":\"{activity}\",\"tid\":{},\"ts\":{start},\"dur\":{length}",
            span.worker + 1
        )?;
        if thrown {
            // A reserved colour of the format.
            self.out.write_all(b",\"cname\":\"terrible\"")?;
        }
        self.arguments(block, span, thrown)?;
        self.out.write_all(b"}")
    }

    fn arguments(&mut self, block: &BlockSchedule, span: &Span, thrown: bool) -> io::Result<()> {
        let Some(tx) = span.transaction else { return Ok(()) };
        let schedule = &block.schedule;
        write!(self.out, ",\"args\":{{\"transaction\":{tx}")?;
        if span.activity == Activity::Execute {
            write!(self.out, ",\"incarnation\":{}", span.incarnation)?;
            if let Some(record) = schedule.transactions.get(tx as usize) {
                write!(self.out, ",\"gas\":{},\"waits_for\":\"", record.gas_used)?;
                let mut writers: Vec<u32> = record.reads.iter().filter_map(|read| read.writer).collect();
                writers.sort_unstable();
                writers.dedup();
                for (place, writer) in writers.iter().enumerate() {
                    write!(self.out, "{}tx {writer}", if place > 0 { ", " } else { "" })?;
                }
                self.out.write_all(b"\"")?;
            }
        }
        match span.ending {
            Ending::Kept if thrown => write!(self.out, ",\"ending\":\"aborted\"")?,
            Ending::Kept => write!(self.out, ",\"ending\":\"kept\"")?,
            Ending::Parked => write!(self.out, ",\"ending\":\"parked\"")?,
            Ending::Aborted { location, by } => {
                write!(self.out, ",\"ending\":\"aborted\"")?;
                if let Some(location) = schedule.locations.get(location as usize) {
                    write!(
                        self.out,
                        ",\"conflict\":\"{}\"",
                        describe(location, block.label.beneficiary.as_ref())
                    )?;
                }
                if let Some(by) = by {
                    write!(self.out, ",\"written_by\":\"tx {by}\"")?;
                }
            }
        }
        self.out.write_all(b"}")
    }

    fn flows(&mut self, block: &BlockSchedule) -> io::Result<()> {
        for conflict in conflicts(&block.schedule.spans) {
            self.flow += 1;
            let Conflict { from, from_time, to, to_time } = conflict;
            for (phase, worker, time) in [('s', from.worker, from_time), ('f', to.worker, to_time)] {
                self.open(phase, "conflict")?;
                let (id, tid, time) = (self.flow, worker + 1, self.at(time));
                write!(self.out, ",\"cat\":\"conflict\",\"id\":{id},\"tid\":{tid},\"ts\":{time}")?;
                self.out.write_all(if phase == 'f' { b",\"bp\":\"e\"}" } else { b"}" })?;
            }
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, mut steps: Vec<(u64, i64)>) -> io::Result<()> {
        // At one instant what ends comes before what begins, and only the sum is written.
        steps.sort_unstable();
        let mut value = 0;
        let mut steps = steps.into_iter().peekable();
        while let Some((time, step)) = steps.next() {
            value += step;
            if steps.peek().is_some_and(|(next, _)| *next == time) {
                continue;
            }
            let at = self.at(time);
            self.open('C', name)?;
            write!(self.out, ",\"ts\":{at},\"args\":{{\"count\":{value}}}}}")?;
        }
        Ok(())
    }
}
