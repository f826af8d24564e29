import tarfile
from pathlib import Path
from typing import Any

import pytest

import solder

ALICE, BOB, MINER = b"\xaa" * 20, b"\xbb" * 20, b"\xee" * 20
TARGET = b"\xcc" * 20
ETHER = 10**18
# A runtime of one byte (STOP), deployed: PUSH1 1 PUSH1 31 RETURN returns memory[31], zero.
DEPLOY_STOP = bytes.fromhex("6001601ff3")
# Reverts with its call data.
REVERTER = bytes.fromhex("366000600037366000fd")
# Returns TIMESTAMP, NUMBER, COINBASE, CALLER in four words.
TELLER = bytes.fromhex("42600052436020524160405233606052608060 00f3".replace(" ", ""))
# Stores the first word of call data in slot 0; clears with zero.
SETTER = bytes.fromhex("60003560005500")
# Pays everything that it was sent to the coinbase.
BRIBER = bytes.fromhex("6000600060006000344161fffff100")
PANIC = bytes.fromhex("4e487b71") + (0x12).to_bytes(32, "big")
ERROR = bytes.fromhex("08c379a0") + (32).to_bytes(32, "big") + (2).to_bytes(32, "big") + b"no".ljust(32, b"\0")


@pytest.fixture
def state() -> solder.State:
    return solder.State({ALICE: {"balance": ETHER}, TARGET: {"code": TELLER}}, block={"beneficiary": MINER})


def test_one_call_is_thrown_away(state: solder.State) -> None:
    result = state.call(BOB, sender=ALICE, value=5)
    assert (result.ok, result.status, result.gas_used) == (True, "success", 21_000)
    assert (result.state, result.changes) == (None, None)
    assert state.account(BOB) is None


def test_one_call_sees_overrides_of_block_state_and_sender(state: solder.State) -> None:
    def told(**fields: Any) -> list[int]:
        output = state.call(TARGET, **fields).output
        return [int.from_bytes(output[at : at + 32], "big") for at in range(0, 128, 32)]

    assert told() == [1, 1, int.from_bytes(MINER, "big"), 0]
    block = {"timestamp": 7, "number": 8, "beneficiary": BOB}
    assert told(sender=BOB, block=block) == [7, 8, int.from_bytes(BOB, "big"), int.from_bytes(BOB, "big")]
    changed = state.call(TARGET, b"\x01", overrides={TARGET: {"code": REVERTER}})
    assert (changed.status, changed.output) == ("revert", b"\x01")
    assert state.warp(9).roll(10).call(TARGET).output[31] == 9


@pytest.mark.parametrize(
    ("data", "error", "panic"),
    [
        (ERROR, "no", None),
        (PANIC, "Panic(0x12): division or modulo by zero", 0x12),
        (b"\x01\x02\x03\x04", "custom error 0x01020304", None),
        (b"", None, None),
    ],
)
def test_one_revert_is_decoded(state: solder.State, data: bytes, error: str | None, panic: int | None) -> None:
    result = state.set_code(BOB, REVERTER).call(BOB, data)
    assert (result.status, result.output, result.error, result.panic) == ("revert", data, error, panic)
    with pytest.raises(solder.Reverted) as caught:
        state.set_code(BOB, REVERTER).estimate_gas(BOB, data)
    assert (caught.value.reason, caught.value.output) == (error, data)


def test_one_transact_keeps_and_refunds(state: solder.State) -> None:
    state = state.set_code(BOB, SETTER).set_storage(BOB, 0, 1)
    result = state.transact(BOB, bytes(32), sender=ALICE)
    assert result.ok
    assert result.gas_refunded == 4800
    assert result.state.storage(BOB, 0) == 0
    assert state.storage(BOB, 0) == 1
    assert result.changes is not None
    assert state.apply(result.changes).root() == result.state.root()
    alice = result.state.account(ALICE)
    assert alice is not None
    assert alice.nonce == 1


def test_one_deploy_gives_the_address(state: solder.State) -> None:
    result = state.deploy(DEPLOY_STOP, sender=ALICE)
    assert result.ok
    assert result.created is not None
    account = result.state.account(result.created)
    assert account is not None
    assert (account.code, account.nonce) == (b"\x00", 1)


def test_one_halt_says_why(state: solder.State) -> None:
    result = state.set_code(BOB, b"\xfe").call(BOB, gas_limit=50_000)
    assert (result.status, result.gas_used, result.error) == ("halt", 50_000, "invalid 0xFE opcode")


def test_one_invalid_transactions_are_rejected(state: solder.State) -> None:
    with pytest.raises(solder.RejectedInput, match="INSUFFICIENT_ACCOUNT_FUNDS"):
        state.call(BOB, sender=BOB, value=1)
    with pytest.raises(solder.RejectedInput, match="INTRINSIC_GAS_TOO_LOW"):
        state.call(BOB, gas_limit=20_999)
    with pytest.raises(solder.RejectedInput, match="NONCE_MISMATCH_TOO_HIGH"):
        state.transact(BOB, sender=ALICE, nonce=1)
    assert state.transact(BOB, sender=ALICE, nonce=0).ok


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"to": "0xzz"}, "to"),
        ({"to": BOB, "data": "nothex"}, "data"),
        ({"to": BOB, "value": -1}, "value"),
        ({"to": BOB, "value": 2**256}, "value"),
        ({"to": BOB, "gas_limit": 2**64}, "gas_limit"),
        ({"to": BOB, "gas_price": 2**128}, "gas_price"),
        ({"to": BOB, "access_list": [BOB]}, "access_list[0]"),
        ({"to": BOB, "block": {"colour": 1}}, "block.colour"),
        ({"to": BOB, "overrides": {BOB: {"colour": 1}}}, "colour"),
        ({"to": BOB, "overrides": {"0x11": {}}}, "overrides"),
    ],
)
def test_one_bad_argument_is_named(state: solder.State, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(solder.InputError) as caught:
        state.call(**fields)
    assert field in (caught.value.field or "")


def test_one_estimate_is_enough_and_not_much_more(state: solder.State) -> None:
    assert state.estimate_gas(BOB, sender=ALICE, value=1) == 21_000
    setter = state.set_code(BOB, SETTER)
    data = (7).to_bytes(32, "big")
    exact = setter.estimate_gas(BOB, data, sender=ALICE, error_ratio=0)
    assert setter.call(BOB, data, sender=ALICE, gas_limit=exact).ok
    assert not setter.call(BOB, data, sender=ALICE, gas_limit=exact - 1).ok
    near = setter.estimate_gas(BOB, data, sender=ALICE)
    assert exact <= near <= exact * 1.02
    # What the sender cannot pay for is not tried.
    with pytest.raises(solder.RejectedInput, match=r"INTRINSIC_GAS_TOO_LOW|INSUFFICIENT"):
        setter.estimate_gas(BOB, data, sender=ALICE, gas_price=ETHER)


def test_one_access_list_is_what_is_used(state: solder.State) -> None:
    # PUSH1 1 SLOAD PUSH20 BOB BALANCE
    code = bytes.fromhex("600154" + "73" + BOB.hex() + "31")
    reader = state.set_code(TARGET, code)
    listed, result = reader.access_list(TARGET, sender=ALICE)
    assert listed == [(BOB, []), (TARGET, [(1).to_bytes(32, "big")])]
    assert reader.call(TARGET, sender=ALICE, access_list=listed).gas_used == result.gas_used
    assert state.access_list(BOB, sender=ALICE)[0] == []


def test_one_bundle_pays_the_coinbase(state: solder.State) -> None:
    state = state.set_code(BOB, BRIBER)
    txs = [
        {"to": BOB, "sender": ALICE, "value": 1000},
        {"to": ALICE, "sender": ALICE, "gas_price": 3},
        {"to": ALICE, "sender": ALICE, "value": 10 * ETHER},
    ]
    result = state.bundle(txs)
    assert [one.status for one in result.results] == ["success", "success", "rejected"]
    assert [one.coinbase_payment for one in result.results] == [1000, 63_000, 0]
    assert [one.coinbase_fees for one in result.results] == [0, 63_000, 0]
    assert result.coinbase_payment == 64_000
    miner = result.state.account(MINER)
    assert miner is not None
    assert miner.balance == 64_000
    assert not result.ok
    atomic = state.bundle(txs, atomic=True)
    assert (atomic.ok, atomic.coinbase_payment, len(atomic.changes)) == (False, 0, 0)
    assert atomic.state.root() == state.root()


def test_one_list_has_the_outcome_of_a_series(state: solder.State) -> None:
    txs: list[dict[str, Any]] = [{"to": BOB if n % 3 else MINER, "sender": ALICE, "value": n} for n in range(60)]
    outcomes = []
    for workers, forced in ((1, False), (2, True), (4, True)):
        result, after = state.execute(txs, workers=workers, forced=forced)
        outcomes.append((after.root(), result.gas_used, result.receipts_root))
        assert isinstance(after, solder.State)
    assert len(set(outcomes)) == 1
    one_by_one = state
    for tx in txs:
        one_by_one = one_by_one.transact(**tx).state
    assert one_by_one.root() == outcomes[0][0]


def test_one_list_meets_its_policy(state: solder.State) -> None:
    txs = [{"to": BOB, "sender": ALICE, "value": 1}, {"to": BOB, "sender": BOB, "value": ETHER}]
    with pytest.raises(solder.RejectedInput) as caught:
        state.execute(txs)
    assert (caught.value.index, caught.value.code) == (1, "TransactionException.INSUFFICIENT_ACCOUNT_FUNDS")
    result, after = state.execute(txs, policy="skip")
    assert [skip[:2] for skip in result.skipped] == [(1, "TransactionException.INSUFFICIENT_ACCOUNT_FUNDS")]
    bob = after.account(BOB)
    assert bob is not None
    assert bob.balance == 1


def test_one_deal_finds_the_slot_of_a_token(state: solder.State, data_file: Any) -> None:
    with tarfile.open(data_file("bytecodes/bytecodes.tar.xz")) as archive:
        codes = {
            Path(member.name).name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive.getmembers()
            if member.name.endswith(("cuevm_erc20_transfer.hex", "revmc_weth_cccccc.hex"))
        }
    for code in codes.values():
        token = state.set_code(TARGET, bytes.fromhex(code.decode().strip()))
        dealt = token.deal(BOB, 12_345, token=TARGET)
        asked = dealt.call(TARGET, bytes.fromhex("70a08231") + BOB.rjust(32, b"\0"))
        assert int.from_bytes(asked.output, "big") == 12_345
        assert token.call(TARGET, bytes.fromhex("70a08231") + BOB.rjust(32, b"\0")).output == bytes(32)
    with pytest.raises(solder.InputError, match="does not answer"):
        state.set_code(TARGET, b"\xfe").deal(BOB, 1, token=TARGET)
    with pytest.raises(solder.InputError, match="no slot"):
        # Answers 7, from nowhere.
        state.set_code(TARGET, bytes.fromhex("600760005260206000f3")).deal(BOB, 1, token=TARGET)
