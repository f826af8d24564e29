"""Elementwise operators: add, mul, relu, clamp, lookup; and how shapes broadcast."""

from itertools import zip_longest

import numpy as np

from solder.coprocessors.ai.graph import BATCH, Axis, Shape
from solder.coprocessors.ai.reference.arithmetic import clamp
from solder.coprocessors.ai.reference.rescaling import BOUNDS
from solder.coprocessors.ai.reference.site import INT32, Operator, Site, Value

__all__ = ["OPERATORS", "broadcast", "operand_range"]


def broadcast(site: Site, first: Shape, second: Shape) -> Shape:
    """The shape of both together, aligned at the right; the batch may end up only at axis 0."""
    merged: list[Axis] = []
    for a, b in zip_longest(reversed(first), reversed(second), fillvalue=1):
        site.require(a == b or 1 in (a, b), f"shapes {list(first)} and {list(second)} do not broadcast", 1)
        merged.append(b if a == 1 else a)
    shape = tuple(reversed(merged))
    site.require(BATCH not in shape[1:], f"shapes {list(first)} and {list(second)} move the batch axis", 1)
    return shape


def operand_range(site: Site, index: int) -> tuple[Shape, int, int]:
    """Shape and range of an operand that may be a value or a tensor."""
    found = site.operands[index]
    if isinstance(found, Value):
        return found.shape, found.low, found.high
    return found.shape, int(found.min()), int(found.max())


def _admit_add(site: Site) -> list[Value]:
    a = site.value(0)
    shape, low, high = operand_range(site, 1)
    low, high = a.low + low, a.high + high
    site.require(low >= -INT32 - 1 and high <= INT32, f"the sum's range {low}..{high} is not within int32")
    return [site.clamped(low, high, broadcast(site, a.shape, shape))]


def _admit_mul(site: Site) -> list[Value]:
    a = site.value(0)
    shape, low, high = operand_range(site, 1)
    corners = [edge * end for edge in (a.low, a.high) for end in (low, high)]
    return [site.result(32, broadcast(site, a.shape, shape), min(corners), max(corners))]


def _admit_relu(site: Site) -> list[Value]:
    x = site.value(0)
    return [site.result(x.bits, x.shape, max(x.low, 0), max(x.high, 0))]


def _admit_clamp(site: Site) -> list[Value]:
    x = site.value(0)
    return [site.clamped(x.low, x.high, x.shape)]


def _admit_lookup(site: Site) -> list[Value]:
    x, table = site.value(0), site.table(1, (8, 16, 32))
    offset = site.integer("offset")
    first, last = x.low - offset, x.high - offset
    site.require(first >= 0 and last < len(table), f"entries {first}..{last} are asked of {len(table)}", 1)
    reached = table[first : last + 1]
    return [site.result(site.width(1), x.shape, int(reached.min()), int(reached.max()))]


OPERATORS = (
    Operator(
        name="add",
        operands=("a", "b:any"),
        outputs=1,
        attributes=BOUNDS,
        admit=_admit_add,
        run=lambda site, operands: [clamp(site, operands[0] + operands[1])],
        macs=lambda count: count.out,
    ),
    Operator(
        name="mul",
        operands=("a", "b:any"),
        outputs=1,
        admit=_admit_mul,
        run=lambda _site, operands: [operands[0] * operands[1]],
        macs=lambda count: count.out,
    ),
    Operator(
        name="relu",
        operands=("x",),
        outputs=1,
        admit=_admit_relu,
        run=lambda _site, operands: [np.maximum(operands[0], 0)],
        macs=lambda count: count.x,
    ),
    Operator(
        name="clamp",
        operands=("x",),
        outputs=1,
        attributes=BOUNDS,
        admit=_admit_clamp,
        run=lambda site, operands: [clamp(site, operands[0])],
        macs=lambda count: count.x,
    ),
    Operator(
        name="lookup",
        operands=("x", "table:tensor"),
        outputs=1,
        attributes={"offset": (-(1 << 31), INT32)},
        admit=_admit_lookup,
        run=lambda site, operands: [operands[1][operands[0] - site.integer("offset")]],
        macs=lambda count: count.x,
    ),
)
