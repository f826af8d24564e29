"""Writes nodes and tensors of an integer graph: names within the format's limits, each tensor stored once."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.graph import Node

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from solder.coprocessors.ai.graph import Attribute

__all__ = ["BITS_TYPES", "Emitter", "Fixed", "fixed_point"]

MAX_NAME = 112
BITS_TYPES = {8: np.int8, 16: np.int16, 32: np.int32}
MULTIPLIER_BITS = 31
MAX_SHIFT = 62


@dataclass(frozen=True, slots=True)
class Fixed:
    """Factors as integers: ``multiplier / 2**shift``, one shift for all."""

    multiplier: NDArray[np.int32]
    shift: int


def fixed_point(factors: NDArray[np.float64], bits: int = MULTIPLIER_BITS) -> Fixed:
    """Non-negative ``factors`` as integers of at most ``bits`` bits over a common power of two, 1 <= shift <= 62.

    A factor that is too small for the common shift becomes 0; one that is too large is clamped (2^30 and more:
    the caller clamps its output anyway).
    """
    factors = np.atleast_1d(np.asarray(factors, np.float64))
    largest = float(factors.max())
    limit = (1 << bits) - 1
    shift = MAX_SHIFT
    if largest > 0:
        _, exponent = np.frexp(largest)
        shift = int(np.clip(bits - int(exponent), 1, MAX_SHIFT))
        if np.round(np.ldexp(largest, shift)) > limit:
            shift = max(shift - 1, 1)
    values = np.clip(np.round(np.ldexp(factors, shift)), 0, limit)
    return Fixed(values.astype(np.int32), shift)


@dataclass(slots=True)
class Emitter:
    """Collects what the graph will be made of."""

    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, NDArray[Any]] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _stored: dict[tuple[bytes, str, tuple[int, ...]], str] = field(default_factory=dict)

    def clean(self, wanted: str) -> str:
        """``wanted`` in the letters that the format allows."""
        return re.sub(r"[^A-Za-z0-9_./-]", "_", wanted)[-MAX_NAME:] or "value"

    def name(self, wanted: str) -> str:
        """A free name close to ``wanted``, of the letters that the format allows."""
        clean = self.clean(wanted)
        name, number = clean, 1
        while name in self._taken:
            number += 1
            name = f"{clean}.{number}"
        self._taken.add(name)
        return name

    def tensor(self, wanted: str, array: NDArray[Any]) -> str:
        """The name of a tensor with these elements (int8, int16 or int32); equal ones are stored once."""
        array = np.ascontiguousarray(array)
        key = (hashlib.sha256(array.tobytes()).digest(), array.dtype.str, array.shape)
        if key not in self._stored:
            name = self.name(wanted)
            self.tensors[name] = array
            self._stored[key] = name
        return self._stored[key]

    def node(self, operator: str, wanted: str, inputs: list[str], **attributes: Attribute) -> str:
        """Add a node with one output, which has the node's name; the name."""
        name = self.name(wanted)
        self.nodes.append(Node(name, operator, tuple(inputs), (name,), attributes))
        return name

    def pair(self, operator: str, wanted: str, inputs: list[str], **attributes: Attribute) -> tuple[str, str]:
        """Add a node with two outputs; their names."""
        first, second = self.name(wanted), self.name(f"{wanted}.scale")
        self.nodes.append(Node(first, operator, tuple(inputs), (first, second), attributes))
        return first, second
