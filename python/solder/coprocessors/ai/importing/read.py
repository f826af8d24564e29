"""Reads an ONNX file under limits: bytes of a stranger become a checked graph, or a typed error that names the place.

Nothing is executed here, and nothing outside the file is opened: external data is refused whatever its path says.
What is not here: the meaning of operators (``recognise``) and running the float model (``float_run``).

Source of the format: the ONNX specification (onnx.proto, IR.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.importing.needs import needed
from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["MAX_ELEMENTS", "SourceGraph", "SourceNode", "SourceValue", "TensorAttribute", "read_bytes", "read_file"]

MAX_FILE_BYTES = 1 << 30
MAX_NODES = 10_000
MAX_TENSORS = 20_000
MAX_ELEMENTS = 1 << 28
"""Of one tensor or value."""

MAX_RANK = 8
MAX_DIMENSION = 1 << 28
MAX_NAME_BYTES = 512
MAX_ATTRIBUTE_ITEMS = 1 << 24
"""Of one attribute: tree ensembles keep their nodes in attributes."""

OPSETS = {"": (7, 26), "ai.onnx.ml": (1, 5)}
"""Domains of operators and their versions that are read."""

DTYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}
"""ONNX's numbers of element types that are read; of the others (strings, complex numbers, ...) none is."""

STRING_TYPE = 8


@dataclass(frozen=True, slots=True)
class SourceValue:
    """An input or output of the graph. A dimension is a number, or the name of a size that varies ("" if unnamed)."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class TensorAttribute:
    """An attribute that is a tensor, apart from lists of floats, which are plain arrays."""

    array: NDArray[Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class SourceNode:
    """One operator of the file, its attributes as plain Python values and NumPy arrays."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(hash=False)

    def __str__(self) -> str:
        return f"node {self.name!r} ({self.operator})"


@dataclass(frozen=True, slots=True)
class SourceGraph:
    """A checked ONNX graph: nodes sorted, each value made once, tensors finite. ``model`` is the parsed file."""

    path: str
    inputs: tuple[SourceValue, ...]
    outputs: tuple[SourceValue, ...]
    nodes: tuple[SourceNode, ...]
    tensors: dict[str, NDArray[Any]] = field(hash=False)
    model: Any = field(hash=False)


def read_file(path: Path) -> SourceGraph:
    """The graph in ``path``.

    Raises:
        InputError: the file is unreadable, too large, truncated or not what this module accepts.

    """
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise InputError(f"{size:,} bytes are more than {MAX_FILE_BYTES:,}", str(path))
    return read_bytes(path.read_bytes(), str(path))


def read_bytes(data: bytes, path: str) -> SourceGraph:
    """As ``read_file``, of bytes that are in memory; ``path`` is what errors name."""
    onnx = needed("onnx")
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{len(data):,} bytes are more than {MAX_FILE_BYTES:,}", path)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except needed("google.protobuf.message").DecodeError as error:
        raise InputError(f"truncated, or no ONNX file ({error})", path) from None
    return _Reader(path, model).graph()


class _Reader:
    """Checks one parsed file. Every loop is over lists whose lengths were compared with a limit before."""

    def __init__(self, path: str, model: Any) -> None:  # noqa: ANN401
        self._path = path
        self._model = model

    def _fail(self, detail: str, where: str | None = None) -> InputError:
        return InputError(detail, self._path, where)

    def graph(self) -> SourceGraph:
        self._check_header()
        source = self._model.graph
        if not source.node:
            raise self._fail("the file has no nodes (truncated, or no ONNX file)")
        if len(source.node) > MAX_NODES:
            raise self._fail(f"{len(source.node):,} nodes are more than {MAX_NODES:,}", "graph")
        if len(source.initializer) > MAX_TENSORS:
            raise self._fail(f"{len(source.initializer):,} tensors are more than {MAX_TENSORS:,}", "graph")
        if source.sparse_initializer:
            raise self._fail("sparse tensors are not supported", "graph.sparse_initializer")
        tensors: dict[str, NDArray[Any]] = {}
        for tensor in source.initializer:
            name = self._name(tensor.name, "tensor")
            if name in tensors:
                raise self._fail("defined twice", f"tensor {name!r}")
            tensors[name] = self._tensor(tensor, f"tensor {name!r}")
        inputs = tuple(self._value(value) for value in source.input if value.name not in tensors)
        nodes = self._without_constants(self._nodes(source.node), tensors)
        outputs = tuple(self._output(value) for value in source.output)
        if not outputs:
            raise self._fail("the graph has no outputs", "graph.output")
        ordered = self._sorted(nodes, {value.name for value in inputs} | tensors.keys())
        made = {value.name for value in inputs} | tensors.keys() | {name for node in ordered for name in node.outputs}
        for value in outputs:
            if value.name not in made:
                raise self._fail("no node makes it", f"output {value.name!r}")
        self._check_finite(ordered, tensors)
        return SourceGraph(self._path, inputs, outputs, ordered, tensors, self._model)

    def _check_header(self) -> None:
        if self._model.functions:
            raise self._fail("functions of the model's own are not supported", "functions")
        if self._model.training_info:
            raise self._fail("training graphs are not supported", "training_info")
        if not self._model.opset_import:
            raise self._fail("no opset_import (truncated, or no ONNX file)")
        for opset in self._model.opset_import[:64]:
            domain = "" if opset.domain == "ai.onnx" else self._text(opset.domain, "opset_import")
            low, high = OPSETS.get(domain, (None, None))
            if low is not None and high is not None and not low <= opset.version <= high:
                raise self._fail(f"version {opset.version} of {domain or 'ai.onnx'} is not in {low}..{high}", "opset")

    def _text(self, text: str | bytes, where: str = "graph") -> str:
        """A name of the file; what is no UTF-8 comes as bytes."""
        if isinstance(text, bytes):
            raise self._fail(f"{text[:32]!r} is no UTF-8", where)
        return text

    def _name(self, name: str | bytes, kind: str) -> str:
        name = self._text(name)
        if not name:
            raise self._fail(f"a {kind} without a name", "graph")
        if len(name.encode()) > MAX_NAME_BYTES:
            raise self._fail(f"the name of a {kind} has more than {MAX_NAME_BYTES} bytes", name[:32] + "…")
        return name

    def _shape(self, sizes: Iterable[int], where: str) -> tuple[int, ...]:
        shape = tuple(sizes)
        if len(shape) > MAX_RANK:
            raise self._fail(f"{len(shape)} dimensions are more than {MAX_RANK}", where)
        elements = 1
        for size in shape:
            if size < 0:
                raise self._fail(f"negative dimension {size}", where)
            elements *= size
            if elements > MAX_ELEMENTS:
                raise self._fail(f"more than {MAX_ELEMENTS:,} elements (shape {list(shape)})", where)
        return shape

    def _tensor(self, tensor: Any, where: str) -> NDArray[Any]:  # noqa: ANN401
        if tensor.data_location == 1 or tensor.external_data:
            places = {entry.key: entry.value for entry in tensor.external_data[:8]}
            raise self._fail(f"external data ({places.get('location', '?')!r}) is never opened; put it inside", where)
        shape = self._shape(tensor.dims, where)
        if tensor.HasField("segment"):
            raise self._fail("segmented tensors are not supported", where)
        if tensor.data_type == STRING_TYPE:
            raise self._fail("strings are not supported in tensors", where)
        if tensor.data_type not in DTYPES:
            raise self._fail(f"element type {tensor.data_type} is not supported", where)
        dtype = np.dtype(DTYPES[tensor.data_type])
        expected = int(np.prod(shape, dtype=np.int64))
        if tensor.raw_data and len(tensor.raw_data) != expected * dtype.itemsize:
            raise self._fail(
                f"{len(tensor.raw_data):,} bytes of data where the shape needs {expected * dtype.itemsize:,}", where
            )
        from onnx import numpy_helper

        try:
            array: NDArray[Any] = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, OverflowError) as error:
            raise self._fail(f"data and shape disagree: {error}", where) from None
        if array.shape != shape:
            raise self._fail(f"data of shape {list(array.shape)} where {list(shape)} is declared", where)
        return array

    def _value(self, value: Any) -> SourceValue:  # noqa: ANN401
        name = self._name(value.name, "input")
        where = f"input {name!r}"
        if value.type.WhichOneof("value") != "tensor_type":
            raise self._fail("not a tensor", where)
        kind = value.type.tensor_type
        if kind.elem_type not in DTYPES:
            raise self._fail(f"element type {kind.elem_type} is not supported", where)
        return SourceValue(name, DTYPES[kind.elem_type], self._symbolic(kind.shape.dim, where))

    def _symbolic(self, dimensions: Any, where: str) -> tuple[int | str, ...]:  # noqa: ANN401
        if len(dimensions) > MAX_RANK:
            raise self._fail(f"{len(dimensions)} dimensions are more than {MAX_RANK}", where)
        shape: list[int | str] = []
        for size in dimensions:
            if size.WhichOneof("value") == "dim_value":
                if not 0 < size.dim_value <= MAX_DIMENSION:
                    raise self._fail(f"dimension {size.dim_value} is not in 1..{MAX_DIMENSION:,}", where)
                shape.append(int(size.dim_value))
            else:
                shape.append(self._text(size.dim_param, where)[:MAX_NAME_BYTES])
        return tuple(shape)

    def _output(self, value: Any) -> SourceValue:  # noqa: ANN401
        name = self._name(value.name, "output")
        if value.type.WhichOneof("value") != "tensor_type":  # a classifier's map of probabilities
            return SourceValue(name, "map", ())
        kind = value.type.tensor_type
        shape = tuple(
            size.dim_value if size.WhichOneof("value") == "dim_value" else size.dim_param
            for size in kind.shape.dim[:MAX_RANK]
        )
        return SourceValue(name, DTYPES.get(kind.elem_type, "string" if kind.elem_type == STRING_TYPE else "?"), shape)

    def _nodes(self, source: Any) -> list[SourceNode]:  # noqa: ANN401
        nodes = []
        for index, node in enumerate(source):
            label = self._text(node.name) or f"#{index}"
            where = f"node {label!r} ({self._text(node.op_type)})"
            if node.domain not in {"", "ai.onnx", "ai.onnx.ml"}:
                raise self._fail(f"operators of domain {node.domain!r} are not supported", where)
            if len(node.input) > MAX_TENSORS or len(node.output) > MAX_TENSORS:
                raise self._fail("too many inputs or outputs", where)
            for name in [*node.input, *node.output, *(attribute.name for attribute in node.attribute[:256])]:
                self._text(name, where)
            attributes = {attribute.name: self._attribute(attribute, where) for attribute in node.attribute[:256]}
            nodes.append(SourceNode(label, node.op_type, tuple(node.input), tuple(node.output), attributes))
        return nodes

    def _without_constants(self, nodes: list[SourceNode], tensors: dict[str, NDArray[Any]]) -> list[SourceNode]:
        """Without ``Constant`` nodes: what they hold joins ``tensors``."""
        kept = []
        for node in nodes:
            if node.operator != "Constant":
                kept.append(node)
                continue
            if len(node.outputs) != 1 or len(node.attributes) != 1:
                raise self._fail("a constant has one attribute and one output", str(node))
            ((kind, value),) = node.attributes.items()
            if kind not in {"value", "value_float", "value_floats", "value_int", "value_ints"}:
                raise self._fail(f"constants by {kind!r} are not supported", str(node))
            if node.outputs[0] in tensors:
                raise self._fail("defined twice", f"tensor {node.outputs[0]!r}")
            value = value.array if isinstance(value, TensorAttribute) else value
            dtype = {"value": None, "value_int": np.int64, "value_ints": np.int64}.get(kind, np.float32)
            tensors[node.outputs[0]] = np.asarray(value, dtype=dtype)
        return kept

    def _attribute(self, attribute: Any, where: str) -> Any:  # noqa: ANN401
        from onnx import AttributeProto as Kind

        where = f"{where}.{attribute.name}"
        if attribute.type in {Kind.GRAPH, Kind.GRAPHS}:
            raise self._fail("control flow (a graph inside a node) is not supported", where)
        if attribute.ref_attr_name:
            raise self._fail("references to a function's attributes are not supported", where)
        if attribute.type == Kind.TENSOR:
            return TensorAttribute(self._tensor(attribute.t, where))
        if attribute.type == Kind.FLOAT:
            return float(self._finite(np.asarray(attribute.f), where))
        if attribute.type == Kind.INT:
            return int(attribute.i)
        if attribute.type == Kind.STRING:
            return attribute.s.decode(errors="replace")
        lists = {Kind.FLOATS: attribute.floats, Kind.INTS: attribute.ints, Kind.STRINGS: attribute.strings}
        if attribute.type not in lists:
            raise self._fail("attributes of this type are not supported", where)
        values = lists[attribute.type]
        if len(values) > MAX_ATTRIBUTE_ITEMS:
            raise self._fail(f"{len(values):,} items are more than {MAX_ATTRIBUTE_ITEMS:,}", where)
        if attribute.type == Kind.STRINGS:
            return [value.decode(errors="replace") for value in values]
        if attribute.type == Kind.INTS:
            return list(values)
        return self._finite(np.array(values, dtype=np.float32), where)

    def _finite(self, array: NDArray[Any], where: str) -> NDArray[Any]:
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise self._fail("NaN or infinite", where)
        return array

    def _sorted(self, nodes: list[SourceNode], known: Iterable[str]) -> tuple[SourceNode, ...]:
        """The nodes in an order in which each value is made before it is used (the format demands it)."""
        maker: dict[str, SourceNode] = {}
        known = set(known)
        for node in nodes:
            for name in filter(None, node.outputs):
                if name in maker or name in known:
                    raise self._fail(f"value {name!r} is made twice", str(node))
                maker[name] = node
        made = set(known)
        ready: list[SourceNode] = []
        for node in nodes:
            for name in filter(None, node.inputs):
                if name not in made:
                    detail = f"no node makes its input {name!r}"
                    if name in maker:
                        detail = f"uses {name!r} before {maker[name]} makes it: a cycle, or not sorted"
                    raise self._fail(detail, str(node))
            made.update(filter(None, node.outputs))
            ready.append(node)
        return tuple(ready)

    def _check_finite(self, nodes: tuple[SourceNode, ...], tensors: dict[str, NDArray[Any]]) -> None:
        """Weights are finite. What is infinite in a mask (``Where`` takes it) is no weight."""
        bad = {
            name: array for name, array in tensors.items() if array.dtype.kind == "f" and not np.isfinite(array).all()
        }
        if not bad:
            return
        for node in nodes:
            for name in node.inputs:
                if name in bad and not (node.operator == "Where" and bad[name].size == 1):
                    raise self._fail(f"NaN or infinite values in its tensor {name!r}", str(node))
