//! The three kinds of failure, never mixed: a *rejection* (the input is invalid; it carries the official
//! exception name of the Ethereum test suites), an *outcome* (success, revert, halt: data in a receipt, not
//! here) and a *fault* (ours: a state read failed, an invariant broke).

use std::fmt;

macro_rules! catalogue {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// Why an input is invalid, by the official exception names (EEST `ethereum_test_exceptions`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum Code { $($variant),+ }

        impl Code {
            /// Every code, in the order of the catalogue.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The official name, e.g. `TransactionException.NONCE_IS_MAX`.
            pub const fn name(self) -> &'static str {
                match self { $(Code::$variant => $name),+ }
            }
        }
    };
}

catalogue! {
    InsufficientAccountFunds = "TransactionException.INSUFFICIENT_ACCOUNT_FUNDS",
    InsufficientMaxFeePerGas = "TransactionException.INSUFFICIENT_MAX_FEE_PER_GAS",
    InsufficientMaxFeePerBlobGas = "TransactionException.INSUFFICIENT_MAX_FEE_PER_BLOB_GAS",
    PriorityGreaterThanMaxFee = "TransactionException.PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS",
    GasLimitPriceProductOverflow = "TransactionException.GASLIMIT_PRICE_PRODUCT_OVERFLOW",
    GasLimitExceedsMaximum = "TransactionException.GAS_LIMIT_EXCEEDS_MAXIMUM",
    GasAllowanceExceeded = "TransactionException.GAS_ALLOWANCE_EXCEEDED",
    IntrinsicGasTooLow = "TransactionException.INTRINSIC_GAS_TOO_LOW",
    IntrinsicGasBelowFloorGasCost = "TransactionException.INTRINSIC_GAS_BELOW_FLOOR_GAS_COST",
    InitcodeSizeExceeded = "TransactionException.INITCODE_SIZE_EXCEEDED",
    NonceIsMax = "TransactionException.NONCE_IS_MAX",
    NonceMismatchTooHigh = "TransactionException.NONCE_MISMATCH_TOO_HIGH",
    NonceMismatchTooLow = "TransactionException.NONCE_MISMATCH_TOO_LOW",
    SenderNotEoa = "TransactionException.SENDER_NOT_EOA",
    InvalidChainId = "TransactionException.INVALID_CHAINID",
    InvalidSignatureVrs = "TransactionException.INVALID_SIGNATURE_VRS",
    EcRecoveryFail = "TransactionException.EC_RECOVERY_FAIL",
    TypeNotSupported = "TransactionException.TYPE_NOT_SUPPORTED",
    Type1PreFork = "TransactionException.TYPE_1_TX_PRE_FORK",
    Type2PreFork = "TransactionException.TYPE_2_TX_PRE_FORK",
    Type3PreFork = "TransactionException.TYPE_3_TX_PRE_FORK",
    Type4PreFork = "TransactionException.TYPE_4_TX_PRE_FORK",
    Type3ZeroBlobs = "TransactionException.TYPE_3_TX_ZERO_BLOBS",
    Type3InvalidVersionedHash = "TransactionException.TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH",
    Type3BlobCountExceeded = "TransactionException.TYPE_3_TX_BLOB_COUNT_EXCEEDED",
    Type3BlobAllowanceExceeded = "TransactionException.TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED",
    Type3ContractCreation = "TransactionException.TYPE_3_TX_CONTRACT_CREATION",
    Type3WithFullBlobs = "TransactionException.TYPE_3_TX_WITH_FULL_BLOBS",
    Type4ContractCreation = "TransactionException.TYPE_4_TX_CONTRACT_CREATION",
    Type4EmptyAuthorizationList = "TransactionException.TYPE_4_EMPTY_AUTHORIZATION_LIST",
    TransactionRlp = "TransactionException.RLP_INVALID_VALUE",
    RlpStructures = "BlockException.RLP_STRUCTURES_ENCODING",
    IncorrectBlockFormat = "BlockException.INCORRECT_BLOCK_FORMAT",
    UnknownParent = "BlockException.UNKNOWN_PARENT",
    UnknownParentZero = "BlockException.UNKNOWN_PARENT_ZERO",
    InvalidBlockNumber = "BlockException.INVALID_BLOCK_NUMBER",
    TimestampOlderThanParent = "BlockException.INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT",
    InvalidGasLimit = "BlockException.INVALID_GASLIMIT",
    GasLimitTooBig = "BlockException.GASLIMIT_TOO_BIG",
    GasUsedOverflow = "BlockException.GAS_USED_OVERFLOW",
    InvalidGasUsed = "BlockException.INVALID_GAS_USED",
    InvalidBaseFee = "BlockException.INVALID_BASEFEE_PER_GAS",
    ExtraDataTooBig = "BlockException.EXTRA_DATA_TOO_BIG",
    ExtraDataInvalidDao = "BlockException.EXTRA_DATA_INVALID_DAO",
    InvalidDifficulty = "BlockException.INVALID_DIFFICULTY",
    UnclesOverParis = "BlockException.IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS",
    DifficultyOverParis = "BlockException.IMPORT_IMPOSSIBLE_DIFFICULTY_OVER_PARIS",
    ParisWrongPow = "BlockException.IMPORT_IMPOSSIBLE_PARIS_WRONG_POW",
    ParisWrongPos = "BlockException.IMPORT_IMPOSSIBLE_PARIS_WRONG_POS",
    ImpossibleLegacy = "BlockException.IMPORT_IMPOSSIBLE_LEGACY",
    LegacyWrongParent = "BlockException.IMPORT_IMPOSSIBLE_LEGACY_WRONG_PARENT",
    LondonWrongParent = "BlockException.IMPORT_IMPOSSIBLE_LONDON_WRONG_PARENT",
    ParisOverShanghai = "BlockException.IMPORT_IMPOSSIBLE_PARIS_OVER_SHANGHAI",
    ImpossibleShanghai = "BlockException.IMPORT_IMPOSSIBLE_SHANGHAI",
    TooManyUncles = "BlockException.TOO_MANY_UNCLES",
    UncleIsAncestor = "BlockException.UNCLE_IS_ANCESTOR",
    UncleIsBrother = "BlockException.UNCLE_IS_BROTHER",
    UncleInChain = "BlockException.UNCLE_IN_CHAIN",
    UncleParentIncorrect = "BlockException.UNCLE_PARENT_INCORRECT",
    InvalidUnclesHash = "BlockException.INVALID_UNCLES_HASH",
    InvalidTransactionsRoot = "BlockException.INVALID_TRANSACTIONS_ROOT",
    InvalidReceiptsRoot = "BlockException.INVALID_RECEIPTS_ROOT",
    InvalidWithdrawalsRoot = "BlockException.INVALID_WITHDRAWALS_ROOT",
    InvalidStateRoot = "BlockException.INVALID_STATE_ROOT",
    InvalidLogBloom = "BlockException.INVALID_LOG_BLOOM",
    InvalidRequests = "BlockException.INVALID_REQUESTS",
    InvalidDepositEventLayout = "BlockException.INVALID_DEPOSIT_EVENT_LAYOUT",
    IncorrectBlobGasUsed = "BlockException.INCORRECT_BLOB_GAS_USED",
    IncorrectExcessBlobGas = "BlockException.INCORRECT_EXCESS_BLOB_GAS",
    BlobGasUsedAboveLimit = "BlockException.BLOB_GAS_USED_ABOVE_LIMIT",
    SystemContractEmpty = "BlockException.SYSTEM_CONTRACT_EMPTY",
    SystemContractCallFailed = "BlockException.SYSTEM_CONTRACT_CALL_FAILED",
    RlpBlockLimitExceeded = "BlockException.RLP_BLOCK_LIMIT_EXCEEDED",
    InvalidBlockAccessList = "BlockException.INVALID_BLOCK_ACCESS_LIST",
    BlockAccessListGasLimitExceeded = "BlockException.BLOCK_ACCESS_LIST_GAS_LIMIT_EXCEEDED",
}

/// An invalid input: what rule it breaks, where, and the values that break it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The rule, by its official name.
    pub code: Code,
    /// The index of the transaction in the block, where one is to blame.
    pub index: Option<usize>,
    /// The values, for a person: `expected 5, got 6`.
    pub detail: String,
}

impl Rejection {
    /// A rejection of the whole block.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, index: None, detail: detail.into() }
    }

    /// The same rejection, blamed on transaction `index`.
    pub fn at(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.name())?;
        if let Some(index) = self.index {
            write!(f, " (transaction {index})")?;
        }
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl std::error::Error for Rejection {}

/// A fault of ours: the block was neither accepted nor rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A read of the underlying state failed.
    #[error("state read failed: {0}")]
    StateRead(String),
    /// The run was cancelled (Ctrl-C, a deadline).
    #[error("cancelled")]
    Cancelled,
    /// A step trace could not be written.
    #[error("trace write failed: {0}")]
    TraceWrite(String),
    /// The interpreter reported an error that is not an outcome.
    #[error("interpreter fault: {0}")]
    Interpreter(String),
    /// What the state is read from failed, by a code of its own.
    #[error("{detail}")]
    Source {
        /// The stable name of the kind; its catalogue is where it comes from.
        code: &'static str,
        /// The cause.
        detail: String,
    },
}

impl Fault {
    /// The stable name of the kind, for the error catalogue.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StateRead(_) => "Fault.STATE_READ",
            Self::Cancelled => "Fault.CANCELLED",
            Self::TraceWrite(_) => "Fault.TRACE_WRITE",
            Self::Interpreter(_) => "Fault.INTERPRETER",
            Self::Source { code, .. } => code,
        }
    }

    /// The names of all kinds but those of sources.
    pub const NAMES: [&'static str; 4] =
        ["Fault.STATE_READ", "Fault.CANCELLED", "Fault.TRACE_WRITE", "Fault.INTERPRETER"];
}

/// What stops a block: its own fault or ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The input is invalid.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// This machine failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}
