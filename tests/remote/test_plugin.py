"""The fixture ``evm`` on the state of a node: fresh for each test, read once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

# Loaded before the inner runs: they forget what they load first, and classes would come twice.
import solder.pytest_plugin.failures
import solder.pytest_plugin.sources  # noqa: F401

from .contracts import amount, call_data, holder

if TYPE_CHECKING:
    from .contracts import Deployed
    from .proxy import Proxy

pytest_plugins = ["pytester"]

TEST = """
import pytest

@pytest.mark.parametrize("place", range(5))
def test_transfer(evm, place):
    assert int.from_bytes(evm.call({token!r}, {asked!r}).output, "big") == {amount}
    evm.transact({token!r}, {sent!r}, sender={holder!r})
    assert int.from_bytes(evm.call({token!r}, {asked!r}).output, "big") == {amount} - 1
"""


@pytest.mark.parametrize("by_options", [False, True])
def test_plugin_begins_with_the_state_of_a_node(
    pytester: pytest.Pytester, proxy: Proxy, deployed: Deployed, *, by_options: bool
) -> None:
    body = TEST.format(
        token=deployed.tokens[0],
        asked=call_data("balanceOf(address)", holder(7)),
        sent=call_data("transfer(address,uint256)", holder(1), 1),
        holder=holder(7),
        amount=amount(0, 7),
    )
    fields = {"evm_rpc": proxy.url, "evm_block": str(deployed.block), "evm_fork": "Prague"}
    options = "\n".join(f"{name} = {value}" for name, value in fields.items()) if by_options else ""
    pytester.makeini(f"[pytest]\naddopts = -p no:cacheprovider\n{options}\n")
    marker = f"pytestmark = pytest.mark.evm(rpc={proxy.url!r}, block={deployed.block}, fork='Prague')\n"
    pytester.makepyfile(test_it=body if by_options else body.replace("import pytest\n", f"import pytest\n{marker}", 1))
    pytester.runpytest_inprocess("-q").assert_outcomes(passed=5)
    # One test or five: what was read once is there.
    before = proxy.requests
    assert before <= 12
    pytester.runpytest_inprocess("-q", "-k", "0").assert_outcomes(passed=1)
    assert proxy.requests - before == before
