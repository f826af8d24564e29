"""Each proof of admission at its last number and one beyond: reference and executor draw the same line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from solder import _native
from solder.coprocessors.ai.artefact import container, read_artefact
from solder.coprocessors.ai.graph import BATCH, SEQUENCE, Graph, Input, Node, Output
from solder.coprocessors.ai.graph_canonical import canonical_text
from solder.errors import InputError

INT32 = (1 << 31) - 1
CLAMP = {"bits": 8, "minimum": -128, "maximum": 127}
Pieces = tuple[list[Input], dict[str, Any], str, dict[str, Any], int]


def _x(bits: int, *shape: int | str, low: int, high: int, name: str = "x") -> Input:
    return Input(name, bits, (BATCH, *shape), low, high)


def _linear(beyond: int) -> Pieces:
    weight = np.full((1, 1000), 127, dtype=np.int8)
    bias = np.array([-(INT32 - 127 * 127 * 1000) - beyond], dtype=np.int32)
    return [_x(8, 1000, low=-127, high=127)], {"weight": weight, "bias": bias}, "linear", {}, 1


def _convolution(beyond: int) -> Pieces:
    weight = np.full((1, 1, 1, 10), -128, dtype=np.int8)
    bias = np.array([INT32 - 128 * 100 * 10 + beyond], dtype=np.int32)
    pads = {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1, "padding_value": -100}
    return [_x(8, 1, 1, 10, low=-3, high=3)], {"weight": weight, "bias": bias}, "convolution", pads, 1


def _convolution_window(beyond: int) -> Pieces:
    weight = np.ones((1, 4 + beyond, 1, 1), dtype=np.int8)
    pads = {"stride": (3, 1), "padding": (1, 0, 2, 0), "dilation": (3, 1), "groups": 1, "padding_value": 0}
    return [_x(8, 7, 1, 1, low=0, high=1)], {"weight": weight}, "convolution", pads, 1


def _matrix_product(beyond: int) -> Pieces:
    values = [_x(8, 1, 131_071, low=-128, high=0), _x(8, 1, 131_071, low=-128, high=0, name="y")]
    if beyond:
        values = [_x(8, 1, 131_072, low=-128, high=0), _x(8, 1, 131_072, low=-128, high=0, name="y")]
    return values, {}, "matrix_product", {"transposed": 1}, 1


def _matrix_product_axes(beyond: int) -> Pieces:
    shape = (4,) if beyond else (1, 4)
    values = [_x(8, *shape, low=0, high=1), _x(8, *shape, low=0, high=1, name="y")]
    return values, {}, "matrix_product", {"transposed": 1}, 1


def _attention(width: int, low: int, keys: int, first: int) -> Pieces:
    values = [_x(8, 1, width, low=low, high=0, name="query")]
    values += [_x(8, keys, width, low=low, high=0, name=name) for name in ("key", "value")]
    rest = {"heads": 1, "multiplier": 1, "shift": 1, "causal": 0, "fraction_bits": 16, "bits": 32}
    return values, {"table": np.array([first, 0], dtype=np.int8)}, "attention", rest, 1


def _attention_scores(beyond: int) -> Pieces:
    return _attention(65_535 + beyond, -128, 1, 1)


def _attention_sums(beyond: int) -> Pieces:
    return _attention(1, -128, INT32 // (127 * 128) + beyond, 127)


def _attention_table(beyond: int) -> Pieces:
    values, _, operator, rest, limit = _attention(1, -1, 1, 5)
    return values, {"table": np.array([5, 5 + beyond], dtype=np.int8)}, operator, rest, limit


def _requantise(beyond: int) -> Pieces:
    return [_x(32, 4, low=-INT32 - beyond, high=0)], {}, "requantise_rows", {"scale_shift": 0}, 1


def _scaled(scale: int, multiplier: int, bias: int, bias_shift: int, shift: int = 62) -> Pieces:
    values = [_x(32, 1, low=-(1 << 31), high=0), _x(32, 1, low=0, high=scale, name="scale")]
    tensors = {"multiplier": np.array([multiplier], np.int32), "bias": np.array([bias], np.int32)}
    return values, tensors, "rescale_rows", {"shift": shift, "bias_shift": bias_shift, **CLAMP}, 1


def _rescale_rows_factor(beyond: int) -> Pieces:
    return _scaled(46_341 if beyond else 46_340, 46_341, 0, 0)


def _rescale_rows_sum(beyond: int) -> Pieces:
    # 2^31 * F + (bias << 31) + 2^61 <= 2^63 - 1, with F = 2^31 - 1
    rest = (1 << 63) - 1 - (1 << 31) * INT32 - (1 << 61)
    return _scaled(1, INT32, -(rest >> 31) - beyond, 31)


def _layer_norm(width: int, high: int, fraction: int, gain: int, offset: int = 0) -> Pieces:
    tensors = {"gain": np.full(width, gain, np.int32), "bias": np.full(width, offset, np.int32)}
    rest = {"epsilon": 1, "fraction_bits": fraction, "bias_shift": 31, "shift": 62, **CLAMP}
    return [_x(32, width, low=0, high=high)], tensors, "layer_norm", rest, 1


def _layer_norm_width(beyond: int) -> Pieces:
    return _layer_norm(3, INT32 // 6 + beyond, 10, 1)


def _layer_norm_number(beyond: int) -> Pieces:
    # N = ((isqrt(W) + 1) << 21) + 1 <= 2^31 - 1: isqrt(W) <= 1,022
    width = 1023 * 1023 - 1 + beyond
    return _layer_norm(width, 1, 20, 1)


def _layer_norm_sum(beyond: int) -> Pieces:
    # 2^61 is half of the shift; gain and bias take the rest of int64.
    number = (1023 << 21) + 1
    rest = (1 << 63) - 1 - (1 << 61) - number * INT32
    return _layer_norm(1022 * 1022, 1, 20, INT32, (rest >> 31) + beyond)


def _softmax(low: int, limit: int, first: int) -> Pieces:
    rest = {"multiplier": 1, "shift": 1, "one": 127, "bits": 8}
    return [_x(32, limit, low=low, high=INT32)], {"table": np.array([first], np.int32)}, "softmax", rest, 1


def _softmax_distance(beyond: int) -> Pieces:
    return _softmax(-beyond, 4, 1)


def _softmax_total(beyond: int) -> Pieces:
    return _softmax(0, 32_767 + beyond, 65_536)


def _softmax_first(beyond: int) -> Pieces:
    return _softmax(0, 4, 65_536 + beyond)


def _l2_normalise(beyond: int) -> Pieces:
    return [_x(32, 1 + beyond, low=-(1 << 31), high=0)], {}, "l2_normalise", {"fraction_bits": 29, "bits": 32}, 1


def _cosine(beyond: int) -> Pieces:
    b = np.full((1 + beyond,), -(1 << 31), np.int32)
    return [_x(32, 1 + beyond, low=0, high=1)], {"b": b}, "cosine", {"fraction_bits": 30}, 1


def _add(beyond: int) -> Pieces:
    return [_x(32, 2, low=0, high=INT32 - 100)], {"b": np.array([5, 100 + beyond], np.int32)}, "add", CLAMP, 1


def _mul(beyond: int) -> Pieces:
    return [_x(32, 1, low=0, high=65_536)], {"b": np.array([-32_768 - beyond], np.int32)}, "mul", {}, 1


def _lookup(beyond: int) -> Pieces:
    return [_x(8, 1, low=-5, high=5 + beyond)], {"table": np.arange(11, dtype=np.int8)}, "lookup", {"offset": -5}, 1


def _lookup_below(beyond: int) -> Pieces:
    return [_x(8, 1, low=-5, high=0)], {"table": np.arange(11, dtype=np.int8)}, "lookup", {"offset": -5 + beyond}, 1


def _sum_pool(beyond: int) -> Pieces:
    rest = {"window": (1, 2), "stride": (1, 1), "padding": (0, 0, 0, 0)}
    return [_x(32, 1, 2, 1, low=0, high=(1 << 30) - 1 + beyond)], {}, "sum_pool", rest, 1


def _max_pool_padding(beyond: int) -> Pieces:
    rest = {"window": (3, 2), "stride": (2, 1), "padding": (2, 1, 2 + beyond, 0)}
    return [_x(8, 5, 5, 1, low=0, high=1)], {}, "max_pool", rest, 1


def _mean_pool(beyond: int) -> Pieces:
    rest = {"fraction_bits": 0, "bits": 32}
    return [_x(32, SEQUENCE, 1, low=-(INT32 // 100) - beyond, high=0)], {}, "mean_pool", rest, 100


def _mask(beyond: int) -> Pieces:
    values = [_x(8, 3, 1, low=0, high=1), _x(8, 3, low=0, high=1 + beyond, name="mask")]
    return values, {}, "mean_pool", {"fraction_bits": 0, "bits": 8}, 1


def _top_k(beyond: int) -> Pieces:
    return [_x(8, 7, low=0, high=1)], {}, "top_k", {"k": 7 + beyond}, 1


def _trees(beyond: int) -> Pieces:
    tensors = {
        "feature": np.array([0, 1], np.int32),
        "threshold": np.array([3, 4], np.int32),
        "left": np.array([1, -1], np.int32),
        "right": np.array([-2, -1], np.int32),
        "roots": np.array([0, 1, -2], np.int32),
        "leaves": np.array([[-(1 << 30)], [5]], np.int32),
        "base": np.array([0], np.int32),
    }
    # largest magnitudes below the roots: 2^30, 2^30 - 6, 5
    tensors["base"][0] = INT32 - 2 * (1 << 30) - 5
    tensors["leaves"][0, 0] += 3
    tensors["base"][0] += 6 + beyond
    return [_x(32, 2, low=0, high=9)], tensors, "tree_ensemble", {}, 1


def _embedding(beyond: int) -> Pieces:
    return [_x(8, 2, low=0, high=6 + beyond)], {"table": np.zeros((7, 2), np.int8)}, "embedding", {}, 1


def _slice(beyond: int) -> Pieces:
    return [_x(8, 7, low=0, high=1)], {}, "slice", {"axis": 1, "start": 3, "length": 4 + beyond}, 1


def _slice_sequence(beyond: int) -> Pieces:
    return [_x(8, SEQUENCE, low=0, high=1)], {}, "slice", {"axis": 1, "start": beyond, "length": 1}, 5


BOUNDARIES = [value for name, value in sorted(globals().items()) if name.startswith("_") and callable(value)]
BOUNDARIES = [piece for piece in BOUNDARIES if getattr(piece, "__annotations__", {}).keys() == {"beyond", "return"}]


@pytest.mark.parametrize("pieces", BOUNDARIES, ids=lambda pieces: pieces.__name__.strip("_"))
def test_boundaries_are_one(pieces: Any) -> None:
    for beyond in (0, 1):
        values, tensors, operator, attributes, limit = pieces(beyond)
        outputs = {"requantise_rows": ("out", "scale.out"), "top_k": ("out", "indices")}.get(operator, ("out",))
        node = Node("node", operator, (*(value.name for value in values), *tensors), outputs, attributes)
        graph = Graph(tuple(values), (node,), (Output("out"),), batch_limit=1, sequence_limit=limit)
        raw = container(canonical_text(graph.as_json()), tensors)
        if beyond:
            with pytest.raises(InputError, match="node"):
                read_artefact(raw)
            with pytest.raises(InputError, match="node"):
                _native.Artefact.load(raw)
        else:
            value = read_artefact(raw).values["out"]
            found = next(item for item in _native.Artefact.load(raw).values() if item["name"] == "out")
            assert (found["minimum"], found["maximum"]) == (value.low, value.high)
