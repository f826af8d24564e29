"""Writes the classical-learning operators of ONNX (scalers, linear models, labels) as plain ones, and drops packaging.

The result is a graph that means the same and that ``recognise`` and ONNX Runtime both read. Tree ensembles stay as
they are. Source of the meanings: the ONNX-ML operator specification.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.importing.read import SourceGraph, SourceNode, SourceValue
from solder.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Rewritten", "rewrite"]

MAX_CLASSES = 65_536
ALIASES = {"ZipMap", "Identity", "Dropout"}
POST_TRANSFORMS = ("NONE", "LOGISTIC", "SOFTMAX")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The plain graph; ``labels``, the names of classes; ``class_outputs``, outputs that hold a class's index."""

    graph: SourceGraph
    labels: tuple[str, ...]
    class_outputs: frozenset[str]


def rewrite(graph: SourceGraph) -> Rewritten:
    """``graph`` with scalers, linear models and packaging written plainly.

    Raises:
        InputError: such an operator has attributes that do not fit together, by the name of its node.

    """
    return _Rewriter(graph).run()


@dataclass(slots=True)
class _Rewriter:
    source: SourceGraph
    nodes: list[SourceNode] = field(default_factory=list)
    tensors: dict[str, NDArray[Any]] = field(default_factory=dict)
    alias: dict[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    classes: set[str] = field(default_factory=set)

    def run(self) -> Rewritten:
        self.tensors = dict(self.source.tensors)
        for original in self.source.nodes:
            node = replace(original, inputs=tuple(self.alias.get(name, name) for name in original.inputs))
            handler = {
                "Scaler": self._scaler,
                "LinearClassifier": self._linear_classifier,
                "LinearRegressor": self._linear_regressor,
                "Normalizer": self._normalizer,
                "ArrayFeatureExtractor": self._class_names,
            }.get(node.operator)
            if node.operator in ALIASES:
                if node.operator == "ZipMap":
                    self._name_classes(node)
                self.alias[node.outputs[0]] = node.inputs[0]
            elif node.inputs and node.inputs[0] in self.classes and node.operator in {"Cast", "Reshape"}:
                self.alias[node.outputs[0]] = node.inputs[0]  # a class stays its index
            elif handler is None:
                if node.operator == "TreeEnsembleClassifier":
                    self._name_classes(node)
                    self.classes.add(node.outputs[0])
                self.nodes.append(node)
            else:
                handler(node)
        outputs: list[SourceValue] = []
        for value in self.source.outputs:
            name = self.alias.get(value.name, value.name)
            if name not in {made.name for made in outputs}:
                outputs.append(SourceValue(name, value.dtype, value.shape))
        graph = replace(self.source, nodes=tuple(self.nodes), tensors=self.tensors, outputs=tuple(outputs))
        return Rewritten(graph, self.labels, frozenset(self.classes))

    def _fail(self, node: SourceNode, detail: str) -> InputError:
        return InputError(detail, self.source.path, str(node))

    def _floats(self, node: SourceNode, name: str, size: int | None = None) -> NDArray[np.float32]:
        values = node.attributes.get(name)
        if not isinstance(values, np.ndarray) or (size is not None and values.size not in (1, size)):
            raise self._fail(node, f"attribute {name!r} is absent or of the wrong length")
        if size is not None and values.size != size:
            values = np.repeat(values, size)
        return values.astype(np.float32)

    def _add(self, operator: str, inputs: tuple[str, ...], output: str, node: SourceNode, **attributes: Any) -> str:  # noqa: ANN401
        name = f"{node.name}.{operator}"
        self.nodes.append(SourceNode(name, operator, inputs, (output,), attributes))
        return output

    def _tensor(self, node: SourceNode, part: str, array: NDArray[Any]) -> str:
        name = f"{node.outputs[0]}.{part}"
        if name in self.tensors:
            raise self._fail(node, f"the name {name!r} is taken")
        self.tensors[name] = array
        return name

    def _cast(self, node: SourceNode) -> str:
        """The operator's input as float32: these operators take any numbers."""
        output = f"{node.outputs[0]}.float"
        return self._add("Cast", node.inputs[:1], output, node, to=1)

    def _scaler(self, node: SourceNode) -> None:
        offset, scale = self._floats(node, "offset"), self._floats(node, "scale")
        if offset.size != scale.size:
            raise self._fail(node, "offset and scale have different lengths")
        centred = self._add(
            "Sub", (self._cast(node), self._tensor(node, "offset", offset)), f"{node.outputs[0]}.centred", node
        )
        self._add("Mul", (centred, self._tensor(node, "scale", scale)), node.outputs[0], node)

    def _name_classes(self, node: SourceNode) -> None:
        names: list[Any] = []
        for key in ("classlabels_int64s", "classlabels_strings", "classlabels_ints"):
            names = names or list(node.attributes.get(key, []))
        if len(names) > MAX_CLASSES:
            raise self._fail(node, f"{len(names):,} classes are more than {MAX_CLASSES:,}")
        self.labels = self.labels or tuple(map(str, names))

    def _linear(self, node: SourceNode, rows: int, output: str) -> str:
        """MatMul and Add for a model of ``rows`` outputs."""
        coefficients = self._floats(node, "coefficients")
        if rows < 1 or coefficients.size % rows:
            raise self._fail(node, f"{coefficients.size} coefficients do not divide into {rows} rows")
        intercepts = node.attributes.get("intercepts")
        bias = np.zeros(rows, np.float32) if intercepts is None else self._floats(node, "intercepts", rows)
        weight = np.ascontiguousarray(coefficients.reshape(rows, -1).T)
        product = self._add(
            "MatMul", (self._cast(node), self._tensor(node, "weight", weight)), f"{node.outputs[0]}.product", node
        )
        return self._add("Add", (product, self._tensor(node, "bias", bias)), output, node)

    def _linear_classifier(self, node: SourceNode) -> None:
        self._name_classes(node)
        transform = node.attributes.get("post_transform", "NONE")
        if transform not in POST_TRANSFORMS:
            raise self._fail(node, f"post_transform {transform!r} is not supported")
        count = len(self.labels)
        rows = self._floats(node, "intercepts").size if "intercepts" in node.attributes else count
        if count < 2 or rows != count:  # noqa: PLR2004
            raise self._fail(node, f"{rows} rows for {count} classes are not supported")
        label, scores = node.outputs[0], node.outputs[1]
        raw = self._linear(node, rows, scores if transform == "NONE" else f"{scores}.raw")
        if transform == "LOGISTIC":
            self._add("Sigmoid", (raw,), scores, node)
        elif transform == "SOFTMAX":
            self._add("Softmax", (raw,), scores, node, axis=1)
        self._add("ArgMax", (raw,), label, node, axis=1, keepdims=0)
        self.classes.add(label)

    def _linear_regressor(self, node: SourceNode) -> None:
        if node.attributes.get("post_transform", "NONE") != "NONE":
            raise self._fail(node, "post_transform of a regressor is not supported")
        self._linear(node, int(node.attributes.get("targets", 1)), node.outputs[0])

    def _normalizer(self, node: SourceNode) -> None:
        norm = node.attributes.get("norm", "MAX")
        if norm == "L2":
            self._add("LpNormalization", (self._cast(node),), node.outputs[0], node, axis=-1, p=2)
        elif norm == "L1" and self._sums_to_one(node.inputs[0]):
            self.alias[node.outputs[0]] = node.inputs[0]
        else:
            raise self._fail(node, f"norm {norm!r} of anything but a softmax is not supported")

    def _sums_to_one(self, name: str) -> bool:
        return any(node.operator == "Softmax" and name in node.outputs for node in self.nodes)

    def _class_names(self, node: SourceNode) -> None:
        """``classes[index]``: the index stays, the names become labels."""
        table = self.tensors.get(node.inputs[0])
        makers = [made for made in self.nodes if node.inputs[1] in made.outputs]
        if table is None or not makers or makers[0].operator != "ArgMax":
            raise self._fail(node, "only the choice of a class by ArgMax is supported")
        if table.size > MAX_CLASSES:
            raise self._fail(node, f"{table.size:,} classes are more than {MAX_CLASSES:,}")
        self.labels = tuple(map(str, table.reshape(-1).tolist()))
        self.classes.add(node.inputs[1])
        self.alias[node.outputs[0]] = node.inputs[1]
