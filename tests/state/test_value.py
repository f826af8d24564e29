from typing import Any

import pytest

import solder

ALICE, BOB = b"\xaa" * 20, b"\xbb" * 20
EMPTY_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
EMPTY_CODE_HASH = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")


def test_state_empty_has_the_empty_root() -> None:
    state = solder.State()
    assert (len(state), state.accounts(), state.root()) == (0, [], EMPTY_ROOT)
    assert state.account(ALICE) is None
    assert state.storage(ALICE, 0) == 0


def test_state_gives_back_what_it_was_given() -> None:
    top = 2**256 - 1
    state = solder.State(
        {
            BOB: {"balance": top, "nonce": 2**64 - 1, "code": b"\x60\x00", "storage": {top: 1, 0: top, 5: 0}},
            ALICE: {},
        }
    )
    assert state.accounts() == [ALICE, BOB]
    assert ALICE in state
    account = state.account(BOB)
    assert account is not None
    assert (account.balance, account.nonce, account.code) == (top, 2**64 - 1, b"\x60\x00")
    assert state.slots(BOB) == {top: 1, 0: top}
    assert state.storage(BOB, top) == 1
    empty = state.account(ALICE)
    assert empty is not None
    assert (empty.balance, empty.nonce, empty.code, empty.code_hash) == (0, 0, b"", EMPTY_CODE_HASH)


@pytest.mark.parametrize(
    ("accounts", "field"),
    [
        ({b"\xaa" * 19: {}}, "address"),
        ({"0xaa": {}}, "address"),
        ({ALICE: []}, "0xaAaAaAaaAaAaAaaAaAAAAAAAAaaaAaAaAaaAaaAa"),
        ({ALICE: {"balance": "1"}}, "balance"),
        ({ALICE: {"balance": -1}}, "balance"),
        ({ALICE: {"balance": 2**256}}, "balance"),
        ({ALICE: {"nonce": 2**64}}, "nonce"),
        ({ALICE: {"code": "0x0g"}}, "code"),
        ({ALICE: {"code": "00"}}, "code"),
        ({ALICE: {"storage": {0: 2**256}}}, "storage"),
        ({ALICE: {"colour": 1}}, "colour"),
    ],
)
def test_state_bad_field_is_named(accounts: Any, field: str) -> None:
    with pytest.raises(solder.InputError) as caught:
        solder.State(accounts)
    assert field in (caught.value.field or "")


def test_state_is_a_value() -> None:
    state = solder.State({ALICE: {"balance": 1}})
    root = state.root()
    assert solder.State({ALICE: {"balance": 1}}).root() == root
    assert solder.State({ALICE: {"balance": 2}}).root() != root


def test_state_without_accounts_is_something() -> None:
    assert solder.State()
    assert (solder.State() or None) is not None


@pytest.mark.parametrize("ratio", [-0.1, 1, 5.0, float("nan")])
def test_state_a_bad_error_ratio_is_named(ratio: float) -> None:
    with pytest.raises(solder.InputError) as caught:
        solder.State().estimate_gas(BOB, error_ratio=ratio)
    assert caught.value.field == "error_ratio"
