//! What an incarnation observed and wrote, and how it meets the state at its position: it is checked, published and
//! committed here, field by field.

use alloy_primitives::{Address, B256, U256};
use revm::context::result::ExecutionResult;
use revm::state::Account;

use crate::parallel::observed::{ALIVE, ASSUMED, BALANCE_BOUND, CODE, EXACT_BALANCE, EXISTENCE, NONCE, RESET};
use crate::evm::TransactError;
use crate::parallel::cells::{AccountState, AccountWrite, Cells, Fields, Life, position_of};
use crate::parallel::record::Location;

/// An account that an incarnation observed or wrote.
#[derive(Clone, Debug)]
pub struct AccountAccess {
    /// Its cell.
    pub cell: u32,
    pub(super) observed: u8,
    pub(super) seen: Fields,
    pub(super) lowest: U256,
    pub(super) highest: U256,
    /// What was written.
    pub write: Option<AccountWrite>,
    /// The account as the journal has it, where a block access list is made of it.
    pub journaled: Option<Box<Account>>,
}

/// A slot that an incarnation observed or wrote.
#[derive(Clone, Copy, Debug)]
pub struct SlotAccess {
    /// Its cell.
    pub cell: u32,
    /// The version that was seen, where the slot was observed.
    pub seen: Option<u32>,
    /// The last reset of its account, as seen.
    pub reset: u32,
    /// The value before the transaction, as seen.
    pub before: U256,
    /// The value after it, where it differs.
    pub write: Option<U256>,
}

/// All that an incarnation observed and wrote.
#[derive(Debug, Default)]
pub struct Accesses {
    /// Accounts.
    pub accounts: Vec<AccountAccess>,
    /// Slots.
    pub slots: Vec<SlotAccess>,
    /// What the block's producer earns by it, where the transaction did not look at the producer's account.
    pub reward: Option<(Address, U256)>,
    /// Which attempt.
    pub incarnation: usize,
}

/// An incarnation that ended.
#[derive(Debug)]
pub struct Executed {
    /// What it gave.
    pub result: Result<ExecutionResult, TransactError>,
    /// What it observed and wrote.
    pub accesses: Accesses,
    /// It ran at its commit position: nothing that it saw can change.
    pub is_final: bool,
    /// Given wrong values on purpose: not to be kept.
    pub misled: bool,
    /// Nanoseconds that it took, where the schedule is recorded.
    pub nanoseconds: u64,
    /// The span of the schedule that tells of it, and the worker that holds the span.
    pub span: (usize, usize),
}

/// An observation that does not hold at the position of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Where.
    pub location: Location,
    /// Position of the write that made it stale, where known.
    pub by: u32,
}

impl AccountAccess {
    /// Which field is not as it was seen: balance, nonce, code or existence. Before the commit position, what was taken
    /// for granted of a sender may still come true.
    fn stale_field(&self, now: &Fields, at_commit: bool) -> Option<usize> {
        let saw = |what: u8| self.observed & what != 0;
        let exact = saw(EXACT_BALANCE);
        if exact && now.balance != self.seen.balance {
            return Some(0);
        }
        let taken_for_granted = !at_commit && saw(ASSUMED);
        let bounded = !taken_for_granted && (saw(BALANCE_BOUND) || self.moves_balance());
        if bounded && !exact && !(self.lowest..=self.highest).contains(&now.balance) {
            return Some(0);
        }
        if saw(NONCE) && !taken_for_granted && now.nonce != self.seen.nonce {
            return Some(1);
        }
        if saw(CODE) && now.code_hash != self.seen.code_hash {
            return Some(2);
        }
        let existence = saw(EXISTENCE) && now.exists != self.seen.exists;
        let alive = saw(ALIVE) && now.is_alive() != self.seen.is_alive();
        let reset = saw(RESET) && now.reset != self.seen.reset;
        (existence || alive || reset).then_some(3)
    }

    /// Whether something observed was written by a transaction that is to run again.
    fn saw_estimate(&self, cell: &AccountState, position: u32) -> bool {
        self.observed & ASSUMED == 0
            && cell.estimate_below(position).is_some_and(|(_, fields)| fields & self.observed != 0)
    }

    fn moves_balance(&self) -> bool {
        self.write.as_ref().is_some_and(|write| !write.delta.amount.is_zero() && write.life != Life::Destroyed)
    }

    /// Which fields a lower write can make stale.
    pub fn observed_fields(&self) -> [bool; 4] {
        let saw = |what: u8| self.observed & what != 0;
        [saw(EXACT_BALANCE | BALANCE_BOUND), saw(NONCE), saw(CODE), saw(EXISTENCE | ALIVE | RESET)]
    }

    /// Whether what was observed of a field also holds before the block, or was taken for granted: then no write of
    /// the block had to come first.
    pub fn held_before(&self, field: usize, cell: &AccountState) -> bool {
        let taken_for_granted = self.observed & ASSUMED != 0;
        let before = cell.fields_before();
        match field {
            0 if self.observed & EXACT_BALANCE == 0 => {
                taken_for_granted || (self.lowest..=self.highest).contains(&before.balance)
            }
            1 => taken_for_granted || before.nonce == self.seen.nonce,
            3 => {
                let same = before.exists == self.seen.exists && before.is_alive() == self.seen.is_alive();
                same && self.seen.reset == 0
            }
            _ => false,
        }
    }

    /// Which fields were written.
    pub fn written_fields(&self) -> [bool; 4] {
        let Some(write) = &self.write else { return [false; 4] };
        let ended = write.life == Life::Destroyed;
        let moved = !write.delta.amount.is_zero();
        let alive = !self.seen.exists || write.life != Life::Touched;
        [moved || ended, write.nonce.is_some() || ended, write.code.is_some() || ended, alive]
    }
}

/// The location of a field of an account.
pub fn field_location(address: Address, field: usize) -> Location {
    match field {
        0 => Location::Balance(address),
        1 => Location::Nonce(address),
        2 => Location::Code(address),
        _ => Location::Existence(address),
    }
}

impl Accesses {
    /// Whether all that was observed holds for a transaction at `position`, published writes below it included. At the
    /// commit position nothing below is left unpublished, so that the answer is final there.
    pub fn validate(
        &self,
        cells: &Cells,
        position: u32,
        state_clear: bool,
        at_commit: bool,
    ) -> Result<(), Conflict> {
        for access in self.accounts.iter().filter(|access| access.observed != 0 || access.moves_balance()) {
            let cell = cells.account(access.cell);
            if !at_commit && access.saw_estimate(&cell, position) {
                let by = cell.last_writer(position, 1);
                return Err(Conflict { location: Location::Nonce(cell.address), by });
            }
            if let Some(field) = cell.stale(position, state_clear, |now| access.stale_field(now, at_commit)) {
                let by = cell.last_writer(position, field);
                return Err(Conflict { location: field_location(cell.address, field), by });
            }
        }
        for access in &self.slots {
            let Some(seen) = access.seen else { continue };
            let cell = cells.slot(access.cell);
            let (version, estimate) = cell.version_at(position, access.reset);
            if version != seen || estimate {
                let (account, key) = (cell.account, cell.key);
                drop(cell);
                let address = cells.account(account).address;
                return Err(Conflict { location: Location::Slot(address, key), by: position_of(version) });
            }
        }
        Ok(())
    }

    /// Makes the writes visible to higher transactions. Gives the highest of those that may have seen something else.
    pub fn publish(&self, cells: &Cells, position: u32, before: &Published) -> (Published, Option<u32>) {
        let mut news = None;
        let mut published = Published::default();
        for access in &self.accounts {
            if let Some(write) = &access.write {
                news = news.max(cells.account(access.cell).publish(position, write));
                published.accounts.push(access.cell);
            }
        }
        for access in &self.slots {
            if let Some(value) = access.write {
                news = news.max(cells.slot(access.cell).publish(position, self.incarnation, value));
                published.slots.push(access.cell);
            }
        }
        let withdrawn = before.withdraw(cells, position, &published);
        (published, news.max(withdrawn))
    }

    /// Makes the writes part of the block.
    pub fn commit(
        &mut self,
        cells: &Cells,
        position: u32,
        before: &Published,
        state_clear: bool,
    ) -> Option<u32> {
        let mut news = None;
        for access in &mut self.accounts {
            if let Some(write) = access.write.take() {
                news = news.max(cells.account(access.cell).commit(position, write, state_clear));
            }
        }
        for access in &self.slots {
            if let Some(value) = access.write {
                news = news.max(cells.slot(access.cell).commit(position, self.incarnation, value));
            }
        }
        // What was committed is not pending any more; the rest of an earlier incarnation is taken back.
        news.max(before.withdraw(cells, position, &Published::default()))
    }
}

/// Cells that hold a published write of a transaction.
#[derive(Clone, Debug, Default)]
pub struct Published {
    accounts: Vec<u32>,
    slots: Vec<u32>,
}

impl Published {
    /// Takes everything back.
    pub fn withdraw_all(&self, cells: &Cells, position: u32) -> Option<u32> {
        self.withdraw(cells, position, &Self::default())
    }

    /// The transaction is to run again: what it wrote is only an estimate now. Gives the highest reader above.
    pub fn mark_estimates(&self, cells: &Cells, position: u32) -> Option<u32> {
        let accounts = self.accounts.iter().filter_map(|cell| cells.account(*cell).mark_estimate(position)).max();
        accounts.max(self.slots.iter().filter_map(|cell| cells.slot(*cell).mark_estimate(position)).max())
    }

    /// Takes back what is not written any more.
    fn withdraw(&self, cells: &Cells, position: u32, still: &Self) -> Option<u32> {
        let mut news = None;
        for cell in self.accounts.iter().filter(|cell| !still.accounts.contains(cell)) {
            news = news.max(cells.account(*cell).withdraw(position));
        }
        for cell in self.slots.iter().filter(|cell| !still.slots.contains(cell)) {
            news = news.max(cells.slot(*cell).withdraw(position));
        }
        news
    }
}

impl AccountState {
    /// Asks a question of the fields as a transaction at `position` sees them.
    fn stale(
        &self,
        position: u32,
        state_clear: bool,
        question: impl FnOnce(&Fields) -> Option<usize>,
    ) -> Option<usize> {
        match self.fields_at(position, state_clear) {
            Some(fields) => question(&fields),
            None => question(&self.now),
        }
    }
}

/// Addresses and code hashes are compared whole; nothing here is keyed by a part of a hash.
const _: () = assert!(size_of::<B256>() == 32 && size_of::<Address>() == 20);
