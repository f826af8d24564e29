"""What may wait, beside an event loop: results of the plain methods; a cancelled task leaves nothing running."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import solder
from solder.state import in_thread

ALICE, BOB, CAROL = b"\xaa" * 20, b"\xbb" * 20, b"\xcc" * 20
LOOP = bytes.fromhex("5b600056")
# Adds one to slot 0 and returns it.
COUNTER = bytes.fromhex("60005460010180600055600052" + "60206000f3")
ENDLESS = 2**62
"""Gas for some centuries."""


@pytest.fixture
def state() -> solder.State:
    accounts: dict[bytes, Any] = {ALICE: {"balance": 10**18}, BOB: {"code": LOOP}, CAROL: {"code": COUNTER}}
    return solder.State(accounts, block={"gas_limit": 2**63})


def falls_silent(seconds: float = 2) -> bool:
    """Whether soon no other thread of this process takes time."""
    until = time.monotonic() + seconds
    while busy_threads():
        if time.monotonic() > until:
            return False
    return True


def busy_threads() -> int:
    """Other threads of this process that are busy, by the time that they take."""
    busy = 0
    for task in Path("/proc/self/task").iterdir():
        before = ticks(task)
        time.sleep(0.03)
        after = ticks(task)
        busy += (
            before is not None and after is not None and task.name != str(threading.get_native_id()) and after > before
        )
    return busy


def ticks(task: Path) -> int | None:
    try:
        fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return int(fields[11]) + int(fields[12])


def test_aio_gives_what_the_methods_give(state: solder.State) -> None:
    async def all_of() -> None:
        there = state.aio
        assert there.state is state
        plain = state.call(CAROL)
        called = await there.call(CAROL)
        assert (called.output, called.gas_used) == (plain.output, plain.gas_used)
        kept = await there.transact(CAROL, sender=ALICE)
        assert kept.state.storage(CAROL, 0) == 1
        assert isinstance(kept.state, solder.State)
        assert await there.storage(CAROL, 0) == 0
        account = await there.account(ALICE)
        assert account is not None
        assert account.balance == 10**18
        assert await there.root() == state.root()
        assert await there.estimate_gas(CAROL) == state.estimate_gas(CAROL)
        assert (await there.access_list(CAROL))[0] == state.access_list(CAROL)[0]
        assert (await there.deploy(bytes.fromhex("6001601ff3"), sender=ALICE)).created is not None
        assert (await there.bundle([{"to": CAROL}] * 3)).state.storage(CAROL, 0) == 3
        result, after = await there.execute(
            [{"to": CAROL, "sender": ALICE, "gas_price": 7}] * 2, block={"gas_limit": 2**26}
        )
        assert (len(result.receipts), after.storage(CAROL, 0)) == (2, 2)
        assert (await there.simulate([{"to": CAROL}] * 5)).integers() == [1] * 5
        assert (await there.deal(BOB, 5)).account(BOB).balance == 5  # type: ignore[union-attr]
        assert repr(there).startswith("<AsyncState of <State")

    asyncio.run(all_of())


def test_aio_errors_are_those_of_the_methods(state: solder.State) -> None:
    async def both() -> None:
        with pytest.raises(solder.InputError, match="to"):
            await state.aio.call("0xzz")
        with pytest.raises(solder.RejectedInput, match="INSUFFICIENT"):
            await state.aio.call(BOB, sender=BOB, value=1)
        with pytest.raises(ZeroDivisionError):
            await in_thread(divmod, 1, 0)

    asyncio.run(both())


def test_aio_many_calls_wait_at_once(state: solder.State) -> None:
    async def many() -> list[int]:
        results = await asyncio.gather(*(state.aio.call(CAROL) for _ in range(50)))
        return [int.from_bytes(result.output, "big") for result in results]

    assert asyncio.run(many()) == [1] * 50


WORK: dict[str, Callable[[solder.State], Awaitable[object]]] = {
    "call": lambda state: state.aio.call(BOB, gas_limit=ENDLESS),
    "call on the caller's thread": lambda state: in_thread(spin, state),
    "transact": lambda state: state.aio.transact(BOB, gas_limit=ENDLESS),
    "estimate_gas": lambda state: state.aio.estimate_gas(BOB, gas_limit=ENDLESS),
    "access_list": lambda state: state.aio.access_list(BOB, gas_limit=ENDLESS),
    "bundle": lambda state: state.aio.bundle([{"to": BOB, "gas_limit": ENDLESS}]),
    "execute": lambda state: state.aio.execute(
        [{"to": BOB, "sender": ALICE, "gas_limit": 2**24, "gas_price": 7}] * 10_000, workers=2, policy="skip"
    ),
    "simulate": lambda state: state.aio.simulate([{"to": BOB, "gas_limit": ENDLESS}] * 100, workers=2),
}


def spin(state: solder.State) -> None:
    """Short calls without end: each is below what runs on a thread of its own."""
    while True:
        state.call(BOB, gas_limit=40_000_000)


@pytest.mark.parametrize("name", WORK)
def test_aio_cancelling_ends_the_work(state: solder.State, name: str) -> None:
    async def cancelled() -> float:
        task = asyncio.ensure_future(WORK[name](state.set_balance(ALICE, 10**30)))
        await asyncio.sleep(0.1)
        assert not task.done()
        start = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - start

    start = time.monotonic()
    # Ending the loop waits for its executor's threads: it would never return.
    assert asyncio.run(cancelled()) < 0.05
    assert time.monotonic() - start < 3
    assert falls_silent()


def test_aio_a_time_out_is_a_cancellation(state: solder.State) -> None:
    async def waited() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(state.aio.call(BOB, gas_limit=ENDLESS), 0.1)
        assert (await state.aio.call(CAROL)).ok

    asyncio.run(waited())


def test_aio_a_cancelled_thread_works_on(state: solder.State) -> None:
    """The flag belongs to what was cancelled, not to the thread that ran it."""
    cancellation = solder._native.Cancellation()
    cancellation.cancel()
    with pytest.raises(solder.Fault, match="CANCELLED"):
        cancellation.run(state.call, BOB, gas_limit=ENDLESS)
    with pytest.raises(solder.Fault, match="CANCELLED"):
        cancellation.run(state.call, BOB, gas_limit=1_000_000)
    assert state.call(CAROL).ok
    assert solder._native.Cancellation().run(state.call, CAROL).ok
