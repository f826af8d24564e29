"""The rules that operators share: rounding, reciprocals, square roots, clamping. All exact, all int64.

Source: docs/integer-graphs.md, section 1.
"""

import math
from typing import overload

import numpy as np

from solder.coprocessors.ai.reference.site import Array, Site

__all__ = ["clamp", "reciprocal", "round_shift", "row_roots", "row_sums", "spread"]


@overload
def round_shift(value: int, shift: int) -> int: ...
@overload
def round_shift(value: Array, shift: int | Array) -> Array: ...
def round_shift(value: int | Array, shift: int | Array) -> int | Array:
    """Half up: floor(value / 2**shift + 1/2)."""
    return (value + (1 << (shift - 1))) >> shift


def reciprocal(divisors: Array) -> tuple[Array, Array]:
    """For each divisor >= 1: 2**(b + 29) // divisor and b, its number of binary digits."""
    digits = [int(divisor).bit_length() for divisor in divisors.flat]
    inverses = [(1 << (b + 29)) // int(divisor) for b, divisor in zip(digits, divisors.flat, strict=True)]
    return spread(inverses, divisors), spread(digits, divisors)


def row_roots(squares: Array) -> Array:
    """The floor of each square root."""
    return spread([math.isqrt(int(square)) for square in squares.flat], squares)


def row_sums(rows: Array) -> Array:
    """The sum of each row, the last axis kept with extent 1."""
    sums: Array = rows.sum(axis=-1, keepdims=True, dtype=np.int64)
    return sums


def spread(numbers: list[int], like: Array) -> Array:
    """Numbers, one for each element of ``like``, in its shape."""
    return np.array(numbers, dtype=np.int64).reshape(like.shape)


def clamp(site: Site, value: Array) -> Array:
    """Between the attributes minimum and maximum."""
    return np.minimum(np.maximum(value, site.integer("minimum")), site.integer("maximum"))
