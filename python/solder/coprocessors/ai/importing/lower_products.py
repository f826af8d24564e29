"""Products in integers: linear, convolution, attention.

Weights are int8 with one scale for each output channel. Activations are int8 with a calibrated scale for the whole
value ("static"), or int8 with a scale for each row that the graph itself finds ("rows"): transformers need it, and a
batch changes nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from solder.coprocessors.ai.importing.emit import fixed_point
from solder.coprocessors.ai.importing.forms import ROW_UNITS, Form, Integer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from solder.coprocessors.ai.importing.layers import Layer
    from solder.coprocessors.ai.importing.lowering import Lowering

__all__ = ["lower_attention", "lower_convolution", "lower_linear"]

ACCUMULATOR = (1 << 31) - 1
BIAS_ROOM = 1 << 29
WEIGHT_LIMIT = 127
EXPONENT_STEP = 1 / 64
"""Step of the table of exp in attention, in units of the score."""

WEIGHT_ONE = 127
CONTEXT_FRACTION_BITS = 8


def _quantise(
    weight: NDArray[np.float64], bias: NDArray[np.float64] | None, scale: float
) -> tuple[NDArray[np.int8], NDArray[np.float64], NDArray[np.int64]]:
    """``weight`` [outputs, ...] as (int8, scale of each output, bias in units of the accumulators).

    ``scale`` is the activation's; 0 says that it varies by row and that the bias is added later.
    """
    flat = np.abs(weight.reshape(weight.shape[0], -1)).max(axis=1)
    scales = np.where(flat > 0, flat / WEIGHT_LIMIT, 1.0)
    if bias is None or scale == 0:
        integers = np.round(weight / scales.reshape(-1, *[1] * (weight.ndim - 1)))
        return integers.astype(np.int8), scales, np.zeros(weight.shape[0], np.int64)
    # A bias that is huge beside its weights widens the scale until it fits; without weights it is the scale.
    room = np.abs(bias) / (scale * BIAS_ROOM)
    scales = np.where((flat == 0) & (room > 0), room, np.maximum(scales, room))
    integers = np.round(weight / scales.reshape(-1, *[1] * (weight.ndim - 1)))
    return integers.astype(np.int8), scales, np.round(bias / (scale * scales)).astype(np.int64)


def _bound(
    lowering: Lowering, layer: Layer, weight: NDArray[np.int8], bias: NDArray[np.int64] | None, reach: int
) -> int:
    """The proven largest accumulator; an error where it leaves 32 bits."""
    sums = np.abs(weight.reshape(weight.shape[0], -1).astype(np.int64)).sum(axis=1) * reach
    largest = int((sums if bias is None else sums + np.abs(bias)).max())
    if largest > ACCUMULATOR:
        raise lowering.fail(layer, f"a sum of products can reach {largest:,}, beyond 32 bits")
    return largest


def lower_linear(lowering: Lowering, layer: Layer) -> None:
    """X * weight + bias."""
    name = layer.inputs[0]
    weight = np.asarray(layer.settings["weight"], np.float64).T
    bias = layer.settings["bias"]
    bias = None if bias is None else np.asarray(bias, np.float64)
    if weight.shape[1] != lowering.shape(name)[-1]:
        raise lowering.fail(layer, f"weights for {weight.shape[1]} inputs, the value has {lowering.shape(name)[-1]}")
    emitter = lowering.emitter
    if lowering.by_rows:
        form = lowering.wide(name)
        value = lowering.plain(name, form)
        rows, row_scale = lowering.rows(name, value, form)
        integers, scales, _ = _quantise(weight, bias, 0)
        operands = [rows, emitter.tensor(f"{layer.output}.weight", integers)]
        product = emitter.node("linear", f"{layer.output}.product", operands)
        lowering.recipes[layer.output] = Integer(
            product,
            form.scale / ROW_UNITS * scales,
            np.zeros(1) if bias is None else bias,
            _bound(lowering, layer, integers, None, ROW_UNITS),
            rows=row_scale,
            rows_reach=form.reach,
        )
        return
    form = lowering.byte(name, symmetric=False)
    form = lowering.given_form(name) or form
    value, weight = _flat_input(lowering, name, form, weight)
    integers, scales, whole = _quantise(weight, np.zeros(weight.shape[0]) if bias is None else bias, form.scale)
    whole = whole - form.zero_point * integers.astype(np.int64).sum(axis=1)
    reach = _bound(lowering, layer, integers, whole, form.reach)
    operands = [value, emitter.tensor(f"{layer.output}.weight", integers)]
    if whole.any():
        operands.append(emitter.tensor(f"{layer.output}.bias", whole.astype(np.int32)))
    product = emitter.node("linear", f"{layer.output}.product", operands)
    lowering.recipes[layer.output] = Integer(product, form.scale * scales, np.zeros(1), reach)


def _flat_input(
    lowering: Lowering, name: str, form: Form, weight: NDArray[np.float64]
) -> tuple[str, NDArray[np.float64]]:
    """The input of a linear layer; of a flattened image it stays an image, and the weights' columns are reordered."""
    made = lowering.makers.get(name)
    if made is None or made.kind != "reshape" or made.inputs[0] not in lowering.images:
        return lowering.plain(name, form), weight
    shape = lowering.shape(made.inputs[0])
    if not all(isinstance(axis, int) for axis in shape[1:]) or lowering.shape(name)[1:] != (math.prod(shape[1:]),):
        return lowering.plain(name, form), weight
    image = lowering.image(made.inputs[0], form)
    channels, height, width = shape[1:]
    flat = lowering.emitter.node("reshape", f"{name}.flat", [image], shape=(shape[0], math.prod(shape[1:])))
    turned = weight.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(weight.shape)
    return flat, turned


def lower_convolution(lowering: Lowering, layer: Layer) -> None:
    """A convolution over images; padding stands for 0, so it is the zero point."""
    name, settings = layer.inputs[0], layer.settings
    weight = np.asarray(settings["weight"], np.float64).transpose(0, 2, 3, 1)
    bias = settings["bias"]
    bias = np.zeros(weight.shape[0]) if bias is None else np.asarray(bias, np.float64)
    form = lowering.given_form(name) or lowering.byte(name, symmetric=False)
    value = lowering.image(name, form)
    integers, scales, whole = _quantise(weight, bias, form.scale)
    whole = whole - form.zero_point * integers.astype(np.int64).reshape(weight.shape[0], -1).sum(axis=1)
    emitter = lowering.emitter
    operands = [value, emitter.tensor(f"{layer.output}.weight", integers)]
    if whole.any():
        operands.append(emitter.tensor(f"{layer.output}.bias", whole.astype(np.int32)))
    product = emitter.node(
        "convolution",
        f"{layer.output}.product",
        operands,
        stride=tuple(settings["stride"]),
        padding=tuple(settings["padding"]),
        dilation=tuple(settings["dilation"]),
        groups=settings["groups"],
        padding_value=form.zero_point,
    )
    reach = _bound(lowering, layer, integers, whole, max(form.reach, abs(form.zero_point)))
    lowering.images.add(layer.output)
    lowering.recipes[layer.output] = Integer(product, form.scale * scales, np.zeros(1), reach)


def lower_attention(lowering: Lowering, layer: Layer) -> None:
    """Softmax of the scores in 7 bits relative to the largest of a row, times the values."""
    query, key, value = layer.inputs[:3]
    forms = [lowering.byte(name, symmetric=True) for name in (query, key, value)]
    emitter = lowering.emitter
    operands = [lowering.plain(name, form) for name, form in zip((query, key, value), forms, strict=True)]
    steps = math.ceil(math.log(2 * WEIGHT_ONE) / EXPONENT_STEP) + 2
    table = np.floor(WEIGHT_ONE * np.exp(-EXPONENT_STEP * np.arange(steps)) + 0.5).astype(np.int8)
    operands.append(emitter.tensor("attention.exponential", table))
    if len(layer.inputs) > 3:  # noqa: PLR2004
        operands.append(lowering.indices[layer.inputs[3]])
    scale = layer.settings["scale"] * forms[0].scale * forms[1].scale
    if scale <= 0:
        raise lowering.fail(layer, "a scale of the scores that is not positive")
    factor = fixed_point(np.array([scale / EXPONENT_STEP]))
    context = emitter.node(
        "attention",
        f"{layer.output}.mixed",
        operands,
        heads=layer.settings["heads"],
        multiplier=int(factor.multiplier[0]),
        shift=factor.shift,
        causal=int(layer.settings["causal"]),
        fraction_bits=CONTEXT_FRACTION_BITS,
        bits=16,
    )
    form = Form(16, forms[2].scale / 2**CONTEXT_FRACTION_BITS, 0, -WEIGHT_LIMIT << 8, WEIGHT_LIMIT << 8)
    lowering.recipes[layer.output] = Integer(context, np.array([form.scale]), np.zeros(1), form.reach, 16)
    lowering.set_natural(layer.output, form)
    lowering.set_record(layer.output, context, form)
