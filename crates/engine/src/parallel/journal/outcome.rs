//! What a transaction observed and wrote, taken out of the journal when it ends.

use alloy_primitives::{Address, U256};
use revm::primitives::hardfork::SpecId;
use revm::state::Account;

use super::access::{Accesses, AccountAccess, Conflict, Observation, Published, SlotAccess, check_slot};
use super::{Entry, FieldJournal, HALF, NO_CELL};
use crate::error::Fault;
use crate::parallel::cells::{AccountWrite, Delta, Life, position_of};
use crate::parallel::recorder::{self, Recorder};
use crate::parallel::timeline::Place;

impl FieldJournal<'_> {
    /// Credits the block's producer after everything else. Where the transaction has not looked at that account, the
    /// amount is only noted: adding it is the business of the commit.
    pub fn pay_reward(&mut self, address: Address, amount: U256) -> Result<(), Fault> {
        let known = self.index.get(&address).copied();
        let looked_at = known.filter(|entry| self.entries[*entry as usize].run == self.run);
        if looked_at.is_none() && !self.spec.is_enabled_in(SpecId::AMSTERDAM) {
            self.reward = Some(amount);
            return Ok(());
        }
        use revm::context::JournalTr;
        self.balance_incr(address, amount)
    }

    /// Ends the transaction: what it observed and, unless it failed, wrote.
    pub fn take_accesses(&mut self, writes: bool, incarnation: usize) -> Accesses {
        let slots = self.take_slots(writes);
        let listed = self.spec.is_enabled_in(SpecId::AMSTERDAM);
        let mut accounts = Vec::with_capacity(self.loaded.len());
        for entry in &self.loaded {
            let known = &self.entries[*entry as usize];
            let write = if writes { written(known) } else { None };
            let observed = known.observed.get();
            if observed == 0 && write.is_none() && !listed {
                continue;
            }
            let highest = highest(known, write.as_ref().is_some_and(|write| !write.delta.amount.is_zero()));
            let journaled = listed.then(|| Box::new(self.journaled(*entry)));
            let (seen, lowest) = (known.seen.clone(), known.lowest);
            accounts.push(AccountAccess {
                cell: known.cell,
                observed,
                seen,
                lowest,
                highest,
                write,
                journaled,
            });
        }
        let reward = self.reward.take().filter(|_| writes);
        Accesses { accounts, slots, reward, incarnation }
    }

    /// An account with the slots that this transaction met.
    fn journaled(&self, entry: u32) -> Account {
        let mut account = self.entries[entry as usize].account.clone();
        for slot in self.loaded_slots.iter().map(|slot| &self.slots[*slot as usize]) {
            if slot.entry == entry {
                account.storage.insert(slot.key, slot.value.clone());
            }
        }
        account
    }

    /// Whether all that was observed holds at the commit position, asked of the journal itself.
    pub fn validate(&self, writes: bool) -> Result<(), Conflict> {
        let (cells, position, clear) = (self.database.cells, self.position, self.state_clear());
        for entry in &self.loaded {
            let known = &self.entries[*entry as usize];
            let moves_balance = writes
                && known.account.info.balance != known.seen.balance
                && !known.account.is_selfdestructed_locally();
            let (observed, seen, lowest) = (known.observed.get(), &known.seen, known.lowest);
            let highest = highest(known, moves_balance);
            let observation = Observation { observed, seen, lowest, highest, moves_balance };
            if !observation.is_empty() {
                observation.check(&cells.account(known.cell), position, clear, true)?;
            }
        }
        if recorder::is_on(Recorder::Slot) {
            for slot in self.loaded_slots.iter().map(|slot| &self.slots[*slot as usize]) {
                if let Some(seen) = slot.version {
                    let reset = self.entries[slot.entry as usize].seen.reset;
                    check_slot(cells, slot.cell, seen, reset, position)?;
                }
            }
        }
        Ok(())
    }

    /// Lists what was observed, with the position of the write that it saw, and what is written.
    pub fn list_places(&self, reads: &mut Vec<(Place, u32)>, writes: &mut Vec<Place>) {
        let cells = self.database.cells;
        for entry in &self.loaded {
            let known = &self.entries[*entry as usize];
            let (account, seen) = (&known.account, &known.seen);
            let life = match (account.is_selfdestructed_locally(), account.is_created_locally()) {
                (true, _) => Life::Destroyed,
                (_, true) => Life::Created,
                _ => Life::Touched,
            };
            let moved = account.info.balance != seen.balance;
            let changed = [moved, account.info.nonce != seen.nonce, account.info.code_hash != seen.code_hash];
            let written = account.is_touched() || life == Life::Destroyed;
            let (observed, lowest, highest) = (known.observed.get(), known.lowest, known.highest);
            let observation = Observation { observed, seen, lowest, highest, moves_balance: moved };
            observation.list_places(cells, known.cell, written.then_some((life, changed)), reads, writes);
        }
        for slot in self.loaded_slots.iter().map(|slot| &self.slots[*slot as usize]) {
            // A slot of an account created here gets its cell when it is written.
            if slot.cell == NO_CELL {
                continue;
            }
            if let Some(version) = slot.version {
                reads.push((Place::Slot(slot.cell), position_of(version)));
            }
            if slot.value.present_value != slot.value.original_value {
                writes.push(Place::Slot(slot.cell));
            }
        }
    }

    /// Makes the writes part of the block, straight from the journal. Gives the highest position that may have seen
    /// something else, and what the producer earns.
    pub fn commit(&mut self, incarnation: usize, before: &Published) -> (Option<u32>, Option<U256>) {
        let (cells, position, clear) = (self.database.cells, self.position, self.state_clear());
        let mut news = None;
        for entry in &self.loaded {
            let known = &self.entries[*entry as usize];
            if let Some(write) = written(known) {
                news = news.max(cells.account(known.cell).commit(position, write, clear));
            }
        }
        for slot in &self.loaded_slots {
            let slot = &mut self.slots[*slot as usize];
            let owner = &self.entries[slot.entry as usize];
            let value = slot.value.present_value;
            if value == slot.value.original_value || owner.account.is_selfdestructed_locally() {
                continue;
            }
            if slot.cell == NO_CELL {
                slot.cell = cells.slot_number(owner.cell, slot.key);
            }
            news = news.max(cells.slot(slot.cell).commit(position, incarnation, value));
        }
        (news.max(before.withdraw_all(cells, position)), self.reward.take())
    }

    fn take_slots(&mut self, writes: bool) -> Vec<SlotAccess> {
        let mut taken = Vec::with_capacity(self.loaded_slots.len());
        for slot in &self.loaded_slots {
            let slot = &mut self.slots[*slot as usize];
            let owner = &self.entries[slot.entry as usize];
            let value = &slot.value;
            let changed = value.present_value != value.original_value;
            let write = (writes && changed && !owner.account.is_selfdestructed_locally())
                .then_some(value.present_value);
            let all = self.spec.is_enabled_in(SpecId::AMSTERDAM);
            if slot.version.is_none() && write.is_none() && !all {
                continue;
            }
            if slot.cell == NO_CELL {
                slot.cell = self.database.cells.slot_number(owner.cell, slot.key);
            }
            let seen = slot.version.filter(|_| recorder::is_on(Recorder::Slot));
            let (reset, before) = (owner.seen.reset, value.original_value);
            taken.push(SlotAccess { cell: slot.cell, seen, reset, before, write });
        }
        taken
    }
}

/// The most that the balance may have been: what is added must not overflow.
fn highest(known: &Entry, moves_balance: bool) -> U256 {
    if moves_balance { known.highest.min(HALF - U256::ONE) } else { known.highest }
}

/// What became of an account, where it was touched.
fn written(known: &Entry) -> Option<AccountWrite> {
    let account = &known.account;
    if account.is_selfdestructed_locally() {
        return Some(AccountWrite { life: Life::Destroyed, ..AccountWrite::default() });
    }
    if !account.is_touched() {
        return None;
    }
    let (info, seen) = (&account.info, &known.seen);
    let life = if account.is_created_locally() { Life::Created } else { Life::Touched };
    let code =
        (info.code_hash != seen.code_hash).then(|| (info.code_hash, info.code.clone().unwrap_or_default()));
    Some(AccountWrite {
        life,
        delta: Delta::between(seen.balance, info.balance),
        nonce: (info.nonce != seen.nonce).then_some(info.nonce),
        code,
    })
}
