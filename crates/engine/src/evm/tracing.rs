//! One transaction under a tracer: with its calls and what it looked at, or with its steps.

use revm::context::ContextSetters;
use revm::context::result::{ExecutionResult, HaltReason, ResultGas};
use revm::handler::{FrameResult, Handler};
use revm::inspector::InspectorHandler;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{GasTracker, InitialAndFloorGas};

use super::settle::Settling;
use super::{EngineEvm, Machine, Setup, Transact, TransactError, rejection};
use crate::chain::Transaction;
use crate::error::{EngineError, Fault};
use crate::trace::calls::{CallTrace, CallTracer, MAX_BYTES, MAX_FRAMES};
use crate::trace::{StepTracer, TraceSink};

impl<'a> Machine<'a, CallTracer> {
    /// A machine that traces. `idle` stands in until the first transaction is set.
    pub fn tracing(setup: Setup<'a>, idle: &'a Transaction) -> Self {
        let mut machine = Machine::new(setup, idle, CallTracer::default());
        let precompiles = machine.evm.precompiles.precompiles.addresses_set().clone();
        machine.evm.inspector = CallTracer::new(precompiles);
        machine
    }

    /// Runs a transaction and settles it into the block; what it did and looked at. A fault where that is more than is kept.
    pub fn trace(
        &mut self,
        tx: &'a Transaction,
    ) -> Result<(ExecutionResult<HaltReason>, CallTrace), EngineError> {
        self.evm.ctx.set_tx(tx);
        let result = Settling::default().inspect_run(&mut self.evm).map_err(rejection::from_revm);
        let (trace, overflowed) = self.evm.inspector.take();
        let result = result?;
        if overflowed {
            let detail = format!("more than {MAX_FRAMES} calls or {MAX_BYTES} bytes in one transaction");
            return Err(Fault::TraceWrite(detail).into());
        }
        Ok((result, trace))
    }
}

/// The handler of `settle`, which tells the tracer what was refunded before the first step.
#[derive(Default)]
struct Stepping<'a> {
    settling: Settling<'a, StepTracer>,
}

impl<'a> Handler for Stepping<'a> {
    type Evm = EngineEvm<'a, StepTracer>;
    type Error = TransactError;
    type HaltReason = HaltReason;

    fn validate_initial_tx_gas(&self, evm: &mut Self::Evm) -> Result<InitialAndFloorGas, TransactError> {
        self.settling.validate_initial_tx_gas(evm)
    }

    fn apply_eip7702_auth_list(
        &self,
        evm: &mut Self::Evm,
        gas: &mut GasTracker,
    ) -> Result<Option<u64>, TransactError> {
        let refund = self.settling.apply_eip7702_auth_list(evm, gas)?;
        evm.inspector.refunded_early(refund.unwrap_or_default());
        Ok(refund)
    }

    fn execution_result(
        &mut self,
        evm: &mut Self::Evm,
        result: FrameResult,
        gas: ResultGas,
    ) -> Result<ExecutionResult<HaltReason>, TransactError> {
        self.settling.execution_result(evm, result, gas)
    }
}

impl InspectorHandler for Stepping<'_> {
    type IT = EthInterpreter;
}

impl<'a> Transact<'a> for Machine<'a, StepTracer> {
    fn transact(
        &mut self,
        index: usize,
        tx: &'a Transaction,
        trace: Option<&dyn TraceSink>,
    ) -> Result<ExecutionResult<HaltReason>, EngineError> {
        let write_failed = |error: std::io::Error| Fault::TraceWrite(error.to_string());
        if let Some(sink) = trace {
            self.evm.inspector.start(sink.open(index).map_err(write_failed)?);
        }
        self.evm.ctx.set_tx(tx);
        let result = Stepping::default().inspect_run(&mut self.evm).map_err(rejection::from_revm);
        self.evm.inspector.finish().map_err(write_failed)?;
        result
    }
}
