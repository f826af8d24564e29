//! The first look of a transaction at an account or a slot: from the cells, which ask the state before the block.

use alloy_primitives::{Address, U256};
use revm::context_interface::journaled_state::JournalLoadError;
use revm::primitives::KECCAK_EMPTY;
use revm::primitives::hardfork::SpecId;
use revm::state::{AccountStatus, Bytecode, EvmStorageSlot, TransactionId};

use super::undo::Undo;
use super::{Entry, FieldJournal, Load, Mode, NO_CELL, SharedView, Slot};
use crate::error::Fault;
use crate::parallel::cells::{Asked, Fields, SlotAsked, position_of};
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
        if let Some(entry) = self.known.find(&address) {
            let known = &mut self.entries[entry as usize];
            if !known.cold {
                return Ok((entry, false));
            }
            let cold = self.warm.check_is_cold(&address, skip_cold_load)?;
            known.cold = false;
            self.undo.push(Undo::Warmed(entry));
            return Ok((entry, cold));
        }
        let cold = self.warm.check_is_cold(&address, skip_cold_load)?;
        let entry = self.known.len();
        if entry == self.entries.len() {
            let mut entry = Entry::default();
            // Everybody's empty code.
            entry.account.info.code = None;
            self.entries.push(entry);
        }
        let new = &mut self.entries[entry];
        new.address = address;
        let SharedView { cells, worker, reader, .. } = self.database;
        new.cell = match self.foreseen.number(self.position, address) {
            Some(number) => number,
            None => {
                let position = if self.mode == Mode::Final { 0 } else { self.position };
                let asked = Some(Asked { reader, position });
                cells.account_number(worker, &mut self.recent_accounts, address, asked)
            }
        };
        self.look_at(entry)?;
        let entry = self.known.push(address);
        self.undo.push(Undo::Warmed(entry));
        Ok((entry, cold))
    }

    /// Looks at an account for the first time in a transaction.
    fn look_at(&mut self, entry: usize) -> Result<(), Fault> {
        self.database.yield_turn();
        let (cell, position, clear) = (self.entries[entry].cell, self.position, self.state_clear());
        self.stop_if_blocked()?;
        let shared = self.database.cells.account_cell(cell);
        // Nobody writes below a final run any more: it need not be told.
        let looked = if self.mode == Mode::Final { shared.peek() } else { shared.look(position) };
        // Twice, so that what was looked at goes straight to its places.
        match looked {
            Some(seen) => self.meet(entry, seen, None),
            None => {
                let (seen, estimate) = self.answer(|database| {
                    let mut cell = database.cells.account(cell);
                    Ok(match cell.view(database.reader, position, clear)? {
                        Read::Ready(fields) => Read::Ready((fields, cell.estimate_below(position))),
                        Read::Pending(ticket) => Read::Pending(ticket),
                    })
                })?;
                self.meet(entry, seen, estimate);
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn meet(&mut self, entry: usize, mut seen: Fields, estimate: Option<(u32, u8)>) {
        if self.mode == Mode::Misled {
            mislead(&mut seen);
        }
        let known = &mut self.entries[entry];
        let info = &mut known.account.info;
        info.code_hash = seen.code_hash;
        // Most accounts have no code, and the entry's last account probably had none.
        if seen.code_hash != KECCAK_EMPTY || info.code.as_ref().is_some_and(|code| !code.is_empty()) {
            info.code = None;
        }
        info.balance = seen.balance;
        info.nonce = seen.nonce;
        known.account.status =
            if seen.exists { AccountStatus::empty() } else { AccountStatus::LoadedAsNotExisting };
        if self.spec.is_enabled_in(SpecId::AMSTERDAM) {
            known.account.set_current_info_as_original();
        }
        known.seen = seen;
        known.estimate = estimate;
        known.lowest = U256::ZERO;
        known.highest = U256::MAX;
        known.observed.set(0);
        known.cold = false;
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
        } else if let Some((_, code)) = self.codes.get(&cell).filter(|(of, _)| *of == hash) {
            code.clone()
        } else {
            let shared = self.database.cells.account(cell).code(hash, position);
            let code = match shared {
                Some(code) => code,
                None => {
                    let code = self.answer(|database| database.reader.code(hash))?;
                    self.database.cells.account(cell).keep_code(hash, &code);
                    code
                }
            };
            let code = code_of_worker(&code);
            self.codes.insert(cell, (hash, code.clone()));
            code
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
        let known = self.known_slots.find(&(entry, key));
        if let Some(slot) = known
            && !self.slots[slot as usize].value.is_cold
        {
            return Ok((slot, false));
        }
        let address = self.entries[entry as usize].address;
        let cold = !self.warm.access_list().get(&address).is_some_and(|keys| keys.contains(&key));
        if cold && skip_cold_load {
            return Err(JournalLoadError::ColdLoadSkipped);
        }
        let slot = match known {
            Some(slot) => slot,
            None => {
                let slot = self.look_at_slot(entry, key)?;
                self.slots.push(slot);
                self.known_slots.push((entry, key))
            }
        };
        self.slots[slot as usize].value.is_cold = false;
        if cold {
            self.undo.push(Undo::SlotWarmed(slot));
        }
        Ok((slot, cold))
    }

    /// Looks at a slot for the first time in a transaction.
    fn look_at_slot(&mut self, entry: u32, key: U256) -> Result<Slot, Fault> {
        self.database.yield_turn();
        self.stop_if_blocked()?;
        let owner = &self.entries[entry as usize];
        let (account, address) = (owner.cell, owner.address);
        let (position, reset) = (self.position, owner.seen.reset);
        let (cell, mut value, version) = if owner.account.is_created_locally() {
            (NO_CELL, U256::ZERO, None)
        } else {
            let SharedView { cells, worker, reader, .. } = self.database;
            let first = if self.mode == Mode::Final { 0 } else { position };
            // Below a reset the state is not asked.
            let asked = (reset == 0).then(|| SlotAsked {
                asked: Asked { reader, position: first },
                address,
                hint: cells.account_cell(account).hint(),
            });
            let cell = cells.slot_number(worker, &mut self.recent_slots, account, key, asked);
            let shared = cells.slot_cell(cell);
            let looked =
                if self.mode == Mode::Final { shared.peek(reset) } else { shared.look(position, reset) };
            let view = match looked {
                Some(view) => view,
                None => self.answer(|database| {
                    // Never with a slot locked.
                    let hint = database.cells.account_cell(account).hint();
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
                })?,
            };
            if view.estimate && self.mode == Mode::Speculative {
                self.blocked.set(position_of(view.version));
                self.stop_if_blocked()?;
            }
            if recorder::is_on(Recorder::Reset) {
                let owner = &self.entries[entry as usize];
                owner.observed.set(owner.observed.get() | observed::RESET);
            }
            (cell, view.value, Some(view.version))
        };
        if self.mode == Mode::Misled {
            value = value.wrapping_add(U256::ONE);
        }
        let value = EvmStorageSlot::new(value, TransactionId::ZERO);
        Ok(Slot { entry, key, cell, version, value })
    }
}

/// The same code under a reference count of this worker's own. Every call counts its code's users up and down; where
/// two workers do so in one place, each takes the cache line away from the other's interpreter, which reads the table
/// of jumps through it.
pub(super) fn code_of_worker(code: &Bytecode) -> Bytecode {
    match code.legacy_jump_table() {
        // SAFETY: these bytes and this table are an analysed code's, padded as they are.
        Some(table) => unsafe { Bytecode::new_analyzed(code.bytes(), code.len(), table.clone()) },
        None => code.clone(),
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
