"""Runs the artefact for the report: values and outputs by the executor, a layer by itself by the plain reference."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from solder._native import Artefact as Fast
from solder.coprocessors.ai import reference
from solder.coprocessors.ai.artefact import container
from solder.coprocessors.ai.graph import BATCH, MAX_ENDS, Output
from solder.coprocessors.ai.graph_canonical import canonical_text
from solder.coprocessors.ai.reference.site import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from solder.coprocessors.ai.artefact import Artefact

__all__ = ["own_values", "run_outputs", "run_values"]

Integers = dict[str, "NDArray[np.int64]"]
MACS_BUDGET = 100_000_000_000
"""Multiply-accumulates that comparing the outputs may spend."""

MAX_VARIANTS = 8
ROWS_AT_ONCE, LARGE_ROW = 16, 1 << 20
"""Rows of more multiply-accumulates than the second run in smaller batches."""


def run_values(artefact: Artefact, names: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> Integers:
    """The values ``names`` of one run: they are made outputs of variants of the graph, which the executor runs.

    A graph with very many values is run once by the reference, which has all of them.
    """
    if len(names) > MAX_VARIANTS * MAX_ENDS:
        every = reference.run_values(artefact, inputs)
        return {name: every[name] for name in names}
    found: Integers = {}
    batched = [name for name in names if artefact.values[name].shape[0] == BATCH]
    for start in range(0, len(batched), MAX_ENDS):
        outputs = tuple(Output(name) for name in batched[start : start + MAX_ENDS])
        graph = replace(artefact.graph, outputs=outputs)
        variant = Fast.load(container(canonical_text(graph.as_json()), artefact.tensors))
        found |= {name: array.astype(np.int64) for name, array in variant.run(dict(inputs)).items()}
    return found


def own_values(
    artefact: Artefact, exact: Mapping[str, NDArray[np.int64]], inputs: Mapping[str, NDArray[Any]]
) -> Integers:
    """Each value of ``exact`` computed anew from the exact values before it, so that only its own layer errs.

    ``exact`` holds, by value, the integers nearest to the float model's numbers.
    """
    _, found = reference.bind_inputs(artefact, inputs)
    own: Integers = {}
    for site in artefact.sites:
        operands = [
            found[name] if isinstance(operand, Value) else operand.astype(np.int64)
            for name, operand in zip(site.node.inputs, site.operands, strict=True)
        ]
        for name, out in zip(site.node.outputs, site.operator.run(site, operands), strict=True):
            if name in exact:
                own[name] = out
                value = artefact.values[name]
                found[name] = np.clip(exact[name].reshape(out.shape), value.low, value.high)
            else:
                found[name] = out
    return own


def run_outputs(
    artefact: Artefact, raw: bytes, inputs: Mapping[str, NDArray[Any]], rows: int, macs: int
) -> tuple[int, dict[str, NDArray[Any]]]:
    """(rows that were run, the outputs for them): as many as the budget allows."""
    few = max(1, min(rows, MACS_BUDGET // max(macs, 1)))
    fast = Fast.load(raw)
    step = min(ROWS_AT_ONCE, artefact.graph.batch_limit) if macs > LARGE_ROW else artefact.graph.batch_limit
    pieces = [
        fast.run({name: array[start : min(start + step, few)] for name, array in inputs.items()})
        for start in range(0, few, step)
    ]
    return few, {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
