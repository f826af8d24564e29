"""Freivalds' check of products and of runs, and running again: what is right passes, what is wrong does not."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from solder.coprocessors.ai.artefact import Artefact, read_artefact, write_artefact
from solder.coprocessors.ai.evidence import (
    PRIME,
    check_product,
    check_run,
    operations_of_check,
    operations_of_product,
    reexecute,
)
from solder.coprocessors.ai.graph import Graph, Input, Node, Output
from solder.coprocessors.ai.reference import run_values
from solder.coprocessors.ai.sums import Summing
from solder.errors import InputError

SEED = 20_261_121
MODELS = Path(__file__).resolve().parents[3] / "examples" / "models"


def product(rows: int, inner: int, columns: int, seed: int = SEED) -> tuple[NDArray[np.int8], NDArray[np.int8], Any]:
    generator = np.random.default_rng(seed)
    left = generator.integers(-128, 128, (rows, inner), dtype=np.int8)
    right = generator.integers(-128, 128, (inner, columns), dtype=np.int8)
    return left, right, (left.astype(np.int64) @ right.astype(np.int64)).astype(np.int32)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (64, 384, 100), (200, 1536, 384), (1, 20_000, 300), (2, 0, 3)])
def test_evidence_a_right_product_always_passes(shape: tuple[int, int, int]) -> None:
    left, right, claimed = product(*shape)
    for seed in range(20):
        check = check_product(left, right, claimed, seed=seed)
        assert check.holds, seed
        assert check.row is None
    assert check_product(left, right, claimed, rounds=3).error_probability == float(PRIME) ** -3


@pytest.mark.parametrize("value", [-128, 127])
def test_evidence_sums_at_the_ends_of_the_range_are_exact(value: int) -> None:
    left, right = np.full((3, 131_071), -128, np.int8), np.full((131_071, 2), value, np.int8)
    claimed = (left.astype(np.int64) @ right.astype(np.int64)).astype(np.int32)
    assert check_product(left, right, claimed).holds
    claimed[2, 1] -= 1
    assert check_product(left, right, claimed).row == 2


def test_evidence_every_single_wrong_element_is_found() -> None:
    left, right, claimed = product(6, 9, 8)
    generator = np.random.default_rng(SEED)
    for row, column in np.ndindex(claimed.shape):
        wrong = claimed.copy()
        wrong[row, column] += generator.choice([-(1 << 16), -1, 1, 7, 1 << 10])
        check = check_product(left, right, wrong)
        assert not check.holds, f"seed {SEED}, {row}, {column}"
        assert check.row == row


def test_evidence_errors_that_cancel_in_a_plain_sum_are_found() -> None:
    left, right, claimed = product(4, 300, 50)
    claimed[2, 10] += 5
    claimed[2, 11] -= 5
    assert check_product(left, right, claimed).row == 2


def test_evidence_a_multiple_of_the_prime_does_not_pass() -> None:
    left, right = np.zeros((2, 4), np.int8), np.zeros((4, 3), np.int8)
    claimed = np.zeros((2, 3), np.int32)
    claimed[1, 2] = PRIME  # zero in the field: caught by its size
    check = check_product(left, right, claimed)
    assert not check.holds
    assert check.row == 1


def test_evidence_a_small_field_would_miss_what_this_one_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probability is the field's: with 7 elements about one wrong product in seven passes."""
    left, right, claimed = product(1, 20, 20)
    claimed[0, 3] += 1
    monkeypatch.setattr("solder.coprocessors.ai.evidence.PRIME", 7)
    missed = sum(check_product(left, right, claimed, seed=seed).holds for seed in range(2000))
    assert 200 < missed < 380  # 286 expected, six standard deviations either way


def test_evidence_the_vector_is_drawn_anew_without_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    made, drawn = product(2, 2, 2), []
    real = np.random.default_rng

    def recorded(seed: int) -> np.random.Generator:
        drawn.append(seed)
        return real(seed)

    monkeypatch.setattr(np.random, "default_rng", recorded)
    for _ in range(2):
        assert check_product(*made).holds
    assert len(set(drawn)) == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda left, right, claimed: (left.astype(np.int16), right, claimed), "left"),
        (lambda left, right, claimed: (left, right[0], claimed), "right"),
        (lambda left, right, claimed: (left, right[1:], claimed), "right"),
        (lambda left, right, claimed: (left, right, claimed.astype(np.int64)), "claimed"),
        (lambda left, right, claimed: (left, right, claimed[:, 1:]), "claimed"),
    ],
)
def test_evidence_what_does_not_fit_is_named(change: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        check_product(*change(*product(3, 4, 5)))
    assert caught.value.field == field


def test_evidence_rounds_are_bounded() -> None:
    with pytest.raises(InputError, match="rounds"):
        check_product(*product(3, 4, 5), rounds=0)
    with pytest.raises(InputError, match="rounds"):
        check_product(*product(3, 4, 5), rounds=65)


def test_evidence_operations_are_fewer() -> None:
    assert operations_of_product(512, 512, 512) == 512**3
    assert operations_of_check(512, 512, 512) == 3 * 512**2
    assert operations_of_product(2048, 384, 1536) // operations_of_check(2048, 384, 1536) == 267


@pytest.fixture(scope="module")
def character_run() -> tuple[Artefact, dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The character transformer: artefact, inputs, outputs, and the sums of its dense layers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(MODELS)
        characters: Any = importlib.import_module("characters")
        graph: Any = importlib.import_module("character_graph")
        weights = characters.load(MODELS / "trained" / "characters.npz")
        blocks = characters.calibration()
        artefact = read_artefact(graph.artefacts(weights, blocks)[0])
    inputs = {"tokens": blocks[:2, :24].astype(np.int8)}
    values = run_values(artefact, inputs)
    sums = {
        site.node.outputs[0]: values[site.node.outputs[0]].astype(np.int32)
        for site in artefact.sites
        if site.operator.name == "linear"
    }
    outputs = {output.name: values[output.name].astype(np.int32) for output in artefact.graph.outputs}
    return artefact, inputs, outputs, sums


def test_evidence_a_right_run_passes(character_run: Any) -> None:
    artefact, inputs, outputs, sums = character_run
    check = check_run(artefact, inputs, outputs, sums)
    assert check.holds
    assert check.products == len(sums) == 19
    assert check.error_probability == pytest.approx(19 / PRIME)
    assert reexecute(artefact, inputs, outputs).holds


def test_evidence_sums_of_the_executor_are_those_of_the_reference(character_run: Any) -> None:
    artefact, inputs, _, sums = character_run
    found = Summing(artefact).run(inputs)
    assert found.keys() == sums.keys()
    assert all((found[name] == sums[name]).all() and found[name].dtype == np.int32 for name in sums)


def test_evidence_sums_without_a_batch_are_computed() -> None:
    """A dense layer over positions alone is no output of a graph: nothing of it belongs to an item."""
    graph = Graph(
        inputs=(Input("x", 8, ("batch", 3), -5, 5),),
        nodes=(
            Node("where", "positions", ("x",), ("where",), {"axis": 1}),
            Node("small", "clamp", ("where",), ("small",), {"minimum": 0, "maximum": 2, "bits": 8}),
            Node("dense", "linear", ("small", "weight"), ("sum",)),
            Node("own", "linear", ("x", "weight"), ("own",)),
            Node("both", "add", ("own", "sum"), ("y",), {"minimum": -999, "maximum": 999, "bits": 32}),
        ),
        outputs=(Output("y"),),
    )
    weight = np.array([[1, 2, 3], [-4, 5, -6]], dtype=np.int8)
    artefact = read_artefact(write_artefact(graph, {"weight": weight}))
    inputs = {"x": np.array([[1, 2, 3], [-1, 0, 5]], dtype=np.int8)}
    sums = Summing(artefact).run(inputs)
    assert sums["sum"].tolist() == [8, -7]
    assert sums["own"].tolist() == [[14, -12], [14, -26]]
    claimed = {"y": np.array([[22, -19], [22, -33]], dtype=np.int32)}
    assert check_run(artefact, inputs, claimed, sums, seed=1).holds


def test_evidence_a_wrong_sum_is_named(character_run: Any) -> None:
    artefact, inputs, outputs, sums = character_run
    for name in sums:
        wrong = {**sums, name: sums[name].copy()}
        wrong[name][1, 20, 7] += 1
        check = check_run(artefact, inputs, outputs, wrong)
        assert not check.holds
        assert check.failed == name


def test_evidence_a_wrong_output_is_named(character_run: Any) -> None:
    artefact, inputs, outputs, sums = character_run
    wrong = {**outputs, "next": outputs["next"].copy()}
    wrong["next"][1, 3] ^= 1
    assert check_run(artefact, inputs, wrong, sums).failed == "next"
    again = reexecute(artefact, inputs, wrong)
    assert (again.output, again.position) == ("next", (1, 3))


def test_evidence_claims_that_do_not_fit_are_named(character_run: Any) -> None:
    artefact, inputs, outputs, sums = character_run
    with pytest.raises(InputError, match=r"layer1\.hidden\.product"):
        check_run(artefact, inputs, outputs, {k: v for k, v in sums.items() if k != "layer1.hidden.product"})
    with pytest.raises(InputError, match="next: missing"):
        reexecute(artefact, inputs, {"logits": outputs["logits"]})
    with pytest.raises(InputError, match="other: the graph has no such output"):
        reexecute(artefact, inputs, {**outputs, "other": outputs["next"]})
    with pytest.raises(InputError, match="logits"):
        reexecute(artefact, inputs, {**outputs, "logits": outputs["logits"][:1]})
