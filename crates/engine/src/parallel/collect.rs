//! The block's ChangeSet, from the cells: what was committed against what was there before.

use alloy_primitives::{U256, map::U256Map};
use revm::primitives::KECCAK_EMPTY;

use super::cells::{AccountState, Cells};
use crate::error::Fault;
use crate::state::reader::read_now;
use crate::state::{AccountChange, AccountFields, ChangeSet, SlotChange, StateReader};

/// Marks a cell whose slots are not to be compared.
const ELSEWHERE: u32 = u32::MAX;

/// The touched accounts with what they were and what they are.
pub fn collect(cells: &Cells, reader: &dyn StateReader) -> Result<ChangeSet, Fault> {
    let (accounts, slots) = cells.numbers();
    let numbers = accounts.last().map_or(0, |last| *last as usize + 1);
    let mut changes = Vec::with_capacity(accounts.len());
    let mut places = vec![ELSEWHERE; numbers];
    let mut resets = vec![0; numbers];
    for number in accounts {
        let account = cells.account(number);
        if !account.touched && !account.destroyed {
            continue;
        }
        places[number as usize] = changes.len() as u32;
        resets[number as usize] = account.now.reset;
        changes.push(change_of_fields(&account));
    }
    for number in slots {
        let mut slot = cells.slot(number);
        let place = places[slot.account as usize];
        if place == ELSEWHERE || slot.committed_version() == 0 {
            continue;
        }
        let change: &mut AccountChange = &mut changes[place as usize];
        let after = match change.after {
            Some(_) => slot.committed(resets[slot.account as usize]).unwrap_or_default(),
            None => U256::ZERO,
        };
        if !slot.is_loaded() && change.before.is_some() {
            let address = change.address;
            read_now(reader, |reader| slot.load(reader, address, None))?;
        }
        if after != slot.before || change.reset {
            change.storage.push(SlotChange { slot: slot.key, before: slot.before, after });
        }
    }
    for change in changes.iter_mut().filter(|change| change.reset) {
        list_every_slot(change, reader)?;
    }
    Ok(ChangeSet { accounts: changes })
}

fn change_of_fields(account: &AccountState) -> AccountChange {
    let now = &account.now;
    let fields = AccountFields { nonce: now.nonce, balance: now.balance, code_hash: now.code_hash };
    let (before, after) = (account.before, now.exists.then_some(fields));
    let code_changed = after.is_some_and(|after| {
        after.code_hash != KECCAK_EMPTY && before.is_none_or(|before| before.code_hash != after.code_hash)
    });
    AccountChange {
        address: account.address,
        before,
        after,
        // An account that was there and is not any more leaves no slots behind, destroyed or emptied.
        reset: account.destroyed || (before.is_some() && after.is_none()),
        code: if code_changed { account.committed_code().cloned() } else { None },
        storage: Vec::new(),
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
