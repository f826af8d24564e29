//! A layer: accounts and slots that replace those below it. Sorted arrays, so that a layer of a few entries is small and
//! two layers merge in one pass.

use std::sync::Arc;

use alloy_primitives::{Address, U256};
use revm::state::AccountInfo;
use solder_engine::state::{AccountChange, ChangeSet};

/// One account of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerAccount {
    /// Whose.
    pub address: Address,
    /// Its fields with its code; `None` where it does not exist.
    pub info: Option<AccountInfo>,
    /// Slots that are not listed here are zero, whatever is below.
    pub reset: bool,
    /// Slots by key, sorted.
    pub slots: Box<[(U256, U256)]>,
}

impl LayerAccount {
    /// A slot, where this layer decides it.
    pub fn slot(&self, key: &U256) -> Option<U256> {
        match self.slots.binary_search_by(|(slot, _)| slot.cmp(key)) {
            Ok(place) => Some(self.slots[place].1),
            Err(_) => self.reset.then_some(U256::ZERO),
        }
    }

    /// This account over what was below it.
    fn over(&self, below: &Self) -> Self {
        let reset = self.reset || below.reset;
        let slots = if self.reset { self.slots.clone() } else { merge_slots(&below.slots, &self.slots) };
        Self { address: self.address, info: self.info.clone(), reset, slots }
    }
}

/// Accounts by address, sorted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    accounts: Box<[LayerAccount]>,
    size: usize,
}

impl Layer {
    /// From accounts in any order, each address once, slots in any order.
    pub fn new(mut accounts: Vec<LayerAccount>) -> Self {
        accounts.sort_unstable_by_key(|account| account.address);
        for account in &mut accounts {
            account.slots.sort_unstable_by_key(|(slot, _)| *slot);
        }
        Self::sorted(accounts)
    }

    fn sorted(accounts: Vec<LayerAccount>) -> Self {
        let size = accounts.iter().map(|account| 1 + account.slots.len()).sum();
        Self { accounts: accounts.into(), size }
    }

    /// Accounts and slots together.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The accounts, by address.
    pub fn accounts(&self) -> &[LayerAccount] {
        &self.accounts
    }

    /// An account, where this layer has it.
    pub fn get(&self, address: &Address) -> Option<&LayerAccount> {
        let place = self.accounts.binary_search_by(|account| account.address.cmp(address));
        place.ok().map(|place| &self.accounts[place])
    }

    /// One layer that says what this one over `below` says.
    pub fn over(&self, below: &Self) -> Self {
        let mut merged = Vec::with_capacity(self.accounts.len() + below.accounts.len());
        let (mut lower, mut upper) = (below.accounts.iter().peekable(), self.accounts.iter().peekable());
        loop {
            match (lower.peek(), upper.peek()) {
                (Some(old), Some(new)) if old.address == new.address => {
                    merged.push(new.over(old));
                    lower.next();
                    upper.next();
                }
                (Some(old), Some(new)) if old.address < new.address => {
                    merged.push((*old).clone());
                    lower.next();
                }
                (_, Some(new)) => {
                    merged.push((*new).clone());
                    upper.next();
                }
                (Some(old), None) => {
                    merged.push((*old).clone());
                    lower.next();
                }
                (None, None) => return Self::sorted(merged),
            }
        }
    }
}

fn merge_slots(below: &[(U256, U256)], above: &[(U256, U256)]) -> Box<[(U256, U256)]> {
    let mut merged = Vec::with_capacity(below.len() + above.len());
    let (mut lower, mut upper) = (0, 0);
    while lower < below.len() && upper < above.len() {
        let (old, new) = (below[lower], above[upper]);
        merged.push(if old.0 < new.0 { old } else { new });
        lower += usize::from(old.0 <= new.0);
        upper += usize::from(old.0 >= new.0);
    }
    merged.extend_from_slice(&below[lower..]);
    merged.extend_from_slice(&above[upper..]);
    merged.into()
}

/// The layers of a snapshot, oldest first. Few: a layer that is not much smaller than the one below is merged into it.
#[derive(Clone, Debug, Default)]
pub struct Layers(Vec<Arc<Layer>>);

/// The most layers that a read looks through.
pub const MAX_LAYERS: usize = 8;

impl Layers {
    /// These with one more on top.
    pub fn with(&self, layer: Layer) -> Self {
        let mut layers = Vec::with_capacity(self.0.len() + 1);
        layers.extend(self.0.iter().cloned());
        let mut top = layer;
        while let Some(below) = layers.last()
            && (top.size() * 2 >= below.size() || layers.len() >= MAX_LAYERS)
        {
            top = top.over(below);
            layers.pop();
        }
        layers.push(Arc::new(top));
        Self(layers)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The newest word on an account.
    #[inline]
    pub fn account(&self, address: &Address) -> Option<&LayerAccount> {
        self.0.iter().rev().find_map(|layer| layer.get(address))
    }

    /// The newest word on a slot.
    #[inline]
    pub fn slot(&self, address: &Address, key: &U256) -> Option<U256> {
        self.0.iter().rev().find_map(|layer| layer.get(address)?.slot(key))
    }

    /// All layers as one.
    pub fn merged(&self) -> Layer {
        self.0.iter().fold(Layer::default(), |below, layer| layer.over(&below))
    }

    /// The layers, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Layer>> {
        self.0.iter()
    }
}

/// What a ChangeSet says of an account, with the code that it has now.
pub(crate) fn from_change(change: &AccountChange, info: Option<AccountInfo>) -> LayerAccount {
    let slots = change.storage.iter().map(|slot| (slot.slot, slot.after)).collect();
    let reset = change.reset || change.after.is_none();
    LayerAccount { address: change.address, info, reset, slots }
}

/// Whether a ChangeSet changes nothing.
pub(crate) fn is_idle(changes: &ChangeSet) -> bool {
    changes.changed().next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(owner: u8, balance: u64, slots: &[(u64, u64)], reset: bool) -> LayerAccount {
        LayerAccount {
            address: Address::repeat_byte(owner),
            info: Some(AccountInfo { balance: U256::from(balance), ..Default::default() }),
            reset,
            slots: slots.iter().map(|(key, value)| (U256::from(*key), U256::from(*value))).collect(),
        }
    }

    #[test]
    fn merging_says_what_the_stack_said() {
        let first =
            Layer::new(vec![account(1, 10, &[(1, 1), (3, 3)], false), account(2, 20, &[(7, 7)], false)]);
        let second = Layer::new(vec![account(2, 21, &[(8, 8)], true), account(3, 30, &[], false)]);
        let third = Layer::new(vec![account(1, 11, &[(2, 2), (3, 4)], false)]);
        let stack = [&first, &second, &third];
        let merged = third.over(&second.over(&first));
        for owner in 1..=4 {
            let address = Address::repeat_byte(owner);
            let expected =
                stack.iter().rev().find_map(|layer| layer.get(&address)).map(|account| &account.info);
            assert_eq!(merged.get(&address).map(|account| &account.info), expected);
            for key in 0..10u64 {
                let key = U256::from(key);
                let expected = stack.iter().rev().find_map(|layer| layer.get(&address)?.slot(&key));
                assert_eq!(
                    merged.get(&address).and_then(|account| account.slot(&key)),
                    expected,
                    "{owner} {key}"
                );
            }
        }
    }

    #[test]
    fn depth_stays_small() {
        let mut layers = Layers::default();
        for round in 0..1000u64 {
            layers = layers.with(Layer::new(vec![account((round % 250) as u8, round, &[(round, 1)], false)]));
            assert!(layers.len() <= MAX_LAYERS, "{round}: {}", layers.len());
            let newest = layers.account(&Address::repeat_byte((round % 250) as u8)).unwrap();
            assert_eq!(newest.info.as_ref().unwrap().balance, U256::from(round));
        }
        assert_eq!(layers.merged().size(), 250 + 1000);
    }
}
