"""Calibration: the smallest and largest number that each value of the float model takes on given data.

Ranges are rounded outwards to six significant bits before anything is derived from them: the float runtime's last
bits differ between machines, the artefact's bytes must not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.importing.float_run import FloatRun
from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from solder.coprocessors.ai.importing.layers import Layers
    from solder.coprocessors.ai.importing.read import SourceGraph

__all__ = ["Ranges", "batches", "calibrate", "check_data", "round_up", "row_elements"]

SIGNIFICANT_BITS = 6
IMAGE_RANK = 4
MAX_ROWS = 4096
"""Rows of calibration data that are run; more are left out."""

BATCH_ELEMENTS = 1 << 24
"""Elements of all kept values in one run of the float model."""

Progress = Callable[[str, int, int], None]
Feeds = dict[str, "NDArray[Any]"]


@dataclass(frozen=True, slots=True)
class Ranges:
    """(lowest, highest) of each float value, of some also by channel; ``rows`` is how many rows of data said so."""

    bounds: dict[str, tuple[float, float]] = field(hash=False)
    rows: int
    channels: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict, hash=False)

    def largest(self, name: str) -> float:
        """The largest magnitude; never 0, so that it can be a scale."""
        low, high = self.bounds[name]
        return max(-low, high) or 1.0


def round_up(value: float) -> float:
    """``value`` away from zero to six significant bits."""
    if value == 0:
        return 0.0
    mantissa, exponent = math.frexp(abs(value))
    steps = math.ceil(mantissa * (1 << SIGNIFICANT_BITS) - 1e-3)
    return math.copysign(math.ldexp(steps, exponent - SIGNIFICANT_BITS), value)


def check_data(graph: SourceGraph, data: Mapping[str, NDArray[Any]], where: str) -> Feeds:
    """``data`` as the float model takes it: one array for each input, equally many rows, finite.

    Raises:
        InputError: an input is missing, unknown, of another rank or extent, or not of numbers.

    """
    names = [value.name for value in graph.inputs]
    if unknown := sorted(set(data) - set(names)):
        raise InputError(f"the model has no input of this name (it has {', '.join(names)})", where, unknown[0])
    feeds: Feeds = {}
    for value in graph.inputs:
        if value.name not in data:
            raise InputError("missing", where, value.name)
        array = np.asarray(data[value.name])
        if array.dtype.kind not in "fiub":
            raise InputError(f"{array.dtype} is no type of numbers", where, value.name)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError("NaN or infinite", where, value.name)
        expected = [size if isinstance(size, int) else -1 for size in value.shape]
        if array.ndim != len(expected) or any(e not in (-1, s) for e, s in zip(expected, array.shape, strict=True)):
            raise InputError(f"shape {list(array.shape)}, the model takes {list(value.shape)}", where, value.name)
        if array.shape[0] == 0 or 0 in array.shape:
            raise InputError("no rows", where, value.name)
        feeds[value.name] = array[:MAX_ROWS].astype(value.dtype)
    if len({array.shape[0] for array in feeds.values()}) > 1:
        raise InputError("the inputs have different numbers of rows", where)
    return feeds


def batches(feeds: Mapping[str, NDArray[Any]], rows_elements: int) -> Iterator[Feeds]:
    """``feeds`` in pieces whose kept values (``rows_elements`` a row) stay within BATCH_ELEMENTS."""
    rows = next(iter(feeds.values())).shape[0]
    step = max(1, min(64, BATCH_ELEMENTS // max(rows_elements, 1)))
    for start in range(0, rows, step):
        yield {name: array[start : start + step] for name, array in feeds.items()}


def row_elements(layers: Layers, feeds: Mapping[str, NDArray[Any]]) -> int:
    """Elements of all layers' outputs for one row of data."""
    sequence = max((array.shape[1] for array in feeds.values() if array.ndim > 1), default=1)
    total = 0
    for layer in layers.layers:
        sizes = [sequence if axis == "sequence" else axis for axis in layers.shapes[layer.output]]
        total += math.prod(size for size in sizes if isinstance(size, int))
    return total


def calibrate(
    graph: SourceGraph,
    layers: Layers,
    feeds: Mapping[str, NDArray[Any]],
    by_channel: Collection[str] = (),
    progress: Progress | None = None,
) -> Ranges:
    """The ranges of every layer's output and of the float inputs over ``feeds``; of ``by_channel`` also by channel."""
    names = [layer.output for layer in layers.layers]
    numeric = [name for name in names if layers.shapes[name]]
    run = FloatRun(graph, numeric)
    rows = next(iter(feeds.values())).shape[0]
    bounds: dict[str, tuple[float, float]] = {}
    channels: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    done = 0
    for piece in batches(feeds, row_elements(layers, feeds)):
        for name, array in [*run.run(piece).items(), *piece.items()]:
            if array.dtype.kind not in "fiub":
                continue
            low, high = float(array.min()), float(array.max())
            if not (math.isfinite(low) and math.isfinite(high)):
                raise InputError("NaN or infinite on the calibration data", graph.path, f"value {name!r}")
            before = bounds.get(name, (low, high))
            bounds[name] = (min(low, before[0]), max(high, before[1]))
            if name in by_channel:
                lows, highs = _by_channel(array)
                first = channels.get(name, (lows, highs))
                channels[name] = (np.minimum(lows, first[0]), np.maximum(highs, first[1]))
        done += next(iter(piece.values())).shape[0]
        if progress is not None:
            progress("calibrating", done, rows)
    return Ranges(
        {name: (round_up(low), round_up(high)) for name, (low, high) in bounds.items()},
        rows,
        {name: (_round_up_all(low), _round_up_all(high)) for name, (low, high) in channels.items()},
    )


def _by_channel(array: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The bounds of each channel: axis 1 of an image, the last axis of anything else."""
    channel = 1 if array.ndim == IMAGE_RANK else array.ndim - 1
    others = tuple(axis for axis in range(array.ndim) if axis != channel)
    return array.min(axis=others).astype(np.float64), array.max(axis=others).astype(np.float64)


def _round_up_all(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([round_up(float(value)) for value in values])
