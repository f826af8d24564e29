"""``with evm.reverts(...)`` on real code: what matches, what does not, and what a mismatch says."""

import re
from typing import Any

import pytest

import solder
from solder.pytest_plugin.sandbox import Evm

from .contracts import COUNTER, INVALID, LOOP, OWNER, custom, panicking, text_revert, word

THERE = b"\xcc" * 20
TOO_LITTLE = "TooLittle(uint256,uint256)"
CODES = {
    "text": text_revert("not the owner"),
    "panic": panicking(0x12),
    "custom": custom(TOO_LITTLE, 5, 10),
    "bare": COUNTER,
    "halt": INVALID,
    "loop": LOOP,
}


def sandbox(kind: str) -> Evm:
    return Evm(solder.State({OWNER: {"balance": 10**18}, THERE: {"code": CODES[kind]}}))


def fail(there: Evm) -> None:
    there.call(THERE, word(13), sender=OWNER, gas_limit=100_000)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("text", None),
        ("text", "not the owner"),
        ("text", re.compile("the own")),
        ("panic", 0x12),
        ("panic", "division or modulo by zero"),
        ("panic", "Panic(0x12)"),
        ("panic", re.compile("zero$")),
        ("custom", TOO_LITTLE),
        ("custom", None),
        ("bare", None),
        ("halt", "invalid 0xFE opcode"),
        ("loop", "out of gas"),
        ("loop", None),
    ],
)
def test_reverts_as_expected(kind: str, reason: Any) -> None:
    there = sandbox(kind)
    with there.reverts(reason) as caught:
        fail(there)
    assert caught.error is not None
    assert caught.error.status == ("halt" if kind in {"halt", "loop"} else "revert")


@pytest.mark.parametrize(
    ("kind", "reason", "message"),
    [
        ("text", "not the own", "expected 'not the own', but it failed with 'not the owner'"),
        ("text", re.compile("^the"), "expected a revert that matches '^the', but it failed with 'not the owner'"),
        ("text", 0x11, "expected Panic(0x11), but it failed with 'not the owner'"),
        ("panic", 0x11, "expected Panic(0x11), but it failed with 'Panic(0x12): division or modulo by zero'"),
        ("panic", "0x12", "expected '0x12', but it failed with 'Panic(0x12): division or modulo by zero'"),
        ("custom", "TooMuch(uint256)", "expected 'TooMuch(uint256)', but it failed with 'custom error 0x"),
        ("bare", "no", "expected 'no', but it failed with revert without a reason"),
        ("halt", "out of gas", "expected 'out of gas', but it failed with halt: invalid 0xFE opcode"),
    ],
)
def test_reverts_another_one_fails(kind: str, reason: Any, message: str) -> None:
    there = sandbox(kind)
    with pytest.raises(AssertionError) as caught, there.reverts(reason):
        fail(there)
    assert message in str(caught.value)
    assert isinstance(caught.value.__cause__, solder.Reverted)


def test_reverts_nothing_fails() -> None:
    there = sandbox("bare")
    with pytest.raises(AssertionError, match="expected 'no', but nothing reverted"), there.reverts("no"):
        there.call(THERE, word(1))


def test_reverts_other_exceptions_pass_through() -> None:
    there = sandbox("bare")
    with pytest.raises(solder.RejectedInput, match="INSUFFICIENT"), there.reverts():
        there.transact(THERE, value=1)
    with pytest.raises(ZeroDivisionError), there.reverts():
        divmod(1, 0)


@pytest.mark.parametrize("reason", [True, 1.5, b"no", -1, 2**256])
def test_reverts_a_bad_reason_is_an_input_error(reason: Any) -> None:
    with pytest.raises(solder.InputError) as caught:
        sandbox("bare").reverts(reason)
    assert caught.value.field == "reason"


def test_reverts_arguments_by_place_and_name() -> None:
    there = sandbox("custom")
    with there.reverts(TOO_LITTLE, 5, 10):
        fail(there)
    with pytest.raises(AssertionError, match="its arguments are"), there.reverts(TOO_LITTLE, 5, 11):
        fail(there)
    with pytest.raises(AssertionError, match="no argument 'left'"), there.reverts(TOO_LITTLE, left=5):
        fail(there)
    with pytest.raises(AssertionError, match="its arguments are"), there.reverts(TOO_LITTLE, 5):
        fail(there)
    named = "TooLittle(uint256 left, uint256 asked)"
    with there.reverts(named, left=5):
        fail(there)
    with pytest.raises(AssertionError, match="left is 5"), there.reverts(named, left=6):
        fail(there)


def test_reverts_a_name_that_an_abi_knows() -> None:
    there = sandbox("custom")
    there.know(["error TooLittle(uint256 left, uint256 asked)"])
    with there.reverts("TooLittle", 5, 10):
        fail(there)
    with there.reverts("TooLittle", asked=10):
        fail(there)
    with pytest.raises(AssertionError, match=r"failed with TooLittle\(left=5, asked=10\)"), there.reverts("TooMuch"):
        fail(there)


def test_reverts_addresses_are_compared_as_such() -> None:
    there = Evm(solder.State({THERE: {"code": custom("Denied(address)", int.from_bytes(OWNER, "big"))}}))
    name = "0x" + OWNER.hex()
    for who in (OWNER, name, name.upper().replace("X", "x")):
        with there.reverts("Denied(address who)", who=who):
            fail(there)
    with pytest.raises(AssertionError, match="who is"), there.reverts("Denied(address who)", who=THERE):
        fail(there)


def test_evm_a_failing_call_raises_with_its_reason() -> None:
    there = sandbox("text")
    with pytest.raises(solder.Reverted, match="not the owner"):
        there.transact(THERE, sender=OWNER)
    account = there.state.account(OWNER)
    assert account is not None
    assert account.nonce == 1
    with pytest.raises(solder.Reverted, match="not the owner"):
        there.bundle([{"to": THERE}])
    with pytest.raises(solder.RejectedInput) as rejected, there.reverts():
        there.bundle([{"to": OWNER}, {"to": OWNER, "value": 1}])
    assert (rejected.value.code, rejected.value.index) == ("TransactionException.INSUFFICIENT_ACCOUNT_FUNDS", 1)
    assert there.state.call(THERE).status == "revert"
    with pytest.raises(solder.Reverted):
        there.deploy(b"\xfe", gas_limit=100_000)


def test_evm_actors_are_the_same_for_a_name() -> None:
    there = sandbox("bare")
    alice = there.actor("alice", balance=7)
    assert (len(alice), there.actor("alice"), there.actor("bob") == alice) == (20, alice, False)


PAYER = [
    "function pay(uint256 amount) returns (uint256)",
    "function total() view returns (uint256)",
    "error TooLittle(uint256 left, uint256 asked)",
]


def test_evm_contracts_raise_and_are_expected() -> None:
    """A contract on the fixture's sandbox: failures are raised once, decoded by its own interface."""
    there = sandbox("custom")
    payer = solder.Contract(PAYER, THERE, there)
    with there.reverts("TooLittle", 5, asked=10) as caught:
        payer.pay.transact(7, sender=OWNER)
    assert caught.error is not None
    assert caught.error.reason == "TooLittle(left: 5, asked: 10)"
    with there.reverts("TooLittle(uint256,uint256)"):
        payer.pay(7)
    failed = payer.pay.call(7, check=False)
    assert (failed.ok, failed.error) == (False, "TooLittle(left: 5, asked: 10)")
    with pytest.raises(AssertionError, match=r"TooMuch.*but it failed with TooLittle"), there.reverts("TooMuch"):
        payer.pay(7)


def test_evm_contracts_move_the_sandbox_on() -> None:
    # Adds its argument (call data from byte 4) to slot 0 and returns the sum.
    adder = bytes.fromhex("60043560005401806000556000526020 6000f3".replace(" ", ""))
    there = Evm(solder.State({THERE: {"code": adder}}))
    payer = solder.Contract(PAYER, THERE, there)
    first = payer.pay.transact(5)
    assert there.gas_snapshot("first") == first.gas_used
    assert payer.pay(0) == 5
    with there.anchor():
        payer.pay.transact(5)
        assert payer.pay(0) == 10
    assert payer.pay(0) == 5
    assert there.storage(THERE, 0) == 5
