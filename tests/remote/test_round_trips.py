"""How often one waits for the node, counted by the proxy before it: 50 ms of latency, batches of at most 100."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import contracts
from .contracts import Deployed, amount, call_data, holder

if TYPE_CHECKING:
    from collections.abc import Callable

    import solder

    from .proxy import Proxy

LATENCY = 0.05
BATCH = 100


@pytest.mark.parametrize("verify", ["auto", "never"])
def test_round_trips_of_a_thousand_balances(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed, verify: str
) -> None:
    proxy.latency = LATENCY
    state = remote(verify=verify)
    results = state.simulate(deployed.balances(), workers=1)
    assert results.ok
    balances = [int.from_bytes(output) for output in results.output.to_list()]
    assert balances == [amount(t, h) for t in range(contracts.TOKENS) for h in range(contracts.HOLDERS)]
    status = state.remote_status()
    assert status is not None
    assert proxy.waves <= 4
    assert status["round_trips"] <= 4
    assert proxy.largest <= BATCH
    assert status["verified"] == (verify == "auto")
    if verify == "auto":
        # With proofs a request answers for many slots, so that there is one message a round trip.
        assert proxy.requests <= 4
    again = proxy.requests
    assert state.simulate(deployed.balances(), workers=2).output.to_list() == results.output.to_list()
    assert proxy.requests == again


def test_round_trips_of_a_transfer(remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed) -> None:
    proxy.latency = LATENCY
    state = remote()
    data = call_data("transfer(address,uint256)", holder(1), 5)
    result = state.call(deployed.tokens[3], data, sender=holder(0))
    assert result.ok
    assert len(result.logs) == 1
    assert proxy.requests <= 8


def test_round_trips_of_a_swap(remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed) -> None:
    proxy.latency = LATENCY
    state = remote()
    to, data = deployed.swap()
    result = state.call(to, data)
    assert result.ok, result.error
    assert proxy.requests <= 20
    # The pool pays out a little less than it gets: a fee of 0.3 %.
    paid = -int.from_bytes(result.output[32:64], signed=True)
    assert 0.99 * 10**18 < paid < 0.9971 * 10**18


def test_round_trips_are_none_when_everything_is_known(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed
) -> None:
    state = remote()
    to, data = deployed.swap()
    first = state.call(to, data)
    before = proxy.requests
    assert state.call(to, data).gas_used == first.gas_used
    assert state.transact(to, data).ok
    assert state.set_balance(holder(0), 5).prank(holder(1)).call(to, data).ok
    assert proxy.requests <= before + 3
