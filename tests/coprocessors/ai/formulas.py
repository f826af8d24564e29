"""Every formula of the specification once more, one element at a time, in whole numbers without limit.

The reference computes whole arrays in int64; that these loops agree shows that it says what the page says and that no
int64 has overflowed. ``x[i]`` are nested lists' elements by index; nothing is shared with the reference.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

Index = tuple[int, ...]
Attributes = dict[str, Any]


class Grid:
    """An array of whole numbers: elements by index, rows by the index before the last axis."""

    def __init__(self, shape: Index, numbers: list[int]) -> None:
        self.shape = shape
        self.numbers = numbers

    def __getitem__(self, index: Index) -> int:
        at = 0
        for position, extent in zip(index, self.shape, strict=True):
            assert 0 <= position < extent
            at = at * extent + position
        return self.numbers[at]

    def row(self, index: Index) -> list[int]:
        return [self[(*index, k)] for k in range(self.shape[-1])]

    def spread(self, index: Index) -> int:
        """The element that broadcasting puts at an index of a longer or larger shape."""
        tail = index[len(index) - len(self.shape) :]
        return self[tuple(0 if extent == 1 else at for at, extent in zip(tail, self.shape, strict=True))]

    def channel(self, index: int) -> int:
        return self.numbers[index if len(self.numbers) > 1 else 0]


Formula = Callable[[list[Grid], Attributes, list[Index]], list[list[int]]]


def places(shape: Index) -> Iterator[Index]:
    return itertools.product(*(range(extent) for extent in shape))


def half_up(value: int, shift: int) -> int:
    return (value + (1 << (shift - 1))) // (1 << shift)


def digits(number: int) -> int:
    return len(bin(number)) - 2 if number else 0


def by_reciprocal(x: int, divisor: int, fraction: int) -> int:
    return half_up(x * (2 ** (digits(divisor) + 29) // divisor), digits(divisor) + 29 - fraction)


def clamped(value: int, at: Attributes) -> int:
    return max(int(at["minimum"]), min(int(at["maximum"]), value))


def elementwise(one: Callable[[list[Grid], Attributes, Index], int]) -> Formula:
    return lambda xs, at, shapes: [[one(xs, at, index) for index in places(shapes[0])]]


def linear(xs: list[Grid], _at: Attributes, index: Index) -> int:
    row = xs[0].row(index[:-1])
    bias = xs[2].numbers[index[-1]] if len(xs) > 2 else 0
    return sum(a * xs[1][index[-1], k] for k, a in enumerate(row)) + bias


def convolution(xs: list[Grid], at: Attributes, index: Index) -> int:
    x, weight = xs[0], xs[1]
    b, i, j, o = index
    outputs, rows, columns, depth = weight.shape
    group = o // (outputs // at["groups"])
    total = xs[2].numbers[o] if len(xs) > 2 else 0
    for p, q, c in places((rows, columns, depth)):
        down = i * at["stride"][0] + p * at["dilation"][0] - at["padding"][0]
        across = j * at["stride"][1] + q * at["dilation"][1] - at["padding"][1]
        inside = 0 <= down < x.shape[1] and 0 <= across < x.shape[2]
        seen = x[b, down, across, group * depth + c] if inside else at["padding_value"]
        total += seen * weight[o, p, q, c]
    return total


def matrix_product(xs: list[Grid], at: Attributes, index: Index) -> int:
    a, b = xs
    *lead, m, n = index
    inner = range(a.shape[-1])
    if at["transposed"]:
        return sum(a[(*lead, m, k)] * b[(*lead, n, k)] for k in inner)
    return sum(a[(*lead, m, k)] * b[(*lead, k, n)] for k in inner)


def attention(xs: list[Grid], at: Attributes, shapes: list[Index]) -> list[list[int]]:
    query, key, value, table = xs[:4]
    heads, keys, queries = at["heads"], key.shape[1], query.shape[1]
    depth, width = query.shape[2] // heads, value.shape[2] // heads
    out = []
    for b, i, e in places(shapes[0]):
        head = e // width
        seen = [
            j
            for j in range(keys)
            if (len(xs) < 5 or xs[4][b, j] == 1) and (not at["causal"] or j <= i + keys - queries)
        ]
        columns = range(head * depth, (head + 1) * depth)
        score = {j: sum(query[b, i, d] * key[b, j, d] for d in columns) for j in seen}
        weight = {j: exponential(max(score.values()) - score[j], table, at) for j in seen}
        total = sum(weight.values())
        mixed = sum(weight[j] * value[b, j, e] for j in seen)
        out.append(by_reciprocal(mixed, total, at["fraction_bits"]) if total else 0)
    return [out]


def exponential(distance: int, table: Grid, at: Attributes) -> int:
    return table.numbers[min(half_up(distance * at["multiplier"], at["shift"]), len(table.numbers) - 1)]


def rescale(xs: list[Grid], at: Attributes, index: Index) -> int:
    return clamped(at["zero_point"] + half_up(xs[0][index] * xs[1].channel(index[-1]), at["shift"]), at)


def requantise_rows(xs: list[Grid], at: Attributes, shapes: list[Index]) -> list[list[int]]:
    rows: list[int] = []
    scales: list[int] = []
    for index in places(shapes[0][:-1]):
        row = xs[0].row(index)
        unit = 2 ** at["scale_shift"]
        scale = math.ceil(max(map(abs, row)) / unit) if unit == 1 else -(-max(map(abs, row)) // unit)
        scales.append(scale)
        span = scale * unit
        b = digits(span)
        rows += [half_up(x * (127 * 2 ** (b + 23) // span), b + 23) if span else 0 for x in row]
    return [rows, scales]


def rescale_rows(xs: list[Grid], at: Attributes, index: Index) -> int:
    factor = xs[1][(*index[:-1], 0)] * xs[2].channel(index[-1])
    bias = xs[3].numbers[index[-1]] * 2 ** at["bias_shift"] if len(xs) > 3 else 0
    return clamped(half_up(xs[0][index] * factor + bias, at["shift"]), at)


def layer_norm(xs: list[Grid], at: Attributes, shapes: list[Index]) -> list[list[int]]:
    out = []
    for index in places(shapes[0][:-1]):
        row = xs[0].row(index)
        width, total = len(row), sum(row)
        variance = width * sum(x * x for x in row) - total * total
        root = math.isqrt(variance + at["epsilon"])
        for column, x in enumerate(row):
            normal = by_reciprocal(width * x - total, root, at["fraction_bits"])
            bias = xs[2].numbers[column] * 2 ** at["bias_shift"]
            out.append(clamped(half_up(normal * xs[1].numbers[column] + bias, at["shift"]), at))
    return [out]


def softmax(xs: list[Grid], at: Attributes, shapes: list[Index]) -> list[list[int]]:
    out = []
    for index in places(shapes[0][:-1]):
        row = xs[0].row(index)
        seen = [len(xs) < 3 or xs[2][index[0], k] == 1 for k in range(len(row))]
        top = max((x for x, there in zip(row, seen, strict=True) if there), default=0)
        weights = [exponential(top - x, xs[1], at) if there else 0 for x, there in zip(row, seen, strict=True)]
        total = sum(weights)
        q = digits(total) + 30 - digits(at["one"])
        out += [half_up(e * (at["one"] * 2**q // total), q) if total else 0 for e in weights]
    return [out]


def l2_normalise(xs: list[Grid], at: Attributes, shapes: list[Index]) -> list[list[int]]:
    out = []
    for index in places(shapes[0][:-1]):
        row = xs[0].row(index)
        root = math.isqrt(sum(x * x for x in row))
        out += [by_reciprocal(x, root, at["fraction_bits"]) if root else 0 for x in row]
    return [out]


def cosine(xs: list[Grid], at: Attributes, index: Index) -> int:
    width = xs[0].shape[-1]
    a, b = ([x.spread((*index, k)) for k in range(width)] for x in xs)
    root = math.isqrt(sum(x * x for x in a) * sum(x * x for x in b))
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return (dot * 2 ** (at["fraction_bits"] + 1) + root) // (2 * root) if root else 0


def window(x: Grid, at: Attributes, index: Index) -> list[int]:
    b, i, j, c = index
    down, across = (i * at["stride"][0] - at["padding"][0], j * at["stride"][1] - at["padding"][1])
    rows = [down + p for p in range(at["window"][0]) if 0 <= down + p < x.shape[1]]
    columns = [across + q for q in range(at["window"][1]) if 0 <= across + q < x.shape[2]]
    return [x[b, row, column, c] for row in rows for column in columns]


def mean_pool(xs: list[Grid], at: Attributes, index: Index) -> int:
    b, w = index
    seen = [s for s in range(xs[0].shape[1]) if len(xs) < 2 or xs[1][b, s] == 1]
    total = sum(xs[0][b, s, w] for s in seen)
    return (total * 2 ** (at["fraction_bits"] + 1) + len(seen)) // (2 * len(seen)) if seen else 0


def top_k(xs: list[Grid], at: Attributes, shapes: list[Index]) -> list[list[int]]:
    values, indices = [], []
    for index in places(shapes[0][:-1]):
        row = xs[0].row(index)
        best = sorted(range(len(row)), key=lambda k: (-row[k], k))[: at["k"]]
        indices += best
        values += [row[k] for k in best]
    return [values, indices]


def tree_ensemble(xs: list[Grid], _at: Attributes, index: Index) -> int:
    x, feature, threshold, left, right, roots, leaves, base = xs[:8]
    b, c = index
    total = base.numbers[c]
    for root in roots.numbers:
        link = root
        while link >= 0:
            number = x[b, feature.numbers[link]]
            goes_left = number <= threshold.numbers[link]
            if len(xs) > 8 and number == -(2**31):
                goes_left = bool(xs[8].numbers[link])
            link = (left if goes_left else right).numbers[link]
        total += leaves[-1 - link, c]
    return total


def take_row(xs: list[Grid], _at: Attributes, index: Index) -> int:
    row = xs[1].numbers[index[0]]
    return xs[0][index[0], row, index[1]] if 0 <= row < xs[0].shape[1] else 0


def cache_write(xs: list[Grid], _at: Attributes, index: Index) -> int:
    b, j, w = index
    return xs[1][b, 0, w] if xs[2].numbers[b] == j else xs[0][b, j, w]


def transpose(xs: list[Grid], at: Attributes, index: Index) -> int:
    source = [0] * len(index)
    for position, axis in enumerate(at["order"]):
        source[axis] = index[position]
    return xs[0][tuple(source)]


def concatenate(xs: list[Grid], at: Attributes, index: Index) -> int:
    axis, position = at["axis"], index[at["axis"]]
    for x in xs:
        if position < x.shape[axis]:
            return x[(*index[:axis], position, *index[axis + 1 :])]
        position -= x.shape[axis]
    raise AssertionError(index)


def cut(xs: list[Grid], at: Attributes, index: Index) -> int:
    axis = at["axis"]
    return xs[0][(*index[:axis], index[axis] + at["start"], *index[axis + 1 :])]


FORMULAS: dict[str, Formula] = {
    "linear": elementwise(linear),
    "convolution": elementwise(convolution),
    "matrix_product": elementwise(matrix_product),
    "attention": attention,
    "rescale": elementwise(rescale),
    "requantise_rows": requantise_rows,
    "rescale_rows": elementwise(rescale_rows),
    "add": elementwise(lambda xs, at, index: clamped(xs[0].spread(index) + xs[1].spread(index), at)),
    "mul": elementwise(lambda xs, _at, index: xs[0].spread(index) * xs[1].spread(index)),
    "relu": elementwise(lambda xs, _at, index: max(xs[0][index], 0)),
    "clamp": elementwise(lambda xs, at, index: clamped(xs[0][index], at)),
    "lookup": elementwise(lambda xs, at, index: xs[1].numbers[xs[0][index] - at["offset"]]),
    "layer_norm": layer_norm,
    "softmax": softmax,
    "l2_normalise": l2_normalise,
    "cosine": elementwise(cosine),
    "max_pool": elementwise(lambda xs, at, index: max(window(xs[0], at, index))),
    "sum_pool": elementwise(lambda xs, at, index: sum(window(xs[0], at, index))),
    "mean_pool": elementwise(mean_pool),
    "argmax": elementwise(lambda xs, _at, index: xs[0].row(index).index(max(xs[0].row(index)))),
    "top_k": top_k,
    "tree_ensemble": elementwise(tree_ensemble),
    "embedding": elementwise(lambda xs, _at, index: xs[1][xs[0][index[:-1]], index[-1]]),
    "positions": elementwise(lambda _xs, _at, index: index[0]),
    "take_row": elementwise(take_row),
    "cache_write": elementwise(cache_write),
    "reshape": lambda xs, _at, _shapes: [xs[0].numbers],
    "transpose": elementwise(transpose),
    "concatenate": elementwise(concatenate),
    "slice": elementwise(cut),
}
