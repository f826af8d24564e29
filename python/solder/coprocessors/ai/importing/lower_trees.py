"""A tree ensemble of an ONNX file: its sums and its class are one node of the integer graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from solder.coprocessors.ai.importing.forms import Form, Function, Integer, Recipe, View
from solder.coprocessors.ai.importing.lower_softmax import emit_softmax
from solder.coprocessors.ai.importing.tree_features import unscaled
from solder.coprocessors.ai.importing.trees import emit_ensemble, from_onnx

if TYPE_CHECKING:
    from solder.coprocessors.ai.importing.layers import Layer
    from solder.coprocessors.ai.importing.lowering import Lowering
    from solder.coprocessors.ai.importing.trees import Ensemble

__all__ = ["lower_trees"]

REACH = (1 << 31) - 1
LOGISTIC_END = 12.0
SUMS = Form(32, 2.0**-16, 0, -(1 << 24), 1 << 24)
"""Sums as a softmax takes them: [-256, 256], finer than its table."""


def lower_trees(lowering: Lowering, layer: Layer) -> None:
    """The ensemble, once for its two outputs; it reads the model's input as float32 codes, compared exactly."""
    node = layer.settings["node"]
    features = lowering.indices.get(layer.inputs[0])
    if features is None:
        raise lowering.fail(layer, "trees must read the model's input itself, or that scaled")
    key = f"trees:{node.outputs[0]}"
    if key not in lowering.ensembles:
        width = lowering.shape(layer.inputs[0])[-1]
        ensemble = unscaled(from_onnx(node, int(width), lowering.source.graph.path), layer.settings["steps"])
        lowering.ensembles[key] = (ensemble, *emit_ensemble(lowering.emitter, features, ensemble, node.outputs[-1]))
    ensemble, sums, chosen, scale = lowering.ensembles[key]
    if layer.settings["is_class"]:
        lowering.indices[layer.output] = chosen
        return
    columns = 2 if ensemble.decision in {"positive", "half"} else ensemble.base.size
    if lowering.shape(layer.output) != ("batch", columns):
        raise lowering.fail(layer, f"scores of shape {list(lowering.shape(layer.output))} for {columns} classes")
    lowering.recipes[layer.output] = _shown(lowering, layer, ensemble, sums, scale)


def _shown(lowering: Lowering, layer: Layer, ensemble: Ensemble, sums: str, scale: float) -> Recipe:
    """The sums as the source shows them: probabilities, or both sides of a decision between two classes."""
    unit, none = np.array([scale]), np.zeros(1)
    whole = Integer(sums, unit, none, REACH)
    if ensemble.decision in {"positive", "half"}:
        column = lowering.emitter.node("slice", f"{layer.output}.second", [sums], axis=1, start=1, length=1)
        second = Integer(column, unit, none, REACH)
        if ensemble.transform == "LOGISTIC":
            sides: list[Recipe] = [_logistic(second, rising=False), _logistic(second, rising=True)]
        else:
            # 1 - s and -s need room beside the sums.
            form = Form(32, scale * 16, 0, -(1 << 27), 1 << 27)
            second = Integer(second.emit(lowering.emitter, f"{layer.output}.halved", form), unit * 16, none, 1 << 27)
            sides = [second.affine(-np.ones(1), np.array([float(ensemble.decision == "half")])), second]

        def emit(form: Form, wanted: str) -> str:
            columns = [side.emit(lowering.emitter, f"{wanted}.{place}", form) for place, side in enumerate(sides)]
            return lowering.emitter.node("concatenate", wanted, columns, axis=1)

        return View(emit)
    if ensemble.transform == "LOGISTIC":
        return _logistic(whole, rising=True)
    if ensemble.transform == "SOFTMAX":
        value, form = emit_softmax(
            lowering, layer.output, whole.emit(lowering.emitter, f"{layer.output}.sums", SUMS), SUMS
        )
        lowering.set_natural(layer.output, form)
        return Integer(value, np.array([form.scale]), none, form.reach, form.bits)
    if ensemble.transform != "NONE":
        raise lowering.fail(layer, f"post_transform {ensemble.transform!r} is not supported")
    form = Form(32, scale, 0, -REACH, REACH)
    lowering.set_natural(layer.output, form)
    lowering.set_record(layer.output, sums, form)
    return whole


def _logistic(recipe: Integer, *, rising: bool) -> Function:
    sign = 1.0 if rising else -1.0
    return Function(recipe, lambda x: 1 / (1 + np.exp(-sign * x)), -LOGISTIC_END, LOGISTIC_END)
