"""A plugin of pytest: the fixture ``evm`` is a fresh sandbox for each test (see docs/pytest.md).

    def test_transfer(evm):
        alice = evm.actor("alice", balance=10**18)
        with evm.reverts("not the owner"):
            evm.transact(token, data, sender=alice)
        evm.gas_snapshot("transfer", evm.transact(...))

pytest finds it by its entry point. Whatever is not needed to know the options is imported by the tests that use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from solder.pytest_plugin.session import GasSession

if TYPE_CHECKING:
    from collections.abc import Generator

    from solder.pytest_plugin.sandbox import Evm
    from solder.state import State

__all__ = ["evm", "evm_state"]

_EVM = pytest.StashKey["Evm"]()
_STATES = pytest.StashKey[dict[Any, Any]]()
_GAS = pytest.StashKey[GasSession]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the command line and of the project's file."""
    group = parser.getgroup("solder", "Ethereum Virtual Machine")
    group.addoption("--update-gas-snapshots", action="store_true", help="Write the gas that tests use to the file.")
    group.addoption("--gas-tolerance", metavar="PERCENT", help="By how much gas may differ (evm_gas_tolerance).")
    parser.addini("evm_state", "What tests begin with: a saved state, accounts, a genesis file, a block folder.")
    parser.addini("evm_fork", "The fork of tests that name no state.")
    parser.addini("evm_rpc", "URL of a node whose state tests begin with.")
    parser.addini("evm_block", "The block of that node: a number, or latest.")
    parser.addini("evm_gas_snapshots", "The file of gas snapshots.", default=".gas-snapshot.json")
    parser.addini("evm_gas_tolerance", "By how many percent gas may differ.", default="0")


def pytest_configure(config: pytest.Config) -> None:
    """Markers, and whoever collects measurements."""
    config.addinivalue_line("markers", "evm(state=, fork=, block=, after=, rpc=): what the fixture evm begins with")
    config.addinivalue_line("markers", "gas_snapshot: record the gas of all transactions of the test")
    session = GasSession(config)
    config.stash[_GAS] = session
    config.pluginmanager.register(session, "solder-gas")


@pytest.fixture
def evm_state(request: pytest.FixtureRequest) -> State:
    """The state that ``evm`` begins with: by the marker ``evm``, else by the project's options. Override it freely."""
    from solder.pytest_plugin.sources import source_of

    source = source_of(request.node)
    if source.key is None:
        return source.load()
    states = request.config.stash.setdefault(_STATES, {})
    if source.key not in states:
        states[source.key] = source.load()
    found: State = states[source.key]
    return found


@pytest.fixture
def evm(request: pytest.FixtureRequest, evm_state: State) -> Evm:
    """A sandbox for this test alone (``solder.pytest_plugin.sandbox.Evm``)."""
    from solder.pytest_plugin.sandbox import Evm

    sandbox = Evm(evm_state)
    request.node.stash[_EVM] = sandbox
    return sandbox


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """After a test that passes: its gas against the file's."""
    yield
    sandbox = item.stash.get(_EVM, None)
    if sandbox is not None:
        item.config.stash[_GAS].check(item, sandbox.record)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """To a test that failed: what it called last, and how the call that failed went."""
    sandbox = item.stash.get(_EVM, None)
    if sandbox is None or call.when == "teardown" or call.excinfo is None:
        return (yield)
    from solder.pytest_plugin.failures import end_at_the_test, sections

    end_at_the_test(call.excinfo.value)
    report = yield
    if report.failed:
        report.sections.extend(sections(sandbox, call.excinfo.value))
    return report
