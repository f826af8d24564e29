"""From the checked source graph to layers: backwards from the outputs; what nobody needs is not looked at.

A layer that is not known is an error that names the node. Patterns of several nodes are in ``patterns``, activations
in ``functions``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.importing import patterns
from solder.coprocessors.ai.importing.functions import find_region
from solder.coprocessors.ai.importing.layers import BATCH, SEQUENCE, Layer, Layers, Source
from solder.coprocessors.ai.importing.tree_features import scaling_steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from solder.coprocessors.ai.importing.float_run import Symbolic
    from solder.coprocessors.ai.importing.read import SourceNode

__all__ = ["recognise"]

MAX_LAYERS = 20_000
IMAGE_RANK = 4
VIEWS = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"}


def recognise(source: Source, outputs: tuple[str, ...]) -> Layers:
    """The layers that make ``outputs``.

    Raises:
        InputError: a node is of a kind that has no integer form, by name.

    """
    given = {value.name for value in source.graph.inputs}
    found: dict[str, Layer] = {}
    constants = {}
    left = list(outputs)
    while left:
        name = left.pop()
        if name in found or name in given or name in constants:
            continue
        array = source.constant(name)
        if array is not None:
            constants[name] = array
            continue
        layer = _layer(source, name)
        found[name] = layer
        if len(found) > MAX_LAYERS:
            raise source.fail(source.maker[name], f"more than {MAX_LAYERS} layers")
        left.extend(layer.inputs)
    layers = sorted(found.values(), key=lambda layer: source.order[layer.output])
    return Layers(tuple(layers), {name: source.shape(name) for name in [*found, *given]}, constants)


def _layer(source: Source, name: str) -> Layer:
    node = source.maker[name]
    if not source.depends(name):
        return _prefix(source, name, node)
    for pattern in (
        patterns.attention,
        patterns.layer_norm,
        patterns.mean_pool,
        patterns.normalise,
        _product,
        _function,
    ):
        layer = pattern(source, name)
        if layer is not None:
            return layer
    if node.operator in VIEWS:
        return Layer("reshape", node.name, (node.inputs[0],), name, {"shape": source.shape(name)})
    handler = HANDLERS.get(node.operator)
    if handler is None:
        raise source.fail(node, "this operator is not supported")
    return handler(source, name, node)


def _prefix(source: Source, name: str, node: SourceNode) -> Layer:
    """A value that only the length of the sequence decides: the first rows of a table (positions)."""
    shape = source.shape(name)
    first, second = source.probe.first[name], source.probe.values[name]
    axes = [axis for axis, size in enumerate(shape) if size == SEQUENCE]
    fixed = all(isinstance(size, int) for axis, size in enumerate(shape) if axis not in axes)
    if len(axes) != 1 or not fixed or first.dtype.kind != "f":
        raise source.fail(node, "a value that depends on sizes alone, and is no table by position")
    if not np.array_equal(first, np.take(second, range(first.shape[axes[0]]), axis=axes[0])):
        raise source.fail(node, "a table by position whose rows change with the length of the sequence")
    return Layer("positions", node.name, (), name, {"axis": axes[0]})


def _function(source: Source, name: str) -> Layer | None:
    region = find_region(source, name)
    if region is None:
        return None
    node = source.maker[name]
    bounds = region.clip_bounds()
    if bounds is not None:
        return Layer("clip", node.name, (region.variable,), name, {"low": bounds[0], "high": bounds[1]})
    line = region.slope_and_offset()
    if line is not None:
        settings = {"scale": np.array([line[0]]), "offset": np.array([line[1]]), "axis": -1}
        return Layer("affine", node.name, (region.variable,), name, settings)
    return Layer("function", node.name, (region.variable,), name, {"function": region})


def _product(source: Source, name: str) -> Layer | None:
    """A product with constant weights, together with the bias and the batch norm that follow it."""
    node = source.maker[name]
    if node.operator == "BatchNormalization":
        return _batch_norm(source, name, node)
    if node.operator == "Add":
        found = source.operands(node)
        inner = found and source.node_of(found[0], "MatMul")
        product = inner and _matmul(source, inner.outputs[0], inner)
        if product and found and found[1].size in (1, product.settings["weight"].shape[1]):
            width = product.settings["weight"].shape[1]
            bias = np.broadcast_to(found[1].reshape(-1), (width,)).astype(np.float64)
            return Layer("linear", product.node, product.inputs, name, {**product.settings, "bias": bias})
        return None
    if node.operator == "MatMul":
        return _matmul(source, name, node)
    if node.operator == "Gemm":
        return _gemm(source, name, node)
    return _convolution(source, name, node) if node.operator == "Conv" else None


def _matmul(source: Source, name: str, node: SourceNode) -> Layer | None:
    weight = source.constant(node.inputs[1])
    if weight is None or source.constant(node.inputs[0]) is not None:
        return None
    if weight.ndim != 2:  # noqa: PLR2004
        raise source.fail(node, f"weights of shape {list(weight.shape)} are no matrix")
    return Layer("linear", node.name, (source.plain(node.inputs[0]),), name, {"weight": weight, "bias": None})


def _gemm(source: Source, name: str, node: SourceNode) -> Layer:
    weight = source.constant(node.inputs[1])
    bias = source.constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None  # noqa: PLR2004
    if weight is None or weight.ndim != 2 or node.attributes.get("transA", 0):  # noqa: PLR2004
        raise source.fail(node, "only x * constant + constant is supported")
    weight = (weight.T if node.attributes.get("transB", 0) else weight) * np.float32(node.attributes.get("alpha", 1.0))
    if bias is not None:
        if bias.size not in (1, weight.shape[1]):
            raise source.fail(node, "the bias is not one number for each output")
        bias = np.broadcast_to(bias.reshape(-1), (weight.shape[1],)) * float(node.attributes.get("beta", 1.0))
    elif len(node.inputs) > 2 and node.inputs[2]:  # noqa: PLR2004
        raise source.fail(node, "the bias is not constant")
    return Layer("linear", node.name, (source.plain(node.inputs[0]),), name, {"weight": weight, "bias": bias})


def _convolution(source: Source, name: str, node: SourceNode) -> Layer:
    weight = source.constant(node.inputs[1])
    bias = source.constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None  # noqa: PLR2004
    if weight is None or weight.ndim != IMAGE_RANK:
        raise source.fail(node, "only images [batch, channels, height, width] with constant weights are supported")
    settings = _window(source, node, weight.shape[2:])
    settings |= {"weight": weight, "bias": bias, "groups": int(node.attributes.get("group", 1))}
    return Layer("convolution", node.name, (source.plain(node.inputs[0]),), name, settings)


def _window(source: Source, node: SourceNode, window: tuple[int, ...]) -> dict[str, Any]:
    """Stride, padding [top, left, bottom, right] and dilation of a convolution or pool."""
    attributes = node.attributes
    stride, dilation = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    padding = list(attributes.get("pads", [0, 0, 0, 0]))
    automatic = attributes.get("auto_pad", "NOTSET")
    if automatic in {"SAME_UPPER", "SAME_LOWER"}:
        sizes = source.shape(node.inputs[0])[2:]
        padding = [0, 0, 0, 0]
        for axis, (size, reach) in enumerate(zip(sizes, window, strict=True)):
            if not isinstance(size, int):
                raise source.fail(node, "automatic padding of a size that varies")
            span = dilation[axis] * (reach - 1) + 1
            total = max((-(-size // stride[axis]) - 1) * stride[axis] + span - size, 0)
            padding[axis] = total // 2 if automatic == "SAME_UPPER" else total - total // 2
            padding[axis + 2] = total - padding[axis]
    elif automatic not in {"NOTSET", "VALID"}:
        raise source.fail(node, f"auto_pad {automatic!r} is not supported")
    return {"stride": list(stride), "padding": padding, "dilation": list(dilation), "window": list(window)}


def _batch_norm(source: Source, name: str, node: SourceNode) -> Layer:
    parts = [source.constant(part) for part in node.inputs[1:5]]
    if len(parts) != 4 or any(part is None for part in parts):  # noqa: PLR2004
        raise source.fail(node, "its statistics are not constant")
    gain, bias, mean, variance = (np.asarray(part, np.float64) for part in parts)
    factor = gain / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    offset = bias - mean * factor
    inner = source.node_of(node.inputs[0], "Conv")
    if inner is not None:
        layer = _convolution(source, inner.outputs[0], inner)
        weight = layer.settings["weight"] * factor[:, None, None, None]
        before = 0.0 if layer.settings["bias"] is None else layer.settings["bias"]
        settings = {**layer.settings, "weight": weight, "bias": before * factor + offset}
        return Layer("convolution", layer.node, layer.inputs, name, settings)
    return Layer("affine", node.name, (node.inputs[0],), name, {"scale": factor, "offset": offset, "axis": 1})


def _elementwise(source: Source, name: str, node: SourceNode) -> Layer:
    """add, sub, mul, div with a constant for each channel; add and mul of two values."""
    found = source.operands(node)
    if found is None:
        kinds = {"Add": "add", "Mul": "multiply"}
        if node.operator not in kinds:
            raise source.fail(node, "this operator with two varying operands is not supported")
        return Layer(kinds[node.operator], node.name, tuple(map(source.plain, node.inputs)), name)
    value, array = found
    shape = source.shape(value)
    padded = (1,) * (len(shape) - array.ndim) + array.shape
    wide = [axis for axis, size in enumerate(padded) if size != 1]
    fits = len(padded) == len(shape) and all(size in (1, given) for size, given in zip(padded, shape, strict=True))
    if node.operator == "Add" and fits and len(wide) > 1 and shape[0] == BATCH:
        return Layer("add_constant", node.name, (source.plain(value),), name, {"array": array.reshape(padded)})
    if len(padded) != len(shape) or len(wide) > 1 or (wide and padded[wide[0]] != shape[wide[0]]):
        raise source.fail(node, f"a constant of shape {list(array.shape)} where {list(shape)} is given")
    flat = array.reshape(-1).astype(np.float64)
    one, zero = np.ones_like(flat), np.zeros_like(flat)
    if node.operator in {"Sub", "Div"} and value != node.inputs[0]:
        if node.operator == "Div":
            raise source.fail(node, "a constant divided by a value is not supported")
        scale, offset = -one, flat
    else:
        scale = {"Mul": flat, "Div": 1 / np.where(flat == 0, np.nan, flat)}.get(node.operator, one)
        offset = {"Add": flat, "Sub": -flat}.get(node.operator, zero)
        if not np.isfinite(scale).all():
            raise source.fail(node, "a division by 0")
    axis = wide[0] if wide else -1
    return Layer("affine", node.name, (source.plain(value),), name, {"scale": scale, "offset": offset, "axis": axis})


def _gather(source: Source, name: str, node: SourceNode) -> Layer:
    table, index = source.constant(node.inputs[0]), source.constant(node.inputs[1])
    axis = node.attributes.get("axis", 0)
    if table is not None and index is None:
        if axis != 0 or table.ndim != 2:  # noqa: PLR2004
            raise source.fail(node, "only rows of a matrix can be looked up")
        ids = node.inputs[1]
        cast = source.node_of(ids, "Cast")
        return Layer("embedding", node.name, (cast.inputs[0] if cast else ids,), name, {"table": table})
    shape = source.shape(node.inputs[0])
    if index is not None and index.size == 1 and axis == 1 and shape[:2] == (BATCH, SEQUENCE) and not index.any():
        return Layer("first", node.name, (source.plain(node.inputs[0]),), name)
    raise source.fail(node, "only looking up rows, and taking the first position, are supported")


def _softmax(source: Source, name: str, node: SourceNode) -> Layer:
    rank = len(source.shape(name))
    if node.attributes.get("axis", -1) not in (-1, rank - 1):
        raise source.fail(node, "only the last axis is supported")
    return Layer("softmax", node.name, (source.plain(node.inputs[0]),), name)


def _max_pool(source: Source, name: str, node: SourceNode) -> Layer:
    return _pool(source, name, node, "max_pool")


def _average_pool(source: Source, name: str, node: SourceNode) -> Layer:
    layer = _pool(source, name, node, "average_pool")
    if any(layer.settings["padding"]) and not node.attributes.get("count_include_pad", 0):
        raise source.fail(node, "an average that leaves padding out is not supported")
    return layer


def _pool(source: Source, name: str, node: SourceNode, kind: str) -> Layer:
    window = tuple(node.attributes.get("kernel_shape", ()))
    if len(window) != 2 or len(node.outputs) > 1 or node.attributes.get("ceil_mode", 0):  # noqa: PLR2004
        raise source.fail(node, "only windows of two axes, without ceil_mode and indices, are supported")
    settings = _window(source, node, window)
    if settings["dilation"] != [1, 1]:
        raise source.fail(node, "dilation is not supported")
    return Layer(kind, node.name, (source.plain(node.inputs[0]),), name, settings)


def _whole_image(source: Source, name: str, node: SourceNode) -> Layer:
    """GlobalAveragePool, or ReduceMean over height and width."""
    shape = source.shape(node.inputs[0])
    axes = (2, 3) if node.operator == "GlobalAveragePool" else tuple(sorted(source.axes(node)))
    if len(shape) != IMAGE_RANK or axes != (2, 3) or not all(isinstance(size, int) for size in shape[2:]):
        raise source.fail(node, "only means over a whole image or over the sequence are supported")
    window = [int(str(size)) for size in shape[2:]]
    settings = {"stride": [1, 1], "padding": [0, 0, 0, 0], "window": window, "shape": source.shape(name)}
    return Layer("average_pool", node.name, (source.plain(node.inputs[0]),), name, settings)


def _transpose(source: Source, name: str, node: SourceNode) -> Layer:
    order = tuple(node.attributes.get("perm", ()))
    if sorted(order) != list(range(len(source.shape(name)))) or order[0] != 0:
        raise source.fail(node, "the batch axis cannot be moved")
    return Layer("transpose", node.name, (node.inputs[0],), name, {"order": order})


def _argmax(source: Source, name: str, node: SourceNode) -> Layer:
    rank = len(source.shape(node.inputs[0]))
    if node.attributes.get("axis", 0) not in (-1, rank - 1) or node.attributes.get("select_last_index", 0):
        raise source.fail(node, "only the lowest index along the last axis is supported")
    keeps = bool(node.attributes.get("keepdims", 1))
    return Layer("argmax", node.name, (node.inputs[0],), name, {"keeps": keeps, "shape": source.shape(name)})


def _concat(source: Source, name: str, node: SourceNode) -> Layer:
    rank: Symbolic = source.shape(name)
    axis = node.attributes.get("axis", 0) % len(rank)
    if axis == 0 or not isinstance(rank[axis], int):
        raise source.fail(node, "only axes of a fixed size can be joined")
    return Layer("concatenate", node.name, tuple(map(source.plain, node.inputs)), name, {"axis": axis})


def _trees(source: Source, name: str, node: SourceNode) -> Layer:
    """Both outputs of an ensemble; a scaler before it is taken into the thresholds."""
    features, steps = scaling_steps(source, node.inputs[0], node)
    is_class = node.operator == "TreeEnsembleClassifier" and name == node.outputs[0]
    return Layer("trees", node.name, (features,), name, {"node": node, "is_class": is_class, "steps": steps})


def _cast(source: Source, name: str, node: SourceNode) -> Layer:
    if source.probe.values[name].dtype.kind not in "fi" or source.probe.values[node.inputs[0]].dtype.kind not in "fib":
        raise source.fail(node, "a cast between these types is not supported")
    return Layer("same", node.name, (node.inputs[0],), name)


HANDLERS: dict[str, Callable[[Source, str, SourceNode], Layer]] = {
    "Add": _elementwise,
    "Sub": _elementwise,
    "Mul": _elementwise,
    "Div": _elementwise,
    "Gather": _gather,
    "Softmax": _softmax,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _whole_image,
    "ReduceMean": _whole_image,
    "Transpose": _transpose,
    "ArgMax": _argmax,
    "Concat": _concat,
    "TreeEnsembleClassifier": _trees,
    "TreeEnsembleRegressor": _trees,
    "Cast": _cast,
    "Identity": _cast,
    "Dropout": _cast,
}
