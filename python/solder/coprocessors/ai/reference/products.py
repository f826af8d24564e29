"""Products: linear, convolution, matrix_product, attention. int8 operands, sums proven to fit int32."""

import math

import numpy as np

from solder.coprocessors.ai.graph import BATCH, Shape
from solder.coprocessors.ai.reference.arithmetic import reciprocal, round_shift, row_sums
from solder.coprocessors.ai.reference.site import INT32, SHIFT, Array, Count, Listing, Operator, Site, Value

__all__ = ["OPERATORS", "window_extent"]

FLAG = (0, 1)


def _weighted(site: Site, weight: Array, outputs: int, largest: int, shape: Shape) -> list[Value]:
    """The output of a product with a constant: no accumulator leaves int32."""
    bound = np.abs(weight.reshape(outputs, -1)).sum(axis=1) * largest
    if site.given(2):
        bound = bound + np.abs(site.tensor(2, (32,), (outputs,)))
    most = int(bound.max())
    site.require(most <= INT32, f"an accumulator can reach {most}, beyond int32", 1)
    return [site.result(32, shape, -most, most)]


def _admit_linear(site: Site) -> list[Value]:
    x = site.value(0, bits=8)
    weight = site.tensor(1, (8,), (None, site.static(0, -1)))
    outputs = weight.shape[0]
    return _weighted(site, weight, outputs, x.largest, (*x.shape[:-1], outputs))


def _linear(_site: Site, operands: list[Array]) -> list[Array]:
    x, weight, *bias = operands
    out = x @ weight.T
    return [out + bias[0] if bias else out]


def window_extent(site: Site, extent: int, padding: int, window: int, stride: int) -> int:
    """How often a window fits; at least once."""
    found = (extent + padding - window) // stride + 1
    site.require(found >= 1, f"a window of {window} does not fit {extent} with padding {padding}", 0)
    return found


def _admit_convolution(site: Site) -> list[Value]:
    x = site.batched(0, 4, bits=8)
    groups = site.integer("groups")
    high, wide, channels = (site.static(0, axis) for axis in (1, 2, 3))
    site.require(channels % groups == 0, f"{groups} groups do not divide {channels} channels", "groups")
    weight = site.tensor(1, (8,), (None, None, None, channels // groups))
    outputs, rows, columns, _ = weight.shape
    site.require(outputs % groups == 0, f"{groups} groups do not divide {outputs} outputs", "groups")
    top, left, bottom, right = site.integers("padding")
    (down, across), (step_down, step_across) = site.integers("stride"), site.integers("dilation")
    out_high = window_extent(site, high, top + bottom, step_down * (rows - 1) + 1, down)
    out_wide = window_extent(site, wide, left + right, step_across * (columns - 1) + 1, across)
    largest = max(x.largest, abs(site.integer("padding_value")))
    return _weighted(site, weight, outputs, largest, (x.shape[0], out_high, out_wide, outputs))


def _convolution(site: Site, operands: list[Array]) -> list[Array]:
    x, weight, *bias = operands
    top, left, bottom, right = site.integers("padding")
    (down, across), (step_down, step_across) = site.integers("stride"), site.integers("dilation")
    padded = np.pad(
        x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=site.integer("padding_value")
    ).astype(np.int64)
    outputs, rows, columns, depth = weight.shape
    high = (padded.shape[1] - step_down * (rows - 1) - 1) // down + 1
    wide = (padded.shape[2] - step_across * (columns - 1) - 1) // across + 1
    groups = site.integer("groups")
    per_group = outputs // groups
    out = np.zeros((x.shape[0], high, wide, outputs), dtype=np.int64)
    for group in range(groups):
        mine = slice(group * per_group, (group + 1) * per_group)
        for p in range(rows):
            for q in range(columns):
                seen = padded[
                    :,
                    p * step_down : p * step_down + (high - 1) * down + 1 : down,
                    q * step_across : q * step_across + (wide - 1) * across + 1 : across,
                    group * depth : (group + 1) * depth,
                ]
                out[..., mine] += seen @ weight[mine, p, q, :].T
    return [out + bias[0] if bias else out]


def _convolution_macs(count: Count) -> int:
    return count.out * math.prod(count.operands[1][1:])


def _admit_matrix_product(site: Site) -> list[Value]:
    a, b = site.value(0, bits=8), site.value(1, bits=8)
    site.at_least(0, 3)
    site.require(len(a.shape) == len(b.shape) and a.shape[:-2] == b.shape[:-2], "leading axes differ", 1)
    inner, outer = (b.shape[-1], b.shape[-2]) if site.integer("transposed") else (b.shape[-2], b.shape[-1])
    site.require(inner == a.shape[-1], f"inner axes {a.shape[-1]} and {inner} differ", 1)
    most = site.graph.limit(inner) * a.largest * b.largest
    site.require(most <= INT32, f"an accumulator can reach {most}, beyond int32")
    return [site.result(32, (*a.shape[:-1], outer), -most, most)]


def _matrix_product(site: Site, operands: list[Array]) -> list[Array]:
    a, b = operands
    return [a @ (b.swapaxes(-1, -2) if site.integer("transposed") else b)]


def _admit_attention(site: Site) -> list[Value]:
    query, key, value = (site.batched(index, 3, bits=8) for index in range(3))
    width, value_width = site.static(0, 2), site.static(2, 2)
    keys = key.shape[1]
    site.require(key.shape[2] == width, f"{key.shape[2]} columns, not {width}", 1)
    site.require(value.shape[1] == keys, f"{value.shape[1]} rows, not {keys}", 2)
    heads = site.integer("heads")
    site.require(width % heads == 0 and value_width % heads == 0, f"{heads} do not divide the width", "heads")
    table = site.table(3, (8,))
    first = int(table[0])
    site.require(first >= 1 and table.min() >= 0 and table.max() <= first, "not within 0..its first entry >= 1", 3)
    site.mask(4, keys)
    most = 2 * (width // heads) * query.largest * key.largest
    site.require(most <= INT32, f"two scores can differ by {most}, beyond int32", 1)
    most = site.graph.limit(keys) * first * max(value.largest, 1)
    site.require(most <= INT32, f"an accumulator can reach {most}, beyond int32", 2)
    largest = value.largest << site.integer("fraction_bits")
    return [site.result(site.bits(), (BATCH, query.shape[1], value_width), -largest, largest)]


def _attention(site: Site, operands: list[Array]) -> list[Array]:
    query, key, value, table, *mask = operands
    heads, fraction = site.integer("heads"), site.integer("fraction_bits")
    batch, queries, keys = query.shape[0], query.shape[1], key.shape[1]
    seen = np.ones((batch, queries, keys), dtype=bool)
    if mask:
        seen &= (mask[0] == 1)[:, None, :]
    if site.integer("causal"):
        seen &= np.arange(keys)[None, :] <= np.arange(queries)[:, None] + keys - queries
    out = np.zeros((batch, queries, value.shape[2]), dtype=np.int64)
    depth, width = query.shape[2] // heads, value.shape[2] // heads
    for head in range(heads):
        mine = slice(head * depth, (head + 1) * depth)
        score = query[:, :, mine] @ key[:, :, mine].swapaxes(1, 2)
        top = np.where(seen, score, -(1 << 40)).max(axis=-1, keepdims=True)
        distance = np.where(seen, top - score, 0)
        index = np.minimum(round_shift(distance * site.integer("multiplier"), site.integer("shift")), len(table) - 1)
        weight = np.where(seen, table[index], 0)
        total = row_sums(weight)
        inverse, digits = reciprocal(np.maximum(total, 1))
        columns = slice(head * width, (head + 1) * width)
        mixed = round_shift((weight @ value[:, :, columns]) * inverse, digits + 29 - fraction)
        out[:, :, columns] = np.where(total > 0, mixed, 0)
    return [out]


def _attention_macs(count: Count) -> int:
    batch, queries, width = count.operands[0]
    keys, value_width = count.operands[2][1:]
    heads = count.site.integer("heads")
    return batch * (queries * keys * (width + value_width) + 2 * heads * queries * keys + queries * value_width)


OPERATORS = (
    Operator(
        name="linear",
        operands=("x", "weight:tensor", "bias:tensor?"),
        outputs=1,
        admit=_admit_linear,
        run=_linear,
        macs=lambda count: count.out * count.operands[0][-1],
    ),
    Operator(
        name="convolution",
        operands=("x", "weight:tensor", "bias:tensor?"),
        outputs=1,
        attributes={
            "stride": Listing(2, 1, 64),
            "padding": Listing(4, 0, 64),
            "dilation": Listing(2, 1, 64),
            "groups": (1, 1 << 24),
            "padding_value": (-128, 127),
        },
        admit=_admit_convolution,
        run=_convolution,
        macs=_convolution_macs,
    ),
    Operator(
        name="matrix_product",
        operands=("a", "b"),
        outputs=1,
        attributes={"transposed": FLAG},
        admit=_admit_matrix_product,
        run=_matrix_product,
        macs=lambda count: count.out * count.operands[0][-1],
    ),
    Operator(
        name="attention",
        operands=("query", "key", "value", "table:tensor", "mask?"),
        outputs=1,
        attributes={
            "heads": (1, 1 << 24),
            "multiplier": (0, INT32),
            "shift": SHIFT,
            "causal": FLAG,
            "fraction_bits": (0, 16),
            "bits": (8, 32),
        },
        admit=_admit_attention,
        run=_attention,
        macs=_attention_macs,
    ),
)
