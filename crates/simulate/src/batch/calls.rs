//! Calls as columns: each field is one value for all, or one for each.

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

    fn get(&self, index: usize) -> Bytes {
        match self {
            Self::Same(input) => input.clone(),
            // Copied, not shared: a count that all workers write would slow them.
            Self::Packed { bytes, offsets } => {
                Bytes::copy_from_slice(&bytes[offsets[index]..offsets[index + 1]])
            }
            Self::Template { template, fields } => {
                let mut input = template.clone();
                for field in fields {
                    let word = field.values[index].to_be_bytes::<32>();
                    input[field.offset..field.offset + 32].copy_from_slice(&word);
                }
                input.into()
            }
        }
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
        let mut tx = Transaction::default();
        self.fill(index, chain_id, &mut tx);
        tx
    }

    /// Writes call `index` over another one of these calls.
    pub(super) fn fill(&self, index: usize, chain_id: u64, tx: &mut Transaction) {
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
        tx.input = self.input.get(index);
    }
}
