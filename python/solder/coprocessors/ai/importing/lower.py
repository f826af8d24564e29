"""From layers in float to an integer graph: one function for each kind of layer, here or in ``lower_products``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from solder.coprocessors.ai.importing.emit import BITS_TYPES, fixed_point
from solder.coprocessors.ai.importing.forms import Form, Function, Integer, View
from solder.coprocessors.ai.importing.layers import SEQUENCE, Layer
from solder.coprocessors.ai.importing.lower_products import lower_attention, lower_convolution, lower_linear
from solder.coprocessors.ai.importing.lower_softmax import emit_softmax
from solder.coprocessors.ai.importing.lower_trees import lower_trees
from solder.coprocessors.ai.importing.lowering import Lowering, static_shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from solder.coprocessors.ai.graph import Attribute

__all__ = ["lower_layers"]

LARGE_TABLE = 1 << 20
"""Elements from which an embedding is stored in 8 bits with a scale for each row."""

ROW_SCALE_LIMIT = 32_767
NORM_FRACTION_BITS = 12
NORM_GAIN_BITS = 15
MEAN_FRACTION_BITS = 8
UNIT_FRACTION_BITS = 14
DOMAIN_HEADROOM = 1.5
FLAT = 1e-4
"""A function this close to its value at an end of the domain, relative to its largest value, is flat there."""


def lower_layers(lowering: Lowering) -> None:
    """Emit everything that the layers need but the outputs' own forms.

    Raises:
        InputError: a layer has no integer form, by the name of its node.

    """
    _group_sums(lowering)
    for layer in lowering.layers.layers:
        HANDLERS[layer.kind](lowering, layer)


def _group_sums(lowering: Lowering) -> None:
    """Values that are added to each other share a scale (union by the smallest name of a group)."""
    roots = lowering.groups

    def root_of(name: str) -> str:
        while roots[name] != name:
            roots[name] = roots[roots[name]]  # halves the way for the next
            name = roots[name]
        return name

    for layer in lowering.layers.layers:
        if layer.kind not in {"add", "add_constant"}:
            continue
        members = [layer.output, *layer.inputs]
        for name in members:
            roots.setdefault(name, name)
        least = min(root_of(name) for name in members)
        for name in members:
            roots[root_of(name)] = least
    for name in roots:
        root = root_of(name)
        roots[name] = root
        lowering.group_reach[root] = max(lowering.group_reach.get(root, 0.0), lowering.ranges.largest(name))


def _same(lowering: Lowering, layer: Layer) -> None:
    name = layer.inputs[0]
    if name in lowering.indices:
        lowering.indices[layer.output] = lowering.indices[name]
        return
    lowering.recipes[layer.output] = lowering.recipes[name]
    if name in lowering.images:
        lowering.images.add(layer.output)


def _affine(lowering: Lowering, layer: Layer) -> None:
    name, settings = layer.inputs[0], layer.settings
    rank, axis = len(lowering.shape(name)), settings["axis"]
    image = rank == 4 and settings["scale"].size > 1 and axis == 1  # noqa: PLR2004
    if settings["scale"].size > 1 and not image and axis % rank != rank - 1:
        raise lowering.fail(layer, "one factor for each index of an axis that is not the last")
    if image and name not in lowering.images:
        form = lowering.given_form(name) or lowering.wide(name)
        base = Integer(lowering.image(name, form), np.array([form.scale]), np.zeros(1), form.reach, form.bits)
        if form.zero_point:
            raise lowering.fail(layer, "an image input with a zero point")
    else:
        base = lowering.integer(name)
    if image or name in lowering.images:
        lowering.images.add(layer.output)
    lowering.recipes[layer.output] = base.affine(settings["scale"], settings["offset"])


def _clip(lowering: Lowering, layer: Layer) -> None:
    name, low, high = layer.inputs[0], layer.settings["low"], layer.settings["high"]
    recipe = lowering.recipes[name]
    if isinstance(recipe, Function):
        inner = recipe.function
        recipe = Function(recipe.recipe, lambda x: np.clip(inner(x), low, high), recipe.low, recipe.high)
    else:
        recipe = (recipe if isinstance(recipe, Integer) else lowering.integer(name)).clip(low, high)
    if name in lowering.images:
        lowering.images.add(layer.output)
    lowering.recipes[layer.output] = recipe


def _function(lowering: Lowering, layer: Layer) -> None:
    name, function = layer.inputs[0], layer.settings["function"]
    low, high = (DOMAIN_HEADROOM * bound for bound in lowering.ranges.bounds[name])
    low, high = min(low, 0.0), max(high, 0.0)
    points = np.linspace(low, high, 8193)
    values = function(points)
    if not np.isfinite(values).all():
        raise lowering.fail(layer, f"the function is not finite on {low:g}..{high:g}")
    near = FLAT * float(np.abs(values).max() or 1.0)
    moving_left = np.flatnonzero(np.abs(values - values[0]) > near)
    moving_right = np.flatnonzero(np.abs(values - values[-1]) > near)
    if moving_left.size and moving_right.size:
        low, high = float(points[max(moving_left[0] - 1, 0)]), float(points[min(moving_right[-1] + 1, 8192)])
    recipe = lowering.recipes[name]
    argument = recipe if isinstance(recipe, Integer) else lowering.integer(name)
    if name in lowering.images:
        lowering.images.add(layer.output)
    lowering.recipes[layer.output] = Function(argument, function, low, high)


def _add(lowering: Lowering, layer: Layer) -> None:
    form = lowering.wide(layer.output)
    as_image = any(name in lowering.images for name in layer.inputs)
    get = lowering.image if as_image else lowering.plain
    operands = [get(name, form) for name in layer.inputs]
    # The operand with the batch axis goes first: a table by position may only stand second.
    if lowering.shape(layer.inputs[0])[:1] != ("batch",):
        operands.reverse()
    total = lowering.emitter.node("add", layer.output, operands, bits=16, minimum=form.minimum, maximum=form.maximum)
    if as_image:
        lowering.images.add(layer.output)
    _is_in(lowering, layer, total, form)


def _add_constant(lowering: Lowering, layer: Layer) -> None:
    """A constant for more than one axis (positions of a fixed length)."""
    form, name = lowering.wide(layer.output), layer.inputs[0]
    entries = form.encode(np.asarray(layer.settings["array"], np.float64)).astype(BITS_TYPES[form.bits])
    constant = lowering.emitter.tensor(f"{layer.output}.constant", entries)
    total = lowering.emitter.node(
        "add",
        layer.output,
        [lowering.plain(name, form), constant],
        bits=form.bits,
        minimum=form.minimum,
        maximum=form.maximum,
    )
    _is_in(lowering, layer, total, form)


def _multiply(lowering: Lowering, layer: Layer) -> None:
    forms = [lowering.wide(name) for name in layer.inputs]
    as_image = any(name in lowering.images for name in layer.inputs)
    get = lowering.image if as_image else lowering.plain
    operands = [get(name, form) for name, form in zip(layer.inputs, forms, strict=True)]
    product = lowering.emitter.node("mul", f"{layer.output}.product", operands)
    if as_image:
        lowering.images.add(layer.output)
    scale = np.array([forms[0].scale * forms[1].scale])
    lowering.recipes[layer.output] = Integer(product, scale, np.zeros(1), forms[0].reach * forms[1].reach)


def _is_in(lowering: Lowering, layer: Layer, value: str, form: Form) -> None:
    """``layer``'s output is ``value`` in ``form``, which has no zero point."""
    lowering.recipes[layer.output] = Integer(value, np.array([form.scale]), np.zeros(1), form.reach, form.bits)
    lowering.set_natural(layer.output, form)
    lowering.set_record(layer.output, value, form)


def _layer_norm(lowering: Lowering, layer: Layer) -> None:
    name, settings = layer.inputs[0], layer.settings
    source, form = lowering.wide(name), lowering.wide(layer.output)
    gain, bias = (np.asarray(settings[key], np.float64) for key in ("gain", "bias"))
    width = gain.size
    # out = (n * 2^-fraction * gain + bias) / scale, in integers with a common shift.
    factors = fixed_point(np.abs(gain) / form.scale / 2.0**NORM_FRACTION_BITS, NORM_GAIN_BITS)
    moved = bias / form.scale * 2.0**factors.shift
    largest = float(np.abs(moved).max(initial=0))
    bias_shift = max(0, int(np.ceil(np.log2(largest))) - 30) if largest > 0 else 0
    emitter = lowering.emitter
    operands = [
        lowering.plain(name, source),
        emitter.tensor(f"{layer.output}.gain", (np.sign(gain) * factors.multiplier).astype(np.int16)),
        emitter.tensor(f"{layer.output}.bias", np.round(moved / 2.0**bias_shift).astype(np.int32)),
    ]
    value = emitter.node(
        "layer_norm",
        layer.output,
        operands,
        epsilon=max(1, min(1 << 60, round(width**2 * settings["epsilon"] / source.scale**2))),
        fraction_bits=NORM_FRACTION_BITS,
        bias_shift=bias_shift,
        shift=factors.shift,
        minimum=form.minimum,
        maximum=form.maximum,
        bits=16,
    )
    _is_in(lowering, layer, value, form)


def _softmax(lowering: Lowering, layer: Layer) -> None:
    source = lowering.fine(layer.inputs[0])
    value, form = emit_softmax(lowering, layer.output, lowering.plain(layer.inputs[0], source), source)
    _is_in(lowering, layer, value, form)


def _embedding(lowering: Lowering, layer: Layer) -> None:
    table = np.asarray(layer.settings["table"], np.float64)
    ids = lowering.indices.get(layer.inputs[0])
    if ids is None:
        raise lowering.fail(layer, "rows are looked up by something that is no input of indices")
    emitter, output = lowering.emitter, layer.output
    if table.size <= LARGE_TABLE:
        lowering.recipes[output] = View(lambda form, wanted: _table(lowering, wanted, ids, table, form))
        return
    row_scale = np.abs(table).max(axis=1, keepdims=True) / 127
    unit = float(row_scale.max()) / ROW_SCALE_LIMIT or 1.0
    scale = np.maximum(np.round(row_scale / unit), 1)
    rows = np.clip(np.round(table / (scale * unit)), -127, 127).astype(np.int8)
    value = emitter.node("embedding", f"{output}.rows", [ids, emitter.tensor(f"{output}.table", rows)])
    scales = emitter.tensor(f"{output}.scales", scale.astype(np.int32))
    by_row = emitter.node("embedding", f"{output}.scale", [ids, scales])
    lowering.recipes[output] = Integer(
        value, np.array([unit]), np.zeros(1), 127, 8, rows=by_row, rows_reach=int(scale.max())
    )


def _table(lowering: Lowering, wanted: str, ids: str, table: NDArray[np.float64], form: Form) -> str:
    """Rows of a small table, stored in the form that was asked for."""
    entries = form.encode(table).astype(BITS_TYPES[form.bits])
    return lowering.emitter.node("embedding", wanted, [ids, lowering.emitter.tensor(f"{wanted}.table", entries)])


def _positions(lowering: Lowering, layer: Layer) -> None:
    """The first rows of a table, as many as the sequence is long."""
    shape = lowering.shape(layer.output)
    axis = layer.settings["axis"]
    if axis != len(shape) - 2 or any(size != 1 for size in shape[:axis]):
        raise lowering.fail(layer, f"a table by position of shape {list(shape)}")
    carrier = next((item for item in lowering.inputs if SEQUENCE in item.shape), None)
    if carrier is None:
        raise lowering.fail(layer, "a table by position, and no input has a sequence")
    table = lowering.position_table(layer.output).reshape(-1, int(shape[-1]))
    numbers = lowering.indices.setdefault(
        "positions",
        lowering.emitter.node("positions", "positions", [carrier.name], axis=carrier.shape.index(SEQUENCE)),
    )
    lowering.recipes[layer.output] = View(lambda form, wanted: _table(lowering, wanted, numbers, table, form))


def _view(lowering: Lowering, layer: Layer, operator: str, **attributes: Attribute) -> None:
    """A layer that is only another layout of its input, in whatever form."""
    name = layer.inputs[0]

    def emit(form: Form, wanted: str) -> str:
        return lowering.emitter.node(operator, wanted, [lowering.plain(name, form)], **attributes)

    lowering.recipes[layer.output] = View(emit)


def _reshape(lowering: Lowering, layer: Layer) -> None:
    target = static_shape(layer.settings["shape"], f"node {layer.node!r}")
    if layer.inputs[0] in lowering.indices:
        value = lowering.emitter.node("reshape", layer.output, [lowering.indices[layer.inputs[0]]], shape=target)
        lowering.indices[layer.output] = value
        return
    _view(lowering, layer, "reshape", shape=target)


def _transpose(lowering: Lowering, layer: Layer) -> None:
    _view(lowering, layer, "transpose", order=layer.settings["order"])


def _max_pool(lowering: Lowering, layer: Layer) -> None:
    name, settings = layer.inputs[0], layer.settings
    lowering.images.add(layer.output)

    def emit(form: Form, wanted: str) -> str:
        return lowering.emitter.node(
            "max_pool",
            wanted,
            [lowering.image(name, form)],
            window=tuple(settings["window"]),
            stride=tuple(settings["stride"]),
            padding=tuple(settings["padding"]),
        )

    lowering.recipes[layer.output] = View(emit)


def _average_pool(lowering: Lowering, layer: Layer) -> None:
    name, settings = layer.inputs[0], layer.settings
    form = lowering.wide(name)
    window = settings["window"]
    total = lowering.emitter.node(
        "sum_pool",
        f"{layer.output}.sum",
        [lowering.image(name, form)],
        window=tuple(window),
        stride=tuple(settings["stride"]),
        padding=tuple(settings["padding"]),
    )
    count = window[0] * window[1]
    if form.reach * count >= 1 << 31:
        raise lowering.fail(layer, f"a sum over {count} numbers of 16 bits is beyond 32 bits")
    pooled = settings.get("shape")
    if pooled is not None and len(pooled) == 2:  # noqa: PLR2004
        total = lowering.emitter.node("reshape", f"{layer.output}.flat", [total], shape=pooled)
    else:
        lowering.images.add(layer.output)
    scale = np.array([form.scale / count])
    lowering.recipes[layer.output] = Integer(total, scale, np.zeros(1), form.reach * count)


def _mean_pool(lowering: Lowering, layer: Layer) -> None:
    name = layer.inputs[0]
    form = lowering.wide(name)
    operands = [lowering.plain(name, form), *(lowering.indices[mask] for mask in layer.inputs[1:])]
    value = lowering.emitter.node("mean_pool", layer.output, operands, fraction_bits=MEAN_FRACTION_BITS, bits=32)
    reach = form.reach << MEAN_FRACTION_BITS
    _is_in(lowering, layer, value, Form(32, form.scale / 2**MEAN_FRACTION_BITS, 0, -reach, reach))


def _normalise(lowering: Lowering, layer: Layer) -> None:
    name = layer.inputs[0]
    value = lowering.emitter.node(
        "l2_normalise",
        layer.output,
        [lowering.plain(name, lowering.wide(name))],
        fraction_bits=UNIT_FRACTION_BITS,
        bits=16,
    )
    one = 1 << UNIT_FRACTION_BITS
    _is_in(lowering, layer, value, Form(16, 2.0**-UNIT_FRACTION_BITS, 0, -one, one))


def _argmax(lowering: Lowering, layer: Layer) -> None:
    """The index of the largest; of a softmax, of what goes into it: the order is the same, and finer."""
    name = layer.inputs[0]
    for _ in range(len(lowering.makers)):
        made = lowering.makers.get(name)
        if made is None or made.kind not in {"softmax", "same"}:
            break
        name = made.inputs[0]
    value = lowering.emitter.node("argmax", f"{layer.output}.index", [lowering.plain(name, lowering.fine(name))])
    if layer.settings["keeps"]:
        shape = static_shape(layer.settings["shape"], f"node {layer.node!r}")
        value = lowering.emitter.node("reshape", layer.output, [value], shape=shape)
    lowering.indices[layer.output] = value


def _concatenate(lowering: Lowering, layer: Layer) -> None:
    names = layer.inputs
    axis = layer.settings["axis"]

    def emit(form: Form, wanted: str) -> str:
        operands = [lowering.plain(name, form) for name in names]
        return lowering.emitter.node("concatenate", wanted, operands, axis=axis)

    lowering.recipes[layer.output] = View(emit)


def _first(lowering: Lowering, layer: Layer) -> None:
    name = layer.inputs[0]
    shape = static_shape(lowering.shape(layer.output), f"node {layer.node!r}")

    def emit(form: Form, wanted: str) -> str:
        source = lowering.plain(name, form)
        row = lowering.emitter.node("slice", f"{wanted}.row", [source], axis=1, start=0, length=1)
        return lowering.emitter.node("reshape", wanted, [row], shape=shape)

    lowering.recipes[layer.output] = View(emit)


HANDLERS: dict[str, Callable[[Lowering, Layer], None]] = {
    "same": _same,
    "affine": _affine,
    "clip": _clip,
    "function": _function,
    "add": _add,
    "add_constant": _add_constant,
    "multiply": _multiply,
    "linear": lower_linear,
    "convolution": lower_convolution,
    "attention": lower_attention,
    "layer_norm": _layer_norm,
    "softmax": _softmax,
    "embedding": _embedding,
    "positions": _positions,
    "reshape": _reshape,
    "transpose": _transpose,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "mean_pool": _mean_pool,
    "normalise": _normalise,
    "argmax": _argmax,
    "concatenate": _concatenate,
    "first": _first,
    "trees": lower_trees,
}
