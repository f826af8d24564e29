"""What a model's profile says: time by node, and its sums by layer and by operator."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ModelProfile", "Part"]


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


def _layer(part: Part) -> str:
    return part.layer


def _operator(part: Part) -> str:
    return part.operator


def _rows(sums: Mapping[str, tuple[float, float]], key: str) -> list[dict[str, Any]]:
    return [
        {key: name, "structured_seconds": structured, "glue_seconds": glue} for name, (structured, glue) in sums.items()
    ]
