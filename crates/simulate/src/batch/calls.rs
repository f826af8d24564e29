//! Calls as columns: each field is one value for all, or one for each.

use std::ops::Range;

use alloy_primitives::{Address, Bytes, U256};
use revm::context_interface::transaction::AccessListItem;
use solder_engine::Transaction;

use crate::call::kind;
use crate::error::SimulateError;

/// One value for all calls, or one for each.
#[derive(Clone, Debug, PartialEq)]
pub enum Column<T> {
    /// The same for all.
    Same(T),
    /// By the index of the call.
    Each(Vec<T>),
}

impl<T: Clone> Column<T> {
    fn get(&self, index: usize) -> &T {
        match self {
            Self::Same(value) => value,
            Self::Each(values) => &values[index],
        }
    }

    /// How many calls it is for; `None` for any number.
    pub fn len(&self) -> Option<usize> {
        match self {
            Self::Same(_) => None,
            Self::Each(values) => Some(values.len()),
        }
    }

    /// Whether it is for no call at all.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

/// A word of the call data that differs from call to call.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Where its 32 bytes begin.
    pub offset: usize,
    /// Its values, one for each call.
    pub values: Vec<U256>,
}

/// The call data of all calls.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The same for all.
    Same(Bytes),
    /// One after the other in one buffer: call `i` has `bytes[offsets[i]..offsets[i + 1]]`.
    Packed {
        /// All of them.
        bytes: Vec<u8>,
        /// One more than there are calls.
        offsets: Vec<usize>,
    },
    /// A template with words filled in.
    Template {
        /// What stays.
        template: Vec<u8>,
        /// What does not.
        fields: Vec<Field>,
    },
}

impl Input {
    fn len(&self) -> Option<usize> {
        match self {
            Self::Same(_) => None,
            Self::Packed { offsets, .. } => Some(offsets.len().saturating_sub(1)),
            Self::Template { fields, .. } => fields.first().map(|field| field.values.len()),
        }
    }

    /// The call data of some calls, in one buffer that is theirs: parts of it are shared by counting, and a count that
    /// several workers write would cost more than the call.
    fn gather(&self, calls: Range<usize>) -> Gathered {
        match self {
            Self::Same(input) => Gathered { bytes: Bytes::copy_from_slice(input), ends: None },
            Self::Packed { bytes, offsets } => {
                let begin = offsets[calls.start];
                let ends = offsets[calls.start + 1..=calls.end].iter().map(|end| end - begin).collect();
                let bytes = Bytes::copy_from_slice(&bytes[begin..offsets[calls.end]]);
                Gathered { bytes, ends: Some(ends) }
            }
            Self::Template { template, fields } => {
                let length = template.len();
                let mut bytes = template.repeat(calls.len());
                for field in fields {
                    for (place, value) in field.values[calls.clone()].iter().enumerate() {
                        let at = place * length + field.offset;
                        bytes[at..at + 32].copy_from_slice(&value.to_be_bytes::<32>());
                    }
                }
                let ends = (1..=calls.len()).map(|place| place * length).collect();
                Gathered { bytes: bytes.into(), ends: Some(ends) }
            }
        }
    }
}

/// Call data of successive calls.
struct Gathered {
    bytes: Bytes,
    /// Where each ends and the next begins; all are the same where there is none.
    ends: Option<Vec<usize>>,
}

impl Gathered {
    fn get(&self, place: usize) -> Bytes {
        let Some(ends) = &self.ends else { return self.bytes.clone() };
        let begin = if place == 0 { 0 } else { ends[place - 1] };
        self.bytes.slice(begin..ends[place])
    }
}

/// Many calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Calls {
    len: usize,
    /// Who calls.
    pub sender: Column<Address>,
    /// Whom; `None` creates.
    pub to: Column<Option<Address>>,
    /// Wei.
    pub value: Column<U256>,
    /// Gas.
    pub gas_limit: Column<u64>,
    /// Wei per gas.
    pub gas_price: Column<u128>,
    /// Call data or init code.
    pub input: Input,
    /// EIP-2930 access lists.
    pub access_list: Column<Vec<AccessListItem>>,
}

/// The most calls of one batch.
pub const MAX_CALLS: usize = 1 << 28;

impl Calls {
    /// Checks that all columns are equally long. Where every column is one value for all there is one call.
    pub fn new(
        sender: Column<Address>,
        to: Column<Option<Address>>,
        value: Column<U256>,
        gas_limit: Column<u64>,
        gas_price: Column<u128>,
        input: Input,
        access_list: Column<Vec<AccessListItem>>,
    ) -> Result<Self, SimulateError> {
        let lengths = [
            ("sender", sender.len()),
            ("to", to.len()),
            ("value", value.len()),
            ("gas_limit", gas_limit.len()),
            ("gas_price", gas_price.len()),
            ("data", input.len()),
            ("access_list", access_list.len()),
        ];
        let mut known: Option<(&str, usize)> = None;
        for (name, length) in lengths.into_iter().filter_map(|(name, length)| Some((name, length?))) {
            match known {
                Some((first, expected)) if expected != length => {
                    let detail = format!("{length} values, but {first} has {expected}");
                    return Err(SimulateError::input(name, detail));
                }
                _ => known = Some((name, length)),
            }
        }
        let len = known.map_or(1, |(_, length)| length);
        if len > MAX_CALLS {
            return Err(SimulateError::input("calls", format!("{len} calls are more than {MAX_CALLS}")));
        }
        let calls = Self { len, sender, to, value, gas_limit, gas_price, input, access_list };
        calls.check_input()?;
        Ok(calls)
    }

    fn check_input(&self) -> Result<(), SimulateError> {
        match &self.input {
            Input::Same(_) => Ok(()),
            Input::Packed { bytes, offsets } => {
                let ascending = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
                if !ascending || offsets.last().is_some_and(|last| *last > bytes.len()) {
                    return Err(SimulateError::input("data", "offsets do not ascend inside the bytes"));
                }
                Ok(())
            }
            Input::Template { template, fields } => {
                for field in fields {
                    let end = field.offset.checked_add(32);
                    if end.is_none_or(|end| end > template.len()) {
                        let detail = format!(
                            "32 bytes at {} are not in a template of {}",
                            field.offset,
                            template.len()
                        );
                        return Err(SimulateError::input("fields", detail));
                    }
                    if field.values.len() != self.len {
                        let detail = format!(
                            "{} values at offset {}, not {}",
                            field.values.len(),
                            field.offset,
                            self.len
                        );
                        return Err(SimulateError::input("fields", detail));
                    }
                }
                Ok(())
            }
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Call `index` as a transaction of the chain.
    pub fn transaction(&self, index: usize, chain_id: u64) -> Transaction {
        let mut txs = vec![Transaction::default()];
        self.fill(index..index + 1, chain_id, &mut txs);
        txs.pop().unwrap_or_default()
    }

    /// Writes calls over as many others of these calls.
    pub(super) fn fill(&self, calls: Range<usize>, chain_id: u64, txs: &mut [Transaction]) {
        let inputs = self.input.gather(calls.clone());
        for (place, (index, tx)) in calls.zip(txs).enumerate() {
            let access_list = self.access_list.get(index);
            if !access_list.is_empty() || tx.tx_type != 0 {
                tx.tx_type = u8::from(!access_list.is_empty());
                tx.chain_id = (!access_list.is_empty()).then_some(chain_id);
                tx.access_list.clone_from(access_list);
            }
            tx.sender = *self.sender.get(index);
            tx.to = kind(*self.to.get(index));
            tx.value = *self.value.get(index);
            tx.gas_limit = *self.gas_limit.get(index);
            tx.gas_price = *self.gas_price.get(index);
            tx.input = inputs.get(place);
        }
    }
}
