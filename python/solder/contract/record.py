"""Structs and several results as named tuples that can be pickled."""

from collections import namedtuple
from functools import lru_cache
from keyword import iskeyword
from typing import Any

__all__ = ["record_class"]

MAX_CLASSES = 4096
"""How many classes are kept; one that is gone is made again."""


@lru_cache(maxsize=MAX_CLASSES)
def record_class(name: str, fields: tuple[str, ...]) -> type[tuple[Any, ...]]:
    """The class of tuples with these fields.

    Underscores before a name are left out, a keyword has one behind it (``from_``), and a field whose name Python
    cannot have is called by its place (``_0``).
    """
    cleaned = [field.lstrip("_") or field for field in fields]
    cleaned = [f"{field}_" if iskeyword(field) else field for field in cleaned]
    title = name.lstrip("_").capitalize() if name.isidentifier() and name.lstrip("_") else "Values"
    base = namedtuple(title if title.isidentifier() else "Values", cleaned, rename=True)  # type: ignore[misc]  # noqa: PYI024

    def reduce(self: tuple[Any, ...]) -> tuple[Any, ...]:
        return _restore, (name, fields, tuple(self))

    return type(base.__name__, (base,), {"__slots__": (), "__module__": __name__, "__reduce__": reduce})


def _restore(name: str, fields: tuple[str, ...], values: tuple[Any, ...]) -> tuple[Any, ...]:
    made: tuple[Any, ...] = record_class(name, fields)._make(values)  # type: ignore[attr-defined]
    return made
