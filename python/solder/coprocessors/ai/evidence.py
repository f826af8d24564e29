"""How a result is trusted: by running again, or by Freivalds' check of its matrix products.

Running again with the reference (``reexecute``) is the strongest evidence and costs the most. Freivalds' check
(R. Freivalds, 1977) asks of a claimed product ``C = A B`` whether ``A (B r) = C r`` for a random vector ``r``: three
products with a vector instead of one with a matrix. ``check_run`` does that for every dense layer of a run whose sums
are claimed along with its outputs, and computes everything between them itself.

Over the prime field of ``PRIME`` elements a wrong ``C`` passes one round with probability at most ``1 / PRIME``,
whoever chose it, as long as they did not know ``r``; the check therefore draws ``r`` itself.
All sums are exact: they are computed in float64, which holds every integer up to 2**53, in limbs so small that no sum
leaves that range. So a right ``C`` always passes.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from solder.coprocessors.ai.artefact import Artefact
    from solder.coprocessors.ai.reference.site import Site

__all__ = [
    "PRIME",
    "ProductCheck",
    "Reexecution",
    "RunCheck",
    "check_product",
    "check_run",
    "operations_of_check",
    "operations_of_product",
    "reexecute",
]

PRIME = 2**31 - 1
"""The field's size: the Mersenne prime 2**31 - 1."""

_PRIME_BITS = 31
_EXACT_BITS = 53
_FACTOR_BITS = 7  # an int8 is at most 2**7 in magnitude
_BLOCK_ELEMENTS = 1 << 16  # of C converted at a time: 512 KiB of float64


@dataclass(frozen=True, slots=True)
class ProductCheck:
    """What a check of one product found.

    ``holds`` says whether every round came out equal; ``row`` is the first row that did not (None if all did);
    ``error_probability`` bounds the chance that a wrong product passes.
    """

    holds: bool
    row: int | None
    rounds: int
    error_probability: float


@dataclass(frozen=True, slots=True)
class Reexecution:
    """Whether a run by the reference gave the claimed outputs; if not, the first output and element that differ."""

    holds: bool
    output: str | None = None
    position: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class RunCheck:
    """What a check of a whole run found.

    ``failed`` names the product or the output that is wrong. ``error_probability`` bounds the chance that any of the
    ``products`` is wrong and passed. ``product_seconds`` went into the checks of products, ``other_seconds`` into
    computing what lies between them.
    """

    holds: bool
    failed: str | None
    products: int
    error_probability: float
    product_seconds: float = dataclasses.field(default=0.0, compare=False)
    other_seconds: float = dataclasses.field(default=0.0, compare=False)


def reexecute(
    artefact: Artefact, inputs: Mapping[str, NDArray[Any]], claimed: Mapping[str, NDArray[Any]]
) -> Reexecution:
    """Run the reference and compare every output with what is claimed, bit for bit.

    Raises InputError for inputs that a run refuses, and for claims that are not the graph's outputs.
    """
    from solder.coprocessors.ai.reference import run

    found = run(artefact, inputs)
    for name, expected in found.items():
        position = _difference(name, expected, claimed)
        if position is not None:
            return Reexecution(holds=False, output=name, position=position)
    if unknown := sorted(claimed.keys() - found.keys()):
        raise InputError("the graph has no such output", field=unknown[0])
    return Reexecution(holds=True)


def _difference(name: str, expected: NDArray[Any], claimed: Mapping[str, NDArray[Any]]) -> tuple[int, ...] | None:
    """Where a claimed output first differs; None where it does not."""
    import numpy as np

    if name not in claimed:
        raise InputError("missing from what is claimed", field=name)
    array = claimed[name]
    if array.shape != expected.shape or array.dtype.kind != "i":
        raise InputError(f"{array.dtype} {array.shape} claimed, not {expected.dtype} {expected.shape}", field=name)
    different = np.argwhere(array != expected)
    return tuple(int(axis) for axis in different[0]) if len(different) else None


def check_run(
    artefact: Artefact,
    inputs: Mapping[str, NDArray[Any]],
    claimed: Mapping[str, NDArray[Any]],
    sums: Mapping[str, NDArray[np.int32]],
    *,
    rounds: int = 1,
    seed: int | None = None,
) -> RunCheck:
    """Check a run whose ``sums`` (the int32 output of every ``linear``, by its name) are claimed with its outputs.

    Every operator but ``linear`` is computed by the reference from the claimed sums, so nothing else is taken on
    trust. A seed repeats the random vectors, for tests only (see ``check_product``). Raises InputError as
    ``reexecute`` does.
    """
    from solder.coprocessors.ai.reference import bind_inputs
    from solder.coprocessors.ai.reference.site import Value

    began = time.perf_counter()
    _, found = bind_inputs(artefact, inputs)
    checked, product_seconds = 0, 0.0

    def told(failed: str | None) -> RunCheck:
        other_seconds = time.perf_counter() - began - product_seconds
        probability = min(checked * float(PRIME) ** -rounds, 1.0)
        return RunCheck(failed is None, failed, checked, probability, product_seconds, other_seconds)

    for site in artefact.sites:
        name, *others = site.node.outputs
        if site.operator.name == "linear":
            start = time.perf_counter()
            check = _check_site(site, found, sums, rounds, seed)
            product_seconds += time.perf_counter() - start
            checked += 1
            if not check.holds:
                return told(name)
            found[name] = sums[name].astype("int64")
            continue
        operands = [
            found[operand_name] if isinstance(operand, Value) else operand.astype("int64")
            for operand_name, operand in zip(site.node.inputs, site.operands, strict=True)
        ]
        found.update(zip((name, *others), site.operator.run(site, operands), strict=True))
    for output in artefact.graph.outputs:
        expected = found[output.name].astype(f"int{artefact.values[output.name].bits}")
        if _difference(output.name, expected, claimed) is not None:
            return told(output.name)
    return told(None)


def _check_site(
    site: Site, found: Mapping[str, NDArray[Any]], sums: Mapping[str, NDArray[Any]], rounds: int, seed: int | None
) -> ProductCheck:
    """The check of one dense layer's claimed sums."""
    import numpy as np

    from solder.coprocessors.ai.reference.site import Value

    name = site.node.outputs[0]
    if name not in sums:
        raise InputError("the sums of this node are missing", field=name)
    rows = found[site.node.inputs[0]].astype(np.int8)
    weight, *bias = (operand for operand in site.operands[1:] if not isinstance(operand, Value))
    product = sums[name] - bias[0] if bias else sums[name]
    if product.shape != (*rows.shape[:-1], len(weight)) or product.dtype != np.int32:
        raise InputError(f"{product.dtype} {product.shape} are not the node's sums", field=name)
    flat = product.reshape(-1, len(weight))
    return check_product(rows.reshape(-1, rows.shape[-1]), weight.T.astype(np.int8), flat, rounds=rounds, seed=seed)


def operations_of_product(rows: int, inner: int, columns: int) -> int:
    """Multiplications that computing (rows, inner) x (inner, columns) takes."""
    return rows * inner * columns


def operations_of_check(rows: int, inner: int, columns: int, rounds: int = 1) -> int:
    """Multiplications that checking it takes."""
    return rounds * (inner * columns + rows * inner + rows * columns)


def check_product(
    left: NDArray[np.int8],
    right: NDArray[np.int8],
    claimed: NDArray[np.int32],
    *,
    rounds: int = 1,
    seed: int | None = None,
) -> ProductCheck:
    """Whether ``claimed`` (m, n) is the product of ``left`` (m, k) and ``right`` (k, n), by Freivalds' check.

    A ``seed`` makes the vector repeatable for a test; without one it comes from the operating system, which is what
    makes the bound on the error hold against whoever made the claim. Raises InputError for shapes or types that do
    not fit.
    """
    import numpy as np

    inner, columns = _shapes(left, right, claimed)
    if not 1 <= rounds <= 64:  # noqa: PLR2004 - beyond that the bound is below 2**-1984
        raise InputError(f"{rounds} is not from 1 to 64", field="rounds")
    generator = np.random.default_rng(secrets.randbits(128) if seed is None else seed)
    probability = float(PRIME) ** -rounds
    # No product of int8 is larger; so a claim outside is wrong, and one inside keeps the sums below exact.
    bound = inner * 4**_FACTOR_BITS
    outside = np.flatnonzero((claimed.max(axis=1, initial=0) > bound) | (claimed.min(axis=1, initial=0) < -bound))
    if len(outside):
        return ProductCheck(holds=False, row=int(outside[0]), rounds=0, error_probability=probability)
    for number in range(1, rounds + 1):
        vector = generator.integers(0, PRIME, columns)
        projected = _times(right, vector, 1 << _FACTOR_BITS)
        expected = _times(left, projected, 1 << _FACTOR_BITS)
        wrong = np.flatnonzero(_times(claimed, vector, bound) != expected)
        if len(wrong):
            return ProductCheck(holds=False, row=int(wrong[0]), rounds=number, error_probability=probability)
    return ProductCheck(holds=True, row=None, rounds=rounds, error_probability=probability)


def _shapes(left: NDArray[np.int8], right: NDArray[np.int8], claimed: NDArray[np.int32]) -> tuple[int, int]:
    for field, array, kind in (("left", left, "int8"), ("right", right, "int8"), ("claimed", claimed, "int32")):
        if array.ndim != 2 or array.dtype.name != kind:  # noqa: PLR2004 - a matrix
            raise InputError(f"a matrix of {kind} is needed, not {array.dtype} of {array.ndim} axes", field=field)
    rows, inner = left.shape
    if right.shape[0] != inner:
        raise InputError(f"{right.shape[0]} rows, where the left matrix has {inner} columns", field="right")
    if claimed.shape != (rows, right.shape[1]):
        raise InputError(f"{claimed.shape} is not the product's shape {(rows, right.shape[1])}", field="claimed")
    return inner, right.shape[1]


def _times(matrix: NDArray[Any], vector: NDArray[np.int64], largest: int) -> NDArray[np.int64]:
    """``matrix @ vector`` in the field; ``vector`` holds field elements, ``largest`` bounds the matrix's magnitudes.

    The vector is cut into limbs of so few bits that float64 holds every sum, the matrix is converted in blocks of rows.
    """
    import numpy as np

    rows, columns = matrix.shape
    bits = min(_EXACT_BITS - largest.bit_length() - columns.bit_length(), _PRIME_BITS)
    if bits < 1:
        raise InputError(f"{columns} columns of up to {largest} are too many for exact sums", field="claimed")
    shifts = range(0, _PRIME_BITS, bits)
    limbs = np.stack([(vector >> shift) & ((1 << bits) - 1) for shift in shifts], axis=1).astype(np.float64)
    step = max(_BLOCK_ELEMENTS // max(columns, 1), 1)
    total = np.empty(rows, np.int64)
    for start in range(0, rows, step):
        parts = (matrix[start : start + step].astype(np.float64) @ limbs).astype(np.int64) % PRIME
        value = np.zeros(len(parts), np.int64)
        for position, shift in enumerate(shifts):
            value += parts[:, position] * (1 << shift) % PRIME
        total[start : start + step] = value % PRIME
    return total
