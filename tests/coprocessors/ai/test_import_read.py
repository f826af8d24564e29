"""ONNX files of strangers: whatever is wrong is an InputError that names the place, soon and in little memory."""

import random
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from solder.coprocessors.ai.importing import import_model
from solder.coprocessors.ai.importing.read import MAX_NODES, read_bytes, read_file
from solder.errors import InputError

from .float_models import FloatModel, small_transformer

SEED = 2026
MUTATIONS = 300


def _model() -> Any:
    model = FloatModel()
    model.input("x", ["n", 6])
    model.linear(model.node("Relu", [model.linear("x", "hidden", 6, 5)], "active"), "out", 5, 3)
    model.output("out")
    return onnx.load_model_from_string(model.bytes())


def _tensor(model: Any, name: str) -> Any:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def _external(model: Any, location: str) -> None:
    tensor = _tensor(model, "hidden.weight")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def _replaced(model: Any, name: str, array: Any) -> None:
    _tensor(model, name).CopyFrom(numpy_helper.from_array(np.asarray(array), name))


def _with_nan(model: Any) -> None:
    array = numpy_helper.to_array(_tensor(model, "hidden.weight")).copy()
    array[0, 0] = np.nan
    _replaced(model, "hidden.weight", array)


def _with_infinity(model: Any) -> None:
    _replaced(model, "out.bias", np.full(3, np.inf, np.float32))


def _cycle(model: Any) -> None:
    model.graph.node[0].input[0] = "active"


def _unsorted(model: Any) -> None:
    first = onnx.NodeProto()
    first.CopyFrom(model.graph.node[0])
    del model.graph.node[0]
    model.graph.node.append(first)


def _control_flow(model: Any) -> None:
    inner = helper.make_graph([], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], name="branch", then_branch=inner, else_branch=inner))


def _many_nodes(model: Any) -> None:
    for number in range(MAX_NODES):
        model.graph.node.append(helper.make_node("Relu", ["x"], [f"v{number}"]))


def _large_dims(model: Any) -> None:
    _tensor(model, "hidden.weight").dims[:] = [1 << 40, 1 << 40]


def _set_dims(*sizes: int) -> Callable[[Any], None]:
    return lambda model: _tensor(model, "hidden.weight").dims.__setitem__(slice(None), list(sizes))


def _input_size(size: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = size

    return change


BAD: list[tuple[Callable[[Any], Any], str]] = [
    (_with_nan, r"node 'node.hidden.product' \(MatMul\): NaN or infinite values in its tensor 'hidden.weight'"),
    (_with_infinity, r"node 'node.out' \(Add\): NaN or infinite"),
    (_cycle, r"node 'node.hidden.product' \(MatMul\): uses 'active' before .* a cycle, or not sorted"),
    (_unsorted, "a cycle, or not sorted"),
    (_large_dims, "tensor 'hidden.weight': more than"),
    (_set_dims(-6, 5), "tensor 'hidden.weight': negative dimension -6"),
    (_set_dims(6, 6), "tensor 'hidden.weight': .* where the shape needs"),
    (_set_dims(*[1] * 9), "9 dimensions"),
    (_input_size(-5), "input 'x': dimension -5"),
    (_input_size(1 << 40), "input 'x': dimension"),
    (lambda model: _external(model, "weights.bin"), "external data .'weights.bin'. is never opened"),
    (lambda model: _external(model, "/etc/passwd"), "external data .'/etc/passwd'. is never opened"),
    (lambda model: _external(model, "../../secret"), "external data .'../../secret'. is never opened"),
    (_control_flow, r"node 'branch' \(If\).*: control flow"),
    (_many_nodes, "nodes are more than"),
    (lambda model: model.graph.node[0].ClearField("op_type"), "not supported|refuses"),
    (lambda model: setattr(model.graph.node[0], "domain", "com.evil"), "domain 'com.evil'"),
    (lambda model: setattr(model.graph.node[1], "op_type", "Scan"), "not supported|refuses"),
    (lambda model: model.graph.node[0].input.__setitem__(1, "absent"), "no node makes its input 'absent'"),
    (lambda model: model.graph.node[1].output.__setitem__(0, "hidden.product"), "made twice"),
    (lambda model: setattr(model.graph.output[0], "name", "absent"), "output 'absent': no node makes it"),
    (lambda model: model.graph.ClearField("output"), "no outputs"),
    (lambda model: model.graph.ClearField("node"), "no nodes"),
    (lambda model: model.ClearField("opset_import"), "no opset_import"),
    (lambda model: setattr(model.opset_import[0], "version", 99), "version 99"),
    (lambda model: setattr(_tensor(model, "hidden.weight"), "data_type", 8), "strings are not supported"),
    (lambda model: setattr(_tensor(model, "hidden.weight"), "data_type", 14), "element type 14"),
    (lambda model: setattr(_tensor(model, "hidden.weight"), "name", "n" * 1000), "more than 512 bytes"),
    (lambda model: model.functions.add(name="own"), "functions of the model's own"),
    (lambda model: model.graph.input[0].type.tensor_type.shape.ClearField("dim"), "has no axes"),
    (lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 5), "fixed at 5"),
]


@pytest.mark.parametrize(("change", "said"), BAD)
def test_import_read_refuses_by_name(change: Callable[[Any], Any], said: str, tmp_path: Path) -> None:
    model = _model()
    change(model)
    path = tmp_path / "bad.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=said) as caught:
        import_model(path, {"x": np.ones((4, 6), np.float32)})
    assert caught.value.path == str(path)


def test_import_read_the_unchanged_model_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "good.onnx"
    path.write_bytes(_model().SerializeToString())
    assert import_model(path, {"x": np.ones((4, 6), np.float32)}).report.operators["linear"] == 2


@pytest.mark.parametrize("content", [b"", b"\x00", b"not a model", b"\x08\x08" * 100, b"\xff" * 4096])
def test_import_read_what_is_no_model(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_file(path)
    assert caught.value.path == str(path)


def test_import_read_every_truncation_is_an_input_error() -> None:
    whole = small_transformer(masked="add").bytes()
    for length in range(0, len(whole), max(1, len(whole) // 200)):
        with pytest.raises(InputError):
            read_bytes(whole[:length], "cut.onnx")


def test_import_read_random_damage_is_an_input_error_or_a_model(tmp_path: Path) -> None:
    path, taken = tmp_path / "damaged.onnx", 0
    whole = _model().SerializeToString()
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    for _ in range(MUTATIONS):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            import_model(path, {"x": np.ones((4, 6), np.float32)})
            taken += 1
        except InputError:
            continue
    assert 0 < taken < MUTATIONS


@pytest.mark.parametrize(("operator", "name"), [("Expand", "big"), ("ConstantOfShape", "big"), ("Tile", "big")])
def test_import_read_little_that_makes_much_is_refused_before_it_runs(operator: str, name: str, tmp_path: Path) -> None:
    model = FloatModel()
    model.input("x", ["n", 6])
    sizes = model.constant("sizes", np.array([1 << 20, 1 << 20], np.int64))
    inputs = [sizes] if operator == "ConstantOfShape" else [model.constant("one", np.ones((1, 1), np.float32)), sizes]
    made = model.node(operator, inputs, name)
    total = model.node("ReduceSum", [made], "total", keepdims=0)
    model.node("Add", ["x", total], "out")
    model.output("out")
    path = tmp_path / "bomb.onnx"
    path.write_bytes(model.bytes())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=operator):
        import_model(path, {"x": np.ones((4, 6), np.float32)})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # KiB


def test_import_read_many_large_values_are_refused_before_they_are_made(tmp_path: Path) -> None:
    model = FloatModel()
    model.input("x", ["n", 6])
    sizes = model.constant("sizes", np.array([1 << 13, 1 << 13], np.int64))
    value = "x"
    for number in range(8):
        part = model.node("Expand", [model.constant("one", np.ones((1, 1), np.float32)), sizes], f"large{number}")
        total = model.node("ReduceSum", [part], f"total{number}", keepdims=0)
        value = model.node("Add", [value, total], f"sum{number}")
    model.output(value)
    path = tmp_path / "large.onnx"
    path.write_bytes(model.bytes())
    with pytest.raises(InputError, match=r"its values have .* elements together"):
        import_model(path, {"x": np.ones((4, 6), np.float32)})


def test_import_read_absent_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    from solder.coprocessors.ai.importing import needs

    def absent(name: str) -> Any:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(InputError, match="pip install 'solder-evm"):
        needs.needed("onnx")
