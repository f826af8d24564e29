//! revm's database over our [`StateReader`]: the serial engine waits where an answer is pending. It keeps what it was
//! told: the journal asks for an account or a slot once in a block, so this is the state before the block for
//! everything that the block saw, and the ChangeSet is made from it without asking again.

use alloy_primitives::{Address, B256, U256};
use revm::Database;
use revm::database_interface::DBErrorMarker;
use revm::state::{AccountId, AccountInfo, Bytecode};

use crate::error::Fault;
use crate::state::{AccountFields, Read, StateReader, reader::read_now};

impl DBErrorMarker for Fault {}

/// An account as it was before the block.
#[derive(Clone, Copy, Debug)]
pub struct LoadedAccount {
    /// Its fields.
    pub before: AccountFields,
    /// The reader's own name for it, to find its slots by.
    hint: Option<AccountId>,
}

/// A slot as it was before the block.
#[derive(Clone, Copy, Debug)]
pub struct LoadedSlot {
    /// The place of its account among the loaded ones.
    pub account: u32,
    /// Its key.
    pub slot: U256,
    /// Its value.
    pub before: U256,
}

/// What the block was told, in the order in which it asked.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Accounts that exist; an account's `account_id` in the journal is its place here.
    pub accounts: Vec<LoadedAccount>,
    /// Their slots.
    pub slots: Vec<LoadedSlot>,
}

impl Loaded {
    /// Forgets everything but keeps the room.
    pub fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
    }
}

/// A borrowed view of the state before the block.
pub struct StateDb<'a> {
    /// Where it reads.
    pub reader: &'a dyn StateReader,
    /// What it read.
    pub loaded: Loaded,
}

impl std::fmt::Debug for StateDb<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StateDb")
    }
}

impl Database for StateDb<'_> {
    type Error = Fault;

    #[inline]
    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Fault> {
        let info = match self.reader.account(address)? {
            Read::Ready(info) => info,
            Read::Pending(_) => read_now(self.reader, |reader| reader.account(address))?,
        };
        let Some(mut info) = info else { return Ok(None) };
        let before = AccountFields { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash };
        let place = AccountId::new(self.loaded.accounts.len());
        self.loaded.accounts.push(LoadedAccount { before, hint: info.account_id });
        info.account_id = place;
        Ok(Some(info))
    }

    #[inline]
    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Fault> {
        read_now(self.reader, |reader| reader.code(code_hash))
    }

    /// A slot of an account that does not exist.
    #[inline]
    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Fault> {
        read_now(self.reader, |reader| reader.storage(address, None, slot))
    }

    #[inline]
    fn storage_by_account_id(&mut self, address: Address, id: AccountId, slot: U256) -> Result<U256, Fault> {
        let hint = self.loaded.accounts.get(id.get()).and_then(|account| account.hint);
        let before = match self.reader.storage(address, hint, slot)? {
            Read::Ready(value) => value,
            Read::Pending(_) => read_now(self.reader, |reader| reader.storage(address, hint, slot))?,
        };
        // An AccountId fits 32 bits by its type.
        self.loaded.slots.push(LoadedSlot { account: id.get() as u32, slot, before });
        Ok(before)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Fault> {
        read_now(self.reader, |reader| reader.block_hash(number))
    }
}
