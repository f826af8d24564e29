"""States from and to files: JSON's form of accounts, genesis files, and the form that ``save`` writes.

Reads are bounded, and an unusable file is an ``InputError`` with its path and field.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from solder import _native
from solder._native import Chain
from solder.errors import InputError

__all__ = ["alloc_of", "genesis_of", "number", "read_json", "read_state", "write_state"]

MAX_FILE_BYTES = 1 << 32
"""The most bytes of a saved state."""
MAX_JSON_BYTES = 1 << 28
"""The most bytes of a JSON file of accounts."""

_FORKS_BY_BLOCK = (
    ("homesteadBlock", "Homestead"),
    ("daoForkBlock", "DAOFork"),
    ("eip150Block", "TangerineWhistle"),
    ("eip158Block", "SpuriousDragon"),
    ("byzantiumBlock", "Byzantium"),
    ("constantinopleBlock", "Constantinople"),
    ("petersburgBlock", "Petersburg"),
    ("istanbulBlock", "Istanbul"),
    ("muirGlacierBlock", "MuirGlacier"),
    ("berlinBlock", "Berlin"),
    ("londonBlock", "London"),
    ("arrowGlacierBlock", "ArrowGlacier"),
    ("grayGlacierBlock", "GrayGlacier"),
    ("mergeNetsplitBlock", "Paris"),
)
_FORKS_BY_TIME = (
    ("shanghaiTime", "Shanghai"),
    ("cancunTime", "Cancun"),
    ("pragueTime", "Prague"),
    ("osakaTime", "Osaka"),
    ("bpo1Time", "BPO1"),
    ("bpo2Time", "BPO2"),
    ("bpo3Time", "BPO3"),
    ("bpo4Time", "BPO4"),
    ("bpo5Time", "BPO5"),
    ("amsterdamTime", "Amsterdam"),
)


def read_json(path: str | Path) -> Mapping[str, Any]:
    """One JSON object from a file of at most ``MAX_JSON_BYTES``."""
    raw = _read(path, MAX_JSON_BYTES)
    try:
        value = json.loads(raw)
    except ValueError as error:
        raise InputError(f"not JSON: {error}", str(path)) from None
    except RecursionError:
        raise InputError("not JSON: nested too deeply", str(path)) from None
    if not isinstance(value, dict):
        raise InputError("not a JSON object", str(path))
    return value


def read_state(path: str | Path) -> _native.State:
    """A state that ``write_state`` wrote."""
    raw = _read(path, MAX_FILE_BYTES)
    try:
        return _native.State.from_bytes(raw)
    except InputError as error:
        raise InputError(error.detail, str(path), error.field) from None


def write_state(raw: bytes, path: str | Path) -> None:
    """Write beside the file, then take its place: a reader finds all of it or what was there before."""
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.absolute().parent)
    except OSError as error:
        raise InputError(error.strerror or str(error), str(path)) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise InputError(error.strerror or str(error), str(path)) from None


def _read(path: str | Path, limit: int) -> bytes:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        raise InputError(error.strerror or str(error), str(path)) from None
    if len(raw) > limit:
        raise InputError(f"more than {limit} bytes", str(path))
    return raw


def alloc_of(alloc: Mapping[str, Any], path: str | None = None) -> dict[Any, Any]:
    """JSON's accounts as ``State`` takes them. A file that holds them under ``alloc`` or ``pre`` is looked into."""
    inner = alloc.get("alloc", alloc.get("pre", alloc))
    if not isinstance(inner, Mapping):
        raise InputError("not an object of accounts", path, "alloc")
    accounts: dict[Any, Any] = {}
    for owner, fields in inner.items():
        address = owner if isinstance(owner, str) and owner.startswith("0x") else f"0x{owner}"
        if not isinstance(fields, Mapping):
            raise InputError("not an object", path, f"alloc.{owner}")
        accounts[address] = _account(fields, f"alloc.{owner}", path)
    return accounts


def _account(fields: Mapping[str, Any], place: str, path: str | None) -> dict[str, Any]:
    account: dict[str, Any] = {}
    for name, value in fields.items():
        field = f"{place}.{name}"
        if name in {"balance", "nonce"}:
            account[name] = number(value, field, path)
        elif name == "code":
            account[name] = value or "0x"
        elif name == "storage":
            if not isinstance(value, Mapping):
                raise InputError("not an object", path, field)
            account[name] = {number(k, field, path): number(v, field, path) for k, v in value.items()}
        elif name not in {"builtin", "secretKey", "comment"}:
            raise InputError("no such field", path, field)
    return account


def number(value: object, field: str, path: str | None = None) -> int:
    """A number as JSON has it: 7, "7" or "0x7"; bare hex digits where the key of a slot has 64 of them."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InputError(f"{type(value).__name__} is no number", path, field)
    if isinstance(value, int):
        return value
    hexadecimal = value.startswith("0x") or len(value) == 64  # noqa: PLR2004 - a word's digits
    try:
        return int(value if value != "0x" else "0", 16 if hexadecimal else 10)
    except ValueError:
        raise InputError(f"{value!r} is no number", path, field) from None


def genesis_of(genesis: Mapping[str, Any], path: str | None = None) -> tuple[dict[Any, Any], Chain, dict[str, Any]]:
    """Accounts, rules and block fields of a genesis file."""
    for name in ("alloc", "config"):
        if not isinstance(genesis.get(name), Mapping):
            raise InputError("missing, or not an object", path, name)
    config = genesis["config"]
    schedule: list[tuple[str, Any, int]] = [("Frontier", "block", 0)]
    for key, fork in _FORKS_BY_BLOCK:
        if config.get(key) is not None and not (fork == "DAOFork" and not config.get("daoForkSupport", False)):
            schedule.append((fork, "block", number(config[key], f"config.{key}", path)))
    if "Paris" not in {fork for fork, _, _ in schedule} and config.get("terminalTotalDifficulty") is not None:
        difficulty = number(config["terminalTotalDifficulty"], "config.terminalTotalDifficulty", path)
        schedule.append(("Paris", "block", 0) if difficulty == 0 else ("Paris", "total_difficulty", difficulty))
    for key, fork in _FORKS_BY_TIME:
        if config.get(key) is not None:
            schedule.append((fork, "timestamp", number(config[key], f"config.{key}", path)))
    chain = Chain(number(config.get("chainId", 1), "config.chainId", path), schedule)
    names = {
        "number": "number",
        "timestamp": "timestamp",
        "gasLimit": "gas_limit",
        "difficulty": "difficulty",
        "baseFeePerGas": "base_fee_per_gas",
        "excessBlobGas": "excess_blob_gas",
    }
    block = {new: number(genesis[old], old, path) for old, new in names.items() if genesis.get(old) is not None}
    if genesis.get("coinbase"):
        block["beneficiary"] = genesis["coinbase"]
    if genesis.get("mixHash"):
        block["prevrandao"] = genesis["mixHash"]
    return alloc_of(genesis, path), chain, {"number": 0, "timestamp": 0, **block}
