"""Arrays in and out of ``solder model``: .npz under limits, coding of floats, runs in pieces of the batch limit."""

from __future__ import annotations

import os
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

    from solder._native import Artefact

__all__ = ["coded_inputs", "read_arrays", "real_outputs", "replace_file", "run_arrays", "write_arrays"]

MAX_BYTES = 1 << 31
"""Of all arrays of a file, unpacked."""

MAX_ARRAYS = 256


def _numpy() -> ModuleType:
    """NumPy, which ``import solder`` does not need."""
    try:
        import numpy as np
    except ModuleNotFoundError:
        raise InputError("models need NumPy: pip install 'solder-evm[ai]'") from None
    return np


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file; nothing in it is executed (no pickle).

    Raises:
        InputError: no .npz, truncated, too large, or with objects in it.

    """
    np = _numpy()
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
        if len(entries) > MAX_ARRAYS:
            raise InputError(f"{len(entries):,} arrays are more than {MAX_ARRAYS}", str(path))
        if size > MAX_BYTES:
            raise InputError(f"{size:,} bytes of arrays are more than {MAX_BYTES:,}", str(path))
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError, NotImplementedError) as error:
        raise InputError(f"no .npz of plain arrays, or truncated: {str(error)[:200]}", str(path)) from None


def replace_file(path: Path, content: bytes) -> None:
    """Write beside, then replace: whoever reads sees the old file or the whole new one."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """An .npz with these arrays, replaced as a whole."""
    import io

    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
    replace_file(path, buffer.getvalue())


def coded_inputs(loaded: Artefact, arrays: Mapping[str, NDArray[Any]], where: str) -> dict[str, NDArray[Any]]:
    """The integers for each input; what the graph does not take is an error that names it."""
    from solder.coprocessors.ai.coding import encode

    inputs = {item["name"]: item for item in loaded.inputs}
    if unknown := sorted(arrays.keys() - inputs.keys()):
        raise InputError(f"the artefact has no such input (it has {', '.join(inputs)})", where, unknown[0])
    if missing := sorted(inputs.keys() - arrays.keys()):
        raise InputError("is missing", where, missing[0])
    rows = {array.shape[:1] for array in arrays.values()}
    if len(rows) != 1 or rows in ({()}, {(0,)}):
        raise InputError("the arrays have no rows, or different numbers of them", where)
    try:
        return {name: encode(inputs[name], array) for name, array in arrays.items()}
    except InputError as error:
        raise InputError(error.detail, where, error.field) from None


def run_arrays(
    loaded: Artefact,
    path: Path,
    arrays: Mapping[str, NDArray[Any]],
    where: str,
    kernel: str | None,
    threads: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, NDArray[Any]]:
    """The outputs for all rows, run in pieces of the batch limit: a split changes no bit.

    ``kernel`` "reference" is the plain NumPy form.
    """
    import json

    import numpy as np

    inputs = coded_inputs(loaded, arrays, where)
    step = json.loads(loaded.graph)["batch_limit"]
    rows = len(next(iter(inputs.values())))
    run = _runner(loaded, path, kernel, threads)
    pieces = []
    for start in range(0, rows, step):
        try:
            pieces.append(run({name: array[start : start + step] for name, array in inputs.items()}))
        except InputError as error:
            raise InputError(error.detail, error.path or where, error.field) from None
        if progress is not None:
            progress(min(start + step, rows), rows)
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _runner(
    loaded: Artefact, path: Path, kernel: str | None, threads: int
) -> Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]:
    """What runs one piece: a kernel of the executor, or the reference."""
    if kernel != "reference":
        return lambda piece: loaded.run(piece, kernel=kernel, threads=threads)
    from solder.coprocessors.ai.artefact import read_artefact
    from solder.coprocessors.ai.reference import run

    plain = read_artefact(path.read_bytes(), str(path))
    return lambda piece: run(plain, piece)


def real_outputs(loaded: Artefact, outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Outputs in fixed point as float64; indices as they are."""
    from solder.coprocessors.ai.coding import decode

    described = {item["name"]: item for item in loaded.outputs}
    return {name: decode(described[name], array) for name, array in outputs.items()}
