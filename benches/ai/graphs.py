"""Whole graphs: against their bare products, on two threads, and MiniLM against ONNX Runtime in float32."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import accuracy
import numpy as np
import products
import runtime
import sentences
from alternate import Seconds, alternate
from numpy.typing import NDArray

from solder._native import Artefact, ai_kernels, time_products
from solder.coprocessors.ai.coding import decode, encode
from solder.coprocessors.ai.importing import import_model

BATCH, SEQUENCE = 16, 32
MLP_WIDTHS = (784, 1024, 1024, 10)
MLP_BATCH = 64
SEED = 6
LEAST_COSINE = 0.9


@dataclass
class Measured:
    """Seconds by name, and the ratios made of them: by wall time, and by processor time (one thread)."""

    seconds: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    cpu_ratios: dict[str, float] = field(default_factory=dict)

    def add(self, where: str, best: Mapping[str, Seconds]) -> None:
        """Keep the wall times."""
        self.seconds |= {f"{where}_{name}": seconds.wall for name, seconds in best.items()}

    def compare(self, name: str, other: Seconds, ours: Seconds) -> None:
        """Keep how many times longer the other took."""
        self.ratios[name] = other.wall / ours.wall
        self.cpu_ratios[name] = other.cpu / ours.cpu


def best_kernel() -> str:
    """The fastest kernel that this machine has."""
    return ai_kernels()[-1]


class Minilm:
    """The sentence transformer in both forms, on the same tokens."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "artefact.safetensors").is_file():
            raise SystemExit(f"{folder}: not there; `make models` makes it")
        self.model = folder / "model.onnx"
        self.path = folder / "artefact.safetensors"
        self.artefact = Artefact.load(self.path)
        tokeniser = sentences.Tokeniser(folder / "source")
        # Real texts, as many tokens of each as the run is long.
        self.tokens = {
            name: rows[:, :SEQUENCE] for name, rows in tokeniser.encode(_long(accuracy.drawn_texts().texts)).items()
        }

    def shapes(self) -> list[tuple[products.Shape, int]]:
        """The shapes of its dense layers at ``BATCH`` texts of ``SEQUENCE`` tokens."""
        return products.dense(self.artefact, self.feed(BATCH))

    def feed(self, batch: int) -> dict[str, NDArray[Any]]:
        """The first texts, as the artefact's inputs."""
        return {one["name"]: encode(one, self.tokens[one["name"]][:batch]) for one in self.artefact.inputs}


def _long(texts: Sequence[str]) -> list[str]:
    """The longest texts: none of them is padded to reach ``SEQUENCE`` tokens."""
    return sorted(texts, key=lambda text: (-len(text), text))[:BATCH]


def measure(minilm: Minilm, repeats: int) -> Measured:
    """MiniLM at 16 x 32 and 1 x 32 tokens, and a perceptron."""
    found = Measured()
    for batch in (BATCH, 1):
        _minilm(minilm, batch, repeats, found)
    _load(minilm, repeats, found)
    _perceptron(repeats, found)
    return found


def _minilm(minilm: Minilm, batch: int, repeats: int, found: Measured) -> None:
    feed = minilm.feed(batch)
    (output,) = minilm.artefact.outputs
    tokens = {name: np.ascontiguousarray(rows[:batch]) for name, rows in minilm.tokens.items()}
    float_run, binding = runtime.bound(minilm.model, tokens)
    float_run()
    wanted = binding.copy_outputs_to_cpu()[0]
    first = minilm.artefact.run(feed)[output["name"]]
    near = np.einsum("ij,ij->i", _unit(decode(output["coding"], first)), _unit(wanted)).min()
    if near < LEAST_COSINE:
        raise SystemExit(f"MiniLM: cosine {near:.3f} with the float model")

    def check(name: str, result: Any) -> None:  # noqa: ANN401
        if isinstance(result, dict) and not (result[output["name"]] == first).all():
            raise SystemExit(f"MiniLM, {name}: other bits")

    bare = BareProducts(products.shapes_of(minilm.artefact, feed))

    calls = {
        "integer": lambda: minilm.artefact.run(feed),
        "products": bare.time,
        "float32": float_run,
        "integer_2_threads": lambda: minilm.artefact.run(feed, threads=2),
    }
    best = alternate(calls, repeats, check)
    best["products"] = bare.least
    where = f"minilm_{batch}x{SEQUENCE}"
    suffix = "" if batch == BATCH else f"_batch_{batch}"
    found.add(where, best)
    found.compare(f"minilm_vs_products{suffix}", best["products"], best["integer"])
    found.compare(f"minilm_vs_float32{suffix}", best["float32"], best["integer"])
    # Two threads only have a wall time: their processor time is the same work.
    found.ratios[f"minilm_2_threads{suffix}"] = best["integer"].wall / best["integer_2_threads"].wall


class BareProducts:
    """The products of a graph by themselves: of each shape the least time of all rounds, summed."""

    def __init__(self, shapes: Sequence[tuple[products.Shape, int]]) -> None:
        self.shapes = [(*shape, count) for shape, count in shapes]
        self.seconds = [float("inf")] * len(shapes)

    def time(self) -> None:
        """One round; each shape is warmed up by itself."""
        found = time_products(self.shapes, repeats=1)
        self.seconds = [min(pair) for pair in zip(self.seconds, found, strict=True)]

    @property
    def least(self) -> Seconds:
        """Wall time; a product is short enough for it to be processor time too."""
        return Seconds(sum(self.seconds), sum(self.seconds))


def _unit(rows: NDArray[Any]) -> NDArray[np.float64]:
    real = rows.astype(np.float64)
    return np.asarray(real / np.linalg.norm(real, axis=1, keepdims=True))


def _load(minilm: Minilm, repeats: int, found: Measured) -> None:
    best = alternate({"load": lambda: Artefact.load(minilm.path)}, min(repeats, 5))
    found.seconds["minilm_load"] = best["load"].wall
    found.seconds["minilm_import"] = json.loads((minilm.path.parent / "import.json").read_text())["seconds"]


def _perceptron(repeats: int, found: Measured) -> None:
    """A perceptron wide enough to measure: made here, its weights random, imported like any other."""
    from onnx_graph import OnnxGraph

    generator = np.random.default_rng(SEED)
    graph = OnnxGraph("perceptron")
    value = graph.input("pixels", ("batch", MLP_WIDTHS[0]))
    for index, (inputs, outputs) in enumerate(pairwise(MLP_WIDTHS)):
        matrix = (generator.standard_normal((inputs, outputs)) / np.sqrt(inputs / 2)).astype(np.float32)
        bias = graph.weight(f"bias_{index}", np.zeros(outputs, np.float32))
        value = graph.node("Gemm", value, graph.weight(f"weight_{index}", matrix), bias, name=f"dense_{index}")
        if index < len(MLP_WIDTHS) - 2:
            value = graph.node("Relu", value, name=f"relu_{index}")
    graph.output(value, ("batch", MLP_WIDTHS[-1]))
    pixels = generator.random((MLP_BATCH, MLP_WIDTHS[0]), dtype=np.float32)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "perceptron.onnx"
        graph.save(path)
        artefact = Artefact.load(import_model(path, {"pixels": pixels}).artefact)
        float_run, binding = runtime.bound(path, {"pixels": pixels})
    float_run()
    wanted = binding.copy_outputs_to_cpu()[0]
    feed = {one["name"]: encode(one, pixels) for one in artefact.inputs}
    (output,) = artefact.outputs
    first = artefact.run(feed)[output["name"]]
    near = np.einsum("ij,ij->i", _unit(decode(output["coding"], first)), _unit(wanted)).min()
    if near < LEAST_COSINE:
        raise SystemExit(f"perceptron: cosine {near:.3f} with the float model")

    def check(name: str, result: Any) -> None:  # noqa: ANN401
        if isinstance(result, dict) and not (result[output["name"]] == first).all():
            raise SystemExit(f"perceptron, {name}: other bits")

    bare = BareProducts(products.shapes_of(artefact, feed))
    rounds = repeats * 4  # a run takes a fraction of a millisecond
    calls = {"integer": lambda: artefact.run(feed), "products": bare.time, "float32": float_run}
    best = alternate(calls, rounds, check)
    best["products"] = bare.least
    found.add(f"mlp_{MLP_BATCH}", best)
    found.compare("mlp_vs_products", best["products"], best["integer"])
    found.compare("mlp_vs_float32", best["float32"], best["integer"])
