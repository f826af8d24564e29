"""Reads of a node beside an event loop: the loop goes on, and a cancelled task waits for nobody."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

import solder
from solder.state import in_thread

from .contracts import amount, call_data, holder

if TYPE_CHECKING:
    from collections.abc import Callable

    from .contracts import Deployed
    from .proxy import Proxy


def test_asynchronous_calls_wait_together(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed
) -> None:
    state = remote()
    proxy.latency = 0.1

    async def read() -> tuple[list[int], int]:
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.005)
                turns += 1

        beside = asyncio.create_task(turn())
        asked = [state.aio.call(token, call_data("balanceOf(address)", holder(8))) for token in deployed.tokens[:4]]
        results = await asyncio.gather(*asked)
        beside.cancel()
        return [int.from_bytes(result.output, "big") for result in results], turns

    balances, turns = asyncio.run(read())
    assert balances == [amount(index, 8) for index in range(4)]
    assert turns >= 10


def test_asynchronous_cancelling_waits_for_nobody(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed
) -> None:
    state = remote(timeout_s=5.0)
    proxy.latency = 2.0
    data = call_data("balanceOf(address)", holder(9))

    async def cancelled() -> None:
        for waiting in (
            state.aio.call(deployed.tokens[5], data),
            state.aio.simulate([{"to": token, "data": data} for token in deployed.tokens], workers=2),
            state.aio.balance(holder(3)),
            state.aio.estimate_gas(deployed.tokens[6], data),
        ):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(waiting, 0.1)

    start = time.monotonic()
    asyncio.run(cancelled())
    assert time.monotonic() - start < 1.5
    # What was given up did no harm: the same state answers, from the same node.
    proxy.latency = 0.0
    output = state.call(deployed.tokens[5], data).output
    assert int.from_bytes(output, "big") == amount(5, 9)


def test_asynchronous_a_silent_node_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()

        async def opened() -> None:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            await asyncio.wait_for(in_thread(solder.State.remote, url, timeout_s=5.0), 0.1)

        start = time.monotonic()
        with pytest.raises(TimeoutError):
            asyncio.run(opened())
        assert time.monotonic() - start < 1
        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("asyncio")] == []
