//! Reads the block's ChangeSet off the journal, against what the state said when the block first asked.

use alloy_primitives::{Address, U256, map::U256Map};
use revm::primitives::{KECCAK_EMPTY, hardfork::SpecId};
use revm::state::Account;

use super::EngineContext;
use super::database::Loaded;
use crate::error::Fault;
use crate::state::reader::read_now;
use crate::state::{AccountChange, AccountFields, ChangeSet, SlotChange, StateReader};

/// Marks a loaded account whose slots are not to be compared one by one.
const ELSEWHERE: u32 = u32::MAX;

/// The touched accounts with what they were and what they are.
pub fn collect(ctx: &EngineContext<'_>) -> Result<ChangeSet, Fault> {
    let database = &ctx.journaled_state.database;
    let state = &ctx.journaled_state.inner.state;
    let state_clear = ctx.cfg.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON);
    let resets = &ctx.chain.resets;
    let mut changes: Vec<AccountChange> = Vec::with_capacity(state.len());
    let mut journaled: Vec<&Account> = Vec::with_capacity(state.len());
    let mut places = vec![ELSEWHERE; database.loaded.accounts.len()];
    for (address, account) in state {
        let destroyed = !resets.is_empty() && resets.contains(address);
        if !account.is_touched() && !destroyed {
            continue;
        }
        let exists = account.is_touched() && !(state_clear && account.is_empty());
        let before = if destroyed {
            fields_before(database.reader, *address)?
        } else {
            account.info.account_id.and_then(|id| database.loaded.accounts.get(id.get())).map(|it| it.before)
        };
        let mut change = change_of_fields(*address, account, before, exists);
        // An account that was there and is not any more leaves no slots behind, destroyed or emptied.
        change.reset = destroyed || (before.is_some() && !exists);
        match account.info.account_id {
            _ if change.reset => {
                change.storage = slots_after_reset(database.reader, *address, account, exists)?
            }
            Some(id) if !account.is_created() => places[id.get()] = changes.len() as u32,
            Some(_) => change.storage = slots_of_created(database.reader, *address, account)?,
            None => change.storage = slots_of_new(account),
        }
        changes.push(change);
        journaled.push(account);
    }
    compare_slots(&database.loaded, &places, &journaled, &mut changes);
    Ok(ChangeSet { accounts: changes })
}

fn fields_before(reader: &dyn StateReader, address: Address) -> Result<Option<AccountFields>, Fault> {
    let info = read_now(reader, |reader| reader.account(address))?;
    Ok(info.map(|info| AccountFields { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash }))
}

fn change_of_fields(
    address: Address,
    account: &Account,
    before: Option<AccountFields>,
    exists: bool,
) -> AccountChange {
    let after = exists.then_some(AccountFields {
        nonce: account.info.nonce,
        balance: account.info.balance,
        code_hash: account.info.code_hash,
    });
    let code_changed = after.is_some_and(|after| {
        after.code_hash != KECCAK_EMPTY && before.is_none_or(|before| before.code_hash != after.code_hash)
    });
    let code = code_changed.then(|| account.info.code.clone()).flatten();
    AccountChange { address, before, after, reset: false, code, storage: Vec::new() }
}

/// Compares each slot that was read from the state with what became of it, in the order of the reads.
fn compare_slots(loaded: &Loaded, places: &[u32], journaled: &[&Account], changes: &mut [AccountChange]) {
    for slot in &loaded.slots {
        let place = places[slot.account as usize];
        if place == ELSEWHERE {
            continue;
        }
        let Some(present) = journaled[place as usize].storage.get(&slot.slot) else { continue };
        if present.present_value != slot.before {
            changes[place as usize].storage.push(SlotChange {
                slot: slot.slot,
                before: slot.before,
                after: present.present_value,
            });
        }
    }
}

/// The slots of an account that did not exist before.
fn slots_of_new(account: &Account) -> Vec<SlotChange> {
    let written = account.storage.iter().filter(|(_, slot)| !slot.present_value.is_zero());
    written
        .map(|(slot, value)| SlotChange { slot: *slot, before: U256::ZERO, after: value.present_value })
        .collect()
}

/// The slots of an account that existed without code and was created now: the journal took them for zero unread.
fn slots_of_created(
    reader: &dyn StateReader,
    address: Address,
    account: &Account,
) -> Result<Vec<SlotChange>, Fault> {
    let mut changes = Vec::new();
    for (slot, value) in &account.storage {
        let before = read_now(reader, |reader| reader.storage(address, None, *slot))?;
        if before != value.present_value {
            changes.push(SlotChange { slot: *slot, before, after: value.present_value });
        }
    }
    Ok(changes)
}

/// Every slot that was or is not zero, equal ones too: applying a reset clears first.
fn slots_after_reset(
    reader: &dyn StateReader,
    address: Address,
    account: &Account,
    exists: bool,
) -> Result<Vec<SlotChange>, Fault> {
    let mut slots: U256Map<(U256, U256)> = U256Map::default();
    for (slot, before) in read_now(reader, |reader| reader.slots(address))? {
        slots.insert(slot, (before, U256::ZERO));
    }
    if exists {
        for (slot, value) in &account.storage {
            slots.entry(*slot).or_default().1 = value.present_value;
        }
    }
    Ok(slots
        .into_iter()
        .filter(|(_, (before, after))| !before.is_zero() || !after.is_zero())
        .map(|(slot, (before, after))| SlotChange { slot, before, after })
        .collect())
}
