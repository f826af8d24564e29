//! geth's callTracer and 4byteTracer.

use std::collections::BTreeMap;

use alloy_primitives::{Log, hex};
use revm::bytecode::opcode::{self, OpCode};
use solder_engine::trace::Failure;
use solder_engine::trace::calls::Frame;

use crate::json::{separate, write_hex, write_key, write_text};
use crate::reason::revert_reason;
use crate::subject::Traced;

/// What the call tracer is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallFormat {
    /// Leave out what the transaction's own frame called.
    pub only_top_call: bool,
    /// With the logs that were not reverted.
    pub with_log: bool,
}

/// A member of a frame.
#[derive(Clone, Debug)]
pub enum CallField<'a> {
    /// Bytes, as hex.
    Bytes(&'a [u8]),
    /// Any text, quantities in hex among them.
    Text(String),
    /// The calls that it made: a list that has at least one.
    Calls,
    /// Its logs: at least one, each with its number in the block and the number of calls before it.
    Logs(Vec<(&'a Log, u64, u32)>),
}

const SELECTOR_BYTES: usize = 4;

impl Traced {
    /// The members of a frame in geth's order; what geth leaves out is left out.
    pub fn fields(&self, place: usize, format: CallFormat) -> Vec<(&'static str, CallField<'_>)> {
        use CallField::{Bytes, Calls, Logs, Text};
        let frame = &self.trace.frames[place];
        let quantity = |value: u64| Text(format!("{value:#x}"));
        // The transaction's own frame has all of its gas.
        let (gas, gas_used) = match frame.parent {
            Some(_) => (frame.gas, frame.gas_used),
            None => (self.subject.tx.gas_limit, self.outcome.gas_used),
        };
        let mut fields = vec![
            ("from", Bytes(frame.from.as_slice())),
            ("gas", quantity(gas)),
            ("gasUsed", quantity(gas_used)),
        ];
        if let Some(to) = &frame.to {
            fields.push(("to", Bytes(to.as_slice())));
        }
        fields.push(("input", Bytes(self.trace.bytes(frame.input))));
        let output = self.trace.bytes(frame.output);
        if !output.is_empty() {
            fields.push(("output", Bytes(output)));
        }
        if let Some(failure) = &frame.failure {
            fields.push(("error", Text(failure.to_string())));
            let reason = if *failure == Failure::Revert { revert_reason(output) } else { None };
            if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
                fields.push(("revertReason", Text(reason)));
            }
        }
        if frame.calls > 0 && !format.only_top_call {
            fields.push(("calls", Calls));
        }
        let logs = if format.with_log { self.logs(place) } else { Vec::new() };
        if !logs.is_empty() {
            fields.push(("logs", Logs(logs)));
        }
        if let Some(value) = &frame.value {
            fields.push(("value", Text(format!("{value:#x}"))));
        }
        let name = OpCode::new(frame.op).map_or("", |op| op.as_str());
        fields.push(("type", Text(name.into())));
        fields
    }

    /// The frames that a format shows.
    pub fn frames(&self, format: CallFormat) -> &[Frame] {
        let shown =
            if format.only_top_call { self.trace.frames.len().min(1) } else { self.trace.frames.len() };
        &self.trace.frames[..shown]
    }

    fn logs(&self, place: usize) -> Vec<(&Log, u64, u32)> {
        if self.is_reverted(place) {
            return Vec::new();
        }
        // Logs are kept in order of time; a frame's own are found by its place.
        let own = self.trace.logs.iter().filter(|log| log.frame as usize == place);
        own.map(|log| (&log.log, self.subject.first_log + log.index, log.position)).collect()
    }

    fn is_reverted(&self, place: usize) -> bool {
        let mut at = Some(place);
        while let Some(place) = at {
            let frame = &self.trace.frames[place];
            if frame.failure.is_some() {
                return true;
            }
            at = frame.parent.map(|parent| parent as usize);
        }
        false
    }

    /// The nested calls as one JSON object.
    pub fn calls_json(&self, format: CallFormat) -> String {
        let frames = self.frames(format);
        let mut callees: Vec<Vec<u32>> = vec![Vec::new(); frames.len()];
        for (place, frame) in frames.iter().enumerate() {
            if let Some(parent) = frame.parent {
                callees[parent as usize].push(place as u32);
            }
        }
        let mut out = String::new();
        if !frames.is_empty() {
            self.write_frame(&mut out, 0, format, &callees);
        }
        out
    }

    /// Frames lie in each other at most as deep as the machine lets them.
    fn write_frame(&self, out: &mut String, place: usize, format: CallFormat, callees: &[Vec<u32>]) {
        out.push('{');
        for (name, field) in self.fields(place, format) {
            write_key(out, name);
            match field {
                CallField::Bytes(bytes) => write_hex(out, bytes),
                CallField::Text(text) => write_text(out, &text),
                CallField::Calls => {
                    out.push('[');
                    for callee in &callees[place] {
                        separate(out);
                        self.write_frame(out, *callee as usize, format, callees);
                    }
                    out.push(']');
                }
                CallField::Logs(logs) => {
                    out.push('[');
                    for (log, index, position) in logs {
                        separate(out);
                        write_log(out, log, index, position);
                    }
                    out.push(']');
                }
            }
        }
        out.push('}');
    }

    /// How often each selector was called, by `selector-bytes of arguments`, sorted; calls of precompiled contracts and
    /// creations are none.
    pub fn four_bytes(&self) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        for frame in &self.trace.frames {
            let is_call = !matches!(frame.op, opcode::CREATE | opcode::CREATE2 | opcode::SELFDESTRUCT);
            let input = self.trace.bytes(frame.input);
            if let Some((selector, arguments)) = input.split_first_chunk::<SELECTOR_BYTES>()
                && is_call
                && !frame.precompile
            {
                let key = format!("{}-{}", hex::encode_prefixed(selector), arguments.len());
                *found.entry(key).or_default() += 1;
            }
        }
        found
    }
}

fn write_log(out: &mut String, log: &Log, index: u64, position: u32) {
    out.push('{');
    write_key(out, "address");
    write_hex(out, log.address.as_slice());
    write_key(out, "topics");
    out.push('[');
    for topic in log.data.topics() {
        separate(out);
        write_hex(out, topic.as_slice());
    }
    out.push(']');
    write_key(out, "data");
    write_hex(out, &log.data.data);
    write_key(out, "index");
    write_text(out, &format!("{index:#x}"));
    write_key(out, "position");
    write_text(out, &format!("{position:#x}"));
    out.push('}');
}
