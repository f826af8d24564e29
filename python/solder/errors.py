"""The three kinds of failure, never mixed, and the catalogue of their codes.

    SolderError
     ├─ RejectedInput   the chain's rules forbid it; ``code`` is the official test-suite name
     ├─ InputError      a file or an argument that cannot be read; names ``path`` and ``field``
     │   └─ UnknownFork a fork, network or chain id that is not known
     └─ Fault           this machine failed: the block is neither accepted nor rejected

An outcome (success, revert, halt) is no failure: it is data in a receipt.
"""

__all__ = [
    "BLOCK_CODES",
    "FAULT_CODES",
    "TRANSACTION_CODES",
    "CacheWarning",
    "Fault",
    "InputError",
    "RejectedInput",
    "SolderError",
    "UnknownFork",
]


class SolderError(Exception):
    """Any failure that Solder reports."""


class RejectedInput(SolderError):
    """The chain's rules forbid the block or the transaction.

    ``code`` is the official exception name, ``index`` the transaction to blame (None: the block), ``detail`` the
    values.
    """

    def __init__(self, code: str, index: int | None = None, detail: str = "") -> None:
        super().__init__(code, index, detail)
        self.code = code
        self.index = index
        self.detail = detail

    def __str__(self) -> str:
        where = "" if self.index is None else f" (transaction {self.index})"
        return f"{self.code}{where}" + (f": {self.detail}" if self.detail else "")


class InputError(SolderError):
    """A file or an argument that cannot be read: unreadable, truncated, mistyped, too large, contradictory.

    ``path`` names the file and ``field`` the place in it; None where there is none.
    """

    def __init__(self, detail: str, path: str | None = None, field: str | None = None) -> None:
        super().__init__(detail, path, field)
        self.detail = detail
        self.path = path
        self.field = field

    def __str__(self) -> str:
        return ": ".join(part for part in (self.path, self.field, self.detail) if part)


class UnknownFork(InputError):
    """A fork, network or chain id that is not known. It is never taken for the newest one."""


class Fault(SolderError):
    """This machine failed (a state read, a caught panic): the block is neither accepted nor rejected."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


class CacheWarning(UserWarning):
    """The cache of remote state on disk cannot be used any more (full, damaged): answers stay right, unkept."""


TRANSACTION_CODES = (
    "TransactionException.INSUFFICIENT_ACCOUNT_FUNDS",
    "TransactionException.INSUFFICIENT_MAX_FEE_PER_GAS",
    "TransactionException.INSUFFICIENT_MAX_FEE_PER_BLOB_GAS",
    "TransactionException.PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS",
    "TransactionException.GASLIMIT_PRICE_PRODUCT_OVERFLOW",
    "TransactionException.GAS_LIMIT_EXCEEDS_MAXIMUM",
    "TransactionException.GAS_ALLOWANCE_EXCEEDED",
    "TransactionException.INTRINSIC_GAS_TOO_LOW",
    "TransactionException.INTRINSIC_GAS_BELOW_FLOOR_GAS_COST",
    "TransactionException.INITCODE_SIZE_EXCEEDED",
    "TransactionException.NONCE_IS_MAX",
    "TransactionException.NONCE_MISMATCH_TOO_HIGH",
    "TransactionException.NONCE_MISMATCH_TOO_LOW",
    "TransactionException.SENDER_NOT_EOA",
    "TransactionException.INVALID_CHAINID",
    "TransactionException.INVALID_SIGNATURE_VRS",
    "TransactionException.EC_RECOVERY_FAIL",
    "TransactionException.TYPE_NOT_SUPPORTED",
    "TransactionException.TYPE_1_TX_PRE_FORK",
    "TransactionException.TYPE_2_TX_PRE_FORK",
    "TransactionException.TYPE_3_TX_PRE_FORK",
    "TransactionException.TYPE_4_TX_PRE_FORK",
    "TransactionException.TYPE_3_TX_ZERO_BLOBS",
    "TransactionException.TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH",
    "TransactionException.TYPE_3_TX_BLOB_COUNT_EXCEEDED",
    "TransactionException.TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED",
    "TransactionException.TYPE_3_TX_CONTRACT_CREATION",
    "TransactionException.TYPE_3_TX_WITH_FULL_BLOBS",
    "TransactionException.TYPE_4_TX_CONTRACT_CREATION",
    "TransactionException.TYPE_4_EMPTY_AUTHORIZATION_LIST",
    "TransactionException.RLP_INVALID_VALUE",
)
"""Why a transaction is invalid: the values of ``RejectedInput.code`` that blame one."""

BLOCK_CODES = (
    "BlockException.RLP_STRUCTURES_ENCODING",
    "BlockException.INCORRECT_BLOCK_FORMAT",
    "BlockException.UNKNOWN_PARENT",
    "BlockException.UNKNOWN_PARENT_ZERO",
    "BlockException.INVALID_BLOCK_NUMBER",
    "BlockException.INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT",
    "BlockException.INVALID_GASLIMIT",
    "BlockException.GASLIMIT_TOO_BIG",
    "BlockException.GAS_USED_OVERFLOW",
    "BlockException.INVALID_GAS_USED",
    "BlockException.INVALID_BASEFEE_PER_GAS",
    "BlockException.EXTRA_DATA_TOO_BIG",
    "BlockException.EXTRA_DATA_INVALID_DAO",
    "BlockException.INVALID_DIFFICULTY",
    "BlockException.IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS",
    "BlockException.IMPORT_IMPOSSIBLE_DIFFICULTY_OVER_PARIS",
    "BlockException.IMPORT_IMPOSSIBLE_PARIS_WRONG_POW",
    "BlockException.IMPORT_IMPOSSIBLE_PARIS_WRONG_POS",
    "BlockException.IMPORT_IMPOSSIBLE_LEGACY",
    "BlockException.IMPORT_IMPOSSIBLE_LEGACY_WRONG_PARENT",
    "BlockException.IMPORT_IMPOSSIBLE_LONDON_WRONG_PARENT",
    "BlockException.IMPORT_IMPOSSIBLE_PARIS_OVER_SHANGHAI",
    "BlockException.IMPORT_IMPOSSIBLE_SHANGHAI",
    "BlockException.TOO_MANY_UNCLES",
    "BlockException.UNCLE_IS_ANCESTOR",
    "BlockException.UNCLE_IS_BROTHER",
    "BlockException.UNCLE_IN_CHAIN",
    "BlockException.UNCLE_PARENT_INCORRECT",
    "BlockException.INVALID_UNCLES_HASH",
    "BlockException.INVALID_TRANSACTIONS_ROOT",
    "BlockException.INVALID_RECEIPTS_ROOT",
    "BlockException.INVALID_WITHDRAWALS_ROOT",
    "BlockException.INVALID_STATE_ROOT",
    "BlockException.INVALID_LOG_BLOOM",
    "BlockException.INVALID_REQUESTS",
    "BlockException.INVALID_DEPOSIT_EVENT_LAYOUT",
    "BlockException.INCORRECT_BLOB_GAS_USED",
    "BlockException.INCORRECT_EXCESS_BLOB_GAS",
    "BlockException.BLOB_GAS_USED_ABOVE_LIMIT",
    "BlockException.SYSTEM_CONTRACT_EMPTY",
    "BlockException.SYSTEM_CONTRACT_CALL_FAILED",
    "BlockException.RLP_BLOCK_LIMIT_EXCEEDED",
    "BlockException.INVALID_BLOCK_ACCESS_LIST",
    "BlockException.BLOCK_ACCESS_LIST_GAS_LIMIT_EXCEEDED",
)
"""Why a block is invalid: the other values of ``RejectedInput.code``."""

FAULT_CODES = (
    "Fault.STATE_READ",
    "Fault.CANCELLED",
    "Fault.TRACE_WRITE",
    "Fault.INTERPRETER",
    "Fault.PANIC",
    "Fault.COPROCESSOR",
    "Fault.REMOTE_UNREACHABLE",
    "Fault.REMOTE_REFUSED",
    "Fault.REMOTE_REPLY",
    "Fault.REMOTE_LIMIT",
    "Fault.REMOTE_MISMATCH",
    "Fault.REMOTE_REORGANISED",
    "Fault.REMOTE_UNSUPPORTED",
)
"""The values of ``Fault.code``."""
