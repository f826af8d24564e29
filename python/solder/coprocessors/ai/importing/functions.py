"""Functions of one variable: a region of elementwise operators with one varying input and scalar constants.

Whatever way a model writes its activation (gelu by erf, by tanh, swish, ...), the region is one function that a table
can hold. Values are computed in float64 by the plain definitions of the ONNX specification.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from solder.coprocessors.ai.importing.layers import Source
    from solder.coprocessors.ai.importing.read import SourceNode

__all__ = ["Region", "find_region"]

Floats = NDArray[np.float64]
MAX_REGION = 64
"""Nodes of one region."""

_erf: Callable[[Floats], Floats] = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x: Floats) -> Floats:
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def _gelu(x: Floats, approximate: str = "none", **_: Any) -> Floats:  # noqa: ANN401
    if approximate == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), np.float64)
    return np.asarray(0.5 * x * (1 + _erf(x / math.sqrt(2))), np.float64)


def _clip(x: Floats, low: Floats | None = None, high: Floats | None = None, **attributes: Any) -> Floats:  # noqa: ANN401
    least = attributes.get("min", -np.inf) if low is None else low
    most = attributes.get("max", np.inf) if high is None else high
    return np.minimum(np.maximum(x, least), most)


UNARY: dict[str, Callable[..., Floats]] = {
    "Relu": lambda x: np.maximum(x, 0),
    "Erf": _erf,
    "Tanh": np.tanh,
    "Sigmoid": _sigmoid,
    "Exp": np.exp,
    "Log": np.log,
    "Sqrt": np.sqrt,
    "Neg": np.negative,
    "Abs": np.abs,
    "Reciprocal": np.reciprocal,
    "Softplus": lambda x: np.logaddexp(0, x),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Elu": lambda x, alpha=1.0: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x),
    "LeakyRelu": lambda x, alpha=0.01: np.where(x < 0, alpha * x, x),
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: np.clip(alpha * x + beta, 0, 1),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "Gelu": _gelu,
    "Clip": _clip,
    "Cast": lambda x, **_: x,
    "Identity": lambda x: x,
    "Dropout": lambda x, **_: x,
}
BINARY: dict[str, Callable[..., Floats]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "Max": np.maximum,
    "Min": np.minimum,
    "PRelu": lambda x, slope: np.where(x < 0, slope * x, x),
}
LINEAR = {"Add", "Sub", "Mul", "Div", "Neg", "Cast", "Identity", "Dropout"}
FLOAT_TYPES = {1, 10, 11}


@dataclass(frozen=True, slots=True)
class Region:
    """``output = f(variable)``, elementwise; ``nodes`` in order."""

    variable: str
    output: str
    nodes: tuple[SourceNode, ...]
    scalars: dict[str, float] = field(hash=False)

    def __call__(self, x: Floats) -> Floats:
        """The function at the points ``x``, in float64."""
        values: dict[str, Any] = {name: np.float64(value) for name, value in self.scalars.items()}
        values[self.variable] = np.asarray(x, np.float64)
        with np.errstate(all="ignore"):
            for node in self.nodes:
                operands = [values[name] if name else None for name in node.inputs]
                if node.operator in UNARY:
                    values[node.outputs[0]] = UNARY[node.operator](*operands, **node.attributes)
                else:
                    values[node.outputs[0]] = BINARY[node.operator](*operands)
        result: Floats = values[self.output] + np.zeros_like(values[self.variable])
        return result

    def clip_bounds(self) -> tuple[float, float] | None:
        """(lowest, highest) if the region only cuts values off (relu, relu6, clip)."""
        if not {node.operator for node in self.nodes} <= {"Relu", "Clip", "Cast", "Identity", "Dropout", "Max", "Min"}:
            return None
        low, high = (float(bound) for bound in self(np.array([-np.inf, np.inf])))
        return low, high

    def slope_and_offset(self) -> tuple[float, float] | None:
        """(a, b) if the region is ``a * x + b`` and each node of it uses the variable once."""
        if not {node.operator for node in self.nodes} <= LINEAR:
            return None
        for node in self.nodes:
            if node.operator in BINARY and not (set(node.inputs) & self.scalars.keys()):
                return None  # a product of the variable with itself
            if node.operator == "Div" and node.inputs[0] in self.scalars:
                return None
        offset, sum_of_both = (float(value) for value in self(np.array([0.0, 1.0])))
        return sum_of_both - offset, offset


def find_region(source: Source, output: str) -> Region | None:
    """The largest region that ends in ``output`` and varies with one value only; None if ``output`` is not of one."""
    frontier, nodes, scalars = {output}, [], {}
    best: tuple[str, int] | None = None
    for _ in range(MAX_REGION):
        name = max(frontier, key=lambda value: source.order.get(value, -1))
        node = source.maker.get(name)
        found = None if node is None else _step(source, node)
        if node is None or found is None:
            break
        varying, constants = found
        frontier.discard(name)
        frontier |= varying
        scalars.update(constants)
        nodes.append(node)
        if len(frontier) == 1:
            best = (next(iter(frontier)), len(nodes))
    if best is None:
        return None
    variable, count = best
    if source.shape(variable) != source.shape(output):
        return None
    return Region(variable, output, tuple(reversed(nodes[:count])), scalars)


def _step(source: Source, node: SourceNode) -> tuple[set[str], dict[str, float]] | None:
    """The varying inputs and the scalar constants of an elementwise node; None if it is another kind of node."""
    if node.operator not in UNARY and node.operator not in BINARY:
        return None
    if node.operator == "Cast" and (
        node.attributes.get("to") not in FLOAT_TYPES or not _is_float(source, node.inputs[0])
    ):
        return None
    if not node.inputs or (node.operator in BINARY and len(node.inputs) != 2):  # noqa: PLR2004
        return None
    varying, constants = set(), {}
    for name in filter(None, node.inputs):
        value = source.scalar(name)
        if value is not None:
            constants[name] = value
        elif source.constant(name) is not None or not source.depends(name):
            return None
        else:
            varying.add(name)
    if not varying or any(source.shape(name) != source.shape(node.outputs[0]) for name in varying):
        return None
    return varying, constants


def _is_float(source: Source, name: str) -> bool:
    return source.probe.values[name].dtype.kind == "f"
