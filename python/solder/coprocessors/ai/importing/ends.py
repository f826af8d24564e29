"""Inputs and outputs of the integer graph: what each input is (ids, mask, features), and each output's coding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.graph import Coding, Input, Output
from solder.coprocessors.ai.importing.forms import Form, Function, Integer, View
from solder.coprocessors.ai.importing.lowering import HEADROOM, Lowering, exact_scale, static_shape
from solder.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from solder.coprocessors.ai.importing.calibrate import Ranges
    from solder.coprocessors.ai.importing.layers import Layer
    from solder.coprocessors.ai.importing.read import SourceGraph, SourceValue

__all__ = ["add_inputs", "add_outputs", "find_masks", "merge_ranges", "name_axes", "name_outputs"]

FEATURE_LIMIT = 1 << 28
INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1
LARGEST_FLOAT = 0x7F800000
"""The code of infinity."""

VIEWS = {"same", "reshape", "transpose", "max_pool"}
PRODUCTS = {"linear", "convolution"}
BYTE = Form(8, 1.0, 0, -128, 127)
MASK_PLACE = {"attention": 3, "mean_pool": 1}
"""Which operand of a layer is its mask."""


def name_axes(graph: SourceGraph) -> tuple[SourceValue, ...]:
    """The inputs with axis 0 called "batch" and the other size that varies, if there is one, "sequence".

    Raises:
        InputError: an input has no axes, a fixed batch other than 1, or several sizes that vary.

    """
    named = []
    varying: set[str] = set()
    for value in graph.inputs:
        where = f"input {value.name!r}"
        if not value.shape:
            raise InputError("has no axes; the first must be the batch", graph.path, where)
        if isinstance(value.shape[0], int) and value.shape[0] != 1:
            raise InputError(f"a batch that is fixed at {value.shape[0]}", graph.path, where)
        others = [size for size in value.shape[1:] if isinstance(size, str)]
        if len(others) > 1:
            raise InputError(f"several axes that vary ({others})", graph.path, where)
        varying |= set(filter(None, others))
        sizes = ("sequence" if isinstance(size, str) else size for size in value.shape[1:])
        named.append(replace(value, shape=("batch", *sizes)))
    if len(varying) > 1:
        raise InputError(f"several axes that vary ({', '.join(sorted(varying))})", graph.path, "inputs")
    return tuple(named)


def find_masks(graph: SourceGraph, feeds: dict[str, NDArray[Any]]) -> set[str]:
    """Inputs [batch, sequence] of zeros and ones by which nothing is looked up."""
    looked_up = set()
    alias: dict[str, str] = {}
    for node in graph.nodes:
        inputs = [alias.get(name, name) for name in node.inputs]
        if node.operator in {"Cast", "Identity", "Reshape"} and inputs:
            alias[node.outputs[0]] = inputs[0]
        if node.operator == "Gather" and len(inputs) > 1:
            looked_up.add(inputs[1])
    return {
        value.name
        for value in graph.inputs
        if value.shape == ("batch", "sequence")
        and value.name not in looked_up
        and set(np.unique(feeds[value.name]).tolist()) <= {0, 1}
    }


def _users(lowering: Lowering, name: str) -> list[tuple[Layer, int]]:
    """The layers that read ``name``, through changes of layout, and at which place."""
    readers: dict[str, list[tuple[Layer, int]]] = {}
    for layer in lowering.layers.layers:
        for place, operand in enumerate(layer.inputs):
            readers.setdefault(operand, []).append((layer, place))
    found: list[tuple[Layer, int]] = []
    left, seen = [name], set()
    while left:
        value = left.pop()
        if value in seen:
            continue
        seen.add(value)
        for layer, place in readers.get(value, []):
            if layer.kind in VIEWS:
                left.append(layer.output)
            else:
                found.append((layer, place))
    return found


def add_inputs(lowering: Lowering, values: tuple[SourceValue, ...]) -> None:
    """An input of the integer graph for each input of the float model that anybody reads."""
    for value in values:
        users = _users(lowering, value.name)
        if not users:
            continue
        name = lowering.emitter.name(value.name)
        lowering.input_names[name] = value.name
        kinds = {_use(layer, place) for layer, place in users}
        if len(kinds) > 1:
            raise InputError(f"is used as {' and as '.join(sorted(kinds))}", lowering.source.graph.path, value.name)
        kind = kinds.pop()
        shape = static_shape(value.shape, value.name)
        if kind == "numbers":
            lowering.inputs.append(_numbers(lowering, value, name, users))
            continue
        bits, low, high, coding = 8, 0, 1, Coding()
        if kind == "ids":
            bits, high = 32, min(layer.settings["table"].shape[0] for layer, _ in users) - 1
        elif kind == "features":
            bits, low, high = 32, INT32_MIN, LARGEST_FLOAT
            coding = Coding("float32_order")
        lowering.inputs.append(Input(name, bits, shape, low, high, coding))
        lowering.indices[value.name] = name


def _use(layer: Layer, place: int) -> str:
    if layer.kind == "embedding":
        return "ids"
    if layer.kind == "trees":
        return "features"
    return "mask" if MASK_PLACE.get(layer.kind) == place else "numbers"


def _numbers(lowering: Lowering, value: SourceValue, name: str, users: list[tuple[Layer, int]]) -> Input:
    """An input of real numbers (or whole ones, which stay what they are) in fixed point."""
    low, high = lowering.ranges.bounds[value.name]
    only_products = not lowering.by_rows and all(layer.kind in PRODUCTS for layer, _ in users)
    shape = static_shape(value.shape, value.name)
    if value.dtype not in {"float32", "float64", "float16"}:
        small = only_products and low >= BYTE.minimum and high <= BYTE.maximum
        form = BYTE if small else Form(32, 1.0, 0, -FEATURE_LIMIT, FEATURE_LIMIT)
        multiplier, shift = 1, 0
    else:
        largest = lowering.ranges.largest(value.name)
        if only_products:
            bits, limit = 8, 127
        elif lowering.by_rows:
            bits, limit, largest = 16, 32_767, HEADROOM * largest
        else:
            bits, limit, largest = 32, FEATURE_LIMIT, 4 * largest
        scale, multiplier, shift = exact_scale(largest / limit, value.name)
        form = Form(bits, scale, 0, -limit, limit)
    if only_products and form.bits == BYTE.bits:
        lowering.given[value.name] = form
    lowering.recipes[value.name] = Integer(name, np.array([form.scale]), np.zeros(1), form.reach, form.bits)
    lowering.set_natural(value.name, form)
    return Input(name, form.bits, shape, form.minimum, form.maximum, Coding("fixed", multiplier, shift))


def add_outputs(lowering: Lowering, names: tuple[str, ...]) -> list[Output]:
    """An output for each of the float model's: an index as it is, a number in fixed point."""
    outputs = []
    lowering.ends = names
    for name in names:
        if name in lowering.indices:
            outputs.append(Output(lowering.indices[name]))
            continue
        value, form = _output_value(lowering, name)
        lowering.output_names[name] = value
        _, multiplier, shift = exact_scale(form.scale, name)
        if all(output.name != value for output in outputs):
            outputs.append(Output(value, Coding("fixed", multiplier, shift)))
    return outputs


def _output_value(lowering: Lowering, name: str) -> tuple[str, Form]:
    """The value in a form whose scale a coding can say exactly."""
    natural = lowering.natural.get(name)
    recipe = lowering.recipes[name]
    if natural is not None and natural.zero_point == 0 and exact_scale(natural.scale, name)[0] == natural.scale:
        form = natural
    elif isinstance(recipe, Function | View):
        scale, _, _ = exact_scale(lowering.wide(name).scale, name)
        form = Form(16, scale, 0, -32_767, 32_767)
    else:
        form = lowering.fine(name)
    return lowering.plain(name, form), form


def name_outputs(lowering: Lowering, outputs: list[Output]) -> list[Output]:
    """The outputs under the names that the source has for them; whoever had such a name gets another."""
    sources = {
        lowering.output_names.get(name, lowering.indices.get(name, "")): name for name in reversed(lowering.ends)
    }
    turn: dict[str, str] = {}
    given = set(lowering.input_names)
    for output in outputs:
        wanted = lowering.emitter.clean(sources[output.name])
        if wanted == output.name or wanted in given or wanted in turn.values():
            continue
        turn[output.name] = wanted
        if wanted in lowering.emitter.tensors or any(wanted in node.outputs for node in lowering.emitter.nodes):
            turn.setdefault(wanted, lowering.emitter.name(f"{wanted}.inner"))
    lowering.rename(turn)
    return [replace(output, name=turn.get(output.name, output.name)) for output in outputs]


def merge_ranges(ranges: Ranges, layers: tuple[Layer, ...]) -> Ranges:
    """With a range for each layer that the float run did not show (indices)."""
    bounds = dict(ranges.bounds)
    for layer in layers:
        bounds.setdefault(layer.output, (0.0, 1.0))
    return replace(ranges, bounds=bounds)
