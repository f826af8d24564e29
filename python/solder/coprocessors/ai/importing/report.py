"""How close the integers are to the float model: layer by layer, and in the metric of the task.

``signal to noise``: what has gathered up to this layer; ``own``: what this layer adds, given exact inputs in their
integer form. The layers with the lowest own ratio are where the error comes from.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.artefact import Artefact, quote
from solder.coprocessors.ai.coding import encode
from solder.coprocessors.ai.graph import BATCH
from solder.coprocessors.ai.importing.calibrate import row_elements
from solder.coprocessors.ai.importing.float_run import FloatRun
from solder.coprocessors.ai.importing.integer_run import own_values, run_outputs, run_values
from solder.coprocessors.ai.importing.metrics import Metric, signal_to_noise, task_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from solder.coprocessors.ai.importing.calibrate import Progress
    from solder.coprocessors.ai.importing.forms import Realised
    from solder.coprocessors.ai.importing.lowering import Lowering

__all__ = ["ImportReport", "LayerReport", "base_report", "measure"]

MACS_BUDGET, OWN_BUDGET = 10_000_000_000, 700_000_000
"""Multiply-accumulates that comparing layers may spend: by the executor, and by the plain reference."""

ELEMENTS_BUDGET = 1 << 26
"""Elements of all compared values together."""

MAX_ROWS = 256
POOR_DB = 12.0
"""A layer whose own signal-to-noise is lower gets a note."""

IMAGE_TO_SOURCE = (0, 3, 1, 2)


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One layer of the float model against its integers; ratios in decibels, None where the integers are exact."""

    node: str
    kind: str
    value: str
    signal_to_noise_db: float | None
    own_db: float | None
    largest_error: float


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did: figures of the artefact, the layers, the task's metrics by output; ``rows`` were compared."""

    source: str
    identity: str
    parameters: int
    size_bytes: int
    macs: int
    operators: dict[str, int]
    rows: int
    layers: tuple[LayerReport, ...] = ()
    metrics: tuple[Metric, ...] = ()
    layer_rows: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            **{key: value for key, value in asdict(self).items() if key not in {"layers", "metrics"}},
            "layers": [asdict(layer) for layer in self.layers],
            "metrics": {metric.output: metric.figures for metric in self.metrics},
        }

    def worst(self, count: int = 3) -> tuple[LayerReport, ...]:
        """The layers that add the most error of their own."""
        known = [layer for layer in self.layers if layer.own_db is not None]
        return tuple(sorted(known, key=lambda layer: layer.own_db or 0.0)[:count])


def base_report(artefact: Artefact, source: str) -> ImportReport:
    """The figures of the artefact, without any comparison."""
    operators: dict[str, int] = {}
    for node in artefact.graph.nodes:
        operators[node.operator] = operators.get(node.operator, 0) + 1
    return ImportReport(
        source=source,
        identity=artefact.identity,
        parameters=artefact.parameters,
        size_bytes=artefact.size,
        macs=quote(artefact, 1).multiply_accumulates,
        operators=dict(sorted(operators.items())),
        rows=0,
    )


def measure(
    artefact: Artefact,
    raw: bytes,
    lowering: Lowering,
    feeds: Mapping[str, NDArray[Any]] | None,
    labels: NDArray[Any] | None,
    outputs: tuple[str, ...],
    progress: Progress | None = None,
) -> ImportReport:
    """Run both models on ``feeds`` (None: nothing is compared) and set them against each other."""
    from dataclasses import replace

    report = base_report(artefact, lowering.source.graph.path)
    if feeds is None:
        return report
    sequence = max((array.shape[1] for array in feeds.values() if array.ndim > 1), default=1)
    limit = artefact.graph.sequence_limit
    each = quote(artefact, 1, min(sequence, limit) if limit > 1 else None).multiply_accumulates
    rows = next(iter(feeds.values())).shape[0]
    room = ELEMENTS_BUDGET // max(row_elements(lowering.layers, feeds), 1)
    few = max(1, min(rows, artefact.graph.batch_limit, MAX_ROWS, MACS_BUDGET // max(each, 1), room))
    if progress is not None:
        progress("comparing layers", 0, 2)
    layers = _layers(artefact, lowering, {name: array[:few] for name, array in feeds.items()}, each)
    if progress is not None:
        progress("comparing outputs", 1, 2)
    metrics, compared = _outputs(artefact, raw, lowering, feeds, labels, outputs, each)
    notes = tuple(
        f"{layer.node} ({layer.kind}) keeps little of its signal: {layer.own_db} dB"
        for layer in layers
        if layer.own_db is not None and layer.own_db < POOR_DB
    )
    return replace(report, layers=layers, metrics=metrics, rows=compared, layer_rows=few, notes=notes)


def integer_inputs(
    artefact: Artefact, lowering: Lowering, feeds: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """The artefact's inputs for the float model's."""
    return {item.name: encode(item, feeds[lowering.input_names[item.name]]) for item in artefact.graph.inputs}


def _layers(
    artefact: Artefact, lowering: Lowering, feeds: Mapping[str, NDArray[Any]], each: int
) -> tuple[LayerReport, ...]:
    records = {
        layer.output: lowering.records[layer.output]
        for layer in lowering.layers.layers
        if layer.output in lowering.records and lowering.records[layer.output].name in artefact.values
    }
    few = max(1, min(next(iter(feeds.values())).shape[0], OWN_BUDGET // max(each, 1)))
    floats = FloatRun(lowering.source.graph, records).run(feeds)
    inputs = integer_inputs(artefact, lowering, feeds)
    made = run_values(artefact, list(dict.fromkeys(record.name for record in records.values())), inputs)
    factors = {name: _factor(lowering, name, floats[name].ndim) for name in records}
    exact = {}
    for name, record in records.items():
        integers = _encoded(record, floats[name] / factors[name])
        exact[record.name] = integers[:few] if artefact.values[record.name].shape[0] == BATCH else integers
    own = own_values(artefact, exact, {name: array[:few] for name, array in inputs.items()})
    mask = _mask(lowering, feeds)
    reports = []
    for layer in lowering.layers.layers:
        if layer.output not in records:
            continue
        record, real = records[layer.output], floats[layer.output].astype(np.float64)
        if record.name not in made:
            continue  # a table by position has no batch
        factor = factors[layer.output]
        found = _decoded(record, made[record.name], real.shape) * factor
        alone = _decoded(record, own[record.name], real[:few].shape) * factor
        shown = mask if mask is not None and real.shape[:2] == mask.shape else np.ones(real.shape[:1], bool)
        first = shown[:few]
        reports.append(
            LayerReport(
                layer.node,
                layer.kind,
                layer.output,
                signal_to_noise(real[shown], found[shown]),
                signal_to_noise(real[:few][first], alone[first]),
                float(np.abs(real[shown] - found[shown]).max(initial=0.0)),
            )
        )
    return tuple(reports)


def _factor(lowering: Lowering, name: str, rank: int) -> NDArray[np.float64]:
    """What equalisation divided the channels of a value by, so that it broadcasts."""
    factor = lowering.factors.get(name, np.ones(1))
    return factor.reshape(1, -1, 1, 1) if rank == 4 and factor.size > 1 else factor  # noqa: PLR2004


def _encoded(record: Realised, real: NDArray[Any]) -> NDArray[np.int64]:
    integers = record.form.encode(real.astype(np.float64))
    return integers.transpose(0, 2, 3, 1) if record.image else integers


def _decoded(record: Realised, integers: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    reals = record.form.decode(integers)
    reals = reals.transpose(IMAGE_TO_SOURCE) if record.image else reals
    return reals.reshape(shape)


def _mask(lowering: Lowering, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_] | None:
    """Where tokens are: what stands at absent positions is no error."""
    masks = sorted(lowering.source.masks)
    return feeds[masks[0]].astype(bool) if len(masks) == 1 else None


def _outputs(
    artefact: Artefact,
    raw: bytes,
    lowering: Lowering,
    feeds: Mapping[str, NDArray[Any]],
    labels: NDArray[Any] | None,
    outputs: tuple[str, ...],
    each: int,
) -> tuple[tuple[Metric, ...], int]:
    rows = next(iter(feeds.values())).shape[0]
    few, integers = run_outputs(artefact, raw, integer_inputs(artefact, lowering, feeds), rows, each)
    taken = {name: array[:few] for name, array in feeds.items()}
    floats: dict[str, list[NDArray[Any]]] = {name: [] for name in outputs}
    run = FloatRun(lowering.source.graph, outputs)
    for start in range(0, few, 64):
        piece = run.run({name: array[start : start + 64] for name, array in taken.items()})
        for name in outputs:
            floats[name].append(np.asarray(piece[name]))
    metrics = []
    for name in outputs:
        real = np.concatenate(floats[name])
        truth = None if labels is None else labels[:few]
        if name in lowering.indices:
            value = integers[lowering.indices[name]]
            metrics.append(task_metrics(name, real, value, truth, artefact.graph.labels, is_class=True))
            continue
        output = next(item for item in artefact.graph.outputs if item.name == lowering.output_names[name])
        scale = output.coding.multiplier / 2.0**output.coding.shift
        value = integers[output.name].astype(np.float64) * scale
        metrics.append(
            task_metrics(name, real, value.reshape(real.shape), truth, artefact.graph.labels, is_class=False)
        )
    return tuple(metrics), few
