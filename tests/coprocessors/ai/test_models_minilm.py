"""The sentence transformer that `make models` made: its hash, its meaning against the float model, its bits."""

import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solder._native import Artefact, ai_kernels
from solder.coprocessors.ai.coding import encode

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples" / "models"
FOLDER = ROOT / "target" / "models" / "minilm"
MADE = (FOLDER / "artefact.safetensors").is_file()

pytestmark = pytest.mark.skipif(
    not MADE and "SOLDER_CI" not in os.environ, reason="`make models` makes the sentence transformer"
)


@pytest.fixture(scope="module")
def scripts() -> Iterator[Any]:
    """The modules of examples/models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield importlib.import_module


@pytest.fixture(scope="module")
def artefact() -> Artefact:
    return Artefact.load(FOLDER / "artefact.safetensors")


def test_minilm_has_the_pinned_hash(artefact: Artefact) -> None:
    pinned = json.loads((EXAMPLES / "hashes.json").read_text())["minilm"]
    assert artefact.identity.hex() == pinned["artefact.safetensors"]


def test_minilm_ranks_pairs_of_texts_as_in_float(scripts: Any) -> None:
    found = scripts("accuracy").of_minilm(FOLDER, pairs=200)
    print(found)
    assert found["pairs"] == 200
    assert found["spearman"] >= 0.97
    assert found["spearman_near"] >= 0.97
    assert found["top_10_overlap"] >= 0.9


def test_minilm_pairs_are_not_what_it_was_calibrated_on(scripts: Any) -> None:
    drawn, calibration = scripts("accuracy").drawn_texts(), set(scripts("texts").calibration())
    assert len(calibration) == 256
    assert not calibration & set(drawn.texts)
    assert len(drawn.random_pairs) + len(drawn.near_pairs) == 2400


def test_minilm_bits_do_not_depend_on_kernel_batch_or_threads(scripts: Any, artefact: Artefact) -> None:
    tokeniser = scripts("sentences").Tokeniser(FOLDER / "source")
    tokens = tokeniser.encode(scripts("texts").calibration()[:12])
    feed = {one["name"]: encode(one, tokens[one["name"]]) for one in artefact.inputs}
    name = artefact.outputs[0]["name"]
    wanted = artefact.run(feed)[name]
    for kernel in ai_kernels()[1:]:  # the plain one is too slow here; the small models run it
        for threads in (1, 8):
            found = artefact.run(feed, kernel=kernel, threads=threads, thread_macs=1)
            assert (found[name] == wanted).all(), f"{kernel}, {threads}"
    one_by_one = [artefact.run({key: rows[row : row + 1] for key, rows in feed.items()})[name] for row in range(12)]
    assert (np.concatenate(one_by_one) == wanted).all()


def test_minilm_padding_changes_nothing(scripts: Any, artefact: Artefact) -> None:
    tokeniser = scripts("sentences").Tokeniser(FOLDER / "source")
    tokens = tokeniser.encode(scripts("texts").calibration()[:4])
    name = artefact.outputs[0]["name"]
    longer = {key: np.pad(rows, ((0, 0), (0, 9))) for key, rows in tokens.items()}
    results = [
        artefact.run({one["name"]: encode(one, some[one["name"]]) for one in artefact.inputs})[name]
        for some in (tokens, longer)
    ]
    assert (results[0] == results[1]).all()
