"""The integer half of a model's profile: the executor's own clock over an artefact.

The executor fuses a product with the rescaling and the table behind it, and attention is one step. What of such a step
is the product is measured apart: the bare products of its shapes, on the same kernel, in the same process. The rest of
the step is glue.
"""

from __future__ import annotations

import json
import time
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from solder._native import Artefact, ai_kernels, time_products
from solder.coprocessors.ai.profile_float import DEFAULT_SEQUENCE, MAX_INPUT_ELEMENTS, Measured
from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from solder._native import PortDict

__all__ = ["bare_products", "run_integer"]

SEED = 0
AXES = ("batch", "sequence")


def run_integer(
    path: Path,
    batch: int,
    sequence: int | None,
    threads: int,
    repeats: int,
    inputs: Mapping[str, NDArray[Any]] | None,
    kernel: str | None,
) -> tuple[tuple[int, int | None], Measured]:
    """Batch and sequence as run, and what was measured; one more run before warms up and is not counted."""
    artefact = Artefact.load(path)
    feed, shape = (dict(inputs), _given(inputs)) if inputs is not None else _feed(artefact, path, batch, sequence)
    runs = []
    for number in range(repeats + 1):
        start = time.perf_counter()
        _, nodes = artefact.profile(feed, kernel=kernel, threads=threads)
        spent = time.perf_counter() - start
        if number:
            runs.append((spent, [(node["name"], node["operator"], node["nanoseconds"] / 1e9) for node in nodes]))
    bare = {
        name: sum(time_products(products, kernel=kernel, threads=threads))
        for name, products in bare_products(artefact, feed).items()
    }
    return shape, Measured(f"integers, kernel {kernel or ai_kernels()[-1]}", runs, bare)


def bare_products(artefact: Artefact, feed: Mapping[str, NDArray[Any]]) -> dict[str, list[tuple[int, int, int, int]]]:
    """The products (rows, inner, columns, how many) of every node that has some, by its name, for inputs ``feed``."""
    graph = json.loads(artefact.graph)
    extents: dict[str, int] = {}
    for one in artefact.inputs:
        extents.update((axis, n) for axis, n in zip(one["shape"], feed[one["name"]].shape, strict=True) if axis in AXES)
    shapes = {one["name"]: [extents.get(str(axis), axis) for axis in one["shape"]] for one in artefact.values()}
    found: dict[str, list[tuple[int, int, int, int]]] = {}
    for node in graph["nodes"]:
        operands = [shapes.get(name) or list(artefact.tensor(name).shape) for name in node["inputs"][:3]]
        out = shapes[node["outputs"][0]]
        found[node["name"]] = [
            (rows, inner, columns, count)
            for rows, inner, columns, count in _of(node["operator"], node["attributes"], operands, out)
            if rows * inner * columns * count
        ]
    return {name: products for name, products in found.items() if products}


def _of(operator: str, attributes: Mapping[str, Any], operands: list[Any], out: list[Any]) -> list[Any]:
    """The products of one node, from the extents of its operands and of its output."""
    match operator:
        case "linear":
            return [(prod(out[:-1]), operands[0][-1], out[-1], 1)]
        case "convolution":
            _, high, wide, channels = operands[1]
            groups = attributes["groups"]
            return [(prod(out[:-1]), high * wide * channels, out[-1] // groups, groups)]
        case "matrix_product":
            return [(out[-2], operands[0][-1], out[-1], prod(out[:-2]))]
        case "attention":
            (batch, queries, width), keys, heads = operands[0], operands[1][1], attributes["heads"]
            return [
                (queries, width // heads, keys, batch * heads),
                (queries, keys, operands[2][2] // heads, batch * heads),
            ]
    return []


def _given(inputs: Mapping[str, NDArray[Any]]) -> tuple[int, int | None]:
    first = next(iter(inputs.values()), None)
    return (first.shape[0] if first is not None and first.ndim else 1), None


def _feed(
    artefact: Artefact, path: Path, batch: int, sequence: int | None
) -> tuple[dict[str, NDArray[Any]], tuple[int, int | None]]:
    """Every input made up: masks of ones, all else any value in its range."""
    generator = np.random.default_rng(SEED)
    used: int | None = None
    feed = {}
    for one in artefact.inputs:
        if "sequence" in one["shape"] and used is None:
            used = sequence or min(DEFAULT_SEQUENCE, json.loads(artefact.graph)["sequence_limit"])
        shape = [_extent(axis, batch, used) for axis in one["shape"]]
        if int(np.prod(shape)) > MAX_INPUT_ELEMENTS:
            raise InputError(f"{shape} has more than {MAX_INPUT_ELEMENTS} elements", str(path), one["name"])
        dtype = np.dtype(f"int{one['bits']}")
        if _is_mask(one):
            feed[one["name"]] = np.ones(shape, dtype)
        else:
            feed[one["name"]] = generator.integers(one["minimum"], one["maximum"] + 1, shape, dtype=dtype)
    return feed, (batch, used)


def _extent(axis: str | int, batch: int, sequence: int | None) -> int:
    if isinstance(axis, int):
        return axis
    return batch if axis == "batch" or sequence is None else sequence


def _is_mask(one: PortDict) -> bool:
    return (one["minimum"], one["maximum"]) == (0, 1)
