"""Tables of ``solder model``: the report of an import, what an artefact is, the list of artefacts."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from solder._native import Artefact
    from solder.coprocessors.ai.importing import ImportReport

__all__ = ["inspect_lines", "inspection", "list_lines", "report_lines"]

WIDTH = 120
"""Columns of the tables where no terminal says how many it has."""

WORST = 3
SHOWN_LABELS = 8


def report_lines(report: ImportReport) -> Iterator[str]:
    """The report of an import as text."""
    yield from _pairs(
        ("source", report.source),
        ("identity", report.identity),
        ("parameters", f"{report.parameters:,}"),
        ("artefact", f"{report.size_bytes:,} bytes"),
        ("cost", f"{report.macs:,} multiply-accumulates a row at the longest sequence"),
        ("operators", ", ".join(f"{count} {name}" for name, count in report.operators.items())),
        ("took", f"{report.seconds:.1f} s"),
    )
    if report.layers:
        yield ""
        rows = [
            [
                layer.node,
                layer.kind,
                _decibels(layer.signal_to_noise_db),
                _decibels(layer.own_db),
                f"{layer.largest_error:.3g}",
            ]
            for layer in report.layers
        ]
        yield from _table(["layer", "kind", "signal/noise", "own", "largest error"], rows, text=2)
        yield ""
        yield f"signal/noise: power of the floats over that of the difference, up to here ({report.layer_rows} rows),"
        yield "own: what the layer adds itself, given exact inputs. Most is added by:"
        for layer in report.worst(WORST):
            yield f"  {layer.node} ({layer.kind}): {_decibels(layer.own_db)}"
    yield from (f"note: {note}" for note in report.notes)
    for metric in report.metrics:
        yield ""
        yield f"output {metric.output} on {report.rows:,} rows:"
        yield from (f"  {line}" for line in _pairs(*((name, _figure(value)) for name, value in metric.figures.items())))
    if not report.metrics:
        yield ""
        yield "nothing was compared: no calibration data were given"


def inspection(loaded: Artefact, batch: int, sequence: int | None) -> dict[str, Any]:
    """What ``inspect --json`` prints."""
    graph = json.loads(loaded.graph)
    cost = loaded.cost(batch=batch, sequence=sequence)
    operators: dict[str, int] = {}
    for node in graph["nodes"]:
        operators[node["operator"]] = operators.get(node["operator"], 0) + 1
    return {
        "hash": loaded.identity.hex(),
        "title": graph["title"],
        "parameters": loaded.parameters,
        "macs": cost["macs"],
        "bytes": loaded.file_bytes,
        "operators": dict(sorted(operators.items())),
        "batch": batch,
        "sequence": sequence or graph["sequence_limit"],
        "moved_bytes": cost["bytes"],
        "memory_bytes": cost["memory_bytes"],
        "batch_limit": graph["batch_limit"],
        "sequence_limit": graph["sequence_limit"],
        "inputs": list(loaded.inputs),
        "outputs": list(loaded.outputs),
        "labels": graph["labels"],
        "tokeniser_sha256": graph["tokeniser_sha256"],
        "nodes": list(cost["nodes"]),
    }


def inspect_lines(told: dict[str, Any]) -> Iterator[str]:
    """The same as text, with the cost of each layer."""
    yield from _pairs(
        ("title", told["title"] or "-"),
        ("hash", told["hash"]),
        ("parameters", f"{told['parameters']:,}"),
        ("file", f"{told['bytes']:,} bytes"),
        ("cost", f"{told['macs']:,} multiply-accumulates, {told['moved_bytes']:,} bytes moved"),
        (
            "at",
            f"batch {told['batch']} of {told['batch_limit']}, sequence {told['sequence']} of {told['sequence_limit']}",
        ),
        ("memory", f"{told['memory_bytes']:,} bytes for a run on one thread"),
        ("operators", ", ".join(f"{count} {name}" for name, count in told["operators"].items())),
        ("labels", _labels(told["labels"])),
        ("tokeniser", told["tokeniser_sha256"] or "-"),
    )
    yield ""
    ends = [
        [
            way,
            end["name"],
            f"int{end['bits']}",
            _shape(end["shape"]),
            f"{end['minimum']:,}..{end['maximum']:,}",
            _coding(end),
        ]
        for way, key in (("in", "inputs"), ("out", "outputs"))
        for end in told[key]
    ]
    yield from _table(["", "name", "type", "shape", "range", "coding"], ends, text=6)
    yield ""
    total = max(told["macs"], 1)
    rows = [
        [node["name"], node["operator"], f"{node['macs']:,}", f"{node['macs'] / total:.1%}", f"{node['bytes']:,}"]
        for node in told["nodes"]
    ]
    yield from _table(["layer", "operator", "MACs", "share", "bytes"], rows, text=2)


def list_lines(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The list of artefacts as text."""
    if not found:
        yield "no artefacts"
        return
    rows = [
        [entry["path"], "refused", entry["error"], "", ""]
        if "error" in entry
        else [entry["path"], entry["hash"][:16], entry["title"], f"{entry['parameters']:,}", f"{entry['bytes']:,}"]
        for entry in found
    ]
    yield from _table(["path", "hash", "title", "parameters", "bytes"], rows, text=3)


def _pairs(*told: tuple[str, str]) -> Iterator[str]:
    width = max(len(name) for name, _ in told) + 2
    for name, value in told:
        yield f"{name:<{width}}{value}"


def _decibels(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f} dB"


def _figure(value: float | None) -> str:
    if value is None:
        return "exact"
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _labels(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:SHOWN_LABELS])
    return f"{shown}, … ({len(labels)})" if len(labels) > SHOWN_LABELS else shown or "-"


def _shape(shape: Sequence[object]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def _coding(end: dict[str, Any]) -> str:
    coding = end["coding"]
    if coding["kind"] != "fixed":
        return str(coding["kind"])
    scale = coding["multiplier"] / math.ldexp(1.0, coding["shift"])
    return f"x {scale:.6g}"


def _table(titles: list[str], rows: list[list[str]], *, text: int) -> Iterator[str]:
    """A table without a frame; the first ``text`` columns are words, the others figures."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, title in enumerate(titles):
        table.add_column(title, justify="left" if place < text else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        yield line.rstrip()
