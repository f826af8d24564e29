"""Writes small ONNX models: nodes are added in order, names are made here, weights are initializers.

The scripts of this folder train without a framework that could export; an ONNX file is what a user would bring.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
ELEMENT = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}


class OnnxGraph:
    """An ONNX graph under construction. A value is its name; ``node`` returns the name of what it made."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[Any] = []
        self.weights: dict[str, NDArray[Any]] = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def input(self, name: str, shape: tuple[int | str, ...], dtype: type = np.float32) -> str:
        """An input of the graph; a string in ``shape`` is a free dimension."""
        self.inputs.append(helper.make_tensor_value_info(name, ELEMENT[np.dtype(dtype)], shape))
        return name

    def weight(self, name: str, array: NDArray[Any]) -> str:
        """A constant that the file carries."""
        self.weights[name] = np.ascontiguousarray(array)
        return name

    def integers(self, *values: int) -> str:
        """A constant vector of int64 (shapes, axes), named by its content."""
        return self.weight("int_" + "_".join(map(str, values)), np.asarray(values, np.int64))

    def scalar(self, value: float) -> str:
        """A constant float32 scalar, named by its content."""
        return self.weight(f"float_{value!r}", np.asarray(value, np.float32))

    def node(self, operator: str, *inputs: str, name: str | None = None, **attributes: object) -> str:
        """Add a node with one output and return the output's name, which is the node's name too."""
        name = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def output(self, value: str, shape: tuple[int | str, ...], dtype: type = np.float32) -> None:
        """Make a value an output of the graph."""
        self.outputs.append(helper.make_tensor_value_info(value, ELEMENT[np.dtype(dtype)], shape))

    def save(self, path: Path) -> None:
        """Check the model and write it."""
        weights = [numpy_helper.from_array(array, name) for name, array in self.weights.items()]
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.producer_name = "solder-examples"
        onnx.checker.check_model(model, full_check=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.SerializeToString(deterministic=True))
