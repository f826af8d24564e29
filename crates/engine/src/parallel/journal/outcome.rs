//! What a transaction observed and wrote, taken out of the journal when it ends.

use alloy_primitives::{Address, U256};
use revm::primitives::hardfork::SpecId;
use revm::state::{Account, AccountStatus};

use super::access::{Accesses, AccountAccess, Conflict, Observation, Published, SlotAccess, check_slot};
use super::{Entry, FieldJournal, HALF, NO_CELL, SharedView};
use crate::error::Fault;
use crate::parallel::cells::{AccountWrite, Delta, Life, position_of};
use crate::parallel::news::News;
use crate::parallel::observed;
use crate::parallel::recorder::{self, Recorder};
use crate::parallel::timeline::{Place, Places};

impl FieldJournal<'_> {
    /// Credits the block's producer after everything else. Where the transaction has not looked at that account, the
    /// amount is only noted: adding it is the business of the commit.
    pub fn pay_reward(&mut self, address: Address, amount: U256) -> Result<(), Fault> {
        if self.known.find(&address).is_none() && !self.spec.is_enabled_in(SpecId::AMSTERDAM) {
            self.reward = Some(amount);
            return Ok(());
        }
        use revm::context::JournalTr;
        self.balance_incr(address, amount)
    }

    /// The accounts that the transaction has met.
    fn met(&self) -> &[Entry] {
        &self.entries[..self.known.len()]
    }

    /// Ends the transaction: what it observed and, unless it failed, wrote.
    pub fn take_accesses(&mut self, writes: bool, incarnation: usize) -> Accesses {
        let mut accesses = Accesses::default();
        self.list_accesses(writes, incarnation, &mut accesses);
        accesses
    }

    /// The same, in lists that are empty.
    pub fn list_accesses(&mut self, writes: bool, incarnation: usize, into: &mut Accesses) {
        self.list_slots(writes, &mut into.slots);
        let listed = self.spec.is_enabled_in(SpecId::AMSTERDAM);
        let accounts = &mut into.accounts;
        accounts.reserve(self.known.len());
        for (entry, known) in self.met().iter().enumerate() {
            let write = if writes { written(known) } else { None };
            let only_touched = writes && only_touched(known);
            let observed = known.observed.get() | alive_if(only_touched);
            if observed == 0 && write.is_none() && !listed {
                continue;
            }
            let highest = highest(known, write.as_ref().is_some_and(|write| !write.delta.amount.is_zero()));
            let journaled = listed.then(|| Box::new(self.journaled(entry as u32)));
            let (seen, lowest) = (known.seen.clone(), known.lowest);
            accounts.push(AccountAccess {
                cell: known.cell,
                observed,
                seen,
                lowest,
                highest,
                write,
                only_touched,
                journaled,
            });
        }
        into.reward = self.reward.take().filter(|_| writes);
        into.incarnation = incarnation;
    }

    /// An account with the slots that this transaction met.
    fn journaled(&self, entry: u32) -> Account {
        let mut account = self.entries[entry as usize].account.clone();
        for slot in &self.slots {
            if slot.entry == entry {
                account.storage.insert(slot.key, slot.value.clone());
            }
        }
        account
    }

    /// Whether all that was observed holds at the commit position, asked of the journal itself.
    pub fn validate(&self, writes: bool) -> Result<(), Conflict> {
        let (cells, position, clear) = (self.database.cells, self.position, self.state_clear());
        for known in self.met() {
            let moves_balance = writes
                && known.account.info.balance != known.seen.balance
                && !known.account.is_selfdestructed_locally();
            let observed = known.observed.get() | alive_if(writes && only_touched(known));
            let (seen, lowest) = (&known.seen, known.lowest);
            let highest = highest(known, moves_balance);
            let observation = Observation { observed, seen, lowest, highest, moves_balance };
            if !observation.is_empty() {
                observation.check(cells.account_cell(known.cell), position, clear, true)?;
            }
        }
        if recorder::is_on(Recorder::Slot) {
            for slot in &self.slots {
                if let Some(seen) = slot.version {
                    let reset = self.entries[slot.entry as usize].seen.reset;
                    check_slot(cells, slot.cell, seen, reset, position, true)?;
                }
            }
        }
        Ok(())
    }

    /// Lists what was observed, with the position of the write that it saw, and what is written.
    pub fn list_places(&self, places: &mut Places) {
        let cells = self.database.cells;
        for known in self.met() {
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
            observation.list_places(cells, known.cell, written.then_some((life, changed)), places);
        }
        for slot in &self.slots {
            // A slot of an account created here gets its cell when it is written.
            if slot.cell == NO_CELL {
                continue;
            }
            if let Some(version) = slot.version {
                places.reads.push((Place::Slot(slot.cell), position_of(version)));
            }
            if slot.value.present_value != slot.value.original_value {
                places.writes.push(Place::Slot(slot.cell));
            }
        }
    }

    /// Makes the writes part of the block, straight from the journal. Gives what higher transactions may have seen
    /// otherwise, and what the producer earns.
    pub fn commit(&mut self, incarnation: usize, before: &Published) -> (News, Option<U256>) {
        let (cells, position, clear) = (self.database.cells, self.position, self.state_clear());
        let mut news = News::default();
        for known in self.met() {
            let (account, seen) = (&known.account, &known.seen);
            let (info, status) = (&account.info, account.status);
            let reborn = AccountStatus::CreatedLocal | AccountStatus::SelfDestructedLocal;
            if only_touched(known) {
                cells.account_cell(known.cell).touch();
            } else if !status.intersects(reborn) && info.code_hash == seen.code_hash {
                if account.is_touched() {
                    let delta = Delta::between(seen.balance, info.balance);
                    let nonce = (info.nonce != seen.nonce).then_some(info.nonce);
                    cells.account(known.cell).commit_move(position, delta, nonce, clear);
                }
            } else if let Some(write) = written(known) {
                news.of_account(known.cell, cells.account(known.cell).commit(position, write, clear));
            }
        }
        for slot in &mut self.slots {
            let owner = &self.entries[slot.entry as usize];
            let value = slot.value.present_value;
            if value == slot.value.original_value || owner.account.is_selfdestructed_locally() {
                continue;
            }
            if slot.cell == NO_CELL {
                slot.cell = cells.slot_number(
                    self.database.worker,
                    &mut self.recent_slots,
                    owner.cell,
                    slot.key,
                    None,
                );
            }
            news.of_slot(slot.cell, cells.slot(slot.cell).commit(position, incarnation, value));
        }
        news.add(&before.withdraw_all(cells, position));
        (news, self.reward.take())
    }

    fn list_slots(&mut self, writes: bool, taken: &mut Vec<SlotAccess>) {
        taken.reserve(self.slots.len());
        for slot in &mut self.slots {
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
                let SharedView { cells, worker, .. } = self.database;
                slot.cell = cells.slot_number(worker, &mut self.recent_slots, owner.cell, slot.key, None);
            }
            if write.is_some() {
                // It is probably published before it is committed.
                self.database.cells.slot_cell(slot.cell).claim_shown();
            }
            let seen = slot.version.filter(|_| recorder::is_on(Recorder::Slot));
            let (reset, before) = (owner.seen.reset, value.original_value);
            taken.push(SlotAccess { cell: slot.cell, seen, reset, before, write });
        }
    }
}

/// The most that the balance may have been: what is added must not overflow.
fn highest(known: &Entry, moves_balance: bool) -> U256 {
    if moves_balance { known.highest.min(HALF - U256::ONE) } else { known.highest }
}

/// Whether an account was touched and nothing else, and has a nonce or code: then it stays as it is, before EIP-161 and
/// since. Popular contracts are touched by many transactions, which need not wait for each other's writes there.
#[inline]
fn only_touched(known: &Entry) -> bool {
    let account = &known.account;
    let (info, seen) = (&account.info, &known.seen);
    account.is_touched()
        && seen.is_alive()
        && !account.is_created_locally()
        && !account.is_selfdestructed_locally()
        && info.balance == seen.balance
        && info.nonce == seen.nonce
        && info.code_hash == seen.code_hash
}

/// That a touch changes nothing rests on what the account was.
fn alive_if(only_touched: bool) -> u8 {
    if only_touched { observed::ALIVE } else { 0 }
}

/// What became of an account, where it was touched and that changes anything.
#[inline]
fn written(known: &Entry) -> Option<AccountWrite> {
    let account = &known.account;
    if account.is_selfdestructed_locally() {
        return Some(AccountWrite { life: Life::Destroyed, ..AccountWrite::default() });
    }
    if !account.is_touched() || only_touched(known) {
        return None;
    }
    let (info, seen) = (&account.info, &known.seen);
    let life = if account.is_created_locally() { Life::Created } else { Life::Touched };
    let code = (info.code_hash != seen.code_hash)
        .then(|| Box::new((info.code_hash, info.code.clone().unwrap_or_default())));
    Some(AccountWrite {
        life,
        delta: Delta::between(seen.balance, info.balance),
        nonce: (info.nonce != seen.nonce).then_some(info.nonce),
        code,
    })
}
