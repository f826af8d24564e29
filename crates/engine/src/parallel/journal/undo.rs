//! The way back: what a reverted frame did, undone in reverse. What it observed stays recorded.

use alloy_primitives::{Address, B256, U256};
use revm::primitives::PRECOMPILE3;
use revm::state::Bytecode;

use super::FieldJournal;

/// How often an account was destroyed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destruction {
    First,
    Repeated,
}

#[derive(Clone, Debug)]
pub(super) enum Undo {
    Warmed(u32),
    SlotWarmed(u32),
    Touched(u32),
    Balance(u32, U256),
    Transfer { from: u32, to: u32, amount: U256 },
    Nonce(u32, u64),
    Created(u32),
    Destroyed { entry: u32, target: u32, destruction: Destruction, amount: U256 },
    Code { entry: u32, hash: B256, code: Option<Bytecode> },
    Slot { slot: u32, value: U256 },
    Transient { address: Address, key: U256, value: U256 },
}

impl FieldJournal<'_> {
    /// Undoes everything after the first `keep` steps.
    pub(super) fn unwind(&mut self, keep: usize) {
        let state_clear = self.state_clear();
        while self.undo.len() > keep {
            let Some(step) = self.undo.pop() else { return };
            self.revert(step, state_clear);
        }
    }

    fn revert(&mut self, step: Undo, state_clear: bool) {
        match step {
            Undo::Warmed(entry) => self.entries[entry as usize].cold = true,
            Undo::SlotWarmed(slot) => self.slots[slot as usize].value.is_cold = true,
            Undo::Touched(entry) => {
                let known = &mut self.entries[entry as usize];
                // The precompile that mainnet touched for good in block 2,675,119.
                if !(state_clear && known.address == PRECOMPILE3) {
                    known.account.unmark_touch();
                }
            }
            Undo::Balance(entry, balance) => self.entries[entry as usize].account.info.balance = balance,
            Undo::Transfer { from, to, amount } => {
                self.entries[from as usize].account.info.balance += amount;
                self.entries[to as usize].account.info.balance -= amount;
            }
            Undo::Nonce(entry, nonce) => self.entries[entry as usize].account.info.nonce = nonce,
            Undo::Created(entry) => {
                let account = &mut self.entries[entry as usize].account;
                account.unmark_created_locally();
                account.unmark_created();
                account.info.nonce = 0;
            }
            Undo::Destroyed { entry, target, destruction, amount } => {
                let account = &mut self.entries[entry as usize].account;
                if destruction == Destruction::First {
                    account.unmark_selfdestruct();
                    account.unmark_selfdestructed_locally();
                }
                account.info.balance += amount;
                if entry != target {
                    self.entries[target as usize].account.info.balance -= amount;
                }
            }
            Undo::Code { entry, hash, code } => {
                let info = &mut self.entries[entry as usize].account.info;
                info.code_hash = hash;
                info.code = code;
            }
            Undo::Slot { slot, value } => self.slots[slot as usize].value.present_value = value,
            Undo::Transient { address, key, value } => {
                if value.is_zero() {
                    self.transient.remove_value(address, key);
                } else {
                    self.transient.insert_value(address, key, value);
                }
            }
        }
    }
}
