"""Layout: reshape, transpose, concatenate, slice. Nothing is computed."""

import math

import numpy as np

from solder.coprocessors.ai.graph import BATCH, MAX_AXES, MAX_EXTENT, Shape
from solder.coprocessors.ai.reference.site import Array, Count, Listing, Operator, Site, Value

__all__ = ["OPERATORS"]

MAX_OPERANDS = 64


def _nothing(_count: Count) -> int:
    return 0


def _symbols(shape: Shape) -> list[str]:
    return [axis for axis in shape if isinstance(axis, str)]


def _static(shape: Shape) -> int:
    return math.prod(axis for axis in shape if isinstance(axis, int))


def _admit_reshape(site: Site) -> list[Value]:
    x, shape = site.value(0), site.node.attributes["shape"]
    if isinstance(shape, int):
        raise site.refuse("not a list", "shape")
    site.require(len(shape) >= 1, "no axes", "shape")
    site.require(_symbols(shape) == _symbols(x.shape), f"other symbols than {list(x.shape)}", "shape")
    site.require(BATCH not in shape[1:], "the batch is not axis 0", "shape")
    site.require(_static(shape) == _static(x.shape), f"another number of elements than {list(x.shape)}", "shape")
    return [site.result(x.bits, shape, x.low, x.high)]


def _reshape(site: Site, operands: list[Array]) -> list[Array]:
    x, shape = operands[0], site.node.attributes["shape"]
    source = site.value(0).shape
    bound = {axis: extent for axis, extent in zip(source, x.shape, strict=True) if isinstance(axis, str)}
    wanted = () if isinstance(shape, int) else shape
    return [x.reshape([bound[axis] if isinstance(axis, str) else axis for axis in wanted])]


def _admit_transpose(site: Site) -> list[Value]:
    x, order = site.value(0), site.integers("order")
    site.require(sorted(order) == list(range(len(x.shape))), f"not an order of {len(x.shape)} axes", "order")
    shape = tuple(x.shape[axis] for axis in order)
    site.require(BATCH not in shape[1:], "the batch is not axis 0", "order")
    return [site.result(x.bits, shape, x.low, x.high)]


def _admit_concatenate(site: Site) -> list[Value]:
    values = [site.value(index) for index in range(len(site.operands))]
    first, axis = values[0], site.integer("axis")
    site.require(axis < len(first.shape), f"{axis} of {len(first.shape)} axes", "axis")
    total = 0
    for index, value in enumerate(values):
        site.require(value.bits == first.bits, f"int{value.bits}, not int{first.bits}", index)
        site.require(len(value.shape) == len(first.shape), "another number of axes", index)
        total += site.static(index, axis)
        rest = [a for at, a in enumerate(value.shape) if at != axis]
        site.require(rest == [a for at, a in enumerate(first.shape) if at != axis], "other axes differ", index)
    site.require(total <= MAX_EXTENT, f"extent {total}, beyond {MAX_EXTENT}", "axis")
    shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
    return [site.result(first.bits, shape, min(v.low for v in values), max(v.high for v in values))]


def _admit_slice(site: Site) -> list[Value]:
    x, axis = site.value(0), site.integer("axis")
    start, length = site.integer("start"), site.integer("length")
    site.require(axis < len(x.shape), f"{axis} of {len(x.shape)} axes", "axis")
    extent = x.shape[axis]
    site.require(extent != BATCH, "the batch", "axis")
    known = extent if isinstance(extent, int) else 1
    site.require(start + length <= known, f"{start} + {length} of {extent}", "start")
    return [site.result(x.bits, (*x.shape[:axis], length, *x.shape[axis + 1 :]), x.low, x.high)]


def _slice(site: Site, operands: list[Array]) -> list[Array]:
    start = site.integer("start")
    taken = range(start, start + site.integer("length"))
    return [operands[0].take(taken, axis=site.integer("axis"))]


OPERATORS = (
    Operator(
        name="reshape",
        operands=("x",),
        outputs=1,
        attributes={"shape": Listing(None, 1, MAX_EXTENT, symbols=True)},
        admit=_admit_reshape,
        run=_reshape,
        macs=_nothing,
    ),
    Operator(
        name="transpose",
        operands=("x",),
        outputs=1,
        attributes={"order": Listing(None, 0, MAX_AXES - 1)},
        admit=_admit_transpose,
        run=lambda site, operands: [operands[0].transpose(site.integers("order"))],
        macs=_nothing,
    ),
    Operator(
        name="concatenate",
        operands=("x", "y", *["more?"] * (MAX_OPERANDS - 2)),
        outputs=1,
        attributes={"axis": (0, MAX_AXES - 1)},
        admit=_admit_concatenate,
        run=lambda site, operands: [np.concatenate(operands, axis=site.integer("axis"))],
        macs=_nothing,
    ),
    Operator(
        name="slice",
        operands=("x",),
        outputs=1,
        attributes={"axis": (0, MAX_AXES - 1), "start": (0, MAX_EXTENT), "length": (1, MAX_EXTENT)},
        admit=_admit_slice,
        run=_slice,
        macs=_nothing,
    ),
)
