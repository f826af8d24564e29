"""What a notebook shows of contracts and their results."""

from collections.abc import Sequence
from html import escape

from solder._native import Abi, AbiFunction

__all__ = ["abi_page", "rows_page"]

MAX_ROWS = 60
"""The most entries that are shown."""
MAX_CHARS = 300
"""The most characters of one value."""


def _cut(text: str) -> str:
    return escape(text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 1] + "\u2026")


def _parameters(parameters: list[tuple[str, str]]) -> str:
    return ", ".join(f"{kind} {name}".strip() for name, kind in parameters)


def _function(function: AbiFunction) -> tuple[str, str, str]:
    return f"{function.name}({_parameters(function.inputs)})", _parameters(function.outputs), function.mutability


def _table(caption: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    left = "text-align:left"
    head = "".join(f"<th style='{left}'>{escape(name)}</th>" for name in heads)
    cells = "".join(
        "<tr>" + "".join(f"<td style='{left}'>{_cut(value)}</td>" for value in row) + "</tr>" for row in rows[:MAX_ROWS]
    )
    more = f"<tr><td>and {len(rows) - MAX_ROWS} more</td></tr>" if len(rows) > MAX_ROWS else ""
    return f"<table><caption>{escape(caption)}</caption><tr>{head}</tr>{cells}{more}</table>"


def abi_page(abi: Abi, caption: str | None = None) -> str:
    """A table of functions, events and errors."""
    rows = [_function(function) for function in abi.functions]
    for event in abi.events:
        shown = ", ".join(
            " ".join(filter(None, (kind, "indexed" if indexed else "", name))) for name, kind, indexed in event.inputs
        )
        rows.append((f"{event.name}({shown})", "", "anonymous event" if event.anonymous else "event"))
    rows += [(f"{error.name}({_parameters(error.inputs)})", "", "error") for error in abi.errors]
    return _table(caption or f"Abi {abi.name or ''}".strip(), ("entry", "returns", "kind"), rows)


def rows_page(caption: str, rows: list[tuple[str, ...]]) -> str:
    """A table of names and values."""
    return _table(caption, ("", ""), rows)
