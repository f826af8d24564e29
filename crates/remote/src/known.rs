//! What is known of the pinned block's state: one flat base in memory, which every snapshot over it shares. It only grows, and
//! only by what was checked; reading takes no lock.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use alloy_primitives::map::DefaultHashBuilder;
use alloy_primitives::{Address, B256, U256};
use papaya::HashMap;
use revm::primitives::KECCAK_EMPTY;
use revm::state::{AccountInfo, Bytecode};

type Shared<K, V> = HashMap<K, V, DefaultHashBuilder>;

/// Something that a node can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An account with its code.
    Account(Address),
    /// A slot.
    Slot(Address, U256),
    /// The hash of an ancestor.
    BlockHash(u64),
}

/// What it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// An account with its code, or that there is none.
    Account(Address, Option<AccountInfo>),
    /// A slot's value.
    Slot(Address, U256, U256),
    /// An ancestor's hash.
    BlockHash(u64, B256),
}

impl Known {
    /// What it answers.
    pub fn key(&self) -> Key {
        match self {
            Self::Account(address, _) => Key::Account(*address),
            Self::Slot(address, slot, _) => Key::Slot(*address, *slot),
            Self::BlockHash(number, _) => Key::BlockHash(*number),
        }
    }
}

/// The part of a state that is known.
#[derive(Default)]
pub struct KnownState {
    accounts: Shared<Address, Option<AccountInfo>>,
    slots: Shared<(Address, U256), U256>,
    codes: Shared<B256, Bytecode>,
    hashes: RwLock<BTreeMap<u64, B256>>,
}

impl KnownState {
    /// An account, if it is known (or that there is none).
    #[inline]
    pub fn account(&self, address: Address) -> Option<Option<AccountInfo>> {
        self.accounts.pin().get(&address).cloned()
    }

    /// A slot, if it is known. An account that does not exist has none but zeros.
    #[inline]
    pub fn slot(&self, address: Address, slot: U256) -> Option<U256> {
        let found = self.slots.pin().get(&(address, slot)).copied();
        found.or_else(|| matches!(self.accounts.pin().get(&address), Some(None)).then_some(U256::ZERO))
    }

    /// Code of an account that is known.
    pub fn code(&self, hash: B256) -> Option<Bytecode> {
        self.codes.pin().get(&hash).cloned()
    }

    /// An ancestor's hash, if it is known.
    pub fn block_hash(&self, number: u64) -> Option<B256> {
        self.hashes.read().unwrap_or_else(PoisonError::into_inner).get(&number).copied()
    }

    /// Whether a question is answered.
    pub fn has(&self, key: Key) -> bool {
        match key {
            Key::Account(address) => self.account(address).is_some(),
            Key::Slot(address, slot) => self.slot(address, slot).is_some(),
            Key::BlockHash(number) => self.block_hash(number).is_some(),
        }
    }

    /// Keeps an answer.
    pub fn insert(&self, known: Known) {
        match known {
            Known::Account(address, mut info) => {
                if let Some(info) = &mut info {
                    match info.code.as_ref().filter(|_| info.code_hash != KECCAK_EMPTY) {
                        Some(code) => {
                            self.codes.pin().insert(info.code_hash, code.clone());
                        }
                        // Without it: its count of users is one that all threads would write.
                        None => info.code = None,
                    }
                }
                self.accounts.pin().insert(address, info);
            }
            Known::Slot(address, slot, value) => {
                self.slots.pin().insert((address, slot), value);
            }
            Known::BlockHash(number, hash) => {
                self.hashes.write().unwrap_or_else(PoisonError::into_inner).insert(number, hash);
            }
        }
    }

    /// How many accounts and slots are known.
    pub fn len(&self) -> (usize, usize) {
        (self.accounts.len(), self.slots.len())
    }
}
