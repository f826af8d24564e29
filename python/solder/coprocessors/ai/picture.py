"""A graph as an SVG picture: a box for each node, darker where more of the work is, bands for the layers.

Nodes stand in rows by their longest way from an input. What is used many rows further down (a mask, say) is named at
its user instead of drawn as a line. The file needs nothing else and runs no script.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from solder._native import Artefact

__all__ = ["draw", "picture"]

BOX_WIDTH, BOX_HEIGHT = 210, 46
COLUMN, ROW = 234, 74
MARGIN, BAND = 24, 150
LONGEST_LINE = 11  # rows; beyond it a name stands in for the line
NAME_LETTERS = 30
PALE, DARK = (236, 242, 248), (33, 94, 148)

_STYLE = (
    "text{font-family:system-ui,sans-serif;font-size:11px}.o{font-weight:600;font-size:12px}"
    ".b{font-weight:600;font-size:13px;fill:#4a5560}.s{fill:#66707a}.l{fill:none;stroke:#8b96a1;stroke-width:1.2}"
)


@dataclass(slots=True)
class _Box:
    """A node or an input of the graph, placed. ``far`` names operands that are not drawn as lines."""

    name: str
    operator: str
    detail: str
    layer: str
    share: float
    parents: list[str]
    row: int = 0
    column: float = 0.0
    far: tuple[str, ...] = ()

    @property
    def x(self) -> float:
        """The middle of the box."""
        return self.column * COLUMN

    @property
    def y(self) -> float:
        """Its upper edge."""
        return float(self.row * ROW)


def draw(artefact: Artefact, *, batch: int = 1, sequence: int | None = None) -> str:
    """The picture of a loaded artefact; shares of the work are those at this batch and sequence."""
    cost = artefact.cost(batch=batch, sequence=sequence)
    return picture(json.loads(artefact.graph), artefact.values(), cost["nodes"])


def picture(graph: Mapping[str, Any], values: Sequence[Mapping[str, Any]], costs: Sequence[Mapping[str, Any]]) -> str:
    """The picture of a graph's JSON.

    ``values`` gives ``name``, ``bits`` and ``shape`` of every value, ``costs`` the ``name`` and ``macs`` of every node.
    """
    boxes = _boxes(graph, values, costs)
    _place(boxes)
    bands = _bands(boxes)
    left = min(box.x for box in boxes.values()) - BOX_WIDTH / 2 - BAND - MARGIN
    # A line past other boxes bends outwards to the right by as much as it is long.
    right = max(box.x for box in boxes.values()) + BOX_WIDTH / 2 + 90 + MARGIN
    top, heading = -MARGIN, 34
    bottom = max(box.y for box in boxes.values()) + BOX_HEIGHT + MARGIN
    size = (right - left, bottom - top + heading)
    total = sum(cost["macs"] for cost in costs)
    title = graph["title"] or "integer graph"
    heading_text = f"{title}: {len(graph['nodes'])} nodes, {total:,} multiply-accumulates"
    view = f"{left:.0f} {top - heading:.0f} {size[0]:.0f} {size[1]:.0f}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]:.0f}" height="{size[1]:.0f}" viewBox="{view}">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        _rectangle(left, top - heading, *size, 0, "#ffffff", "none"),
        f'<text x="{left + MARGIN:.0f}" y="{top - 8:.0f}" class="b">{escape(heading_text)}</text>',
    ]
    parts += [_band(band, boxes, left + MARGIN / 2, right - MARGIN / 2) for band in bands]
    parts += [_line(boxes[parent], box) for box in boxes.values() for parent in box.parents]
    parts += [_box(box) for box in boxes.values()]
    return "\n".join([*parts, "</svg>", ""])


def _boxes(
    graph: Mapping[str, Any], values: Sequence[Mapping[str, Any]], costs: Sequence[Mapping[str, Any]]
) -> dict[str, _Box]:
    known = {value["name"]: value for value in values}
    macs = {cost["name"]: cost["macs"] for cost in costs}
    total = sum(macs.values()) or 1
    maker: dict[str, str] = {}
    boxes: dict[str, _Box] = {}

    def detail(name: str) -> str:
        value = known[name]
        return f"int{value['bits']} [{', '.join(map(str, value['shape']))}]"

    for given in graph["inputs"]:
        # An input may share its name with a node, so its box has a name of its own.
        maker[given["name"]] = key = f"input {given['name']}"
        boxes[key] = _Box(given["name"], "input", detail(given["name"]), "", 0.0, [])
    for node in graph["nodes"]:
        parents = list(dict.fromkeys(maker[name] for name in node["inputs"] if name in maker))
        share = macs.get(node["name"], 0) / total
        layer = _layer(node["name"])
        boxes[node["name"]] = _Box(node["name"], node["operator"], detail(node["outputs"][0]), layer, share, parents)
        maker.update(dict.fromkeys(node["outputs"], node["name"]))
    return boxes


def _layer(name: str) -> str:
    """What stands before the first dot or slash; nothing where there is none."""
    for position, letter in enumerate(name):
        if letter in "./":
            return name[:position]
    return ""


def _place(boxes: dict[str, _Box]) -> None:
    """Rows by the longest way from above; columns near the parents, or beside one another where they would overlap."""
    users: dict[str, list[_Box]] = defaultdict(list)
    for box in boxes.values():
        for parent in box.parents:
            users[parent].append(box)
        box.row = max((boxes[parent].row + 1 for parent in box.parents), default=0)
    for key, box in reversed(boxes.items()):
        if not box.parents and users[key]:  # an input, or positions: right above the first that uses it
            box.row = max(min(user.row for user in users[key]) - 1, 0)
    for box in boxes.values():
        box.far = tuple(boxes[parent].name for parent in box.parents if box.row - boxes[parent].row > LONGEST_LINE)
        box.parents = [parent for parent in box.parents if box.row - boxes[parent].row <= LONGEST_LINE]
    rows: dict[int, list[_Box]] = defaultdict(list)
    for box in boxes.values():
        rows[box.row].append(box)
    for number in sorted(rows):
        row = rows[number]
        for box in row:
            near = [boxes[parent].column for parent in box.parents if boxes[parent].row == box.row - 1]
            box.column = sum(near) / len(near) if near else 0.0
        row.sort(key=lambda box: box.column)
        middle = sum(box.column for box in row) / len(row)
        for position, box in enumerate(row):
            box.column = middle + position - (len(row) - 1) / 2
    # Side by side is fine; drifting away over many rows is not.
    for row in rows.values():
        if len(row) == 1:
            row[0].column = max(-0.5, min(0.5, row[0].column)) if row[0].column else 0.0


def _bands(boxes: Mapping[str, _Box]) -> list[tuple[str, int, int]]:
    """Layers of at least two nodes whose rows are no other layer's: name, first and last row."""
    spans: dict[str, list[int]] = defaultdict(list)
    for box in boxes.values():
        if box.layer:
            spans[box.layer].append(box.row)
    found = [(name, min(rows), max(rows)) for name, rows in spans.items() if len(rows) > 1]
    return [
        band
        for band in found
        if not any(other is not band and other[1] <= band[2] and band[1] <= other[2] for other in found)
    ]


def _band(band: tuple[str, int, int], boxes: Mapping[str, _Box], left: float, right: float) -> str:
    name, first, last = band
    share = sum(box.share for box in boxes.values() if box.layer == name)
    top, height = first * ROW - 12, (last - first) * ROW + BOX_HEIGHT + 24
    return (
        _rectangle(left, top, right - left, height, 8, "#f6f7f9", "#e3e7eb")
        + f'<text x="{left + 12:.0f}" y="{top + 24}" class="b">{escape(name[:16])}</text>'
        f'<text x="{left + 12:.0f}" y="{top + 42}" class="s">{share:.1%} of the work</text>'
    )


def _rectangle(left: float, top: float, width: float, height: float, radius: int, fill: str, edge: str) -> str:
    return (
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}" rx="{radius}" '
        f'fill="{fill}" stroke="{edge}"/>'
    )


def _line(above: _Box, below: _Box) -> str:
    begin, end = above.y + BOX_HEIGHT, below.y
    if below.row - above.row <= 1:
        bend = (begin + end) / 2
        points = f"M{above.x:.0f} {begin:.0f}C{above.x:.0f} {bend:.0f} {below.x:.0f} {bend:.0f} {below.x:.0f} {end:.0f}"
    else:
        # Out of the upper box at its side, down past what lies between, and into the lower box at its side.
        out = max(above.x, below.x) + BOX_WIDTH / 2 + 22 + 6 * (below.row - above.row)
        leave, enter, half = begin - 14, end + 14, BOX_WIDTH / 2
        points = (
            f"M{above.x + half:.0f} {leave:.0f}C{out:.0f} {leave:.0f} {out:.0f} {begin:.0f} {out:.0f} {begin + 20:.0f}"
            f"L{out:.0f} {end - 10:.0f}C{out:.0f} {enter:.0f} {out:.0f} {enter:.0f} {below.x + half:.0f} {enter:.0f}"
        )
    return f'<path class="l" d="{points}"/>'


def _box(box: _Box) -> str:
    depth = min(box.share * 8, 1.0) ** 0.5 if box.operator != "input" else 0.0
    fill = "#fff7e8" if box.operator == "input" else _mixed(depth)
    ink = "#ffffff" if depth > 0.55 else "#1d2329"  # noqa: PLR2004 - where the fill gets darker than mid-grey
    left = box.x - BOX_WIDTH / 2
    name = box.name if len(box.name) <= NAME_LETTERS else "…" + box.name[1 - NAME_LETTERS :]
    share = f" {box.share:.1%}" if box.share >= 0.001 else ""  # noqa: PLR2004 - what would be shown as 0.0 %
    far = ", ".join(box.far)
    about = f"{box.name}: {box.operator} {box.detail}{share}" + (f"; also {far}" if far else "")
    parts = [f"<g><title>{escape(about)}</title>", _rectangle(left, box.y, BOX_WIDTH, BOX_HEIGHT, 6, fill, "#b8c2cc")]
    for text, down, kind in ((box.operator + share, 15, ' class="o"'), (name, 28, ""), (box.detail, 41, "")):
        at = f'x="{box.x:.0f}" y="{box.y + down:.0f}"'
        parts.append(f'<text {at} text-anchor="middle" fill="{ink}"{kind}>{escape(text)}</text>')
    if far:
        parts.append(f'<text x="{left:.0f}" y="{box.y - 3:.0f}" class="s">{escape(f"and {far}"[:44])}</text>')
    return "".join([*parts, "</g>"])


def _mixed(depth: float) -> str:
    red, green, blue = (round(pale + (dark - pale) * depth) for pale, dark in zip(PALE, DARK, strict=True))
    return f"#{red:02x}{green:02x}{blue:02x}"
