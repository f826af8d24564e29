//! Reads the block's ChangeSet off the journal, against the state before the block.

use alloy_primitives::{Address, U256, map::U256Map};
use revm::primitives::{KECCAK_EMPTY, hardfork::SpecId};
use revm::state::Account;

use super::EngineContext;
use crate::error::Fault;
use crate::state::reader::read_now;
use crate::state::{AccountChange, AccountFields, ChangeSet, Read, SlotChange, StateReader};

/// The touched accounts with what they were and what they are.
pub fn collect(ctx: &EngineContext<'_>) -> Result<ChangeSet, Fault> {
    let reader = ctx.journaled_state.database.reader;
    let state_clear = ctx.cfg.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON);
    let resets = &ctx.chain.resets;
    let mut accounts = Vec::with_capacity(ctx.journaled_state.inner.state.len());
    for (address, account) in &ctx.journaled_state.inner.state {
        let reset = !resets.is_empty() && resets.contains(address);
        if !account.is_touched() && !reset {
            continue;
        }
        let exists = account.is_touched() && !(state_clear && account.is_empty());
        accounts.push(change(reader, *address, account, exists, reset)?);
    }
    Ok(ChangeSet { accounts })
}

fn change(
    reader: &dyn StateReader,
    address: Address,
    account: &Account,
    exists: bool,
    reset: bool,
) -> Result<AccountChange, Fault> {
    let info = match reader.account(address)? {
        Read::Ready(info) => info,
        Read::Pending(_) => read_now(reader, |reader| reader.account(address))?,
    };
    let before = info.map(|info| AccountFields {
        nonce: info.nonce,
        balance: info.balance,
        code_hash: info.code_hash,
    });
    let after = exists.then_some(AccountFields {
        nonce: account.info.nonce,
        balance: account.info.balance,
        code_hash: account.info.code_hash,
    });
    let code_changed = after.is_some_and(|after| {
        after.code_hash != KECCAK_EMPTY && before.is_none_or(|before| before.code_hash != after.code_hash)
    });
    let code = code_changed.then(|| account.info.code.clone()).flatten();
    // An account that was there and is not any more leaves no slots behind, destroyed or emptied.
    let reset = reset || (before.is_some() && after.is_none());
    let storage = if reset {
        slots_after_reset(reader, address, account, exists)?
    } else {
        changed_slots(reader, address, account, before.is_some())?
    };
    Ok(AccountChange { address, before, after, reset, code, storage })
}

fn changed_slots(
    reader: &dyn StateReader,
    address: Address,
    account: &Account,
    existed: bool,
) -> Result<Vec<SlotChange>, Fault> {
    let mut changes = Vec::new();
    for (slot, value) in &account.storage {
        let before = if !existed {
            U256::ZERO
        } else {
            match reader.storage(address, *slot)? {
                Read::Ready(value) => value,
                Read::Pending(_) => read_now(reader, |reader| reader.storage(address, *slot))?,
            }
        };
        if before != value.present_value {
            changes.push(SlotChange { slot: *slot, before, after: value.present_value });
        }
    }
    Ok(changes)
}

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
        .filter(|(_, (before, after))| before != after)
        .map(|(slot, (before, after))| SlotChange { slot, before, after })
        .collect())
}
