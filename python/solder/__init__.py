"""Solder: an execution engine for the Ethereum Virtual Machine, driven from Python.

    import solder

    block, state = solder.load_block("examples/blocks/19933122")
    result = solder.execute_block(block, state)
    result.gas_used, result.receipts_root, len(result.changes)

This file is the public interface, and nothing else is. Names are imported when they are first used, so that
``import solder`` costs a few milliseconds; the native module ``solder._native`` is private.
"""

# Known to type checkers by its name; importing typing would cost more than all the rest of this file.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from solder.chain import (
        Block,
        Chain,
        Header,
        Log,
        Receipt,
        Transaction,
        find_blocks,
        load_block,
        load_blocks,
    )
    from solder.config import Config, show_versions, versions
    from solder.contract import Abi, Contract
    from solder.engine import BlockResult, ParallelReport, ReplayReport, Schedule, execute_block, replay_block
    from solder.errors import Fault, InputError, RejectedInput, SolderError, UnknownFork
    from solder.simulate import CallResult, Calls, Results, Reverted
    from solder.spec import CaseResult, Parallel, Suite, Tally, run_blocktests, run_statetests
    from solder.state import Account, AccountChange, ChangeSet, Sandbox, State

__all__ = [
    "Abi",
    "Account",
    "AccountChange",
    "Block",
    "BlockResult",
    "CallResult",
    "Calls",
    "CaseResult",
    "Chain",
    "ChangeSet",
    "Config",
    "Contract",
    "Fault",
    "Header",
    "InputError",
    "Log",
    "Parallel",
    "ParallelReport",
    "Receipt",
    "RejectedInput",
    "ReplayReport",
    "Results",
    "Reverted",
    "Sandbox",
    "Schedule",
    "SolderError",
    "State",
    "Suite",
    "Tally",
    "Transaction",
    "UnknownFork",
    "execute_block",
    "find_blocks",
    "load_block",
    "load_blocks",
    "replay_block",
    "run_blocktests",
    "run_statetests",
    "show_versions",
    "versions",
]

_HOME = {
    "chain": ("Block", "Chain", "Header", "Log", "Receipt", "Transaction", "find_blocks", "load_block", "load_blocks"),
    "config": ("Config", "show_versions", "versions"),
    "contract": ("Abi", "Contract"),
    "engine": ("BlockResult", "ParallelReport", "ReplayReport", "Schedule", "execute_block", "replay_block"),
    "errors": ("Fault", "InputError", "RejectedInput", "SolderError", "UnknownFork"),
    "simulate": ("CallResult", "Calls", "Results", "Reverted"),
    "spec": ("CaseResult", "Parallel", "Suite", "Tally", "run_blocktests", "run_statetests"),
    "state": ("Account", "AccountChange", "ChangeSet", "Sandbox", "State"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name from its module, once."""
    from importlib import import_module

    if name == "__version__":
        value: object = import_module("solder._native").__version__
    elif name in _MODULE_OF:
        value = getattr(import_module(f"solder.{_MODULE_OF[name]}"), name)
    else:
        raise AttributeError(f"module 'solder' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
