"""The bare int8 product against ONNX Runtime's MatMulInteger, and a graph against the bare products of its shapes."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import runtime
from alternate import alternate
from numpy.typing import NDArray

from solder._native import Artefact, integer_product, time_products
from solder.coprocessors.ai.profile_integer import bare_products

Shape = tuple[int, int, int]  # rows, inner, columns


@dataclass(frozen=True, slots=True)
class Product:
    """One shape, seconds of one product: ours, and the runtime's faster kind."""

    shape: Shape
    count: int
    ours: float
    theirs: float
    kind: str

    def as_json(self, peak: float | None) -> dict[str, Any]:
        """Rates in GMAC/s; ``peak`` is the core's."""
        work = self.shape[0] * self.shape[1] * self.shape[2] / 1e9
        found: dict[str, Any] = {
            "shape": list(self.shape),
            "count": self.count,
            "gmacs": work / self.ours,
            "onnxruntime_gmacs": work / self.theirs,
            "onnxruntime_kind": self.kind,
        }
        return found | ({"share_of_peak": work / self.ours / peak} if peak else {})


def shapes_of(artefact: Artefact, feed: Mapping[str, NDArray[Any]]) -> list[tuple[Shape, int]]:
    """Shapes of all products of a run, with how many there are: dense layers, convolutions, both of each attention."""
    count: Counter[Shape] = Counter()
    for products in bare_products(artefact, feed).values():
        for rows, inner, columns, many in products:
            count[rows, inner, columns] += many
    return list(count.items())


def dense(artefact: Artefact, feed: Mapping[str, NDArray[Any]]) -> list[tuple[Shape, int]]:
    """Only those with weights: what a runtime's MatMulInteger is compared on."""
    count: Counter[Shape] = Counter()
    operators = {node["name"]: node["operator"] for node in json.loads(artefact.graph)["nodes"]}
    for name, products in bare_products(artefact, feed).items():
        if operators[name] == "linear":
            count[products[0][:3]] += 1
    return list(count.items())


def against_runtime(shapes: Sequence[tuple[Shape, int]], repeats: int) -> list[Product]:
    """Each shape by our best kernel and by both of the runtime's kinds, in turns; all results are compared first."""
    found = []
    for shape, count in shapes:
        rows, inner, columns = shape
        calls: dict[str, Any] = {}
        for kind in runtime.KINDS:
            run, binding, left, right = runtime.integer_product(rows, inner, columns, kind)
            run()
            _same(binding.copy_outputs_to_cpu()[0], left.astype(np.int8), right, f"{kind} {shape}")
            calls[kind] = run
        # Ours is timed by its own clock: many calls of a kernel below Python's.
        ours = float("inf")
        best = dict.fromkeys(calls, float("inf"))
        for _ in range(repeats):
            ours = min(ours, *time_products([(rows, inner, columns, 1)], repeats=3))
            round_best = alternate(calls, 3)
            best = {kind: min(best[kind], seconds.wall) for kind, seconds in round_best.items()}
        kind = min(best, key=lambda name: best[name])
        found.append(Product(shape, count, ours, best[kind], kind))
    return found


def _same(theirs: NDArray[np.int32], left: NDArray[np.int8], right: NDArray[np.int8], what: str) -> None:
    ours = integer_product(left, np.ascontiguousarray(right.T))
    exact = (left.astype(np.float64) @ right.astype(np.float64)).astype(np.int32)
    if not ((ours == exact).all() and (theirs == exact).all()):
        raise SystemExit(f"{what}: the product is wrong")


def ratio(products: Sequence[Product]) -> float:
    """Their seconds over ours, over all products of the graph."""
    return sum(one.theirs * one.count for one in products) / sum(one.ours * one.count for one in products)
