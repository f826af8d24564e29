"""Bad graphs, files and inputs are refused with the node and the field that are wrong; nothing else is raised."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from solder.coprocessors.ai.artefact import container, read_artefact, write_artefact
from solder.coprocessors.ai.graph_canonical import canonical_text, parse_canonical
from solder.coprocessors.ai.reference import run
from solder.errors import InputError

from .small_models import CONTEXT, decoder, dense

Change = Callable[[Any], object]


def _node(document: Any, name: str) -> Any:
    return next(node for node in document["nodes"] if node["name"] == name)


def _set(path: str, value: object) -> Change:
    """Sets a place in the graph's JSON: ``nodes.fc.operator``, ``inputs.0.shape``."""

    def change(document: Any) -> None:
        *way, last = path.split(".")
        place = document
        for step in way:
            if step.isdigit():
                place = place[int(step)]
            elif isinstance(place, list):
                place = next(item for item in place if item["name"] == step)
            else:
                place = place[step]
        if isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value

    return change


GRAPHS: list[tuple[Change, str]] = [
    (_set("format", 2), "graph.format"),
    (_set("extra", 1), "graph: has an unknown key 'extra'"),
    (lambda graph: graph.pop("labels"), "graph: lacks labels"),
    (_set("batch_limit", 0), "graph.batch_limit"),
    (_set("batch_limit", 65_537), "graph.batch_limit"),
    (_set("sequence_limit", 2), "graph.sequence_limit"),
    (_set("tokeniser_sha256", "ab"), "graph.tokeniser_sha256"),
    (_set("title", 5), "graph.title: not a string"),
    (_set("title", "x" * 257), "graph.title: more than 256 bytes"),
    (_set("inputs", []), "graph.inputs: 0 items"),
    (_set("outputs", []), "graph.outputs: 0 items"),
    (_set("inputs.0.bits", 9), "graph.inputs[0].bits"),
    (_set("inputs.0.maximum", 128), "graph.inputs[0].maximum"),
    (_set("inputs.0.minimum", 127), None),  # type: ignore[list-item]
    (_set("inputs.0.shape", ["batch", 0]), "graph.inputs[0].shape[1]"),
    (_set("inputs.0.shape", ["batch", -4]), "graph.inputs[0].shape[1]"),
    (_set("inputs.0.shape", ["batch", 1 << 40]), "graph.inputs[0].shape[1]"),
    (_set("inputs.0.shape", [4, 4]), "graph.inputs[0].shape"),
    (_set("inputs.0.shape", ["batch", "batch"]), "graph.inputs[0].shape"),
    (_set("inputs.0.shape", ["batch"] + [1 << 20] * 5), "graph.inputs[0].shape"),
    (_set("inputs.0.shape", ["batch", "width"]), "graph.inputs[0].shape[1]"),
    (_set("inputs.0.name", "a b"), "graph.inputs[0].name"),
    (_set("inputs.0.name", "weight"), "graph.inputs[0].name: the name weight is taken"),
    (_set("inputs.0.coding", {"kind": "float"}), "graph.inputs[0].coding.kind"),
    (_set("inputs.0.coding", {"kind": "fixed", "multiplier": 0, "shift": 1}), "graph.inputs[0].coding.multiplier"),
    (_set("nodes.fc.operator", "custom"), "graph.nodes[0] fc.operator: no operator 'custom'"),
    (_set("nodes.fc.name", "fit"), "graph.nodes[1].name: a second node of the name fit"),
    (_set("nodes.fc.inputs", ["z", "weight"]), "graph.nodes[0] fc.inputs[0]: z is not known here"),
    (_set("nodes.fc.inputs", ["x"]), "graph.nodes[0] fc (linear).inputs: 1 operands, not 2 to 3"),
    (_set("nodes.fc.inputs", ["weight", "x"]), "graph.nodes[0] fc (linear).x"),
    (_set("nodes.fc.inputs", ["x", "bias"]), "graph.nodes[0] fc (linear).weight: int32"),
    (_set("nodes.fc.outputs", ["a", "b"]), "graph.nodes[0] fc (linear).outputs: 2, not 1"),
    (_set("nodes.fc.outputs", ["x"]), "graph.nodes[0].outputs[0]: the name x is taken"),
    (_set("nodes.fc.attributes", {"code": 1}), "graph.nodes[0] fc (linear).code"),
    (_set("nodes.fit.attributes.shift", 0), "graph.nodes[1] fit (rescale).shift: 0 is not in 1..62"),
    (_set("nodes.fit.attributes.shift", 63), "graph.nodes[1] fit (rescale).shift"),
    (_set("nodes.fit.attributes.shift", [8]), "graph.nodes[1] fit (rescale).shift: a list"),
    (lambda graph: graph["nodes"][1]["attributes"].pop("bits"), "graph.nodes[1] fit (rescale).bits: is missing"),
    (_set("nodes.fit.attributes.bits", 9), "graph.nodes[1] fit (rescale).bits"),
    (_set("nodes.fit.attributes.maximum", 128), "graph.nodes[1] fit (rescale).minimum"),
    (_set("nodes.fit.attributes.maximum", -128), "graph.nodes[1] fit (rescale).minimum"),
    (_set("nodes.fit.inputs", ["sum", "bias"]), "graph.nodes[1] fit (rescale).multiplier: a negative multiplier"),
    (_set("outputs.0.name", "weight"), "graph.outputs[0].name: weight is not a value"),
    (_set("nodes.0.inputs", ["x", "weight"]), "tensors.bias: no node uses this tensor"),
]


@pytest.mark.parametrize(("change", "message"), GRAPHS)
def test_refusals_of_graphs_name_the_field(change: Change, message: str | None) -> None:
    graph, tensors = dense()
    document = copy.deepcopy(graph.as_json())
    change(document)
    raw = container(canonical_text(document), tensors)
    if message is None:
        assert read_artefact(raw).graph.inputs[0].minimum == 127
        return
    with pytest.raises(InputError) as caught:
        read_artefact(raw, "model.safetensors")
    assert str(caught.value).startswith(f"model.safetensors: {message}")


def test_refusals_of_a_cycle_name_the_operand() -> None:
    graph, tensors = decoder(cached=False)
    document: Any = copy.deepcopy(graph.as_json())
    _node(document, "stream")["inputs"][0] = "summed"
    with pytest.raises(InputError, match=r"stream.inputs.0.: summed is not known here"):
        read_artefact(container(canonical_text(document), tensors))


def _header(raw: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def _file(header: object, data: bytes) -> bytes:
    text = canonical_text(header).encode() if not isinstance(header, bytes) else header  # type: ignore[arg-type]
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


HEADERS: list[tuple[Change, str]] = [
    (_set("weight.dtype", "F32"), "tensors.weight.dtype"),
    (_set("weight.dtype", "I64"), "tensors.weight.dtype"),
    (_set("weight.shape", [3, -4]), "tensors.weight.shape"),
    (_set("weight.shape", [3, 0]), "tensors.weight.shape"),
    (_set("weight.shape", []), "tensors.weight.shape"),
    (_set("weight.shape", [1] * 7), "tensors.weight.shape"),
    (_set("weight.shape", [3, 1 << 24]), "tensors.weight.data_offsets"),
    (_set("weight.data_offsets", [17, 29]), "tensors.weight.data_offsets"),
    (_set("weight.data_offsets", [0, 12]), "tensors.weight.data_offsets"),
    (_set("weight.extra", 1), "tensors.weight"),
    (_set("__metadata__.format", "pt"), "header.__metadata__"),
    (_set("__metadata__.solder", 1), "header.__metadata__.solder"),
    (_set("__metadata__", {}), "header.__metadata__"),
]


@pytest.mark.parametrize(("change", "message"), HEADERS)
def test_refusals_of_headers_name_the_field(change: Change, message: str) -> None:
    header, data = _header(write_artefact(*dense()))
    change(header)
    with pytest.raises(InputError) as caught:
        read_artefact(_file(header, data))
    assert str(caught.value).startswith(message)


def test_refusals_every_truncation_of_a_file() -> None:
    raw = write_artefact(*dense())
    for length in range(len(raw)):
        with pytest.raises(InputError):
            read_artefact(raw[:length])
    with pytest.raises(InputError, match="after the last tensor"):
        read_artefact(raw + b"\0")


def test_refusals_of_files_that_are_not_canonical() -> None:
    raw = write_artefact(*dense())
    header, data = _header(raw)
    assert _file(header, data) == raw
    spaced = json.dumps(header, sort_keys=True).encode()
    unsorted = json.dumps(dict(reversed(header.items())), separators=(",", ":")).encode()
    text = canonical_text(header).encode()
    for other in (
        spaced,
        unsorted,
        b" " + text,
        text + b" " * 8,
        text.replace(b'"shape":[3,4]', b'"shape":[3,4],"shape":[3,4]'),
        text.replace(b'"shape":[3,4]', b'"shape":[3,04]'),
        text.replace(b'"shape":[3,4]', b'"shape":[3,4.0]'),
        text.replace(b'"shape":[3,4]', b'"shape":[3,4e0]'),
        text.replace(b'"shape":[3,4]', b'"shape":[3,true]'),
        text.replace(b'"shape":[3,4]', b'"shape":[3,NaN]'),
        text.replace(b'"dtype"', b'"dtyp\\u0065"', 1),
        text.replace(b"dense", b"den\\u0073e"),
        text.replace(b"dense", b"den\\nse"),
        text.replace(b"dense", b"den\nse"),
        text.replace(b"dense", b"den\xff\xfe"),
        b"[" * 100_000,
        b"[" * 9 + b"]" * 9,
        b"9" * 5000,
        b"",
    ):
        assert other != text
        with pytest.raises(InputError) as caught:
            read_artefact(_file(other, data))
        assert caught.value.field


@pytest.mark.parametrize("text", ["{}", '{"a":-1,"b":[1,"x"]}', '["\\"\\\\é"]', "9223372036854775807"])
def test_refusals_canonical_text_is_taken(text: str) -> None:
    assert canonical_text(parse_canonical(text.encode(), "here")) == text


@pytest.mark.parametrize(
    "text",
    ["-0", "1.5", "9223372036854775808", "null", "true", '{"b":1,"a":1}', '{"a":1,"a":1}', "1 ", '"\\t"', '"\\/"'],
)
def test_refusals_other_text_is_not(text: str) -> None:
    with pytest.raises(InputError, match="here: not canonical JSON"):
        parse_canonical(text.encode(), "here")


GOOD = np.zeros((2, 4), dtype=np.int8)
INPUTS: list[tuple[dict[str, Any], str]] = [
    ({}, "x: is missing"),
    ({"x": [[0, 0, 0, 0]]}, "x: not a NumPy array"),
    ({"x": GOOD, "y": GOOD}, "y: the graph has no such input"),
    ({"x": GOOD.astype(np.int16)}, "x: int16, not int8"),
    ({"x": GOOD.astype(np.float32)}, "x: float32, not int8"),
    ({"x": GOOD[0]}, "x: 1 axes, not 2"),
    ({"x": GOOD[:, :3]}, "x: shape [2, 3]"),
    ({"x": np.zeros((0, 4), dtype=np.int8)}, "x: shape [0, 4]"),
    ({"x": np.zeros((65, 4), dtype=np.int8)}, "x: shape [65, 4], not ['batch', 4] (limits: batch 64)"),
]


@pytest.mark.parametrize(("inputs", "message"), INPUTS)
def test_refusals_of_inputs_name_them(inputs: dict[str, Any], message: str) -> None:
    artefact = read_artefact(write_artefact(*dense()))
    with pytest.raises(InputError) as caught:
        run(artefact, inputs)
    assert str(caught.value).startswith(message)


def test_refusals_of_inputs_that_do_not_agree_or_leave_their_range() -> None:
    artefact = read_artefact(write_artefact(*decoder(cached=True)))
    good: dict[str, Any] = {
        "token": np.zeros((2, 1), dtype=np.int32),
        "position": np.zeros(2, dtype=np.int32),
        "keys": np.zeros((2, 3, 8), dtype=np.int8),
        "values": np.zeros((2, 3, 8), dtype=np.int8),
    }
    run(artefact, good)
    for name, wrong, message in (
        ("token", np.full((2, 1), 11, dtype=np.int32), "token: 11..11 is not within 0..10"),
        ("token", np.full((2, 1), -1, dtype=np.int32), "token: -1..-1 is not within 0..10"),
        ("values", np.zeros((2, 4, 8), dtype=np.int8), "values: shape [2, 4, 8]"),
        ("position", np.zeros(3, dtype=np.int32), "position: shape [3]"),
        ("keys", np.zeros((2, CONTEXT + 1, 8), dtype=np.int8), "keys: shape [2, 13, 8]"),
    ):
        with pytest.raises(InputError) as caught:
            run(artefact, good | {name: wrong})
        assert str(caught.value).startswith(message)


def test_refusals_without_numpy_name_the_extra() -> None:
    program = (
        "import importlib.util as u, sys; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'numpy' else real(name, *rest)\n"
        "from solder.errors import InputError\n"
        "try:\n    import solder.coprocessors.ai.artefact\n"
        "except InputError as error:\n    sys.exit(0 if 'solder-evm[ai]' in str(error) else 1)\n"
        "sys.exit(2)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_refusals_solder_itself_does_not_load_numpy() -> None:
    program = "import solder, solder.cli.group, sys; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
