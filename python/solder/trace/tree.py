"""The calls of a transaction as text for a terminal, and as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any

from solder.trace.known import PRECOMPILES
from solder.trace.sources import SourceMap, hex_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solder._native import Trace
    from solder.trace.naming import Naming

__all__ = ["Sources", "Tree", "ether"]

SELECTOR_BYTES = 4
WEI_DIGITS = 18
SMALL_WEI = 10**9
MAX_HEX_BYTES = 36
"""The most bytes that are shown of data which nobody has a name for."""
MAX_SHOWN = 240
"""The most characters of a decoded call, result or log."""
DELEGATION = "0xef0100"
_WHOLE = ("contract ", "abstract contract ", "library ", "interface ")
Sources = Mapping[bytes, SourceMap] | Mapping[str, SourceMap] | Sequence[SourceMap]
"""Source maps by address, or to be found by the code."""


def ether(wei: int) -> str:
    """An amount as a person reads it: ``1.5 ether``; below a gwei in wei."""
    if wei < SMALL_WEI:
        return f"{wei} wei"
    return f"{(Decimal(wei) / 10**WEI_DIGITS).normalize():f} ether"


class Tree:
    """The calls of a trace, as lines."""

    def __init__(
        self,
        trace: Trace,
        names: Naming,
        sources: Sources,
        *,
        logs: bool,
        limit: int,
    ) -> None:
        self._trace = trace
        self._names = names
        self._by_address: dict[str, SourceMap] = {}
        self._by_code: Sequence[SourceMap] = ()
        if isinstance(sources, Mapping):
            self._by_address = {_plain(owner): found for owner, found in sources.items()}
        else:
            self._by_code = sources
        self._logs = logs
        self._limit = limit
        self._codes: dict[str, Any] | None = None

    def text(self) -> str:
        """The head and a line for each call."""
        return "\n".join(f"{indent}{line}" for indent, line, _ in self._lines()) + "\n"

    def html(self) -> str:
        """The same, with what failed in red."""
        rows = []
        for indent, line, failed in self._lines():
            colour = " style='color:#c0392b'" if failed else ""
            rows.append(f"{escape(indent)}<span{colour}>{escape(line)}</span>")
        body = "\n".join(rows)
        return f"<pre style='line-height:1.25;text-align:left'>{body}</pre>"

    def _lines(self) -> Iterator[tuple[str, str, bool]]:
        result = self._trace.result
        status = result.status if result.error is None else f"{result.status}: {result.error}"
        yield "", f"{status}, {result.gas_used:,} gas", not result.ok
        ends = self._trace.ends()
        # Without recursion: calls lie a thousand deep in each other. The list `ends` is in the order of this walk.
        waiting: list[tuple[dict[str, Any], str, bool]] = [(self._trace.call_tree(with_log=self._logs), "", True)]
        shown = 0
        while waiting:
            item, indent, last = waiting.pop()
            head = indent + ("└ " if last else "├ ")
            if "topics" in item:
                yield head, self._log(item), False
                continue
            if shown == self._limit:
                yield "", f"... and {len(ends) - shown:,} more calls", False
                return
            yield head, self._call(item, ends[shown]), "error" in item
            shown += 1
            inner = _in_order(item)
            below = indent + ("  " if last else "│ ")
            waiting += [(one, below, one is inner[-1]) for one in reversed(inner)]

    def _call(self, call: dict[str, Any], ends: list[int]) -> str:
        kind, to = call["type"], call.get("to")
        data, output = hex_bytes(call["input"]), hex_bytes(call.get("output", "0x"))
        text = f"{kind} {to or 'nothing'}"
        if kind.startswith("CREATE"):
            text += f" with {len(data):,} bytes of init code"
        elif kind == "SELFDESTRUCT":
            text = f"{kind} {call['from']} to {to}"
        elif to is not None:
            text += " " + self._called(to, data)
        value = int(call.get("value", "0x0"), 16)
        # A delegate call shows the amount of the frame that it is part of.
        if value and kind != "DELEGATECALL":
            text += f" with {ether(value)}"
        if kind != "SELFDESTRUCT":
            text += f" [{int(call['gasUsed'], 16):,} gas]"
        if "error" in call:
            return text + f" failed: {self._why(call, output)}" + self._where(call, ends)
        if output and not kind.startswith("CREATE") and not self._is_precompile(to):
            returned = self._names.output(data, output, to)
            text += f" -> {_cut(returned) if returned else _hex(output)}"
        elif kind.startswith("CREATE"):
            text += f" -> {len(output):,} bytes of code"
        return text

    def _called(self, to: str, data: bytes) -> str:
        if self._is_precompile(to):
            return f"({PRECOMPILES[int(to, 16)]})"
        if not data:
            return "()"
        named = self._names.call(data, to) if len(data) >= SELECTOR_BYTES else None
        return _cut(named) if named else _hex(data)

    def _is_precompile(self, to: str | None) -> bool:
        return to is not None and int(to, 16) in PRECOMPILES

    def _why(self, call: dict[str, Any], output: bytes) -> str:
        reason = self._names.error(output, call.get("to")) if output else None
        return f"{call['error']}: {_cut(reason)}" if reason else str(call["error"])

    def _log(self, log: dict[str, Any]) -> str:
        topics = [hex_bytes(topic) for topic in log["topics"]]
        data = hex_bytes(log["data"])
        named = self._names.event(topics, data, log["address"])
        return f"emit {_cut(named)}" if named else f"emit {' '.join(log['topics'])} {_hex(data)}".rstrip()

    def _where(self, call: dict[str, Any], ends: list[int]) -> str:
        """The source line at which a frame's own code failed."""
        if not ends or not (self._by_address or self._by_code):
            return ""
        created = call["type"].startswith("CREATE")
        code = hex_bytes(call["input"]) if created else self._code_of(call["to"])
        found = self._map_of(call, code, created=created)
        if found is None:
            return ""
        places = (found.location(code, place, created=created) for place in ends)
        known = [place for place in places if place is not None]
        # Code that no statement is to blame for (the choice of a function) is mapped to the contract as a whole.
        exact = [place for place in known if not place.text.startswith(_WHOLE)]
        location = next(iter(exact or known), None)
        return f" at {location}" if location else ""

    def _map_of(self, call: dict[str, Any], code: bytes, *, created: bool) -> SourceMap | None:
        by_address = self._by_address.get(call.get("to", ""))
        if by_address is not None and not created:
            return by_address
        maps = (*self._by_code, *self._by_address.values())
        return next((one for one in maps if one.matches(code, created=created)), None)

    def _code_of(self, address: str) -> bytes:
        """The code that ran, as it was before the transaction; a delegated account's delegate."""
        if self._codes is None:
            import json

            looked_at = json.loads(self._trace.prestate_json(disable_storage=True))
            self._codes = {owner: fields["code"] for owner, fields in looked_at.items() if "code" in fields}
        code = self._codes.get(address, "0x")
        if code.startswith(DELEGATION):
            code = self._codes.get("0x" + code[len(DELEGATION) :], "0x")
        return hex_bytes(code)


def _in_order(call: dict[str, Any]) -> list[dict[str, Any]]:
    """What happened in a call, in order: the calls that it made, and its logs between them."""
    inner = list(call.get("calls", ()))
    for log in reversed(call.get("logs", ())):
        inner.insert(int(log["position"], 16), log)
    return inner


def _plain(address: bytes | str) -> str:
    return address.lower() if isinstance(address, str) else "0x" + address.hex()


def _hex(data: bytes) -> str:
    if len(data) <= MAX_HEX_BYTES:
        return "0x" + data.hex()
    return f"0x{data[:MAX_HEX_BYTES].hex()}.. ({len(data):,} bytes)"


def _cut(text: str) -> str:
    """One line, not endless, whatever a contract wrote."""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[: MAX_SHOWN + 1])
    return shown if len(text) <= MAX_SHOWN else shown[:MAX_SHOWN] + ".."
