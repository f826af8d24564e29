"""What recognition gives: the float model as a list of layers; and the questions that it asks of the source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.importing.float_run import BATCH, SEQUENCE
from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from solder.coprocessors.ai.importing.float_run import Probe, Symbolic
    from solder.coprocessors.ai.importing.read import SourceGraph, SourceNode

__all__ = ["BATCH", "SEQUENCE", "Layer", "Layers", "Source"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One step of the float model.

    ``kind`` says which (``lower`` has the list), ``output`` is a value of the source graph, so that both can be
    compared, ``node`` names the source's node in errors, ``settings`` are numbers and arrays in float.
    """

    kind: str
    node: str
    inputs: tuple[str, ...]
    output: str
    settings: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers in an order in which they run; ``shapes`` of all values, ``constants`` that layers add or multiply."""

    layers: tuple[Layer, ...]
    shapes: dict[str, Symbolic]
    constants: dict[str, NDArray[Any]]


class Source:
    """The source graph with what the probe found, as pattern matching asks for it."""

    def __init__(self, graph: SourceGraph, probe: Probe, masks: Iterable[str]) -> None:
        self.graph = graph
        self.probe = probe
        self.masks = frozenset(masks)
        self.maker: dict[str, SourceNode] = {}
        self.order: dict[str, int] = {}
        self._depends: dict[str, frozenset[str]] = {name: frozenset() for name in graph.tensors}
        for value in graph.inputs:
            self._depends[value.name] = frozenset({value.name})
        for index, node in enumerate(graph.nodes):
            inputs = () if node.operator in {"Shape", "Size"} else node.inputs
            depends = frozenset().union(*(self._depends[name] for name in inputs if name))
            for name in node.outputs:
                self.maker[name], self.order[name], self._depends[name] = node, index, depends

    def fail(self, node: SourceNode, detail: str) -> InputError:
        """The error for a node that cannot be imported."""
        return InputError(detail, self.graph.path, str(node))

    def depends(self, name: str) -> frozenset[str]:
        """The graph's inputs whose content decides this value (their shape alone does not count)."""
        return self._depends[name]

    def shape(self, name: str) -> Symbolic:
        """The symbolic shape; of a tensor its numbers."""
        if name in self.graph.tensors:
            return tuple(self.graph.tensors[name].shape)
        return self.probe.shapes[name]

    def constant(self, name: str) -> NDArray[Any] | None:
        """The value if it is the same in every run: a tensor, or computed of tensors and fixed sizes alone."""
        if name in self.graph.tensors:
            return self.graph.tensors[name]
        if not name or self._depends[name] or name not in self.probe.shapes:
            return None
        if any(not isinstance(axis, int) for axis in self.probe.shapes[name]):
            return None
        first, second = self.probe.first[name], self.probe.values[name]
        return second if np.array_equal(first, second) else None

    def scalar(self, name: str) -> float | None:
        """A constant of one element."""
        array = self.constant(name)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None

    def node_of(self, name: str, *operators: str) -> SourceNode | None:
        """The node that makes ``name`` if it is one of these operators; casts and copies are looked through."""
        node = self.maker.get(name)
        for _ in range(len(self.graph.nodes)):
            if node is None or node.operator not in {"Identity", "Cast", "Dropout"} or node.operator in operators:
                break
            node = self.maker.get(node.inputs[0])
        return node if node is not None and node.operator in operators else None

    def plain(self, name: str) -> str:
        """The value behind copies and casts between float types."""
        for _ in range(len(self.graph.nodes)):
            node = self.maker.get(name)
            if node is None or not (
                node.operator in {"Identity", "Dropout"}
                or (node.operator == "Cast" and node.attributes["to"] in {1, 11})
            ):
                break
            name = node.inputs[0]
        return name

    def axes(self, node: SourceNode, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The axes of a reduction or of (un)squeeze: an attribute in old versions, an operand in new ones."""
        if "axes" in node.attributes:
            return tuple(node.attributes["axes"])
        if len(node.inputs) > 1 and node.inputs[1]:
            array = self.constant(node.inputs[1])
            if array is None:
                raise self.fail(node, "its axes are not constant")
            return tuple(int(axis) for axis in array.reshape(-1))
        return default

    def operands(self, node: SourceNode) -> tuple[str, NDArray[Any]] | None:
        """Of a node with two operands: (the one that varies, the constant one)."""
        for varying, other in (node.inputs[:2], node.inputs[1::-1]):
            array = self.constant(other)
            if array is not None and self.constant(varying) is None:
                return varying, array
        return None
