//! A snapshot as one of several workers reads it: with a copy of each contract's code that is the worker's own. Code is
//! shared by counting its users, and a count that two processors write in every call costs more than the call.

use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, B256Map},
};
use revm::primitives::KECCAK_EMPTY;
use revm::state::{AccountId, AccountInfo, Bytecode};
use solder_engine::state::memory::analyse;
use solder_engine::state::{Read, Ticket};
use solder_engine::{Fault, StateReader};

use crate::snapshot::Snapshot;

/// The most contracts that a worker remembers.
const MAX_CONTRACTS: usize = 1024;

/// The reader of one worker.
pub(super) struct OwnCode<'s> {
    snapshot: &'s Snapshot,
    own: Mutex<Own>,
}

#[derive(Default)]
struct Own {
    codes: B256Map<Bytecode>,
    /// Contracts with their own code: to read one from the snapshot again would count the shared one.
    contracts: AddressMap<AccountInfo>,
}

impl Own {
    fn code(&mut self, hash: B256, shared: &Bytecode) -> Bytecode {
        self.codes.entry(hash).or_insert_with(|| analyse(shared.original_bytes()).1).clone()
    }
}

impl<'s> OwnCode<'s> {
    /// Over a snapshot, with no code copied yet.
    pub fn new(snapshot: &'s Snapshot) -> Self {
        Self { snapshot, own: Mutex::default() }
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateReader for OwnCode<'_> {
    fn account(&self, address: Address) -> Result<Read<Option<AccountInfo>>, Fault> {
        if let Some(info) = self.own().contracts.get(&address) {
            return Ok(Read::Ready(Some(info.clone())));
        }
        let mut read = self.snapshot.account(address)?;
        if let Read::Ready(Some(info)) = &mut read
            && info.code_hash != KECCAK_EMPTY
            && let Some(shared) = info.code.take()
        {
            let mut own = self.own();
            info.code = Some(own.code(info.code_hash, &shared));
            if own.contracts.len() >= MAX_CONTRACTS {
                own.contracts.clear();
            }
            own.contracts.insert(address, info.clone());
        }
        Ok(read)
    }

    fn storage(&self, address: Address, hint: Option<AccountId>, slot: U256) -> Result<Read<U256>, Fault> {
        self.snapshot.storage(address, hint, slot)
    }

    fn code(&self, hash: B256) -> Result<Read<Bytecode>, Fault> {
        match self.snapshot.code(hash)? {
            Read::Ready(code) if hash != KECCAK_EMPTY => Ok(Read::Ready(self.own().code(hash, &code))),
            read => Ok(read),
        }
    }

    fn block_hash(&self, number: u64) -> Result<Read<B256>, Fault> {
        self.snapshot.block_hash(number)
    }

    fn slots(&self, address: Address) -> Result<Read<Vec<(U256, U256)>>, Fault> {
        self.snapshot.slots(address)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), Fault> {
        self.snapshot.wait(ticket)
    }
}
