"""The integer graph as data, and its JSON form with typed errors. Nothing here knows what an operator does.

Source: docs/integer-graphs.md, section 2.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from solder.coprocessors.ai.graph_canonical import Json
from solder.errors import InputError

__all__ = [
    "BATCH",
    "SEQUENCE",
    "Attribute",
    "Axis",
    "Coding",
    "Graph",
    "Input",
    "Node",
    "Output",
    "Shape",
    "bits_range",
]

BATCH: Final = "batch"
SEQUENCE: Final = "sequence"
FORMAT: Final = 1
MAX_NODES: Final = 65_536
MAX_ENDS: Final = 64
MAX_AXES: Final = 6
MAX_EXTENT: Final = 1 << 24
MAX_LIMIT: Final = 65_536
MAX_TEXT: Final = 256
MAX_LABELS: Final = 65_536
NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,128}")
SHA256: Final = re.compile(r"[0-9a-f]{64}")
BITS: Final = (8, 16, 32)

Axis = int | str
"""A positive integer, ``batch`` or ``sequence``."""
Shape = tuple[Axis, ...]
Attribute = int | tuple[Axis, ...]


def bits_range(bits: int) -> tuple[int, int]:
    """The smallest and the largest integer of so many bits."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


@dataclass(frozen=True, slots=True)
class Coding:
    """What integers mean: ``index``, ``fixed`` (real = integer * multiplier / 2**shift), ``float32_order``."""

    kind: str = "index"
    multiplier: int = 1
    shift: int = 0

    def as_json(self) -> Json:
        """The object of the graph's JSON."""
        if self.kind == "fixed":
            return {"kind": self.kind, "multiplier": self.multiplier, "shift": self.shift}
        return {"kind": self.kind}


@dataclass(frozen=True, slots=True)
class Input:
    """A value that a run is given: its shape begins with ``batch``; a run refuses what is outside the range."""

    name: str
    bits: int
    shape: Shape
    minimum: int
    maximum: int
    coding: Coding = field(default_factory=Coding)

    def as_json(self) -> Json:
        """The object of the graph's JSON."""
        return {
            "bits": self.bits,
            "coding": self.coding.as_json(),
            "maximum": self.maximum,
            "minimum": self.minimum,
            "name": self.name,
            "shape": list(self.shape),
        }


@dataclass(frozen=True, slots=True)
class Node:
    """One operator at work: names of operands (values or tensors) in, names of values out."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def as_json(self) -> Json:
        """The object of the graph's JSON."""
        return {
            "attributes": {
                key: list(value) if isinstance(value, tuple) else value for key, value in self.attributes.items()
            },
            "inputs": list(self.inputs),
            "name": self.name,
            "operator": self.operator,
            "outputs": list(self.outputs),
        }


@dataclass(frozen=True, slots=True)
class Output:
    """A value that a run returns."""

    name: str
    coding: Coding = field(default_factory=Coding)

    def as_json(self) -> Json:
        """The object of the graph's JSON."""
        return {"coding": self.coding.as_json(), "name": self.name}


@dataclass(frozen=True, slots=True)
class Graph:
    """Inputs, nodes in an order in which they can run, outputs."""

    inputs: tuple[Input, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    title: str = ""
    batch_limit: int = 64
    sequence_limit: int = 1
    labels: tuple[str, ...] = ()
    tokeniser_sha256: str = ""

    def limit(self, axis: Axis) -> int:
        """The largest extent of an axis."""
        if isinstance(axis, int):
            return axis
        return self.batch_limit if axis == BATCH else self.sequence_limit

    def as_json(self) -> Json:
        """The graph's JSON, not yet text."""
        return {
            "batch_limit": self.batch_limit,
            "format": FORMAT,
            "inputs": [item.as_json() for item in self.inputs],
            "labels": list(self.labels),
            "nodes": [node.as_json() for node in self.nodes],
            "outputs": [item.as_json() for item in self.outputs],
            "sequence_limit": self.sequence_limit,
            "title": self.title,
            "tokeniser_sha256": self.tokeniser_sha256,
        }

    @staticmethod
    def from_json(source: Json) -> "Graph":
        """The graph of parsed JSON; raises InputError naming the field. Operators are admission's business."""
        reader = _Reader(source, "graph")
        reader.keys(*_GRAPH_KEYS)
        if reader.at("format").integer(0, 1 << 31) != FORMAT:
            raise reader.at("format").error(f"format {FORMAT} is known, this is another")
        graph = Graph(
            inputs=tuple(_input(item) for item in reader.at("inputs").items(1, MAX_ENDS)),
            nodes=tuple(_node(item) for item in reader.at("nodes").items(0, MAX_NODES)),
            outputs=tuple(_output(item) for item in reader.at("outputs").items(1, MAX_ENDS)),
            title=reader.at("title").text(),
            batch_limit=reader.at("batch_limit").integer(1, MAX_LIMIT),
            sequence_limit=reader.at("sequence_limit").integer(1, MAX_LIMIT),
            labels=tuple(item.text() for item in reader.at("labels").items(0, MAX_LABELS)),
            tokeniser_sha256=reader.at("tokeniser_sha256").text(),
        )
        if graph.tokeniser_sha256 and not SHA256.fullmatch(graph.tokeniser_sha256):
            raise reader.at("tokeniser_sha256").error("neither empty nor 64 hexadecimal digits")
        if graph.sequence_limit != 1 and not any(SEQUENCE in item.shape for item in graph.inputs):
            raise reader.at("sequence_limit").error("not 1, and no input has a sequence")
        return graph


_GRAPH_KEYS = (
    *("batch_limit", "format", "inputs", "labels", "nodes", "outputs", "sequence_limit", "title"),
    "tokeniser_sha256",
)


class _Reader:
    """A place in the JSON: takes it as what it must be, or raises InputError with its field."""

    def __init__(self, value: Json, where: str) -> None:
        self.value = value
        self.where = where

    def error(self, detail: str) -> InputError:
        return InputError(detail, field=self.where)

    def mapping(self) -> dict[str, Json]:
        if not isinstance(self.value, dict):
            raise self.error("not an object")
        return self.value

    def keys(self, *names: str) -> None:
        found = self.mapping().keys()
        if missing := sorted(set(names) - found):
            raise self.error(f"lacks {missing[0]}")
        if unknown := sorted(found - set(names)):
            raise self.error(f"has an unknown key {unknown[0]!r}")

    def at(self, key: str) -> "_Reader":
        found = self.mapping()
        if key not in found:
            raise self.error(f"lacks {key}")
        return _Reader(found[key], f"{self.where}.{key}")

    def items(self, fewest: int, most: int) -> "list[_Reader]":
        if not isinstance(self.value, list):
            raise self.error("not a list")
        if not fewest <= len(self.value) <= most:
            raise self.error(f"{len(self.value)} items, not {fewest} to {most}")
        return [_Reader(item, f"{self.where}[{index}]") for index, item in enumerate(self.value)]

    def integer(self, least: int, largest: int) -> int:
        if not isinstance(self.value, int):
            raise self.error("not an integer")
        if not least <= self.value <= largest:
            raise self.error(f"{self.value} is not in {least}..{largest}")
        return self.value

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.error("not a string")
        if len(self.value.encode()) > MAX_TEXT:
            raise self.error(f"more than {MAX_TEXT} bytes")
        return self.value

    def name(self) -> str:
        found = self.text()
        if not NAME.fullmatch(found):
            raise self.error("not a name of 1 to 128 of A-Z a-z 0-9 _ . / -")
        return found

    def axis(self) -> Axis:
        if isinstance(self.value, str):
            if self.value not in (BATCH, SEQUENCE):
                raise self.error("neither batch nor sequence nor an integer")
            return self.value
        return self.integer(1, MAX_EXTENT)


def _coding(reader: _Reader) -> Coding:
    kind = reader.at("kind").text()
    if kind == "fixed":
        reader.keys("kind", "multiplier", "shift")
        multiplier = reader.at("multiplier").integer(1, (1 << 31) - 1)
        return Coding(kind, multiplier, reader.at("shift").integer(0, 62))
    if kind not in ("index", "float32_order"):
        raise reader.at("kind").error("neither index nor fixed nor float32_order")
    reader.keys("kind")
    return Coding(kind)


def _input(reader: _Reader) -> Input:
    reader.keys("bits", "coding", "maximum", "minimum", "name", "shape")
    bits = reader.at("bits").integer(8, 32)
    if bits not in BITS:
        raise reader.at("bits").error("not 8, 16 or 32")
    shape = tuple(item.axis() for item in reader.at("shape").items(1, MAX_AXES))
    if shape[0] != BATCH or BATCH in shape[1:]:
        raise reader.at("shape").error("batch is not the first axis, and only that")
    least, largest = bits_range(bits)
    minimum = reader.at("minimum").integer(least, largest)
    return Input(
        name=reader.at("name").name(),
        bits=bits,
        shape=shape,
        minimum=minimum,
        maximum=reader.at("maximum").integer(minimum, largest),
        coding=_coding(reader.at("coding")),
    )


def _output(reader: _Reader) -> Output:
    reader.keys("coding", "name")
    return Output(reader.at("name").name(), _coding(reader.at("coding")))


def _attribute(reader: _Reader) -> Attribute:
    if not isinstance(reader.value, list):
        return reader.integer(-(1 << 63), (1 << 63) - 1)
    return tuple(
        item.axis() if isinstance(item.value, str) else item.integer(-(1 << 63), (1 << 63) - 1)
        for item in reader.items(0, 64)
    )


def _node(reader: _Reader) -> Node:
    reader.keys("attributes", "inputs", "name", "operator", "outputs")
    attributes = reader.at("attributes")
    return Node(
        name=reader.at("name").name(),
        operator=reader.at("operator").name(),
        inputs=tuple(item.name() for item in reader.at("inputs").items(1, MAX_ENDS)),
        outputs=tuple(item.name() for item in reader.at("outputs").items(1, MAX_ENDS)),
        attributes={key: _attribute(attributes.at(key)) for key in attributes.mapping()},
    )
