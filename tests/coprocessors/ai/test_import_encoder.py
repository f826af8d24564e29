"""The front end for BERT-like encoders: a small random one, and folders that are wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from solder.coprocessors.ai.artefact import read_artefact
from solder.coprocessors.ai.importing import Settings, import_model
from solder.coprocessors.ai.importing.encoder import encoder_model
from solder.errors import InputError

CONFIG = {
    "model_type": "bert",
    "hidden_size": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "intermediate_size": 40,
    "max_position_embeddings": 24,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
    "vocab_size": 60,
}
MODULES = [{"type": f"sentence_transformers.models.{kind}"} for kind in ("Transformer", "Pooling", "Normalize")]
POOLING = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
SEED = 3


def _weights() -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(SEED)
    weights: dict[str, NDArray[np.float32]] = {}

    def add(name: str, *shape: int, size: float = 0.3) -> None:
        weights[name] = (random.standard_normal(shape) * size).astype(np.float32)

    def norm(name: str) -> None:
        weights[f"{name}.weight"] = (1 + 0.2 * random.standard_normal(16)).astype(np.float32)
        add(f"{name}.bias", 16)

    for name, rows in (("word", 60), ("position", 24), ("token_type", 2)):
        add(f"embeddings.{name}_embeddings.weight", rows, 16, size=1.0)
    norm("embeddings.LayerNorm")
    for layer in range(2):
        at = f"encoder.layer.{layer}"
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            add(f"{at}.{part}.weight", 16, 16)
            add(f"{at}.{part}.bias", 16)
        add(f"{at}.intermediate.dense.weight", 40, 16)
        add(f"{at}.intermediate.dense.bias", 40)
        add(f"{at}.output.dense.weight", 16, 40)
        add(f"{at}.output.dense.bias", 16)
        norm(f"{at}.attention.output.LayerNorm")
        norm(f"{at}.output.LayerNorm")
    return weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "modules.json").write_text(json.dumps(MODULES))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(POOLING))
    (tmp_path / "tokenizer.json").write_text("{}")
    save_file(_weights(), tmp_path / "model.safetensors")
    return tmp_path


def _tokens(rows: int = 20, length: int = 10) -> dict[str, NDArray[np.int64]]:
    random = np.random.default_rng(SEED + 1)
    mask = (np.arange(length) < random.integers(2, length + 1, (rows, 1))).astype(np.int64)
    ids = random.integers(1, 60, (rows, length)) * mask
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def test_import_encoder_follows_the_float_model(folder: Path) -> None:
    imported = import_model(folder, _tokens())
    graph = read_artefact(imported.artefact).graph
    assert imported.report.operators["attention"] == 2
    assert graph.sequence_limit == 24
    assert graph.tokeniser_sha256 == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    (metric,) = imported.report.metrics
    assert metric.output == "sentence_embedding"
    assert metric.figures["cosine_least"] is not None
    assert metric.figures["cosine_least"] > 0.99


@pytest.mark.parametrize("kinds", [1, 2, 3])
def test_import_encoder_modules_say_what_comes_after(kinds: int, folder: Path) -> None:
    (folder / "modules.json").write_text(json.dumps(MODULES[:kinds]))
    session = onnxruntime.InferenceSession(encoder_model(folder).SerializeToString())
    (output,) = session.run(None, _tokens())
    assert output.shape == ((20, 10, 16) if kinds == 1 else (20, 16))
    assert import_model(folder, _tokens()).report.operators.get("l2_normalise", 0) == int(kinds == 3)


def test_import_encoder_pooling_by_the_first_token(folder: Path) -> None:
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    imported = import_model(folder, _tokens())
    assert imported.report.operators["slice"] == 1
    assert imported.report.metrics[0].figures["cosine_least"] > 0.99  # type: ignore[operator]


@pytest.mark.parametrize("activation", ["gelu", "relu", "gelu_new"])
def test_import_encoder_activations(activation: str, folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({**CONFIG, "hidden_act": activation}))
    (metric,) = import_model(folder, _tokens()).report.metrics
    assert metric.figures["cosine_least"] is not None
    assert metric.figures["cosine_least"] > 0.98


def _configured(**changes: Any) -> Callable[[Path], Any]:
    kept = {key: value for key, value in {**CONFIG, **changes}.items() if value is not None}
    return lambda folder: (folder / "config.json").write_text(json.dumps(kept))


def _reweighted(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors")

    return apply


WORDS = "embeddings.word_embeddings.weight"
BAD: list[tuple[Callable[[Path], Any], str]] = [
    (_configured(model_type="gpt2"), "model_type"),
    (_configured(hidden_size=-16), "hidden_size"),
    (_configured(hidden_size=True), "hidden_size"),
    (_configured(hidden_size=None), "hidden_size"),
    (_configured(num_attention_heads=3), "3 heads do not divide 16"),
    (_configured(num_hidden_layers=10**9), "num_hidden_layers"),
    (_configured(num_hidden_layers=3), "tensor 'encoder.layer.2.* absent"),
    (_configured(intermediate_size=41), r"shape \[40, 16\] where config.json says \[41, 16\]"),
    (_configured(hidden_act="silu"), "hidden_act"),
    (_configured(position_embedding_type="relative_key"), "position_embedding_type"),
    (_configured(layer_norm_eps="x"), "layer_norm_eps"),
    (lambda folder: (folder / "config.json").write_text("{"), "no JSON"),
    (lambda folder: (folder / "config.json").write_text("[" * 100_000), "no JSON"),
    (lambda folder: (folder / "config.json").write_text("[]"), "no JSON object"),
    (lambda folder: (folder / "modules.json").write_text('[{"type": "a.Dense"}]'), "modules"),
    (lambda folder: (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}'), "pooling"),
    (lambda folder: (folder / "model.safetensors").write_bytes(b"\x00" * 7), "truncated"),
    (lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 64), "truncated"),
    (_reweighted(lambda weights: weights.pop(WORDS)), "no BERT-like encoder"),
    (_reweighted(lambda weights: weights[WORDS].__setitem__((0, 0), np.nan)), "NaN or infinite"),
]


@pytest.mark.parametrize(("change", "said"), BAD)
def test_import_encoder_bad_folder_is_refused(change: Callable[[Path], Any], said: str, folder: Path) -> None:
    change(folder)
    with pytest.raises(InputError, match=said) as caught:
        import_model(folder, _tokens())
    assert str(folder) in str(caught.value.path)


def test_import_encoder_longer_than_its_positions_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="the float model fails"):
        import_model(folder, _tokens(), settings=Settings(sequence_limit=25))


def test_import_encoder_ids_beyond_the_table_are_refused(folder: Path) -> None:
    tokens = _tokens()
    tokens["input_ids"][0, 0] = 60
    with pytest.raises(InputError, match="the float model fails"):
        import_model(folder, tokens)
