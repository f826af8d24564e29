"""Norms over rows: layer_norm, softmax, l2_normalise, cosine. Sums in int64 (cosine: whole numbers without limit)."""

import math

import numpy as np

from solder.coprocessors.ai.graph import BATCH
from solder.coprocessors.ai.reference.arithmetic import clamp, reciprocal, round_shift, row_roots, row_sums, spread
from solder.coprocessors.ai.reference.elementwise import broadcast, operand_range
from solder.coprocessors.ai.reference.rescaling import BOUNDS
from solder.coprocessors.ai.reference.site import BITS, INT32, INT64, SHIFT, Array, Operator, Site, Value

__all__ = ["OPERATORS"]

SQUARES = 1 << 62


def _admit_layer_norm(site: Site) -> list[Value]:
    x, width = site.value(0), site.static(0, -1)
    gain = site.tensor(1, (16, 32), (width,))
    bias = site.tensor(2, (32,), (width,)) << site.integer("bias_shift")
    spread_of = 2 * width * x.largest
    site.require(spread_of <= INT32, f"a distance from the mean can reach {spread_of}, beyond int32", 0)
    most = ((math.isqrt(width) + 1) << (site.integer("fraction_bits") + 1)) + 1
    site.require(most <= INT32, f"a normalised number can reach {most}, beyond int32", "fraction_bits")
    shift = site.integer("shift")
    reach = most * int(np.abs(gain).max()) + int(np.abs(bias).max()) + (1 << (shift - 1))
    site.require(reach <= INT64, f"a sum can reach {reach}, beyond int64", 1)
    ends = [round_shift(end * gain + bias, shift) for end in (-most, most)]
    return [site.clamped(min(int(end.min()) for end in ends), max(int(end.max()) for end in ends), x.shape)]


def _layer_norm(site: Site, operands: list[Array]) -> list[Array]:
    x, gain, bias = operands
    width = x.shape[-1]
    total = row_sums(x)
    distance = width * x - total
    variance = width * row_sums(x * x) - total * total
    inverse, digits = reciprocal(row_roots(variance + site.integer("epsilon")))
    normal = round_shift(distance * inverse, digits + 29 - site.integer("fraction_bits"))
    return [clamp(site, round_shift(normal * gain + (bias << site.integer("bias_shift")), site.integer("shift")))]


def _admit_softmax(site: Site) -> list[Value]:
    x, table = site.value(0), site.table(1, (16, 32))
    limit = site.row_limit()
    first = int(table[0])
    site.require(1 <= first <= 1 << 16, f"first entry {first} is not in 1..65536", 1)
    site.require(table.min() >= 0 and table.max() <= first, "not within 0..its first entry", 1)
    if site.given(2):
        site.at_least(0, 2)
        site.require(x.shape[0] == BATCH, f"axis 0 is {x.shape[0]}, not the batch as the mask's", 0)
    site.mask(2, x.shape[-1])
    site.require(x.high - x.low <= INT32, f"two numbers can differ by {x.high - x.low}, beyond int32", 0)
    site.require(limit * first <= INT32, f"a total can reach {limit * first}, beyond int32", 1)
    return [site.result(site.bits(), x.shape, 0, site.integer("one"))]


def _softmax(site: Site, operands: list[Array]) -> list[Array]:
    x, table, *mask = operands
    seen = np.ones(x.shape, dtype=bool)
    if mask:
        seen &= (mask[0] == 1).reshape(x.shape[0], *([1] * (x.ndim - 2)), x.shape[-1])
    top = np.where(seen, x, -(1 << 40)).max(axis=-1, keepdims=True)
    distance = np.where(seen, top - x, 0)
    index = np.minimum(round_shift(distance * site.integer("multiplier"), site.integer("shift")), len(table) - 1)
    weight = np.where(seen, table[index], 0)
    total = row_sums(weight)
    one = site.integer("one")
    shifts = [int(item).bit_length() + 30 - one.bit_length() for item in total.flat]
    factors = [(one << shift) // max(int(item), 1) for shift, item in zip(shifts, total.flat, strict=True)]
    out = round_shift(weight * spread(factors, total), spread(shifts, total))
    return [np.where(total > 0, out, 0)]


def _admit_l2_normalise(site: Site) -> list[Value]:
    x, width = site.value(0), site.static(0, -1)
    squares = width * x.largest**2
    site.require(squares <= SQUARES, f"a sum of squares can reach {squares}, beyond 2^62", 0)
    one = 1 << site.integer("fraction_bits")
    return [site.result(site.bits(), x.shape, 0 if x.low >= 0 else -one, one)]


def _l2_normalise(site: Site, operands: list[Array]) -> list[Array]:
    x = operands[0]
    root = row_roots(row_sums(x * x))
    inverse, digits = reciprocal(np.maximum(root, 1))
    out = round_shift(x * inverse, digits + 29 - site.integer("fraction_bits"))
    return [np.where(root > 0, out, 0)]


def _admit_cosine(site: Site) -> list[Value]:
    a, width = site.value(0), site.row_limit()
    shape, low, high = operand_range(site, 1)
    site.require(len(shape) >= 1 and shape[-1] == a.shape[-1], f"last axis is not {a.shape[-1]}", 1)
    for index, largest in enumerate((a.largest, max(-low, high, low, -high))):
        squares = width * largest**2
        site.require(squares <= SQUARES, f"a sum of squares can reach {squares}, beyond 2^62", index)
    joined = broadcast(site, a.shape, shape)
    site.require(len(joined) > 1, "fewer than 2 axes", 0)
    one = 1 << site.integer("fraction_bits")
    return [site.result(32, joined[:-1], -one, one)]


def _cosine(site: Site, operands: list[Array]) -> list[Array]:
    a, b = np.broadcast_arrays(*operands)
    dots, lefts, rights = (a * b).sum(axis=-1), (a * a).sum(axis=-1), (b * b).sum(axis=-1)
    shift = site.integer("fraction_bits") + 1
    out = []
    for dot, left, right in zip(dots.flat, lefts.flat, rights.flat, strict=True):
        root = math.isqrt(int(left) * int(right))
        out.append(((int(dot) << shift) + root) // (2 * root) if root else 0)
    return [spread(out, dots)]


OPERATORS = (
    Operator(
        name="layer_norm",
        operands=("x", "gain:tensor", "bias:tensor"),
        outputs=1,
        attributes={
            "epsilon": (1, 1 << 60),
            "fraction_bits": (1, 20),
            "bias_shift": (0, 31),
            "shift": SHIFT,
            **BOUNDS,
        },
        admit=_admit_layer_norm,
        run=_layer_norm,
        macs=lambda count: 4 * count.x,
    ),
    Operator(
        name="softmax",
        operands=("x", "table:tensor", "mask?"),
        outputs=1,
        attributes={"multiplier": (0, INT32), "shift": SHIFT, "one": (1, 32_767), "bits": BITS},
        admit=_admit_softmax,
        run=_softmax,
        macs=lambda count: 3 * count.x,
    ),
    Operator(
        name="l2_normalise",
        operands=("x",),
        outputs=1,
        attributes={"fraction_bits": (1, 29), "bits": BITS},
        admit=_admit_l2_normalise,
        run=_l2_normalise,
        macs=lambda count: 2 * count.x,
    ),
    Operator(
        name="cosine",
        operands=("a", "b:any"),
        outputs=1,
        attributes={"fraction_bits": (1, 30)},
        admit=_admit_cosine,
        run=_cosine,
        macs=lambda count: 3 * count.out * count.operands[0][-1],
    ),
)
