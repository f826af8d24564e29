"""The artefact: one canonical safetensors file with weights, tables and the graph; its SHA-256 is the model's identity.

A plain reader and writer, the reference of the Rust one: both accept and refuse the same files.
Source: docs/integer-graphs.md, section 2.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from solder.coprocessors.ai.graph import MAX_AXES, MAX_EXTENT, NAME, Graph
from solder.coprocessors.ai.graph_admission import admit
from solder.coprocessors.ai.graph_canonical import Json, canonical_text, parse_canonical
from solder.coprocessors.ai.graph_cost import Cost, graph_cost
from solder.coprocessors.ai.reference.site import Site, Tensor, Value
from solder.errors import InputError

__all__ = ["Artefact", "container", "quote", "read_artefact", "write_artefact"]

MAX_FILE: Final = 1 << 30
MAX_HEADER: Final = 1 << 22
LENGTH: Final = 8
DTYPES: Final[dict[str, type[np.int8 | np.int16 | np.int32]]] = {"I8": np.int8, "I16": np.int16, "I32": np.int32}


@dataclass(frozen=True, slots=True)
class Artefact:
    """An admitted model: graph, tensors, SHA-256 of the file, proven values by name, nodes with their operands."""

    graph: Graph
    tensors: dict[str, Tensor]
    identity: str
    values: dict[str, Value]
    sites: list[Site]
    size: int

    @property
    def parameters(self) -> int:
        """Elements of all tensors."""
        return sum(tensor.size for tensor in self.tensors.values())


def quote(artefact: Artefact, n: int, sequence: int | None = None) -> Cost:
    """The exact cost of a run at batch ``n`` and this sequence (None: the longest)."""
    return graph_cost(artefact.graph, artefact.sites, artefact.values, n, sequence)


def write_artefact(graph: Graph, tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The canonical file; raises InputError where the graph would not be admitted."""
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES.values():
            raise InputError(f"{tensor.dtype}, not int8, int16 or int32", field=f"tensors.{name}")
    raw = container(canonical_text(graph.as_json()), tensors)
    read_artefact(raw)
    return raw


def container(graph_text: str, tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The bytes of a file with this graph text and these tensors; nothing is checked."""
    header: dict[str, Json] = {"__metadata__": {"solder": graph_text}}
    parts: list[bytes] = []
    offset = 0
    kinds = {np.dtype(kind): name for name, kind in DTYPES.items()}
    for name in sorted(tensors):
        tensor = tensors[name]
        raw = tensor.astype(tensor.dtype.newbyteorder("<")).tobytes()
        header[name] = {
            "data_offsets": [offset, offset + len(raw)],
            "dtype": kinds[tensor.dtype],
            "shape": list(tensor.shape),
        }
        parts.append(raw)
        offset += len(raw)
    text = canonical_text(header).encode()
    text += b" " * (-len(text) % LENGTH)
    return b"".join([len(text).to_bytes(LENGTH, "little"), text, *parts])


def read_artefact(raw: bytes, path: str | None = None) -> Artefact:
    """The model of a file's bytes; raises InputError naming ``path`` and the field that is wrong."""
    try:
        graph, tensors = _parse(raw)
        values, sites = admit(graph, tensors)
    except InputError as error:
        raise InputError(error.detail, path, error.field) from None
    return Artefact(graph, tensors, hashlib.sha256(raw).hexdigest(), values, sites, len(raw))


def _parse(raw: bytes) -> tuple[Graph, dict[str, Tensor]]:
    if len(raw) > MAX_FILE:
        raise InputError(f"{len(raw)} bytes, more than {MAX_FILE}", field="file")
    if len(raw) < LENGTH:
        raise InputError(f"{len(raw)} bytes, fewer than {LENGTH}", field="file")
    length = int.from_bytes(raw[:LENGTH], "little")
    if length > MAX_HEADER or length % LENGTH or LENGTH + length > len(raw):
        raise InputError(f"{length} is not a length of a header here", field="header")
    text = raw[LENGTH : LENGTH + length]
    stripped = text.rstrip(b" ")
    if len(text) - len(stripped) >= LENGTH:
        raise InputError("more spaces after it than fill 8 bytes", field="header")
    header = parse_canonical(stripped, "header")
    if not isinstance(header, dict):
        raise InputError("not an object", field="header")
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or metadata.keys() != {"solder"}:
        raise InputError("not an object with solder and nothing else", field="header.__metadata__")
    graph_text = metadata["solder"]
    if not isinstance(graph_text, str):
        raise InputError("not a string", field="header.__metadata__.solder")
    tensors = _tensors(header, raw[LENGTH + length :])
    return Graph.from_json(parse_canonical(graph_text.encode(), "graph")), tensors


def _tensors(header: Mapping[str, Json], data: bytes) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    offset = 0
    for name in sorted(header):
        where = f"tensors.{name[:128]}"
        if not NAME.fullmatch(name):
            raise InputError("not a name of 1 to 128 of A-Z a-z 0-9 _ . / -", field=where)
        entry = header[name]
        if not isinstance(entry, dict) or entry.keys() != {"data_offsets", "dtype", "shape"}:
            raise InputError("not an object with data_offsets, dtype, shape and nothing else", field=where)
        kind = DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
        if kind is None:
            raise InputError("not I8, I16 or I32", field=f"{where}.dtype")
        shape = _tensor_shape(entry["shape"], where)
        end = offset + math.prod(shape) * np.dtype(kind).itemsize
        if entry["data_offsets"] != [offset, end] or end > len(data):
            raise InputError(f"not [{offset}, {end}] within {len(data)} bytes", field=f"{where}.data_offsets")
        flat: npt.NDArray[Any] = np.frombuffer(data, np.dtype(kind).newbyteorder("<"), math.prod(shape), offset)
        tensor: npt.NDArray[Any] = flat.reshape(shape).astype(kind)
        tensors[name] = tensor
        offset = end
    if offset != len(data):
        raise InputError(f"{len(data) - offset} bytes after the last tensor", field="file")
    return tensors


def _tensor_shape(source: Json, where: str) -> tuple[int, ...]:
    extents = [item for item in source if isinstance(item, int)] if isinstance(source, list) else []
    if not isinstance(source, list) or len(extents) != len(source) or not 1 <= len(extents) <= MAX_AXES:
        raise InputError(f"not a list of 1 to {MAX_AXES} integers", field=f"{where}.shape")
    if min(extents) < 1 or max(extents) > MAX_EXTENT:
        raise InputError(f"an extent is not in 1..{MAX_EXTENT}", field=f"{where}.shape")
    return tuple(extents)
