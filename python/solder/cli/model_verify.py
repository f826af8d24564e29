"""The checks behind ``solder model verify``: claimed outputs against the reference, or by Freivalds' method.

Inputs are checked in pieces of the batch limit.
"""

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
    from solder.coprocessors.ai.artefact import Artefact as ReferenceArtefact

__all__ = ["verdict_lines", "verify_arrays"]


def verify_arrays(
    loaded: Artefact,
    path: Path,
    given: tuple[Mapping[str, NDArray[Any]], str],
    claimed: Mapping[str, NDArray[Any]],
    progress: Callable[[int, int], None],
    rounds: int | None = None,
) -> dict[str, Any]:
    """What the check found: ``holds``, ``failed`` (what is wrong), ``rows``, ``seconds``.

    With ``rounds`` the products are checked by Freivalds' method: then ``error_probability`` and what each part cost
    are told too. Without, the reference runs again.
    """
    from solder.coprocessors.ai.artefact import read_artefact

    arrays, where = given
    inputs = coded_inputs(loaded, arrays, where)
    rows = len(next(iter(inputs.values())))
    for name, array in claimed.items():
        if array.shape[:1] != (rows,):
            raise InputError(f"shape {list(array.shape)} claimed for {rows} rows", field=name)
    artefact = read_artefact(path.read_bytes(), str(path))
    check = _Reexecution(artefact) if rounds is None else _Freivalds(artefact, loaded, rounds)
    step = artefact.graph.batch_limit
    start = time.monotonic()
    failed = ""
    for begin in range(0, rows, step):
        piece = {name: array[begin : begin + step] for name, array in inputs.items()}
        failed = check.failed(begin, piece, {name: array[begin : begin + step] for name, array in claimed.items()})
        progress(min(begin + step, rows), rows)
        if failed:
            break
    seconds = time.monotonic() - start
    told = {"hash": artefact.identity, "rows": rows, "holds": not failed, "failed": failed}
    return told | {"seconds": round(seconds, 6)} | check.told(inputs)


class _Reexecution:
    """The reference runs again, and every bit is compared."""

    def __init__(self, artefact: ReferenceArtefact) -> None:
        self.artefact = artefact

    def failed(self, begin: int, inputs: Mapping[str, NDArray[Any]], claimed: Mapping[str, NDArray[Any]]) -> str:
        """Which output and element are wrong; empty where none is."""
        from solder.coprocessors.ai.evidence import reexecute

        found = reexecute(self.artefact, inputs, claimed)
        if found.holds:
            return ""
        first, *rest = found.position or (0,)
        return f"{found.output} at {[begin + first, *rest]}"

    def told(self, _inputs: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """What the method is."""
        return {"check": "reexecution", "error_probability": 0.0}


class _Freivalds:
    """The sums of all dense layers, by the fastest kernel, each checked; what lies between them by the reference."""

    def __init__(self, artefact: ReferenceArtefact, loaded: Artefact, rounds: int) -> None:
        from solder.coprocessors.ai.sums import Summing

        self.artefact, self.loaded, self.rounds = artefact, loaded, rounds
        self.summing = Summing(artefact)
        self.products = 0
        self.error_probability = 0.0
        self.seconds = {"sums": 0.0, "products": 0.0, "between": 0.0}

    def failed(self, begin: int, inputs: Mapping[str, NDArray[Any]], claimed: Mapping[str, NDArray[Any]]) -> str:
        """Which product or output is wrong; empty where none is found."""
        from solder.coprocessors.ai.evidence import check_run

        start = time.perf_counter()
        sums = self.summing.run(inputs)
        self.seconds["sums"] += time.perf_counter() - start
        found = check_run(self.artefact, inputs, claimed, sums, rounds=self.rounds)
        self.products += found.products
        self.error_probability += found.error_probability
        self.seconds["products"] += found.product_seconds
        self.seconds["between"] += found.other_seconds
        if found.holds:
            return ""
        rows = len(next(iter(inputs.values())))
        return f"{found.failed} in rows {begin}..{begin + rows - 1}"

    def told(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """What it may have missed, what it cost, and what running again costs (measured on the first rows)."""
        from solder.coprocessors.ai.reference import run

        piece = {name: array[: self.artefact.graph.batch_limit] for name, array in inputs.items()}
        one = {name: array[:1] for name, array in inputs.items()}
        self.loaded.run(piece)
        start = time.perf_counter()
        self.loaded.run(piece)
        kernel = (time.perf_counter() - start) / len(next(iter(piece.values())))
        start = time.perf_counter()
        run(self.artefact, one)
        reference = time.perf_counter() - start
        return {
            "check": "freivalds",
            "rounds": self.rounds,
            "products": self.products,
            "error_probability": min(self.error_probability, 1.0),
            "parts_seconds": {name: round(seconds, 6) for name, seconds in self.seconds.items()},
            "again_seconds_a_row": {"kernel": round(kernel, 6), "reference": round(reference, 6)},
        }


def verdict_lines(told: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    verdict = "no error found" if told["check"] == "freivalds" else "equal"
    verdict = verdict if told["holds"] else f"WRONG: {told['failed']}"
    if told["check"] == "reexecution":
        return [f"re-execution of {told['rows']:,} rows in {told['seconds']:.3f} s: {verdict}"]
    parts, again = told["parts_seconds"], told["again_seconds_a_row"]
    passes = f"a wrong one passes with probability at most {told['error_probability']:.2g}"
    by_kernel = f"sums by the kernel {parts['sums']:.3f} s, checks of products {parts['products']:.3f} s"
    reference = f"reference {again['reference']:.2g} s, kernel {again['kernel']:.2g} s"
    return [
        f"Freivalds' check of {told['rows']:,} rows in {told['seconds']:.3f} s: {verdict}",
        f"  {told['products']:,} products, rounds of each: {told['rounds']}; {passes}",
        f"  {by_kernel}, all else by the reference {parts['between']:.3f} s",
        f"  a row: running again by {reference}; this check {told['seconds'] / told['rows']:.2g} s",
    ]
