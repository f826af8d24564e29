"""The small example models end to end: float weights in the tree, imported, run by every kernel, measured."""

import importlib
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from solder._native import Artefact, ai_kernels
from solder.coprocessors.ai.artefact import read_artefact
from solder.coprocessors.ai.evidence import reexecute
from solder.coprocessors.ai.profile import BETWEEN_NODES, profile_model
from solder.coprocessors.ai.reference import run

SEED = 20_261_121
EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "models"
SMALL = ("digits_mlp", "digits_cnn", "trees_gradient", "trees_xgboost", "trees_lightgbm", "characters")


@pytest.fixture(scope="module")
def scripts() -> Iterator[Any]:
    """The modules of examples/models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield importlib.import_module


@pytest.fixture(scope="module")
def made(scripts: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, str]]]:
    """The folder of the models, each made anew, and the hashes of what was made."""
    folder = tmp_path_factory.mktemp("models")
    make = scripts("make")
    return folder, {name: make.make(name, folder) for name in SMALL}


@pytest.mark.parametrize("name", SMALL)
def test_models_have_the_pinned_hashes(made: Any, name: str) -> None:
    assert made[1][name] == json.loads((EXAMPLES / "hashes.json").read_text())[name]


@pytest.mark.parametrize("name", ["digits_mlp", "digits_cnn"])
def test_models_digits_are_as_good_as_in_float(scripts: Any, made: Any, name: str) -> None:
    found = scripts("accuracy").measure(made[0], (name,))[name]
    assert found["images"] == 599
    assert found["float"] > 96
    assert abs(found["difference_points"]) <= 0.3


@pytest.mark.parametrize("name", ["trees_gradient", "trees_xgboost", "trees_lightgbm"])
def test_models_trees_choose_the_same_class(scripts: Any, made: Any, name: str) -> None:
    found = scripts("accuracy").measure(made[0], (name,))[name]
    assert found["rows"] == 5569
    assert found["different_class"] == 0
    assert found["float"] == found["integer"] > 95


def test_models_characters_generate_the_same_with_and_without_cache(scripts: Any, made: Any) -> None:
    found = scripts("accuracy").measure(made[0], ("characters",))["characters"]
    assert found["generated"] == 64
    assert found["equal_without_cache"]
    assert found["integer_bits"] - found["float_bits"] < 0.03
    assert found["same_choice"] > 0.93


def test_models_characters_cache_equals_at_every_position(scripts: Any, made: Any) -> None:
    """A step gives the logits that the whole graph gives at that position of a text, not only of what it generates."""
    characters, folder = scripts("characters"), made[0] / "characters"
    tokens = characters.calibration()[3:5].astype(np.int8)  # two texts at once
    wanted = Artefact.load(folder / "artefact.safetensors").run({"tokens": tokens})["logits"]
    step = Artefact.load(folder / "step.safetensors")
    caches = [one["name"] for one in step.inputs if one["name"].endswith(".cache")]
    kept = {name: np.zeros((2, 0, characters.WIDTH), np.int8) for name in caches}
    for position in range(tokens.shape[1]):
        feed = {name: np.pad(rows, ((0, 0), (0, 1), (0, 0))) for name, rows in kept.items()}
        feed["tokens"] = tokens[:, position : position + 1]
        feed["position"] = np.full(2, position, np.int32)
        result = step.run(feed)
        assert (result["logits"][:, 0] == wanted[:, position]).all(), position
        kept = {name: result[name.removesuffix(".cache") + ".written"] for name in caches}


def feed(artefact: Artefact, batch: int, sequence: int) -> dict[str, NDArray[Any]]:
    """Inputs of every value in range, by ``SEED``."""
    generator = np.random.default_rng(SEED)
    extents = {"batch": batch, "sequence": sequence}
    return {
        one["name"]: generator.integers(
            one["minimum"],
            one["maximum"] + 1,
            [extents[axis] if isinstance(axis, str) else axis for axis in one["shape"]],
            dtype=f"int{one['bits']}",
        )
        for one in artefact.inputs
    }


@pytest.mark.parametrize("name", SMALL)
def test_models_bits_do_not_depend_on_kernel_batch_or_threads(made: Any, name: str) -> None:
    path = made[0] / name / "artefact.safetensors"
    artefact = Artefact.load(path)
    inputs = feed(artefact, 64, 20)
    wanted = run(read_artefact(path.read_bytes()), inputs)
    for kernel in ai_kernels():
        for threads in (1, 3, 8):
            found = artefact.run(inputs, kernel=kernel, threads=threads, thread_macs=1)
            assert all((found[key] == wanted[key]).all() for key in wanted), f"seed {SEED}, {kernel}, {threads} threads"
        for cuts in ([0, 1, 64], [0, 17, 18, 50, 64]):
            parts = [
                artefact.run({key: rows[first:last] for key, rows in inputs.items()}, kernel=kernel)
                for first, last in pairwise(cuts)
            ]
            for key in wanted:
                joined = np.concatenate([part[key] for part in parts])
                assert (joined == wanted[key]).all(), f"seed {SEED}, {kernel}, batch cut at {cuts}"


def test_models_a_native_run_is_verified_by_the_reference(made: Any) -> None:
    path = made[0] / "digits_mlp" / "artefact.safetensors"
    artefact = Artefact.load(path)
    inputs = feed(artefact, 3, 1)
    claimed = artefact.run(inputs)
    plain = read_artefact(path.read_bytes())
    assert reexecute(plain, inputs, claimed).holds
    name = artefact.outputs[0]["name"]
    claimed[name] = claimed[name].copy()
    claimed[name].flat[0] += 1
    assert reexecute(plain, inputs, claimed).output == name


def test_models_profile_of_integers_adds_up(made: Any) -> None:
    path = made[0] / "characters" / "artefact.safetensors"
    profile = profile_model(path, batch=4, sequence=64, repeats=3)
    assert sum(part.seconds for part in profile.parts) == pytest.approx(profile.seconds, rel=1e-9)
    assert profile.parts[-1].name == BETWEEN_NODES
    assert 0 < profile.structured_share < 1
    assert {"layer0", "layer1", "layer2"} <= {part.layer for part in profile.parts}
    assert "linear" in {part.operator for part in profile.parts if part.structured}
