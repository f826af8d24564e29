//! The state root of an in-memory state, computed from scratch. Roots of ordered lists (transactions, receipts,
//! withdrawals) are with the values that they commit to, in `chain`.

use alloy_primitives::{B256, U256};
use alloy_trie::{
    TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};

use crate::state::{MemoryState, StateAccount};

/// The root of the storage trie of one account.
pub fn storage_root(account: &StateAccount) -> B256 {
    storage_root_unhashed(account.storage.iter().map(|(slot, value)| (to_key(*slot), *value)))
}

/// The state root.
pub fn state_root(state: &MemoryState) -> B256 {
    state_root_unhashed(state.iter().map(|(address, account)| {
        let leaf = TrieAccount {
            nonce: account.info.nonce,
            balance: account.info.balance,
            storage_root: storage_root(account),
            code_hash: account.info.code_hash,
        };
        (*address, leaf)
    }))
}

fn to_key(slot: U256) -> B256 {
    B256::from(slot.to_be_bytes::<32>())
}
