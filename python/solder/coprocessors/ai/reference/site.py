"""Where an operator stands: its operands, attributes and limits at admission; and the operator itself as data.

Each operator says three things, side by side in one file of its family: what it admits (shapes, bits, ranges), how many
multiply-accumulates it costs, and what it computes. Numbers are int64 throughout.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from solder.coprocessors.ai.graph import BATCH, Axis, Graph, Node, Shape, bits_range
from solder.errors import InputError

__all__ = ["BITS", "INT32", "INT64", "SHIFT", "Array", "Count", "Listing", "Operator", "Site", "Tensor", "Value"]

Array = npt.NDArray[np.int64]
Tensor = npt.NDArray[np.int8] | npt.NDArray[np.int16] | npt.NDArray[np.int32]
INT32: Final = (1 << 31) - 1
INT64: Final = (1 << 63) - 1
MAX_TABLE: Final = 65_536
BITS: Final = (8, 32)
SHIFT: Final = (1, 62)


@dataclass(frozen=True, slots=True)
class Value:
    """What flows: bits, shape, and the proven range of every element."""

    bits: int
    shape: Shape
    low: int
    high: int

    @property
    def largest(self) -> int:
        """A(v): the largest absolute value in the range."""
        return max(-self.low, self.high, self.low, -self.high)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list attribute: so many integers (None: any number up to 6), each from least to largest."""

    length: int | None
    least: int
    largest: int
    symbols: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """The extents of one run: of the operands and of the outputs."""

    operands: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    site: "Site"

    @property
    def x(self) -> int:
        """Elements of the first operand."""
        return math.prod(self.operands[0])

    @property
    def out(self) -> int:
        """Elements of the first output."""
        return math.prod(self.outputs[0])


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of the operator table.

    ``operands``: names; a trailing ``?`` marks an optional one, ``:tensor`` a constant, ``:any`` either, else a value.
    ``attributes``: least and largest of an integer, or a Listing. ``run`` takes int64 arrays, optional ones if given.
    """

    name: str
    operands: tuple[str, ...]
    outputs: int
    admit: "Callable[[Site], list[Value]]"
    run: "Callable[[Site, list[Array]], list[Array]]"
    macs: Callable[[Count], int]
    attributes: Mapping[str, tuple[int, int] | Listing] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """A node with its operands found: what admission and a run know about it."""

    node: Node
    where: str
    graph: Graph
    operator: Operator
    operands: tuple[Value | Tensor, ...]

    def refuse(self, detail: str, operand: int | str | None = None) -> InputError:
        """The error to raise; it names the node, its operator and the operand or attribute."""
        part = operand
        if isinstance(operand, int):
            names = self.operator.operands
            part = names[min(operand, len(names) - 1)].split(":")[0].rstrip("?*")
        place = f"{self.where} {self.node.name} ({self.node.operator})"
        return InputError(detail, field=f"{place}.{part}" if part else place)

    def require(self, holds: bool, detail: str, operand: int | str | None = None) -> None:  # noqa: FBT001
        """Raise unless the rule holds."""
        if not holds:
            raise self.refuse(detail, operand)

    def integer(self, name: str) -> int:
        """An integer attribute (admission has checked its kind and extent)."""
        found = self.node.attributes[name]
        if isinstance(found, tuple):
            raise self.refuse("not an integer", name)
        return found

    def integers(self, name: str) -> tuple[int, ...]:
        """A list attribute of integers."""
        found = self.node.attributes[name]
        if isinstance(found, int):
            raise self.refuse("not a list", name)
        return tuple(item for item in found if isinstance(item, int))

    def given(self, index: int) -> bool:
        """Whether an optional operand is there."""
        return index < len(self.operands)

    def value(self, index: int, *, bits: int | None = None, axes: int | None = None) -> Value:
        """Operand ``index``, a value."""
        found = self.operands[index]
        if not isinstance(found, Value):
            raise self.refuse("a tensor where a value must stand", index)
        if bits is not None and found.bits != bits:
            raise self.refuse(f"int{found.bits}, not int{bits}", index)
        if axes is not None and len(found.shape) != axes:
            raise self.refuse(f"{len(found.shape)} axes, not {axes}", index)
        return found

    def tensor(self, index: int, bits: tuple[int, ...], shape: tuple[int | None, ...]) -> Array:
        """Operand ``index``, a tensor of one of these bits; None in the shape is any extent. As int64."""
        found = self.operands[index]
        if isinstance(found, Value):
            raise self.refuse("a value where a tensor must stand", index)
        if found.dtype.itemsize * 8 not in bits:
            raise self.refuse(f"{found.dtype}, not of {bits} bits", index)
        if len(found.shape) != len(shape) or any(
            want is not None and want != have for want, have in zip(shape, found.shape, strict=True)
        ):
            raise self.refuse(f"shape {list(found.shape)}, not {[want or 'any' for want in shape]}", index)
        return found.astype(np.int64)

    def table(self, index: int, bits: tuple[int, ...]) -> Array:
        """Operand ``index``, a look-up table: one axis, not too long."""
        found = self.tensor(index, bits, (None,))
        self.require(len(found) <= MAX_TABLE, f"more than {MAX_TABLE} entries", index)
        return found

    def at_least(self, index: int, axes: int) -> None:
        """Operand ``index`` must have so many axes."""
        found = len(self.operands[index].shape)
        self.require(found >= axes, f"{found} axes, fewer than {axes}", index)

    def width(self, index: int) -> int:
        """Bits of an element of any operand."""
        found = self.operands[index]
        return found.bits if isinstance(found, Value) else found.dtype.itemsize * 8

    def static(self, index: int, axis: int) -> int:
        """The extent of an axis that must be an integer."""
        shape = self.value(index).shape
        extent = shape[axis]
        if not isinstance(extent, int):
            raise self.refuse(f"axis {axis % len(shape)} is {extent}, not an integer", index)
        return extent

    def row_limit(self) -> int:
        """The largest extent of the rows of the first operand; the rows must not be the batch."""
        last = self.value(0).shape[-1]
        self.require(last != BATCH, "its last axis is the batch", 0)
        return self.graph.limit(last)

    def batched(self, index: int, axes: int, *, bits: int | None = None) -> Value:
        """Operand ``index``, a value of so many axes whose first is the batch."""
        found = self.value(index, bits=bits, axes=axes)
        self.require(found.shape[0] == BATCH, f"axis 0 is {found.shape[0]}, not the batch", index)
        return found

    def mask(self, index: int, keys: Axis) -> None:
        """Operand ``index`` must be a mask [batch, keys] of 0 and 1, if it is there."""
        if self.given(index):
            found = self.value(index)
            self.require(found.shape == (BATCH, keys), f"shape {list(found.shape)}, not {[BATCH, keys]}", index)
            self.require(found.low >= 0 and found.high <= 1, "its range is not within 0..1", index)

    def result(self, bits: int, shape: Shape, low: int, high: int) -> Value:
        """An output; its range must fit the bits, its shape must be one."""
        least, largest = bits_range(bits)
        self.require(least <= low <= high <= largest, f"range {low}..{high} is not within int{bits}")
        return Value(bits, shape, low, high)

    def bits(self) -> int:
        """The attribute of that name."""
        found = self.integer("bits")
        self.require(found in (8, 16, 32), f"{found} is not 8, 16 or 32", "bits")
        return found

    def bounds(self) -> tuple[int, int, int]:
        """The attributes bits, minimum, maximum: the clamp at the end of an operator."""
        bits = self.bits()
        minimum, maximum = self.integer("minimum"), self.integer("maximum")
        least, largest = bits_range(bits)
        self.require(least <= minimum <= maximum <= largest, f"{minimum}..{maximum} is not within int{bits}", "minimum")
        return bits, minimum, maximum

    def clamped(self, low: int, high: int, shape: Shape) -> Value:
        """An output that ends with the clamp, from the range before it."""
        bits, minimum, maximum = self.bounds()
        return self.result(bits, shape, min(max(low, minimum), maximum), min(max(high, minimum), maximum))
