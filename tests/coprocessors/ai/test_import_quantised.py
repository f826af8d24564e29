"""Quantised models (QuantizeLinear, DequantizeLinear): as ONNX Runtime's tool writes them, and as nobody should."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from solder.coprocessors.ai import reference
from solder.coprocessors.ai.artefact import read_artefact
from solder.coprocessors.ai.coding import decode, encode
from solder.coprocessors.ai.importing import import_model
from solder.errors import InputError

from .float_models import FloatModel, small_network

SEED = 9


class Reader(CalibrationDataReader):  # type: ignore[misc] # onnxruntime has no types
    """The rows one batch after the other."""

    def __init__(self, name: str, rows: Any) -> None:
        self.left = iter([{name: rows[at : at + 8]} for at in range(0, len(rows), 8)])

    def get_next(self) -> dict[str, Any] | None:
        return next(self.left, None)


@pytest.mark.parametrize("activations", [QuantType.QUInt8, QuantType.QInt8])
@pytest.mark.parametrize("per_channel", [False, True])
def test_import_quantised_network_of_the_tool(activations: Any, per_channel: bool, tmp_path: Path) -> None:  # noqa: FBT001
    images = np.random.default_rng(SEED).standard_normal((48, 3, 12, 12)).astype(np.float32)
    path, quantised = tmp_path / "float.onnx", tmp_path / "quantised.onnx"
    path.write_bytes(small_network().bytes())
    quantize_static(
        *(str(path), str(quantised), Reader("image", images)),
        quant_format=QuantFormat.QDQ,
        per_channel=per_channel,
        activation_type=activations,
        weight_type=QuantType.QInt8,
    )
    imported = import_model(quantised, {"image": images})
    assert imported.report.operators["convolution"] == 3
    artefact = read_artefact(imported.artefact)
    (item,), (output,) = artefact.graph.inputs, artefact.graph.outputs
    (found,) = reference.run(artefact, {item.name: encode(item, images)}).values()
    # As near to the float model as to its quantised form, which is apart from it by itself.
    for source, least in ((path, 0.97), (quantised, 0.97)):
        session = onnxruntime.InferenceSession(str(source), providers=["CPUExecutionProvider"])
        (wanted,) = session.run(None, {"image": images})
        ours = decode(output.coding, found)
        cosines = (ours * wanted).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(wanted, axis=1)
        assert cosines.min() > least, f"seed {SEED}, {source.name}"


def pair(model: FloatModel, value: str, name: str, scale: Any, zero: Any, other: Any = None) -> str:
    """Quantised and back."""
    factor, point = model.constant(f"{name}.scale", scale), model.constant(f"{name}.zero", zero)
    back = factor if other is None else model.constant(f"{name}.other", other)
    integer = model.node("QuantizeLinear", [value, factor, point], f"{name}.q")
    return model.node("DequantizeLinear", [integer, back, point], f"{name}.dq")


def perceptron(scale: Any, zero: Any, other: Any = None) -> FloatModel:
    """Two dense layers, a pair of quantisers between them."""
    model = FloatModel(SEED)
    hidden = model.linear(model.input("x", ["n", 6]), "first", 6, 8)
    hidden = pair(model, hidden, "middle", scale, zero, other)
    model.node("Identity", [model.linear(hidden, "second", 8, 4)], "y")
    model.output("y")
    return model


@pytest.mark.parametrize(("zero", "relu"), [(np.uint8(0), True), (np.int8(-128), True), (np.uint8(128), False)])
def test_import_quantised_range_from_zero_is_a_relu(zero: Any, relu: bool, tmp_path: Path) -> None:  # noqa: FBT001
    path = tmp_path / "model.onnx"
    path.write_bytes(perceptron(np.float32(0.04), zero).bytes())
    rows = np.random.default_rng(SEED).standard_normal((64, 6)).astype(np.float32)
    imported = import_model(path, {"x": rows})
    artefact = read_artefact(imported.artefact)
    (found,) = reference.run(artefact, {"x": encode(artefact.graph.inputs[0], rows)}).values()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"x": rows})
    apart = np.abs(decode(artefact.graph.outputs[0].coding, found) - wanted).max()
    assert apart < 0.1 * np.abs(wanted).max(), f"seed {SEED}, relu {relu}"


@pytest.mark.parametrize(
    ("scale", "zero", "other", "said"),
    [
        (np.float32(0.1), np.int8(0), np.float32(0.2), "another scale or zero point"),
        (np.float32(0.0), np.int8(0), None, "not a positive float"),
        (np.full(8, 0.1, np.float32), np.int8(0), None, "zero points int8"),
        (np.float32(0.1), np.float32(0), None, "zero points float32"),
    ],
)
def test_import_quantised_parameters_that_do_not_fit_name_the_node(
    scale: Any, zero: Any, other: Any, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(perceptron(scale, zero, other).bytes())
    with pytest.raises(InputError, match=said) as error:
        import_model(path, {"x": np.zeros((4, 6), np.float32)})
    assert error.value.field is not None
    assert "node.middle" in error.value.field


def test_import_quantised_integers_as_outputs_are_refused_by_name(tmp_path: Path) -> None:
    model = FloatModel(SEED)
    hidden = model.linear(model.input("x", ["n", 6]), "first", 6, 8)
    factor, point = model.constant("scale", np.float32(0.1)), model.constant("zero", np.int8(0))
    model.node("QuantizeLinear", [hidden, factor, point], "y")
    model.output("y", 3)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.bytes())
    with pytest.raises(InputError, match="QuantizeLinear"):
        import_model(path, {"x": np.ones((4, 6), np.float32)})
