"""A profile as one HTML page that needs nothing else.

The bar of glue against structured work, the parts, Amdahl's estimate, flame graphs of gas and of time, and who cost
most. No script: the two graphs are switched by style alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from solder.profile.bill import sum_of
from solder.profile.signatures import name_of
from solder.profile.speedscope import stacks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from solder.profile.bill import Bill, Total

__all__ = ["page", "summary"]

FLAME_WIDTH = 1200
ROW_HEIGHT = 18
NARROWEST = 0.6
"""A box of the flame graph that is narrower, in pixels, is not drawn."""
LETTER_WIDTH = 6.4
MAX_DEPTH = 40
TOP = 30

_STYLE = """
:root { --structured: #2f6f9f; --glue: #d98c3f; --line: #d5d9de; --ink: #1d2329; --paper: #fff; --faint: #66707a }
:root { --frame: #e9ecef }
@media (prefers-color-scheme: dark) { :root { --line: #3a424b; --ink: #e4e8ec; --paper: #14181c; --faint: #97a1ab }
:root { --frame: #2b3239 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper) }
body { max-width: 76rem; margin: 2rem auto; padding: 0 1rem } p { margin: .3rem 0 } .faint { color: var(--faint) }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .4rem }
.bar { display: flex; height: 2.2rem; border-radius: 4px; overflow: hidden; margin: .2rem 0 .6rem }
.bar span { display: flex; align-items: center; justify-content: center; white-space: nowrap; overflow: hidden }
.bar span { color: #fff; font-weight: 600 }
.structured { background: var(--structured) } .glue { background: var(--glue) }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { white-space: nowrap; text-align: right; padding: .12rem .6rem } th { font-weight: 600 }
td { border-top: 1px solid var(--line) } th:first-child, td:first-child { text-align: left }
td.name { max-width: 34rem; overflow: hidden; text-overflow: ellipsis }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin: 0 .35rem 0 0 }
svg { width: 100%; height: auto; display: block } svg text { font: 11px ui-monospace, monospace; fill: var(--ink) }
svg .s { fill: var(--structured) } svg .g { fill: var(--glue) } svg .f { fill: var(--frame) }
svg rect { stroke: var(--paper); stroke-width: .6 } svg .w { fill: #fff }
input[name=unit] { margin: 0 .3rem 0 0 } label { margin-right: 1.2rem } .flame { display: none; margin-top: .5rem }
#by-gas:checked ~ .gas, #by-time:checked ~ .time { display: block }
"""


def page(profiles: Sequence[Bill], names: dict[str, str] | None = None) -> str:
    """The whole page as text (UTF-8). Flame graphs are drawn where the profiles have their call trees."""
    whole = profiles[0] if len(profiles) == 1 else sum_of(profiles, f"{len(profiles)} blocks")
    title = escape(f"Where gas and time go: {whole.name}")
    flames = _flames(profiles, names) if all(profile.tree is not None for profile in profiles) else ""
    blocks = _blocks(profiles) if len(profiles) > 1 else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{_STYLE}</style></head><body>
<h1>{title}</h1>
{_body(whole)}
{flames}
{blocks}
<h2>By function</h2>
{_totals(whole.functions, names)}
<h2>By contract</h2>
{_totals(whole.contracts, names)}
</body></html>
"""


def summary(profile: Bill) -> str:
    """The bars and the parts, for a notebook."""
    return f"<div><style scoped>{_STYLE}</style>{_body(profile)}</div>"


def _body(profile: Bill) -> str:
    many = "" if profile.transactions == 1 else f", {profile.transactions:,} transactions"
    about = f"{profile.fork}{many}: {profile.gas['total']:,} gas in {_time(profile.nanoseconds)}"
    share = profile.structured
    return f"""<p class="faint">{escape(about)}</p>
{_bar("gas", share.gas)}{_bar("time", share.time)}{_bar("time, senders known", share.time_without_signatures)}
<p class="faint"><span class="key structured"></span>structured: a coprocessor could take it over as it is
&nbsp; <span class="key glue"></span>glue: everything else</p>
<h2>Parts</h2>
{_parts(profile)}
<h2>What a coprocessor for a part would save</h2>
{_estimates(profile)}"""


def _bar(name: str, share: float) -> str:
    widths = (("structured", share), ("glue", 1 - share))
    spans = "".join(
        f'<span class="{kind}" style="width:{part:.4%}">{f"{kind} {part:.1%}" if part > 0.12 else ""}</span>'  # noqa: PLR2004
        for kind, part in widths
    )
    return f'<p>{name}</p><div class="bar">{spans}</div>'


def _rows(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{head}</th>" for head in heads)
    body = "".join(
        f'<tr><td class="name">{first}</td>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _parts(profile: Bill) -> str:
    spent = sum(part.gas for part in profile.parts)
    rows = [
        (
            f'<span class="key {part.kind}"></span>{part.name}',
            f"{part.gas:,}",
            _share(part.gas, spent),
            _time(part.nanoseconds),
            _share(part.nanoseconds, profile.nanoseconds),
            f"{part.count:,}",
        )
        for part in profile.parts
    ]
    rows.append(("minus the refund", f"{profile.gas['refund']:,}", "", "", "", ""))
    rows.append(("plus the floor's top-up", f"{profile.gas['floor_top_up']:,}", "", "", "", ""))
    rows.append(("<b>gas used</b>", f"<b>{profile.gas['total']:,}</b>", "", _time(profile.nanoseconds), "", ""))
    return _rows(("part", "gas", "", "time", "", "count"), rows)


def _estimates(profile: Bill) -> str:
    rows = (
        (
            "all structured work" if estimate.part == "structured" else estimate.part,
            f"{estimate.share:.1%}",
            f"{estimate.speedup_at_10x:.2f}x",
            f"{estimate.speedup_limit:.2f}x",
        )
        for estimate in profile.amdahl
    )
    return _rows(("part", "of the time", "whole, if 10x faster", "whole, if it took no time"), rows)


def _totals(totals: tuple[Total, ...], names: dict[str, str] | None) -> str:
    rows = (
        (
            _name(total, names),
            f"{total.calls:,}",
            f"{total.gas:,}",
            _share(total.structured_gas, total.gas),
            _time(total.nanoseconds),
            _share(total.structured_nanoseconds, total.nanoseconds),
        )
        for total in totals[:TOP]
    )
    return _rows(("own cost, without callees", "calls", "gas", "structured", "time", "structured"), rows)


def _name(total: Total, names: dict[str, str] | None) -> str:
    name = name_of(total.address, total.selector, total.kind, names)
    return f'<span title="{escape(total.address)}">{escape(name)}</span>'


def _blocks(profiles: Sequence[Bill]) -> str:
    rows = (
        (
            escape(profile.name),
            profile.fork,
            f"{profile.gas['total']:,}",
            f"{profile.structured.gas:.1%}",
            _time(profile.nanoseconds),
            f"{profile.structured.time:.1%}",
            f"{profile.structured.time_without_signatures:.1%}",
        )
        for profile in profiles
    )
    heads = ("block", "fork", "gas", "structured", "time", "structured", "senders known")
    return f"<h2>By block</h2>{_rows(heads, rows)}"


@dataclass
class _Box:
    """A frame of the flame graph: what it cost with all below it."""

    gas: int = 0
    time: int = 0
    below: dict[str, _Box] = field(default_factory=dict)

    def weight(self, *, by_time: bool) -> int:
        return self.time if by_time else self.gas


def _flames(profiles: Sequence[Bill], names: dict[str, str] | None) -> str:
    root = _Box()
    kinds: dict[str, str] = {part.name: part.kind for profile in profiles for part in profile.parts}
    for stack, gas, nanoseconds in stacks(profiles, names):
        # Of several transactions the calls to one function are drawn as one.
        path = stack if len(profiles) == 1 and profiles[0].transactions == 1 else stack[2:]
        box = root
        for name in ("all", *path):
            box = box.below.setdefault(name, _Box())
            box.gas += gas
            box.time += max(nanoseconds, 0)
    return f"""<h2>Flame graph</h2>
<input type="radio" name="unit" id="by-gas" checked><label for="by-gas">gas</label>
<input type="radio" name="unit" id="by-time"><label for="by-time">time</label>
<div class="flame gas">{_svg(root, kinds, by_time=False)}</div>
<div class="flame time">{_svg(root, kinds, by_time=True)}</div>"""


def _svg(root: _Box, kinds: dict[str, str], *, by_time: bool) -> str:
    top = root.below.get("all")
    if top is None or top.weight(by_time=by_time) <= 0:
        return "<p>nothing</p>"
    scale = FLAME_WIDTH / top.weight(by_time=by_time)
    boxes = list(_drawn("all", top, 0.0, 0, scale, kinds, by_time=by_time))
    height = (1 + max(depth for depth, _ in boxes)) * ROW_HEIGHT
    return (
        f'<svg viewBox="0 0 {FLAME_WIDTH} {height}" xmlns="http://www.w3.org/2000/svg">'
        + "".join(text for _, text in boxes)
        + "</svg>"
    )


def _drawn(
    name: str, box: _Box, left: float, depth: int, scale: float, kinds: dict[str, str], *, by_time: bool
) -> Iterator[tuple[int, str]]:
    weight = box.weight(by_time=by_time)
    width = weight * scale
    if width < NARROWEST or depth > MAX_DEPTH:
        return
    kind = "f" if box.below else {"structured": "s", "glue": "g"}.get(kinds.get(name, ""), "g")
    amount = _time(weight) if by_time else f"{weight:,} gas"
    tip = escape(f"{name}: {amount}, {width / FLAME_WIDTH:.1%}")
    top = depth * ROW_HEIGHT
    place = f'x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW_HEIGHT}"'
    text = f'<g><title>{tip}</title><rect class="{kind}" {place}/>'
    letters = int((width - 4) / LETTER_WIDTH)
    if letters >= 3:  # noqa: PLR2004 - fewer say nothing
        shown = name if len(name) <= letters else name[: letters - 1] + "…"
        white = ' class="w"' if kind != "f" else ""
        text += f'<text{white} x="{left + 2:.1f}" y="{top + 13}">{escape(shown)}</text>'
    yield depth, text + "</g>"
    for below, child in sorted(box.below.items(), key=lambda item: -item[1].weight(by_time=by_time)):
        yield from _drawn(below, child, left, depth + 1, scale, kinds, by_time=by_time)
        left += child.weight(by_time=by_time) * scale


def _share(of: int, whole: int) -> str:
    return f"{of / whole:.1%}" if whole > 0 else ""


def _time(nanoseconds: int) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if abs(nanoseconds) >= size:
            return f"{nanoseconds / size:,.2f} {unit}"
    return f"{nanoseconds} ns"
