"""The executor equals the reference on random graphs, on every kernel that the machine has."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from solder import _native
from solder.coprocessors.ai.artefact import read_artefact, write_artefact
from solder.coprocessors.ai.reference import run
from solder.coprocessors.ai.reference.table import OPERATORS
from solder.errors import InputError

from .generator import random_case
from .mutations import mutant
from .parity import sweep

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS = 1500
PARTS = 5
MUTANTS = 2


@pytest.mark.parametrize("part", range(PARTS))
def test_parity_random_graphs(part: int) -> None:
    seeds = range(part * SEEDS // PARTS, (part + 1) * SEEDS // PARTS)
    print(f"seeds {seeds.start} to {seeds.stop - 1}")
    parity = sweep(seeds, MUTANTS)
    assert parity.graphs == len(seeds)
    assert parity.operators.keys() == OPERATORS.keys()
    assert parity.taken > 0
    assert parity.refused > 0


def test_parity_mutants_raise_nothing_else() -> None:
    dice = random.Random(17)
    taken, unnamed = 0, []
    for seed in range(300):
        case = random_case(seed)
        for _ in range(4):
            try:
                read_artefact(mutant(case, dice))
                taken += 1
            except InputError as error:
                unnamed += [] if error.field else [f"seed {seed}: {error}"]
    assert unnamed == []
    assert 50 < taken < 900


def test_parity_wrong_inputs_are_refused_alike() -> None:
    """Another type, rank, extent, range or name of one input: both refuse it, or both run it."""
    dice = random.Random(23)
    verdicts = {True: 0, False: 0}
    for seed in range(400):
        case = random_case(seed)
        raw = write_artefact(case.graph, case.tensors)
        plain, native = read_artefact(raw), _native.Artefact.load(raw)
        inputs = dict(case.inputs)
        name = dice.choice(sorted(inputs))
        array = inputs.pop(name)
        wrong = (
            array.astype(dice.choice((np.int8, np.int16, np.int32, np.int64, np.float32))),
            array[None],
            array[..., :-1],
            array[:0],
            np.concatenate([array] * 2, axis=dice.randrange(array.ndim)),
            np.full_like(array, dice.choice((np.iinfo(array.dtype).min, np.iinfo(array.dtype).max))),
            np.asfortranarray(array),
            array[::-1],
        )
        changed = dice.choice(wrong)
        inputs[name if dice.random() < 0.95 else "other"] = changed
        wanted, found = (_outcome(runner, inputs) for runner in (partial(run, plain), native.run))
        assert (wanted is None) == (found is None), (seed, name, changed.shape, changed.dtype)
        for output in wanted or ():
            assert found is not None
            assert np.array_equal(found[output], (wanted or {})[output]), (seed, name)
        verdicts[wanted is not None] += 1
    assert min(verdicts.values()) > 50, verdicts


def _outcome(runner: Callable[[Any], dict[str, Any]], inputs: dict[str, Any]) -> dict[str, Any] | None:
    """The outputs; None where the inputs are refused with a field."""
    try:
        return runner(inputs)
    except InputError as error:
        if not error.field:
            raise
        return None
