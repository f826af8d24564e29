"""How a float value stands in integers, and how one form becomes another.

A float value of the model is known as a ``Recipe``: what would have to be emitted to have it. It is emitted only when
a consumer asks for a ``Form`` (bits, scale, zero point), directly in that form: a product's accumulators are rescaled
once, to what the next layer needs, and not first to something between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from solder.coprocessors.ai.importing.emit import BITS_TYPES, Emitter, Fixed, fixed_point

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from solder.coprocessors.ai.graph import Attribute

__all__ = ["Form", "Function", "Integer", "Realised", "Recipe", "View"]

INT32 = (1 << 31) - 1
MAX_BIAS_SHIFT = 31
FUNCTION_STEPS = 4096
"""Points of the table of an activation."""

ROW_UNITS = 127
"""``requantise_rows`` gives ``x ~ rows * A / 127``."""


@dataclass(frozen=True, slots=True)
class Form:
    """Integers that stand for reals: ``real = (integer - zero_point) * scale``, within [minimum, maximum]."""

    bits: int
    scale: float
    zero_point: int
    minimum: int
    maximum: int

    @staticmethod
    def symmetric(bits: int, largest: float, limit: int | None = None) -> Form:
        """0 is 0 and ``largest`` is ``limit`` (127, 32,767, ...)."""
        most = (1 << (bits - 1)) - 1 if limit is None else limit
        return Form(bits, largest / most, 0, -most, most)

    @staticmethod
    def asymmetric(low: float, high: float) -> Form:
        """All 256 values of int8 for [low, high], which is widened to hold 0."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = (high - low) / 255 or 1.0
        zero = int(np.clip(-128 - round(low / scale), -128, 127))
        return Form(8, scale, zero, -128, 127)

    def encode(self, reals: NDArray[np.float64]) -> NDArray[np.int64]:
        """Reals as integers of this form."""
        codes = np.floor(reals / self.scale + 0.5) + self.zero_point
        integers: NDArray[np.int64] = np.clip(codes, self.minimum, self.maximum).astype(np.int64)
        return integers

    def decode(self, integers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Integers of this form as reals."""
        reals: NDArray[np.float64] = (integers.astype(np.float64) - self.zero_point) * self.scale
        return reals

    @property
    def reach(self) -> int:
        """The largest magnitude of an integer."""
        return max(-self.minimum, self.maximum)


@dataclass(frozen=True, slots=True)
class Realised:
    """A float value in the graph: the integer value's name and form; ``image``: NHWC where the source has NCHW."""

    name: str
    form: Form
    image: bool = False


class Recipe(Protocol):
    """What can be emitted in any form."""

    def emit(self, emitter: Emitter, wanted: str, form: Form) -> str:
        """Emit in ``form``; the name of the value."""
        ...


@dataclass(frozen=True, slots=True)
class Integer:
    """``real = clip(integer * scale [* row scale] + offset, low, high)``; scale and offset by the last axis, or one.

    ``reach`` is the proven largest magnitude of the integer; ``rows``, the value with the scale of each row.
    """

    name: str
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    reach: int
    bits: int = 32
    rows: str = ""
    rows_reach: int = 0
    low: float = -np.inf
    high: float = np.inf

    def affine(self, scale: NDArray[np.float64], offset: NDArray[np.float64]) -> Integer:
        """``scale * this + offset``, where nothing is clipped yet."""
        return replace(self, scale=self.scale * scale, offset=self.offset * scale + offset)

    @property
    def is_clipped(self) -> bool:
        """Whether values are cut off, so that nothing may be added any more."""
        return self.low > -np.inf or self.high < np.inf

    def clip(self, low: float, high: float) -> Integer:
        """Cut off below ``low`` and above ``high``."""
        return replace(self, low=max(low, self.low), high=min(high, self.high))

    def emit(self, emitter: Emitter, wanted: str, form: Form) -> str:
        """A rescale, or a rescale_rows, straight to ``form``."""
        attributes = self._bounds(form)
        if not self.rows and self._is(form, attributes):
            return self.name
        scale, name = self.scale, self.name
        if (scale < 0).any():
            signs = emitter.tensor(f"{wanted}.signs", np.where(scale < 0, -1, 1).astype(np.int8))
            name = emitter.node("mul", f"{wanted}.signed", [name, signs])
            scale = np.abs(scale)
        if self.rows:
            return self._emit_rows(emitter, wanted, form, (name, scale), attributes)
        offset = np.divide(self.offset, scale, out=np.zeros(np.broadcast(self.offset, scale).shape), where=scale > 0)
        if np.round(offset).any():
            name, scale = self._emit_offset(emitter, wanted, name, scale, offset)
        factors = fixed_point(scale / form.scale)
        multiplier = emitter.tensor(f"{wanted}.multiplier", _shortest(factors.multiplier))
        return emitter.node(
            "rescale",
            wanted,
            [name, multiplier],
            shift=factors.shift,
            zero_point=form.zero_point,
            bits=form.bits,
            **attributes,
        )

    def _emit_offset(
        self, emitter: Emitter, wanted: str, name: str, scale: NDArray[np.float64], offset: NDArray[np.float64]
    ) -> tuple[str, NDArray[np.float64]]:
        """Add ``offset`` (in units of the integers); where the sum would leave 32 bits, both get coarser first."""
        total = self.reach + float(np.abs(offset).max())
        coarser = max(0, int(np.ceil(np.log2(total / INT32))) + 1) if total > INT32 else 0
        if coarser:
            one = emitter.tensor("one", np.ones(1, np.int32))
            limits: dict[str, Attribute] = {"minimum": -INT32 - 1, "maximum": INT32}
            name = emitter.node(
                "rescale", f"{wanted}.coarser", [name, one], shift=coarser, zero_point=0, bits=32, **limits
            )
        moved = np.round(offset / 2.0**coarser).astype(np.int32)
        added = emitter.tensor(f"{wanted}.offset", moved)
        name = emitter.node("add", f"{wanted}.moved", [name, added], bits=32, minimum=-INT32 - 1, maximum=INT32)
        return name, scale * 2.0**coarser

    def _bounds(self, form: Form) -> dict[str, Attribute]:
        """Minimum and maximum: the form's, and where the value is clipped."""
        low = form.minimum if self.low == -np.inf else int(form.encode(np.array(self.low)))
        high = form.maximum if self.high == np.inf else int(form.encode(np.array(self.high)))
        return {"minimum": low, "maximum": max(low, high)}

    def _is(self, form: Form, bounds: dict[str, Attribute]) -> bool:
        """Whether the integer already has the form."""
        same = self.scale.size == 1 and float(self.scale[0]) == form.scale and not self.offset.any()
        open_ended = bounds == {"minimum": form.minimum, "maximum": form.maximum}
        return same and open_ended and self.bits == form.bits and form.zero_point == 0 and self.reach <= form.reach

    def _emit_rows(
        self,
        emitter: Emitter,
        wanted: str,
        form: Form,
        source: tuple[str, NDArray[np.float64]],
        bounds: dict[str, Attribute],
    ) -> str:
        name, scale = source
        # scale * multiplier of a row stays within 31 bits.
        room = max(1, min(31, 31 - int(self.rows_reach).bit_length()))
        factors = fixed_point(scale / form.scale, room)
        operands = [name, self.rows, emitter.tensor(f"{wanted}.multiplier", _shortest(factors.multiplier))]
        moved = (self.offset / form.scale + form.zero_point) * 2.0**factors.shift
        excess = _bias_shift(moved) - MAX_BIAS_SHIFT
        if excess > 0:  # the bias is so large that the product need not be as fine
            coarser = max(factors.shift - excess, 1)
            factors = Fixed((factors.multiplier >> (factors.shift - coarser)).astype(np.int32), coarser)
            moved = (self.offset / form.scale + form.zero_point) * 2.0**factors.shift
            operands[2] = emitter.tensor(f"{wanted}.multiplier", _shortest(factors.multiplier))
        bias_shift = 0
        if np.any(moved):
            width = scale.size if moved.size == 1 else moved.size
            bias_shift = _bias_shift(moved)
            bias = np.round(np.broadcast_to(moved, (width,)) / 2.0**bias_shift)
            operands.append(emitter.tensor(f"{wanted}.bias", bias.astype(np.int32)))
        return emitter.node(
            "rescale_rows",
            wanted,
            operands,
            shift=factors.shift,
            bias_shift=bias_shift,
            bits=form.bits,
            **bounds,
        )


def _bias_shift(moved: NDArray[np.float64]) -> int:
    """By how much a bias is shifted to fit 31 bits."""
    largest = float(np.abs(moved).max(initial=0.0))
    return max(0, int(np.ceil(np.log2(largest))) - 30) if largest > 0 else 0


def _shortest(multiplier: NDArray[np.int32]) -> NDArray[np.int32]:
    """One number where all are the same."""
    return multiplier[:1] if (multiplier == multiplier[0]).all() else multiplier


@dataclass(frozen=True, slots=True)
class Function:
    """``function(recipe)`` by a table over [low, high] of the argument; outside, the table's ends."""

    recipe: Recipe
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    low: float
    high: float

    def emit(self, emitter: Emitter, wanted: str, form: Form) -> str:
        """An index by rescaling, then a look-up that gives ``form``."""
        step = (self.high - self.low) / (FUNCTION_STEPS - 1) or 1.0
        first = int(np.floor(self.low / step))
        domain = Form(16, step, 0, first, first + FUNCTION_STEPS - 1)
        index = self.recipe.emit(emitter, f"{wanted}.index", domain)
        reals = self.function(np.arange(first, first + FUNCTION_STEPS, dtype=np.float64) * step)
        table = form.encode(np.nan_to_num(reals, posinf=1e300, neginf=-1e300)).astype(BITS_TYPES[form.bits])
        return emitter.node("lookup", wanted, [index, emitter.tensor(f"{wanted}.table", table)], offset=first)


@dataclass(frozen=True, slots=True)
class View:
    """A change of layout: emitted on whatever form its source is asked for."""

    emit_with: Callable[[Form, str], str]

    def emit(self, _emitter: Emitter, wanted: str, form: Form) -> str:
        """The source in ``form``, then the change of layout."""
        return self.emit_with(form, wanted)
