//! The call tracer: an inspector that keeps every frame of a transaction with its input, output, gas and logs, and the
//! accounts and slots that the transaction looked at. What it keeps is compact; the formats of other tools are made from it
//! when they are asked for, elsewhere.

use alloy_primitives::map::{AddressSet, HashSet};
use alloy_primitives::{Address, B256, Bytes, Log, U256};
use revm::bytecode::opcode;
use revm::context::{Cfg, ContextTr, JournalTr};
use revm::inspector::{Inspector, JournalExt};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::{InputsTr, LoopControl};
use revm::interpreter::{
    CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome, CreateScheme, FrameInput,
    InstructionResult, Interpreter, InterpreterAction, InterpreterResult,
};
use revm::primitives::hardfork::SpecId;

use super::failure::{DEPOSIT, Failure, NONCE_OVERFLOW};
use super::pricing::{Before, Limits};

/// The most frames of one transaction that are kept.
pub const MAX_FRAMES: usize = 1 << 20;
/// The most bytes of inputs, outputs and logs of one transaction that are kept.
pub const MAX_BYTES: usize = 256 << 20;

/// The price of a byte of code.
const CODE_BYTE_GAS: u64 = 200;

/// A stretch of [`CallTrace::bytes`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    length: u32,
}

/// One frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its caller's place in the list; none for the transaction's own frame.
    pub parent: Option<u32>,
    /// The instruction that made it: CALL, STATICCALL, CREATE2, SELFDESTRUCT...
    pub op: u8,
    /// How many calls it made.
    pub calls: u32,
    /// Who called.
    pub from: Address,
    /// Who was called; for a delegate call whose code ran. None where no contract was made.
    pub to: Option<Address>,
    /// Wei that came with it; none where none can come.
    pub value: Option<U256>,
    /// Gas that it could spend.
    pub gas: u64,
    /// Gas that it spent.
    pub gas_used: u64,
    /// Call data or init code.
    pub input: Span,
    /// What it returned, or reverted with.
    pub output: Span,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Whether a precompiled contract was called.
    pub precompile: bool,
    /// The instruction at which its code ended; none where no code ran.
    pub ended_at: Option<u32>,
    /// The instructions after the last few conditional jumps of a frame that failed, the last first: compilers let
    /// different statements share the code that reverts, so that its own place tells little.
    pub branches: Branches,
}

/// How many conditional jumps of a frame are remembered.
const MAX_BRANCHES: usize = 4;

/// Places of instructions, the last first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Branches {
    places: [u32; MAX_BRANCHES],
    count: u8,
}

impl Branches {
    fn push(&mut self, place: u32) {
        self.places.rotate_right(1);
        self.places[0] = place;
        self.count = (self.count + 1).min(MAX_BRANCHES as u8);
    }

    /// The places, the last first.
    pub fn places(&self) -> &[u32] {
        &self.places[..usize::from(self.count)]
    }
}

impl Frame {
    /// Where the code of a frame that failed came to its end: instructions, those first that tell most about why. Empty
    /// where no code ran, or nothing failed.
    pub fn ends(&self) -> Vec<u32> {
        let (Some(failure), Some(end)) = (self.failure, self.ended_at) else { return Vec::new() };
        let mut places = self.branches.places().to_vec();
        // What halts does so where it stands; what reverts does so in code that others share.
        if failure == Failure::Revert {
            places.push(end)
        } else {
            places.insert(0, end)
        }
        places
    }
}

/// A log, with what tells its place among the calls of its frame.
#[derive(Clone, Debug)]
pub struct TracedLog {
    /// The frame that wrote it.
    pub frame: u32,
    /// How many calls that frame had made before.
    pub position: u32,
    /// Its number among the transaction's logs that were not reverted when it was written.
    pub index: u64,
    /// What was written.
    pub log: Log,
}

/// What a transaction did and looked at.
#[derive(Clone, Debug, Default)]
pub struct CallTrace {
    /// Frames, callers before those they call.
    pub frames: Vec<Frame>,
    /// Logs in order, those too that were reverted.
    pub logs: Vec<TracedLog>,
    /// Accounts that instructions looked at, each once, in the order in which they were met.
    pub accounts: Vec<Address>,
    /// Slots, likewise.
    pub slots: Vec<(Address, U256)>,
    /// Addresses at which an instruction tried to create a contract.
    pub created: AddressSet,
    /// Accounts that a SELFDESTRUCT took away, in frames that were reverted too.
    pub destroyed: AddressSet,
    bytes: Vec<u8>,
}

impl CallTrace {
    /// The bytes of a stretch.
    pub fn bytes(&self, span: Span) -> &[u8] {
        // Spans are made by `keep` alone, of bytes that it appended.
        &self.bytes[span.start as usize..][..span.length as usize]
    }
}

/// What the instruction at hand looks at, if it gets that far.
#[derive(Clone, Copy, Debug, Default)]
enum Look {
    #[default]
    Nothing,
    Slot(Address, U256),
    Account(Address),
    /// Whose, to whom, how much.
    Destruction(Address, Address, U256),
}

/// A frame that has not ended.
#[derive(Debug)]
struct Open {
    place: u32,
    /// Why its last instruction failed.
    failure: Option<Failure>,
    /// What its code returned, where it came to its end.
    returned: Option<Bytes>,
    ended_at: Option<u32>,
    branches: Branches,
    /// Whether its last instruction was a conditional jump.
    branched: bool,
}

/// The inspector.
#[derive(Default)]
pub struct CallTracer {
    trace: CallTrace,
    open: Vec<Open>,
    look: Look,
    before: Before,
    /// The most bytes of code, and what one costs where that is asked first.
    code_limit: (usize, u64),
    /// The input that was kept last: loops give the same again and again.
    last_input: Span,
    precompiles: AddressSet,
    seen_accounts: AddressSet,
    seen_slots: HashSet<(Address, U256)>,
    log_bytes: usize,
    overflowed: bool,
}

impl CallTracer {
    /// A tracer of transactions on a machine with these precompiled contracts.
    pub fn new(precompiles: AddressSet) -> Self {
        Self { precompiles, ..Self::default() }
    }

    /// What the transaction did, and whether something had to be left out. The tracer is as new.
    pub(crate) fn take(&mut self) -> (CallTrace, bool) {
        let precompiles = std::mem::take(&mut self.precompiles);
        let done = std::mem::replace(self, Self::new(precompiles));
        (done.trace, done.overflowed)
    }

    fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.trace.bytes.len();
        if bytes.len() > MAX_BYTES - start {
            self.overflowed = true;
            return Span::default();
        }
        self.trace.bytes.extend_from_slice(bytes);
        // Both are at most MAX_BYTES.
        Span { start: start as u32, length: bytes.len() as u32 }
    }

    fn account(&mut self, address: Address) {
        if self.seen_accounts.insert(address) {
            self.trace.accounts.push(address);
        }
    }

    /// The same for an input.
    fn keep_input(&mut self, input: &[u8]) -> Span {
        if self.trace.bytes(self.last_input) != input {
            self.last_input = self.keep(input);
        }
        self.last_input
    }

    /// Its place in the list; none where there is no room.
    fn push(&mut self, mut frame: Frame) -> Option<u32> {
        if self.trace.frames.len() >= MAX_FRAMES {
            self.overflowed = true;
            return None;
        }
        frame.parent = self.open.last().map(|open| open.place);
        self.trace.frames.push(frame);
        Some(self.trace.frames.len() as u32 - 1)
    }

    fn parent_mut(&mut self) -> Option<&mut Frame> {
        let place = self.open.last()?.place;
        self.trace.frames.get_mut(place as usize)
    }

    fn enter(&mut self, frame: Frame) {
        // Without room the last frame stands in: what is kept is thrown away in any case.
        let place = self.push(frame).unwrap_or(MAX_FRAMES as u32 - 1);
        self.open.push(Open {
            place,
            failure: None,
            returned: None,
            ended_at: None,
            branches: Branches::default(),
            branched: false,
        });
    }

    fn leave(&mut self, result: &InterpreterResult, created: Option<Address>) {
        let Some(open) = self.open.pop() else { return };
        if let Some(parent) = self.parent_mut() {
            parent.calls += 1;
        }
        let failure = self.failure_of(&open, result, created);
        let reverted = failure == Some(Failure::Revert);
        let output = match &open.returned {
            // Before Homestead a creation that cannot pay for its code succeeds without.
            Some(code) if failure.is_none() && result.output.is_empty() => self.keep(code),
            _ if failure.is_none() || reverted => self.keep(&result.output),
            _ => Span::default(),
        };
        let Some(frame) = self.trace.frames.get_mut(open.place as usize) else { return };
        // A frame that could not begin hands everything back.
        let returned = if result.result.is_ok_or_revert() { result.gas.remaining() } else { 0 };
        frame.gas_used = frame.gas.saturating_sub(returned);
        (frame.output, frame.failure, frame.ended_at) = (output, failure, open.ended_at);
        frame.branches = open.branches;
        if matches!(frame.op, opcode::CREATE | opcode::CREATE2) {
            frame.to = created.filter(|_| failure.is_none());
        }
    }

    fn failure_of(
        &self,
        open: &Open,
        result: &InterpreterResult,
        created: Option<Address>,
    ) -> Option<Failure> {
        let frame = self.trace.frames.get(open.place as usize)?;
        let creates = matches!(frame.op, opcode::CREATE | opcode::CREATE2);
        if result.result.is_ok() {
            // revm ends a creation well whose creator's nonce cannot be counted on.
            return (creates && created.is_none()).then_some(NONCE_OVERFLOW);
        }
        if open.failure.is_some() {
            return open.failure;
        }
        Some(match (result.result, &open.returned) {
            (InstructionResult::OutOfGas, Some(_)) => DEPOSIT,
            (InstructionResult::CreateContractSizeLimit, Some(code)) => {
                let (limit, byte_gas) = self.code_limit;
                let price = byte_gas * code.len() as u64;
                if result.gas.remaining() < price { DEPOSIT } else { Failure::CodeSize(code.len(), limit) }
            }
            (InstructionResult::PrecompileError, _) => {
                let number = frame.to.map_or(0, |to| u64::from_be_bytes(*to.last_chunk().unwrap_or(&[0; 8])));
                Failure::of_precompile(number, self.trace.bytes(frame.input))
            }
            (result, _) => Failure::of_result(result),
        })
    }

    /// The accounts that a call or a creation looks at, once the instruction has been paid.
    fn look_at_call<J: JournalExt>(&mut self, input: &FrameInput, journal: &J, spec: SpecId) {
        match input {
            FrameInput::Call(call) => {
                let callee = call.bytecode_address;
                self.account(callee);
                let code = journal.evm_state().get(&callee).and_then(|account| account.info.code.as_ref());
                if spec.is_enabled_in(SpecId::PRAGUE)
                    && let Some(delegate) = code.and_then(|code| code.eip7702_address())
                {
                    self.account(delegate);
                }
            }
            FrameInput::Create(create) => {
                let nonce = journal.evm_state().get(&create.caller()).map_or(0, |account| account.info.nonce);
                let address = create.created_address(nonce);
                self.account(address);
                self.trace.created.insert(address);
            }
            FrameInput::Empty => {}
        }
    }

    fn looked(&mut self, spec: SpecId) {
        match std::mem::take(&mut self.look) {
            Look::Nothing => {}
            Look::Slot(owner, slot) => {
                if self.seen_slots.insert((owner, slot)) {
                    self.trace.slots.push((owner, slot));
                }
            }
            Look::Account(address) => self.account(address),
            Look::Destruction(owner, heir, balance) => {
                self.account(heir);
                // Since EIP-6780 only what this transaction created goes away.
                if !spec.is_enabled_in(SpecId::CANCUN) || self.trace.created.contains(&owner) {
                    self.trace.destroyed.insert(owner);
                }
                let _ = self.push(Frame {
                    from: owner,
                    to: Some(heir),
                    value: Some(balance),
                    ..empty_frame(opcode::SELFDESTRUCT)
                });
                if let Some(parent) = self.parent_mut() {
                    parent.calls += 1;
                }
            }
        }
    }
}

fn empty_frame(op: u8) -> Frame {
    Frame {
        parent: None,
        op,
        calls: 0,
        from: Address::ZERO,
        to: None,
        value: None,
        gas: 0,
        gas_used: 0,
        input: Span::default(),
        output: Span::default(),
        failure: None,
        precompile: false,
        ended_at: None,
        branches: Branches::default(),
    }
}

/// An address at the top of the stack.
fn address_on(interpreter: &Interpreter<EthInterpreter>) -> Option<Address> {
    let word = interpreter.stack.peek(0).ok()?;
    Some(Address::from_word(B256::from(word)))
}

impl<CTX: ContextTr<Journal: JournalExt>> Inspector<CTX, EthInterpreter> for CallTracer {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, context: &mut CTX) {
        self.before = Before::new(interpreter);
        if let Some(open) = self.open.last_mut() {
            if open.branched {
                // Code is at most 2^32 bytes long.
                open.branches.push(self.before.pc as u32);
            }
            open.branched = self.before.op == opcode::JUMPI;
        }
        self.look = match self.before.op {
            opcode::SLOAD | opcode::SSTORE => match interpreter.stack.peek(0) {
                Ok(slot) => Look::Slot(interpreter.input.target_address(), slot),
                Err(_) => Look::Nothing,
            },
            opcode::BALANCE | opcode::EXTCODESIZE | opcode::EXTCODECOPY | opcode::EXTCODEHASH => {
                address_on(interpreter).map_or(Look::Nothing, Look::Account)
            }
            opcode::SELFDESTRUCT => {
                let owner = interpreter.input.target_address();
                let account = context.journal().evm_state().get(&owner);
                let balance = account.map_or(U256::ZERO, |account| account.info.balance);
                address_on(interpreter).map_or(Look::Nothing, |heir| Look::Destruction(owner, heir, balance))
            }
            _ => Look::Nothing,
        };
    }

    fn step_end(&mut self, interpreter: &mut Interpreter<EthInterpreter>, context: &mut CTX) {
        let spec: SpecId = context.cfg().spec().into();
        match interpreter.bytecode.action() {
            None => {}
            Some(InterpreterAction::NewFrame(input)) => {
                self.look_at_call(input, context.journal(), spec);
            }
            Some(InterpreterAction::Return(result)) => {
                let failure = self.before.failure(result.result, &Limits::of(context.cfg()));
                if failure.is_some_and(|failure| failure != Failure::Revert) {
                    self.look = Look::Nothing;
                }
                // Code is at most 2^32 bytes long.
                let pc = self.before.pc as u32;
                if let Some(open) = self.open.last_mut() {
                    open.ended_at = Some(pc);
                    open.returned = failure.is_none().then(|| result.output.clone());
                    open.failure = failure;
                }
            }
        }
        self.looked(spec);
    }

    fn log(&mut self, context: &mut CTX, log: Log) {
        let index = (context.journal().logs().len() as u64).saturating_sub(1);
        let Some(frame) = self.open.last().map(|open| open.place) else { return };
        let position = self.trace.frames.get(frame as usize).map_or(0, |frame| frame.calls);
        self.log_bytes += log.data.data.len() + size_of::<TracedLog>();
        if self.log_bytes > MAX_BYTES {
            self.overflowed = true;
            return;
        }
        self.trace.logs.push(TracedLog { frame, position, index, log });
    }

    fn call(&mut self, context: &mut CTX, call: &mut CallInputs) -> Option<CallOutcome> {
        let op = match call.scheme {
            CallScheme::Call => opcode::CALL,
            CallScheme::CallCode => opcode::CALLCODE,
            CallScheme::DelegateCall => opcode::DELEGATECALL,
            CallScheme::StaticCall => opcode::STATICCALL,
        };
        let from = if call.scheme == CallScheme::DelegateCall { call.target_address } else { call.caller };
        let input = self.keep_input(&call.input.as_bytes(context));
        self.enter(Frame {
            from,
            to: Some(call.bytecode_address),
            value: (call.scheme != CallScheme::StaticCall).then(|| call.value.get()),
            gas: call.gas_limit,
            input,
            precompile: self.precompiles.contains(&call.bytecode_address),
            ..empty_frame(op)
        });
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        self.leave(&outcome.result, None);
    }

    fn create(&mut self, context: &mut CTX, create: &mut CreateInputs) -> Option<CreateOutcome> {
        if self.open.is_empty() {
            let sender = context.journal().evm_state().get(&create.caller());
            let nonce = sender.map_or(0, |account| account.info.nonce);
            self.trace.created.insert(create.created_address(nonce));
        }
        let op = match create.scheme() {
            CreateScheme::Create2 { .. } => opcode::CREATE2,
            _ => opcode::CREATE,
        };
        let input = self.keep_input(create.init_code());
        let spec: SpecId = context.cfg().spec().into();
        let byte_gas = if spec.is_enabled_in(SpecId::AMSTERDAM) { 0 } else { CODE_BYTE_GAS };
        self.code_limit = (context.cfg().max_code_size(), byte_gas);
        self.enter(Frame {
            from: create.caller(),
            value: Some(create.value()),
            gas: create.gas_limit(),
            input,
            ..empty_frame(op)
        });
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.leave(&outcome.result, outcome.address);
    }
}
