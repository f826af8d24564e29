//! The fields of an account, and what a write makes of them.

use alloy_primitives::{B256, U256};
use revm::primitives::KECCAK_EMPTY;
use revm::state::Bytecode;

/// An amount to add to a balance or to take from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Whether it is taken.
    pub negative: bool,
    /// How much.
    pub amount: U256,
}

impl Delta {
    /// What leads from one balance to another.
    #[inline]
    pub fn between(before: U256, after: U256) -> Self {
        match after.checked_sub(before) {
            Some(amount) => Self { negative: false, amount },
            None => Self { negative: true, amount: before.wrapping_sub(after) },
        }
    }

    /// The balance afterwards. Wraps only where the bounds that the writer observed do not hold; then the writer runs
    /// again before anything is committed.
    #[inline]
    pub fn apply(self, balance: U256) -> U256 {
        if self.negative { balance.wrapping_sub(self.amount) } else { balance.wrapping_add(self.amount) }
    }
}

/// What a transaction did to an account as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// Touched it.
    #[default]
    Touched,
    /// Created a contract there: its slots begin at zero.
    Created,
    /// Destroyed it: nothing of it is left.
    Destroyed,
}

/// A transaction's write to an account. A touch is a write without content.
#[derive(Clone, Debug, Default)]
pub struct AccountWrite {
    /// Touched, created or destroyed.
    pub life: Life,
    /// Change of the balance.
    pub delta: Delta,
    /// New nonce.
    pub nonce: Option<u64>,
    /// New code with its hash.
    pub code: Option<Box<(B256, Bytecode)>>,
}

impl AccountWrite {
    /// Whether an amount moves and a nonce is used, and that is all.
    #[inline]
    pub fn is_move(&self) -> bool {
        self.life == Life::Touched && self.code.is_none()
    }
}

/// The fields of an account at some position.
#[derive(Clone, Debug)]
pub struct Fields {
    /// Wei.
    pub balance: U256,
    /// Nonce.
    pub nonce: u64,
    /// keccak256 of the code.
    pub code_hash: B256,
    /// Whether there is an account at all.
    pub exists: bool,
    /// Position of the last creation or destruction; 0 for none in this block.
    pub reset: u32,
}

impl Default for Fields {
    fn default() -> Self {
        Self { balance: U256::ZERO, nonce: 0, code_hash: KECCAK_EMPTY, exists: false, reset: 0 }
    }
}

impl Fields {
    /// Whether nonce or code make it non-empty, whatever its balance.
    #[inline]
    pub fn is_alive(&self) -> bool {
        self.nonce != 0 || self.code_hash != KECCAK_EMPTY
    }

    /// Makes a write. `state_clear`: touched empty accounts are deleted (EIP-161).
    #[inline]
    pub(super) fn fold(&mut self, write: &AccountWrite, position: u32, state_clear: bool) {
        if write.life == Life::Destroyed {
            *self = Self { reset: position, ..Self::default() };
            return;
        }
        if write.life == Life::Created {
            self.reset = position;
        }
        let balance = write.delta.apply(self.balance);
        self.balance = balance;
        if let Some(nonce) = write.nonce {
            self.nonce = nonce;
        }
        if let Some((hash, _)) = write.code.as_deref() {
            self.code_hash = *hash;
        }
        self.exists = !(state_clear && balance.is_zero() && !self.is_alive());
    }
}
