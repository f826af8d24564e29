//! The steps of a transaction as a stream. It runs on a thread of its own while its steps are read: as far ahead as
//! [`QUEUED_CHUNKS`] chunks, so that a transaction of millions of steps needs no more room than one of a thousand.
//!
//! ```text
//! reader:  next_chunk ------- next_chunk ------------------ dropped
//! thread:  run, write .. send -> run, write .. send (waits) -> the flag is set, the run stops at a jump
//! ```

use std::io::{Error, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use solder_engine::evm::{Machine, Transact};
use solder_engine::trace::{StepTracer, TraceFields, TraceSink};
use solder_engine::{EngineError, Fault, Transaction};
use solder_simulate::call::Outcome;

use crate::subject::Subject;

/// A chunk is sent when it has this many bytes; one step can be larger.
pub const CHUNK_BYTES: usize = 1 << 20;
/// How many chunks may wait for their reader.
pub const QUEUED_CHUNKS: usize = 2;
/// Stack of the thread, in bytes.
const STACK_BYTES: usize = 16 << 20;

enum Sent {
    Lines(Vec<u8>),
    End(Box<Result<Outcome, EngineError>>),
}

/// What a reader gets.
pub enum Chunk {
    /// Whole lines, a JSON object each.
    Lines(Vec<u8>),
    /// Nothing yet.
    Waiting,
    /// There are no more; how the transaction ended.
    End(Outcome),
}

/// A transaction that runs while its steps are read.
pub struct Steps {
    received: Receiver<Sent>,
    cancel: Arc<AtomicBool>,
}

impl Steps {
    /// Begins to run a transaction.
    pub fn start(subject: Arc<Subject>, fields: TraceFields) -> Result<Self, Fault> {
        let (sender, received) = sync_channel(QUEUED_CHUNKS);
        let cancel = Arc::new(AtomicBool::new(false));
        let seen = cancel.clone();
        let job = move || {
            let sink = Sink { fields, sender: sender.clone(), cancel: seen.clone() };
            let result = run(&subject, &sink, &seen);
            // Nobody may be reading any more.
            let _ = sender.send(Sent::End(Box::new(result)));
        };
        std::thread::Builder::new()
            .name("solder-steps".into())
            .stack_size(STACK_BYTES)
            .spawn(job)
            .map_err(|error| Fault::TraceWrite(format!("no thread: {error}")))?;
        Ok(Self { received, cancel })
    }

    /// The next chunk, or after `patience` that there is none yet.
    pub fn next_chunk(&self, patience: Duration) -> Result<Chunk, EngineError> {
        match self.received.recv_timeout(patience) {
            Ok(Sent::Lines(lines)) => Ok(Chunk::Lines(lines)),
            Ok(Sent::End(result)) => (*result).map(Chunk::End),
            Err(RecvTimeoutError::Timeout) => Ok(Chunk::Waiting),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Fault::TraceWrite("the thread that runs the transaction ended".into()).into())
            }
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

fn run(subject: &Subject, sink: &Sink, cancel: &AtomicBool) -> Result<Outcome, EngineError> {
    let idle = Transaction::default();
    let tracer = StepTracer::new(sink.fields);
    let mut machine = Machine::new(subject.setup(&subject.snapshot, cancel), &idle, tracer);
    Ok(Outcome::new(machine.transact(0, &subject.tx, Some(sink))?))
}

struct Sink {
    fields: TraceFields,
    sender: SyncSender<Sent>,
    cancel: Arc<AtomicBool>,
}

impl TraceSink for Sink {
    fn open(&self, _index: usize) -> std::io::Result<Box<dyn Write>> {
        Ok(Box::new(Chunks { lines: Vec::new(), sender: self.sender.clone(), cancel: self.cancel.clone() }))
    }

    fn fields(&self) -> TraceFields {
        self.fields
    }
}

struct Chunks {
    lines: Vec<u8>,
    sender: SyncSender<Sent>,
    cancel: Arc<AtomicBool>,
}

impl Write for Chunks {
    /// The tracer writes a whole line at a time.
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.lines.extend_from_slice(line);
        if self.lines.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let lines = std::mem::take(&mut self.lines);
        self.sender.send(Sent::Lines(lines)).map_err(|_| {
            self.cancel.store(true, Ordering::Relaxed);
            Error::other("nobody reads the steps any more")
        })
    }
}
