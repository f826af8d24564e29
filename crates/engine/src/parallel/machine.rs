//! A worker's interpreter over the shared cells: runs one incarnation of a transaction, or a step of the phases around
//! the transactions.

use std::sync::atomic::AtomicBool;

use alloy_primitives::{Address, U256};
use revm::context::result::ExecutionResult;
use revm::context::{BlockEnv, CfgEnv, Context, ContextSetters, Evm, JournalTr, LocalContext};
use revm::context_interface::journaled_state::account::JournaledAccountTr;
use revm::handler::{EthPrecompiles, Handler};

use super::journal::{Accesses, Ended, Executed, FieldJournal, Mode, SharedView};
use super::speculate::{FieldContext, FieldEvm, Speculating};
use crate::ahead;
use crate::chain::Transaction;
use crate::error::Fault;
use crate::evm::keccak::KeccakMemo;
use crate::evm::{BlockScratch, TransactError, instructions, stack_runs};
use crate::state::Ticket;

/// What all workers' machines of a block have in common.
#[derive(Clone)]
pub struct Rules<'a> {
    /// Rules of the fork.
    pub cfg: CfgEnv,
    /// The block.
    pub env: BlockEnv,
    /// Whether SSTORE is Constantinople's.
    pub net_gas_metering: bool,
    /// Set from another thread to stop.
    pub cancel: &'a AtomicBool,
    /// A transaction that stands in until the first one is set.
    pub idle: &'a Transaction,
}

/// How an attempt ended.
pub enum Attempt {
    /// It ran to its end.
    Ended(Ended),
    /// It met a read that is not answered yet.
    Waits(Ticket),
    /// It met a write of a lower transaction, by position, that is to run again.
    Blocked(u32),
}

/// The machine.
pub struct FieldMachine<'a> {
    evm: FieldEvm<'a>,
    phase_began: bool,
}

impl<'a> FieldMachine<'a> {
    /// A machine for one block.
    pub fn new(rules: &Rules<'a>, view: SharedView<'a>, abandon: &'a AtomicBool) -> Self {
        let spec = rules.cfg.spec;
        let mut journaled_state = FieldJournal::over(view);
        journaled_state.set_spec_id(spec);
        let ctx: FieldContext<'a> = Context {
            block: rules.env.clone(),
            tx: rules.idle,
            cfg: rules.cfg.clone(),
            journaled_state,
            chain: BlockScratch {
                cancel: rules.cancel,
                abandon,
                keccak: KeccakMemo::take(),
                resets: Default::default(),
                access_list: None,
            },
            local: LocalContext::default(),
            error: Ok(()),
        };
        let mut instructions = instructions(spec, rules.net_gas_metering);
        stack_runs::install::<_, _, true>(&mut instructions);
        let evm = Evm::new_with_inspector(ctx, (), instructions, EthPrecompiles::new(spec));
        Self { evm, phase_began: false }
    }

    /// Looks at the senders and recipients of transactions, by position, before any of them runs: the waits for memory,
    /// or for a store behind the state, overlap.
    pub fn foresee<'t>(&mut self, transactions: impl Iterator<Item = (u32, &'t Transaction)>) {
        let journal = &mut self.evm.ctx.journaled_state;
        let SharedView { cells, worker, reader, .. } = *journal.db();
        journal.foreseen.look_for(transactions, cells, worker, &mut journal.recent_accounts, reader);
    }

    /// Asks for the memory that the next transactions need: what `soon` looks for, and `later` itself.
    pub fn look_ahead(&self, soon: Option<&Transaction>, later: Option<&Transaction>) {
        if let Some(transaction) = soon {
            let journal = &self.evm.ctx.journaled_state;
            journal.db().cells.claim_places(&journal.recent_accounts, transaction);
            ahead::fetch_first(&transaction.input);
        }
        if let Some(transaction) = later {
            ahead::fetch(transaction);
        }
    }

    /// Runs a transaction at a position of the block.
    pub fn run(&mut self, tx: &'a Transaction, position: u32, mode: Mode, incarnation: usize) -> Attempt {
        self.evm.ctx.journaled_state.begin(position, mode);
        // An attempt that was stopped may have left its error where the next one looks.
        self.evm.ctx.error = Ok(());
        self.evm.ctx.set_tx(tx);
        let result = Speculating::default().run(&mut self.evm);
        let journal = &mut self.evm.ctx.journaled_state;
        if let Some(ticket) = journal.waiting.take() {
            return Attempt::Waits(ticket);
        }
        if journal.blocked.get() != 0 && mode == Mode::Speculative {
            return Attempt::Blocked(journal.blocked.get());
        }
        Attempt::Ended(Ended { result, mode, incarnation, ticks: 0, span: (0, 0) })
    }

    /// What the last run observed and wrote, to be kept until its turn comes, in an empty [`Executed`].
    pub fn take(&mut self, ended: Ended, executed: &mut Executed) {
        let (writes, incarnation) = (ended.result.is_ok(), ended.incarnation);
        self.evm.ctx.journaled_state.list_accesses(writes, incarnation, &mut executed.accesses);
        executed.ended = ended;
    }

    /// The journal of the last run.
    pub fn journal(&mut self) -> &mut FieldJournal<'a> {
        &mut self.evm.ctx.journaled_state
    }

    /// Runs a call of the protocol itself, at a position that is next in order.
    pub fn system_call(
        &mut self,
        call: &'a Transaction,
        position: u32,
    ) -> (Result<ExecutionResult, TransactError>, Accesses) {
        self.evm.ctx.journaled_state.begin(position, Mode::Final);
        self.evm.ctx.error = Ok(());
        self.evm.ctx.set_tx(call);
        let result = Speculating::default().run_system_call(&mut self.evm);
        let accesses = self.evm.ctx.journaled_state.take_accesses(result.is_ok(), 0);
        (result, accesses)
    }

    /// The code at an address: whether a system contract is there.
    pub fn has_code(&mut self, address: Address, position: u32) -> Result<bool, Fault> {
        let journal = &mut self.evm.ctx.journaled_state;
        journal.begin(position, Mode::Final);
        Ok(!journal.load_account_with_code(address)?.data.info.is_empty_code_hash())
    }

    /// Begins what is done outside of transactions, if it has not begun: it ends with [`Self::settle`].
    fn phase(&mut self, position: u32) -> &mut FieldJournal<'a> {
        let journal = &mut self.evm.ctx.journaled_state;
        if !self.phase_began {
            journal.begin(position, Mode::Final);
            self.phase_began = true;
        }
        journal
    }

    /// Credits an account outside of any transaction, which touches it.
    pub fn credit(&mut self, address: Address, amount: U256, position: u32) -> Result<(), Fault> {
        self.phase(position).balance_incr(address, amount)
    }

    /// Takes the whole balance of an account.
    pub fn drain(&mut self, address: Address, position: u32) -> Result<U256, Fault> {
        let mut account = self.phase(position).load_account_mut(address)?.data;
        let balance = *account.balance();
        account.set_balance(U256::ZERO);
        Ok(balance)
    }

    /// Ends what was done outside of transactions, as a transaction ends.
    pub fn settle(&mut self) -> Option<Accesses> {
        let began = std::mem::take(&mut self.phase_began);
        began.then(|| self.evm.ctx.journaled_state.take_accesses(true, 0))
    }

    /// 64-byte hashes answered from memory, and computed.
    pub fn keccak_memo(&self) -> (u64, u64) {
        (self.evm.ctx.chain.keccak.hits, self.evm.ctx.chain.keccak.misses)
    }

    /// The journal's view, to take turns.
    pub fn yield_turn(&self) {
        self.evm.ctx.journaled_state.db().yield_turn();
    }
}
