//! What is traced: one transaction on a snapshot. It runs once, at once; nothing that it does stays in the snapshot.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use solder_engine::evm::attempt::Relaxed;
use solder_engine::evm::{Machine, Setup, environment};
use solder_engine::trace::CallTrace;
use solder_engine::{ChangeSet, EngineError, Fork, Transaction};
use solder_simulate::Snapshot;
use solder_simulate::call::Outcome;
use solder_simulate::prefetch::prefetched;

/// A transaction and what it runs on.
#[derive(Clone)]
pub struct Subject {
    /// The state before it, in its block.
    pub snapshot: Snapshot,
    /// The transaction.
    pub tx: Transaction,
    /// The rules that it may break.
    pub relaxed: Relaxed,
    /// How many logs its block had before.
    pub first_log: u64,
}

/// A transaction that ran, traced.
pub struct Traced {
    /// What ran.
    pub subject: Arc<Subject>,
    /// How it ended.
    pub outcome: Outcome,
    /// What it changed.
    pub changes: ChangeSet,
    /// What it did and looked at.
    pub trace: CallTrace,
}

impl Subject {
    /// What a machine for it is made of; `reader` is the snapshot, or one that asks for what it reads ahead of it.
    pub(crate) fn setup<'a>(&self, reader: &'a Snapshot, cancel: &'a AtomicBool) -> Setup<'a> {
        let seen = self.snapshot.environment();
        let mut cfg = environment::config(&seen.chain, seen.fork, &seen.header);
        self.relaxed.set(&mut cfg);
        Setup {
            cfg,
            env: environment::block_env(&seen.chain, seen.fork, &seen.header),
            reader,
            record_accesses: false,
            net_gas_metering: seen.fork == Fork::Constantinople,
            cancel: Some(cancel),
        }
    }

    /// Runs it with the call tracer.
    pub fn trace(self, cancel: &AtomicBool) -> Result<Traced, EngineError> {
        let (result, trace, changes) = prefetched(&self.snapshot, |seen| {
            let idle = Transaction::default();
            let mut machine = Machine::tracing(self.setup(seen, cancel), &idle);
            let (result, trace) = machine.trace(&self.tx)?;
            Ok::<_, EngineError>((result, trace, machine.finish()?.0))
        })?;
        Ok(Traced { outcome: Outcome::new(result), changes, trace, subject: Arc::new(self) })
    }
}
