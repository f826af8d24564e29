"""What may differ between the two tools, and what may not.

Equal: every field that the reference gives in `result`, `alloc` and `body`. For a rejected transaction the index, and
the reason by this table: the reference names a class of its own, ours is the official exception name. Ours alone:
`blobGasUsed` and geth's receipt fields, which are held against the fields that they repeat. The reference loses the
type byte of transactions that it read as JSON, so that its body cannot be decoded: there the fixture's own is the
one to equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import rlp_items

if TYPE_CHECKING:
    from .inputs import TransitionInput

REASONS = {
    "InvalidSenderError": {"SENDER_NOT_EOA"},
    "InvalidSignatureError": {"INVALID_SIGNATURE_VRS", "EC_RECOVERY_FAIL", "INVALID_CHAINID"},
    "InsufficientBalanceError": {"INSUFFICIENT_ACCOUNT_FUNDS", "GASLIMIT_PRICE_PRODUCT_OVERFLOW"},
    "NonceMismatchError('nonce too low')": {"NONCE_MISMATCH_TOO_LOW"},
    "NonceMismatchError('nonce too high')": {"NONCE_MISMATCH_TOO_HIGH"},
    "GasUsedExceedsLimitError": {"GAS_ALLOWANCE_EXCEEDED"},
    "InsufficientTransactionGasError": {"INTRINSIC_GAS_TOO_LOW", "INTRINSIC_GAS_BELOW_FLOOR_GAS_COST"},
    "NonceOverflowError": {"NONCE_IS_MAX", "NONCE_TOO_BIG"},
    "TransactionTypeError": {"TYPE_NOT_SUPPORTED", "TYPE_1_TX_PRE_FORK", "TYPE_2_TX_PRE_FORK",
                             "TYPE_3_TX_PRE_FORK", "TYPE_4_TX_PRE_FORK"},
    "TransactionTypeContractCreationError": {"TYPE_3_TX_CONTRACT_CREATION", "TYPE_4_TX_CONTRACT_CREATION"},
    "BlobGasLimitExceededError": {"TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED", "TYPE_3_TX_BLOB_COUNT_EXCEEDED"},
    "InsufficientMaxFeePerBlobGasError": {"INSUFFICIENT_MAX_FEE_PER_BLOB_GAS"},
    "InsufficientMaxFeePerGasError": {"INSUFFICIENT_MAX_FEE_PER_GAS"},
    "InvalidBlobVersionedHashError": {"TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH"},
    "NoBlobDataError": {"TYPE_3_TX_ZERO_BLOBS"},
    "BlobCountExceededError": {"TYPE_3_TX_BLOB_COUNT_EXCEEDED"},
    "PriorityFeeGreaterThanMaxFeeError": {"PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS"},
    "EmptyAuthorizationListError": {"TYPE_4_EMPTY_AUTHORIZATION_LIST"},
    "InitCodeTooLargeError": {"INITCODE_SIZE_EXCEEDED"},
    "TransactionGasLimitExceededError": {"GAS_LIMIT_EXCEEDS_MAXIMUM"},
    # The reference has no class for a legacy gas price under the base fee.
    "InvalidBlock()": {"INSUFFICIENT_MAX_FEE_PER_GAS"},
}  # fmt: skip

# A transaction that breaks two rules is rejected for the one that is checked first: (the reference's, ours).
BREAKS_BOTH = {
    ("InsufficientBalanceError", "SENDER_NOT_EOA"),
    ("InsufficientTransactionGasError", "INSUFFICIENT_MAX_FEE_PER_GAS"),
}

# How the reference begins to say that it cannot parse a transaction.
UNREADABLE = ("Failed to parse transaction", "Unsupported transaction type")

OURS_ALONE = {"blobGasUsed"}
OURS_ALONE_IN_RECEIPT = {
    "type", "root", "status", "logsBloom", "contractAddress", "gasUsed", "effectiveGasPrice", "blockHash",
    "transactionIndex",
}  # fmt: skip


def differences(given: TransitionInput, reference: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Each difference as `path: reference's value, our value`; empty where the two agree."""
    found = [f"{part}: is absent" for part in ("result", "alloc", "body") if part not in ours]
    if found:
        return found
    found += _result(reference["result"], ours["result"])
    found += _plain("alloc", reference["alloc"], ours["alloc"])
    body = _readable_body(given, reference) if given.has_typed_json else reference["body"]
    if body != ours["body"]:
        found.append(f"body: {body[:80]}, {ours['body'][:80]}")
    return found


def _readable_body(given: TransitionInput, reference: dict[str, Any]) -> str:
    """The fixture's transactions but for those that the reference could not parse."""
    rejected = reference["result"]["rejected"]
    unreadable = {item["index"] for item in rejected if item["error"].startswith(UNREADABLE)}
    items = rlp_items.decode(bytes.fromhex(given.body[2:]))
    assert isinstance(items, list)
    return "0x" + rlp_items.encode([item for index, item in enumerate(items) if index not in unreadable]).hex()


def _plain(path: str, reference: Any, ours: Any) -> list[str]:
    if isinstance(reference, dict) and isinstance(ours, dict):
        found = []
        for key in sorted(reference.keys() | ours.keys()):
            found += _plain(f"{path}.{key}", reference.get(key), ours.get(key))
        return found
    return [] if reference == ours else [f"{path}: {_short(reference)}, {_short(ours)}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 140 else text[:140] + "..."


def _result(reference: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    special = {"receipts", "rejected", "blockException"}
    found = []
    for key in sorted((reference.keys() | ours.keys()) - special - OURS_ALONE):
        if (key in reference) != (key in ours):
            found.append(f"result.{key}: in one alone")
        else:
            found += _plain(f"result.{key}", reference[key], ours[key])
    if ("blockException" in reference) != ("blockException" in ours):
        found.append(f"result.blockException: {reference.get('blockException')}, {ours.get('blockException')}")
    found += _rejected(reference["rejected"], ours["rejected"])
    if len(reference["receipts"]) != len(ours["receipts"]):
        found.append(f"result.receipts: {len(reference['receipts'])} of them, {len(ours['receipts'])}")
    cumulative = 0
    for index, (theirs, mine) in enumerate(zip(reference["receipts"], ours["receipts"], strict=False)):
        found += _receipt(f"result.receipts[{index}]", theirs, mine, cumulative)
        cumulative = int(mine["cumulativeGasUsed"], 16)
    return found


def _receipt(path: str, reference: dict[str, Any], ours: dict[str, Any], cumulative_before: int) -> list[str]:
    shared = {key: value for key, value in ours.items() if key not in OURS_ALONE_IN_RECEIPT}
    found = _plain(path, reference, shared)
    status = "0x1" if reference.get("succeeded") else "0x0"
    if "succeeded" in reference and ours["status"] != status:
        found.append(f"{path}.status: {status}, {ours['status']}")
    if "post_state" in reference and ours["root"] != reference["post_state"]:
        found.append(f"{path}.root: {reference['post_state']}, {ours['root']}")
    if ours["logsBloom"] != reference["bloom"]:
        found.append(f"{path}.logsBloom: is not bloom")
    gas_used = int(reference["cumulativeGasUsed"], 16) - cumulative_before
    if int(ours["gasUsed"], 16) != gas_used:
        found.append(f"{path}.gasUsed: {gas_used}, {ours['gasUsed']}")
    return found


def _rejected(reference: list[dict[str, Any]], ours: list[dict[str, Any]]) -> list[str]:
    theirs, mine = ({item["index"]: item["error"] for item in items} for items in (reference, ours))
    if theirs.keys() != mine.keys():
        return [f"result.rejected: {theirs}, {mine}"]
    return [
        f"result.rejected[{index}]: {error}, {mine[index]}"
        for index, error in theirs.items()
        if not reason_agrees(error, mine[index])
    ]


def reason_agrees(reference: str, ours: str) -> bool:
    """Does our official exception name say what the reference's class says?"""
    name = ours.split(":", maxsplit=1)[0].split(" ", maxsplit=1)[0]
    kind, _, official = name.partition(".")
    if kind != "TransactionException" or not official:
        return False
    text = reference.removeprefix("Failed transaction: ")
    if (text.partition("(")[0], official) in BREAKS_BOTH:
        return True
    for known, allowed in REASONS.items():
        if text.startswith(known if known.endswith(")") else known + "("):
            return official in allowed
    # A transaction that the reference cannot even parse: it gives no class.
    return reference.startswith(UNREADABLE)


def expected_agrees(expected: str, ours: list[str]) -> bool:
    """Is one of the fixture's `A|B` exception names among our rejection texts?"""
    names = set(expected.split("|"))
    if "TransactionException.TYPE_NOT_SUPPORTED" in names:
        # ethereum/tests has one name for what execution-spec-tests has one each.
        names |= {f"TransactionException.TYPE_{kind}_TX_PRE_FORK" for kind in range(1, 5)}
    return any(text.split(":")[0].split(" ")[0] in names for text in ours)
