import pickle

import pytest

from solder import _native, errors
from solder.errors import Fault, InputError, RejectedInput, SolderError, UnknownFork


def test_errors_catalogue_is_one_in_rust_and_python() -> None:
    native: dict[str, list[str]] = {kind: [] for kind in ("transaction", "block", "fault")}
    for kind, code in _native.error_codes():
        native[kind].append(code)
    assert list(errors.TRANSACTION_CODES) == native["transaction"]
    assert list(errors.BLOCK_CODES) == native["block"]
    assert list(errors.FAULT_CODES) == native["fault"]


def test_errors_codes_are_unique() -> None:
    codes = [code for _, code in _native.error_codes()]
    assert len(codes) == len(set(codes)) > 70


@pytest.mark.parametrize(
    "error",
    [
        RejectedInput("TransactionException.NONCE_IS_MAX", 3, "nonce 2**64 - 1"),
        InputError("not hex", "block.json", "number"),
        UnknownFork('unknown fork "Moon"', None, "fork"),
        Fault("Fault.PANIC", "index out of bounds"),
    ],
)
def test_errors_survive_pickling(error: SolderError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is type(error)
    assert (str(copy), vars(copy)) == (str(error), vars(error))


def test_errors_say_where_and_what() -> None:
    assert str(RejectedInput("BlockException.INVALID_GASLIMIT")) == "BlockException.INVALID_GASLIMIT"
    assert str(RejectedInput("A.B", 2, "x")) == "A.B (transaction 2): x"
    assert str(InputError("not hex", "block.json", "number")) == "block.json: number: not hex"


def test_errors_kinds_are_never_mixed() -> None:
    assert issubclass(UnknownFork, InputError)
    kinds = (RejectedInput, InputError, Fault)
    assert not any(issubclass(a, b) for a in kinds for b in kinds if a is not b)
