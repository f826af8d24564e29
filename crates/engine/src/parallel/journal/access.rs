//! What an incarnation observed and wrote, and how it meets the state at its position: it is checked, published and
//! committed here, field by field.

use alloy_primitives::{Address, U256};
use revm::context::result::ExecutionResult;
use revm::state::Account;

use super::Mode;
use crate::error::Fault;
use crate::evm::TransactError;
use crate::parallel::cells::{AccountCell, AccountGuard, AccountWrite, Cells, Fields, Life, position_of};
use crate::parallel::news::{News, Signature};
use crate::parallel::observed::{
    ALIVE, ASSUMED, BALANCE_BOUND, CODE, EXACT_BALANCE, EXISTENCE, NONCE, RESET,
};
use crate::parallel::record::Location;
use crate::parallel::timeline::{Place, Places};

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
    /// It was touched and nothing else, which changes nothing of an account that is there for its nonce or its code.
    pub only_touched: bool,
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
    pub reward: Option<U256>,
    /// Which attempt.
    pub incarnation: usize,
}

/// An incarnation that ended.
#[derive(Debug)]
pub struct Ended {
    /// What it gave.
    pub result: Result<ExecutionResult, TransactError>,
    /// How it ran.
    pub mode: Mode,
    /// Which attempt.
    pub incarnation: usize,
    /// Ticks that it took, where the schedule is recorded.
    pub ticks: u64,
    /// The span of the schedule that tells of it: the worker that holds it, and its place there.
    pub span: (usize, usize),
}

/// An incarnation that ended, with what it observed and wrote.
#[derive(Debug)]
pub struct Executed {
    /// What it observed and wrote.
    pub accesses: Accesses,
    /// How it ended.
    pub ended: Ended,
    /// Room for the list of what is published.
    pub room: Published,
}

impl Default for Executed {
    fn default() -> Self {
        let result = Err(TransactError::Database(Fault::Cancelled));
        let ended = Ended { result, mode: Mode::default(), incarnation: 0, ticks: 0, span: (0, 0) };
        Self { accesses: Accesses::default(), ended, room: Published::default() }
    }
}

impl Executed {
    /// Forgets everything but the memory.
    pub fn clear(&mut self) {
        self.accesses.accounts.clear();
        self.accesses.slots.clear();
        self.accesses.reward = None;
        self.ended.result = Err(TransactError::Database(Fault::Cancelled));
    }
}

/// An observation that does not hold at the position of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Where.
    pub location: Location,
    /// Position of the write that made it stale, where known.
    pub by: u32,
}

/// What was observed of an account, borrowed from wherever it is kept.
#[derive(Clone, Copy)]
pub(super) struct Observation<'e> {
    pub observed: u8,
    pub seen: &'e Fields,
    pub lowest: U256,
    pub highest: U256,
    /// The transaction adds to the balance or takes from it: the sum must stay a balance.
    pub moves_balance: bool,
}

impl Observation<'_> {
    /// Whether there is anything that could prove stale.
    pub fn is_empty(&self) -> bool {
        self.observed == 0 && !self.moves_balance
    }

    /// Which field is not as it was seen: balance, nonce, code or existence. Before the commit position, what was taken
    /// for granted of a sender may still come true.
    pub fn stale_field(&self, now: &Fields, at_commit: bool) -> Option<usize> {
        let saw = |what: u8| self.observed & what != 0;
        let exact = saw(EXACT_BALANCE);
        if exact && now.balance != self.seen.balance {
            return Some(0);
        }
        let taken_for_granted = !at_commit && saw(ASSUMED);
        let bounded = !taken_for_granted && (saw(BALANCE_BOUND) || self.moves_balance);
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

    /// Lists what was observed with the position of the write that it saw, and what is written. What also holds before
    /// the block, or was taken for granted, depends on nobody: 0.
    pub fn list_places(
        &self,
        cells: &Cells,
        account: u32,
        write: Option<(Life, [bool; 3])>,
        places: &mut Places,
    ) {
        let saw = |what: u8| self.observed & what != 0;
        let fields =
            [saw(EXACT_BALANCE | BALANCE_BOUND), saw(NONCE), saw(CODE), saw(EXISTENCE | ALIVE | RESET)];
        if fields.contains(&true) {
            let cell = cells.account_cell(account);
            let written = cell.written();
            for field in (0..4u8).filter(|field| fields[usize::from(*field)]) {
                // What nobody wrote needs no lock.
                let writer = if written >> field & 1 == 0 {
                    0
                } else {
                    let cell = cell.lock();
                    let free = self.held_before(field, &cell.fields_before());
                    if free { 0 } else { cell.writer(usize::from(field)) }
                };
                places.reads.push((Place::Field(account, field), writer));
            }
        }
        let Some((life, [balance, nonce, code])) = write else { return };
        let ended = life == Life::Destroyed;
        let born = !self.seen.exists || life != Life::Touched;
        for (field, written) in (0..4u8).zip([balance || ended, nonce || ended, code || ended, born]) {
            if written {
                places.writes.push(Place::Field(account, field));
            }
        }
    }

    fn held_before(&self, field: u8, before: &Fields) -> bool {
        let taken_for_granted = self.observed & ASSUMED != 0;
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

    /// The first observation that does not hold for a transaction at `position`.
    pub fn check(
        &self,
        cell: &AccountCell,
        position: u32,
        state_clear: bool,
        at_commit: bool,
    ) -> Result<(), Conflict> {
        // At the commit nothing below is published that is not committed.
        match if at_commit { cell.peek_committed() } else { cell.peek() } {
            Some(fields) if self.stale_field(&fields, at_commit).is_none() => Ok(()),
            _ => self.check_locked(&cell.lock(), position, state_clear, at_commit),
        }
    }

    fn check_locked(
        &self,
        cell: &AccountGuard<'_>,
        position: u32,
        state_clear: bool,
        at_commit: bool,
    ) -> Result<(), Conflict> {
        let fields = cell.fields_at(position, state_clear);
        let Some(field) = self.stale_field(&fields, at_commit) else { return Ok(()) };
        let by = cell.last_writer(position, field);
        Err(Conflict { location: field_location(cell.address(), field), by })
    }
}

/// Whether a slot is still what was seen of it.
pub(super) fn check_slot(
    cells: &Cells,
    slot: u32,
    seen: u32,
    reset: u32,
    position: u32,
    at_commit: bool,
) -> Result<(), Conflict> {
    let shared = cells.slot_cell(slot);
    let now = if at_commit { shared.peek_committed(reset) } else { shared.peek(reset) };
    if now.is_some_and(|view| view.version == seen) {
        return Ok(());
    }
    let cell = cells.slot(slot);
    let (version, estimate) = cell.version_at(position, reset);
    if version == seen && !estimate {
        return Ok(());
    }
    drop(cell);
    let (account, key) = shared.name();
    let address = cells.account_cell(account).name();
    Err(Conflict { location: Location::Slot(address, key), by: position_of(version) })
}

impl AccountAccess {
    /// The fields as they were seen.
    pub fn seen(&self) -> &Fields {
        &self.seen
    }

    fn observation(&self) -> Observation<'_> {
        Observation {
            observed: self.observed,
            seen: &self.seen,
            lowest: self.lowest,
            highest: self.highest,
            moves_balance: self.moves_balance(),
        }
    }

    /// Whether something observed was written by a transaction that is to run again.
    fn saw_estimate(&self, cell: &AccountGuard<'_>, position: u32) -> bool {
        self.observed & ASSUMED == 0
            && cell.estimate_below(position).is_some_and(|(_, fields)| fields & self.observed != 0)
    }

    /// Whether a write is what every transaction does to its sender. A later one of the same sender takes nonce and funds
    /// for granted, and others hardly look at them.
    fn is_senders_move(&self, write: &AccountWrite) -> bool {
        self.observed & ASSUMED != 0 && write.is_move()
    }

    fn moves_balance(&self) -> bool {
        self.write
            .as_ref()
            .is_some_and(|write| !write.delta.amount.is_zero() && write.life != Life::Destroyed)
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
    /// Lists what was observed, with the position of the write that it saw, and what is written.
    pub fn list_places(&self, cells: &Cells, places: &mut Places) {
        for access in &self.accounts {
            let write = access.write.as_ref().map(|write| {
                let moved = !write.delta.amount.is_zero();
                (write.life, [moved, write.nonce.is_some(), write.code.is_some()])
            });
            access.observation().list_places(cells, access.cell, write, places);
        }
        for access in &self.slots {
            if let Some(version) = access.seen {
                places.reads.push((Place::Slot(access.cell), position_of(version)));
            }
            if access.write.is_some() {
                places.writes.push(Place::Slot(access.cell));
            }
        }
    }

    /// Whether all that was observed holds for a transaction at `position`, published writes below it included. At the
    /// commit position nothing below is left unpublished, so that the answer is final there.
    pub fn validate(
        &self,
        cells: &Cells,
        position: u32,
        state_clear: bool,
        at_commit: bool,
    ) -> Result<(), Conflict> {
        for access in &self.accounts {
            let observation = access.observation();
            if observation.is_empty() {
                continue;
            }
            let cell = cells.account_cell(access.cell);
            if at_commit {
                observation.check(cell, position, state_clear, true)?;
                continue;
            }
            // Where nothing is pending nothing is to be written again either.
            if cell.peek().is_some_and(|fields| observation.stale_field(&fields, false).is_none()) {
                continue;
            }
            let cell = cell.lock();
            if access.saw_estimate(&cell, position) {
                let by = cell.last_writer(position, 1);
                return Err(Conflict { location: Location::Nonce(cell.address()), by });
            }
            observation.check_locked(&cell, position, state_clear, false)?;
        }
        for access in &self.slots {
            if let Some(seen) = access.seen {
                check_slot(cells, access.cell, seen, access.reset, position, at_commit)?;
            }
        }
        Ok(())
    }

    /// Whether the writes are only amounts that move and nonces that are used: hardly anybody looks at those, so that
    /// showing them before the commit is not worth its while.
    pub fn only_moves(&self) -> bool {
        self.slots.iter().all(|slot| slot.write.is_none())
            && self.accounts.iter().all(|account| account.write.as_ref().is_none_or(AccountWrite::is_move))
    }

    /// The cells that were observed.
    pub fn observed_cells(&self) -> Signature {
        let mut signature = Signature::default();
        for access in self.accounts.iter().filter(|access| !access.observation().is_empty()) {
            signature.add_account(access.cell);
        }
        for access in self.slots.iter().filter(|access| access.seen.is_some()) {
            signature.add_slot(access.cell);
        }
        signature
    }

    /// Makes the writes visible to higher transactions, and lists them in `published`. Gives what those may have seen
    /// otherwise.
    pub fn publish(
        &self,
        cells: &Cells,
        position: u32,
        before: &Published,
        published: &mut Published,
    ) -> News {
        let mut news = News::default();
        for access in &self.accounts {
            if let Some(write) = access.write.as_ref().filter(|write| !access.is_senders_move(write)) {
                news.of_account(access.cell, cells.account(access.cell).publish(position, write));
                published.accounts.push(access.cell);
            }
        }
        for access in &self.slots {
            if let Some(value) = access.write {
                let highest = cells.slot(access.cell).publish(position, self.incarnation, value);
                news.of_slot(access.cell, highest);
                published.slots.push(access.cell);
            }
        }
        before.withdraw(cells, position, published, &mut news);
        news
    }

    /// Makes the writes part of the block.
    pub fn commit(&mut self, cells: &Cells, position: u32, before: &Published, state_clear: bool) -> News {
        let mut news = News::default();
        for access in &mut self.accounts {
            if let Some(write) = access.write.take() {
                let mut cell = cells.account(access.cell);
                if write.is_move() {
                    cell.commit_move(position, write.delta, write.nonce, state_clear);
                } else {
                    news.of_account(access.cell, cell.commit(position, write, state_clear));
                }
            } else if access.only_touched {
                cells.account_cell(access.cell).touch();
            }
        }
        for access in &self.slots {
            if let Some(value) = access.write {
                let highest = cells.slot(access.cell).commit(position, self.incarnation, value);
                news.of_slot(access.cell, highest);
            }
        }
        // What was committed is not pending any more; the rest of an earlier incarnation is taken back.
        before.withdraw(cells, position, &Published::default(), &mut news);
        news
    }
}

/// Cells that hold a published write of a transaction.
#[derive(Clone, Debug, Default)]
pub struct Published {
    accounts: Vec<u32>,
    slots: Vec<u32>,
}

impl Published {
    /// Forgets everything but the memory.
    pub fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
    }

    /// Takes everything back.
    pub fn withdraw_all(&self, cells: &Cells, position: u32) -> News {
        let mut news = News::default();
        self.withdraw(cells, position, &Self::default(), &mut news);
        news
    }

    /// The transaction is to run again: what it wrote is only an estimate now, and news to those above who read it.
    pub fn mark_estimates(&self, cells: &Cells, position: u32) -> News {
        let mut news = News::default();
        for cell in &self.accounts {
            news.of_account(*cell, cells.account(*cell).mark_estimate(position));
        }
        for cell in &self.slots {
            news.of_slot(*cell, cells.slot(*cell).mark_estimate(position));
        }
        news
    }

    /// Takes back what is not written any more.
    fn withdraw(&self, cells: &Cells, position: u32, still: &Self, news: &mut News) {
        for cell in self.accounts.iter().filter(|cell| !still.accounts.contains(cell)) {
            news.of_account(*cell, cells.account(*cell).withdraw(position));
        }
        for cell in self.slots.iter().filter(|cell| !still.slots.contains(cell)) {
            news.of_slot(*cell, cells.slot(*cell).withdraw(position));
        }
    }
}
