//! Official blockchain tests: a genesis and blocks in their wire format, valid and invalid, on one chain or several.
//! Checked are the genesis, each block's header and body as the test shows them, each expected exception by its
//! name, the head that the chain ends with, and the state there.

mod body;
mod chain;
mod format;

use std::ops::ControlFlow;

pub use format::{BlockEntry, BlockTest};

use crate::fixture::{self, Pairs, Shape, is_foreign};
use crate::input_error::InputError;
use crate::run::{Cases, TraceBuffer, Verdict};
use chain::Prepared;

const SHAPE: Shape = Shape { own: &["genesisBlockHeader", "blocks", "lastblockhash", "genesisRLP"] };

/// Runs every case of a file.
pub(crate) fn run_file(cases: &mut Cases<'_>) -> Result<ControlFlow<()>, InputError> {
    let file = cases.file;
    let tests: Pairs<String, BlockTest> = match fixture::parse(&file.path, &file.bytes) {
        Ok(tests) => tests,
        Err(error) if is_foreign(SHAPE, &file.bytes) => return cases.foreign(error),
        Err(error) => return Err(error),
    };
    for (name, test) in &tests.0 {
        if !cases.wants(&test.network) {
            continue;
        }
        let at = |(field, detail): (String, String)| {
            InputError::field(&file.path, format!("{name}.{field}"), detail)
        };
        let prepared = Prepared::new(test).map_err(at)?;
        let flow = cases.run_in_modes(name, cases.full_name(name), &test.network, |mode| {
            let verdict = prepared.run(mode)?;
            if !cases.trace() || verdict == Verdict::Passed {
                return Ok((verdict, None));
            }
            let buffer = TraceBuffer::default();
            prepared.run(&mode.traced(&buffer))?;
            Ok((verdict, Some(buffer.take_text())))
        });
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}
