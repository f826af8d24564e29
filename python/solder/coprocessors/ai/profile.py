"""Where a model's time goes: matrix products and convolutions (structured) against everything else (glue), by layer.

An ``.onnx`` file is run by ONNX Runtime in float with its own profiler; an artefact by the integer executor with a
clock around each step. The whole run is timed as well, so that what belongs to no node is a part of its own ("between
nodes") and the parts add up to the run.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from solder.coprocessors.ai.profile_result import ModelProfile, Part
from solder.errors import InputError

Run = tuple[float, "Sequence[tuple[str, str, float]]"]
"""Seconds of a run, and name, operator and seconds of each of its nodes in order."""

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["BETWEEN_NODES", "ModelProfile", "Part", "profile_model"]

BETWEEN_NODES = "between nodes"
"""Name, layer and operator of what a run took outside of its nodes."""

MAX_REPEATS = 1000
_STRUCTURED_FLOAT = frozenset(
    (
        *("MatMul", "Gemm", "FusedMatMul", "FusedGemm", "Conv", "FusedConv", "MatMulInteger", "ConvInteger", "QGemm"),
        *("QLinearMatMul", "QLinearConv", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"),
    )
)
_STRUCTURED_INTEGER = frozenset({"linear", "convolution", "matrix_product", "attention"})
_LAYER = re.compile(r"[./]")


def profile_model(
    path: str | Path,
    *,
    batch: int = 1,
    sequence: int | None = None,
    threads: int = 1,
    kernel: str | None = None,
    repeats: int = 5,
    inputs: Mapping[str, NDArray[Any]] | None = None,
) -> ModelProfile:
    """Run a model ``repeats`` times and say where the time went.

    A name that ends in ``.onnx`` is a float model for ONNX Runtime (the extra ``solder-evm[models]``); any other file
    is an artefact for the integer executor, by ``kernel`` (None: the best that this machine has). Without ``inputs``
    they are made up: of ``batch`` rows, ``sequence`` long where a shape has that axis, each value within its range.

    Raises InputError for a file, a number or an input that does not fit.
    """
    for field, value, most in (("batch", batch, 65536), ("threads", threads, 256), ("repeats", repeats, MAX_REPEATS)):
        if not 1 <= value <= most:
            raise InputError(f"{value} is not from 1 to {most}", field=field)
    if sequence is not None and not 1 <= sequence <= 65536:  # noqa: PLR2004 - the format's limit
        raise InputError(f"{sequence} is not from 1 to 65536", field="sequence")
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", str(path))
    if path.suffix == ".onnx":
        if kernel is not None:
            raise InputError("a kernel is a choice of the integer executor, not of ONNX Runtime", str(path), "kernel")
        from solder.coprocessors.ai.profile_float import run_float

        shape, measured = run_float(path, batch, sequence, threads, repeats, inputs)
        structured = _STRUCTURED_FLOAT
    else:
        from solder.coprocessors.ai.profile_integer import run_integer

        shape, measured = run_integer(path, batch, sequence, threads, repeats, inputs, kernel)
        structured = _STRUCTURED_INTEGER
    seconds, nodes = _least(measured.runs)
    return ModelProfile(
        model=path.name,
        engine=measured.engine,
        batch=shape[0],
        sequence=shape[1],
        threads=threads,
        repeats=repeats,
        seconds=seconds,
        fastest_run_seconds=min(spent for spent, _ in measured.runs),
        parts=tuple(_parts(seconds, nodes, structured, measured.bare)),
    )


def _least(runs: Sequence[Run]) -> Run:
    """One run in which every node, and what is between them, takes the least time that it took in any."""
    least: dict[str, float] = {}
    for _, nodes in runs:
        for name, _, spent in nodes:
            least[name] = min(least.get(name, spent), spent)
    between = min(seconds - sum(spent for _, _, spent in nodes) for seconds, nodes in runs)
    steps = [(name, operator, least[name]) for name, operator, _ in runs[0][1]]
    return between + sum(spent for _, _, spent in steps), steps


def _parts(
    seconds: float,
    nodes: Iterable[tuple[str, str, float]],
    structured: frozenset[str],
    bare: Mapping[str, float] = MappingProxyType({}),
) -> list[Part]:
    parts = []
    layer = ""
    for name, operator, spent in nodes:
        # A node that the runtime made by fusing is named by its operator: it belongs to the layer of the one before.
        if not layer or not name.startswith(operator):
            layer = _LAYER.split(name, maxsplit=1)[0] or operator
        product = min(bare.get(name, spent), spent) if operator in structured else 0.0
        if product:
            parts.append(Part(name, layer, operator, structured=True, seconds=product))
        if product < spent or not product:
            what = f"{operator}, the rest" if product else operator
            parts.append(Part(name or operator, layer, what, structured=False, seconds=spent - product))
    rest = seconds - sum(part.seconds for part in parts)
    return [*parts, Part(BETWEEN_NODES, BETWEEN_NODES, BETWEEN_NODES, structured=False, seconds=rest)]
