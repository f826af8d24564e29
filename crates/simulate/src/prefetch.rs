//! Runs on a state that answers later (a node, a store): what is missing is guessed, the run goes on to see what else it will ask for,
//! everything missing is fetched together, and it runs again. A run that missed nothing is the result, so that on
//! a state that is known nothing runs twice.

use std::any::Any;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use alloy_primitives::{Address, B256, U256};
use revm::state::{AccountId, AccountInfo, Bytecode};
use solder_engine::state::{Read, Ticket};
use solder_engine::{Fault, StateReader};

use crate::snapshot::{Base, Snapshot};

/// The most runs on guesses; the run after them asks for one value after the other.
pub const MAX_ROUNDS: usize = 64;

/// A reader that a snapshot may stand on, of which one may ask what it is.
pub trait Source: StateReader + Any {}

impl<T: StateReader + Any> Source for T {}

/// A reader that does not wait: where an answer is pending it guesses that there is nothing, and remembers the ticket.
pub struct Guess<R> {
    reader: R,
    missed: Mutex<Vec<Ticket>>,
}

impl<R: Deref + Send + Sync> Guess<R>
where
    R::Target: StateReader,
{
    /// Over a reader, with nothing missed yet.
    pub fn new(reader: R) -> Self {
        Self { reader, missed: Mutex::default() }
    }

    /// Takes the tickets of what was guessed.
    pub fn take_missed(&self) -> Vec<Ticket> {
        std::mem::take(&mut *self.missed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn guessed<T>(&self, read: Read<T>, guess: impl FnOnce() -> T) -> Read<T> {
        match read {
            Read::Ready(value) => Read::Ready(value),
            Read::Pending(ticket) => {
                self.missed.lock().unwrap_or_else(PoisonError::into_inner).push(ticket);
                Read::Ready(guess())
            }
        }
    }
}

impl<R: Deref + Send + Sync> StateReader for Guess<R>
where
    R::Target: StateReader,
{
    fn account(&self, address: Address) -> Result<Read<Option<AccountInfo>>, Fault> {
        Ok(self.guessed(self.reader.account(address)?, || None))
    }

    fn storage(&self, address: Address, hint: Option<AccountId>, slot: U256) -> Result<Read<U256>, Fault> {
        Ok(self.guessed(self.reader.storage(address, hint, slot)?, || U256::ZERO))
    }

    fn code(&self, hash: B256) -> Result<Read<Bytecode>, Fault> {
        Ok(self.guessed(self.reader.code(hash)?, Bytecode::default))
    }

    fn block_hash(&self, number: u64) -> Result<Read<B256>, Fault> {
        Ok(self.guessed(self.reader.block_hash(number)?, || B256::ZERO))
    }

    fn slots(&self, address: Address) -> Result<Read<Vec<(U256, U256)>>, Fault> {
        Ok(self.guessed(self.reader.slots(address)?, Vec::new))
    }

    fn wait(&self, ticket: Ticket) -> Result<(), Fault> {
        self.reader.wait(ticket)
    }
}

/// Waits for everything that was missed. The first wait takes all of it along.
pub fn fetch(reader: &dyn StateReader, missed: &[Ticket]) -> Result<(), Fault> {
    missed.iter().try_for_each(|ticket| reader.wait(*ticket))
}

/// Runs `work` on `snapshot`, with as few waits as there are dependent reads. What `work` gives must not hold on to the
/// snapshot that it is given: that one guesses.
pub fn prefetched<T, E: From<Fault>>(
    snapshot: &Snapshot,
    mut work: impl FnMut(&Snapshot) -> Result<T, E>,
) -> Result<T, E> {
    let Base::Reader(reader) = snapshot.base() else { return work(snapshot) };
    let asked: Arc<dyn Source> = reader.clone();
    if (&*asked as &dyn Any).is::<Guess<Arc<dyn Source>>>() {
        // Inside of another guess, which goes on for both.
        return work(snapshot);
    }
    for _ in 0..MAX_ROUNDS {
        let guess = Arc::new(Guess::new(reader.clone()));
        let outcome = work(&snapshot.on(Base::Reader(guess.clone())));
        let missed = guess.take_missed();
        if missed.is_empty() {
            return outcome;
        }
        fetch(&**reader, &missed)?;
    }
    work(snapshot)
}
