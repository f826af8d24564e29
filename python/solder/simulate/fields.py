"""The arguments that a call and its relatives take by name."""

from collections.abc import Sequence
from typing import Any, TypedDict

from solder._native import Abi

__all__ = ["CallFields", "GasFields"]


class CallFields(TypedDict, total=False):
    """Who calls, with what, and what is replaced: see ``docs/simulate.md``."""

    sender: bytes | str | None
    value: int | None
    gas_limit: int | None
    gas_price: int | None
    max_priority_fee_per_gas: int | None
    nonce: int | None
    access_list: Sequence[tuple[bytes | str, Sequence[int | bytes | str]]] | None
    block: dict[str, Any] | None
    overrides: dict[Any, Any] | None
    abi: Abi | None


class GasFields(CallFields, total=False):
    """The same for an estimate; ``error_ratio`` is how far above the least it may be."""

    error_ratio: float
