"""Measures of closeness: signal-to-noise in decibels, and what the task asks (class, vector, rank of similarities)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Metric", "cosine_rows", "signal_to_noise", "spearman", "task_metrics"]

MAX_PAIRS = 4096
NO_SIGNAL_DB = -300.0
"""Of a difference from values that are all 0 (infinity is no JSON)."""

VECTOR_WIDTH = 32
"""Rows at least this wide are taken for embeddings: similarities between them are ranked."""


@dataclass(frozen=True, slots=True)
class Metric:
    """Figures of one output of the model."""

    output: str
    figures: dict[str, float | int | None] = field(hash=False)


def signal_to_noise(real: NDArray[np.float64], found: NDArray[np.float64]) -> float | None:
    """Power of the float values over power of the difference, in decibels; None where there is no difference."""
    noise = float(np.square(real - found).sum())
    if noise == 0:
        return None
    signal = float(np.square(real).sum())
    return round(10 * math.log10(signal / noise), 2) if signal > 0 else NO_SIGNAL_DB


def cosine_rows(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cosine of the angle between corresponding rows; 1 where both are 0."""
    product = (first * second).sum(axis=-1)
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    same = np.where((first == second).all(axis=-1), 1.0, 0.0)
    result: NDArray[np.float64] = np.divide(product, lengths, out=same, where=lengths > 0)
    return result


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.float64] = ((ends - counts + ends - 1) / 2.0)[inverse]
    return ranks


def spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's rank correlation."""
    a, b = _ranks(first), _ranks(second)
    a, b = a - a.mean(), b - b.mean()
    length = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / length if length > 0 else 1.0


def task_metrics(
    output: str,
    real: NDArray[Any],
    found: NDArray[Any],
    labels: NDArray[Any] | None,
    names: tuple[str, ...],
    *,
    is_class: bool,
) -> Metric:
    """What the difference does to the task: of a class, agreement and accuracy; of numbers, cosine, error, rank."""
    if is_class:
        return _class_metrics(output, real, found, labels, names)
    reals, integers = real.astype(np.float64), found.astype(np.float64)
    flat = reals.reshape(reals.shape[0], -1), integers.reshape(reals.shape[0], -1)
    cosines = cosine_rows(*flat)
    figures: dict[str, float | int | None] = {
        "signal_to_noise_db": signal_to_noise(reals, integers),
        "largest_error": float(np.abs(reals - integers).max(initial=0.0)),
        "cosine_mean": round(float(cosines.mean()), 6),
        "cosine_least": round(float(cosines.min()), 6),
    }
    width = flat[0].shape[1]
    if reals.ndim == 2 and 1 < width <= max(len(names), VECTOR_WIDTH):  # noqa: PLR2004
        agree = flat[0].argmax(axis=1) == flat[1].argmax(axis=1)
        figures["argmax_agreement"] = float(agree.mean())
        if labels is not None and labels.dtype.kind in "iu":
            figures["accuracy_float"] = float((flat[0].argmax(axis=1) == labels).mean())
            figures["accuracy_integer"] = float((flat[1].argmax(axis=1) == labels).mean())
    elif reals.ndim == 2 and width > VECTOR_WIDTH and reals.shape[0] > 2:  # noqa: PLR2004
        figures["similarity_spearman"] = round(_similarity_ranks(*flat), 6)
    return Metric(output, figures)


def _similarity_ranks(real: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """Rank correlation of the similarities between different rows, of as many pairs as the limit allows."""
    count = min(real.shape[0], math.isqrt(2 * MAX_PAIRS))
    first, second = np.triu_indices(count, 1)
    return spearman(cosine_rows(real[first], real[second]), cosine_rows(found[first], found[second]))


def _class_metrics(
    output: str, real: NDArray[Any], found: NDArray[Any], labels: NDArray[Any] | None, names: tuple[str, ...]
) -> Metric:
    """``real`` holds the source's own labels (or indices), ``found`` indices."""
    flat, indices = real.reshape(-1), found.reshape(-1).astype(np.int64)
    place = {name: index for index, name in enumerate(names)}
    # The source says a class by its label, or by its index where labels came later.
    known = np.array([place.get(_text(value), -1) for value in flat.tolist()])
    source = known if (known >= 0).all() else flat.astype(np.int64)
    figures: dict[str, float | int | None] = {
        "rows": int(indices.size),
        "argmax_agreement": float((source == indices).mean()),
        "disagreements": int((source != indices).sum()),
    }
    if labels is not None:
        truth = np.array([place.get(_text(value), -1) for value in labels.reshape(-1).tolist()])
        if not (truth >= 0).any():
            truth = labels.reshape(-1).astype(np.int64)
        figures["accuracy_float"] = float((source == truth).mean())
        figures["accuracy_integer"] = float((indices == truth).mean())
    return Metric(output, figures)


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
