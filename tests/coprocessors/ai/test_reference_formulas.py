"""The reference says what the specification's formulas say, one element at a time, on random graphs."""

from __future__ import annotations

from collections import Counter

import numpy as np

from solder.coprocessors.ai.artefact import quote, read_artefact, write_artefact
from solder.coprocessors.ai.reference import run_values
from solder.coprocessors.ai.reference.table import OPERATORS

from .formulas import FORMULAS, Grid
from .generator import random_case

SEEDS = range(400)
# Nodes with more work than this are left to the others: a formula takes an element at a time.
MAX_WORK = 12_000
FEWEST = 5


def test_reference_formulas_are_there_for_every_operator() -> None:
    assert FORMULAS.keys() == OPERATORS.keys()


def test_reference_equals_the_formulas() -> None:
    checked: Counter[str] = Counter()
    for seed in SEEDS:
        case = random_case(seed)
        artefact = read_artefact(write_artefact(case.graph, case.tensors))
        found = run_values(artefact, case.inputs)
        batch = next(iter(case.inputs.values())).shape[0]
        for site, cost in zip(artefact.sites, quote(artefact, batch).nodes, strict=True):
            if cost.multiply_accumulates > MAX_WORK:
                continue
            arrays = [
                found[name] if name in found else artefact.tensors[name].astype(np.int64) for name in site.node.inputs
            ]
            xs = [Grid(array.shape, [int(number) for number in array.flat]) for array in arrays]
            outs = [found[name] for name in site.node.outputs]
            wanted = FORMULAS[site.node.operator](xs, dict(site.node.attributes), [out.shape for out in outs])
            assert [[int(number) for number in out.flat] for out in outs] == wanted, (seed, site.node)
            checked[site.node.operator] += 1
    assert checked.keys() == OPERATORS.keys()
    assert min(checked.values()) >= FEWEST, checked
