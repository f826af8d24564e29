//! The step traces of a failing case, kept in memory up to a limit.

use std::io::{Error, Result, Write};
use std::sync::{Arc, Mutex, PoisonError};

use solder_engine::trace::{TraceFields, TraceSink};

/// The most bytes of one case's trace that are kept.
const MAX_TRACE_BYTES: usize = 256 << 20;

/// Collects traces, one after the other.
#[derive(Clone, Default)]
pub(crate) struct TraceBuffer(Arc<Mutex<Vec<u8>>>);

impl TraceBuffer {
    /// What was written so far.
    pub fn take_text(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for TraceBuffer {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.len() + bytes.len() > MAX_TRACE_BYTES {
            return Err(Error::other(format!("more than {MAX_TRACE_BYTES} bytes of trace")));
        }
        buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl TraceSink for TraceBuffer {
    fn open(&self, _index: usize) -> Result<Box<dyn Write>> {
        Ok(Box::new(self.clone()))
    }

    fn fields(&self) -> TraceFields {
        TraceFields::default()
    }
}
