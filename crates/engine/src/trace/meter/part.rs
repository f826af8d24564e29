//! The parts of a transaction's bill, and which part each instruction belongs to. A part is *structured* (a
//! coprocessor could take it over as it is) or *glue* (it decides, routes, counts and moves).

use revm::bytecode::opcode;

/// Whose work a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// Heavy work of one kind.
    Structured,
    /// What holds it together.
    Glue,
}

macro_rules! parts {
    ($($variant:ident = $name:literal, $kind:ident, $text:literal;)+) => {
        /// A part of the bill, in the order of reports.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Part {
            $(#[doc = $text] $variant,)+
        }

        impl Part {
            /// Every part.
            pub const ALL: [Part; PARTS] = [$(Part::$variant),+];

            /// Its name in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Part::$variant => $name),+ }
            }

            /// Glue or structured.
            pub const fn kind(self) -> PartKind {
                match self { $(Part::$variant => PartKind::$kind),+ }
            }
        }

        /// How many parts there are.
        pub const PARTS: usize = [$(Part::$variant as u8),+].len();
    };
}

parts! {
    Signature = "signature", Structured, "3,000 of the base: checking the sender's signature.";
    Sload = "sload", Structured, "SLOAD.";
    Sstore = "sstore", Structured, "SSTORE.";
    TransientStorage = "transient_storage", Structured, "TLOAD and TSTORE.";
    AccountAccess = "account_access", Structured, "BALANCE, EXTCODE*, SELFDESTRUCT; what a CALL pays to reach its account.";
    AccessList = "access_list", Structured, "What the access list costs before execution.";
    Authorization = "authorization", Structured, "What set-code authorizations cost before execution.";
    Keccak = "keccak", Structured, "KECCAK256.";
    Log = "log", Structured, "LOG0 to LOG4.";
    Precompile = "precompile", Structured, "Precompiled contracts.";
    CodeDeposit = "code_deposit", Structured, "Storing the code of a new contract.";
    Base = "base", Glue, "The rest of the base; in time, everything around the first frame: checks, fees, settling.";
    Calldata = "calldata", Glue, "The transaction's input, by byte.";
    Call = "call", Glue, "CALL, CALLCODE, DELEGATECALL and STATICCALL: setting frames up and returning from them.";
    Create = "create", Glue, "CREATE and CREATE2, and what a creating transaction costs above others.";
    Arithmetic = "arithmetic", Glue, "Arithmetic, comparison and bitwise instructions.";
    Memory = "memory", Glue, "MLOAD, MSTORE, copies, and the growth of memory whoever causes it.";
    Stack = "stack", Glue, "PUSH, POP, DUP and SWAP.";
    Control = "control", Glue, "Jumps, and the ends of frames.";
    Environment = "environment", Glue, "Instructions that ask for the caller, the input, the block.";
    Halted = "halted", Glue, "Gas that a frame lost by an exceptional halt.";
}

/// What the meter does at an instruction beside counting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// Nothing: its price is static, or only memory adds to it.
    Count,
    /// Its price is taken from the gas counter.
    Price,
    /// And its time from the clock.
    Time,
    /// A call: the gas handed over is not its own.
    Call,
    /// A creation, likewise.
    Create,
}

const fn part_of(op: u8) -> Part {
    match op {
        opcode::STOP | opcode::JUMP..=opcode::PC | opcode::GAS | opcode::JUMPDEST => Part::Control,
        opcode::RETURN | opcode::REVERT => Part::Control,
        opcode::ADD..=0x1f => Part::Arithmetic,
        opcode::KECCAK256 => Part::Keccak,
        opcode::BALANCE | opcode::EXTCODESIZE | opcode::EXTCODECOPY | opcode::EXTCODEHASH => {
            Part::AccountAccess
        }
        opcode::SELFDESTRUCT => Part::AccountAccess,
        opcode::CALLDATACOPY | opcode::CODECOPY | opcode::RETURNDATACOPY | opcode::MCOPY => Part::Memory,
        opcode::MLOAD..=opcode::MSTORE8 | opcode::MSIZE => Part::Memory,
        opcode::ADDRESS..=0x4f => Part::Environment,
        opcode::SLOAD => Part::Sload,
        opcode::SSTORE => Part::Sstore,
        opcode::TLOAD | opcode::TSTORE => Part::TransientStorage,
        opcode::POP | opcode::PUSH0..=opcode::SWAP16 | 0xe6..=0xe8 => Part::Stack,
        opcode::LOG0..=opcode::LOG4 => Part::Log,
        opcode::CREATE | opcode::CREATE2 => Part::Create,
        opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL => Part::Call,
        _ => Part::Control,
    }
}

const fn hook_of(op: u8) -> Hook {
    match op {
        opcode::EXP => Hook::Price,
        opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL => Hook::Call,
        opcode::CREATE | opcode::CREATE2 => Hook::Create,
        opcode::CALLDATACOPY | opcode::CODECOPY | opcode::RETURNDATACOPY | opcode::MCOPY => Hook::Time,
        _ => match part_of(op) {
            Part::Keccak | Part::AccountAccess | Part::Log => Hook::Time,
            Part::Sload | Part::Sstore | Part::TransientStorage => Hook::Time,
            _ => Hook::Count,
        },
    }
}

/// Whether an instruction's time is explained by its count: all others are clocked.
pub fn is_counted(op: u8) -> bool {
    matches!(HOOK_OF[usize::from(op)], Hook::Count | Hook::Price)
}

/// The part of each instruction.
pub static PART_OF: [Part; 256] = {
    let mut table = [Part::Control; 256];
    let mut op = 0;
    while op < 256 {
        table[op] = part_of(op as u8);
        op += 1;
    }
    table
};

/// The hook of each instruction.
pub(super) static HOOK_OF: [Hook; 256] = {
    let mut table = [Hook::Count; 256];
    let mut op = 0;
    while op < 256 {
        table[op] = hook_of(op as u8);
        op += 1;
    }
    table
};
