//! revm's database over our [`StateReader`]: the serial engine waits where an answer is pending.

use alloy_primitives::{Address, B256, U256};
use revm::Database;
use revm::database_interface::DBErrorMarker;
use revm::state::{AccountInfo, Bytecode};

use crate::error::Fault;
use crate::state::{Read, StateReader, reader::read_now};

impl DBErrorMarker for Fault {}

/// A borrowed view of the state before the block.
#[derive(Clone, Copy)]
pub struct StateDb<'a> {
    /// Where it reads.
    pub reader: &'a dyn StateReader,
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
        match self.reader.account(address)? {
            Read::Ready(account) => Ok(account),
            Read::Pending(_) => read_now(self.reader, |reader| reader.account(address)),
        }
    }

    #[inline]
    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Fault> {
        read_now(self.reader, |reader| reader.code(code_hash))
    }

    #[inline]
    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Fault> {
        match self.reader.storage(address, slot)? {
            Read::Ready(value) => Ok(value),
            Read::Pending(_) => read_now(self.reader, |reader| reader.storage(address, slot)),
        }
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Fault> {
        read_now(self.reader, |reader| reader.block_hash(number))
    }
}
