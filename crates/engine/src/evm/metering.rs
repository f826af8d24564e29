//! A transaction under the meter: the handler of `settle`, with an execution loop that tells the meter where frames
//! begin and end. Without a meter nothing of this is on the way.

use alloy_primitives::Address;
use revm::context::ContextSetters;
use revm::context::result::{ExecutionResult, HaltReason, ResultGas};
use revm::context_interface::cfg::gas_params::GasParams;
use revm::handler::{EvmTr, FrameResult, Handler, ItemOrResult};
use revm::interpreter::interpreter_action::FrameInit;
use revm::interpreter::{
    CallScheme, FrameInput, GasTracker, InitialAndFloorGas, InterpreterAction, InterpreterResult,
};
use revm::primitives::hardfork::SpecId;

use super::settle::Settling;
use super::{EngineContext, EngineEvm, Machine, Transact, TransactError, intrinsic, rejection, stack_runs};
use crate::chain::Transaction;
use crate::error::{EngineError, Fault};
use crate::trace::TraceSink;
use crate::trace::meter::{
    CallPrices, Callee, Ended, Meter, MeterSink, NodeKind, OpcodeTimes, Part, Runs, TransactionBill, left,
};

/// The signature's share of a transaction's base.
const SIGNATURE_GAS: u64 = 3_000;
/// A call that reaches nothing new, until Berlin and since.
const FRONTIER_CALL_GAS: u64 = 40;
const WARM_CALL_GAS: u64 = 100;
/// Bytes of the input that choose a function.
const SELECTOR_BYTES: usize = 4;

/// A meter and where its bills go: the inspector of a metered machine.
pub struct Metered<'a> {
    meter: Meter<'a>,
    sink: &'a dyn MeterSink,
}

impl<'a> Metered<'a> {
    /// For one block.
    pub fn new(sink: &'a dyn MeterSink) -> Self {
        Self { meter: Meter::new(sink.costs(), sink.clocks_each()), sink }
    }
}

impl<'a> Transact<'a> for Machine<'a, Metered<'a>> {
    fn transact(
        &mut self,
        index: usize,
        tx: &'a Transaction,
        _trace: Option<&dyn TraceSink>,
    ) -> Result<ExecutionResult<HaltReason>, EngineError> {
        let evm = &mut self.evm;
        let prices = &evm.ctx.cfg.gas_params;
        let meter = &mut evm.inspector.meter;
        if index == 0 || !meter.has_prices() {
            meter.set_prices(call_prices(evm.ctx.cfg.spec, prices), evm.instruction.gas_table());
        }
        meter.begin(tx.sender);
        evm.ctx.set_tx(tx);
        let result = Metering::default().run(evm).map_err(rejection::from_revm)?;
        let Metered { meter, sink } = &mut evm.inspector;
        let mut bill = meter.end(index, result.gas());
        if let Some((lost, counted)) = meter.mismatch() {
            let text = format!("transaction {index}: a frame lost {lost} gas, {counted} was counted");
            return Err(unbalanced(text, evm.ctx.cfg.spec));
        }
        charge_intrinsic(&mut bill, &evm.ctx.cfg.gas_params, tx);
        let (parts, spent) = (bill.gas_of_parts(), result.gas().total_gas_spent());
        if parts != spent {
            let text = format!("transaction {index}: its parts are {parts} gas, it spent {spent}");
            return Err(unbalanced(text, evm.ctx.cfg.spec));
        }
        sink.bill(bill);
        if let Some(times) = &mut meter.each {
            sink.opcode_times(times);
            **times = OpcodeTimes::default();
        }
        Ok(result)
    }
}

/// A bill that does not add up: a bug, but for a known gap.
fn unbalanced(text: String, spec: SpecId) -> EngineError {
    let gap = "; state gas that came back within the transaction (EIP-8037) has no part yet";
    let gap = if spec.is_enabled_in(SpecId::AMSTERDAM) { gap } else { "" };
    Fault::Interpreter(format!("the bill does not add up: {text}{gap}")).into()
}

/// A call that reaches nothing new costs 40 until Berlin (what Tangerine Whistle added is for the access), then 100.
fn call_prices(spec: SpecId, prices: &GasParams) -> CallPrices {
    let call = if spec.is_enabled_in(SpecId::BERLIN) { WARM_CALL_GAS } else { FRONTIER_CALL_GAS };
    let value = prices.transfer_value_cost().saturating_sub(prices.call_stipend());
    CallPrices { call, value }
}

/// What a transaction costs before its first instruction, by what it is for: the formula is evaluated with and
/// without each.
fn charge_intrinsic(bill: &mut TransactionBill, prices: &GasParams, tx: &Transaction) {
    let (accounts, authorizations) = (tx.access_list.len() as u64, tx.authorization_list.len() as u64);
    let slots: u64 = tx.access_list.iter().map(|item| item.storage_keys.len() as u64).sum();
    let gas = |create, accounts, slots, authorizations| {
        prices.initial_tx_gas(&[], create, accounts, slots, authorizations, None).initial_regular_gas
    };
    let base = gas(false, 0, 0, 0);
    let signature = base.min(SIGNATURE_GAS);
    let create = gas(tx.to.is_create(), 0, 0, 0) - base;
    let initcode = if tx.to.is_create() { prices.tx_initcode_cost(tx.input.len()) } else { 0 };
    let list = gas(false, accounts, slots, 0) - base;
    let set_code = gas(false, 0, 0, authorizations) - base;
    let total = intrinsic::initial_gas(prices, tx).initial_regular_gas;
    let calldata = total - base - create - initcode - list - set_code;
    bill.charge(Part::Signature, signature, 1);
    bill.charge(Part::Base, base - signature, 1);
    bill.charge(Part::Calldata, calldata, tx.input.len() as u64);
    bill.charge(Part::Create, create + initcode, u64::from(tx.to.is_create()));
    bill.charge(Part::AccessList, list, accounts + slots);
    bill.charge(Part::Authorization, set_code, authorizations);
}

/// The handler of `settle`, with the loop below.
#[derive(Default)]
struct Metering<'a> {
    settling: Settling<'a, Metered<'a>>,
}

impl<'a> Handler for Metering<'a> {
    type Evm = EngineEvm<'a, Metered<'a>>;
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
        self.settling.apply_eip7702_auth_list(evm, gas)
    }

    fn execution_result(
        &mut self,
        evm: &mut Self::Evm,
        result: FrameResult,
        result_gas: ResultGas,
    ) -> Result<ExecutionResult<HaltReason>, TransactError> {
        self.settling.execution_result(evm, result, result_gas)
    }

    fn run_exec_loop(&mut self, evm: &mut Self::Evm, first: FrameInit) -> Result<FrameResult, TransactError> {
        evm.inspector.meter.spend(Part::Base);
        let mut init = first;
        loop {
            let callee = Callee::new(&init.frame_input, &evm.ctx);
            let mut ended = match evm.frame_init(init)? {
                ItemOrResult::Item(_) => {
                    evm.inspector.meter.enter(callee);
                    None
                }
                ItemOrResult::Result(result) => {
                    let precompile = matches!(&result, FrameResult::Call(call) if call.was_precompile_called);
                    evm.inspector.meter.at_once(callee, precompile, returned(result.interpreter_result()));
                    Some(result)
                }
            };
            init = loop {
                if let Some(result) = ended {
                    if evm.frame_stack.index().is_none() {
                        return Ok(result);
                    }
                    if let Some(last) = evm.frame_return_result(result)? {
                        return Ok(last);
                    }
                    evm.inspector.meter.spend(Part::Call);
                }
                match run_frame(evm)? {
                    ItemOrResult::Item(init) => break init,
                    ItemOrResult::Result(result) => ended = Some(result),
                }
            };
        }
    }
}

/// The gas that goes back to the caller.
fn returned(result: &InterpreterResult) -> u64 {
    if result.result.is_ok_or_revert() { left(&result.gas) } else { result.gas.reservoir() }
}

/// Runs the innermost frame until it ends or calls.
fn run_frame<'a>(
    evm: &mut EngineEvm<'a, Metered<'a>>,
) -> Result<ItemOrResult<FrameInit, FrameResult>, TransactError> {
    let frame = evm.frame_stack.get();
    let meter = &mut evm.inspector.meter;
    let (instructions, gas_table) = (evm.instruction.instruction_table(), evm.instruction.gas_table());
    let flags = [evm.ctx.chain.cancel, evm.ctx.chain.abandon];
    let run = |interpreter: &mut _, counts: &mut _| stack_runs::run_counted(interpreter, flags, counts);
    let runs = Runs { begins: &stack_runs::BEGINS, run };
    let action = meter.run(&mut frame.interpreter, instructions, gas_table, &mut evm.ctx, &runs);
    let after_code = match &action {
        InterpreterAction::Return(result) => left(&result.gas),
        InterpreterAction::NewFrame(_) => 0,
    };
    let next = frame.process_next_action::<_, TransactError>(&mut evm.ctx, action)?;
    let ItemOrResult::Result(result) = &next else { return Ok(next) };
    frame.set_finished(true);
    let outcome = result.interpreter_result();
    let halted = !outcome.result.is_ok_or_revert();
    let memory = outcome.gas.memory().expansion_cost;
    let stored = matches!(result, FrameResult::Create(_)) && outcome.result.is_ok();
    meter.spend(if stored { Part::CodeDeposit } else { Part::Call });
    meter.leave(Ended { after_code, returned: returned(outcome), memory, halted });
    Ok(next)
}

impl Callee {
    /// Who is called, before it happens.
    fn new(input: &FrameInput, ctx: &EngineContext<'_>) -> Self {
        match input {
            FrameInput::Call(call) => {
                let kind = match call.scheme {
                    CallScheme::Call => NodeKind::Call,
                    CallScheme::CallCode => NodeKind::CallCode,
                    CallScheme::DelegateCall => NodeKind::DelegateCall,
                    CallScheme::StaticCall => NodeKind::StaticCall,
                };
                let bytes = call.input.as_bytes(ctx);
                let selector = bytes.first_chunk::<SELECTOR_BYTES>().copied();
                Self { kind, code: call.bytecode_address, selector, gas: call.gas_limit + call.reservoir }
            }
            FrameInput::Create(create) => Self {
                kind: NodeKind::Create,
                code: create.caller(),
                selector: None,
                gas: create.gas_limit() + create.reservoir(),
            },
            FrameInput::Empty => Self { kind: NodeKind::Call, code: Address::ZERO, selector: None, gas: 0 },
        }
    }
}
