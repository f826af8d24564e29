"""Between people's numbers and a graph's integers: what an input's or output's ``coding`` says, and nothing else.

The coding never changes a result: it is how a client makes the integers that the graph is given. Source:
docs/integer-graphs.md, section 2. NumPy only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from solder.coprocessors.ai.graph import Coding, Input

__all__ = ["decode", "encode", "float32_order"]

BITS_TYPES = {8: np.int8, 16: np.int16, 32: np.int32}
MISSING = -(1 << 31)


def float32_order(values: NDArray[Any]) -> NDArray[np.int32]:
    """The code of float32 numbers that keeps their order: -0 is 0, a NaN is -2^31, which no number has."""
    floats = np.asarray(values).astype(np.float32) + np.float32(0)  # -0 + 0 = 0
    raw = floats.view(np.int32).astype(np.int64)
    codes = np.where(raw >= 0, raw, -(1 << 31) - raw)
    return np.where(np.isnan(floats), MISSING, codes).astype(np.int32)


def encode(given: Input | Mapping[str, Any], values: NDArray[Any]) -> NDArray[Any]:
    """The integers for the input ``given`` (of a graph, or as the native module describes it), of its bits.

    Integers are taken as they are: they are codes already, whatever the coding. Floats are coded, clamped to the range.

    Raises:
        InputError: floats for an input that is an index, NaN where it has no code, or integers outside of the range.

    """
    name, bits, minimum, maximum, coding = _parts(given)
    kind = BITS_TYPES[bits]
    if values.dtype.kind in "iub":
        if values.size and not (minimum <= int(values.min()) and int(values.max()) <= maximum):
            detail = f"{int(values.min())}..{int(values.max())} is not within {minimum}..{maximum}"
            raise InputError(detail, field=f"input {name!r}")
        return np.ascontiguousarray(values.astype(kind))
    if values.dtype.kind != "f":
        raise InputError(f"{values.dtype} is no type of numbers", field=f"input {name!r}")
    if coding["kind"] == "float32_order":
        codes = float32_order(values)
        if codes.size and not (minimum <= int(codes.min()) and int(codes.max()) <= maximum):
            raise InputError("NaN or a number outside of the range", field=f"input {name!r}")
        return np.ascontiguousarray(codes.astype(kind))
    if coding["kind"] != "fixed":
        raise InputError("takes whole numbers (ids, masks), not floats", field=f"input {name!r}")
    if not np.isfinite(values).all():
        raise InputError("NaN or infinite", field=f"input {name!r}")
    with np.errstate(over="ignore"):
        scaled = np.floor(values.astype(np.float64) * 2.0 ** coding["shift"] / coding["multiplier"] + 0.5)
    return np.ascontiguousarray(np.clip(scaled, minimum, maximum).astype(kind))


def decode(made: Coding | Mapping[str, Any], values: NDArray[Any]) -> NDArray[Any]:
    """Reals (float64) of an output with coding ``fixed``; the integers themselves with any other.

    ``made`` is a coding, or the native module's description of an output.
    """
    coding = _coding(made)
    if coding["kind"] != "fixed":
        return values
    reals: NDArray[np.float64] = values.astype(np.float64) * coding["multiplier"] / 2.0 ** coding["shift"]
    return reals


def _parts(given: Any) -> tuple[str, int, int, int, dict[str, Any]]:  # noqa: ANN401
    if isinstance(given, dict):
        return given["name"], given["bits"], given["minimum"], given["maximum"], _coding(given)
    return given.name, given.bits, given.minimum, given.maximum, _coding(given.coding)


def _coding(made: Any) -> dict[str, Any]:  # noqa: ANN401
    if isinstance(made, dict):
        inner: dict[str, Any] = made.get("coding", made)
        return inner
    return {"kind": made.kind, "multiplier": made.multiplier, "shift": made.shift}
