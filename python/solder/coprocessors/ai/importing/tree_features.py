"""Trees behind a scaler: the scaler moves into the thresholds, exactly.

What a scaler does to one feature in float32 is monotonic, so ``scaled(x) <= threshold`` is ``x <= another threshold``:
the largest float32 for which it holds, found by bisection over the codes of all float32. Every step is rounded as the
source rounds it, so that each comparison comes out as before for every number.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from solder.coprocessors.ai.importing.layers import Source
    from solder.coprocessors.ai.importing.read import SourceNode
    from solder.coprocessors.ai.importing.trees import Ensemble

__all__ = ["Step", "scaling_steps", "unscaled"]

LARGEST_FINITE = 0x7F7FFFFF
"""The code of the largest finite float32; that of the smallest is its negative."""

CODE_BITS = 33
STEPS = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a scaler, with a constant for each feature."""

    operator: str
    constant: NDArray[np.float32] = field(hash=False)
    constant_first: bool

    def apply(self, x: NDArray[np.float32], features: NDArray[np.int32]) -> NDArray[np.float32]:
        """The step on numbers ``x`` of the features of these indices, rounded to float32."""
        constant = self.constant[features] if self.constant.size > 1 else self.constant
        operands = (constant, x) if self.constant_first else (x, constant)
        with np.errstate(all="ignore"):
            return np.asarray(STEPS[self.operator](*operands), np.float32)

    def falls(self, features: NDArray[np.int32]) -> NDArray[np.bool_]:
        """For which of these features the step turns the order round."""
        constant = self.constant[features] if self.constant.size > 1 else np.broadcast_to(self.constant, features.shape)
        if self.operator in {"Mul", "Div"}:
            return np.asarray(constant < 0)
        return np.full(features.shape, self.operator == "Sub" and self.constant_first)


def scaling_steps(source: Source, name: str, user: SourceNode) -> tuple[str, tuple[Step, ...]]:
    """(the value that is scaled, the steps from it to ``name``)."""
    steps: list[Step] = []
    while (node := source.maker.get(name)) is not None:
        if node.operator in {"Identity", "Dropout"} or (node.operator == "Cast" and node.attributes["to"] == 1):
            name = node.inputs[0]
            continue
        found = source.operands(node) if node.operator in STEPS else None
        width = source.shape(name)[-1]
        if found is None or found[1].size not in (1, width) or (node.operator == "Div" and found[0] != node.inputs[0]):
            raise source.fail(user, f"its features come from {node}, which is no scaling of the model's input")
        steps.append(Step(node.operator, found[1].reshape(-1).astype(np.float32), found[0] != node.inputs[0]))
        name = found[0]
    return name, tuple(reversed(steps))


def unscaled(ensemble: Ensemble, steps: tuple[Step, ...]) -> Ensemble:
    """The same ensemble over the features before ``steps``."""
    if not steps or not ensemble.feature.size:
        return ensemble
    features = ensemble.feature
    falls = np.zeros(features.shape, bool)
    for step in steps:
        falls ^= step.falls(features)

    def holds(codes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the left child is taken; where the order is turned round, the right one."""
        x = _decoded(codes)
        for step in steps:
            x = step.apply(x, features)
        return np.asarray((x <= ensemble.threshold) ^ falls)

    # Below ``low`` it holds everywhere, from ``high`` on nowhere.
    low = np.full(features.shape, -LARGEST_FINITE - 1, np.int64)
    high = np.full(features.shape, LARGEST_FINITE + 1, np.int64)
    for _ in range(CODE_BITS):
        middle = (low + high) // 2
        inside = (middle > low) & (middle < high)
        good = holds(np.clip(middle, -LARGEST_FINITE, LARGEST_FINITE)) & inside
        low = np.where(good, middle, low)
        high = np.where(inside & ~good, middle, high)
    # Where it holds for all finite numbers it holds for +infinity as well.
    threshold = np.where(
        low >= LARGEST_FINITE, np.float32(np.inf), _decoded(np.clip(low, -LARGEST_FINITE, LARGEST_FINITE))
    )
    threshold = np.where(low < -LARGEST_FINITE, np.float32(-np.inf), threshold).astype(np.float32)
    return replace(
        ensemble,
        threshold=threshold,
        left=np.where(falls, ensemble.right, ensemble.left).astype(np.int32),
        right=np.where(falls, ensemble.left, ensemble.right).astype(np.int32),
        missing_left=ensemble.missing_left ^ falls,
    )


def _decoded(codes: NDArray[np.int64]) -> NDArray[np.float32]:
    """The float32 of each code (see ``coding.float32_order``)."""
    raw = np.where(codes >= 0, codes, -(1 << 31) - codes).astype(np.int32)
    return raw.view(np.float32)
