"""States and calls as the command line is given them: files in JSON or TOML, saved states, block folders."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from solder.errors import InputError
from solder.state import State
from solder.state.files import number, read_json

MAX_CALLS_BYTES = 1 << 28
"""The most bytes of a file of calls."""
_HASH_LETTERS = 66
_NUMBERS = ("value", "gas_limit", "gas_price", "max_priority_fee_per_gas", "nonce")
_BLOCK_NUMBERS = ("number", "timestamp", "gas_limit", "base_fee_per_gas", "difficulty", "excess_blob_gas")


def opened(state: Path | None, rpc: str | None, pinned: str | None, fork: str | None) -> State:
    """The state that a command was given: a file or a block folder, or a node's after a block."""
    if (state is None) == (rpc is None):
        raise InputError("one of STATE and --rpc is needed, and not both", field="--rpc")
    if rpc is not None:
        return rpc_state(rpc, pinned, fork)
    if pinned is not None or fork is not None:
        raise InputError("goes with --rpc only", field="--fork" if fork is not None else "--block")
    assert state is not None  # noqa: S101 - for the type checker: the first test has ended the other case
    return state_of(state)


def rpc_state(url: str, pinned: str | None, fork: str | None) -> State:
    """The state after a block that a node has: a number, a hash, or a name such as latest (which it is without one)."""
    block: int | str = "latest" if pinned is None else pinned
    if isinstance(block, str) and (block.isdecimal() or (block.startswith("0x") and len(block) < _HASH_LETTERS)):
        block = number(block, "--block")
    return State.remote(url, block, fork=fork)


def pinned_and_fields(block: tuple[str, ...]) -> tuple[str | None, dict[str, Any]]:
    """What ``--block`` was given: the block to pin (without =), and fields to replace in it (NAME=VALUE)."""
    pinned = [text for text in block if "=" not in text]
    if len(pinned) > 1:
        raise InputError(f"{pinned[0]!r} and {pinned[1]!r}: only one block can be pinned", field="--block")
    fields = dict(text.split("=", 1) for text in block if "=" in text)
    return (pinned[0] if pinned else None), block_of(fields)


def state_of(path: Path) -> State:
    """The state in a file or a block folder.

    A block folder; a file that ``State.save`` wrote; a genesis file (with ``config``); or accounts in JSON or TOML,
    alone or under ``alloc`` or ``pre``, beside which may stand ``fork`` and ``block``.
    """
    if path.is_dir() or "::" in str(path):
        return State.at(path)
    if path.suffix == ".toml":
        return _described(_toml(path), path)
    try:
        with path.open("rb") as file:
            saved = file.read(8) == b"SOLDERST"
    except OSError as error:
        raise InputError(error.strerror or str(error), str(path)) from None
    if saved:
        return State.load(path)
    content = read_json(path)
    return State.from_genesis(path) if "config" in content else _described(content, path)


def _described(content: Mapping[str, Any], path: Path) -> State:
    nested = "alloc" in content or "pre" in content
    fork, block = (content.get("fork"), content.get("block")) if nested else (None, None)
    if fork is not None and not isinstance(fork, str):
        raise InputError("not a name", str(path), "fork")
    try:
        return State.from_alloc(content, fork=fork, block=None if block is None else block_of(block))
    except InputError as error:
        raise type(error)(error.detail, error.path or str(path), error.field) from None


def _toml(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
        return tomllib.loads(raw.decode())
    except OSError as error:
        raise InputError(error.strerror or str(error), str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not TOML: {error}", str(path)) from None


def block_of(fields: object) -> dict[str, Any]:
    """Block fields with their numbers read: 7, "7" or "0x7"."""
    if not isinstance(fields, Mapping):
        raise InputError("not an object", field="block")
    return {name: number(v, f"block.{name}") if name in _BLOCK_NUMBERS else v for name, v in fields.items()}


def call_of(fields: object, place: str = "call") -> dict[str, Any]:
    """The arguments of a call with their numbers read."""
    if not isinstance(fields, Mapping):
        raise InputError("not an object", field=place)
    return {
        name: number(value, f"{place}.{name}") if name in _NUMBERS and value is not None else value
        for name, value in fields.items()
    }


def calls_of(path: Path) -> list[dict[str, Any]]:
    """The calls in a file: a JSON list, JSON lines, or TOML with ``[[calls]]``."""
    if path.suffix == ".toml":
        entries: object = _toml(path).get("calls")
    else:
        try:
            if path.stat().st_size > MAX_CALLS_BYTES:
                raise InputError(f"more than {MAX_CALLS_BYTES} bytes", str(path))
            text = path.read_text()
            whole = text.lstrip().startswith("[")
            entries = json.loads(text) if whole else [json.loads(line) for line in text.splitlines() if line.strip()]
        except OSError as error:
            raise InputError(error.strerror or str(error), str(path)) from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"not JSON: {error}", str(path)) from None
    if not isinstance(entries, list):
        raise InputError("not a list of calls", str(path), "calls")
    try:
        return [call_of(entry, f"[{index}]") for index, entry in enumerate(entries)]
    except InputError as error:
        raise InputError(error.detail, str(path), error.field) from None
