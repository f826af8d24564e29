"""From a file of somebody's model to an artefact and a report: the order of the steps, and nothing else."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.artefact import Artefact, read_artefact, write_artefact
from solder.coprocessors.ai.graph import Graph
from solder.coprocessors.ai.importing.calibrate import Progress, Ranges, calibrate, check_data
from solder.coprocessors.ai.importing.encoder import encoder_model
from solder.coprocessors.ai.importing.ends import (
    add_inputs,
    add_outputs,
    find_masks,
    merge_ranges,
    name_axes,
    name_outputs,
)
from solder.coprocessors.ai.importing.equalise import equalise, find_chains
from solder.coprocessors.ai.importing.float_run import BATCH, SEQUENCE, FloatRun, probe
from solder.coprocessors.ai.importing.layers import Source
from solder.coprocessors.ai.importing.lower import lower_layers
from solder.coprocessors.ai.importing.lowering import Lowering
from solder.coprocessors.ai.importing.quantised import without_quantisers
from solder.coprocessors.ai.importing.read import SourceGraph, read_bytes, read_file
from solder.coprocessors.ai.importing.recognise import recognise
from solder.coprocessors.ai.importing.report import ImportReport, measure
from solder.coprocessors.ai.importing.rewrite import Rewritten, rewrite
from solder.coprocessors.ai.importing.tree_files import import_tree_file
from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Imported", "Settings", "import_model"]

TREE_SUFFIXES = {".json", ".txt", ".model"}
BY_ROWS = {"layer_norm", "attention"}
ACTIVATIONS = ("auto", "static", "rows")


@dataclass(frozen=True, slots=True)
class Settings:
    """How to import: ``activations`` "static" (one calibrated scale a value), "rows" (a scale for each row) or "auto".

    ``sequence_limit`` None: as long as the calibration data, for an encoder's folder as long as its table of positions.
    """

    activations: str = "auto"
    batch_limit: int = 64
    sequence_limit: int | None = None
    title: str = ""
    tokeniser_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """``artefact`` is the file's bytes, ``identity`` its SHA-256 (hexadecimal), ``report`` how close it is."""

    artefact: bytes
    identity: str
    report: ImportReport


def import_model(
    source: Path,
    calibration: Mapping[str, NDArray[Any]] | None = None,
    *,
    labels: NDArray[Any] | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Import ``source``: an ONNX file, XGBoost's JSON, LightGBM's text, or a folder of a BERT-like encoder.

    ``calibration`` holds the float model's inputs by name, ``labels`` the true class for each row of them (for the
    accuracy).

    Raises:
        InputError: the file, its node or the data cannot be used; the message names the place.

    """
    settings = settings or Settings()
    if settings.activations not in ACTIVATIONS:
        raise InputError(f"{settings.activations!r} is none of {', '.join(ACTIVATIONS)}", field="activations")
    start = time.monotonic()
    if source.suffix in TREE_SUFFIXES and source.is_file():
        graph, tensors, compare = import_tree_file(source, settings.title, settings.batch_limit)
        raw = write_artefact(graph, tensors)
        artefact = read_artefact(raw, str(source))
        report = compare(artefact, calibration, labels)
        return Imported(raw, artefact.identity, replace(report, seconds=time.monotonic() - start))
    if source.is_dir():
        model = encoder_model(source)
        read = read_bytes(model.SerializeToString(), str(source))
        if settings.sequence_limit is None:
            settings = replace(settings, sequence_limit=_positions(read))
        if not settings.tokeniser_sha256 and (source / "tokenizer.json").is_file():
            settings = replace(settings, tokeniser_sha256=_sha256(source / "tokenizer.json"))
    else:
        read = read_file(source)
    rewritten = rewrite(without_quantisers(read))
    graph_named = replace(rewritten.graph, inputs=name_axes(rewritten.graph))
    steps = _Steps(rewritten, graph_named, settings, progress)
    try:
        return steps.run(calibration, labels, start)
    except InputError as error:
        raise InputError(error.detail, error.path or str(source), error.field) from None


def _positions(read: SourceGraph) -> int:
    table = read.tensors["embeddings.position_embeddings.weight"]
    return int(table.shape[0])


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(slots=True)
class _Steps:
    rewritten: Rewritten
    graph: SourceGraph
    settings: Settings
    progress: Progress | None

    def run(
        self, calibration: Mapping[str, NDArray[Any]] | None, labels: NDArray[Any] | None, start: float
    ) -> Imported:
        feeds = self._feeds(calibration)
        masks = find_masks(self.graph, feeds)
        outputs = tuple(value.name for value in self.graph.outputs)
        source = Source(self.graph, probe(self.graph, feeds, masks), masks)
        layers = recognise(source, outputs)
        needs_data = any(layer.kind != "trees" for layer in layers.layers)
        if needs_data and calibration is None:
            raise InputError("calibration data are needed (--calibrate)", self.graph.path)
        by_rows = any(layer.kind in BY_ROWS for layer in layers.layers)
        if self.settings.activations != "auto":
            by_rows = self.settings.activations == "rows"
        ranges = Ranges({}, 0)
        factors: dict[str, NDArray[np.float64]] = {}
        if needs_data:
            chains = [] if by_rows else find_chains(layers, outputs)
            measured = {name for chain in chains for name in chain.values}
            ranges = calibrate(self.graph, layers, feeds, measured, self.progress)
            layers, ranges, factors = equalise(layers, ranges, chains)
        limit = self._sequence_limit(feeds)
        lowering = Lowering(
            source,
            layers,
            merge_ranges(ranges, layers.layers),
            by_rows,
            limit,
            lambda name: self._position_table(name, feeds, limit),
        )
        lowering.factors.update(factors)
        add_inputs(lowering, self.graph.inputs)
        lower_layers(lowering)
        made = name_outputs(lowering, add_outputs(lowering, outputs))
        graph = Graph(
            inputs=tuple(lowering.inputs),
            nodes=tuple(lowering.emitter.nodes),
            outputs=tuple(made),
            title=self.settings.title or Path(self.graph.path).stem,
            batch_limit=self.settings.batch_limit,
            sequence_limit=limit if any(SEQUENCE in item.shape for item in lowering.inputs) else 1,
            labels=self.rewritten.labels,
            tokeniser_sha256=self.settings.tokeniser_sha256,
        )
        raw = write_artefact(_pruned(graph), _used(_pruned(graph), lowering.emitter.tensors))
        artefact: Artefact = read_artefact(raw, self.graph.path)
        report = measure(
            artefact, raw, lowering, feeds if calibration is not None else None, labels, outputs, self.progress
        )
        return Imported(raw, artefact.identity, replace(report, seconds=time.monotonic() - start))

    def _feeds(self, calibration: Mapping[str, NDArray[Any]] | None) -> dict[str, NDArray[Any]]:
        if calibration is not None:
            return check_data(self.graph, calibration, "calibration data")
        sizes = {BATCH: 4, SEQUENCE: 8}
        return {
            value.name: np.zeros([sizes[size] if isinstance(size, str) else size for size in value.shape], value.dtype)
            for value in self.graph.inputs
        }

    def _sequence_limit(self, feeds: dict[str, NDArray[Any]]) -> int:
        lengths = [
            feeds[value.name].shape[axis]
            for value in self.graph.inputs
            for axis, size in enumerate(value.shape)
            if size == SEQUENCE
        ]
        longest = max(lengths, default=1)
        limit = self.settings.sequence_limit
        if limit is not None and limit < longest:
            raise InputError(f"{limit} is shorter than the calibration data's {longest}", field="sequence limit")
        return longest if limit is None else limit

    def _position_table(self, name: str, feeds: dict[str, NDArray[Any]], limit: int) -> NDArray[np.float64]:
        """The value ``name`` at the longest sequence."""
        run = FloatRun(self.graph, [name])
        sized = {}
        for value in self.graph.inputs:
            shape = tuple({BATCH: 1, SEQUENCE: limit}.get(size, size) for size in value.shape)  # type: ignore[arg-type]
            sized[value.name] = np.resize(feeds[value.name], shape).astype(feeds[value.name].dtype)
        return run.run(sized)[name].astype(np.float64)


def _pruned(graph: Graph) -> Graph:
    """Without nodes that no output needs (an index for a label that was left out)."""
    needed = {output.name for output in graph.outputs}
    kept = []
    for node in reversed(graph.nodes):
        if needed & set(node.outputs):
            needed |= set(node.inputs)
            kept.append(node)
    return replace(graph, nodes=tuple(reversed(kept)))


def _used(graph: Graph, tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    named = {name for node in graph.nodes for name in node.inputs}
    return {name: tensor for name, tensor in tensors.items() if name in named}
