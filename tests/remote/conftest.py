"""The node with its contracts, once for all tests here, and a fresh count on the proxy before it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

import solder

from . import contracts
from .node import AbsentError, Node
from .proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """Anvil. Where it cannot be had the test is skipped; in CI it fails, unless absence is meant."""
    try:
        running = Node()
    except AbsentError as absent:
        meant = os.environ.get("SOLDER_CI") != "1" or os.environ.get("SOLDER_NO_DATA") == "1"
        (pytest.skip if meant else pytest.fail)(f"no node: {absent}")
    yield running
    running.close()


@pytest.fixture(scope="session")
def deployed(node: Node) -> contracts.Deployed:
    """Tokens, a pool, and the block at which they are."""
    return contracts.deploy(node)


@pytest.fixture(scope="session")
def shared_proxy(node: Node) -> Iterator[Proxy]:
    """One for all tests: `proxy` resets it."""
    running = Proxy(node.url)
    yield running
    running.close()


@pytest.fixture
def proxy(shared_proxy: Proxy) -> Iterator[Proxy]:
    """The proxy with its counts at zero, quick and honest."""
    shared_proxy.reset()
    shared_proxy.latency = 0.0
    yield shared_proxy
    shared_proxy.reset()


@pytest.fixture
def remote(proxy: Proxy, deployed: contracts.Deployed) -> Callable[..., solder.State]:
    """Opens the state with everything deployed, through the proxy."""

    def open_state(**fields: Any) -> solder.State:
        fields = {"block": deployed.block, "fork": "Prague", "attempts": 2, "timeout_s": 10.0, **fields}
        return solder.State.remote(proxy.url, **fields)

    return open_state
