"""`Artefact` of the native module: loading, describing, running; refusals name the file and the field."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from solder import _native
from solder._native import Artefact
from solder.coprocessors.ai.artefact import quote, read_artefact, write_artefact
from solder.coprocessors.ai.graph import BATCH, Graph, Input, Node, Output
from solder.coprocessors.ai.reference import run
from solder.errors import InputError

from .small_models import decoder, dense

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

INTERRUPT_SECONDS = 1.0


@pytest.fixture(scope="module")
def dense_bytes() -> bytes:
    return write_artefact(*dense())


@pytest.fixture(scope="module")
def decoder_bytes() -> bytes:
    return write_artefact(*decoder(cached=False))


def _rows(count: int, seed: int = 3) -> dict[str, npt.NDArray[Any]]:
    return {"x": np.random.default_rng(seed).integers(-128, 128, (count, 4)).astype(np.int8)}


def test_artefact_from_bytes_and_from_a_path_are_one(dense_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "dense.safetensors"
    path.write_bytes(dense_bytes)
    for artefact in (Artefact.load(dense_bytes), Artefact.load(path), Artefact.load(str(path))):
        assert artefact.identity == hashlib.sha256(dense_bytes).digest()
        assert artefact.file_bytes == len(dense_bytes)
        assert artefact.parameters == 12 + 3 + 1
    assert Artefact.load(path, expected=artefact.identity).identity == artefact.identity


def test_artefact_of_another_identity_is_refused(dense_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "dense.safetensors"
    path.write_bytes(dense_bytes)
    with pytest.raises(InputError, match="not the expected one") as caught:
        Artefact.load(path, expected=bytes(32))
    assert (caught.value.path, caught.value.field) == (str(path), "identity")


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"\xff" * 64, b"{}", bytes(4096)])
def test_artefact_that_is_none_is_refused_with_its_path(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "none.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        Artefact.load(path)
    assert caught.value.path == str(path)
    assert caught.value.field


def test_artefact_truncated_anywhere_is_refused(dense_bytes: bytes) -> None:
    for length in range(0, len(dense_bytes), 7):
        with pytest.raises(InputError):
            Artefact.load(dense_bytes[:length])


def test_artefact_missing_file_and_wrong_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        Artefact.load(tmp_path / "absent")
    with pytest.raises(InputError):
        Artefact.load(tmp_path)
    with pytest.raises(InputError, match="neither bytes nor a path"):
        Artefact.load(7)  # type: ignore[arg-type]


def test_artefact_refusal_names_node_and_operand() -> None:
    graph, tensors = dense()
    wide = {**tensors, "bias": np.array([2**31 - 1, 0, 0], dtype=np.int32)}
    file = write_artefact(graph, tensors).replace(tensors["bias"].tobytes(), wide["bias"].tobytes())
    with pytest.raises(InputError, match="an accumulator may be") as caught:
        Artefact.load(file)
    assert caught.value.field == "graph.nodes[0] (linear fc)"


def test_artefact_describes_itself_as_the_reference_does(decoder_bytes: bytes) -> None:
    native, plain = Artefact.load(decoder_bytes), read_artefact(decoder_bytes)
    assert native.identity.hex() == plain.identity
    assert json.loads(native.graph)["title"] == plain.graph.title
    assert [port["name"] for port in native.inputs] == [port.name for port in plain.graph.inputs]
    for value in native.values():
        known = plain.values[value["name"]]
        assert (value["bits"], value["minimum"], value["maximum"]) == (known.bits, known.low, known.high)
    for name, tensor in plain.tensors.items():
        assert np.array_equal(native.tensor(name), tensor)
        assert native.tensor(name).dtype == tensor.dtype
    cost, quoted = native.cost(3, 5), quote(plain, 3, 5)
    assert (cost["macs"], cost["bytes"]) == (quoted.multiply_accumulates, quoted.bytes)
    with pytest.raises(InputError, match="no tensor"):
        native.tensor("none")


def test_artefact_runs_as_the_reference_on_every_kernel(decoder_bytes: bytes) -> None:
    native, plain = Artefact.load(decoder_bytes), read_artefact(decoder_bytes)
    tokens = {"token": np.random.default_rng(5).integers(0, 11, (7, 12)).astype(np.int32)}
    expected = run(plain, tokens)
    assert "scalar" in _native.ai_kernels()
    for kernel in (None, *_native.ai_kernels()):
        for threads in (1, 2, 5):
            outputs = native.run(tokens, kernel=kernel, threads=threads, thread_macs=1)
            assert outputs.keys() == expected.keys()
            for name, output in outputs.items():
                assert np.array_equal(output, expected[name])
                assert output.flags.writeable


def test_artefact_takes_any_layout_and_keeps_its_input(dense_bytes: bytes) -> None:
    artefact = Artefact.load(dense_bytes)
    x = np.asfortranarray(_rows(6)["x"])
    before = x.copy()
    strided = np.repeat(x, 2, axis=0)[::2]
    z = artefact.run({"x": np.ascontiguousarray(x)})["z"]
    assert np.array_equal(artefact.run({"x": x})["z"], z)
    assert np.array_equal(artefact.run({"x": strided})["z"], z)
    assert np.array_equal(x, before)


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({}, "inputs.x"),
        ({"x": np.zeros((2, 4), np.int8), "y": np.zeros(1, np.int8)}, "inputs.y"),
        ({"x": np.zeros((2, 4), np.int16)}, "inputs.x"),
        ({"x": np.zeros((2, 4), np.float32)}, "inputs.x"),
        ({"x": np.zeros((2, 4), np.uint8)}, "inputs.x"),
        ({"x": np.zeros((2, 4), ">i2")}, "inputs.x"),
        ({"x": np.zeros((2, 5), np.int8)}, "inputs.x"),
        ({"x": np.zeros(4, np.int8)}, "inputs.x"),
        ({"x": np.zeros((0, 4), np.int8)}, "inputs.x"),
        ({"x": np.zeros((70_000, 4), np.int8)}, "inputs.x"),
        ({"x": [1, 2, 3, 4]}, "inputs.x"),
        ({1: np.zeros((2, 4), np.int8)}, "inputs"),
    ],
)
def test_artefact_refuses_inputs_by_name(dense_bytes: bytes, inputs: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        Artefact.load(dense_bytes).run(inputs)
    assert caught.value.field == field


def test_artefact_refuses_options_by_name(dense_bytes: bytes) -> None:
    artefact = Artefact.load(dense_bytes)
    for options, field in [
        ({"kernel": "fastest"}, "kernel"),
        ({"threads": 0}, "threads"),
        ({"threads": 65}, "threads"),
        ({"memory_limit": 8}, "memory_limit"),
    ]:
        with pytest.raises(InputError) as caught:
            artefact.run(_rows(3), **options)  # type: ignore[arg-type]
        assert caught.value.field == field
    memory = artefact.cost(3)["memory_bytes"]
    assert artefact.run(_rows(3), memory_limit=memory)["z"].shape == (3, 3)
    with pytest.raises(InputError, match="memory_limit"):
        artefact.run(_rows(3), memory_limit=memory - 1)


def test_artefact_profile_times_every_call_and_node_once(decoder_bytes: bytes) -> None:
    artefact = Artefact.load(decoder_bytes)
    tokens = {"token": np.ones((2, 5), np.int32)}
    outputs, times = artefact.profile(tokens)
    nodes = json.loads(artefact.graph)["nodes"]
    assert sorted(node for call in times for node in call["nodes"]) == list(range(len(nodes)))
    assert all(call["operator"] == nodes[call["node"]]["operator"] for call in times)
    assert sum(call["nanoseconds"] for call in times) > 0
    plain = artefact.run(tokens)
    assert all(np.array_equal(outputs[name], plain[name]) for name in plain)


def test_artefact_runs_beside_each_other(decoder_bytes: bytes) -> None:
    artefact = Artefact.load(decoder_bytes)
    tokens = [{"token": np.full((4, 1 + length), length, np.int32)} for length in range(6)]
    expected = [artefact.run(given) for given in tokens]
    wrong: list[int] = []

    def work(at: int) -> None:
        for _ in range(50):
            found = artefact.run(tokens[at], threads=1 + at % 3)
            if any(not np.array_equal(found[name], expected[at][name]) for name in found):
                wrong.append(at)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_artefact_interrupt_stops_within_a_second(tmp_path: Path) -> None:
    """A run of some minutes on the plain kernel, stopped from outside."""
    weight = np.ones((4096, 4096), np.int8)
    layers: list[Node] = []
    tensors: dict[str, npt.NDArray[Any]] = {"weight": weight, "multiplier": np.array([1], np.int32)}
    clamp = {"shift": 12, "zero_point": 0, "minimum": -127, "maximum": 127, "bits": 8}
    for at in range(60):
        layers.append(Node(f"l{at}", "linear", (f"x{at}", "weight"), (f"s{at}",)))
        layers.append(Node(f"r{at}", "rescale", (f"s{at}", "multiplier"), (f"x{at + 1}",), clamp))
    graph = Graph((Input("x0", 8, (BATCH, 4096), -128, 127),), tuple(layers), (Output("x60"),), batch_limit=4096)
    path = tmp_path / "deep.safetensors"
    path.write_bytes(write_artefact(graph, tensors))
    program = (
        "import numpy as np\n"
        "from solder._native import Artefact\n"
        f"artefact = Artefact.load({str(path)!r})\n"
        "print('running', flush=True)\n"
        "artefact.run({'x0': np.ones((4096, 4096), np.int8)}, kernel='scalar')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "running\n"
        time.sleep(0.3)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=10)
        assert time.monotonic() - start < INTERRUPT_SECONDS
        assert "KeyboardInterrupt" in process.stderr.read()


def test_artefact_integer_product_is_exact() -> None:
    numbers = np.random.default_rng(11)
    a, b = numbers.integers(-128, 128, (5, 70)).astype(np.int8), numbers.integers(-128, 128, (9, 70)).astype(np.int8)
    a[0], b[0] = -128, -128
    expected = a.astype(np.int64) @ b.astype(np.int64).T
    for kernel in (None, *_native.ai_kernels()):
        assert np.array_equal(_native.integer_product(a, b, kernel=kernel), expected)
    for bad in (b[:, :69], b.astype(np.int16), b[0]):
        with pytest.raises(InputError):
            _native.integer_product(a, bad)
    assert len(_native.time_products([(3, 70, 9, 2), (1, 1, 1, 1)], threads=2, repeats=1)) == 2
    with pytest.raises(InputError, match="shapes"):
        _native.time_products([(1, 0, 1, 1)])
