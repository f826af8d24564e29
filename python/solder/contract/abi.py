"""``Abi``: what a contract's interface says, from JSON, signatures or the artefacts of compilers."""

import json
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

from solder import _native
from solder._native import AbiErrorEntry, AbiEvent, AbiFunction, Log
from solder.errors import InputError
from solder.simulate import Results

__all__ = ["Abi", "AbiErrorEntry", "AbiEvent", "AbiFunction", "AbiSource"]

MAX_ARTEFACT_BYTES = 1 << 28
"""The most bytes of an artefact."""

AbiSource = str | Path | Sequence[str] | Sequence[Mapping[str, Any]] | Mapping[str, Any] | _native.Abi
"""What an ``Abi`` is made from."""


class Abi(_native.Abi):
    """The functions, events and errors of a contract. It never changes and can be pickled.

    ``source`` is one of

    - human-readable signatures, a list of them or a text with one on each line:
      ``"function transfer(address to, uint256 amount) returns (bool)"``, ``"event Moved(uint256 indexed id)"``,
      ``"error TooLittle(uint256 left)"``; where the keyword is missing it is a function;
    - JSON, as a list of entries, an artefact's object, or text that begins with ``[`` or ``{``;
    - a ``Path``: a file of JSON as forge (``out/X.sol/X.json``), hardhat (``artifacts/``, build info), solc
      (``--combined-json``, standard JSON output) and vyper (``-f abi``, ``-f combined_json``) write it.

    ``contract`` names one of several in a file: ``"Token"`` or ``"src/Token.sol:Token"``. An artefact's init code is
    ``bytecode``. Raises ``InputError`` with the file and the field.
    """

    __slots__ = ()

    def __new__(cls, source: AbiSource, *, contract: str | None = None) -> Self:
        """Read the source."""
        if isinstance(source, PathLike):
            try:
                return super().__new__(cls, _read(Path(source)), contract)
            except InputError as error:
                raise InputError(error.detail, str(source), error.field) from None
        return super().__new__(cls, _text(source), contract)

    @classmethod
    def load(cls, path: str | Path, *, contract: str | None = None) -> Self:
        """The interface in a file."""
        return cls(Path(path), contract=contract)

    def function(self, name: str) -> AbiFunction:
        """The function of a name or, where it is overloaded, of a signature such as ``"transfer(address,uint256)"``."""
        found = self.overloads(name)
        if len(found) == 1:
            return found[0]
        if found:
            signatures = ", ".join(function.signature for function in found)
            raise InputError(f"is overloaded; name one by its signature: {signatures}", field=name)
        if name in self.unusable:
            raise InputError(self.unusable[name], field=name)
        names = [function.name for function in self.functions]
        raise InputError(f"there is no such function{_hint(names)}", field=name)

    def event(self, name: str) -> AbiEvent:
        """The event of a name or a signature."""
        event: AbiEvent = _one(self.events, name, "event")
        return event

    def error(self, name: str) -> AbiErrorEntry:
        """The error of a name or a signature."""
        error: AbiErrorEntry = _one(self.errors, name, "error")
        return error

    def decode_call(self, data: bytes) -> tuple[AbiFunction, tuple[Any, ...]] | None:
        """The function that call data calls, and its arguments; None where the selector is not known."""
        function = self.function_at(data)
        return None if function is None else (function, function.decode_input(data))

    def decode_error(self, output: bytes) -> tuple[AbiErrorEntry, tuple[Any, ...]] | None:
        """The custom error that a call reverted with, and its values; None where the selector is not known."""
        error = self.error_at(output)
        return None if error is None else (error, error.decode(output))

    def reason(self, output: bytes) -> str | None:
        """What a call reverted with, in words: a custom error of this interface, ``Error(string)``, ``Panic``."""
        return self.error_text(output) or _native.revert_reason(output)

    def reasons(self, results: Results) -> list[str | None]:
        """Why each call of a batch failed, in words, custom errors too; None where it did not, or did not say why."""
        outputs, errors = results.output, results.errors
        return [
            None if status == "success" else self.reason(outputs[row]) if status == "revert" else errors[row]
            for row, status in enumerate(results.status_names())
        ]

    def read_log(self, log: Log) -> tuple[AbiEvent, Any] | None:
        """The event of a log and its values; None where this interface has no such event."""
        return self.decode_log(log.topics, log.data)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return type(self), (self.to_json(),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Abi) and (self is other or self.to_json() == other.to_json())

    def __hash__(self) -> int:
        return hash(self.to_json())

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from solder.contract.pages import abi_page

        return abi_page(self)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_ARTEFACT_BYTES + 1)
    except OSError as error:
        raise InputError(error.strerror or str(error)) from None
    if len(raw) > MAX_ARTEFACT_BYTES:
        raise InputError(f"more than {MAX_ARTEFACT_BYTES} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"not text: {error}") from None


def _text(source: object) -> str:
    """Anything but a file as JSON text."""
    if isinstance(source, _native.Abi):
        return source.to_json()
    if isinstance(source, str):
        begin = source.lstrip()[:1]
        if begin in ("[", "{"):
            return source
        lines = (line.strip() for line in source.splitlines())
        source = [line for line in lines if line and not line.startswith("//")]
        if not source:
            raise InputError("there is no signature in it", field="abi")
    elif isinstance(source, bytes) or not isinstance(source, Mapping | Sequence):
        raise InputError(f"{type(source).__name__} is no JSON, no signatures and no path", field="abi")
    try:
        return json.dumps(source if isinstance(source, Mapping) else list(source))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"is no JSON: {error}", field="abi") from None


def _one(entries: Sequence[Any], name: str, kind: str) -> Any:
    found = [entry for entry in entries if name in (entry.name, entry.signature)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"several: {', '.join(map(repr, found))}", field=name)
    raise InputError(f"there is no such {kind}{_hint([entry.name for entry in entries])}", field=name)


def _hint(names: list[str]) -> str:
    """The names that there are, some of them."""
    shown = sorted(set(names))
    more = ", ..." if len(shown) > 12 else ""  # noqa: PLR2004 - enough to see a slip
    return f"; there are {', '.join(shown[:12])}{more}" if shown else ""
