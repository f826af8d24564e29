//! Which transactions may turn out to be chains: those of one sender, and those that call one contract. Numbering all of a
//! block's senders and recipients takes as long as dozens of its transactions, so it is put off until the scheduler would
//! take one of those groups for a chain: conflicts are held back here until then, and given to it in their order.

use std::sync::Mutex;

use alloy_primitives::{Address, TxKind, map::AddressMap};

use super::scheduler::MIN_CHAIN_CONFLICTS;
use super::shared::{Shared, lock};
use crate::chain::Transaction;

/// The most conflicts that are held back.
const MAX_HELD: usize = 256;

/// Conflicts that the scheduler has not heard of: who read too early, and what the other one wrote. `None` once it knows
/// the groups.
#[derive(Debug)]
pub struct Chains(Mutex<Option<Vec<(usize, usize)>>>);

impl Default for Chains {
    fn default() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }
}

/// What two transactions have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Common {
    Sender(Address),
    Recipient(TxKind),
}

impl Common {
    fn of(one: &Transaction, other: &Transaction) -> impl Iterator<Item = Self> {
        let sender = (one.sender == other.sender).then_some(Self::Sender(one.sender));
        let recipient = (one.to == other.to).then_some(Self::Recipient(one.to));
        sender.into_iter().chain(recipient)
    }

    fn is_of(self, tx: &Transaction) -> bool {
        match self {
            Self::Sender(sender) => tx.sender == sender,
            Self::Recipient(to) => tx.to == to,
        }
    }
}

impl Shared<'_> {
    /// A transaction read what a lower one wrote, too early.
    pub fn conflicted(&self, tx: usize, by: usize) {
        if by >= tx {
            return;
        }
        let (one, other) = (&self.transactions[tx], &self.transactions[by]);
        if Common::of(one, other).next().is_none() {
            return;
        }
        let mut held = lock(&self.chains.0);
        if let Some(before) = &mut *held {
            let is_chain = Common::of(one, other).any(|common| self.may_be_chain(common, before));
            if !is_chain && before.len() < MAX_HELD {
                before.push((tx, by));
                return;
            }
            // Not while others wait for the scheduler's lock.
            let groups = self.groups();
            let mut scheduler = self.scheduler();
            scheduler.set_groups(groups);
            for (tx, by) in before.drain(..) {
                scheduler.conflicted(tx, by);
            }
            drop(scheduler);
            *held = None;
        }
        drop(held);
        self.scheduler().conflicted(tx, by);
    }

    /// Whether one more conflict inside a group makes the scheduler take it for a chain.
    fn may_be_chain(&self, common: Common, held: &[(usize, usize)]) -> bool {
        let is_inside = |pair: &&(usize, usize)| {
            common.is_of(&self.transactions[pair.0]) && common.is_of(&self.transactions[pair.1])
        };
        let conflicts = held.iter().filter(is_inside).count() + 1;
        if conflicts < MIN_CHAIN_CONFLICTS {
            return false;
        }
        let inside = |tx: &usize| common.is_of(&self.transactions[*tx]);
        let committed: Vec<usize> = (0..self.head()).filter(inside).collect();
        let scheduler = self.scheduler();
        committed.into_iter().filter(|tx| scheduler.is_kept(*tx)).take(conflicts + 1).count() <= conflicts
    }

    /// Who a transaction is from and whom it calls, as groups.
    fn groups(&self) -> Vec<[u32; 2]> {
        let mut numbers: AddressMap<u32> = AddressMap::default();
        numbers.reserve(2 * self.transactions.len());
        let mut number = |address: Address| {
            let next = numbers.len() as u32 * 2;
            *numbers.entry(address).or_insert(next)
        };
        let group = |tx: &Transaction| {
            let to = tx.to.to().copied().unwrap_or_default();
            // A sender and a recipient are never the same group.
            [number(tx.sender), number(to) + 1]
        };
        self.transactions.iter().map(group).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_have_a_sender_or_a_recipient_in_common() {
        let tx = |sender: u8, to: Option<u8>| Transaction {
            sender: Address::with_last_byte(sender),
            to: to.map_or(TxKind::Create, |to| Address::with_last_byte(to).into()),
            ..Transaction::default()
        };
        let common = |one: &Transaction, other: &Transaction| {
            let both = |it: &Common| it.is_of(one) && it.is_of(other);
            let found: Vec<Common> = Common::of(one, other).collect();
            assert!(found.iter().all(both));
            found.len()
        };
        assert_eq!(common(&tx(1, Some(2)), &tx(1, Some(2))), 2);
        assert_eq!(common(&tx(1, Some(2)), &tx(1, Some(3))), 1);
        assert_eq!(common(&tx(1, None), &tx(2, None)), 1);
        // Whom one pays is not who sends the other.
        assert_eq!(common(&tx(1, Some(2)), &tx(2, Some(1))), 0);
        assert_eq!(common(&tx(1, Some(0)), &tx(2, None)), 0);
    }
}
