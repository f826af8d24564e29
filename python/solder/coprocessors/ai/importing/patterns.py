"""The larger patterns: attention, layer norm, masked mean, normalisation, whatever operators they were exported as.

Each function looks backwards from a value and returns its layer, or None. What a mask means is not guessed from how
it is computed but checked on the probe's values: where a token is absent the score must be cut off, elsewhere
untouched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from solder.coprocessors.ai.importing.float_run import PROBES
from solder.coprocessors.ai.importing.layers import BATCH, Layer, Source

if TYPE_CHECKING:
    from solder.coprocessors.ai.importing.read import SourceNode

__all__ = ["attention", "layer_norm", "mean_pool", "normalise"]

CUT_OFF = -1000.0
"""A mask that adds less than this makes a probability of zero in float32."""

HEAD_ORDER = [0, 2, 1, 3]
MAX_STEPS = 16


def attention(source: Source, output: str) -> Layer | None:
    """``reshape(transpose(softmax(q k^T * scale + mask) v))`` over [batch, sequence, width]."""
    joined = source.node_of(output, "Reshape")
    turned = joined and source.node_of(joined.inputs[0], "Transpose")
    product = turned and source.node_of(turned.inputs[0], "MatMul")
    if not product or not turned or list(turned.attributes.get("perm", [])) != HEAD_ORDER:
        return None
    softmax = source.node_of(product.inputs[0], "Softmax")
    if softmax is None:
        return None
    value, heads = _heads(source, product.inputs[1], HEAD_ORDER, product)
    name, scale, masks = softmax.inputs[0], 1.0, []
    for _ in range(MAX_STEPS):
        node = source.node_of(name, "Add", "Mul", "Div", "Where", "MatMul")
        if node is None or node.operator == "MatMul":
            break
        if node.operator in {"Mul", "Div"}:
            name, factor = _scaled(source, node)
            scale *= factor
        else:
            name, mask = _masked(source, node)
            masks.append((mask, node))
    scores = source.node_of(name, "MatMul")
    if scores is None:
        raise source.fail(softmax, "the scores of attention are no product of queries and keys")
    (query, query_scale), (key, key_scale) = (_unscaled(source, operand) for operand in scores.inputs)
    query, query_heads = _heads(source, query, HEAD_ORDER, scores)
    key, key_heads = _heads(source, key, [0, 2, 3, 1], scores)
    if not heads == query_heads == key_heads:
        raise source.fail(scores, "queries, keys and values have different numbers of heads")
    inputs = [query, key, value]
    causal = False
    for mask, node in masks:
        named, is_causal = _mask_meaning(source, mask, node)
        causal = causal or is_causal
        if named is not None and named not in inputs:
            inputs.append(named)
    if len(inputs) > 4:  # noqa: PLR2004
        raise source.fail(softmax, "more than one padding mask")
    settings = {"heads": heads, "scale": scale * query_scale * key_scale, "causal": causal}
    return Layer("attention", softmax.name, tuple(inputs), output, settings)


def _scaled(source: Source, node: SourceNode) -> tuple[str, float]:
    """The value that a scalar scales, and the factor."""
    found = source.operands(node)
    if found is None or found[1].size != 1 or (node.operator == "Div" and found[0] != node.inputs[0]):
        raise source.fail(node, "scores are scaled by something that is no constant number")
    factor = float(found[1].reshape(-1)[0])
    return found[0], factor if node.operator == "Mul" else 1 / factor


def _unscaled(source: Source, name: str) -> tuple[str, float]:
    node = source.node_of(name, "Mul", "Div")
    if node is None or source.operands(node) is None:
        return name, 1.0
    return _scaled(source, node)


def _heads(source: Source, name: str, order: list[int], user: SourceNode) -> tuple[str, int]:
    """The value [batch, sequence, width] behind a split into heads, and their number."""
    steps = list(range(4))
    for _ in range(MAX_STEPS):
        node = source.node_of(name, "Transpose", "Reshape")
        if node is None:
            break
        if node.operator == "Reshape":
            shape = source.shape(node.outputs[0])
            flat = source.shape(node.inputs[0])
            if len(shape) == 4 and len(flat) == 3 and steps == order and isinstance(shape[2], int):  # noqa: PLR2004
                return source.plain(node.inputs[0]), shape[2]
            break
        turn = list(node.attributes["perm"])
        if len(turn) != 4:  # noqa: PLR2004
            break
        steps = [turn[axis] for axis in steps]
        name = node.inputs[0]
    raise source.fail(user, "an operand of attention is not [batch, sequence, width] split into heads")


def _masked(source: Source, node: SourceNode) -> tuple[str, str]:
    """The scores that a node masks, and the name of the mask's value ('name'), or '!name' where it marks the absent."""
    if node.operator == "Add":
        for scores, mask in (node.inputs, node.inputs[::-1]):
            if source.depends(mask) <= source.masks and source.node_of(mask, "MatMul") is None:
                return scores, mask
        raise source.fail(node, "an added mask depends on more than the mask's input")
    condition, yes, no = node.inputs
    for scores, other, mark in ((yes, no, ""), (no, yes, "!")):
        filler = source.constant(other)
        values = filler if filler is not None else source.probe.values.get(other)
        if not source.depends(other) and values is not None and (values <= CUT_OFF).all():
            return scores, mark + condition
    raise source.fail(node, "a Where that does not cut off scores")


def _mask_meaning(source: Source, mask: str, node: SourceNode) -> tuple[str | None, bool]:
    """(the mask's input or None, whether later positions are hidden), checked on the probe's values."""
    name = mask.removeprefix("!")
    values = source.probe.values.get(name)
    if values is None:
        values = source.graph.tensors[name]
    if values.dtype.kind == "b":
        seen = ~values if mask.startswith("!") else values
    else:
        seen = values > CUT_OFF
        if np.abs(values[seen]).max(initial=0) > 0:
            raise source.fail(node, "adds numbers to the scores that are no mask (a bias by position?)")
    inputs = source.depends(name)
    if len(inputs) > 1:
        raise source.fail(node, "the mask depends on several inputs")
    given = next(iter(inputs), None)
    batch, sequence = PROBES[1]
    padding = np.ones((batch, sequence), bool) if given is None else source.probe.feeds[given].astype(bool)
    full = np.broadcast_to(padding[:, None, None, :], (batch, 1, sequence, sequence))
    below = np.tril(np.ones((sequence, sequence), bool))
    for causal, expected in ((False, full), (True, full & below)):
        try:
            found = np.broadcast_to(seen, expected.shape)
        except ValueError:
            break
        if np.array_equal(found, expected):
            return given, causal
    raise source.fail(node, "a mask that is neither padding nor causal")


def layer_norm(source: Source, output: str) -> Layer | None:
    """LayerNormalization, or its parts: (x - mean) / sqrt(variance + eps) * gain + bias over the last axis."""
    node = source.maker[output]
    if node.operator == "LayerNormalization":
        rank = len(source.shape(node.inputs[0]))
        if node.attributes.get("axis", -1) not in (-1, rank - 1):
            raise source.fail(node, "only the last axis can be normalised")
        gain = source.constant(node.inputs[1])
        bias = source.constant(node.inputs[2]) if len(node.inputs) > 2 else np.zeros_like(gain)  # noqa: PLR2004
        epsilon = node.attributes.get("epsilon", 1e-5)
        return _norm_layer(source, node, node.inputs[0], output, (gain, bias, epsilon))
    outer = source.node_of(output, "Add")
    found = outer and source.operands(outer)
    inner = found and source.node_of(found[0], "Mul")
    scaled = inner and source.operands(inner)
    divided = scaled and source.node_of(scaled[0], "Div")
    if not (outer and found and scaled and divided):
        return None
    centred = source.node_of(divided.inputs[0], "Sub")
    root = source.node_of(divided.inputs[1], "Sqrt")
    total = root and source.node_of(root.inputs[0], "Add")
    spread = total and source.operands(total)
    variance = spread and source.node_of(spread[0], "ReduceMean")
    square = variance and source.node_of(variance.inputs[0], "Pow", "Mul")
    mean = centred and source.node_of(centred.inputs[1], "ReduceMean")
    if not (centred and spread and variance and square and mean):
        return None
    value = source.plain(centred.inputs[0])
    rank = len(source.shape(output))
    over_last = all(source.axes(part) in ((-1,), (rank - 1,)) for part in (mean, variance))
    exponent = source.scalar(square.inputs[1]) if square.operator == "Pow" else 2.0
    same = all(
        source.plain(name) == source.plain(divided.inputs[0]) for name in square.inputs[: len(square.inputs) - 1]
    )
    if not over_last or exponent != 2.0 or not same or source.plain(mean.inputs[0]) != value:  # noqa: PLR2004
        return None
    return _norm_layer(source, outer, value, output, (scaled[1], found[1], float(spread[1].reshape(-1)[0])))


def _norm_layer(
    source: Source, node: SourceNode, value: str, output: str, parts: tuple[object, object, object]
) -> Layer:
    gain, bias, epsilon = parts
    width = source.shape(value)[-1]
    if not (isinstance(gain, np.ndarray) and isinstance(bias, np.ndarray) and gain.shape == bias.shape == (width,)):
        raise source.fail(node, "gain and bias of a layer norm are not one number for each column")
    return Layer("layer_norm", node.name, (value,), output, {"gain": gain, "bias": bias, "epsilon": epsilon})


def mean_pool(source: Source, output: str) -> Layer | None:
    """The mean over the sequence of [batch, sequence, width], of all positions or of those that the mask shows."""
    node = source.node_of(output, "Div", "ReduceMean")
    if node is None:
        return None
    if node.operator == "ReduceMean":
        rank = len(source.shape(node.inputs[0]))
        if rank != 3 or source.axes(node) not in ((1,), (-2,)) or _keeps(node):  # noqa: PLR2004
            return None
        return Layer("mean_pool", node.name, (source.plain(node.inputs[0]),), output)
    total = source.node_of(node.inputs[0], "ReduceSum")
    weighted = total and source.node_of(total.inputs[0], "Mul")
    count = node.inputs[1]
    if not total or not weighted or _keeps(total) or source.axes(total) != (1,):
        return None
    for value, mask in (weighted.inputs, weighted.inputs[::-1]):
        inputs = source.depends(mask)
        if not inputs or not inputs <= source.masks or source.depends(count) != inputs or len(inputs) != 1:
            continue
        given = source.probe.feeds[next(iter(inputs))]
        counted = given.sum(axis=1, keepdims=True)
        shown = source.probe.values[mask]
        if not np.array_equal(np.broadcast_to(shown, (*given.shape, shown.shape[-1]))[:, :, 0], given):
            raise source.fail(weighted, "weights of a mean that are not the mask")
        if not np.allclose(source.probe.values[count] - counted, 0):
            raise source.fail(node, "a masked sum that is not divided by the number of positions shown")
        return Layer("mean_pool", node.name, (source.plain(value), next(iter(inputs))), output)
    return None


def _keeps(node: SourceNode) -> bool:
    return bool(node.attributes.get("keepdims", 1))


def normalise(source: Source, output: str) -> Layer | None:
    """Division of each row by its Euclidean length."""
    node = source.maker[output]
    if node.operator == "LpNormalization":
        if node.attributes.get("p", 2) != 2 or node.attributes.get("axis", -1) not in (  # noqa: PLR2004
            -1,
            len(source.shape(output)) - 1,
        ):
            raise source.fail(node, "only the Euclidean length of the last axis is supported")
        return Layer("normalise", node.name, (source.plain(node.inputs[0]),), output)
    if node.operator != "Div":
        return None
    name = node.inputs[1]
    for _ in range(MAX_STEPS):
        step = source.node_of(name, "Clip", "Max", "Expand", "Unsqueeze", "Add", "Sqrt", "ReduceL2", "ReduceSum")
        if step is None:
            return None
        if step.operator in {"ReduceL2", "ReduceSum"}:
            break
        name = next((operand for operand in step.inputs if operand and source.depends(operand)), "")
    else:
        return None
    value = source.plain(step.inputs[0])
    if step.operator == "ReduceSum":
        square = source.node_of(value, "Mul", "Pow")
        if square is None:
            return None
        value = source.plain(square.inputs[0])
    if value != source.plain(node.inputs[0]):
        return None
    rank = len(source.shape(value))
    if source.axes(step) not in ((-1,), (rank - 1,)) or source.shape(value)[0] != BATCH:
        return None
    return Layer("normalise", node.name, (value,), output)
