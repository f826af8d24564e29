//! revm's handle on a loaded account, over our journal.

use alloy_primitives::{Address, B256, U256};
use revm::context_interface::ErasedError;
use revm::context_interface::context::{SStoreResult, StateLoad};
use revm::context_interface::journaled_state::account::JournaledAccountTr;
use revm::context_interface::journaled_state::{JournalLoadErasedError, JournalLoadError};
use revm::primitives::KECCAK_EMPTY;
use revm::state::{Account, Bytecode, EvmStorageSlot};

use super::FieldJournal;
use super::undo::Undo;
use crate::parallel::observed;

/// A loaded account.
#[derive(Debug)]
pub struct FieldAccount<'j, 'a> {
    pub(super) journal: &'j mut FieldJournal<'a>,
    pub(super) entry: u32,
}

impl FieldAccount<'_, '_> {
    /// Its place in the journal.
    pub(in crate::parallel) fn entry(&self) -> u32 {
        self.entry
    }

    fn inner(&self) -> &Account {
        self.journal.account_of(self.entry)
    }

    fn inner_mut(&mut self) -> &mut Account {
        &mut self.journal.entries[self.entry as usize].account
    }
}

fn erased<T>(result: Result<T, JournalLoadError<crate::error::Fault>>) -> Result<T, JournalLoadErasedError> {
    result.map_err(|error| error.map(ErasedError::new))
}

impl JournaledAccountTr for FieldAccount<'_, '_> {
    fn account(&self) -> &Account {
        self.inner()
    }

    fn sload(
        &mut self,
        key: U256,
        skip_cold_load: bool,
    ) -> Result<StateLoad<&mut EvmStorageSlot>, JournalLoadErasedError> {
        let (slot, cold) = erased(self.journal.load_slot(self.entry, key, skip_cold_load))?;
        Ok(StateLoad::new(&mut self.journal.slots[slot as usize].value, cold))
    }

    fn sstore(
        &mut self,
        key: U256,
        new: U256,
        skip_cold_load: bool,
    ) -> Result<StateLoad<SStoreResult>, JournalLoadErasedError> {
        erased(self.journal.store_slot(self.entry, key, new, skip_cold_load))
    }

    fn load_code(&mut self) -> Result<&Bytecode, JournalLoadErasedError> {
        self.journal.observe_code(self.entry);
        erased(self.journal.load_code(self.entry).map_err(JournalLoadError::DBError))?;
        let code = self.journal.entries[self.entry as usize].account.info.code.as_ref();
        Ok(code.unwrap_or(&self.journal.empty_code))
    }

    /// The exact balance, but for the creation of a contract: there [`FieldJournal::endowment`] has already recorded
    /// the one comparison that follows.
    fn balance(&self) -> &U256 {
        if self.journal.endowment.is_none() {
            self.journal.observe_balance(self.entry);
        }
        &self.inner().info.balance
    }

    fn nonce(&self) -> u64 {
        self.journal.observe_nonce(self.entry);
        self.inner().info.nonce
    }

    fn code_hash(&self) -> &B256 {
        self.journal.observe_code(self.entry);
        &self.inner().info.code_hash
    }

    fn code(&self) -> Option<&Bytecode> {
        self.journal.observe_code(self.entry);
        self.inner().info.code.as_ref()
    }

    fn touch(&mut self) {
        self.journal.touch_entry(self.entry);
    }

    fn unsafe_mark_cold(&mut self) {
        self.journal.entries[self.entry as usize].cold = true;
    }

    fn set_balance(&mut self, balance: U256) {
        self.touch();
        self.journal.observe(self.entry, observed::EXACT_BALANCE);
        self.journal.set_balance_of(self.entry, balance);
    }

    fn incr_balance(&mut self, balance: U256) -> bool {
        self.touch();
        let old = self.inner().info.balance;
        let added = self.journal.credit(self.entry, balance);
        if added && !balance.is_zero() {
            self.journal.undo.push(Undo::Balance(self.entry, old));
        }
        added
    }

    fn decr_balance(&mut self, balance: U256) -> bool {
        self.touch();
        if !self.journal.covers(self.entry, balance) {
            return false;
        }
        let left = self.inner().info.balance - balance;
        self.journal.set_balance_of(self.entry, left);
        true
    }

    fn bump_nonce(&mut self) -> bool {
        self.touch();
        let nonce = self.inner().info.nonce;
        let Some(next) = nonce.checked_add(1) else { return false };
        self.set_nonce(next);
        true
    }

    fn set_nonce(&mut self, nonce: u64) {
        self.touch();
        let previous = self.inner().info.nonce;
        self.unsafe_set_nonce(nonce);
        self.journal.undo.push(Undo::Nonce(self.entry, previous));
    }

    fn unsafe_set_nonce(&mut self, nonce: u64) {
        self.inner_mut().info.nonce = nonce;
    }

    fn set_code(&mut self, hash: B256, code: Bytecode) {
        self.journal.set_code_of(self.entry, hash, code);
    }

    fn set_code_and_hash_slow(&mut self, code: Bytecode) {
        let hash = code.hash_slow();
        self.set_code(hash, code);
    }

    fn delegate(&mut self, address: Address) {
        let (code, hash) = if address.is_zero() {
            (Bytecode::default(), KECCAK_EMPTY)
        } else {
            let code = Bytecode::new_eip7702(address);
            let hash = code.hash_slow();
            (code, hash)
        };
        self.set_code(hash, code);
        self.bump_nonce();
    }
}

impl<'a> FieldJournal<'a> {
    /// The handle on a loaded account.
    pub(in crate::parallel) fn handle_of(&mut self, entry: u32) -> FieldAccount<'_, 'a> {
        FieldAccount { journal: self, entry }
    }
}
