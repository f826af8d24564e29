"""How near the integer models are to their float models, in each task's own metric.

    python examples/models/accuracy.py [--models FOLDER] [--only NAME ...] [--pairs N]

Prints one JSON object. Nothing here was seen in calibration: digits and rows of the test split, pairs of texts that
are disjoint from the calibration's, held-out blocks of characters.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import characters
import digits
import numpy as np
import sentences
import texts
import trees
from numpy.typing import NDArray

SEED = 6
PAIRS = 2400
QUERIES = 200
THRESHOLD_ROWS = 5000
BATCH = 64
HELD_OUT_BLOCKS = 48
GENERATED = 64
PROMPT = "This License "


@cache
def drawn_texts() -> texts.Drawn:
    """The texts of this machine: from the distribution's index, or from the standard library where there is none."""
    source, found = "package descriptions", texts.package_descriptions()
    if found is None:
        source, found = "docstrings of the standard library", texts.docstring_sentences()
    return texts.draw(source, found, seed=SEED, pairs=PAIRS)


def _session(path: Path) -> Any:  # noqa: ANN401 - onnxruntime has no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # the converters' wrong output shapes are only warned of
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _load(folder: Path, file: str = "artefact.safetensors") -> Any:  # noqa: ANN401
    from solder._native import Artefact

    return Artefact.load(folder / file)


def _encoded(artefact: Any, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:  # noqa: ANN401
    from solder.coprocessors.ai.coding import encode

    return {one["name"]: encode(one, arrays[one["name"]]) for one in artefact.inputs}


def in_batches(artefact: Any, array: NDArray[Any]) -> NDArray[Any]:  # noqa: ANN401
    """The first output for the rows of the only input, ``BATCH`` at a time."""
    (given,), name = artefact.inputs, artefact.outputs[0]["name"]
    parts = [
        artefact.run(_encoded(artefact, {given["name"]: array[start : start + BATCH]}))[name]
        for start in range(0, len(array), BATCH)
    ]
    return np.concatenate(parts)


def classes(rows: NDArray[Any]) -> NDArray[np.int64]:
    """The class of each row: what the model chose, or the largest of its scores."""
    return (rows if rows.ndim == 1 else rows.argmax(axis=-1)).astype(np.int64)


def embed(artefact: Any, tokens: sentences.Tokens) -> NDArray[Any]:  # noqa: ANN401
    """The embeddings of a batch of tokens, in integers."""
    return np.asarray(artefact.run(_encoded(artefact, dict(tokens)))[artefact.outputs[0]["name"]])


def of_digits(folder: Path, kind: str) -> dict[str, Any]:
    """Accuracy in per cent on the test split: float, integers, and their difference in percentage points."""
    data = digits.load()
    pixels = digits.as_images(data.test) if kind == "cnn" else data.test
    scores = _session(folder / "model.onnx").run(None, {"pixels": pixels})[0]
    chosen = classes(in_batches(_load(folder), pixels))
    right = [float((found == data.test_class).mean() * 100) for found in (scores.argmax(axis=1), chosen)]
    return {
        "images": len(pixels),
        "float": right[0],
        "integer": right[1],
        "difference_points": right[1] - right[0],
        "same_class": int((scores.argmax(axis=1) == chosen).sum()),
    }


def of_trees(folder: Path) -> dict[str, Any]:
    """Rows whose class differs from the float model's: of the whole set, and of rows near the thresholds."""
    data = trees.load()
    rows = np.concatenate([data.train, data.test, trees.near_the_thresholds(THRESHOLD_ROWS)])
    session = _session(folder / "model.onnx")
    wanted = session.run(None, {session.get_inputs()[0].name: rows})[0]
    chosen = classes(in_batches(_load(folder), rows))
    test = slice(len(data.train), len(data.train) + len(data.test))
    return {
        "rows": len(rows),
        "different_class": int((wanted != chosen).sum()),
        "float": float((wanted[test] == data.test_class).mean() * 100),
        "integer": float((chosen[test] == data.test_class).mean() * 100),
    }


def of_minilm(folder: Path, pairs: int = PAIRS, drawn: texts.Drawn | None = None) -> dict[str, Any]:
    """Spearman's rank correlation of the similarities over all pairs and over each half, and the top-10 overlap."""
    drawn = drawn or drawn_texts()
    half = pairs // 2
    halves = (drawn.random_pairs[:half], drawn.near_pairs[:half])
    used = sorted({position for some in halves for pair in some for position in pair})
    place = {position: index for index, position in enumerate(used)}
    random_pairs, near_pairs = ([(place[left], place[right]) for left, right in some] for some in halves)
    tokeniser = sentences.Tokeniser(folder / "source")
    session, artefact = _session(folder / "model.onnx"), _load(folder)
    chosen = [drawn.texts[position] for position in used]
    left = sentences.embeddings(tokeniser, chosen, lambda tokens: session.run(None, dict(tokens))[0])
    right = sentences.embeddings(tokeniser, chosen, lambda tokens: embed(artefact, tokens))
    both = [
        (sentences.similarities(left, some), sentences.similarities(right, some)) for some in (random_pairs, near_pairs)
    ]
    queries = min(QUERIES, len(used))
    return {
        "source": drawn.source,
        "seed": drawn.seed,
        "pairs": len(random_pairs) + len(near_pairs),
        "texts": len(used),
        "spearman": sentences.spearman(*(np.concatenate(side) for side in zip(*both, strict=True))),
        "spearman_random": sentences.spearman(*both[0]),
        "spearman_near": sentences.spearman(*both[1]),
        "queries": queries,
        "top_10_overlap": sentences.top_overlap(left, right, queries),
        "mean_cosine": float(np.einsum("ij,ij->i", left, right).mean()),
    }


def of_characters(folder: Path) -> dict[str, Any]:
    """Bits a character of both models, how often they choose alike, and generation with the cache and without."""
    weights = characters.load(Path(__file__).resolve().parent / "trained" / "characters.npz")
    source, blocks = characters.held_out()
    blocks = blocks[:HELD_OUT_BLOCKS]
    artefact = _load(folder)
    wanted = characters.forward(weights, blocks[:, :-1])
    found = artefact.run({"tokens": blocks[:, :-1].astype(np.int8)})["logits"] / 2.0**12
    with_cache = generate(folder, PROMPT, GENERATED)
    without = generate_without_cache(folder, PROMPT, GENERATED)
    return {
        "source": source,
        "characters": int(blocks[:, 1:].size),
        "float_bits": characters.bits(wanted, blocks[:, 1:]),
        "integer_bits": characters.bits(found, blocks[:, 1:]),
        "same_choice": float((wanted.argmax(-1) == found.argmax(-1)).mean()),
        "generated": len(with_cache[0]),
        "equal_without_cache": with_cache[0] == without[0] and bool((with_cache[1] == without[1]).all()),
        "text": PROMPT + with_cache[0],
    }


def generate(folder: Path, prompt: str, count: int) -> tuple[str, NDArray[np.int32]]:
    """Characters chosen greedily by the step graph with its cache, and the logits each was chosen by."""
    step = _load(folder, "step.safetensors")
    caches = [one["name"] for one in step.inputs if one["name"].endswith(".cache")]
    kept = {name: np.zeros((1, 0, characters.WIDTH), np.int8) for name in caches}
    tokens, logits = list(map(int, characters.encode(prompt))), []
    for position in range(len(tokens) + count - 1):
        feed: dict[str, NDArray[Any]] = {name: np.pad(rows, ((0, 0), (0, 1), (0, 0))) for name, rows in kept.items()}
        feed["tokens"] = np.asarray([[tokens[position]]], np.int8)
        feed["position"] = np.asarray([position], np.int32)
        result = step.run(feed)
        kept = {name: result[name.removesuffix(".cache") + ".written"] for name in caches}
        if position >= len(tokens) - 1:
            tokens.append(int(result["next"][0, 0]))
            logits.append(result["logits"][0, 0])
    return characters.decode(tokens[len(prompt) :]), np.asarray(logits)


def generate_without_cache(folder: Path, prompt: str, count: int) -> tuple[str, NDArray[np.int32]]:
    """The same by the whole graph, which sees the text so far anew for each character."""
    whole = _load(folder)
    tokens, logits = list(map(int, characters.encode(prompt))), []
    for _ in range(count):
        result = whole.run({"tokens": np.asarray([tokens], np.int8)})
        tokens.append(int(result["next"][0, -1]))
        logits.append(result["logits"][0, -1])
    return characters.decode(tokens[len(prompt) :]), np.asarray(logits)


MEASURE: dict[str, Callable[[Path], dict[str, Any]]] = {
    "digits_mlp": lambda folder: of_digits(folder, "mlp"),
    "digits_cnn": lambda folder: of_digits(folder, "cnn"),
    **dict.fromkeys(trees.TRAIN, of_trees),
    "characters": of_characters,
    "minilm": of_minilm,
}


def measure(models: Path, names: tuple[str, ...] = tuple(MEASURE)) -> dict[str, dict[str, Any]]:
    """The accuracy of each model that was made under ``models``."""
    return {name: MEASURE[name](models / name) for name in names}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    default = Path(__file__).resolve().parent.parent.parent / "target" / "models"
    parser.add_argument("--models", type=Path, default=default, help="folder that make.py filled (target/models)")
    parser.add_argument("--only", nargs="+", choices=sorted(MEASURE), default=list(MEASURE), help="only these")
    options = parser.parse_args()
    print(json.dumps({"accuracy": measure(options.models, tuple(options.only))}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
