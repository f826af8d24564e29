"""What call data, results, reverts and logs mean, in words: what a tree of calls is printed with.

``Naming`` is what a tree asks; ``solder.contract.Names`` is one, with interfaces by address. ``Signatures`` is the
plain one: a few interfaces, and the well-known signatures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from solder import _native
from solder.errors import InputError
from solder.trace.known import SIGNATURES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Naming", "Signatures", "interface_of"]

MAX_ABI_BYTES = 64 << 20
"""The most bytes of a file with an ABI that are read."""


class Naming(Protocol):
    """Gives words, or None where nothing is known. It must not raise on what a contract made."""

    def call(self, data: bytes, address: bytes | str | None = None, /) -> str | None:
        """A call with its arguments: ``transfer(to: 0xAb.., amount: 5)``."""

    def output(self, data: bytes, output: bytes, address: bytes | str | None = None, /) -> str | None:
        """What the call with ``data`` returned."""

    def error(self, output: bytes, address: bytes | str | None = None, /) -> str | None:
        """What a revert says."""

    def event(self, topics: Sequence[bytes], data: bytes, address: bytes | str | None = None, /) -> str | None:
        """A log with its fields."""


class Signatures:
    """Names by interfaces, asked in their order, and at last by well-known signatures."""

    __slots__ = ("_interfaces",)

    def __init__(self, *abis: object, well_known: bool = True) -> None:
        self._interfaces = [interface_of(abi) for abi in abis] + ([_well_known()] if well_known else [])

    def call(self, data: bytes, _address: bytes | str | None = None, /) -> str | None:
        """A call with its arguments."""
        return self._first(lambda abi: abi.call_text(data))

    def output(self, data: bytes, output: bytes, _address: bytes | str | None = None, /) -> str | None:
        """What the call with ``data`` returned."""
        return self._first(lambda abi: abi.output_text(data, output))

    def error(self, output: bytes, _address: bytes | str | None = None, /) -> str | None:
        """What a revert says: a custom error, the text of ``Error(string)``, the meaning of ``Panic``."""
        return self._first(lambda abi: abi.error_text(output)) or _native.revert_reason(output)

    def event(self, topics: Sequence[bytes], data: bytes, _address: bytes | str | None = None, /) -> str | None:
        """A log with its fields."""
        return self._first(lambda abi: abi.log_text(topics, data))

    def _first(self, ask: Callable[[_native.Abi], str | None]) -> str | None:
        return next((found for abi in self._interfaces if (found := ask(abi)) is not None), None)


@lru_cache(maxsize=1)
def _well_known() -> _native.Abi:
    return _native.Abi(json.dumps(SIGNATURES))


def interface_of(source: object) -> _native.Abi:
    """An interface from itself, a file, JSON text, or what JSON reads to: entries, signatures, a compiler's artefact.

    Raises ``InputError`` for anything else, with the path of a file.
    """
    if isinstance(source, _native.Abi):
        return source
    if isinstance(source, Path):
        try:
            with source.open("rb") as file:
                raw = file.read(MAX_ABI_BYTES + 1)
        except OSError as error:
            raise InputError(error.strerror or str(error), str(source)) from None
        if len(raw) > MAX_ABI_BYTES:
            raise InputError(f"larger than {MAX_ABI_BYTES} bytes", str(source))
        try:
            return _native.Abi(raw.decode())
        except UnicodeDecodeError as error:
            raise InputError(f"not text: {error}", str(source)) from None
        except InputError as error:
            raise InputError(error.detail, str(source), error.field) from None
    if isinstance(source, str):
        return _native.Abi(source)
    if isinstance(source, Mapping | Iterable):
        return _native.Abi(json.dumps(source))
    raise InputError(f"{type(source).__name__} is no ABI", field="abis")
