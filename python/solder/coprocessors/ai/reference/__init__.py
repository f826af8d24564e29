"""The specification as code: what every operator admits, costs and computes, in NumPy with int64, and a run of a graph.

Plain on purpose, and independent of the Rust executor, which must equal it bit for bit.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from solder.coprocessors.ai.graph import SEQUENCE, Shape
from solder.coprocessors.ai.reference.site import Array, Value
from solder.errors import Fault, InputError

if TYPE_CHECKING:
    from solder.coprocessors.ai.artefact import Artefact

__all__ = ["bind_inputs", "run", "run_values"]

_DTYPES = {8: np.int8, 16: np.int16, 32: np.int32}


def run(artefact: "Artefact", inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The outputs of one run, each in its own bits. Raises InputError naming the input that does not fit."""
    found = run_values(artefact, inputs)
    return {
        output.name: found[output.name].astype(_DTYPES[artefact.values[output.name].bits])
        for output in artefact.graph.outputs
    }


def run_values(artefact: "Artefact", inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, Array]:
    """Every value of one run, as int64. A value outside its proven range would be a fault of this reference."""
    bound, found = bind_inputs(artefact, inputs)
    for site in artefact.sites:
        operands = [
            found[name] if isinstance(operand, Value) else operand.astype(np.int64)
            for name, operand in zip(site.node.inputs, site.operands, strict=True)
        ]
        for name, out in zip(site.node.outputs, site.operator.run(site, operands), strict=True):
            value = artefact.values[name]
            shape = tuple(bound[axis] if isinstance(axis, str) else axis for axis in value.shape)
            if out.shape != shape or out.min() < value.low or out.max() > value.high:
                raise Fault("Fault.INTERPRETER", f"{site.where} {site.node.name}: {name} is not what admission proved")
            found[name] = out
    return found


def bind_inputs(
    artefact: "Artefact", inputs: Mapping[str, npt.NDArray[Any]]
) -> tuple[dict[str, int], dict[str, Array]]:
    """The extents of batch and sequence, and the inputs as int64; raises InputError naming what does not fit."""
    graph = artefact.graph
    if unknown := sorted(inputs.keys() - {item.name for item in graph.inputs}):
        raise InputError("the graph has no such input", field=unknown[0])
    bound: dict[str, int] = {}
    found: dict[str, Array] = {}
    for item in graph.inputs:
        if item.name not in inputs:
            raise InputError("is missing", field=item.name)
        array = inputs[item.name]
        if not isinstance(array, np.ndarray):
            raise InputError("not a NumPy array", field=item.name)
        if array.dtype != _DTYPES[item.bits]:
            raise InputError(f"{array.dtype}, not int{item.bits}", field=item.name)
        if array.ndim != len(item.shape):
            raise InputError(f"{array.ndim} axes, not {len(item.shape)}", field=item.name)
        for axis, extent in zip(item.shape, array.shape, strict=True):
            want = bound.setdefault(axis, extent) if isinstance(axis, str) else axis
            if extent != want or not 1 <= extent <= graph.limit(axis):
                raise InputError(
                    f"shape {list(array.shape)}, not {list(item.shape)} (limits: {_limits(item.shape, artefact)})",
                    field=item.name,
                )
        if array.min() < item.minimum or array.max() > item.maximum:
            raise InputError(
                f"{array.min()}..{array.max()} is not within {item.minimum}..{item.maximum}", field=item.name
            )
        found[item.name] = array.astype(np.int64)
    return bound, found


def _limits(shape: Shape, artefact: "Artefact") -> str:
    text = f"batch {artefact.graph.batch_limit}"
    return f"{text}, sequence {artefact.graph.sequence_limit}" if SEQUENCE in shape else text
