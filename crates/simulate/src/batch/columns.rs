//! Results as columns, in the order of the calls.

use alloy_primitives::{Address, B256, U256};
use revm::primitives::KECCAK_EMPTY;
use solder_engine::state::AccountFields;
use solder_engine::{ChangeSet, Rejection};

use crate::call::{Outcome, Status};

/// Logs, one row each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogColumns {
    /// The call that wrote it.
    pub call: Vec<u64>,
    /// Whose log.
    pub address: Vec<Address>,
    /// Topics, four columns; a missing one is zero and not valid.
    pub topics: [Vec<B256>; 4],
    /// How many topics it has.
    pub topic_count: Vec<u8>,
    /// Where its data begins; one more than there are logs.
    pub data_offsets: Vec<i64>,
    /// The data of all.
    pub data: Vec<u8>,
}

/// Slots, balances and nonces that a call would have changed, one row each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiffColumns {
    /// The call.
    pub call: Vec<u64>,
    /// Whose field.
    pub address: Vec<Address>,
    /// Which: [`DiffColumns::FIELDS`].
    pub field: Vec<u8>,
    /// The slot's key; zero for other fields.
    pub slot: Vec<U256>,
    /// Before. Of code its hash.
    pub before: Vec<U256>,
    /// After.
    pub after: Vec<U256>,
}

impl DiffColumns {
    /// The names of the fields, by their number.
    pub const FIELDS: [&'static str; 4] = ["balance", "nonce", "code", "slot"];

    fn push(&mut self, call: u64, address: Address, field: u8, slot: U256, values: (U256, U256)) {
        if values.0 != values.1 {
            self.call.push(call);
            self.address.push(address);
            self.field.push(field);
            self.slot.push(slot);
            self.before.push(values.0);
            self.after.push(values.1);
        }
    }

    fn append(&mut self, call: u64, mut changes: ChangeSet) {
        changes.sort();
        for change in &changes.accounts {
            let missing = AccountFields { nonce: 0, balance: U256::ZERO, code_hash: KECCAK_EMPTY };
            let (before, after) = (change.before.unwrap_or(missing), change.after.unwrap_or(missing));
            let of = |value: fn(&AccountFields) -> U256| (value(&before), value(&after));
            self.push(call, change.address, 0, U256::ZERO, of(|fields| fields.balance));
            self.push(call, change.address, 1, U256::ZERO, of(|fields| U256::from(fields.nonce)));
            self.push(call, change.address, 2, U256::ZERO, of(|fields| fields.code_hash.into()));
            for slot in &change.storage {
                self.push(call, change.address, 3, slot.slot, (slot.before, slot.after));
            }
        }
    }
}

/// The results of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    /// [`Status`] by its number.
    pub status: Vec<u8>,
    /// Gas paid for.
    pub gas_used: Vec<u64>,
    /// Gas refunded.
    pub gas_refunded: Vec<u64>,
    /// Where each output begins; one more than there are calls.
    pub output_offsets: Vec<i64>,
    /// The outputs of all.
    pub output: Vec<u8>,
    /// The created contract; zero where there is none.
    pub created: Vec<Address>,
    /// Why a call halted or was rejected: (index, text), ascending.
    pub errors: Vec<(u64, String)>,
    /// Logs, where they were asked for.
    pub logs: Option<LogColumns>,
    /// Changes, where they were asked for.
    pub diffs: Option<DiffColumns>,
}

impl Columns {
    /// Empty columns with room for `calls`.
    pub fn new(calls: usize, logs: bool, diffs: bool) -> Self {
        let mut output_offsets = Vec::with_capacity(calls + 1);
        output_offsets.push(0);
        Self {
            status: Vec::with_capacity(calls),
            gas_used: Vec::with_capacity(calls),
            gas_refunded: Vec::with_capacity(calls),
            output_offsets,
            created: Vec::with_capacity(calls),
            logs: logs.then(|| LogColumns { data_offsets: vec![0], ..Default::default() }),
            diffs: diffs.then(DiffColumns::default),
            ..Default::default()
        }
    }

    /// How many results.
    pub fn len(&self) -> usize {
        self.status.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.status.is_empty()
    }

    /// Appends what call `index` gave.
    pub(super) fn push(&mut self, index: u64, outcome: Outcome, changes: Option<ChangeSet>) {
        self.row(outcome.status, outcome.gas_used, outcome.gas_refunded, &outcome.output, outcome.created);
        if let Some(reason) = outcome.halt {
            self.errors.push((index, reason));
        }
        if let Some(columns) = &mut self.logs {
            for log in &outcome.logs {
                let topics = log.data.topics();
                columns.call.push(index);
                columns.address.push(log.address);
                columns.topic_count.push(topics.len() as u8);
                for (place, column) in columns.topics.iter_mut().enumerate() {
                    column.push(topics.get(place).copied().unwrap_or_default());
                }
                columns.data.extend_from_slice(&log.data.data);
                columns.data_offsets.push(columns.data.len() as i64);
            }
        }
        if let (Some(columns), Some(changes)) = (&mut self.diffs, changes) {
            columns.append(index, changes);
        }
    }

    /// Appends a call that did not run.
    pub(super) fn reject(&mut self, index: u64, rejection: &Rejection) {
        self.row(Status::Rejected, 0, 0, &[], None);
        self.errors.push((index, rejection.to_string()));
    }

    fn row(&mut self, status: Status, gas_used: u64, refunded: u64, output: &[u8], created: Option<Address>) {
        self.status.push(status as u8);
        self.gas_used.push(gas_used);
        self.gas_refunded.push(refunded);
        self.output.extend_from_slice(output);
        self.output_offsets.push(self.output.len() as i64);
        self.created.push(created.unwrap_or_default());
    }

    /// Appends the results of the calls that follow.
    pub(super) fn append(&mut self, mut next: Self) {
        let shift = self.output.len() as i64;
        self.status.append(&mut next.status);
        self.gas_used.append(&mut next.gas_used);
        self.gas_refunded.append(&mut next.gas_refunded);
        self.output_offsets.extend(next.output_offsets.iter().skip(1).map(|offset| offset + shift));
        self.output.append(&mut next.output);
        self.created.append(&mut next.created);
        self.errors.append(&mut next.errors);
        if let (Some(all), Some(mut next)) = (&mut self.logs, next.logs) {
            let shift = all.data.len() as i64;
            all.call.append(&mut next.call);
            all.address.append(&mut next.address);
            all.topic_count.append(&mut next.topic_count);
            for (column, more) in all.topics.iter_mut().zip(&mut next.topics) {
                column.append(more);
            }
            all.data_offsets.extend(next.data_offsets.iter().skip(1).map(|offset| offset + shift));
            all.data.append(&mut next.data);
        }
        if let (Some(all), Some(mut next)) = (&mut self.diffs, next.diffs) {
            all.call.append(&mut next.call);
            all.address.append(&mut next.address);
            all.field.append(&mut next.field);
            all.slot.append(&mut next.slot);
            all.before.append(&mut next.before);
            all.after.append(&mut next.after);
        }
    }
}
