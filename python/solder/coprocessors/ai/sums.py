"""The int32 sums of a run's dense layers, made by the fast executor: what Freivalds' check needs beside the outputs.

A kernel fuses a product with what follows, so the sums are never seen. Here the same graph runs with its products as
outputs. Nobody has to trust the sums: ``check_run`` does not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from solder.coprocessors.ai.artefact import container
from solder.coprocessors.ai.graph import BATCH, Output
from solder.coprocessors.ai.graph_canonical import canonical_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from solder._native import Artefact as NativeArtefact
    from solder.coprocessors.ai.artefact import Artefact

__all__ = ["Summing"]

MAX_OUTPUTS = 64  # of a graph, by docs/integer-graphs.md


class Summing:
    """A model that gives the sums of its dense layers; made once, run as often as wanted."""

    def __init__(self, artefact: Artefact) -> None:
        from solder._native import Artefact as Native

        names = [site.node.outputs[0] for site in artefact.sites if site.operator.name == "linear"]
        batched = [name for name in names if artefact.values[name].shape[0] == BATCH]
        # One that no item of the batch has a part in cannot be an output: the reference computes it.
        self._others = sorted(set(names) - set(batched))
        self._artefact = artefact
        self._graphs: list[NativeArtefact] = []
        for start in range(0, len(batched), MAX_OUTPUTS):
            outputs = tuple(Output(name) for name in batched[start : start + MAX_OUTPUTS])
            text = canonical_text(replace(artefact.graph, outputs=outputs).as_json())
            self._graphs.append(Native.load(container(text, artefact.tensors)))

    def run(self, inputs: Mapping[str, NDArray[Any]], kernel: str | None = None) -> dict[str, NDArray[np.int32]]:
        """The sums by the name of their value. Raises InputError for inputs that a run refuses."""
        import numpy as np

        from solder.coprocessors.ai.reference import run_values

        sums: dict[str, NDArray[np.int32]] = {}
        for graph in self._graphs:
            sums.update(graph.run(inputs, kernel=kernel))
        if self._others:
            values = run_values(self._artefact, inputs)
            sums.update((name, values[name].astype(np.int32)) for name in self._others)
        return sums
