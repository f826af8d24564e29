//! Plain revm as its users run it: a `CacheDB` that holds the whole state, one `transact_commit` per transaction,
//! system calls, rewards and withdrawals likewise. It makes receipts and a new state, and no ChangeSet.

use alloy_eips::eip4788;
use alloy_primitives::map::{HashMap, U256Map};
use alloy_primitives::{B256, U256};
use revm::context::result::{EVMError, ExecutionResult};
use revm::context::{BlockEnv, CfgEnv, Context, Journal, TxEnv};
use revm::context_interface::either::Either;
use revm::context_interface::transaction::AccessList;
use revm::database::in_memory_db::AccountState;
use revm::database::{CacheDB, EmptyDB};
use revm::database_interface::DatabaseCommitExt;
use revm::handler::MainnetEvm;
use revm::primitives::hardfork::SpecId;
use revm::{ExecuteCommitEvm, MainBuilder, MainContext, SystemCallCommitEvm};
use solder_engine::block::post_execution::block_reward;
use solder_engine::chain::Transaction;
use solder_engine::evm::environment;
use solder_engine::state::{AccountChange, AccountFields, ChangeSet, MemoryState, SlotChange};

use crate::Workload;

/// The database that plain revm runs on.
pub type BaselineDb = CacheDB<EmptyDB>;
type BaselineContext = Context<BlockEnv, TxEnv, CfgEnv, BaselineDb, Journal<BaselineDb>, ()>;
/// Why plain revm stopped.
pub type BaselineError = EVMError<std::convert::Infallible>;

/// The outcome of one transaction, in what both engines can be compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaselineReceipt {
    /// Whether it succeeded.
    pub success: bool,
    /// Gas paid for.
    pub gas_used: u64,
    /// Logs in order.
    pub logs: Vec<alloy_primitives::Log>,
}

/// A block, translated for revm outside of any clock.
pub struct Baseline<'a> {
    workload: &'a Workload,
    cfg: CfgEnv,
    env: BlockEnv,
    transactions: Vec<TxEnv>,
    db: BaselineDb,
}

/// Everything that one run consumes, made before the clock starts.
pub struct Prepared {
    evm: MainnetEvm<BaselineContext>,
    transactions: Vec<TxEnv>,
}

/// What a run leaves: receipts, and the machine with the state after the block.
pub struct Finished {
    evm: MainnetEvm<BaselineContext>,
    /// One for each transaction.
    pub receipts: Vec<BaselineReceipt>,
}

impl<'a> Baseline<'a> {
    /// Translates a block and its state.
    pub fn new(workload: &'a Workload) -> Self {
        let Workload { chain, fork, block, state, .. } = workload;
        Self {
            workload,
            cfg: environment::config(chain, *fork, &block.header),
            env: environment::block_env(chain, *fork, &block.header),
            transactions: block.transactions.iter().map(to_tx_env).collect(),
            db: to_cache_db(state, block.header.number),
        }
    }

    /// What plain revm is made of: rules, block, transactions, state.
    pub fn into_parts(self) -> (CfgEnv, BlockEnv, Vec<TxEnv>, BaselineDb) {
        (self.cfg, self.env, self.transactions, self.db)
    }

    /// A fresh machine on a fresh state.
    pub fn prepare(&self) -> Prepared {
        let context = Context::mainnet()
            .with_db(self.db.clone())
            .with_cfg(self.cfg.clone())
            .with_block(self.env.clone());
        Prepared { evm: context.build_mainnet(), transactions: self.transactions.clone() }
    }

    /// The timed part.
    pub fn run(&self, prepared: Prepared) -> Result<Finished, BaselineError> {
        let Prepared { mut evm, transactions } = prepared;
        let header = &self.workload.block.header;
        let spec = self.cfg.spec;
        if spec.is_enabled_in(SpecId::CANCUN)
            && let Some(root) = header.parent_beacon_block_root
        {
            evm.system_call_commit(eip4788::BEACON_ROOTS_ADDRESS, root.into())?;
        }
        let mut receipts = Vec::with_capacity(transactions.len());
        for tx in transactions {
            receipts.push(to_receipt(evm.transact_commit(tx)?));
        }
        let reward = block_reward(spec);
        let mut credits = Vec::new();
        if reward != 0 {
            credits.push((header.beneficiary, reward));
        }
        for withdrawal in self.workload.block.withdrawals.iter().flatten() {
            credits.push((withdrawal.address, u128::from(withdrawal.amount) * 1_000_000_000));
        }
        for credit in credits {
            evm.ctx.journaled_state.database.increment_balances([credit])?;
        }
        Ok(Finished { evm, receipts })
    }

    /// The digest of what a run changed, to compare engines with.
    pub fn digest(&self, finished: &Finished) -> B256 {
        let state_clear = self.cfg.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON);
        let before = &self.workload.state;
        let mut changes = ChangeSet::default();
        for (address, account) in &finished.evm.ctx.journaled_state.database.cache.accounts {
            if matches!(account.account_state, AccountState::None) {
                continue;
            }
            let emptied = state_clear && account.info.is_empty();
            let exists = !emptied && !matches!(account.account_state, AccountState::NotExisting);
            let old = before.get(address);
            let fields = |info: &revm::state::AccountInfo| AccountFields {
                nonce: info.nonce,
                balance: info.balance,
                code_hash: info.code_hash,
            };
            let mut slots: U256Map<(U256, U256)> = HashMap::default();
            for (slot, value) in old.iter().flat_map(|account| &account.storage) {
                slots.insert(*slot, (*value, U256::ZERO));
            }
            for (slot, value) in account.storage.iter().filter(|_| exists) {
                slots.entry(*slot).or_default().1 = *value;
            }
            let changed = slots.into_iter().filter(|(_, (before, after))| before != after);
            changes.accounts.push(AccountChange {
                address: *address,
                before: old.map(|account| fields(&account.info)),
                after: exists.then(|| fields(&account.info)),
                reset: false,
                code: None,
                storage: changed.map(|(slot, (before, after))| SlotChange { slot, before, after }).collect(),
            });
        }
        changes.digest()
    }
}

fn to_receipt(result: ExecutionResult) -> BaselineReceipt {
    let (success, gas_used) = (result.is_success(), result.tx_gas_used());
    BaselineReceipt { success, gas_used, logs: result.into_logs() }
}

fn to_tx_env(tx: &Transaction) -> TxEnv {
    TxEnv {
        tx_type: tx.tx_type,
        caller: tx.sender,
        gas_limit: tx.gas_limit,
        gas_price: tx.gas_price,
        kind: tx.to,
        value: tx.value,
        data: tx.input.clone(),
        nonce: tx.nonce,
        chain_id: tx.chain_id,
        access_list: AccessList(tx.access_list.clone()),
        gas_priority_fee: tx.max_priority_fee_per_gas,
        blob_hashes: tx.blob_versioned_hashes.clone(),
        max_fee_per_blob_gas: tx.max_fee_per_blob_gas,
        authorization_list: tx.authorities.iter().cloned().map(Either::Right).collect(),
    }
}

fn to_cache_db(state: &MemoryState, number: u64) -> BaselineDb {
    use solder_engine::state::{Read, StateReader};
    let mut db = CacheDB::new(EmptyDB::default());
    for (address, account) in state.iter() {
        db.insert_account_info(*address, account.info.clone());
        if let Some(entry) = db.cache.accounts.get_mut(address) {
            entry.storage.extend(account.storage.iter().map(|(slot, value)| (*slot, *value)));
        }
    }
    for ancestor in number.saturating_sub(256)..number {
        if let Ok(Read::Ready(hash)) = state.block_hash(ancestor) {
            db.cache.block_hashes.insert(U256::from(ancestor), hash);
        }
    }
    db
}
