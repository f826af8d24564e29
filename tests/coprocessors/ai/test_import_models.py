"""Import end to end on small models: patterns as different exporters write them, and how close the integers come."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solder.coprocessors.ai import reference
from solder.coprocessors.ai.artefact import read_artefact
from solder.coprocessors.ai.coding import decode, encode
from solder.coprocessors.ai.importing import Imported, Settings, import_model
from solder.errors import InputError

from .float_models import FloatModel, small_network, small_transformer, small_vision_transformer, token_data

IMPORTED = Path(__file__).parent / "imported"


def _import(model: FloatModel, data: dict[str, Any], tmp_path: Path, **settings: Any) -> Imported:
    path = tmp_path / "model.onnx"
    path.write_bytes(model.bytes())
    return import_model(path, data, settings=Settings(**settings))


def _operators(imported: Imported) -> dict[str, int]:
    return imported.report.operators


@pytest.mark.parametrize(("masked", "causal"), [("add", False), ("where", False), ("", True), ("add", True)])
def test_import_models_transformer_in_parts(masked: str, causal: bool, tmp_path: Path) -> None:  # noqa: FBT001
    data = token_data()
    if not masked:
        del data["mask"]
    imported = _import(small_transformer(masked=masked, causal=causal, layers=2), data, tmp_path)
    operators = _operators(imported)
    assert (operators["attention"], operators["layer_norm"], operators["lookup"]) == (2, 4, 2)
    nodes = read_artefact(imported.artefact).graph.nodes
    attention = [node for node in nodes if node.operator == "attention"]
    assert {node.attributes["causal"] for node in attention} == {int(causal)}
    assert {len(node.inputs) for node in attention} == {5 if masked else 4}
    (metric,) = imported.report.metrics
    assert metric.figures["cosine_least"] is not None
    assert metric.figures["cosine_least"] > 0.995


def test_import_models_padding_changes_nothing(tmp_path: Path) -> None:
    data = token_data()
    imported = _import(small_transformer(masked="add"), data, tmp_path, sequence_limit=20)
    artefact = read_artefact(imported.artefact)
    ids = {item.name: item for item in artefact.graph.inputs}
    short = {name: encode(ids[name], array[:4, :6]) for name, array in data.items()}
    short["mask"][:] = 1
    longer = {name: np.pad(array, ((0, 0), (0, 9)), constant_values=0) for name, array in short.items()}
    (first,) = reference.run(artefact, short).values()
    (second,) = reference.run(artefact, longer).values()
    assert np.array_equal(first, second)


def test_import_models_convolutional_net(tmp_path: Path) -> None:
    images = np.random.default_rng(8).standard_normal((48, 3, 12, 12)).astype(np.float32)
    imported = _import(small_network(), {"image": images}, tmp_path)
    operators = _operators(imported)
    assert operators["convolution"] == 3
    assert operators["max_pool"] == operators["sum_pool"] == operators["softmax"] == 1
    (metric,) = imported.report.metrics
    assert metric.figures["cosine_least"] is not None
    assert metric.figures["cosine_least"] > 0.99


def test_import_models_vision_transformer(tmp_path: Path) -> None:
    images = np.random.default_rng(8).standard_normal((40, 1, 8, 8)).astype(np.float32)
    imported = _import(small_vision_transformer(), {"image": images}, tmp_path)
    operators = _operators(imported)
    assert (operators["attention"], operators["mean_pool"], operators["convolution"]) == (1, 1, 1)
    assert imported.report.metrics[0].figures["cosine_least"] > 0.99  # type: ignore[operator]


EXTREMES = (0.0, 1e-30, 1e-6, 1.0, 1e6, 1e18)


@pytest.mark.parametrize("activations", ["static", "rows"])
@pytest.mark.parametrize("size", EXTREMES)
def test_import_models_extreme_numbers_are_close_or_refused(activations: str, size: float, tmp_path: Path) -> None:
    taken = 0
    for weight, bias in ((size, 0.5), (0.5, size), (size, size)):
        model = FloatModel()
        model.input("x", ["n", 6])
        hidden = model.node("Relu", [model.node("MatMul", ["x", model.weight("w", 6, 8, size=weight)], "h")], "r")
        product = model.node("MatMul", [hidden, model.weight("v", 8, 3, size=weight)], "p")
        model.node("Add", [product, model.weight("b", 3, size=bias)], "out")
        model.output("out")
        data = {"x": np.random.default_rng(14).standard_normal((32, 6)).astype(np.float32)}
        try:
            figures = _import(model, data, tmp_path, activations=activations).report.metrics[0].figures
        except InputError as error:
            assert "too large or too small" in str(error) or "NaN or infinite" in str(error)  # noqa: PT017
            continue
        taken += 1
        assert figures["signal_to_noise_db"] is None or figures["signal_to_noise_db"] > 25
    assert taken > 0 or size in (1e-30, 1e18)


@pytest.mark.parametrize("operator", ["Tanh", "Sigmoid", "HardSwish", "Softplus", "Elu", "LeakyRelu", "Erf"])
def test_import_models_activation_becomes_a_table(operator: str, tmp_path: Path) -> None:
    model = FloatModel()
    model.input("x", ["n", 12])
    hidden = model.linear("x", "hidden", 12, 20)
    model.linear(model.node(operator, [hidden], "active"), "out", 20, 5)
    model.output("out")
    data = np.random.default_rng(9).standard_normal((64, 12)).astype(np.float32)
    imported = _import(model, {"x": data}, tmp_path)
    assert _operators(imported)["lookup"] == 1
    assert imported.report.metrics[0].figures["signal_to_noise_db"] > 30  # type: ignore[operator]


def test_import_models_rows_and_static_activations(tmp_path: Path) -> None:
    model = FloatModel()
    model.input("x", ["n", 12])
    model.linear(model.node("Relu", [model.linear("x", "hidden", 12, 20)], "active"), "out", 20, 5)
    model.output("out")
    data = {"x": np.random.default_rng(10).standard_normal((64, 12)).astype(np.float32)}
    assert "requantise_rows" in _operators(_import(model, data, tmp_path, activations="rows"))
    assert "requantise_rows" not in _operators(_import(model, data, tmp_path, activations="static"))


@pytest.mark.parametrize(
    ("name", "least"), [("scaled_perceptron", 0.99), ("binary_perceptron", 0.99), ("logistic", 0.99)]
)
def test_import_models_scikit_learn(name: str, least: float) -> None:
    from sklearn.datasets import load_breast_cancer, load_digits

    data = load_digits() if name == "scaled_perceptron" else load_breast_cancer()
    rows = data.data.astype(np.float32)
    imported = import_model(IMPORTED / f"{name}.onnx", {"X": rows[::2]})
    artefact = read_artefact(imported.artefact)
    (given,) = artefact.graph.inputs
    chosen = next(output.name for output in artefact.graph.outputs if output.coding.kind == "index")
    found = np.concatenate(
        [
            reference.run(artefact, {given.name: encode(given, rows[at : at + 64])})[chosen]
            for at in range(0, len(rows), 64)
        ]
    )
    agree = found.reshape(-1) == np.load(IMPORTED / "answers.npz")[name]
    assert agree[1::2].mean() >= least
    assert len(artefact.graph.labels) == len(set(data.target))


def test_import_models_is_deterministic_and_within_its_own_hash(tmp_path: Path) -> None:
    data = token_data()
    first = _import(small_transformer(masked="add"), data, tmp_path)
    second = _import(small_transformer(masked="add"), data, tmp_path)
    assert first.artefact == second.artefact
    assert first.identity == hashlib.sha256(first.artefact).hexdigest()


def test_import_models_calibration_of_the_last_bits_changes_nothing(tmp_path: Path) -> None:
    """Float runtimes differ in their last bits; ranges are rounded, so the artefact does not."""
    model = FloatModel()
    model.input("x", ["n", 12])
    model.linear(model.node("Relu", [model.linear("x", "hidden", 12, 20)], "active"), "out", 20, 5)
    model.output("out")
    data = np.random.default_rng(10).standard_normal((64, 12)).astype(np.float32)
    near = data * np.float32(1 + 2e-7)
    assert _import(model, {"x": data}, tmp_path).artefact == _import(model, {"x": near}, tmp_path).artefact


def test_import_models_report_names_where_the_error_comes_from(tmp_path: Path) -> None:
    imported = _import(small_transformer(masked="add"), token_data(), tmp_path)
    told = imported.report.as_json()
    kinds = {layer["kind"] for layer in told["layers"]}
    assert {"embedding", "linear", "attention", "layer_norm", "function", "add"} <= kinds
    worst = imported.report.worst(1)[0]
    assert worst.own_db == min(layer.own_db for layer in imported.report.layers if layer.own_db is not None)
    assert told["identity"] == imported.identity


def test_import_models_outputs_mean_what_their_coding_says(tmp_path: Path) -> None:
    import onnxruntime

    model = small_transformer(masked="add")
    data = token_data()
    artefact = read_artefact(_import(model, data, tmp_path).artefact)
    inputs = {item.name: encode(item, data[item.name][:8]) for item in artefact.graph.inputs}
    (output,) = artefact.graph.outputs
    found = decode(output.coding, reference.run(artefact, inputs)[output.name])
    session = onnxruntime.InferenceSession(model.bytes())
    (real,) = session.run(None, {name: array[:8] for name, array in data.items()})
    assert np.abs(found - real).max() < 0.05


def _without(name: str) -> dict[str, Any]:
    data: dict[str, Any] = dict(token_data())
    del data[name]
    return data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "calibration data are needed"),
        (_without("mask"), "mask: missing"),
        ({**token_data(), "extra": np.zeros((2, 2))}, "extra"),
        ({**token_data(), "ids": np.zeros((24, 12, 2), np.int64)}, "ids: shape"),
        ({**token_data(), "ids": np.zeros((3, 12), np.int64)}, "different numbers of rows"),
        ({**token_data(), "ids": np.full((24, 12), 50, np.int64)}, "the float model fails"),
        ({**token_data(), "ids": np.full((24, 12), np.nan)}, "NaN"),
        ({**token_data(), "ids": np.array([["a"] * 12] * 24)}, "no type of numbers"),
        ({**token_data(), "ids": np.zeros((0, 12), np.int64)}, "no rows"),
    ],
)
def test_import_models_bad_calibration_is_refused(data: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        _import(small_transformer(masked="add"), data, tmp_path)


def test_import_models_sequence_limit_is_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sequence limit: 5 is shorter than the calibration data's 12"):
        _import(small_transformer(masked="add"), token_data(), tmp_path, sequence_limit=5)


def test_import_models_unsupported_operator_is_named(tmp_path: Path) -> None:
    model = FloatModel()
    model.input("x", ["n", 12])
    model.node("CumSum", [model.linear("x", "hidden", 12, 20), model.whole(1)], "out")
    model.output("out")
    with pytest.raises(InputError, match=r"node 'node.out' \(CumSum\): this operator is not supported"):
        _import(model, {"x": np.ones((4, 12), np.float32)}, tmp_path)


def test_import_models_bias_by_position_is_no_mask(tmp_path: Path) -> None:
    model = small_transformer(masked="")
    for node in model.nodes:
        if node.op_type == "Softmax":
            node.input[0] = "biased"
    at = next(index for index, node in enumerate(model.nodes) if node.op_type == "Softmax")
    model.node("Add", ["layer0.scores", model.weight("bias", 1, 2, 1, 1)], "biased")
    model.nodes.insert(at, model.nodes.pop())
    with pytest.raises(InputError, match="no mask"):
        _import(model, {"ids": token_data()["ids"]}, tmp_path)
