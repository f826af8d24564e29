"""Takes quantisers (QuantizeLinear, DequantizeLinear) out of a graph: what is left is the float model they stand for.

Constants are computed: weights keep the values that the quantised model multiplies by. A pair around a value is
dropped, because the importer finds scales of its own from the calibration data; but where its range begins at 0 it
may be all that is left of a ReLU (quantising tools fold it into the quantiser), so that a ReLU takes its place.
Anything else that such operators are used for stays, and is refused by ``recognise`` by the name of its node.

Source of the meanings: the ONNX operator specification.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.importing.read import SourceGraph, SourceNode
from solder.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["without_quantisers"]

QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
POSITIVE = {"Relu", "Sigmoid", "Softmax", "HardSigmoid"}
KEEP_SIGN = {"MaxPool", "AveragePool", "GlobalAveragePool", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze"}
LEVELS = {"int8": (-128, 127), "uint8": (0, 255), "int32": (-(1 << 31), (1 << 31) - 1)}


def without_quantisers(graph: SourceGraph) -> SourceGraph:
    """``graph`` without pairs of quantisers, and with its quantised constants as floats.

    Raises:
        InputError: scales or zero points do not fit, by the name of the node.

    """
    if not any(node.operator in QUANTISERS for node in graph.nodes):
        return graph
    return _Remover(graph).run()


class _Remover:
    def __init__(self, graph: SourceGraph) -> None:
        self.graph = graph
        self.tensors = dict(graph.tensors)
        self.alias: dict[str, str] = {}
        self.nodes: list[SourceNode] = []
        self.positive: set[str] = set()
        """Values that are not negative, or whose sign is of no concern: inputs are coded by their calibrated range."""

        self.quantised: dict[str, SourceNode] = {}
        """Quantisers of values that nothing but dequantisers read, by their output."""

    def run(self) -> SourceGraph:
        """The graph without quantisers."""
        self.positive = {value.name for value in self.graph.inputs}
        outputs = {value.name for value in self.graph.outputs}
        others = {name for node in self.graph.nodes if node.operator != "DequantizeLinear" for name in node.inputs}
        for original in self.graph.nodes:
            node = replace(original, inputs=tuple(self.alias.get(name, name) for name in original.inputs))
            if node.operator in QUANTISERS and node.inputs[0] in self.tensors:
                self.tensors[node.outputs[0]] = self._constant(node)
            elif node.operator == "QuantizeLinear" and not {node.outputs[0]} & (others | outputs):
                self.quantised[node.outputs[0]] = node
            elif node.operator == "DequantizeLinear" and node.inputs[0] in self.quantised:
                self._pair(self.quantised[node.inputs[0]], node)
            else:
                if node.operator in POSITIVE or (node.operator in KEEP_SIGN and node.inputs[0] in self.positive):
                    self.positive.update(node.outputs)
                self.nodes.append(node)
        made = tuple(replace(value, name=self.alias.get(value.name, value.name)) for value in self.graph.outputs)
        return replace(self.graph, nodes=tuple(self.nodes), tensors=self._used(), outputs=made)

    def _used(self) -> dict[str, NDArray[Any]]:
        """The tensors that nodes read: those of quantisers are not left behind."""
        read = {name for node in self.nodes for name in node.inputs}
        return {name: tensor for name, tensor in self.tensors.items() if name in read}

    def _fail(self, node: SourceNode, detail: str) -> InputError:
        return InputError(detail, self.graph.path, str(node))

    def _parameters(self, node: SourceNode) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Scale and zero point; the zero point's type is the quantised one."""
        names = node.inputs[1:3]
        if not names or any(name and name not in self.tensors for name in names):
            raise self._fail(node, "scale and zero point have to be constants")
        if node.attributes.get("block_size", 0):
            raise self._fail(node, "scales by block are not supported")
        scale = self.tensors[names[0]]
        default = self.tensors[node.inputs[0]] if node.inputs[0] in self.tensors else np.zeros(1, np.uint8)
        kind = default.dtype if node.operator == "DequantizeLinear" else np.dtype(np.uint8)
        zero = self.tensors[names[1]] if len(names) > 1 and names[1] else np.zeros(scale.shape, kind)
        if scale.dtype.kind != "f" or scale.size == 0 or not (scale > 0).all():
            raise self._fail(node, "a scale is not a positive float")
        if zero.dtype.name not in LEVELS or zero.size != scale.size or max(zero.ndim, scale.ndim) > 1:
            raise self._fail(node, f"zero points {zero.dtype} {list(zero.shape)} for scales {list(scale.shape)}")
        return scale.astype(np.float64).reshape(-1), zero.reshape(-1)

    def _constant(self, node: SourceNode) -> NDArray[Any]:
        """What a quantiser makes of a constant."""
        scale, zero = self._parameters(node)
        x = self.tensors[node.inputs[0]]
        if scale.size > 1:
            axis = node.attributes.get("axis", 1)
            if not -x.ndim <= axis < x.ndim or x.shape[axis] != scale.size:
                raise self._fail(node, f"{scale.size} scales for axis {axis} of {list(x.shape)}")
            shape = [1] * x.ndim
            shape[axis] = -1
            scale, zero = scale.reshape(shape), zero.reshape(shape)
        else:
            scale, zero = scale[0], zero[0]
        if node.operator == "DequantizeLinear":
            if x.dtype.name not in LEVELS:
                raise self._fail(node, f"{x.dtype} is not quantised")
            return np.asarray((x.astype(np.int64) - zero.astype(np.int64)) * scale, np.float32)
        low, high = LEVELS[zero.dtype.name]
        levels: NDArray[Any] = np.clip(np.rint(x / scale) + zero, low, high).astype(zero.dtype)
        return levels

    def _pair(self, first: SourceNode, second: SourceNode) -> None:
        """Both are dropped, or become a ReLU."""
        (scale, zero), (other_scale, other_zero) = self._parameters(first), self._parameters(second)
        if not (np.array_equal(scale, other_scale) and np.array_equal(zero, other_zero)):
            raise self._fail(second, f"another scale or zero point than that of {first}")
        name, output = first.inputs[0], second.outputs[0]
        if not (zero == LEVELS[zero.dtype.name][0]).all() or name in self.positive:
            self.alias[output] = name
            return
        self.nodes.append(SourceNode(f"{first.name}.Relu", "Relu", (name,), (output,), {}))
        self.positive.add(output)
