"""Pooling over windows (NHWC) and the mean over a sequence: max_pool, sum_pool, mean_pool."""

import math

import numpy as np

from solder.coprocessors.ai.reference.products import window_extent
from solder.coprocessors.ai.reference.site import BITS, INT32, Array, Count, Listing, Operator, Site, Value

__all__ = ["OPERATORS"]

WINDOW = {"window": Listing(2, 1, 1024), "stride": Listing(2, 1, 64), "padding": Listing(4, 0, 1023)}


def _pooled(site: Site) -> tuple[int, int]:
    """Rows and columns of the output."""
    site.batched(0, 4)
    high, wide, _ = (site.static(0, axis) for axis in (1, 2, 3))
    (tall, broad), (down, across) = site.integers("window"), site.integers("stride")
    top, left, bottom, right = site.integers("padding")
    site.require(max(top, bottom) < tall and max(left, right) < broad, "not less than the window", "padding")
    return (
        window_extent(site, high, top + bottom, tall, down),
        window_extent(site, wide, left + right, broad, across),
    )


def _admit_max_pool(site: Site) -> list[Value]:
    x = site.value(0)
    rows, columns = _pooled(site)
    return [site.result(x.bits, (x.shape[0], rows, columns, x.shape[3]), x.low, x.high)]


def _admit_sum_pool(site: Site) -> list[Value]:
    x = site.value(0)
    rows, columns = _pooled(site)
    elements = math.prod(site.integers("window"))
    low, high = elements * x.low, elements * x.high
    if any(site.integers("padding")):
        low, high = min(low, 0), max(high, 0)
    return [site.result(32, (x.shape[0], rows, columns, x.shape[3]), low, high)]


def _windows(site: Site, x: Array, outside: int) -> list[Array]:
    """For each place in the window, what every window has there."""
    top, left, bottom, right = site.integers("padding")
    (tall, broad), (down, across) = site.integers("window"), site.integers("stride")
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=outside)
    rows, columns = (padded.shape[1] - tall) // down + 1, (padded.shape[2] - broad) // across + 1
    return [
        padded[:, p : p + (rows - 1) * down + 1 : down, q : q + (columns - 1) * across + 1 : across, :]
        for p in range(tall)
        for q in range(broad)
    ]


def _max_pool(site: Site, operands: list[Array]) -> list[Array]:
    first, *others = _windows(site, operands[0], -(1 << 40))
    out = first.copy()
    for other in others:
        out = np.maximum(out, other)
    return [out]


def _sum_pool(site: Site, operands: list[Array]) -> list[Array]:
    first, *others = _windows(site, operands[0], 0)
    out = first.copy()
    for other in others:
        out = out + other
    return [out]


def _pool_macs(count: Count) -> int:
    return count.out * math.prod(count.site.integers("window"))


def _admit_mean_pool(site: Site) -> list[Value]:
    x = site.batched(0, 3)
    site.mask(1, x.shape[1])
    total = site.graph.limit(x.shape[1]) * x.largest
    site.require(total <= INT32, f"a total can reach {total}, beyond int32", 0)
    fraction = site.integer("fraction_bits")
    low, high = x.low << fraction, x.high << fraction
    if site.given(1):
        low, high = min(low, 0), max(high, 0)
    return [site.result(site.bits(), (x.shape[0], x.shape[2]), low, high)]


def _mean_pool(site: Site, operands: list[Array]) -> list[Array]:
    x, *mask = operands
    seen = mask[0] if mask else np.ones(x.shape[:2], dtype=np.int64)
    total = (x * seen[:, :, None]).sum(axis=1)
    count = seen.sum(axis=1)[:, None]
    mean = ((total << (site.integer("fraction_bits") + 1)) + count) // np.maximum(2 * count, 1)
    return [np.where(count > 0, mean, 0)]


OPERATORS = (
    Operator(
        name="max_pool",
        operands=("x",),
        outputs=1,
        attributes=WINDOW,
        admit=_admit_max_pool,
        run=_max_pool,
        macs=_pool_macs,
    ),
    Operator(
        name="sum_pool",
        operands=("x",),
        outputs=1,
        attributes=WINDOW,
        admit=_admit_sum_pool,
        run=_sum_pool,
        macs=_pool_macs,
    ),
    Operator(
        name="mean_pool",
        operands=("x", "mask?"),
        outputs=1,
        attributes={"fraction_bits": (0, 16), "bits": BITS},
        admit=_admit_mean_pool,
        run=_mean_pool,
        macs=lambda count: count.x,
    ),
)
