"""Runs the float model (ONNX Runtime): shapes of every value, calibration statistics, the answers to compare with.

What is run is built anew from the checked graph, so that nothing reaches the runtime that was not looked at; and the
sizes of all values are inferred before anything is computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.importing.needs import needed
from solder.coprocessors.ai.importing.read import TensorAttribute
from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from solder.coprocessors.ai.importing.read import SourceGraph, SourceNode

__all__ = ["BATCH", "PROBES", "SEQUENCE", "FloatRun", "Probe", "probe"]

MAX_KEPT_ELEMENTS = 1 << 28
"""Of all values together that one run gives back."""

BATCH, SEQUENCE = "batch", "sequence"
MAX_VALUE_ELEMENTS = 1 << 27
"""Of one value of the float model in one run."""

PROBES = ((2, 5), (3, 7))
"""Batch and sequence of the two runs that tell which axis is which: all products of them differ."""

EXPANDING = {"Expand", "ConstantOfShape", "Tile", "Range", "Pad", "Resize", "OneHot"}
"""Operators that make much out of little: their size must be inferred, or they are refused."""

ONNX_TYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "float64": 11,
}
Symbolic = tuple[int | str | tuple[int, str], ...]


class FloatRun:
    """A session over ``graph`` that gives ``outputs``, on one thread.

    Raises:
        InputError: the runtime refuses the model, or a value would be too large.

    """

    def __init__(self, graph: SourceGraph, outputs: Iterable[str]) -> None:
        self._runtime = needed("onnxruntime")
        self._graph = graph
        self.outputs = list(dict.fromkeys(outputs))
        self._model = _model(graph, self.outputs)
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.graph_optimization_level = self._runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.enable_cpu_mem_arena = False
        try:
            self._session = self._runtime.InferenceSession(
                self._model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001
            raise InputError(f"ONNX Runtime refuses the model: {_first_line(error)}", graph.path) from None
        self._checked: set[tuple[tuple[int, ...], ...]] = set()

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs for ``feeds``, an array for each input of the graph."""
        shapes = tuple(feeds[value.name].shape for value in self._graph.inputs)
        if shapes not in self._checked:
            _check_sizes(self._graph, self._model, shapes)
            self._checked.add(shapes)
        try:
            results = self._session.run(self.outputs, dict(feeds))
        except Exception as error:  # noqa: BLE001
            raise InputError(f"the float model fails: {_first_line(error)}", self._graph.path) from None
        # What is no array (a list of maps) has no integer form, and no layer asks for it.
        return {
            name: result for name, result in zip(self.outputs, results, strict=True) if isinstance(result, np.ndarray)
        }


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:300]


def _model(graph: SourceGraph, outputs: list[str]) -> Any:  # noqa: ANN401
    from onnx import helper, numpy_helper

    used = {name for node in graph.nodes for name in node.inputs} | set(outputs)
    body = helper.make_graph(
        [_node(node, index) for index, node in enumerate(graph.nodes)],
        "checked",
        [
            helper.make_tensor_value_info(value.name, ONNX_TYPES[value.dtype], [size or None for size in value.shape])
            for value in graph.inputs
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in graph.tensors.items() if name in used],
    )
    versions = {
        ("" if opset.domain == "ai.onnx" else opset.domain): opset.version for opset in graph.model.opset_import
    }
    opsets = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    return helper.make_model(body, opset_imports=opsets, ir_version=min(graph.model.ir_version or 8, 10))


def _node(node: SourceNode, index: int) -> Any:  # noqa: ANN401
    from onnx import defs, helper, numpy_helper

    attributes = {
        key: numpy_helper.from_array(value.array) if isinstance(value, TensorAttribute) else value
        for key, value in node.attributes.items()
    }
    domain = "ai.onnx.ml" if not defs.has(node.operator) and defs.has(node.operator, "ai.onnx.ml") else ""
    return helper.make_node(
        node.operator, list(node.inputs), list(node.outputs), name=f"{index}:{node.name}", domain=domain, **attributes
    )


def _check_sizes(graph: SourceGraph, model: Any, shapes: tuple[tuple[int, ...], ...]) -> None:  # noqa: ANN401
    """Infers the shape of every value before anything is computed."""
    from onnx import ModelProto, shape_inference

    fixed = ModelProto()
    fixed.CopyFrom(model)
    for value, shape in zip(fixed.graph.input, shapes, strict=True):
        dimensions = value.type.tensor_type.shape.dim
        del dimensions[:]
        for size in shape:
            dimensions.add().dim_value = size
    try:
        inferred = shape_inference.infer_shapes(fixed, strict_mode=False, data_prop=True)
    except Exception as error:  # noqa: BLE001
        raise InputError(f"shapes do not fit: {_first_line(error)}", graph.path) from None
    sizes: dict[str, int | None] = {}
    for value in [*inferred.graph.value_info, *inferred.graph.output]:
        dimensions = value.type.tensor_type.shape.dim
        known = value.type.tensor_type.HasField("shape") and all(
            dimension.WhichOneof("value") == "dim_value" for dimension in dimensions
        )
        sizes[value.name] = math.prod(dimension.dim_value for dimension in dimensions) if known else None
    for node in graph.nodes:
        for name in node.outputs:
            elements = sizes.get(name)
            if elements is None and node.operator in EXPANDING:
                raise InputError("the size of its output cannot be inferred", graph.path, str(node))
            if elements is not None and not 0 <= elements <= MAX_VALUE_ELEMENTS:
                raise InputError(
                    f"an output of {elements:,} elements is more than {MAX_VALUE_ELEMENTS:,}", graph.path, str(node)
                )
    kept = sum(sizes.get(value.name) or 0 for value in model.graph.output)
    if kept > MAX_KEPT_ELEMENTS:
        raise InputError(f"its values have {kept:,} elements together, more than {MAX_KEPT_ELEMENTS:,}", graph.path)


@dataclass(frozen=True, slots=True)
class Probe:
    """What two small runs tell of every value.

    ``shapes``: each axis a number, ``"batch"``, ``"sequence"``, or a (factor, symbol) where they are multiplied;
    ``values``: all values of the second run; ``feeds``: what went in; ``masks``: inputs of zeros and ones.
    """

    shapes: dict[str, Symbolic]
    values: dict[str, NDArray[Any]]
    feeds: dict[str, NDArray[Any]]
    first: dict[str, NDArray[Any]]


def probe(graph: SourceGraph, feeds: Mapping[str, NDArray[Any]], masks: Iterable[str]) -> Probe:
    """Run ``graph`` at two sizes made of the calibration data ``feeds`` and compare the shapes.

    ``masks`` names inputs of zeros and ones; they get some zeros at the end of each row.

    Raises:
        InputError: the graph cannot run at these sizes: a size that varies is fixed inside of it.

    """
    names = [name for node in graph.nodes for name in node.outputs if name]
    run = FloatRun(graph, names)
    seen = []
    for batch, sequence in PROBES:
        sized = {}
        for value in graph.inputs:
            array = feeds[value.name]
            named = {BATCH: batch, SEQUENCE: sequence}
            shape = tuple(named[size] if isinstance(size, str) else size for size in value.shape)
            taken = np.resize(array[tuple(slice(0, size) for size in shape)], shape).astype(array.dtype)
            if value.name in set(masks) and taken.ndim > 1:
                taken = np.ones_like(taken)
                for row in range(batch):
                    taken[row, sequence - row - 1 :] = 0
            sized[value.name] = taken
        seen.append((sized, run.run(sized)))
    (first_feeds, first), (second_feeds, second) = seen
    first, second = {**first, **first_feeds}, {**second, **second_feeds}
    shapes = {}
    for name, array in second.items():
        before = first[name]
        if before.ndim != array.ndim:
            continue
        shapes[name] = tuple(_axis(a, b) for a, b in zip(before.shape, array.shape, strict=True))
    return Probe(shapes, second, second_feeds, first)


def _axis(first: int, second: int) -> int | str | tuple[int, str]:
    if first == second:
        return first
    (b1, s1), (b2, s2) = PROBES
    for symbol, one, two in ((BATCH, b1, b2), (SEQUENCE, s1, s2), ("batch*sequence", b1 * s1, b2 * s2)):
        if first % one == 0 and second % two == 0 and first // one == second // two:
            factor = first // one
            return symbol if factor == 1 else (factor, symbol)
    return (0, "?")
