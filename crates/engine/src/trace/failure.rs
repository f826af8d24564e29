//! Why a frame failed, in the words of go-ethereum (v1.17.10), which tools compare texts with. What revm does not say is told
//! by the instruction that failed (`pricing`).

use std::borrow::Cow;
use std::fmt;

use alloy_primitives::{U256, uint};
use revm::bytecode::opcode::OpCode;
use revm::interpreter::InstructionResult;

/// Why a frame failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// REVERT.
    Revert,
    /// Too few words on the stack: how many there were, how many are needed.
    StackUnderflow(u16, u16),
    /// Too many: how many there were, how many there may be.
    StackOverflow(u16, u16),
    /// An instruction that the fork does not have.
    InvalidOpcode(u8),
    /// A contract's code is too large: its bytes, the most that there may be.
    CodeSize(usize, usize),
    /// Init code is too large, likewise.
    InitCodeSize(u64, usize),
    /// Anything that needs no number.
    Other(&'static str),
}

/// The order of the field over which the curve of the precompiled contracts 6 to 8 lies.
const BN254_FIELD: U256 =
    uint!(21888242871839275222246405745257275088696311157297823662689037894645226208583_U256);

/// More gas than there is.
pub const OUT_OF_GAS: Failure = Failure::Other("out of gas");
/// An offset or a length that no gas could pay for.
pub const GAS_OVERFLOW: Failure = Failure::Other("gas uint64 overflow");
/// Memory that no gas could pay for, met while it is priced.
pub const MEMORY_OVERFLOW: Failure = Failure::Other("out of gas: gas uint64 overflow");
/// More gas than there is, met while what is called is priced.
pub const OUT_OF_CALL_GAS: Failure = Failure::Other("out of gas: out of gas");
/// A write in a static call, met while it runs.
pub const WRITE: Failure = Failure::Other("write protection");
/// A write in a static call, met while it is priced.
pub const PRICED_WRITE: Failure = Failure::Other("out of gas: write protection");
/// Code that its creation cannot pay for.
pub const DEPOSIT: Failure = Failure::Other("contract creation code storage out of gas");
/// The creator has made as many contracts as can be counted.
pub const NONCE_OVERFLOW: Failure = Failure::Other("nonce uint64 overflow");

impl Failure {
    /// What a frame failed with that no instruction of its own made fail.
    pub fn of_result(result: InstructionResult) -> Self {
        Self::Other(match result {
            InstructionResult::Revert => return Self::Revert,
            InstructionResult::InvalidOperandOOG => return GAS_OVERFLOW,
            InstructionResult::ReentrancySentryOOG => "out of gas: not enough gas for reentrancy sentry",
            InstructionResult::InvalidJump => "invalid jump destination",
            InstructionResult::OutOfOffset => "return data out of bounds",
            InstructionResult::CreateCollision => "contract address collision",
            InstructionResult::CreateContractSizeLimit => "max code size exceeded",
            InstructionResult::CreateInitCodeSizeLimit => "out of gas: max initcode size exceeded",
            InstructionResult::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
            InstructionResult::CallTooDeep => "max call depth exceeded",
            InstructionResult::OutOfFunds | InstructionResult::OverflowPayment => {
                "insufficient balance for transfer"
            }
            InstructionResult::NonceOverflow => return NONCE_OVERFLOW,
            InstructionResult::StackUnderflow => "stack underflow",
            InstructionResult::StackOverflow => "stack overflow",
            InstructionResult::PrecompileError => "precompile failed",
            _ => return OUT_OF_GAS,
        })
    }

    /// Why a precompiled contract refused its input, as far as a look at the input tells.
    pub fn of_precompile(number: u64, input: &[u8]) -> Self {
        const PAIRING_BYTES: usize = 192;
        const BLAKE2F_BYTES: usize = 213;
        // Of what is missing at the end of the input geth takes zeros.
        let outside = |bytes: usize| {
            input[..bytes.min(input.len())].chunks(32).any(|word| {
                let mut whole = [0; 32];
                whole[..word.len()].copy_from_slice(word);
                U256::from_be_bytes(whole) >= BN254_FIELD
            })
        };
        Self::Other(match (number, input.len()) {
            (5, _) => return OUT_OF_GAS,
            (8, length) if length % PAIRING_BYTES != 0 => "bad elliptic curve pairing size",
            (6, _) if outside(128) => "invalid fp.Element encoding",
            (7, _) if outside(64) => "invalid fp.Element encoding",
            (8, length) if outside(length) => "invalid fp.Element encoding",
            (6..=8, _) => "point is not on curve",
            (9, length) if length != BLAKE2F_BYTES => "invalid input length",
            (9, _) => "invalid final flag",
            (10, length) if length != PAIRING_BYTES => "invalid input length",
            (10, _) if input.first() != Some(&1) => "mismatched versioned hash",
            (11, length) if length != 256 => "invalid input length",
            (12, length) if length == 0 || length % 160 != 0 => "invalid input length",
            (13, length) if length != 512 => "invalid input length",
            (14, length) if length == 0 || length % 288 != 0 => "invalid input length",
            (15, length) if length == 0 || length % 384 != 0 => "invalid input length",
            (16, length) if length != 64 => "invalid input length",
            (17, length) if length != 128 => "invalid input length",
            _ => "precompile failed",
        })
    }

    /// Whether geth sees it while it prices the instruction, before it logs and runs it.
    pub fn is_priced(&self) -> bool {
        match self {
            Self::StackUnderflow(..) | Self::StackOverflow(..) | Self::InitCodeSize(..) => true,
            Self::Other(text) => text.starts_with("out of gas") || *self == GAS_OVERFLOW,
            Self::Revert | Self::InvalidOpcode(_) | Self::CodeSize(..) => false,
        }
    }
}

/// Names that geth has for instructions that no fork has.
const PLANNED: [(u8, &str); 16] = [
    (0xd0, "DATALOAD"),
    (0xd1, "DATALOADN"),
    (0xd2, "DATASIZE"),
    (0xd3, "DATACOPY"),
    (0xe0, "RJUMP"),
    (0xe1, "RJUMPI"),
    (0xe2, "RJUMPV"),
    (0xe3, "CALLF"),
    (0xe4, "RETF"),
    (0xe5, "JUMPF"),
    (0xec, "EOFCREATE"),
    (0xee, "RETURNCONTRACT"),
    (0xf7, "RETURNDATALOAD"),
    (0xf8, "EXTCALL"),
    (0xf9, "EXTDELEGATECALL"),
    (0xfb, "EXTSTATICCALL"),
];

/// How geth names an instruction.
pub fn geth_name(op: u8) -> Cow<'static, str> {
    let planned = PLANNED.iter().find(|(code, _)| *code == op).map(|(_, name)| *name);
    match OpCode::new(op).map(|op| op.as_str()).or(planned) {
        Some(name) => name.into(),
        None => format!("opcode {op:#x} not defined").into(),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revert => f.write_str("execution reverted"),
            Self::StackUnderflow(words, needed) => write!(f, "stack underflow ({words} <=> {needed})"),
            Self::StackOverflow(words, most) => write!(f, "stack limit reached {words} ({most})"),
            Self::InvalidOpcode(op) => write!(f, "invalid opcode: {}", geth_name(*op)),
            Self::CodeSize(size, most) => {
                write!(f, "max code size exceeded: code size {size} limit {most}")
            }
            Self::InitCodeSize(size, most) => {
                write!(f, "out of gas: max initcode size exceeded: code size {size} limit {most}")
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}
