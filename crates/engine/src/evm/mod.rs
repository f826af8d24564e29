//! One transaction in the interpreter. A [`Machine`] lives for one block: its journal keeps every account and
//! slot that the block has seen, so that a later transaction finds them without asking the state again, and the
//! block's ChangeSet is read from it once, at the end.
//!
//! What revm does lazily when the *next* transaction meets an account (clearing a destroyed one) is done here
//! when a transaction ends (see `settle`), because a destroyed account must also cost what a missing one costs.

pub mod amsterdam;
pub mod attempt;
pub mod collect;
pub mod database;
pub mod environment;
pub mod interrupt;
pub mod intrinsic;
pub mod keccak;
pub mod metering;
pub mod net_gas_metering;
pub mod plain_transfer;
pub mod rejection;
pub mod settle;
pub mod stack_runs;
pub mod tracing;

use std::cell::Cell;
use std::sync::atomic::AtomicBool;

use alloy_eip7928::BlockAccessIndex;
use alloy_primitives::{Address, U256, map::AddressSet};
use revm::context::result::{EVMError, ExecutionResult, HaltReason};
use revm::context::{BlockEnv, CfgEnv, Context, Evm, JournalTr, LocalContext};
use revm::context_interface::ContextTr;
use revm::handler::instructions::EthInstructions;
use revm::handler::{EthFrame, EthPrecompiles, Handler};
use revm::interpreter::interpreter::EthInterpreter;
use revm::primitives::hardfork::SpecId;
use revm::state::{EvmState, bal::Bal};
use revm::{Database, Journal, context::ContextSetters};

use crate::chain::Transaction;
use crate::error::{EngineError, Fault};
use crate::state::{ChangeSet, StateReader};
use crate::trace::TraceSink;
use database::{Loaded, StateDb};
use keccak::KeccakMemo;
use settle::Settling;

/// What a block remembers between its transactions, beside the journal.
pub struct BlockScratch<'a> {
    /// Set from another thread to stop.
    pub cancel: &'a AtomicBool,
    /// Set by a parallel run when nobody needs what this worker does any more.
    pub abandon: &'a AtomicBool,
    /// Hashes of 64-byte mapping keys.
    pub keccak: KeccakMemo,
    /// Accounts that were destroyed in this block, at least once.
    pub resets: AddressSet,
    /// The block access list as it grows, where the fork has one.
    pub access_list: Option<AccessRecorder>,
}

/// Records who was accessed and written, by block access index (EIP-7928).
#[derive(Debug, Default)]
pub struct AccessRecorder {
    /// 0 before the first transaction, `n + 1` during transaction `n`, then one more after the last.
    pub index: BlockAccessIndex,
    /// The list.
    pub list: Bal,
}

/// revm's context, with our transaction by reference and our scratch as the chain extension. The journal is revm's
/// own here; a parallel run brings one that records what is observed.
pub type EngineContext<'a, DB = StateDb<'a>, J = Journal<DB>> =
    Context<BlockEnv, &'a Transaction, CfgEnv, DB, J, BlockScratch<'a>, LocalContext>;

/// revm's machine over that context.
pub type EngineEvm<'a, INSP, DB = StateDb<'a>, J = Journal<DB>> = Evm<
    EngineContext<'a, DB, J>,
    INSP,
    EthInstructions<EthInterpreter, EngineContext<'a, DB, J>>,
    EthPrecompiles,
    EthFrame<EthInterpreter>,
>;

/// Why a transaction did not run.
pub type TransactError = EVMError<Fault>;

/// The interpreter, set up for one block.
pub struct Machine<'a, INSP = ()> {
    pub(crate) evm: EngineEvm<'a, INSP>,
}

/// What a machine is made of.
pub struct Setup<'a> {
    /// Rules.
    pub cfg: CfgEnv,
    /// The block.
    pub env: BlockEnv,
    /// The state before it.
    pub reader: &'a dyn StateReader,
    /// Whether to write a block access list.
    pub record_accesses: bool,
    /// Whether SSTORE is Constantinople's.
    pub net_gas_metering: bool,
    /// Set from another thread to stop, in the middle of a transaction too.
    pub cancel: Option<&'a AtomicBool>,
}

/// Running a transaction and settling it into the block, traced or not.
pub trait Transact<'a> {
    /// Runs transaction `index`.
    fn transact(
        &mut self,
        index: usize,
        tx: &'a Transaction,
        trace: Option<&dyn TraceSink>,
    ) -> Result<ExecutionResult<HaltReason>, EngineError>;
}

impl<'a> Transact<'a> for Machine<'a, ()> {
    fn transact(
        &mut self,
        _index: usize,
        tx: &'a Transaction,
        _trace: Option<&dyn TraceSink>,
    ) -> Result<ExecutionResult<HaltReason>, EngineError> {
        self.evm.ctx.set_tx(tx);
        Settling::default().run(&mut self.evm).map_err(rejection::from_revm)
    }
}

impl Machine<'_, ()> {
    /// Takes instructions that need nothing but the stack in runs: nobody looks at each of them.
    pub fn with_stack_runs(mut self) -> Self {
        stack_runs::install::<_, _, true>(&mut self.evm.instruction);
        self
    }
}

impl<'a, INSP> Machine<'a, INSP> {
    /// A machine for one block. `idle` stands in until the first transaction is set.
    pub fn new(setup: Setup<'a>, idle: &'a Transaction, inspector: INSP) -> Self {
        let Setup { cfg, env, reader, record_accesses, net_gas_metering, cancel } = setup;
        let spec = cfg.spec;
        let scratch = BlockScratch {
            cancel: cancel.unwrap_or(&interrupt::NEVER),
            abandon: &interrupt::NEVER,
            keccak: KeccakMemo::take(),
            resets: AddressSet::default(),
            access_list: record_accesses.then(AccessRecorder::default),
        };
        let Room { accounts, loaded } = ROOM.take();
        let mut journaled_state = Journal::new(StateDb { reader, loaded });
        journaled_state.set_spec_id(spec);
        journaled_state.inner.state = accounts;
        let ctx = Context {
            block: env,
            tx: idle,
            cfg,
            journaled_state,
            chain: scratch,
            local: LocalContext::default(),
            error: Ok(()),
        };
        let instructions = instructions(spec, net_gas_metering);
        let precompiles = EthPrecompiles::new(spec);
        Self { evm: Evm::new_with_inspector(ctx, inspector, instructions, precompiles) }
    }

    /// Runs a call of the protocol itself: no sender is charged, no nonce moves.
    pub fn system_call(
        &mut self,
        call: &'a Transaction,
    ) -> Result<ExecutionResult<HaltReason>, TransactError> {
        self.evm.ctx.set_tx(call);
        Settling::default().run_system_call(&mut self.evm)
    }

    /// The code at an address: whether a system contract is there.
    pub fn has_code(&mut self, address: Address) -> Result<bool, Fault> {
        let account = self.evm.ctx.journal_mut().load_account_with_code(address)?;
        Ok(!account.data.info.is_empty_code_hash())
    }

    /// Credits an account outside of any transaction (rewards, withdrawals), which touches it.
    pub fn credit(&mut self, address: Address, amount: U256) -> Result<(), Fault> {
        self.evm.ctx.journal_mut().balance_incr(address, amount)
    }

    /// Takes the whole balance of an account.
    pub fn drain(&mut self, address: Address) -> Result<U256, Fault> {
        let mut account = self.evm.ctx.journal_mut().load_account_mut(address)?.data;
        let balance =
            *revm::context_interface::journaled_state::account::JournaledAccountTr::balance(&account);
        revm::context_interface::journaled_state::account::JournaledAccountTr::set_balance(
            &mut account,
            U256::ZERO,
        );
        Ok(balance)
    }

    /// Ends a phase outside of transactions, as a transaction ends.
    pub fn settle(&mut self) {
        settle::settle(&mut self.evm.ctx);
        self.evm.ctx.journal_mut().commit_tx();
    }

    /// 64-byte hashes answered from memory, and computed.
    pub fn keccak_memo(&self) -> (u64, u64) {
        (self.evm.ctx.chain.keccak.hits, self.evm.ctx.chain.keccak.misses)
    }

    /// Moves on to the next block access index.
    pub fn next_access_index(&mut self) {
        if let Some(recorder) = &mut self.evm.ctx.chain.access_list {
            recorder.index.increment();
        }
    }

    /// The changes so far, against the state before the block.
    pub fn changes(&mut self) -> Result<ChangeSet, Fault> {
        collect::collect(&self.evm.ctx)
    }

    /// The changes, and the block access list where one was recorded.
    pub fn finish(mut self) -> Result<(ChangeSet, Option<Bal>), Fault> {
        let changes = collect::collect(&self.evm.ctx)?;
        let journal = &mut self.evm.ctx.journaled_state;
        let accounts = std::mem::take(&mut journal.inner.state);
        Room::keep(accounts, std::mem::take(&mut journal.database.loaded));
        let list = self.evm.ctx.chain.access_list.take().map(|recorder| recorder.list);
        Ok((changes, list))
    }
}

/// The instruction table of a fork, with ours in place of revm's where we have one.
pub fn instructions<'a, DB: Database<Error = Fault>, J: JournalTr<Database = DB>>(
    spec: SpecId,
    net_gas_metering: bool,
) -> EthInstructions<EthInterpreter, EngineContext<'a, DB, J>> {
    let mut instructions = EthInstructions::new_mainnet_with_spec(spec);
    keccak::install(&mut instructions);
    interrupt::install(&mut instructions);
    if spec == SpecId::AMSTERDAM {
        amsterdam::set_instruction_prices(&mut instructions);
    }
    if net_gas_metering {
        net_gas_metering::install(&mut instructions);
    }
    instructions
}

/// What a thread keeps between blocks: empty, with the room that an earlier block needed. Growing it anew would move
/// every account.
#[derive(Default)]
struct Room {
    accounts: EvmState,
    loaded: Loaded,
}

/// The most accounts for which room is kept.
const MAX_KEPT_ACCOUNTS: usize = 131_072;
/// Room is kept only where the block used at least this part of it: a small block is slow in a large table.
const MIN_KEPT_USE: usize = 16;

thread_local! {
    static ROOM: Cell<Room> = Cell::new(Room::default());
}

impl Room {
    /// Empties what a block used and keeps it for the next.
    fn keep(mut accounts: EvmState, mut loaded: Loaded) {
        let fits = accounts.capacity() <= MAX_KEPT_ACCOUNTS;
        if fits && accounts.len().max(MIN_KEPT_USE) * MIN_KEPT_USE >= accounts.capacity() {
            accounts.clear();
            loaded.clear();
            ROOM.set(Self { accounts, loaded });
        }
    }
}
