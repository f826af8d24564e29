//! revm's journal interface, and what each part of it observes.

use alloy_primitives::{
    Address, B256, Bytes, Log, LogData, U256,
    map::{AddressMap, AddressSet, HashSet},
};
use revm::context::JournalTr;
use revm::context_interface::context::{SStoreResult, SelfDestructResult, StateLoad};
use revm::context_interface::journaled_state::{
    AccountInfoLoad, AccountLoad, JournalCheckpoint, JournalLoadError, TransferError,
};
use revm::primitives::KECCAK_EMPTY;
use revm::primitives::eip7708::{ETH_TRANSFER_LOG_ADDRESS, ETH_TRANSFER_LOG_TOPIC};
use revm::primitives::hardfork::SpecId;
use revm::state::{Account, Bytecode, EvmState};

use super::account::FieldAccount;
use super::undo::{Destruction, Undo};
use super::{FieldJournal, Load, SharedView};
use crate::error::Fault;

impl<'a> FieldJournal<'a> {
    fn entry_of(&self, address: &Address) -> Option<u32> {
        self.known.find(address)
    }

    /// An account that revm has loaded before it calls; loaded here if it has not.
    fn loaded_entry(&mut self, address: Address) -> Result<u32, Fault> {
        match self.entry_of(&address) {
            Some(entry) => Ok(entry),
            None => {
                self.load(address, false).map(|(entry, _)| entry).map_err(JournalLoadError::unwrap_db_error)
            }
        }
    }

    /// What "empty" means for prices: missing before EIP-161, empty since. The answer is an observation.
    fn observe_new(&mut self, entry: u32) -> bool {
        if self.state_clear() {
            self.observe_emptiness(entry);
        } else {
            self.observe_existence(entry);
        }
        self.account_of(entry).state_clear_aware_is_empty(self.spec)
    }

    pub(super) fn store_slot(
        &mut self,
        entry: u32,
        key: U256,
        new: U256,
        skip_cold_load: bool,
    ) -> Load<StateLoad<SStoreResult>> {
        self.touch_entry(entry);
        let (slot, cold) = self.load_slot(entry, key, skip_cold_load)?;
        let value = &mut self.slots[slot as usize].value;
        let result = SStoreResult {
            original_value: value.original_value,
            present_value: value.present_value,
            new_value: new,
        };
        if value.present_value != new {
            self.undo.push(Undo::Slot { slot, value: value.present_value });
            value.present_value = new;
        }
        Ok(StateLoad::new(result, cold))
    }

    pub(super) fn set_code_of(&mut self, entry: u32, hash: B256, code: Bytecode) {
        self.touch_entry(entry);
        let info = &mut self.entries[entry as usize].account.info;
        let undo = Undo::Code { entry, hash: info.code_hash, code: info.code.take() };
        info.code_hash = hash;
        info.code = Some(code);
        self.undo.push(undo);
    }

    /// EIP-7708.
    fn log_transfer(&mut self, from: u32, to: u32, amount: U256) {
        if !self.transfer_logs || amount.is_zero() || !self.spec.is_enabled_in(SpecId::AMSTERDAM) {
            return;
        }
        let word = |entry: u32| B256::left_padding_from(self.entries[entry as usize].address.as_slice());
        let topics = vec![ETH_TRANSFER_LOG_TOPIC, word(from), word(to)];
        let data = LogData::new_unchecked(topics, Bytes::copy_from_slice(&amount.to_be_bytes::<32>()));
        self.logs.push(Log { address: ETH_TRANSFER_LOG_ADDRESS, data });
    }

    fn transfer_between(&mut self, from: u32, to: u32, amount: U256) -> Option<TransferError> {
        if from == to {
            return (!self.covers(from, amount)).then_some(TransferError::OutOfFunds);
        }
        if amount.is_zero() {
            self.touch_entry(to);
            return None;
        }
        self.touch_entry(from);
        if !self.covers(from, amount) {
            return Some(TransferError::OutOfFunds);
        }
        self.entries[from as usize].account.info.balance -= amount;
        self.touch_entry(to);
        if !self.credit(to, amount) {
            return Some(TransferError::OverflowPayment);
        }
        self.undo.push(Undo::Transfer { from, to, amount });
        self.log_transfer(from, to, amount);
        None
    }

    /// Clears accounts that were destroyed but keep a balance (EIP-8246).
    fn clear_destroyed(&mut self) {
        if !self.spec.is_enabled_in(SpecId::AMSTERDAM) || !self.delayed_clear {
            return;
        }
        for at in 0..self.destroyed.len() {
            let entry = self.destroyed[at];
            let account = &mut self.entries[entry as usize].account;
            if account.info.balance.is_zero() {
                continue;
            }
            account.info.nonce = 0;
            account.info.code_hash = KECCAK_EMPTY;
            account.info.code = Some(Bytecode::default());
            account.unmark_selfdestruct();
            account.unmark_selfdestructed_locally();
            for slot in &mut self.slots {
                if slot.entry == entry {
                    slot.value.present_value = U256::ZERO;
                }
            }
        }
    }

    fn destroy(
        &mut self,
        address: Address,
        target: Address,
        skip: bool,
    ) -> Load<StateLoad<SelfDestructResult>> {
        let (target, cold) = self.load(target, skip)?;
        let target_is_new = self.observe_new(target);
        let entry = self.loaded_entry(address)?;
        // All of it moves: how much is an observation.
        self.observe_balance(entry);
        let balance = self.account_of(entry).info.balance;
        if entry != target {
            self.touch_entry(target);
            if !self.credit(target, balance) {
                // revm wraps here, and the tests' states hold such balances.
                let held = &mut self.entries[target as usize].account.info.balance;
                *held = held.wrapping_add(balance);
            }
        }
        let (spec, account) = (self.spec, &mut self.entries[entry as usize].account);
        let destruction =
            if account.is_selfdestructed_locally() { Destruction::Repeated } else { Destruction::First };
        if account.is_created_locally() || !spec.is_enabled_in(SpecId::CANCUN) {
            account.mark_selfdestructed_locally();
            let stays = entry == target && spec.is_enabled_in(SpecId::AMSTERDAM);
            let amount = if stays { U256::ZERO } else { balance };
            account.info.balance -= amount;
            if destruction == Destruction::First {
                self.destroyed.push(entry);
            }
            if entry != target {
                self.log_transfer(entry, target, balance);
            }
            self.undo.push(Undo::Destroyed { entry, target, destruction, amount });
        } else if entry != target {
            account.info.balance = U256::ZERO;
            self.log_transfer(entry, target, balance);
            self.undo.push(Undo::Transfer { from: entry, to: target, amount: balance });
        }
        let previously_destroyed = destruction == Destruction::Repeated;
        let data = SelfDestructResult {
            had_value: !balance.is_zero(),
            target_exists: !target_is_new,
            previously_destroyed,
        };
        Ok(StateLoad::new(data, cold))
    }
}

impl<'a> JournalTr for FieldJournal<'a> {
    type Database = SharedView<'a>;
    type State = EvmState;
    type JournaledAccount<'j>
        = FieldAccount<'j, 'a>
    where
        Self: 'j;

    fn new(database: SharedView<'a>) -> Self {
        Self::over(database)
    }

    fn db_and_state(&self) -> (&SharedView<'a>, &EvmState) {
        (&self.database, &self.state)
    }

    fn db_and_state_mut(&mut self) -> (&mut SharedView<'a>, &mut EvmState) {
        (&mut self.database, &mut self.state)
    }

    fn sload_skip_cold_load(&mut self, address: Address, key: U256, skip: bool) -> Load<StateLoad<U256>> {
        let entry = self.loaded_entry(address)?;
        let (slot, cold) = self.load_slot(entry, key, skip)?;
        Ok(StateLoad::new(self.slots[slot as usize].value.present_value, cold))
    }

    fn sstore_skip_cold_load(
        &mut self,
        address: Address,
        key: U256,
        value: U256,
        skip: bool,
    ) -> Load<StateLoad<SStoreResult>> {
        let entry = self.loaded_entry(address)?;
        self.store_slot(entry, key, value, skip)
    }

    fn tload(&mut self, address: Address, key: U256) -> U256 {
        self.transient.get_value(address, key)
    }

    fn tstore(&mut self, address: Address, key: U256, value: U256) {
        let before = self.transient.get_value(address, key);
        if before != value {
            if value.is_zero() {
                self.transient.remove_value(address, key);
            } else {
                self.transient.insert_value(address, key, value);
            }
            self.undo.push(Undo::Transient { address, key, value: before });
        }
    }

    fn log(&mut self, log: Log) {
        self.logs.push(log);
    }

    fn take_logs(&mut self) -> Vec<Log> {
        self.clear_destroyed();
        // A list of its own with just the room that it needs; whoever drops the receipt gives it back from another thread.
        self.logs.drain(..).collect()
    }

    fn logs(&self) -> &[Log] {
        &self.logs
    }

    fn selfdestruct(
        &mut self,
        address: Address,
        target: Address,
        skip: bool,
    ) -> Load<StateLoad<SelfDestructResult>> {
        self.destroy(address, target, skip)
    }

    fn warm_access_list(&mut self, access_list: AddressMap<HashSet<U256>>) {
        self.warm.set_access_list(access_list);
    }

    fn warm_coinbase_account(&mut self, address: Address) {
        self.warm.set_coinbase(address);
    }

    fn warm_precompiles(&mut self, addresses: &AddressSet) {
        self.warm.set_precompile_addresses(addresses);
    }

    fn precompile_addresses(&self) -> &AddressSet {
        self.warm.precompiles()
    }

    fn set_spec_id(&mut self, spec: SpecId) {
        self.spec = spec;
    }

    fn set_eip7708_config(&mut self, disabled: bool, eip8246_delayed_clear_disabled: bool) {
        self.transfer_logs = !disabled;
        self.delayed_clear = !eip8246_delayed_clear_disabled;
    }

    fn touch_account(&mut self, address: Address) {
        if let Some(entry) = self.entry_of(&address) {
            self.touch_entry(entry);
        }
    }

    fn transfer(&mut self, from: Address, to: Address, amount: U256) -> Result<Option<TransferError>, Fault> {
        let (from, to) = (self.loaded_entry(from)?, self.loaded_entry(to)?);
        Ok(self.transfer_between(from, to, amount))
    }

    fn transfer_loaded(&mut self, from: Address, to: Address, amount: U256) -> Option<TransferError> {
        // revm loads both before it transfers, but for the protocol's own calls: their sender has no account.
        let to = self.entry_of(&to)?;
        let from = match self.entry_of(&from) {
            Some(from) => from,
            None => {
                self.touch_entry(to);
                return None;
            }
        };
        self.transfer_between(from, to, amount)
    }

    fn caller_accounting_journal_entry(&mut self, address: Address, old_balance: U256, bump_nonce: bool) {
        let Some(entry) = self.entry_of(&address) else { return };
        self.undo.push(Undo::Balance(entry, old_balance));
        self.undo.push(Undo::Touched(entry));
        if bump_nonce {
            let nonce = self.account_of(entry).info.nonce.saturating_sub(1);
            self.undo.push(Undo::Nonce(entry, nonce));
        }
    }

    fn nonce_bump_journal_entry(&mut self, address: Address) {
        let Some(entry) = self.entry_of(&address) else { return };
        let nonce = self.account_of(entry).info.nonce.saturating_sub(1);
        self.undo.push(Undo::Nonce(entry, nonce));
    }

    fn balance_incr(&mut self, address: Address, amount: U256) -> Result<(), Fault> {
        use revm::context_interface::journaled_state::account::JournaledAccountTr;
        self.load_account_mut(address)?.data.incr_balance(amount);
        Ok(())
    }

    /// Loaded to create a contract there (the collision check follows), or to credit it: nothing is observed, but
    /// for the one place since Amsterdam that asks whether it is empty.
    fn load_account(&mut self, address: Address) -> Result<StateLoad<&Account>, Fault> {
        let (entry, cold) = self.load(address, false).map_err(JournalLoadError::unwrap_db_error)?;
        if self.spec.is_enabled_in(SpecId::AMSTERDAM) {
            self.observe_emptiness(entry);
        }
        Ok(StateLoad::new(self.account_of(entry), cold))
    }

    /// The code that a transaction's first frame runs.
    fn load_account_with_code(&mut self, address: Address) -> Result<StateLoad<&Account>, Fault> {
        let (entry, cold) = self.load(address, false).map_err(JournalLoadError::unwrap_db_error)?;
        self.load_code(entry)?;
        self.observe_code(entry);
        if self.spec.is_enabled_in(SpecId::AMSTERDAM) {
            self.observe_emptiness(entry);
        }
        Ok(StateLoad::new(self.account_of(entry), cold))
    }

    fn load_account_delegated(&mut self, address: Address) -> Result<StateLoad<AccountLoad>, Fault> {
        let (entry, is_cold) = self.load(address, false).map_err(JournalLoadError::unwrap_db_error)?;
        let is_empty = self.observe_new(entry);
        let mut load = AccountLoad { is_delegate_account_cold: None, is_empty };
        if self.spec.is_enabled_in(SpecId::PRAGUE) {
            self.load_code(entry)?;
            self.observe_code(entry);
            let delegate = self.account_of(entry).info.code.as_ref().and_then(Bytecode::eip7702_address);
            if let Some(delegate) = delegate {
                load.is_delegate_account_cold = Some(self.load_account_with_code(delegate)?.is_cold);
            }
        }
        Ok(StateLoad::new(load, is_cold))
    }

    /// For the creator of a contract the comparison with the endowment is recorded, and its nonce: the new address
    /// depends on it. Elsewhere this leads to a credit or a nonce, which the handle records.
    fn load_account_mut_skip_cold_load(
        &mut self,
        address: Address,
        skip: bool,
    ) -> Load<StateLoad<FieldAccount<'_, 'a>>> {
        let (entry, cold) = self.load(address, skip)?;
        if let Some(endowment) = self.endowment {
            self.covers(entry, endowment);
            self.observe_nonce(entry);
        }
        Ok(StateLoad::new(FieldAccount { journal: self, entry }, cold))
    }

    /// An authority (EIP-7702): its code, its nonce, and whether it exists.
    fn load_account_mut_optional_code(
        &mut self,
        address: Address,
        load_code: bool,
    ) -> Result<StateLoad<FieldAccount<'_, 'a>>, Fault> {
        let (entry, cold) = self.load(address, false).map_err(JournalLoadError::unwrap_db_error)?;
        if load_code {
            self.load_code(entry)?;
        }
        self.observe_code(entry);
        self.observe_nonce(entry);
        self.observe_existence(entry);
        Ok(StateLoad::new(FieldAccount { journal: self, entry }, cold))
    }

    fn set_code_with_hash(&mut self, address: Address, code: Bytecode, hash: B256) {
        if let Some(entry) = self.entry_of(&address) {
            self.set_code_of(entry, hash, code);
        }
    }

    fn checkpoint(&mut self) -> JournalCheckpoint {
        self.depth += 1;
        JournalCheckpoint {
            log_i: self.logs.len(),
            journal_i: self.undo.len(),
            selfdestructed_i: self.destroyed.len(),
        }
    }

    fn checkpoint_commit(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn checkpoint_revert(&mut self, checkpoint: JournalCheckpoint) {
        self.depth = self.depth.saturating_sub(1);
        self.logs.truncate(checkpoint.log_i);
        self.destroyed.truncate(checkpoint.selfdestructed_i);
        self.unwind(checkpoint.journal_i);
    }

    fn create_account_checkpoint(
        &mut self,
        caller: Address,
        address: Address,
        endowment: U256,
        spec: SpecId,
    ) -> Result<JournalCheckpoint, TransferError> {
        let checkpoint = self.checkpoint();
        let collision = TransferError::CreateCollision;
        let (Some(caller), Some(entry)) = (self.entry_of(&caller), self.entry_of(&address)) else {
            return Err(collision);
        };
        self.observe_code(entry);
        self.observe_nonce(entry);
        let account = &mut self.entries[entry as usize].account;
        if account.info.code_hash != KECCAK_EMPTY || account.info.nonce != 0 {
            self.checkpoint_revert(checkpoint);
            return Err(collision);
        }
        account.mark_created_locally();
        account.info.code = None;
        if spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) {
            account.info.nonce = 1;
        }
        self.undo.push(Undo::Created(entry));
        self.touch_entry(entry);
        if endowment.is_zero() {
            return Ok(checkpoint);
        }
        if !self.credit(entry, endowment) {
            self.checkpoint_revert(checkpoint);
            return Err(TransferError::OverflowPayment);
        }
        // The creator's balance was compared with the endowment before.
        self.entries[caller as usize].account.info.balance -= endowment;
        self.undo.push(Undo::Transfer { from: caller, to: entry, amount: endowment });
        self.log_transfer(caller, entry, endowment);
        Ok(checkpoint)
    }

    fn depth(&self) -> usize {
        self.depth
    }

    /// A worker takes the outcome out by itself; see `outcome`.
    fn commit_tx(&mut self) {}

    /// Records stay: a rejection has observed something too.
    fn discard_tx(&mut self) {
        self.unwind(0);
    }

    fn finalize(&mut self) -> EvmState {
        EvmState::default()
    }

    /// BALANCE, SELFBALANCE and EXTCODEHASH ask without code; calls and EXTCODE* with it.
    fn load_account_info_skip_cold_load(
        &mut self,
        address: Address,
        load_code: bool,
        skip: bool,
    ) -> Load<AccountInfoLoad<'_>> {
        let (entry, cold) = self.load(address, skip)?;
        self.observe_code(entry);
        if load_code {
            self.load_code(entry).map_err(JournalLoadError::DBError)?;
        } else {
            self.observe_balance(entry);
            if self.spec.is_enabled_in(SpecId::AMSTERDAM) {
                // CREATE asks so for its creator and derives the new address from the nonce, before any frame begins.
                self.observe_nonce(entry);
            }
        }
        let is_empty = self.observe_new(entry);
        Ok(AccountInfoLoad::new(&self.account_of(entry).info, cold, is_empty))
    }
}
