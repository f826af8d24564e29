"""Lists of test cases: a name a line, or JSON lines whose `test` is the name; `.xz` is unpacked."""

import json
import lzma
from pathlib import Path

from solder.errors import InputError

MAX_BYTES = 64 << 20
MAX_CASES = 1_000_000


def read_case_list(path: Path) -> list[str]:
    """The names in ``path``, in order. Raises ``InputError`` for a file that is no such list."""
    try:
        with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise InputError(str(error), path=str(path)) from error
    if len(text) > MAX_BYTES:
        raise InputError(f"more than {MAX_BYTES} bytes", path=str(path))
    try:
        lines = [line for line in text.decode().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise InputError(str(error), path=str(path)) from error
    if not 1 <= len(lines) <= MAX_CASES:
        raise InputError(f"{len(lines)} names, not 1 to {MAX_CASES}", path=str(path))
    return [_name(path, number, line) for number, line in enumerate(lines, 1)]


def _name(path: Path, number: int, line: str) -> str:
    if not line.startswith("{"):
        return line.strip()
    try:
        name = json.loads(line)["test"]
    except (ValueError, KeyError, RecursionError) as error:
        raise InputError(f"no object with a test: {error!r}", path=str(path), field=f"line {number}") from error
    if not isinstance(name, str):
        raise InputError("no name", path=str(path), field=f"line {number}.test")
    return name
