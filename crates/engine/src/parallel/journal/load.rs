//! The first look of a transaction at an account or a slot: from the cells, which ask the state before the block.

use alloy_primitives::{Address, U256};
use revm::context_interface::journaled_state::JournalLoadError;
use revm::primitives::KECCAK_EMPTY;
use revm::primitives::hardfork::SpecId;
use revm::state::{AccountStatus, EvmStorageSlot, TransactionId};

use super::undo::Undo;
use super::{Entry, FieldJournal, Load, Mode, NO_CELL, SharedView, Slot};
use crate::error::Fault;
use crate::parallel::cells::{Fields, position_of};
use crate::parallel::observed;
use crate::parallel::recorder::{self, Recorder};
use crate::state::{Read, reader::MAX_WAITS_PER_READ};

impl<'a> FieldJournal<'a> {
    /// Asks until there is an answer where the answer is final; else stops the run at the first ticket.
    fn answer<T>(
        &mut self,
        mut read: impl FnMut(&mut SharedView<'a>) -> Result<Read<T>, Fault>,
    ) -> Result<T, Fault> {
        for _ in 0..MAX_WAITS_PER_READ {
            match read(&mut self.database)? {
                Read::Ready(value) => return Ok(value),
                Read::Pending(ticket) if self.mode == Mode::Final => self.database.reader.wait(ticket)?,
                Read::Pending(ticket) => {
                    self.waiting = Some(ticket);
                    return Err(Fault::StateRead("no answer yet".into()));
                }
            }
        }
        Err(Fault::StateRead(format!("still pending after {MAX_WAITS_PER_READ} waits")))
    }

    /// The entry of an account in this transaction, and whether it was cold.
    pub(in crate::parallel) fn load(&mut self, address: Address, skip_cold_load: bool) -> Load<(u32, bool)> {
        if let Some(&entry) = self.index.get(&address) {
            let known = &mut self.entries[entry as usize];
            if known.run == self.run {
                if !known.cold {
                    return Ok((entry, false));
                }
                let cold = self.warm.check_is_cold(&address, skip_cold_load)?;
                known.cold = false;
                self.undo.push(Undo::Warmed(entry));
                return Ok((entry, cold));
            }
            let cold = self.warm.check_is_cold(&address, skip_cold_load)?;
            self.refresh(entry)?;
            return Ok((entry, cold));
        }
        let cold = self.warm.check_is_cold(&address, skip_cold_load)?;
        let cell = self.database.cells.account_number(address);
        let entry = self.used;
        if entry as usize == self.entries.len() {
            self.entries.push(Entry::default());
        }
        self.used += 1;
        let new = &mut self.entries[entry as usize];
        (new.address, new.cell) = (address, cell);
        (new.account.info.code_hash, new.account.info.code) = (KECCAK_EMPTY, None);
        self.index.insert(address, entry);
        self.refresh(entry)?;
        Ok((entry, cold))
    }

    /// Looks at an account for the first time in a transaction.
    fn refresh(&mut self, entry: u32) -> Result<(), Fault> {
        self.database.yield_turn();
        let (cell, position, clear) = (self.entries[entry as usize].cell, self.position, self.state_clear());
        self.stop_if_blocked()?;
        let (mut seen, hint, estimate) = self.answer(|database| {
            let mut cell = database.cells.account(cell);
            Ok(match cell.view(database.reader, position, clear)? {
                Read::Ready(fields) => Read::Ready((fields, cell.hint, cell.estimate_below(position))),
                Read::Pending(ticket) => Read::Pending(ticket),
            })
        })?;
        if self.mode == Mode::Misled {
            mislead(&mut seen);
        }
        let known = &mut self.entries[entry as usize];
        let info = &mut known.account.info;
        if info.code_hash != seen.code_hash {
            info.code_hash = seen.code_hash;
            info.code = None;
        }
        info.balance = seen.balance;
        info.nonce = seen.nonce;
        known.account.status =
            if seen.exists { AccountStatus::empty() } else { AccountStatus::LoadedAsNotExisting };
        if self.spec.is_enabled_in(SpecId::AMSTERDAM) {
            known.account.set_current_info_as_original();
        }
        known.hint = hint;
        known.seen = seen;
        known.estimate = estimate;
        known.lowest = U256::ZERO;
        known.highest = U256::MAX;
        known.observed.set(0);
        known.cold = false;
        known.run = self.run;
        self.loaded.push(entry);
        self.undo.push(Undo::Warmed(entry));
        Ok(())
    }

    /// Makes sure that the code is there.
    pub(in crate::parallel) fn load_code(&mut self, entry: u32) -> Result<(), Fault> {
        let known = &self.entries[entry as usize];
        if known.account.info.code.is_some() {
            return Ok(());
        }
        let (cell, hash, position) = (known.cell, known.account.info.code_hash, self.position);
        let code = if hash == KECCAK_EMPTY {
            self.empty_code.clone()
        } else {
            let shared = self.database.cells.account(cell).code(hash, position);
            match shared {
                Some(code) => code,
                None => {
                    let code = self.answer(|database| database.reader.code(hash))?;
                    self.database.cells.account(cell).keep_code(hash, &code);
                    code
                }
            }
        };
        self.entries[entry as usize].account.info.code = Some(code);
        Ok(())
    }

    /// The slot of a loaded account in this transaction, and whether it was cold.
    pub(in crate::parallel) fn load_slot(
        &mut self,
        entry: u32,
        key: U256,
        skip_cold_load: bool,
    ) -> Load<(u32, bool)> {
        let known = self.slot_index.get(&(entry, key)).copied();
        if let Some(slot) = known {
            let held = &self.slots[slot as usize];
            if held.run == self.run && !held.value.is_cold {
                return Ok((slot, false));
            }
        }
        let address = self.entries[entry as usize].address;
        let cold = !self.warm.access_list().get(&address).is_some_and(|keys| keys.contains(&key));
        if cold && skip_cold_load {
            return Err(JournalLoadError::ColdLoadSkipped);
        }
        let slot = match known {
            Some(slot) => slot,
            None => {
                let slot = self.slots.len() as u32;
                let value = EvmStorageSlot::new(U256::ZERO, TransactionId::ZERO);
                self.slots.push(Slot { entry, key, cell: NO_CELL, run: 0, version: None, value });
                self.slot_index.insert((entry, key), slot);
                slot
            }
        };
        if self.slots[slot as usize].run != self.run {
            self.refresh_slot(slot)?;
        }
        self.slots[slot as usize].value.is_cold = false;
        if cold {
            self.undo.push(Undo::SlotWarmed(slot));
        }
        Ok((slot, cold))
    }

    /// Looks at a slot for the first time in a transaction.
    fn refresh_slot(&mut self, slot: u32) -> Result<(), Fault> {
        self.database.yield_turn();
        self.stop_if_blocked()?;
        let held = &self.slots[slot as usize];
        let (key, mut cell) = (held.key, held.cell);
        let owner = &self.entries[held.entry as usize];
        let (account, address, hint) = (owner.cell, owner.address, owner.hint);
        let (position, reset) = (self.position, owner.seen.reset);
        let (mut value, version) = if owner.account.is_created_locally() {
            (U256::ZERO, None)
        } else {
            if cell == NO_CELL {
                cell = self.database.cells.slot_number(account, key);
            }
            let view = self.answer(|database| {
                let mut held = database.cells.slot(cell);
                if let Some(view) = held.view(position, reset) {
                    return Ok(Read::Ready(view));
                }
                Ok(match held.load(database.reader, address, hint)? {
                    Read::Ready(()) => match held.view(position, reset) {
                        Some(view) => Read::Ready(view),
                        None => return Err(Fault::StateRead("a slot that was read has no value".into())),
                    },
                    Read::Pending(ticket) => Read::Pending(ticket),
                })
            })?;
            if view.estimate && self.mode == Mode::Speculative {
                self.blocked.set(position_of(view.version));
                self.stop_if_blocked()?;
            }
            if recorder::is_on(Recorder::Reset) {
                let owner = &self.entries[self.slots[slot as usize].entry as usize];
                owner.observed.set(owner.observed.get() | observed::RESET);
            }
            (view.value, Some(view.version))
        };
        if self.mode == Mode::Misled {
            value = value.wrapping_add(U256::ONE);
        }
        let held = &mut self.slots[slot as usize];
        held.cell = cell;
        held.version = version;
        held.value = EvmStorageSlot::new(value, TransactionId::ZERO);
        held.run = self.run;
        self.loaded_slots.push(slot);
        Ok(())
    }
}

/// Something else in every field.
fn mislead(fields: &mut Fields) {
    fields.balance = fields.balance.wrapping_add(U256::ONE);
    fields.nonce = fields.nonce.wrapping_add(1);
    fields.exists = !fields.exists;
    if fields.code_hash != KECCAK_EMPTY {
        fields.code_hash = KECCAK_EMPTY;
    }
}
