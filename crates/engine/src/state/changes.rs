//! What a block did to the state: per field the old and the new value, resets and touches. Diff, undo, root and
//! digest are all read from it, so that no two of them can disagree.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_rlp::{Encodable, Header as RlpHeader};
use revm::state::Bytecode;

/// The fields of an account that the state root commits to, storage aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountFields {
    /// Nonce.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// keccak256 of the code.
    pub code_hash: B256,
}

/// One slot that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotChange {
    /// The slot's key.
    pub slot: U256,
    /// Before the block.
    pub before: U256,
    /// After the block.
    pub after: U256,
}

/// One account that the block touched.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountChange {
    /// Whose.
    pub address: Address,
    /// Before the block; `None` where it did not exist.
    pub before: Option<AccountFields>,
    /// After the block; `None` where it does not exist any more.
    pub after: Option<AccountFields>,
    /// The account was destroyed on the way: slots that are not listed in `storage` are zero now.
    pub reset: bool,
    /// New code, where the code hash changed to one with code.
    pub code: Option<Bytecode>,
    /// Slots that differ. After a reset every slot that was or is not zero, equal ones too.
    pub storage: Vec<SlotChange>,
}

impl AccountChange {
    /// Whether anything differs. A touch alone does not count.
    pub fn is_changed(&self) -> bool {
        self.before != self.after || self.changed_slots().next().is_some()
    }

    /// The slots that differ.
    pub fn changed_slots(&self) -> impl Iterator<Item = &SlotChange> {
        self.storage.iter().filter(|slot| slot.before != slot.after)
    }
}

/// The changes of one block. Accounts are in no particular order until [`ChangeSet::sort`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChangeSet {
    /// Touched accounts; each address at most once.
    pub accounts: Vec<AccountChange>,
}

impl ChangeSet {
    /// Orders accounts by address and slots by key: the canonical form.
    pub fn sort(&mut self) {
        self.accounts.sort_unstable_by_key(|change| change.address);
        for change in &mut self.accounts {
            change.storage.sort_unstable_by_key(|slot| slot.slot);
        }
    }

    /// The accounts that differ, touches left out.
    pub fn changed(&self) -> impl Iterator<Item = &AccountChange> {
        self.accounts.iter().filter(|change| change.is_changed())
    }

    /// The change back: applying it after this one restores the state before. Code stays known.
    pub fn invert(&self) -> Self {
        let invert = |change: &AccountChange| AccountChange {
            address: change.address,
            before: change.after,
            after: change.before,
            reset: change.reset || change.after.is_none(),
            code: None,
            storage: change
                .storage
                .iter()
                .map(|slot| SlotChange { slot: slot.slot, before: slot.after, after: slot.before })
                .collect(),
        };
        Self { accounts: self.accounts.iter().map(invert).collect() }
    }

    /// `state_digest`: keccak256 of the RLP list, sorted by address, of
    /// `[address, nonce, balance, code hash, [[slot, value] changed, sorted]]` over the changed accounts, and
    /// `[address]` for a deleted one. A fingerprint to compare engines with.
    pub fn digest(&self) -> B256 {
        let mut changed: Vec<_> = self.changed().collect();
        changed.sort_unstable_by_key(|change| change.address);
        let mut items = Vec::new();
        for change in changed {
            let mut item = Vec::new();
            change.address.encode(&mut item);
            if let Some(after) = &change.after {
                after.nonce.encode(&mut item);
                after.balance.encode(&mut item);
                after.code_hash.encode(&mut item);
                item.extend_from_slice(&encode_slots(change.changed_slots()));
            }
            append_list(&item, &mut items);
        }
        let mut list = Vec::with_capacity(items.len() + 9);
        append_list(&items, &mut list);
        keccak256(list)
    }
}

fn encode_slots<'a>(changed: impl Iterator<Item = &'a SlotChange>) -> Vec<u8> {
    let mut slots: Vec<_> = changed.collect();
    slots.sort_unstable_by_key(|slot| slot.slot);
    let mut pairs = Vec::new();
    for slot in slots {
        let mut pair = Vec::with_capacity(66);
        slot.slot.encode(&mut pair);
        slot.after.encode(&mut pair);
        append_list(&pair, &mut pairs);
    }
    let mut list = Vec::with_capacity(pairs.len() + 9);
    append_list(&pairs, &mut list);
    list
}

fn append_list(payload: &[u8], out: &mut Vec<u8>) {
    RlpHeader { list: true, payload_length: payload.len() }.encode(out);
    out.extend_from_slice(payload);
}
