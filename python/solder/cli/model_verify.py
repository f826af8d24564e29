"""The check behind ``solder model verify``: claimed outputs against the reference, in pieces of the batch limit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from solder.cli.model_arrays import coded_inputs
from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from solder._native import Artefact

__all__ = ["verify_arrays"]


def verify_arrays(
    loaded: Artefact,
    path: Path,
    given: tuple[Mapping[str, NDArray[Any]], str],
    claimed: Mapping[str, NDArray[Any]],
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """What the check found: ``holds``, ``failed`` (output and element), ``rows``, ``seconds``."""
    from solder.coprocessors.ai.artefact import read_artefact
    from solder.coprocessors.ai.evidence import reexecute

    arrays, where = given
    inputs = coded_inputs(loaded, arrays, where)
    rows = len(next(iter(inputs.values())))
    for name, array in claimed.items():
        if array.shape[:1] != (rows,):
            raise InputError(f"shape {list(array.shape)} claimed for {rows} rows", field=name)
    artefact = read_artefact(path.read_bytes(), str(path))
    step = artefact.graph.batch_limit
    start = time.monotonic()
    told: dict[str, Any] = {
        "check": "reexecution",
        "hash": artefact.identity,
        "rows": rows,
        "holds": True,
        "failed": "",
    }
    for begin in range(0, rows, step):
        piece = {name: array[begin : begin + step] for name, array in inputs.items()}
        found = reexecute(artefact, piece, {name: array[begin : begin + step] for name, array in claimed.items()})
        progress(min(begin + step, rows), rows)
        if not found.holds:
            first, *rest = found.position or (0,)
            told |= {"holds": False, "failed": f"{found.output} at {[begin + first, *rest]}"}
            break
    told["seconds"] = round(time.monotonic() - start, 6)
    return told
