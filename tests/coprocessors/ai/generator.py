"""Random admitted graphs: every operator, odd shapes, extreme weights and ranges; one seed gives one graph.

``random_case(seed)`` grows a graph node by node: a node that admission refuses is dropped. Motifs (``motifs``) are the
sequences of operators that an executor fuses, so that fusing is tested with and without an outside reader.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai import graph_admission
from solder.coprocessors.ai.graph import BATCH, SEQUENCE, Graph, Input, Node, Output, Shape, bits_range
from solder.coprocessors.ai.reference.site import Tensor, Value
from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

WIDTHS = (1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 24, 31, 32, 33, 47, 48, 64, 65, 96, 100, 128, 130, 192, 256)
DTYPES = {8: np.int8, 16: np.int16, 32: np.int32}
MAX_ELEMENTS = 12_000
INT32 = (1 << 31) - 1


@dataclass
class Case:
    """A graph with its tensors, and inputs for one run."""

    seed: int
    graph: Graph
    tensors: dict[str, Tensor]
    inputs: dict[str, npt.NDArray[Any]]


@dataclass
class Builder:
    """A graph that grows: values with what admission proved of them."""

    dice: random.Random
    numbers: np.random.Generator
    sequence_limit: int = 1
    inputs: list[Input] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    refused: int = 0

    def graph(self, outputs: tuple[Output, ...] = ()) -> Graph:
        return Graph(tuple(self.inputs), tuple(self.nodes), outputs, batch_limit=64, sequence_limit=self.sequence_limit)

    def add_input(self, bits: int, shape: Shape, low: int, high: int) -> str:
        name = f"in{len(self.inputs)}"
        self.inputs.append(Input(name, bits, shape, low, high))
        self.values[name] = Value(bits, shape, low, high)
        return name

    def find(
        self, *, bits: tuple[int, ...] = (8, 16, 32), axes: tuple[int, ...] = (), static: bool = False
    ) -> str | None:
        """A value of this kind, late ones rather than early ones; ``static``: its last axis is an integer."""
        found = [
            name
            for name, value in self.values.items()
            if value.bits in bits
            and (not axes or len(value.shape) in axes)
            and (not static or isinstance(value.shape[-1], int))
        ]
        if not found:
            return None
        return found[-1] if self.dice.random() < 0.4 else self.dice.choice(found)

    def size(self, shape: Shape) -> int:
        return math.prod(
            3 if axis == BATCH else self.sequence_limit if axis == SEQUENCE else int(axis) for axis in shape
        )

    def add(
        self, operator: str, operands: Sequence[str | npt.NDArray[Any] | None], outputs: int = 1, **attributes: Any
    ) -> list[str] | None:
        """A node, if admission takes it; arrays become tensors. The names of its outputs, or None."""
        number = len(self.nodes)
        fresh: dict[str, Tensor] = {}
        names: list[str] = []
        for index, operand in enumerate(operand for operand in operands if operand is not None):
            if isinstance(operand, str):
                names.append(operand)
            else:
                names.append(f"t{number}.{index}")
                fresh[names[-1]] = operand
        outs = tuple(f"v{number}.{index}" for index in range(outputs))
        node = Node(f"n{number}", operator, tuple(names), outs, attributes)
        try:
            site = graph_admission.node_site(self.graph(), node, "node", self.values, {**self.tensors, **fresh})
            results = site.operator.admit(site)
            for value in results:
                graph_admission.check_shape(value, site.graph, "node")
        except InputError:
            self.refused += 1
            return None
        if any(self.size(value.shape) > MAX_ELEMENTS for value in results):
            return None
        self.nodes.append(node)
        self.tensors |= fresh
        self.values |= dict(zip(outs, results, strict=True))
        return list(outs)

    def width(self) -> int:
        return self.dice.choice(WIDTHS)

    def ints(self, bits: int, shape: tuple[int, ...], low: int, high: int) -> npt.NDArray[Any]:
        """Numbers of a range: uniform, its ends only, near zero, or all the same end."""
        mode = self.dice.random()
        if mode < 0.55:
            found = self.numbers.integers(low, high + 1, size=shape, dtype=np.int64)
        elif mode < 0.75:
            found = np.where(self.numbers.integers(0, 2, size=shape) == 1, high, low)
        elif mode < 0.9:
            found = np.clip(self.numbers.integers(-3, 4, size=shape), low, high)
        else:
            found = np.full(shape, self.dice.choice((low, high)))
        return found.astype(DTYPES[bits])

    def full(self, bits: int, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        return self.ints(bits, shape, *bits_range(bits))

    def clamp(self, bits: int | None = None) -> dict[str, int]:
        """Attributes of a clamp: the whole range, the symmetric one, a ReLU's, or any."""
        bits = bits or self.dice.choice((8, 8, 16, 32))
        low, high = bits_range(bits)
        mode = self.dice.random()
        if mode < 0.3:
            low += 1
        elif mode < 0.5:
            low = 0
        elif mode < 0.65:
            low, high = sorted((self.dice.randint(low, high), self.dice.randint(low, high)))
        return {"bits": bits, "minimum": low, "maximum": high}

    def scaling(self, largest: int, bits: int, channels: int) -> tuple[npt.NDArray[Any], int]:
        """A multiplier and a shift: mostly such that ``largest`` lands near the end of the bits, sometimes extreme."""
        count = channels if self.dice.random() < 0.6 else 1
        if self.dice.random() < 0.2:
            shift = self.dice.choice((1, 2, 15, 30, 31, 32, 33, 47, 61, 62, self.dice.randint(1, 62)))
            return self.ints(32, (count,), 0, INT32), shift
        real = bits_range(bits)[1] / max(largest, 1) * 2 ** self.dice.uniform(-1, 4)
        shift = min(max(30 - math.frexp(real)[1], 1), 62)
        top = min(max(int(math.ldexp(real, shift)), 1), INT32)
        return self.numbers.integers(top // 3, top + 1, size=(count,)).astype(np.int32), shift

    def exponential(self, bits: int, first: int, distance: float) -> tuple[npt.NDArray[Any], int, int]:
        """A falling table, with a multiplier and a shift that mostly spread a distance over it; now and then any."""
        length = self.dice.choice((1, 2, 16, 100, 256, 1024, 1024))
        if self.dice.random() < 0.2:
            table = self.numbers.integers(0, first + 1, size=length)
            table[0] = first
        else:
            table = np.floor(first * np.exp(-np.arange(length) * self.dice.choice((2, 5, 10)) / length) + 0.5)
        if self.dice.random() < 0.2:
            return table.astype(DTYPES[bits]), self.dice.choice((0, 1, INT32)), self.dice.choice((1, 16, 32, 62))
        real = length / max(distance, 1) * self.dice.uniform(0.3, 2.0)
        shift = min(max(30 - math.frexp(real)[1], 1), 62)
        return table.astype(DTYPES[bits]), min(int(math.ldexp(real, shift)), INT32), shift


def random_case(seed: int) -> Case:
    """The graph of a seed, with inputs."""
    from . import motifs  # it stands on this module

    dice = random.Random(seed)
    builder = Builder(dice, np.random.default_rng(seed), dice.choice((1, 2, 5, 9, 16, 17, 24)))
    _add_inputs(builder)
    if not any(SEQUENCE in item.shape for item in builder.inputs):
        builder.sequence_limit = 1
    for _ in range(dice.randint(1, 9)):
        weights = [weight for weight, _ in motifs.STEPS]
        dice.choices([step for _, step in motifs.STEPS], weights)[0](builder)
    read = {name for node in builder.nodes for name in node.inputs}
    ends = [name for name, value in builder.values.items() if value.shape[0] == BATCH]
    outputs = [name for name in ends if name not in read or dice.random() < 0.15]
    graph = builder.graph(tuple(Output(name) for name in outputs[:64] or ends[-1:]))
    return Case(seed, graph, builder.tensors, random_inputs(builder, graph))


def _add_inputs(builder: Builder) -> None:
    dice = builder.dice
    for _ in range(dice.randint(1, 3)):
        kind, bits = dice.choice((0, 1, 2, 3, 3, 4, 5, 6)), dice.choice((8, 8, 8, 16, 32))
        low, high = bits_range(bits)
        if dice.random() < 0.3:
            low, high = sorted((dice.randint(low, high), dice.randint(low, high)))
        if kind == 0:
            builder.add_input(bits, (BATCH, builder.width()), low, high)
        elif kind in (1, 2):
            builder.add_input(bits, (BATCH, SEQUENCE, builder.width()), low, high)
        elif kind == 3:
            shape = (BATCH, dice.randint(1, 9), dice.randint(1, 9), dice.choice((1, 2, 3, 4, 8, 16, 17)))
            builder.add_input(8, shape, -128, 127)
        elif kind == 4:
            builder.add_input(32, (BATCH, dice.choice((1, 3, 10, 30))), -(1 << 31), INT32)
        elif kind == 5:
            builder.add_input(bits, (BATCH, SEQUENCE), 0, dice.choice((0, 1, 7, 99)))
        else:
            several: Shape = (BATCH, *(dice.randint(1, 6) for _ in range(dice.randint(0, 4))))
            builder.add_input(bits, several, low, high)


def random_inputs(builder: Builder, graph: Graph) -> dict[str, npt.NDArray[Any]]:
    """Inputs of one batch and sequence: ordinary or at the ends of their ranges."""
    dice = builder.dice
    batch = dice.choice((1, 1, 2, 3, 4, 5, 8, 17)) if dice.random() < 0.97 else 64
    bound = {BATCH: batch, SEQUENCE: dice.randint(1, graph.sequence_limit)}
    return {
        item.name: builder.ints(
            item.bits,
            tuple(bound[axis] if isinstance(axis, str) else axis for axis in item.shape),
            item.minimum,
            item.maximum,
        )
        for item in graph.inputs
    }
