"""Source maps: from an instruction to the line of source that it was compiled from.

Read are solc's compressed maps (``s:l:f:j:m`` by instruction; solc's documentation, "Source Mappings") in the JSON
that solc (standard output), forge (``out/X.sol/X.json``) and hardhat (``artifacts/build-info``) write, and vyper's
``pc_pos_map`` (lines by place of the instruction). The text of the sources comes from the same JSON where it has it,
else from files below ``root``.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solder.errors import InputError

__all__ = ["Location", "SourceMap", "hex_bytes", "read_sources"]

MAX_MAP_BYTES = 256 << 20
"""The most bytes of an artefact that are read."""
MAX_SOURCE_BYTES = 8 << 20
"""The most bytes of one source file that are read."""
PUSH1, PUSH32 = 0x60, 0x7F
PLACEHOLDER_CHARS = 40
"""Of a library's address that is not linked yet, in the hex of code."""


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a source file. ``line`` and ``column`` count from 1; ``text`` is that line without its indent."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f": {self.text}" if self.text else "")


@dataclass(frozen=True, slots=True)
class _Code:
    """Code with its map: by instruction ``(start, file)``, or by place ``(line, column)``."""

    code: bytes
    entries: tuple[tuple[int, int], ...] = ()
    lines: Mapping[int, tuple[int, int]] | None = None


class SourceMap:
    """Where the instructions of one contract come from."""

    def __init__(
        self, name: str, runtime: _Code | None, creation: _Code | None, files: Mapping[int, tuple[str, str | None]]
    ) -> None:
        self.name = name
        self._runtime = runtime
        self._creation = creation
        self._files = files
        self._starts: dict[int, list[int]] = {}
        self._places: dict[bool, list[int]] = {}

    def __repr__(self) -> str:
        return f"<SourceMap {self.name}: {len(self._files)} files>"

    def matches(self, code: bytes, *, created: bool = False) -> bool:
        """Whether ``code`` (init code if ``created``) is this contract's: immutables and libraries may be filled in."""
        own = self._creation if created else self._runtime
        if own is None or not own.code or len(code) < len(own.code):
            return False
        # Constructor arguments follow init code; vyper's immutables follow the code.
        if not created and own.lines is None and len(code) != len(own.code):
            return False
        return all(ours in (theirs, 0) for ours, theirs in zip(own.code, code, strict=False))

    def location(self, code: bytes, place: int, *, created: bool = False) -> Location | None:
        """The source of the instruction at ``place`` of ``code``; None for code that the compiler made up."""
        own = self._creation if created else self._runtime
        if own is None:
            return None
        if own.lines is not None:
            found = own.lines.get(place)
            return None if found is None else self._at(0, *found)
        places = self._places.setdefault(created, instruction_places(own.code or code))
        index = bisect_right(places, place) - 1
        if not 0 <= index < len(own.entries) or places[index] != place:
            return None
        start, file = own.entries[index]
        if start < 0 or file not in self._files:
            return None
        text = self._files[file][1]
        if text is None:
            return Location(self._files[file][0], 0, 0, f"byte {start}")
        raw = text.encode()
        starts = self._starts.setdefault(file, [0, *(at + 1 for at, byte in enumerate(raw) if byte == ord("\n"))])
        line = bisect_right(starts, start)
        return self._at(file, line, start - starts[line - 1])

    def _at(self, file: int, line: int, column: int) -> Location | None:
        if file not in self._files:
            return None
        name, text = self._files[file]
        rows = (text or "").splitlines()
        shown = rows[line - 1].strip() if 0 < line <= len(rows) else ""
        return Location(name, line, column + 1, shown)


def instruction_places(code: bytes) -> list[int]:
    """Where each instruction of ``code`` begins."""
    places, at = [], 0
    while at < len(code):
        places.append(at)
        opcode = code[at]
        at += 1 + (opcode - PUSH1 + 1 if PUSH1 <= opcode <= PUSH32 else 0)
    return places


def decompress(text: str, field: str = "sourceMap") -> tuple[tuple[int, int], ...]:
    """``(start, file)`` by instruction from solc's compressed form: what is left out is as before.

    Raises ``InputError`` for text that is none.
    """
    start, file = -1, -1
    entries = []
    for number, entry in enumerate(text.split(";") if text else ()):
        parts = entry.split(":")
        try:
            start = int(parts[0]) if parts[0] else start
            file = int(parts[2]) if len(parts) > 2 and parts[2] else file  # noqa: PLR2004 - s:l:f
        except ValueError:
            raise InputError(f"entry {number} is {entry[:40]!r}, not s:l:f:j:m", field=field) from None
        entries.append((start, file))
    return tuple(entries)


def read_sources(source: str | Path | Mapping[str, Any], *, root: str | Path | None = None) -> list[SourceMap]:
    """Every source map in a compiler's JSON, given as a path or as what it reads to.

    ``root`` is the folder below which sources lie that the JSON does not contain; default: the folder of the JSON, and
    those above it for forge's and hardhat's layout. Raises ``InputError`` with path and field for anything else.
    """
    path = None if isinstance(source, Mapping) else Path(source)
    found = source if isinstance(source, Mapping) else _read_json(Path(source))
    folders = [Path(root)] if root is not None else [] if path is None else list(path.resolve().parents)[:4]
    try:
        maps = _all_maps(found, folders)
    except InputError as error:
        raise InputError(error.detail, None if path is None else str(path), error.field) from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        detail = f"not a compiler's JSON: {type(error).__name__} {error}"
        raise InputError(detail, None if path is None else str(path)) from None
    if not maps:
        raise InputError("no source map in it", None if path is None else str(path))
    return maps


def _all_maps(found: Mapping[str, Any], folders: list[Path]) -> list[SourceMap]:
    if "deployedBytecode" in found and isinstance(found["deployedBytecode"], Mapping):
        return [_of_forge(found, folders)]
    output = found.get("output", found)
    contents = found.get("input", {}).get("sources", {})
    if "contracts" not in output:
        raise InputError("neither contracts nor deployedBytecode in it", field="contracts")
    names = {fields["id"]: file for file, fields in output.get("sources", {}).items() if "id" in fields}
    files = {number: (file, _text(file, contents.get(file, {}), folders)) for number, file in names.items()}
    maps = []
    for file, contracts in output["contracts"].items():
        for name, contract in contracts.items():
            evm = contract.get("evm", {})
            runtime, creation = _code(evm.get("deployedBytecode")), _code(evm.get("bytecode"))
            if runtime is None and creation is None:
                continue
            own = (
                files
                if runtime is None or runtime.lines is None
                else {0: (file, _text(file, contents.get(file, {}), folders))}
            )
            maps.append(SourceMap(name, runtime, creation, own))
    return maps


def _of_forge(found: Mapping[str, Any], folders: list[Path]) -> SourceMap:
    metadata = found.get("metadata") or {}
    target = metadata.get("settings", {}).get("compilationTarget", {}) if isinstance(metadata, Mapping) else {}
    file = next(iter(target), None) or (found.get("ast") or {}).get("absolutePath", "source")
    number = found.get("id", 0)
    name = next(iter(target.values()), None) or found.get("contractName", Path(file).stem)
    files = {number: (file, _text(file, {}, folders))}
    runtime, creation = _code(found["deployedBytecode"]), _code(found.get("bytecode"))
    return SourceMap(name, runtime, creation, files)


def _code(fields: Mapping[str, Any] | None) -> _Code | None:
    if not fields:
        return None
    text = fields.get("sourceMap")
    code = _code_bytes(fields.get("object", ""))
    by_place = text.get("pc_pos_map") if isinstance(text, Mapping) else None
    if by_place is not None:
        lines = {int(place): (at[0], at[1]) for place, at in by_place.items() if at and at[0] is not None}
        return _Code(code, lines=lines)
    return _Code(code, decompress(text)) if isinstance(text, str) and text else None


def _code_bytes(text: str) -> bytes:
    """Code from hex in which the addresses of libraries may not be filled in yet."""
    digits = text.removeprefix("0x")
    while (at := digits.find("__")) >= 0:
        digits = digits[:at] + "0" * PLACEHOLDER_CHARS + digits[at + PLACEHOLDER_CHARS :]
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise InputError("not hex", field="object") from None


def hex_bytes(text: str) -> bytes:
    """Bytes from hex with its 0x."""
    return bytes.fromhex(text[2:])


def _text(file: str, fields: Mapping[str, Any], folders: list[Path]) -> str | None:
    if isinstance(fields.get("content"), str):
        return str(fields["content"])
    for folder in folders:
        path = folder / file
        try:
            if path.is_file() and path.stat().st_size <= MAX_SOURCE_BYTES:
                return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
    return None


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_MAP_BYTES + 1)
    except OSError as error:
        raise InputError(error.strerror or str(error), str(path)) from None
    if len(raw) > MAX_MAP_BYTES:
        raise InputError(f"larger than {MAX_MAP_BYTES} bytes", str(path))
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", str(path)) from None
    if not isinstance(value, Mapping):
        raise InputError("not an object", str(path))
    return value
