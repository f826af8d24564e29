"""Gathering: embedding, positions, take_row, cache_write."""

import numpy as np

from solder.coprocessors.ai.graph import MAX_AXES
from solder.coprocessors.ai.reference.site import Array, Operator, Site, Value

__all__ = ["OPERATORS"]


def _admit_embedding(site: Site) -> list[Value]:
    ids, table = site.value(0), site.tensor(1, (8, 16, 32), (None, None))
    rows, width = table.shape
    site.require(ids.low >= 0 and ids.high < rows, f"range {ids.low}..{ids.high} of {rows} rows", 0)
    return [site.result(site.width(1), (*ids.shape, width), int(table.min()), int(table.max()))]


def _admit_positions(site: Site) -> list[Value]:
    x, axis = site.value(0), site.integer("axis")
    site.require(axis < len(x.shape), f"{axis} of {len(x.shape)} axes", "axis")
    extent = x.shape[axis]
    return [site.result(32, (extent,), 0, site.graph.limit(extent) - 1)]


def _admit_take_row(site: Site) -> list[Value]:
    x = site.batched(0, 3)
    site.batched(1, 1, bits=32)
    return [site.result(x.bits, (x.shape[0], x.shape[2]), min(x.low, 0), max(x.high, 0))]


def _take_row(_site: Site, operands: list[Array]) -> list[Array]:
    x, index = operands
    out = np.zeros((x.shape[0], x.shape[2]), dtype=np.int64)
    for row, at in enumerate(index):
        if 0 <= at < x.shape[1]:
            out[row] = x[row, at]
    return [out]


def _admit_cache_write(site: Site) -> list[Value]:
    cache, row = site.batched(0, 3), site.batched(1, 3)
    site.batched(2, 1, bits=32)
    want = (cache.shape[0], 1, cache.shape[2])
    site.require(row.shape == want, f"shape {list(row.shape)}, not {list(want)}", 1)
    site.require(row.bits == cache.bits, f"int{row.bits}, not int{cache.bits}", 1)
    return [site.result(cache.bits, cache.shape, min(cache.low, row.low), max(cache.high, row.high))]


def _cache_write(_site: Site, operands: list[Array]) -> list[Array]:
    cache, row, position = operands
    out = cache.copy()
    for item, at in enumerate(position):
        if 0 <= at < cache.shape[1]:
            out[item, at] = row[item, 0]
    return [out]


OPERATORS = (
    Operator(
        name="embedding",
        operands=("ids", "table:tensor"),
        outputs=1,
        admit=_admit_embedding,
        run=lambda _site, operands: [operands[1][operands[0]]],
        macs=lambda count: count.out,
    ),
    Operator(
        name="positions",
        operands=("x",),
        outputs=1,
        attributes={"axis": (1, MAX_AXES - 1)},
        admit=_admit_positions,
        run=lambda site, operands: [np.arange(operands[0].shape[site.integer("axis")], dtype=np.int64)],
        macs=lambda _count: 0,
    ),
    Operator(
        name="take_row",
        operands=("x", "index"),
        outputs=1,
        admit=_admit_take_row,
        run=_take_row,
        macs=lambda _count: 0,
    ),
    Operator(
        name="cache_write",
        operands=("cache", "row", "position"),
        outputs=1,
        admit=_admit_cache_write,
        run=_cache_write,
        macs=lambda _count: 0,
    ),
)
