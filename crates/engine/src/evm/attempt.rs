//! Transactions that leave nothing behind: simulated calls. The journal is undone after each instead of being committed,
//! so that what it loaded (accounts, code, slots) stays for the next one and is cold again; nothing else is left.

use std::marker::PhantomData;

use alloy_primitives::{Address, B256, U256, address};
use revm::bytecode::opcode;
use revm::context::result::{ExecutionResult, HaltReason, ResultGas};
use revm::context::{CfgEnv, ContextSetters, ContextTr, JournalTr, LocalContextTr};
use revm::context_interface::context::take_error;
use revm::context_interface::journaled_state::entry::{JournalEntry, JournalEntryTr};
use revm::handler::{EvmTr, FrameResult, Handler, post_execution};
use revm::interpreter::instructions::control;
use revm::interpreter::{InitialAndFloorGas, Instruction};
use revm::primitives::hardfork::SpecId;

use super::keccak::KeccakMemo;
use super::{EngineEvm, Machine, TransactError, rejection, settle, stack_runs};
use crate::chain::Transaction;
use crate::error::{EngineError, Fault};
use crate::state::ChangeSet;

/// The most accounts, and slots, that stay loaded from one attempt to the next: what many calls share is little, and a small
/// journal stays in the processor's first cache.
const MAX_LOADED_ACCOUNTS: usize = 16;
const MAX_LOADED_SLOTS: usize = 128;
/// The account whose touch survives a revert (EIP-161's exception).
const RIPEMD160: Address = address!("0x0000000000000000000000000000000000000003");

/// Rules of blocks that a simulated call may leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relaxed {
    /// The sender's nonce need not be the transaction's.
    pub nonce: bool,
    /// Who has code may send (EIP-3607), and nobody has to pay the base fee.
    pub sender: bool,
    /// The gas limit may be above the block's, and above the cap on one transaction.
    pub gas_limit: bool,
}

impl Relaxed {
    /// Everything that an `eth_call` leaves out.
    pub const ALL: Self = Self { nonce: true, sender: true, gas_limit: true };

    /// Writes the rules into a configuration.
    pub fn set(self, cfg: &mut CfgEnv) {
        cfg.disable_nonce_check = self.nonce;
        cfg.disable_eip3607 = self.sender;
        cfg.disable_base_fee = self.sender;
        cfg.disable_block_gas_limit = self.gas_limit;
        cfg.tx_gas_limit_cap = self.gas_limit.then_some(u64::MAX);
    }
}

/// What a transaction accessed: each account with its slots, sorted.
pub type Accessed = Vec<(Address, Vec<B256>)>;

/// revm's mainnet handler without the commit.
struct Attempting<'a>(PhantomData<&'a ()>);

impl<'a> Handler for Attempting<'a> {
    type Evm = EngineEvm<'a, ()>;
    type Error = TransactError;
    type HaltReason = HaltReason;

    fn validate_initial_tx_gas(&self, evm: &mut Self::Evm) -> Result<InitialAndFloorGas, TransactError> {
        settle::initial_tx_gas(&evm.ctx.cfg, evm.ctx.tx)
    }

    fn reimburse_caller(&self, evm: &mut Self::Evm, result: &mut FrameResult) -> Result<(), TransactError> {
        if evm.ctx.tx.gas_price == 0 {
            return Ok(());
        }
        Ok(post_execution::reimburse_caller(&mut evm.ctx, result.gas(), U256::ZERO)?)
    }

    fn reward_beneficiary(&self, evm: &mut Self::Evm, result: &mut FrameResult) -> Result<(), TransactError> {
        if evm.ctx.tx.gas_price == 0 {
            return Ok(());
        }
        Ok(post_execution::reward_beneficiary(&mut evm.ctx, result.gas())?)
    }

    fn execution_result(
        &mut self,
        evm: &mut Self::Evm,
        result: FrameResult,
        gas: ResultGas,
    ) -> Result<ExecutionResult<HaltReason>, TransactError> {
        take_error::<TransactError, _>(evm.ctx().error())?;
        let outcome = post_execution::output(evm.ctx(), result, gas);
        evm.ctx().local_mut().clear();
        evm.frame_stack().clear();
        Ok(outcome)
    }
}

impl<'a> Machine<'a> {
    /// This machine with a memory of hashes for calls that have little in common, and with runs of stack instructions.
    pub fn for_attempts(mut self) -> Self {
        self.evm.ctx.chain.keccak = KeccakMemo::small();
        stack_runs::install::<_, _, true>(&mut self.evm.instruction);
        self
    }

    /// This machine for transactions so short that nobody stops one in its middle: its jumps do not look at the flag. Calls
    /// still do.
    pub fn unwatched(mut self) -> Self {
        let instructions = &mut self.evm.instruction;
        for (code, stock) in [
            (opcode::JUMP, Instruction::new(control::jump)),
            (opcode::JUMPI, Instruction::new(control::jumpi)),
        ] {
            let gas = instructions.gas_table()[usize::from(code)];
            instructions.insert_instruction(code, stock, gas);
        }
        stack_runs::install::<_, _, false>(instructions);
        self
    }

    /// The rules that hold for the transactions that follow.
    pub fn relax(&mut self, relaxed: Relaxed) {
        relaxed.set(&mut self.evm.ctx.cfg);
    }

    /// Runs a transaction and undoes it.
    pub fn attempt(&mut self, tx: &'a Transaction) -> Result<ExecutionResult<HaltReason>, EngineError> {
        let result = self.run_uncommitted(tx)?;
        self.undo();
        Ok(result)
    }

    /// Runs a transaction, reads what it changed, and forgets everything that was loaded.
    pub fn attempt_with_changes(
        &mut self,
        tx: &'a Transaction,
    ) -> Result<(ExecutionResult<HaltReason>, ChangeSet), EngineError> {
        self.forget();
        let result = self.run_uncommitted(tx)?;
        self.settle();
        let changes = self.changes()?;
        self.forget();
        Ok((result, changes))
    }

    /// Runs a transaction and lists what it accessed, also in frames that were reverted. Who was created is left out.
    pub fn attempt_with_accesses(
        &mut self,
        tx: &'a Transaction,
    ) -> Result<(ExecutionResult<HaltReason>, Accessed), EngineError> {
        self.forget();
        let result = self.run_uncommitted(tx)?;
        let state = &self.evm.ctx.journaled_state.inner.state;
        let mut accessed: Accessed = state
            .iter()
            .filter(|(_, account)| !account.is_created())
            .map(|(address, account)| {
                let mut slots: Vec<_> =
                    account.storage.keys().map(|key| B256::from(key.to_be_bytes::<32>())).collect();
                slots.sort_unstable();
                (*address, slots)
            })
            .collect();
        accessed.sort_unstable();
        self.forget();
        Ok((result, accessed))
    }

    /// An account's balance as the transactions so far left it.
    pub fn balance(&mut self, address: Address) -> Result<U256, Fault> {
        Ok(self.evm.ctx.journal_mut().load_account(address)?.data.info.balance)
    }

    fn run_uncommitted(&mut self, tx: &'a Transaction) -> Result<ExecutionResult<HaltReason>, EngineError> {
        self.evm.ctx.set_tx(tx);
        Attempting(PhantomData).run(&mut self.evm).map_err(rejection::from_revm)
    }

    /// Undoes the transaction that ran. What it loaded stays, up to a bound.
    fn undo(&mut self) {
        let journal = &mut self.evm.ctx.journaled_state.inner;
        let is_spurious_dragon = journal.cfg.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON);
        let mut stale: Vec<Address> = Vec::new();
        let mut entries = std::mem::take(&mut journal.journal);
        for entry in entries.drain(..).rev() {
            match entry {
                // The next transaction has another number, by which whatever this one warmed is cold.
                JournalEntry::AccountWarmed { .. } | JournalEntry::StorageWarmed { .. } => continue,
                // Slots of a created account were taken for zero unread; RIPEMD-160's touch is never undone.
                JournalEntry::AccountCreated { address, .. } => stale.push(address),
                JournalEntry::AccountTouched { address } if address == RIPEMD160 => stale.push(address),
                _ => {}
            }
            entry.revert(&mut journal.state, None, is_spurious_dragon);
        }
        journal.journal = entries;
        journal.commit_tx();
        for address in stale {
            journal.state.remove(&address);
        }
        let loaded = &mut self.evm.ctx.journaled_state.database.loaded;
        if loaded.accounts.len() > MAX_LOADED_ACCOUNTS || loaded.slots.len() > MAX_LOADED_SLOTS {
            loaded.clear();
            self.evm.ctx.journaled_state.inner.state.clear();
        }
    }

    /// Forgets what is loaded and what was done.
    fn forget(&mut self) {
        let context = &mut self.evm.ctx;
        context.chain.resets.clear();
        context.journaled_state.commit_tx();
        context.journaled_state.inner.state.clear();
        context.journaled_state.database.loaded.clear();
    }
}
