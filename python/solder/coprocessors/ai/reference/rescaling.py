"""Rescaling: rescale, requantise_rows, rescale_rows. One rounding rule, one division a row."""

import numpy as np

from solder.coprocessors.ai.reference.arithmetic import clamp, round_shift, spread
from solder.coprocessors.ai.reference.site import BITS, INT32, INT64, SHIFT, Array, Operator, Site, Value

__all__ = ["BOUNDS", "OPERATORS"]

BOUNDS = {"minimum": (-(1 << 31), INT32), "maximum": (-(1 << 31), INT32), "bits": BITS}


def _multiplier(site: Site, index: int) -> Array:
    """One multiplier for all, or one for each channel; none negative."""
    found = site.tensor(index, (32,), (None,))
    if len(found) != 1:
        site.require(
            len(found) == site.static(0, -1), f"{len(found)} entries, not 1 or {site.value(0).shape[-1]}", index
        )
    site.require(int(found.min()) >= 0, "a negative multiplier", index)
    return found


def _admit_rescale(site: Site) -> list[Value]:
    x, multiplier = site.value(0), _multiplier(site, 1)
    shift, zero = site.integer("shift"), site.integer("zero_point")
    low = int(round_shift(x.low * multiplier, shift).min())
    high = int(round_shift(x.high * multiplier, shift).max())
    return [site.clamped(zero + low, zero + high, x.shape)]


def _rescale(site: Site, operands: list[Array]) -> list[Array]:
    x, multiplier = operands
    return [clamp(site, site.integer("zero_point") + round_shift(x * multiplier, site.integer("shift")))]


def _admit_requantise_rows(site: Site) -> list[Value]:
    x = site.value(0)
    site.row_limit()
    site.require(x.low > -(1 << 31), "its range begins at -2^31", 0)
    shift = site.integer("scale_shift")
    largest = (x.largest + (1 << shift) - 1) >> shift
    rows = site.result(8, x.shape, 0 if x.low >= 0 else -127, 127)
    return [rows, site.result(32, (*x.shape[:-1], 1), 0, largest)]


def _requantise_rows(site: Site, operands: list[Array]) -> list[Array]:
    x = operands[0]
    shift = site.integer("scale_shift")
    scale = (np.abs(x).max(axis=-1, keepdims=True) + (1 << shift) - 1) >> shift
    spans = [int(item) << shift for item in scale.flat]
    digits = [span.bit_length() for span in spans]
    factors = [(127 << (b + 23)) // span if span else 0 for b, span in zip(digits, spans, strict=True)]
    rows = round_shift(x * spread(factors, scale), spread([b + 23 for b in digits], scale))
    return [rows, scale]


def _admit_rescale_rows(site: Site) -> list[Value]:
    x, scale = site.value(0), site.value(1, bits=32)
    channels = site.static(0, -1)
    site.require(scale.shape == (*x.shape[:-1], 1), f"shape {list(scale.shape)}, not {[*x.shape[:-1], 1]}", 1)
    site.require(scale.low >= 0, "its range has negative numbers", 1)
    multiplier = _multiplier(site, 2)
    shift = site.integer("shift")
    factor = scale.high * int(multiplier.max())
    site.require(factor <= INT32, f"scale times multiplier can reach {factor}, beyond int32", 2)
    bias = np.zeros(1, dtype=np.int64)
    if site.given(3):
        bias = site.tensor(3, (32,), (channels,)) << site.integer("bias_shift")
    reach = x.largest * factor + int(np.abs(bias).max()) + (1 << (shift - 1))
    site.require(reach <= INT64, f"a sum can reach {reach}, beyond int64", 3 if site.given(3) else 2)
    corners = [
        round_shift(edge * (end * multiplier) + bias, shift)
        for edge in (x.low, x.high)
        for end in (scale.low, scale.high)
    ]
    low, high = min(int(corner.min()) for corner in corners), max(int(corner.max()) for corner in corners)
    return [site.clamped(low, high, x.shape)]


def _rescale_rows(site: Site, operands: list[Array]) -> list[Array]:
    x, scale, multiplier, *bias = operands
    moved = x * (scale * multiplier)
    if bias:
        moved = moved + (bias[0] << site.integer("bias_shift"))
    return [clamp(site, round_shift(moved, site.integer("shift")))]


OPERATORS = (
    Operator(
        name="rescale",
        operands=("x", "multiplier:tensor"),
        outputs=1,
        attributes={"shift": SHIFT, "zero_point": (-(1 << 31), INT32), **BOUNDS},
        admit=_admit_rescale,
        run=_rescale,
        macs=lambda count: count.x,
    ),
    Operator(
        name="requantise_rows",
        operands=("x",),
        outputs=2,
        attributes={"scale_shift": (0, 24)},
        admit=_admit_requantise_rows,
        run=_requantise_rows,
        macs=lambda count: 2 * count.x,
    ),
    Operator(
        name="rescale_rows",
        operands=("x", "scale", "multiplier:tensor", "bias:tensor?"),
        outputs=1,
        attributes={"shift": SHIFT, "bias_shift": (0, 31), **BOUNDS},
        admit=_admit_rescale_rows,
        run=_rescale_rows,
        macs=lambda count: 2 * count.x,
    ),
)
