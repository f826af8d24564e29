//! The block's ChangeSet, from the cells: what was committed against what was there before.

use alloy_primitives::{U256, map::U256Map};
use revm::primitives::KECCAK_EMPTY;

use super::cells::{AccountCell, Cells, Settled};
use crate::ahead::fetch;
use crate::error::Fault;
use crate::state::reader::read_now;
use crate::state::{AccountChange, AccountFields, ChangeSet, SlotChange, StateReader};

/// Marks a cell whose slots are not to be compared.
const ELSEWHERE: u32 = u32::MAX;

/// Cells that are fetched before they are looked at: other workers wrote them, and waiting for each in turn is most of the
/// time that collecting takes.
const AHEAD: usize = 12;

/// The touched accounts with what they were and what they are.
pub fn collect(cells: &Cells, reader: &dyn StateReader) -> Result<ChangeSet, Fault> {
    let (accounts, mut slots) = cells.numbers();
    let numbers = accounts.iter().max().map_or(0, |last| *last as usize + 1);
    // A list of slots that grows asks for memory again and again.
    let mut slots_of = vec![0; numbers];
    keep_written(cells, &mut slots, &mut slots_of);
    let mut changes = Vec::with_capacity(accounts.len());
    let mut places = vec![ELSEWHERE; numbers];
    let mut resets = vec![0; numbers];
    for (place, number) in accounts.iter().copied().enumerate() {
        if let Some(next) = accounts.get(place + AHEAD) {
            fetch(cells.account_cell(*next));
        }
        let account = cells.account_cell(number);
        let Some(settled) = account.settled() else { continue };
        places[number as usize] = changes.len() as u32;
        resets[number as usize] = settled.now.reset;
        changes.push(change_of_fields(account, settled, slots_of[number as usize]));
    }
    for number in slots {
        let slot = cells.slot_cell(number);
        let (account, key) = slot.name();
        let place = places[account as usize];
        if place == ELSEWHERE {
            continue;
        }
        let change: &mut AccountChange = &mut changes[place as usize];
        let after = match change.after {
            Some(_) => slot.committed(resets[account as usize]).unwrap_or_default(),
            None => U256::ZERO,
        };
        if !slot.is_loaded() && change.before.is_some() {
            let address = change.address;
            read_now(reader, |reader| slot.lock().load(reader, address, None))?;
        }
        let before = slot.before();
        if after != before || change.reset {
            change.storage.push(SlotChange { slot: key, before, after });
        }
    }
    for change in changes.iter_mut().filter(|change| change.reset) {
        list_every_slot(change, reader)?;
    }
    Ok(ChangeSet { accounts: changes })
}

/// Leaves those slots that a committed transaction wrote, and counts them by account.
fn keep_written(cells: &Cells, slots: &mut Vec<u32>, slots_of: &mut [usize]) {
    let mut kept = 0;
    for place in 0..slots.len() {
        if let Some(next) = slots.get(place + AHEAD) {
            fetch(cells.slot_cell(*next));
        }
        let number = slots[place];
        let cell = cells.slot_cell(number);
        if cell.is_written() {
            slots_of[cell.name().0 as usize] += 1;
            slots[kept] = number;
            kept += 1;
        }
    }
    slots.truncate(kept);
}

fn change_of_fields(account: &AccountCell, settled: Settled, slots: usize) -> AccountChange {
    let Settled { before, now, is_destroyed } = settled;
    let fields = AccountFields { nonce: now.nonce, balance: now.balance, code_hash: now.code_hash };
    let after = now.exists.then_some(fields);
    let code_changed = after.is_some_and(|after| {
        after.code_hash != KECCAK_EMPTY && before.is_none_or(|before| before.code_hash != after.code_hash)
    });
    AccountChange {
        address: account.name(),
        before,
        after,
        // An account that was there and is not any more leaves no slots behind, destroyed or emptied.
        reset: is_destroyed || (before.is_some() && after.is_none()),
        code: if code_changed { account.lock().committed_code() } else { None },
        storage: Vec::with_capacity(slots),
    }
}

/// Every slot that was or is not zero, equal ones too: applying a reset clears first.
fn list_every_slot(change: &mut AccountChange, reader: &dyn StateReader) -> Result<(), Fault> {
    let address = change.address;
    let mut slots: U256Map<(U256, U256)> = U256Map::default();
    for (slot, before) in read_now(reader, |reader| reader.slots(address))? {
        slots.insert(slot, (before, U256::ZERO));
    }
    for slot in &change.storage {
        slots.entry(slot.slot).or_default().1 = slot.after;
    }
    let listed = slots.into_iter().filter(|(_, (before, after))| !before.is_zero() || !after.is_zero());
    change.storage = listed.map(|(slot, (before, after))| SlotChange { slot, before, after }).collect();
    Ok(())
}
