//! States that do not answer at once: some reads are answered only after somebody waited, so that transactions park; or
//! one account cannot be read at all.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use alloy_primitives::{Address, B256, U256};
use revm::state::{AccountId, AccountInfo, Bytecode};
use solder_engine::state::{Read, StateReader, Ticket};
use solder_engine::{Fault, MemoryState};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Asked {
    Account(Address),
    Slot(Address, U256),
    Code(B256),
    Slots(Address),
}

#[derive(Default)]
struct Answers {
    tickets: Vec<Asked>,
    served: HashSet<Asked>,
    waits: usize,
}

/// A state behind tickets.
pub struct Reluctant<'a> {
    state: &'a MemoryState,
    answers: Mutex<Answers>,
}

impl<'a> Reluctant<'a> {
    /// Two reads of three wait, the first time.
    pub fn new(state: &'a MemoryState) -> Self {
        Self { state, answers: Mutex::default() }
    }

    /// How often somebody waited.
    pub fn waits(&self) -> usize {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).waits
    }

    /// A ticket, where the answer is not there yet.
    fn ticket(&self, asked: Asked, last: u8) -> Option<Ticket> {
        if last.is_multiple_of(3) {
            return None;
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.served.contains(&asked) {
            return None;
        }
        answers.tickets.push(asked);
        Some(Ticket(answers.tickets.len() as u64 - 1))
    }
}

impl StateReader for Reluctant<'_> {
    fn account(&self, address: Address) -> Result<Read<Option<AccountInfo>>, Fault> {
        match self.ticket(Asked::Account(address), address.0[19]) {
            Some(ticket) => Ok(Read::Pending(ticket)),
            None => self.state.account(address),
        }
    }

    fn storage(&self, address: Address, hint: Option<AccountId>, slot: U256) -> Result<Read<U256>, Fault> {
        match self.ticket(Asked::Slot(address, slot), slot.byte(0)) {
            Some(ticket) => Ok(Read::Pending(ticket)),
            None => self.state.storage(address, hint, slot),
        }
    }

    fn code(&self, hash: B256) -> Result<Read<Bytecode>, Fault> {
        match self.ticket(Asked::Code(hash), hash[31]) {
            Some(ticket) => Ok(Read::Pending(ticket)),
            None => self.state.code(hash),
        }
    }

    fn block_hash(&self, number: u64) -> Result<Read<B256>, Fault> {
        self.state.block_hash(number)
    }

    fn slots(&self, address: Address) -> Result<Read<Vec<(U256, U256)>>, Fault> {
        match self.ticket(Asked::Slots(address), address.0[19]) {
            Some(ticket) => Ok(Read::Pending(ticket)),
            None => self.state.slots(address),
        }
    }

    fn wait(&self, ticket: Ticket) -> Result<(), Fault> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = usize::try_from(ticket.0).ok().and_then(|place| answers.tickets.get(place).copied());
        let Some(asked) = asked else {
            return Err(Fault::StateRead(format!("nobody was given {ticket:?}")));
        };
        answers.served.insert(asked);
        answers.waits += 1;
        Ok(())
    }
}

/// A state in which one account cannot be read.
pub struct Failing<'a> {
    /// All else.
    pub state: &'a MemoryState,
    /// Which account.
    pub address: Address,
}

impl Failing<'_> {
    fn check(&self, address: Address) -> Result<(), Fault> {
        if address == self.address {
            return Err(Fault::StateRead(format!("{address} cannot be read")));
        }
        Ok(())
    }
}

impl StateReader for Failing<'_> {
    fn account(&self, address: Address) -> Result<Read<Option<AccountInfo>>, Fault> {
        self.check(address)?;
        self.state.account(address)
    }

    fn storage(&self, address: Address, hint: Option<AccountId>, slot: U256) -> Result<Read<U256>, Fault> {
        self.check(address)?;
        self.state.storage(address, hint, slot)
    }

    fn code(&self, hash: B256) -> Result<Read<Bytecode>, Fault> {
        self.state.code(hash)
    }

    fn block_hash(&self, number: u64) -> Result<Read<B256>, Fault> {
        self.state.block_hash(number)
    }

    fn slots(&self, address: Address) -> Result<Read<Vec<(U256, U256)>>, Fault> {
        self.check(address)?;
        self.state.slots(address)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), Fault> {
        self.state.wait(ticket)
    }
}
