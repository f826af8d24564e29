//! Plain revm as its users run it for independent calls: one machine on a `CacheDB` that holds the whole state, `transact`
//! for each call, its state thrown away.

use revm::context::{BlockEnv, CfgEnv, Context, Journal, TxEnv};
use revm::handler::MainnetEvm;
use revm::{ExecuteEvm, MainBuilder, MainContext};
use solder_bench::Workload;
use solder_bench::baseline::{Baseline, BaselineDb, BaselineError};

type PlainContext = Context<BlockEnv, TxEnv, CfgEnv, BaselineDb, Journal<BaselineDb>, ()>;

/// The machine and the calls.
pub struct Plain {
    evm: MainnetEvm<PlainContext>,
    calls: Vec<TxEnv>,
}

impl Plain {
    pub fn new(workload: &Workload) -> Self {
        let (mut cfg, env, calls, db) = Baseline::new(workload).into_parts();
        cfg.disable_nonce_check = true;
        cfg.disable_eip3607 = true;
        cfg.disable_base_fee = true;
        cfg.disable_block_gas_limit = true;
        let free = |call: TxEnv| TxEnv { tx_type: 0, gas_price: 0, gas_priority_fee: None, ..call };
        let calls = calls.into_iter().map(free).collect();
        let evm = Context::mainnet().with_db(db).with_cfg(cfg).with_block(env).build_mainnet();
        Self { evm, calls }
    }

    /// Runs every call; the gas that each used.
    pub fn run(&mut self) -> Result<Vec<u64>, BaselineError> {
        let mut gas_used = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            gas_used.push(self.evm.transact(call.clone())?.result.tx_gas_used());
        }
        Ok(gas_used)
    }
}
