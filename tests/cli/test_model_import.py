"""``solder model import``: what it prints, what it writes, and how it fails."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

IMPORTED = Path(__file__).parent.parent / "coprocessors" / "ai" / "imported"
SEED = 7


def token_data(rows: int = 24, length: int = 12) -> dict[str, Any]:
    """Random ids with padding at the end of rows."""
    random = np.random.default_rng(SEED)
    mask = (np.arange(length) < random.integers(2, length + 1, (rows, 1))).astype(np.int64)
    return {"ids": random.integers(0, 50, (rows, length)), "mask": mask}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes((IMPORTED / "transformer.onnx").read_bytes())
    np.savez(tmp_path / "tokens.npz", **token_data())
    return tmp_path


def test_model_import_prints_the_report(files: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command(
        "model", "import", files / "model.onnx", "--calibrate", files / "tokens.npz", "-o", files / "out.safetensors"
    )
    assert ran.status == 0
    assert "signal/noise" in ran.out
    assert "layer0.norm" in ran.out
    assert "output vector on 24 rows" in ran.out
    assert hashlib.sha256((files / "out.safetensors").read_bytes()).hexdigest() in ran.out
    assert sorted(path.name for path in files.iterdir()) == ["model.onnx", "out.safetensors", "tokens.npz"]


def test_model_import_json_is_one_object(files: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command(
        *("model", "import", files / "model.onnx", "--calibrate", files / "tokens.npz"),
        *("-o", files / "out.safetensors", "--json", "--title", "small", "--batch-limit", 8, "--sequence-limit", 16),
    )
    (told,) = ran.objects
    assert {"identity", "parameters", "macs", "size_bytes", "operators", "layers", "metrics"} <= told.keys()
    assert told["size_bytes"] == (files / "out.safetensors").stat().st_size
    (shown,) = solder_command("model", "inspect", files / "out.safetensors", "--json").objects
    assert (shown["title"], shown["batch_limit"], shown["sequence_limit"]) == ("small", 8, 16)
    assert shown["hash"] == told["identity"]


def test_model_import_labels_give_the_accuracy(tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    np.savez(tmp_path / "rows.npz", X=data.data.astype(np.float32), labels=data.target)
    ran = solder_command(
        *("model", "import", IMPORTED / "boosted.onnx", "--calibrate", tmp_path / "rows.npz"),
        *("-o", tmp_path / "out.safetensors", "--json"),
    )
    (told,) = ran.objects
    figures = told["metrics"]["label"]
    assert figures["accuracy_integer"] == figures["accuracy_float"] > 0.9
    assert figures["argmax_agreement"] == 1.0


def test_model_import_trees_need_no_data(tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("model", "import", IMPORTED / "xgboost_many.json", "-o", tmp_path / "out.safetensors")
    assert ran.status == 0
    assert "nothing was compared" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("{0}/model.onnx",), "calibration data are needed"),
        (("{0}/tokens.npz", "--calibrate", "{0}/tokens.npz"), "tokens.npz"),
        (("{0}/model.onnx", "--calibrate", "{0}/model.onnx"), "no .npz of plain arrays"),
        (("{0}/model.onnx", "--calibrate", "{0}/pickled.npz"), "no .npz of plain arrays"),
        (("{0}/model.onnx", "--calibrate", "{0}/short.npz"), "short.npz: mask: missing"),
        (("{0}",), "config.json"),
    ],
)
def test_model_import_bad_input_ends_with_two(
    arguments: tuple[str, ...], said: str, files: Path, solder_command: Callable[..., Any]
) -> None:
    np.savez(files / "pickled.npz", ids=np.array([{}, []], dtype=object))
    np.savez(files / "short.npz", ids=token_data()["ids"])
    filled = [argument.format(files) for argument in arguments]
    ran = solder_command("model", "import", *filled, "-o", files / "out.safetensors")
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err
    assert not (files / "out.safetensors").exists()


def test_model_import_output_that_cannot_be_written(files: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("model", "import", IMPORTED / "xgboost_many.json", "-o", files / "absent" / "out.safetensors")
    assert ran.status == 2
    assert "absent" in ran.err


@pytest.mark.parametrize("command", ["import", "inspect", "list", "run", "verify"])
def test_model_help_has_examples(command: str, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("model", command, "--help")
    assert ran.status == 0
    assert "Examples:" in ran.out
    assert f"solder model {command}" in ran.out


def test_model_help_lists_the_commands(solder_command: Callable[..., Any]) -> None:
    ran = solder_command("model", "--help")
    assert ran.status == 0
    assert all(f"  {command} " in ran.out for command in ("import", "inspect", "list", "run", "verify"))
