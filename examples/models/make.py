"""Makes the example models: float model, data, integer artefact and its accuracy, a folder each.

    python examples/models/make.py [--out FOLDER] [--only NAME ...] [--train] [--update]

The trained float weights of the small models are in ``trained/``; ``--train`` trains them again (with scikit-learn,
XGBoost, LightGBM and jax; another machine may round otherwise, and the weights then differ). ``hashes.json`` pins
every float model and every artefact; a difference is an error unless ``--update`` writes the new hashes.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import character_graph
import characters
import digits
import numpy as np
import sentences
import texts
import trees
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
TRAINED = HERE / "trained"
HASHES = HERE / "hashes.json"
DEFAULT_OUT = HERE.parent.parent / "target" / "models"

TRAIN: dict[str, Callable[[Path], None]] = {
    "digits_mlp.onnx": digits.train_perceptron,
    "digits_cnn.onnx": digits.train_convolutional,
    **{f"{name}.onnx": train for name, train in trees.TRAIN.items()},
    "characters.npz": characters.train,
}


@dataclass(frozen=True, slots=True)
class Made:
    """Files of a model by their name; those ending in ``.safetensors`` and ``.onnx`` are pinned. ``report`` is JSON."""

    files: Mapping[str, bytes]
    report: Any = None


def _imported(
    source: Path, calibration: Mapping[str, NDArray[Any]], title: str, tokeniser_sha256: str = ""
) -> tuple[bytes, Any]:
    from solder.coprocessors.ai.importing import Settings, import_model

    settings = Settings(title=title, tokeniser_sha256=tokeniser_sha256)
    made = import_model(source, calibration, settings=settings)
    return made.artefact, made.report.as_json()


def make_digits(kind: str, folder: Path) -> Made:
    """The perceptron (``mlp``) or the convolutional net (``cnn``)."""
    data = digits.load()
    shaped = digits.as_images if kind == "cnn" else np.asarray
    np.savez(folder / "calibrate.npz", pixels=shaped(data.train[: digits.CALIBRATION_IMAGES]))
    np.savez(folder / "test.npz", pixels=shaped(data.test), labels=data.test_class)
    source = TRAINED / f"digits_{kind}.onnx"
    artefact, report = _imported(source, {"pixels": shaped(data.train[: digits.CALIBRATION_IMAGES])}, source.stem)
    return Made({"model.onnx": source.read_bytes(), "artefact.safetensors": artefact}, report)


def make_trees(name: str, folder: Path) -> Made:
    """One of the boosted ensembles."""
    data = trees.load()
    np.savez(folder / "test.npz", features=data.test, labels=data.test_class)
    source = TRAINED / f"{name}.onnx"
    calibration = {trees.INPUT.get(name, "features"): data.train[: trees.CALIBRATION_ROWS]}
    artefact, report = _imported(source, calibration, name)
    return Made({"model.onnx": source.read_bytes(), "artefact.safetensors": artefact}, report)


def make_minilm(folder: Path) -> Made:
    """The sentence transformer, calibrated on texts that never appear in a pair."""
    from solder.coprocessors.ai.importing.encoder import encoder_model

    source = sentences.unpack(folder)
    tokeniser = sentences.Tokeniser(source)
    tokens = tokeniser.encode(texts.calibration())
    np.savez(folder / "calibrate.npz", **tokens)
    artefact, report = _imported(source, tokens, "all-MiniLM-L6-v2", tokeniser.sha256)
    return Made(
        {"model.onnx": encoder_model(source).SerializeToString(deterministic=True), "artefact.safetensors": artefact},
        report,
    )


def make_characters(folder: Path) -> Made:
    """The character transformer: the graph of a whole text and the graph of a step."""
    weights = characters.load(TRAINED / "characters.npz")
    calibration = characters.calibration()
    np.savez(folder / "calibrate.npz", tokens=calibration)
    whole, step = character_graph.artefacts(weights, calibration)
    return Made({"artefact.safetensors": whole, "step.safetensors": step})


MAKE: dict[str, Callable[[Path], Made]] = {
    "digits_mlp": lambda folder: make_digits("mlp", folder),
    "digits_cnn": lambda folder: make_digits("cnn", folder),
    **{name: (lambda folder, name=name: make_trees(name, folder)) for name in trees.TRAIN},
    "characters": make_characters,
    "minilm": make_minilm,
}


def make(name: str, out: Path) -> dict[str, str]:
    """Make one model in ``out / name``; the hashes of what is pinned."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    made = MAKE[name](folder)
    for file, content in made.files.items():
        (folder / file).write_bytes(content)
    if made.report is not None:
        (folder / "import.json").write_text(json.dumps(made.report, indent=1) + "\n")
    return {file: hashlib.sha256(content).hexdigest() for file, content in made.files.items()}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder to make them in (target/models)")
    parser.add_argument("--only", nargs="+", choices=sorted(MAKE), default=list(MAKE), help="only these")
    parser.add_argument("--train", action="store_true", help="train the small float models again")
    parser.add_argument("--update", action="store_true", help="write the hashes instead of comparing them")
    options = parser.parse_args()
    if options.train:
        for file, train in TRAIN.items():
            if Path(file).stem in options.only:
                print(f"training {file}", flush=True)
                train(TRAINED / file)
    pinned: dict[str, dict[str, str]] = json.loads(HASHES.read_text()) if HASHES.exists() else {}
    different = 0
    for name in options.only:
        start = time.monotonic()
        found = make(name, options.out)
        print(f"{name}: {time.monotonic() - start:.1f} s", flush=True)
        for file, digest in found.items():
            expected = pinned.get(name, {}).get(file)
            if digest != expected and not options.update:
                different += 1
                print(f"{name}/{file}: SHA-256 {digest}, but {expected} is pinned", file=sys.stderr)
        pinned[name] = found
    if options.update:
        HASHES.write_text(json.dumps(dict(sorted(pinned.items())), indent=2) + "\n")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
