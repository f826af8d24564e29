"""Where a model's time goes: matrix products and convolutions (structured) against everything else (glue), by layer.

An ``.onnx`` file is run by ONNX Runtime in float with its own profiler; an artefact by the integer executor with a
clock around each step. The whole run is timed as well, so that what belongs to no node is a part of its own ("between
nodes") and the parts add up to the run.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from solder.errors import InputError

Run = tuple[float, "Sequence[tuple[str, str, float]]"]
"""Seconds of a run, and name, operator and seconds of each of its nodes in order."""

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

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


@dataclass(frozen=True, slots=True)
class Part:
    """One node of a run: its name, the layer it belongs to, its operator, whether it is structured, its seconds."""

    name: str
    layer: str
    operator: str
    structured: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """Time by node: of each node, and of what is between them, the least of ``repeats`` runs.

    ``seconds`` is the sum of the parts: a run that nothing disturbs; ``fastest_run_seconds`` is the fastest as it was.
    """

    model: str
    engine: str
    batch: int
    sequence: int | None
    threads: int
    repeats: int
    seconds: float
    fastest_run_seconds: float
    parts: tuple[Part, ...]

    @property
    def structured_seconds(self) -> float:
        """Seconds in products and convolutions."""
        return sum(part.seconds for part in self.parts if part.structured)

    @property
    def structured_share(self) -> float:
        """Their share of the run, from 0 to 1."""
        return self.structured_seconds / self.seconds if self.seconds else 0.0

    def by(self, key: Callable[[Part], str]) -> dict[str, tuple[float, float]]:
        """Structured and glue seconds summed over the parts with the same key, in the order of first appearance."""
        sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for part in self.parts:
            sums[key(part)][not part.structured] += part.seconds
        return {name: (structured, glue) for name, (structured, glue) in sums.items()}

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values; times in seconds."""
        return {
            "model": self.model,
            "engine": self.engine,
            "batch": self.batch,
            "sequence": self.sequence,
            "threads": self.threads,
            "repeats": self.repeats,
            "statistic": "minimum of each node",
            "seconds": self.seconds,
            "fastest_run_seconds": self.fastest_run_seconds,
            "structured_seconds": self.structured_seconds,
            "structured_share": self.structured_share,
            "layers": _rows(self.by(lambda part: part.layer), "layer"),
            "operators": _rows(self.by(lambda part: part.operator), "operator"),
            "nodes": [
                {
                    "name": part.name,
                    "layer": part.layer,
                    "operator": part.operator,
                    "structured": part.structured,
                    "seconds": part.seconds,
                }
                for part in self.parts
            ],
        }

    def table(self) -> str:
        """Layers, then operators, as lines of text."""
        lines = [
            f"{self.model}: {self.engine}",
            f"batch {self.batch}"
            + (f", sequence {self.sequence}" if self.sequence else "")
            + f", {self.threads} thread{'s' if self.threads > 1 else ''}, least of {self.repeats} runs node by node: "
            f"{self.seconds * 1e3:.3f} ms, {self.structured_share:.1%} in products, "
            f"{1 - self.structured_share:.1%} glue",
        ]
        for heading, key in (("layer", _layer), ("operator", _operator)):
            sums = self.by(key)
            if heading == "operator":
                sums = dict(sorted(sums.items(), key=lambda row: -sum(row[1])))
            width = max(len(name) for name in (heading, *sums))
            lines += ["", f"{heading:<{width}}  {'products ms':>12} {'glue ms':>10} {'of the run':>11}"]
            lines += [
                f"{name:<{width}}  {structured * 1e3:>12.3f} {glue * 1e3:>10.3f} "
                f"{(structured + glue) / self.seconds if self.seconds else 0:>11.1%}"
                for name, (structured, glue) in sums.items()
            ]
        return "\n".join(lines)

    def html(self) -> str:
        """A page that needs nothing else: the bar of glue against structured, layers and operators."""
        from solder.coprocessors.ai.profile_page import page

        return page(self)


def _layer(part: Part) -> str:
    return part.layer


def _operator(part: Part) -> str:
    return part.operator


def _rows(sums: Mapping[str, tuple[float, float]], key: str) -> list[dict[str, Any]]:
    return [
        {key: name, "structured_seconds": structured, "glue_seconds": glue} for name, (structured, glue) in sums.items()
    ]


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
