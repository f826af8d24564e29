//! What is recorded of an observation.

use alloy_primitives::U256;

use super::{FieldJournal, Mode};
use crate::error::Fault;
use crate::parallel::observed;
use crate::parallel::recorder::{self, Recorder};

impl FieldJournal<'_> {
    /// Records that something of an account was observed.
    #[inline]
    pub(in crate::parallel) fn observe(&self, entry: u32, what: u8) {
        let known = &self.entries[entry as usize];
        known.observed.set(known.observed.get() | what);
        if let Some((by, fields)) = known.estimate
            && fields & what != 0
            && known.observed.get() & observed::ASSUMED == 0
            && self.mode == Mode::Speculative
        {
            self.blocked.set(by);
        }
    }

    /// Ends an incarnation that has seen what will probably be written again.
    #[inline]
    pub(super) fn stop_if_blocked(&self) -> Result<(), Fault> {
        match self.blocked.get() {
            0 => Ok(()),
            _ => Err(Fault::StateRead("a lower transaction is to run again".into())),
        }
    }

    /// Records that the exact balance was observed.
    #[inline]
    pub(in crate::parallel) fn observe_balance(&self, entry: u32) {
        if recorder::is_on(Recorder::Balance) {
            self.observe(entry, observed::EXACT_BALANCE);
        }
    }

    /// Records that the code was observed.
    #[inline]
    pub(in crate::parallel) fn observe_code(&self, entry: u32) {
        if recorder::is_on(Recorder::Code) {
            self.observe(entry, observed::CODE);
        }
    }

    /// Records that the nonce was observed.
    #[inline]
    pub(in crate::parallel) fn observe_nonce(&self, entry: u32) {
        if recorder::is_on(Recorder::Nonce) {
            self.observe(entry, observed::NONCE);
        }
    }

    /// Records that the existence of an account was observed, unless this transaction itself settled it by a touch.
    #[inline]
    pub(in crate::parallel) fn observe_existence(&self, entry: u32) {
        if recorder::is_on(Recorder::Existence) && !self.entries[entry as usize].account.is_touched() {
            self.observe(entry, observed::EXISTENCE);
        }
    }

    /// Whether the balance covers `amount`, recorded as a bound of what the balance was before this transaction.
    pub(in crate::parallel) fn covers(&mut self, entry: u32, amount: U256) -> bool {
        let known = &mut self.entries[entry as usize];
        let (before, now) = (known.seen.balance, known.account.info.balance);
        let holds = now >= amount;
        if !recorder::is_on(Recorder::BalanceBound) {
            return holds;
        }
        // What the balance before must be at least for the answer to be yes: amount - (now - before).
        let bound = if before >= now {
            amount.saturating_add(before - now)
        } else {
            amount.saturating_sub(now - before)
        };
        if holds {
            known.lowest = known.lowest.max(bound);
        } else {
            known.highest = known.highest.min(bound.saturating_sub(U256::ONE));
        }
        self.observe(entry, observed::BALANCE_BOUND);
        holds
    }

    /// Whether the account is empty now (EIP-161), recorded as what decided it.
    pub(in crate::parallel) fn observe_emptiness(&mut self, entry: u32) {
        if !recorder::is_on(Recorder::Emptiness) {
            return;
        }
        let known = &self.entries[entry as usize];
        let (info, seen) = (&known.account.info, &known.seen);
        if info.nonce != seen.nonce || info.code_hash != seen.code_hash {
            // Decided by what this transaction wrote; what it wrote depends on what it observed.
            return;
        }
        self.observe(entry, observed::ALIVE);
        if seen.is_alive() {
            return;
        }
        if info.balance.is_zero() {
            self.observe(entry, observed::EXACT_BALANCE);
        } else {
            self.covers(entry, U256::ONE);
        }
    }
}
