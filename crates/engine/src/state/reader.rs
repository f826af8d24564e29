//! How an engine reads state. A read is `Ready`, or `Pending` with a ticket: a store on a disk or behind a
//! network answers later, and a scheduler may run something else meanwhile. The serial engine waits.

use alloy_primitives::{Address, B256, U256};
use revm::state::{AccountId, AccountInfo, Bytecode};

use crate::error::Fault;

/// A promise of an answer, valid for the reader that issued it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// An answer, or a ticket for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// The value.
    Ready(T),
    /// Not yet: wait on the ticket, then read again.
    Pending(Ticket),
}

/// What a state says of an account.
pub type AccountAnswer = Result<Read<Option<AccountInfo>>, Fault>;

/// A consistent view of the state before a block. Implementations are shared between workers.
pub trait StateReader: Send + Sync {
    /// The account, or `None` where none exists. `code` may be left out; [`Self::code`] then answers. `account_id`
    /// may carry the reader's own name for the account, which comes back with each read of its slots.
    fn account(&self, address: Address) -> Result<Read<Option<AccountInfo>>, Fault>;

    /// Several accounts, each with its answer, appended in their order: their places in memory may be looked for together.
    fn accounts(&self, addresses: &[Address], answers: &mut Vec<AccountAnswer>) {
        answers.extend(addresses.iter().map(|address| self.account(*address)));
    }

    /// The value of a slot; zero where it was never set. `hint` is the `account_id` that [`Self::account`] gave.
    fn storage(&self, address: Address, hint: Option<AccountId>, slot: U256) -> Result<Read<U256>, Fault>;

    /// Analysed code by its hash.
    fn code(&self, hash: B256) -> Result<Read<Bytecode>, Fault>;

    /// The hash of an ancestor (`BLOCKHASH`); asked only for the 256 most recent ones.
    fn block_hash(&self, number: u64) -> Result<Read<B256>, Fault>;

    /// All non-zero slots of an account: what a reset of the account clears.
    fn slots(&self, address: Address) -> Result<Read<Vec<(U256, U256)>>, Fault>;

    /// Blocks until the answer behind `ticket` is there.
    fn wait(&self, ticket: Ticket) -> Result<(), Fault>;
}

/// The most times that one read may be asked again after its ticket was served.
pub const MAX_WAITS_PER_READ: usize = 16;

/// Reads until the answer is ready, waiting in between.
pub fn read_now<T>(
    reader: &dyn StateReader,
    mut read: impl FnMut(&dyn StateReader) -> Result<Read<T>, Fault>,
) -> Result<T, Fault> {
    for _ in 0..MAX_WAITS_PER_READ {
        match read(reader)? {
            Read::Ready(value) => return Ok(value),
            Read::Pending(ticket) => reader.wait(ticket)?,
        }
    }
    Err(Fault::StateRead(format!("still pending after {MAX_WAITS_PER_READ} waits")))
}
