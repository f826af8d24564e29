"""The float half of a model's profile: ONNX Runtime's own profiler over an ONNX file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.importing.needs import needed
from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Measured", "run_float"]

DEFAULT_SEQUENCE = 32
MAX_INPUT_ELEMENTS = 1 << 28
_KERNEL = "_kernel_time"
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(double)": np.float64,
}


@dataclass(frozen=True, slots=True)
class Measured:
    """Runs, each with its seconds and, in order, name, operator and seconds of its steps; and what ran them.

    ``bare`` gives, for a step that does more than a product, the seconds of its products alone.
    """

    engine: str
    runs: Sequence[tuple[float, Sequence[tuple[str, str, float]]]]
    bare: Mapping[str, float] = field(default_factory=dict)


def run_float(
    path: Path, batch: int, sequence: int | None, threads: int, repeats: int, inputs: Mapping[str, NDArray[Any]] | None
) -> tuple[tuple[int, int | None], Measured]:
    """Batch and sequence as run, and what was measured; one more run before warms up and is not counted."""
    onnxruntime = needed("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_profiling = True
    with TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            feed, shape = _feed(path, session.get_inputs(), batch, sequence, inputs)
            for _ in range(repeats + 1):
                session.run(None, feed)
            written = Path(session.end_profiling())
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 - the runtime's exceptions share no base of their own
            raise InputError(f"ONNX Runtime: {error}", str(path)) from None
        events = json.loads(written.read_bytes())
    engine = f"float32 by ONNX Runtime {onnxruntime.__version__}"
    return shape, Measured(engine, _runs(events)[1:])


def _runs(events: Sequence[Mapping[str, Any]]) -> list[tuple[float, list[tuple[str, str, float]]]]:
    """The profiler's events (microseconds) cut into runs: a node belongs to the run whose span holds it."""
    spans = sorted((event["ts"], event["dur"]) for event in events if event["name"] == "model_run")
    nodes = sorted(
        (
            event["ts"],
            event["name"].removesuffix(_KERNEL).removeprefix("fused "),
            event["args"]["op_name"],
            event["dur"] / 1e6,
        )
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL)
    )
    return [
        (spent / 1e6, [(name, operator, took) for at, name, operator, took in nodes if begin <= at < begin + spent])
        for begin, spent in spans
    ]


def _feed(
    path: Path, wanted: Sequence[Any], batch: int, sequence: int | None, given: Mapping[str, NDArray[Any]] | None
) -> tuple[dict[str, NDArray[Any]], tuple[int, int | None]]:
    """Every input of the session: as given, or made up (masks of ones, other integers zero, floats in [0, 1))."""
    if given is not None:
        names = {one.name for one in wanted}
        if unknown := sorted(given.keys() - names):
            raise InputError(f"the model has no such input; it has {', '.join(sorted(names))}", str(path), unknown[0])
        if absent := sorted(names - given.keys()):
            raise InputError("missing", str(path), absent[0])
        first = given[wanted[0].name]
        return dict(given), (first.shape[0] if first.ndim else 1, None)
    generator = np.random.default_rng(0)
    feed: dict[str, NDArray[Any]] = {}
    used: int | None = None
    for one in wanted:
        shape = []
        for position, extent in enumerate(one.shape):
            if isinstance(extent, int):
                shape.append(batch if position == 0 and extent == 1 and len(one.shape) > 1 else extent)
            elif position == 0:
                shape.append(batch)
            else:
                used = sequence or DEFAULT_SEQUENCE
                shape.append(used)
        if int(np.prod(shape)) > MAX_INPUT_ELEMENTS:
            raise InputError(f"{shape} has more than {MAX_INPUT_ELEMENTS} elements", str(path), one.name)
        if one.type not in _DTYPES:
            raise InputError(f"{one.type}: no such input can be made up; give one", str(path), one.name)
        dtype = _DTYPES[one.type]
        if np.issubdtype(dtype, np.floating):
            feed[one.name] = generator.random(shape).astype(dtype)
        else:
            feed[one.name] = np.full(shape, int("mask" in one.name), dtype)
    return feed, (batch, used)
