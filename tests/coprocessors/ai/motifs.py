"""The steps by which ``generator`` grows a graph: one for each operator, and the sequences that executors fuse."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.graph import BATCH, SEQUENCE, Axis

from .generator import INT32, MAX_ELEMENTS

# Long rows, which kernels cut into blocks.
WIDE = (384, 511, 1024, 1536, 2049)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from .generator import Builder


def _int8(b: Builder, *, axes: tuple[int, ...] = (), static: bool = False) -> str | None:
    """An int8 value: one that is there, or one made by rescaling."""
    found = b.find(bits=(8,), axes=axes, static=static)
    if found is not None and b.dice.random() < 0.8:
        return found
    wider = b.find(bits=(16, 32), axes=axes, static=static)
    if wider is None:
        return found
    multiplier, shift = b.scaling(b.values[wider].largest, 8, _channels(b, wider))
    out = b.add("rescale", [wider, multiplier], shift=shift, zero_point=0, **b.clamp(8))
    return out[0] if out else found


def _channels(b: Builder, name: str) -> int:
    last = b.values[name].shape[-1]
    return last if isinstance(last, int) else 1


def _bias(b: Builder, weight: npt.NDArray[Any], largest: int) -> npt.NDArray[Any] | None:
    """None, an ordinary bias, or one that takes the accumulator to the end of int32."""
    if b.dice.random() < 0.3:
        return None
    sums = np.abs(weight.reshape(len(weight), -1).astype(np.int64)).sum(axis=1) * largest
    room: npt.NDArray[Any] = INT32 - sums
    if b.dice.random() < 0.2:
        extreme: npt.NDArray[Any] = room * b.dice.choice((1, -1))
        return extreme.astype(np.int32)
    ordinary: npt.NDArray[Any] = b.numbers.integers(-(sums + 1), sums + 1)
    return ordinary.clip(-room, room).astype(np.int32)


def linear(b: Builder) -> str | None:
    x = _int8(b, static=True)
    outputs = b.width()
    if b.dice.random() < 0.04:
        x, outputs = b.add_input(8, (BATCH, b.dice.choice(WIDE)), -128, 127), b.dice.choice((outputs, 384, 500))
    if x is None:
        return None
    weight = b.full(8, (outputs, _channels(b, x)))
    out = b.add("linear", [x, weight, _bias(b, weight, b.values[x].largest)])
    return out[0] if out else None


def convolution(b: Builder) -> str | None:
    x = _int8(b, axes=(4,), static=True)
    if x is None:
        return None
    channels = _channels(b, x)
    groups = b.dice.choice([g for g in range(1, channels + 1) if channels % g == 0])
    outputs = groups * b.dice.choice((1, 1, 2, 3, 8, 17))
    weight = b.full(8, (outputs, b.dice.randint(1, 4), b.dice.randint(1, 4), channels // groups))
    padding = b.dice.choice(((0, 0, 0, 0), (1, 1, 1, 1), tuple(b.dice.randint(0, 3) for _ in range(4))))
    outside = b.dice.choice((0, 0, -128, 127, b.dice.randint(-128, 127)))
    out = b.add(
        "convolution",
        [x, weight, _bias(b, weight, max(b.values[x].largest, abs(outside)))],
        stride=(b.dice.randint(1, 3), b.dice.randint(1, 3)),
        padding=padding,
        dilation=(b.dice.choice((1, 1, 2)), b.dice.choice((1, 1, 3))),
        groups=groups,
        padding_value=outside,
    )
    return out[0] if out else None


def _after_product(b: Builder, product: str | None) -> None:
    """What stands behind a product: rescale, sometimes with relu or lookup behind it."""
    if product is None:
        return
    clamp = b.clamp()
    multiplier, shift = b.scaling(b.values[product].largest, clamp["bits"], _channels(b, product))
    zero = b.dice.choice((0, 0, 0, 0, 0, -128, 5, b.dice.randint(-(1 << 31), INT32)))
    out = b.add("rescale", [product, multiplier], shift=shift, zero_point=zero, **clamp)
    if out and b.dice.random() < 0.3:
        b.add("relu", out)
    elif out and b.dice.random() < 0.5:
        _lookup_of(b, out[0])


def dense_layer(b: Builder) -> None:
    _after_product(b, linear(b))


def convolution_layer(b: Builder) -> None:
    _after_product(b, convolution(b))


def row_layer(b: Builder) -> None:
    """requantise_rows, linear, rescale_rows, perhaps lookup or the sum with the stream."""
    x = b.find(static=True)
    if x is None:
        return
    rows = b.add("requantise_rows", [x], 2, scale_shift=b.dice.choice((0, 0, 1, 5, 24)))
    if rows is None:
        return
    weight = b.full(8, (b.dice.choice((b.width(), _channels(b, x))), _channels(b, x)))
    product = b.add("linear", [rows[0], weight, _bias(b, weight, 127) if b.dice.random() < 0.2 else None])
    out = _rescale_rows_of(b, (product or rows)[0], rows[1])
    if out is None:
        return
    if b.dice.random() < 0.4:
        _lookup_of(b, out)
    elif b.values[out].shape == b.values[x].shape:
        b.add("add", [x, out] if b.dice.random() < 0.5 else [out, x], **b.clamp())


def _rescale_rows_of(b: Builder, x: str, scale: str) -> str | None:
    clamp = b.clamp()
    most = INT32 // max(b.values[scale].high, 1)
    channels = _channels(b, x)
    count = channels if b.dice.random() < 0.7 else 1
    multiplier = (
        b.ints(32, (count,), 0, most) if b.dice.random() < 0.3 else b.numbers.integers(most // 2, most + 1, count)
    )
    bias = b.full(32, (channels,)) if b.dice.random() < 0.6 else None
    reach = math.log2(max(b.values[x].largest, 1)) + 31 - clamp["bits"]
    shift = (
        b.dice.choice((1, 31, 32, 62)) if b.dice.random() < 0.1 else min(max(int(reach) + b.dice.randint(-6, 2), 1), 62)
    )
    out = b.add(
        "rescale_rows",
        [x, scale, multiplier.astype(np.int32), bias],
        shift=shift,
        bias_shift=b.dice.choice((0, 3, max(min(shift - 16, 31), 0), 31)),
        **clamp,
    )
    return out[0] if out else None


def rescale_rows(b: Builder) -> None:
    """Of any two values that fit."""
    for scale, value in list(b.values.items()):
        if value.bits == 32 and value.shape[-1] == 1 and value.low >= 0:
            x = b.dice.choice([name for name, other in b.values.items() if other.shape[:-1] == value.shape[:-1]])
            _rescale_rows_of(b, x, scale)
            return


def rescale(b: Builder) -> None:
    x = b.find()
    if x is not None:
        _after_product(b, x)


def matrix_product(b: Builder) -> None:
    a = _int8(b, axes=(3, 4, 5))
    if a is None:
        return
    shape = b.values[a].shape
    others = [n for n, v in b.values.items() if v.bits == 8 and v.shape[:-2] == shape[:-2] and len(v.shape) > 2]
    b.add("matrix_product", [a, b.dice.choice(others)], transposed=b.dice.randint(0, 1))


def _mask(b: Builder, batch: Axis, keys: Axis) -> str | None:
    """A mask of this shape, if there is one; sometimes none although there is."""
    found = [n for n, v in b.values.items() if v.shape == (batch, keys) and v.low >= 0 and v.high <= 1]
    if not found and b.dice.random() < 0.5:
        wide = [n for n, v in b.values.items() if v.shape == (batch, keys)]
        made = b.add("clamp", [b.dice.choice(wide)], bits=8, minimum=0, maximum=1) if wide else None
        found = made or []
    return b.dice.choice(found) if found and b.dice.random() < 0.8 else None


def attention(b: Builder) -> None:
    query = _int8(b, axes=(3,), static=True)
    if query is None:
        return
    batch, _, width = b.values[query].shape
    all8 = {n: v for n, v in b.values.items() if v.bits == 8 and len(v.shape) == 3 and v.shape[0] == batch}
    key = b.dice.choice([n for n, v in all8.items() if v.shape[2] == width])
    keys = b.values[key].shape[1]
    value = b.dice.choice([n for n, v in all8.items() if v.shape[1] == keys])
    common = math.gcd(_channels(b, query), _channels(b, value))
    heads = b.dice.choice([h for h in range(1, common + 1) if common % h == 0])
    distance = math.sqrt(_channels(b, query) / heads) * b.values[query].largest * b.values[key].largest
    table, multiplier, shift = b.exponential(8, b.dice.choice((127, 127, 127, 1, 64)), distance)
    fraction = b.dice.choice((0, 7, 8, 8, 16))
    b.add(
        "attention",
        [query, key, value, table, _mask(b, batch, keys)],
        heads=heads,
        multiplier=multiplier,
        shift=shift,
        causal=b.dice.randint(0, 1),
        fraction_bits=fraction,
        bits=32 if fraction == 16 else b.dice.choice((16, 32)) if fraction else 8,
    )


def requantise_rows(b: Builder) -> None:
    x = b.find()
    if x is not None:
        b.add("requantise_rows", [x], 2, scale_shift=b.dice.choice((0, 1, 5, 24)))


def add_or_mul(b: Builder) -> None:
    a = b.find()
    if a is None:
        return
    value = b.values[a]
    operator: str = b.dice.choice(("add", "add", "mul"))
    attributes: dict[str, int] = b.clamp() if operator == "add" else {}
    if b.dice.random() < 0.5:
        fitting = [n for n, v in b.values.items() if len(v.shape) <= len(value.shape)]
        b.add(operator, [a, b.dice.choice(fitting)], **attributes)
        return
    static = tuple(axis if isinstance(axis, int) and b.dice.random() < 0.7 else 1 for axis in value.shape)
    shape = static[b.dice.randint(0, len(static) - 1) :]
    b.add(operator, [a, b.full(b.dice.choice((8, 16, 32)), shape)], **attributes)


def relu_or_clamp(b: Builder) -> None:
    x = b.find()
    if x is not None and b.dice.random() < 0.5:
        b.add("relu", [x])
    elif x is not None:
        b.add("clamp", [x], **b.clamp())


def _lookup_of(b: Builder, x: str) -> None:
    value = b.values[x]
    if value.high - value.low > 1 << 13:
        made = b.add("clamp", [x], bits=max(value.bits, 16), minimum=-2048, maximum=2047)
        if made is None:
            return
        x, value = made[0], b.values[made[0]]
    before, after = b.dice.choice((0, 0, 3)), b.dice.choice((0, 0, 5))
    length = value.high - value.low + 1 + before + after
    b.add("lookup", [x, b.full(b.dice.choice((8, 8, 16, 32)), (length,))], offset=value.low - before)


def lookup(b: Builder) -> None:
    x = b.find()
    if x is not None:
        _lookup_of(b, x)


def layer_norm(b: Builder) -> None:
    x = b.find(static=True)
    if x is None:
        return
    width = (_channels(b, x),)
    fraction = b.dice.choice((1, 8, 10, 10, 14, 20))
    bits = b.dice.choice((16, 16, 32))
    gain = b.ints(bits, width, -(1 << 15), (1 << 15) - 1) if bits == 16 else b.ints(32, width, -(1 << 20), 1 << 20)
    clamp = b.clamp()
    reach = fraction + 3 + int(np.abs(gain.astype(np.int64)).max()).bit_length() - clamp["bits"]
    b.add(
        "layer_norm",
        [x, gain, b.full(32, width) >> b.dice.choice((0, 8, 16))],
        epsilon=b.dice.choice((1, 1, 1000, 1 << 40, 1 << 60)),
        fraction_bits=fraction,
        bias_shift=b.dice.choice((0, 0, 4, 31)),
        shift=min(max(reach + b.dice.randint(-5, 2), 1), 62),
        **clamp,
    )


def softmax(b: Builder) -> None:
    x = b.find()
    if x is None:
        return
    shape = b.values[x].shape
    bits = b.dice.choice((16, 32))
    first = b.dice.choice((1, 127, 32_767) if bits == 16 else (32_767, 65_536))
    distance = (b.values[x].high - b.values[x].low) / b.dice.choice((1, 4, 64))
    table, multiplier, shift = b.exponential(bits, first, distance)
    one = b.dice.choice((1, 127, 255, 16_384, 32_767))
    b.add(
        "softmax",
        [x, table, _mask(b, shape[0], shape[-1])],
        multiplier=multiplier,
        shift=shift,
        one=one,
        bits=b.dice.choice((8, 16, 32)) if one <= 127 else b.dice.choice((16, 32)),
    )


def normalise(b: Builder) -> None:
    x = b.find(static=True)
    if x is None:
        return
    if b.dice.random() < 0.5:
        fraction = b.dice.choice((1, 6, 14, 14, 29))
        b.add("l2_normalise", [x], fraction_bits=fraction, bits=32 if fraction > 14 else 16 if fraction > 6 else 8)
        return
    width = _channels(b, x)
    others = [n for n, v in b.values.items() if v.shape[-1] == width]
    rows = b.dice.choice(((width,), (2, width), (3, 1, width)))
    other = b.dice.choice(others) if b.dice.random() < 0.4 else b.full(b.dice.choice((8, 16, 32)), rows)
    b.add("cosine", [x, other], fraction_bits=b.dice.choice((1, 14, 30, 30)))


def pool(b: Builder) -> None:
    x = b.find(axes=(4,), static=True)
    if x is None:
        return
    window = (b.dice.randint(1, 4), b.dice.randint(1, 4))
    padding = tuple(b.dice.randint(0, window[side % 2] - 1) if b.dice.random() < 0.4 else 0 for side in range(4))
    stride = (b.dice.randint(1, 3), b.dice.randint(1, 3))
    pooled = b.add(b.dice.choice(("max_pool", "sum_pool")), [x], window=window, stride=stride, padding=padding)
    if pooled and b.dice.random() < 0.5:
        _after_product(b, pooled[0])


def mean_pool(b: Builder) -> None:
    x = b.find(axes=(3,))
    if x is None:
        return
    batch, keys, _ = b.values[x].shape
    fraction = b.dice.choice((0, 0, 4, 16))
    b.add("mean_pool", [x, _mask(b, batch, keys)], fraction_bits=fraction, bits=b.dice.choice((8, 16, 32, 32)))


def choose(b: Builder) -> None:
    x = b.find()
    if x is not None and b.dice.random() < 0.5:
        b.add("argmax", [x])
    elif x is not None:
        b.add("top_k", [x], 2, k=b.dice.randint(1, _channels(b, x)))


def tree_ensemble(b: Builder) -> None:
    x = b.find(bits=(32,), axes=(2,), static=True)
    if x is None:
        return
    dice, low, high = b.dice, b.values[x].low, b.values[x].high
    left: list[int] = []
    right: list[int] = []
    roots = []
    leaves, classes = dice.randint(1, 20), dice.choice((1, 1, 2, 3, 10))
    for _ in range(dice.randint(1, 6)):
        nodes = dice.randint(0, 12)
        first = len(left)
        roots.append(first if nodes else -1 - dice.randrange(leaves))
        for node in range(nodes):
            ahead = [first + other for other in range(node + 1, nodes)]
            for links in (left, right):
                links.append(dice.choice(ahead[:3]) if ahead and dice.random() < 0.7 else -1 - dice.randrange(leaves))
    if not left:
        left, right = [-1], [-1]
    count = (len(left),)
    threshold = b.ints(32, count, low, high)
    tensors = [
        b.ints(32, count, 0, _channels(b, x) - 1),
        threshold,
        np.array(left, np.int32),
        np.array(right, np.int32),
        np.array(roots, np.int32),
        b.ints(32, (leaves, classes), -(1 << 27), 1 << 27),
        b.ints(32, (classes,), -(1 << 27), 1 << 27),
    ]
    missing = [b.ints(8, count, 0, 1)] if dice.random() < 0.5 else []
    b.add("tree_ensemble", [x, *tensors, *missing])


def gather(b: Builder) -> None:
    ids = [n for n, v in b.values.items() if v.low >= 0 and v.high < 200]
    if ids and b.dice.random() < 0.7:
        chosen = b.dice.choice(ids)
        rows = b.values[chosen].high + 1 + b.dice.choice((0, 0, 3))
        b.add("embedding", [chosen, b.full(b.dice.choice((8, 8, 16, 32)), (rows, b.width()))])
    elif x := b.find(axes=(2, 3, 4)):
        axis = b.dice.randrange(1, len(b.values[x].shape))
        made = b.add("positions", [x], axis=axis)
        if made:
            b.add("embedding", [made[0], b.full(8, (max(b.values[made[0]].high + 1, 1), b.width()))])


def cache(b: Builder) -> None:
    """take_row and cache_write, with a position that may be outside."""
    x = b.find(axes=(3,))
    if x is None:
        return
    batch, _, width = b.values[x].shape
    if batch != BATCH:
        return
    index = b.find(bits=(32,), axes=(1,))
    if index is None:
        index = b.add_input(32, (BATCH,), -1, b.sequence_limit)
    if b.dice.random() < 0.5:
        b.add("take_row", [x, index])
        return
    bits = b.values[x].bits
    row = next((n for n, v in b.values.items() if v.bits == bits and v.shape == (BATCH, 1, width)), None)
    row = row or b.add_input(bits, (BATCH, 1, width), b.values[x].low, b.values[x].high)
    b.add("cache_write", [x, row, index])


def layout(b: Builder) -> None:
    x = b.find()
    if x is None:
        return
    dice, shape = b.dice, b.values[x].shape
    kind = dice.randrange(4)
    static = [axis for axis, extent in enumerate(shape) if isinstance(extent, int)] or [len(shape) - 1]
    if kind == 0:
        order = list(range(1, len(shape)))
        dice.shuffle(order)
        b.add("transpose", [x], order=(0, *order))
    elif kind == 1:
        _reshape(b, x)
    elif kind == 2:
        axis = dice.choice((*static, len(shape) - 1))
        extent = shape[axis]
        known = extent if isinstance(extent, int) else 1
        start = dice.randrange(known)
        b.add("slice", [x], axis=axis, start=start, length=dice.randint(1, known - start))
    else:
        axis = dice.choice(static)
        rest = (*shape[:axis], *shape[axis + 1 :])
        fitting = [
            n
            for n, v in b.values.items()
            if len(v.shape) == len(shape) and (*v.shape[:axis], *v.shape[axis + 1 :]) == rest
        ]
        b.add("concatenate", [x, *(dice.choice(fitting) for _ in range(dice.randint(1, 3)))], axis=axis)


def _reshape(b: Builder, x: str) -> None:
    """Split one static axis in two, or join two neighbours."""
    shape = list(b.values[x].shape)
    static = [index for index, axis in enumerate(shape) if isinstance(axis, int)]
    if not static:
        return
    at = b.dice.choice(static)
    extent = int(shape[at])
    if at + 1 in static and b.dice.random() < 0.5:
        shape[at : at + 2] = [extent * int(shape[at + 1])]
    else:
        part = b.dice.choice([d for d in range(1, extent + 1) if extent % d == 0])
        shape[at : at + 1] = [part, extent // part]
    b.add("reshape", [x], shape=tuple(shape))


def encoder_layer(b: Builder) -> None:
    """A transformer's layer in the canonical sequence, on a stream of its own."""
    width = b.dice.choice((4, 8, 12, 24, 32))
    stream: str | None = None
    for name, value in b.values.items():
        if value.shape == (BATCH, SEQUENCE, width) and value.bits in (16, 32):
            stream = name
    if 3 * b.sequence_limit * width * 2 > MAX_ELEMENTS:
        return
    if stream is None:
        if not any(SEQUENCE in item.shape for item in b.inputs):
            return
        stream = b.add_input(16, (BATCH, SEQUENCE, width), -20_000, 20_000)
    rows = b.add("requantise_rows", [stream], 2, scale_shift=b.dice.choice((0, 2)))
    if rows is None:
        return
    parts = []
    for _ in range(3):
        product = b.add("linear", [rows[0], b.full(8, (width, width))])
        if product is None:
            return
        factors, shift = b.scaling(1 << 14, 8, width)
        operands: list[str | npt.NDArray[Any]] = [*product, rows[1], (factors >> 16).astype(np.int32)]
        part = b.add("rescale_rows", operands, shift=shift, bias_shift=0, bits=8, minimum=-127, maximum=127)
        parts += part or []
    if len(parts) != 3:
        return
    table, multiplier, shift = b.exponential(8, 127, math.sqrt(width) * 5000)
    mixed = b.add(
        "attention",
        [*parts, table, _mask(b, BATCH, SEQUENCE)],
        heads=b.dice.choice((1, 2, 4)),
        multiplier=multiplier,
        shift=shift,
        causal=b.dice.randint(0, 1),
        fraction_bits=8,
        bits=16,
    )
    if mixed is None:
        return
    summed = b.add("add", [stream, *mixed], bits=32, minimum=-(1 << 20), maximum=1 << 20)
    if summed:
        norm = {"epsilon": 9, "fraction_bits": 10, "bias_shift": 8, "shift": 16}
        limits = {"bits": 16, "minimum": -32_768, "maximum": 32_767}
        b.add("layer_norm", [*summed, b.full(16, (width,)), b.ints(32, (width,), -1000, 1000)], **norm, **limits)


STEPS: list[tuple[int, Callable[[Builder], object]]] = [
    (6, dense_layer),
    (9, convolution_layer),
    (6, row_layer),
    (4, encoder_layer),
    (3, linear),
    (2, convolution),
    (4, rescale),
    (3, rescale_rows),
    (2, requantise_rows),
    (7, matrix_product),
    (6, attention),
    (5, add_or_mul),
    (3, relu_or_clamp),
    (4, lookup),
    (5, layer_norm),
    (5, softmax),
    (5, normalise),
    (9, pool),
    (3, mean_pool),
    (3, choose),
    (5, tree_ensemble),
    (4, gather),
    (4, cache),
    (7, layout),
]
