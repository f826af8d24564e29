"""Contracts by their interfaces: calls with Python values, decoded results, events and errors, names for traces.

``Contract`` is an interface at an address of a state. ``Abi`` is the interface alone. ``Names`` tells what selectors,
topics and errors are called, over several interfaces.
"""

from solder._native import Each
from solder.contract.abi import Abi, AbiErrorEntry, AbiEvent, AbiFunction, AbiSource
from solder.contract.columns import Decoded, decode_logs
from solder.contract.contract import Contract
from solder.contract.function import ContractFunction
from solder.contract.names import Names
from solder.contract.result import ContractResult, Emitted

__all__ = [
    "Abi",
    "AbiErrorEntry",
    "AbiEvent",
    "AbiFunction",
    "AbiSource",
    "Contract",
    "ContractFunction",
    "ContractResult",
    "Decoded",
    "Each",
    "Emitted",
    "Names",
    "decode_logs",
]
