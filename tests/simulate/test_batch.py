import asyncio
import random
import threading
import time
from decimal import Decimal
from typing import Any, cast

import numpy as np
import pytest

import solder

ALICE, BOB, CAROL = b"\xaa" * 20, b"\xbb" * 20, b"\xcc" * 20
LOOP = bytes.fromhex("5b600056")


def adder() -> bytes:
    """Adds the first word of call data to slot 0, logs (topic: caller) the sum and returns it; reverts on 13."""
    head = "600035" + "80600d14" + "60{:02x}57"
    body = "60005401" + "80600055" + "600052" + "33" + "60206000a1" + "60206000f3"
    length = len(bytes.fromhex(head.format(0) + body))
    return bytes.fromhex(head.format(length) + body + "5b60006000fd")


@pytest.fixture
def state() -> solder.State:
    return solder.State({ALICE: {"balance": 10**18}, CAROL: {"code": adder(), "storage": {0: 100}}})


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_batch_calls_are_independent_and_in_order(state: solder.State) -> None:
    numbers = [random.Random(1).randrange(1, 10**6) for _ in range(3000)]
    calls = [{"to": CAROL, "data": word(number), "sender": ALICE} for number in numbers]
    seen = [state.simulate(calls, workers=workers, logs=True, diffs=True) for workers in (1, 2, 3)]
    for results in seen:
        assert results.ok
        assert results.integers() == [100 + number for number in numbers]
        assert results.gas_used.to_list() == seen[0].gas_used.to_list()
        assert results.logs is not None
        assert results.logs.column("call").to_list() == list(range(3000))
        assert results.logs.column("topic1").to_list() == [None] * 3000
        assert results.logs.column("topic0")[5] == ALICE.rjust(32, b"\0")
        assert results.diffs is not None
        slots = [i for i, field in enumerate(results.diffs.column("field").to_list()) if field == "slot"]
        after = results.diffs.column("after")
        assert [int.from_bytes(after[i], "big") for i in slots] == [100 + number for number in numbers]
    single = state.call(CAROL, word(numbers[7]), sender=ALICE)
    assert (single.gas_used, single.output) == (seen[0].gas_used[7], seen[0].output[7])


def test_batch_every_call_is_as_if_it_were_alone(state: solder.State) -> None:
    """Creations, self-destructs, reverts and rejections in between change nothing for their neighbours."""
    chance = random.Random(5)
    destroyer = state.set_code(BOB, bytes.fromhex("33ff")).set_balance(BOB, 5)
    kinds: list[dict[str, Any]] = [
        {"to": CAROL, "data": word(1)},
        {"to": CAROL, "data": word(13)},
        {"to": BOB},
        {"to": BOB, "value": 3, "sender": ALICE},
        {"to": None, "data": bytes.fromhex("600160005560016000f3"), "sender": ALICE},
        {"to": ALICE, "value": 10**19, "sender": ALICE},
        {"to": b"\x00" * 19 + b"\x03", "sender": ALICE},
        {"to": CAROL, "data": word(2), "gas_limit": 21_500},
        {"to": CAROL, "data": word(2), "access_list": [(CAROL, [0])]},
        {"to": ALICE, "sender": ALICE, "gas_price": 7},
    ]
    calls = [{"gas_limit": 1_000_000, "sender": BOB, **chance.choice(kinds)} for _ in range(400)]
    for fork in ("Berlin", "Cancun", "BPO2"):
        there = solder.State({owner: account_of(destroyer, owner) for owner in destroyer.accounts()}, fork=fork)
        results = there.simulate(calls, workers=2)
        names, gas, outputs = results.status_names(), results.gas_used, results.output
        for index, call in enumerate(calls):
            if names[index] == "rejected":
                with pytest.raises(solder.RejectedInput) as caught:
                    there.call(**call)
                assert results.errors[index] == str(caught.value), index
                continue
            alone = there.call(**call)
            assert (names[index], gas[index], outputs[index]) == (alone.status, alone.gas_used, alone.output), index
            assert results.created[index] == alone.created
        assert {"success", "revert", "rejected", "halt"} == set(names)


def account_of(state: solder.State, owner: bytes) -> dict[str, Any]:
    account = state.account(owner)
    assert account is not None
    return {"balance": account.balance, "nonce": account.nonce, "code": account.code, "storage": state.slots(owner)}


def test_batch_columns_and_templates_are_as_a_list(state: solder.State) -> None:
    numbers = list(range(1, 200))
    expected = state.simulate([{"to": CAROL, "data": word(number)} for number in numbers])
    whole = np.array(numbers, dtype=np.uint64)
    rows = np.frombuffer(b"".join(map(word, numbers)), dtype=np.uint8).reshape(-1, 32)
    for calls in (
        solder.Calls(CAROL, [word(number) for number in numbers]),
        solder.Calls([CAROL] * 199, ["0x" + word(number).hex() for number in numbers]),
        solder.Calls(CAROL, bytes(32), fields={0: numbers}),
        solder.Calls(CAROL, bytes(32), fields={0: whole}),
        solder.Calls(CAROL, bytes(32), fields={0: whole.astype(np.int64)}),
        solder.Calls(CAROL, bytes(32), fields={0: rows}),
        solder.Calls(np.frombuffer(CAROL * 199, dtype=np.uint8).reshape(-1, 20), bytes(32), fields={0: numbers}),
    ):
        assert len(calls) == 199
        results = state.simulate(calls)
        assert results.integers() == expected.integers()
        assert results.gas_used.to_list() == expected.gas_used.to_list()
    values = state.simulate(solder.Calls(BOB, sender=ALICE, value=[1, 2, 10**18 + 1])).status_names()
    assert values == ["success", "success", "rejected"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"to": [CAROL, BOB], "data": [b""]}, "data"),
        ({"to": CAROL, "data": [b"", b"\x01"], "value": [1]}, "data"),
        ({"to": CAROL, "data": bytes(31), "fields": {0: [1]}}, "fields"),
        ({"to": CAROL, "data": bytes(36), "fields": {4: [1, 2], 0: [1]}}, "fields"),
        ({"to": CAROL, "fields": {0: [1]}}, "fields"),
        ({"to": CAROL, "data": bytes(32), "fields": {0: 1}}, "fields[0]"),
        ({"to": CAROL, "data": bytes(32), "fields": {0: np.array([-1])}}, "fields[0]"),
        ({"to": CAROL, "data": bytes(32), "fields": {0: [2**256]}}, "fields[0]"),
        ({"to": CAROL, "data": ["0xz"]}, "data"),
        ({"to": np.zeros((3, 19), dtype=np.uint8)}, "to"),
        ({"to": CAROL, "gas_price": [2**128]}, "gas_price"),
    ],
)
def test_batch_bad_columns_are_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(solder.InputError) as caught:
        solder.Calls(**fields)
    assert caught.value.field == field


def test_batch_what_some_calls_leave_out_is_the_states(state: solder.State) -> None:
    calls: list[dict[str, Any]] = [
        {"to": CAROL, "data": word(1)},
        {"to": CAROL, "data": word(2), "sender": ALICE, "gas_limit": 100_000},
        {"to": CAROL, "data": word(3), "gas_limit": 5, "sender": None},
        {"to": BOB, "value": 1},
    ]
    results = state.prank(BOB).simulate(calls, logs=True)
    assert results.status_names() == ["success", "success", "rejected", "rejected"]
    assert results.logs is not None
    callers = [topic[-20:] for topic in results.logs.column("topic0").to_list()]
    assert callers == [BOB, ALICE]
    alone = state.prank(BOB).call(**calls[0])
    assert results.gas_used[0] == alone.gas_used


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ({"to": "0x12"}, "[1].to"),
        ({"to": CAROL, "data": "0x1"}, "[1].data"),
        ({"to": CAROL, "value": -5}, "[1].value"),
        ({"to": CAROL, "valeu": 5}, "[1].valeu"),
        ([], "[1]"),
    ],
)
def test_batch_a_bad_call_is_named(state: solder.State, call: Any, field: str) -> None:
    with pytest.raises(solder.InputError) as caught:
        state.simulate([{"to": CAROL}, call])
    assert caught.value.field == field


def test_batch_numbers_are_seen_without_a_copy(state: solder.State) -> None:
    results = state.simulate(solder.Calls(CAROL, bytes(32), fields={0: list(range(1, 50))}))
    gas = np.asarray(results.gas_used)
    again = np.asarray(results.gas_used)
    assert gas.dtype == np.uint64
    assert not gas.flags.writeable
    assert gas.__array_interface__["data"][0] == again.__array_interface__["data"][0]
    assert gas.tolist() == results.gas_used.to_list()
    assert memoryview(cast("Any", results.status)).format == "B"
    kept = np.asarray(state.simulate(solder.Calls(CAROL, bytes(32), fields={0: [1, 2]})).gas_used)
    assert kept.tolist() == kept.copy().tolist()
    with pytest.raises(BufferError):
        memoryview(cast("Any", results.output))


def test_batch_outputs_decode(state: solder.State) -> None:
    results = state.simulate(solder.Calls(CAROL, bytes(32), fields={0: [1, 13, 2**256 - 101]}))
    assert results.status_names() == ["success", "revert", "success"]
    assert results.integers() == [101, None, 2**256 - 1]
    assert results.integers(signed=True) == [101, None, -1]
    floats = np.asarray(results.floats(decimals=2, signed=True))
    assert floats[0] == 1.01
    assert np.isnan(floats[1])
    assert floats[2] == -0.01
    assert results.decimals(decimals=18) == [Decimal("1.01e-16"), None, exact(2**256 - 1, 18)]
    assert results.integers(1) == [None, None, None]


def exact(number: int, decimals: int) -> Decimal:
    digits = str(number)
    return Decimal(f"{digits[:-decimals]}.{digits[-decimals:]}")


def test_batch_none_and_one(state: solder.State) -> None:
    assert len(state.simulate([])) == 0
    assert repr(state.simulate([])) == "<Results 0: none>"
    assert repr(state.simulate([{"to": CAROL}])) == "<Results 1: 1 success>"
    assert state.simulate([{"to": CAROL}], output=False).output.to_list() == [b""]


def test_batch_progress_is_told_and_may_stop_it(state: solder.State) -> None:
    told: list[tuple[int, int]] = []
    loop = state.set_code(BOB, LOOP)
    calls = solder.Calls(BOB, gas_limit=3_000_000, sender=[ALICE] * 400)
    loop.simulate(calls, workers=2, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (400, 400)
    assert [done for done, _ in told] == sorted(done for done, _ in told)

    def stop(done: int, total: int) -> None:
        raise RuntimeError(f"{done} of {total}")

    start = time.monotonic()
    with pytest.raises(RuntimeError, match="of 100000"):
        loop.simulate(solder.Calls(BOB, gas_limit=30_000_000, sender=[ALICE] * 100_000), progress=stop)
    assert time.monotonic() - start < 5


def test_batch_async_runs_beside_the_loop_and_is_cancelled(state: solder.State) -> None:
    async def both() -> tuple[int, list[int | None]]:
        calls = solder.Calls(CAROL, bytes(32), fields={0: [1, 2, 3]})
        results = await state.aio.simulate(calls)
        loop = state.set_code(BOB, LOOP)
        long = asyncio.create_task(
            loop.aio.simulate(solder.Calls(BOB, gas_limit=30_000_000, sender=[ALICE] * 100_000), workers=1)
        )
        turns = 0
        while turns < 5:
            await asyncio.sleep(0.01)
            turns += 1
        long.cancel()
        with pytest.raises(asyncio.CancelledError):
            await long
        return turns, results.integers()

    start = time.monotonic()
    assert asyncio.run(both()) == (5, [101, 102, 103])
    assert time.monotonic() - start < 5


def test_batch_other_threads_run_meanwhile(state: solder.State) -> None:
    loop = state.set_code(BOB, LOOP)
    calls = solder.Calls(BOB, gas_limit=30_000_000, sender=[ALICE] * 20)
    worker = threading.Thread(target=loop.simulate, args=(calls,), kwargs={"workers": 1})
    worker.start()
    turns = 0
    while worker.is_alive():
        turns += 1
        time.sleep(0)
    worker.join()
    assert turns > 10


def test_batch_arrow_is_read_by_others(state: solder.State) -> None:
    pa = pytest.importorskip("pyarrow")
    results = state.simulate(solder.Calls(CAROL, bytes(32), fields={0: [1, 13, 3]}), logs=True)
    table = pa.table(results)
    assert table.column_names == ["status", "gas_used", "gas_refunded", "output", "created", "error"]
    assert str(table.schema.field("created").type) == "fixed_size_binary[20]"
    assert table["gas_used"].to_pylist() == results.gas_used.to_list()
    assert table["created"].to_pylist() == [None, None, None]
    gas = pa.array(results.gas_used)
    assert gas.buffers()[1].address == np.asarray(results.gas_used).__array_interface__["data"][0]
    logs = pa.table(results.logs)
    assert logs["call"].to_pylist() == [0, 2]
    assert str(logs.schema.field("topic0").type) == "fixed_size_binary[32]"
    assert logs["data"].to_pylist() == [word(101), word(103)]
