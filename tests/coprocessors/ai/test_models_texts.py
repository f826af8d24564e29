"""How the texts are drawn and how similarity is scored."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SEED = 20_261_121
EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "models"
TEXTS = [
    f"a {colour} {thing} of {size} size"
    for colour in ["red", "blue", "green"]
    for thing in ["box", "cup", "hat"]
    for size in ["small", "large"]
]


@pytest.fixture(scope="module")
def scripts() -> Iterator[Any]:
    """The modules of examples/models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield importlib.import_module


def test_texts_a_seed_draws_the_same_pairs(scripts: Any) -> None:
    draw = scripts("texts").draw
    first, again, other = (draw("made up", TEXTS, seed=seed, pairs=10) for seed in (1, 1, 2))
    assert first == again
    assert first.random_pairs != other.random_pairs
    assert len(first.random_pairs) == len(first.near_pairs) == 5


def test_texts_near_pairs_share_words(scripts: Any) -> None:
    drawn = scripts("texts").draw("made up", TEXTS, seed=SEED, pairs=20)
    for left, right in drawn.near_pairs:
        shared = set(drawn.texts[left].split()) & set(drawn.texts[right].split())
        assert left != right
        assert len(shared) >= 5  # of six words: they differ in one


def test_texts_of_the_calibration_are_left_out(scripts: Any) -> None:
    texts = scripts("texts")
    known = texts.calibration()[:50]
    drawn = texts.draw("made up", [*TEXTS, *known], seed=SEED, pairs=200)
    assert not set(drawn.texts) & set(known)
    assert len(texts.calibration()) == len(set(texts.calibration())) == 256


def test_texts_of_the_standard_library_are_many_and_distinct(scripts: Any) -> None:
    found = scripts("texts").docstring_sentences()
    assert len(found) == len(set(found)) > 3000
    assert all(16 <= len(text) <= 240 for text in found)


def test_spearman_equals_scipy(scripts: Any) -> None:
    stats: Any = importlib.import_module("scipy.stats")
    generator = np.random.default_rng(SEED)
    for _ in range(20):
        left = generator.integers(0, 12, 50).astype(float)  # many ties
        right = left + generator.integers(0, 8, 50)
        assert scripts("sentences").spearman(left, right) == pytest.approx(stats.spearmanr(left, right).statistic)


def test_top_overlap_counts_what_both_agree_on(scripts: Any) -> None:
    overlap = scripts("sentences").top_overlap
    angles = np.linspace(0, 1, 40)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert overlap(rows, rows, 40) == 1
    assert overlap(rows, rows @ np.array([[0.0, 1], [-1, 0]]), 40) == 1  # turned: the same neighbours
    generator = np.random.default_rng(SEED)
    assert overlap(rows, generator.standard_normal((40, 2)), 40) < 0.5
