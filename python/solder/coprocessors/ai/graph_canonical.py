"""Canonical JSON: one text for one object; no floats, no true, false, null.

Source: docs/integer-graphs.md, section 2.
"""

import json
import re
from typing import Any, Final

from solder.errors import InputError

__all__ = ["Json", "canonical_text", "parse_canonical"]

Json = dict[str, "Json"] | list["Json"] | str | int
MAX_DEPTH: Final = 8
MAX_VALUES: Final = 1 << 20
INT64: Final = range(-(1 << 63), 1 << 63)
CONTROL: Final = re.compile("[\x00-\x1f]")


def canonical_text(value: Json) -> str:
    """The one text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def parse_canonical(raw: bytes, where: str) -> Json:
    """The value of a canonical text; raises InputError with ``where`` as its field if it is anything else."""
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, parse_float=_refuse, parse_constant=_refuse)
        _check(value, where)
        same = canonical_text(value) == text
    except (ValueError, RecursionError) as error:
        raise InputError(f"not canonical JSON: {str(error)[:200]}", field=where) from None
    if not same:
        raise InputError("not canonical JSON: spaces, order of keys, a repeated key or another spelling", field=where)
    checked: Json = value
    return checked


def _refuse(text: str) -> int:
    raise ValueError(f"{text[:20]} is not an integer")


def _check(root: Any, where: str) -> None:  # noqa: ANN401 - whatever json.loads gives
    """Depth, count, kinds and extents of everything in a parsed value; by a list, not by recursion."""
    left: list[tuple[Any, int]] = [(root, 1)]
    count = 0
    while left:
        value, depth = left.pop()
        count += 1
        if count > MAX_VALUES:
            raise InputError(f"more than {MAX_VALUES} JSON values", field=where)
        if isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                raise InputError(f"nested deeper than {MAX_DEPTH}", field=where)
            inner = value
            if isinstance(value, dict):
                for key in value:
                    _check_text(key)
                inner = list(value.values())
            left += [(item, depth + 1) for item in inner]
        elif isinstance(value, str):
            _check_text(value)
        elif isinstance(value, bool) or not isinstance(value, int):
            raise InputError(f"not canonical JSON: {value!r} is no object, list, string or integer", field=where)
        elif value not in INT64:
            raise ValueError("an integer beyond int64")


def _check_text(text: str) -> None:
    if CONTROL.search(text):
        raise ValueError("a control character in a string")
