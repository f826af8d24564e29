"""The state of a model on its way to integers: each float value's recipe, and the forms that are in the graph."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.importing.emit import Emitter
from solder.coprocessors.ai.importing.forms import Form, Integer, Realised, Recipe
from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from solder.coprocessors.ai.graph import Axis, Input
    from solder.coprocessors.ai.importing.calibrate import Ranges
    from solder.coprocessors.ai.importing.layers import Layer, Layers, Source
    from solder.coprocessors.ai.importing.trees import Ensemble

__all__ = ["Lowering", "exact_scale", "static_shape"]

HEADROOM = 2.0
"""16-bit forms reach twice as far as calibration saw."""

FINE_LIMIT = 1 << 24
FINE_HEADROOM = 4.0
IMAGE_RANK = 4
TO_IMAGE, FROM_IMAGE = (0, 2, 3, 1), (0, 3, 1, 2)
SCALE_BITS = 31
SMALLEST_SCALE, LARGEST_SCALE = 2.0**-50, 2.0**30
"""Of a unit in fixed point: ``multiplier / 2**shift`` says these to at least 12 bits."""


def exact_scale(scale: float, name: str) -> tuple[float, int, int]:
    """The nearest ``multiplier / 2**shift`` (a coding's numbers) and these two.

    Raises:
        InputError: ``scale`` is beyond what these can say; ``name`` is the float value to blame.

    """
    if not SMALLEST_SCALE <= scale <= LARGEST_SCALE:
        raise InputError(f"its numbers are too large or too small: a unit of {scale:g}", field=f"value {name!r}")
    _, exponent = np.frexp(scale)
    shift = int(np.clip(SCALE_BITS - 1 - int(exponent), 0, 62))
    multiplier = int(np.clip(round(scale * 2.0**shift), 1, (1 << SCALE_BITS) - 1))
    while multiplier % 2 == 0 and shift > 0:
        multiplier //= 2
        shift -= 1
    return multiplier / 2.0**shift, multiplier, shift


def static_shape(shape: tuple[Any, ...], where: str) -> tuple[Axis, ...]:
    """A symbolic shape as the integer graph writes it; a product of symbols has no place there."""
    if any(isinstance(axis, tuple) for axis in shape):
        raise InputError(f"shape {list(shape)}: an axis that mixes batch or sequence with others", field=where)
    return shape


@dataclass(slots=True)
class Lowering:
    """Recipes and realised values, and the questions that all layers ask."""

    source: Source
    layers: Layers
    ranges: Ranges
    by_rows: bool
    sequence_limit: int
    position_table: Callable[[str], NDArray[np.float64]]
    emitter: Emitter = field(default_factory=Emitter)
    recipes: dict[str, Recipe] = field(default_factory=dict)
    indices: dict[str, str] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)
    images: set[str] = field(default_factory=set)
    records: dict[str, Realised] = field(default_factory=dict)
    input_names: dict[str, str] = field(default_factory=dict)
    output_names: dict[str, str] = field(default_factory=dict)
    ends: tuple[str, ...] = ()
    groups: dict[str, str] = field(default_factory=dict)
    group_reach: dict[str, float] = field(default_factory=dict)
    makers: dict[str, Layer] = field(init=False)
    factors: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    natural: dict[str, Form] = field(default_factory=dict)
    given: dict[str, Form] = field(default_factory=dict)
    ensembles: dict[str, tuple[Ensemble, str, str, float]] = field(default_factory=dict)
    _realised: dict[tuple[str, Form], str] = field(default_factory=dict)
    _turned: dict[tuple[str, Form, bool], str] = field(default_factory=dict)
    _rows: dict[tuple[str, Form], tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.makers = {layer.output: layer for layer in self.layers.layers}

    def fail(self, layer: Layer, detail: str) -> InputError:
        """The error for a layer that cannot be written in integers."""
        return InputError(detail, self.source.graph.path, f"node {layer.node!r} ({layer.kind})")

    def shape(self, name: str) -> tuple[Any, ...]:
        """The symbolic shape of a float value."""
        return self.layers.shapes[name]

    # Forms: which integers a float value is asked for in.

    def wide(self, name: str) -> Form:
        """16 bits with headroom; what is added to each other has one scale: nothing is rescaled for an addition."""
        if name in self.natural and name not in self.groups:
            return self.natural[name]
        largest = self.group_reach.get(self.groups.get(name, name)) or self.ranges.largest(name)
        return Form.symmetric(16, HEADROOM * largest)

    def fine(self, name: str) -> Form:
        """32 bits, for outputs and for what is only compared."""
        scale, _, _ = exact_scale(FINE_HEADROOM * self.ranges.largest(name) / FINE_LIMIT, name)
        return Form(32, scale, 0, -FINE_LIMIT, FINE_LIMIT)

    def byte(self, name: str, *, symmetric: bool) -> Form:
        """8 bits over the calibrated range."""
        low, high = self.ranges.bounds[name]
        return Form.symmetric(8, self.ranges.largest(name)) if symmetric else Form.asymmetric(low, high)

    def set_natural(self, name: str, form: Form) -> None:
        """The form in which an operator gives its output anyway."""
        self.natural[name] = form

    def given_form(self, name: str) -> Form | None:
        """The form of a graph input that was chosen for products; views of it have it too."""
        for _ in range(len(self.makers) + 1):
            if name in self.given:
                return self.given[name]
            layer = self.makers.get(name)
            if layer is None or layer.kind not in {"reshape", "transpose", "same", "max_pool"}:
                return None
            name = layer.inputs[0]
        return None

    # Values: emitted when asked for, once for each form.

    def realise(self, name: str, form: Form) -> str:
        """The integer value that stands for ``name`` in ``form``; images stay images."""
        key = (name, form)
        if key not in self._realised:
            made = self.recipes[name].emit(self.emitter, f"{name}", form)
            self._realised[key] = made
            before = self.records.get(name)
            if before is None or before.form.bits < form.bits:
                self.records[name] = Realised(made, form, name in self.images)
        return self._realised[key]

    def image(self, name: str, form: Form) -> str:
        """As ``realise``, [batch, height, width, channels]."""
        return self._in_layout(name, form, as_image=True)

    def plain(self, name: str, form: Form) -> str:
        """As ``realise``, in the source's layout."""
        return self._in_layout(name, form, as_image=False)

    def _in_layout(self, name: str, form: Form, *, as_image: bool) -> str:
        value = self.realise(name, form)
        shape = self.shape(name)
        if len(shape) != IMAGE_RANK or (name in self.images) == as_image:
            return value
        key = (name, form, as_image)
        if key not in self._turned:
            order = TO_IMAGE if as_image else FROM_IMAGE
            batch, channels, height, width = static_shape(shape, name)
            if channels == 1 or height == width == 1:
                target = (batch, height, width, channels) if as_image else shape
                self._turned[key] = self.emitter.node("reshape", f"{name}.turned", [value], shape=target)
            else:
                self._turned[key] = self.emitter.node("transpose", f"{name}.turned", [value], order=order)
        return self._turned[key]

    def rows(self, name: str, value: str, form: Form) -> tuple[str, str]:
        """``requantise_rows`` of a 16-bit value: (rows, scale), shared by all that multiply it."""
        key = (value, form)
        if key not in self._rows:
            self._rows[key] = self.emitter.pair("requantise_rows", f"{name}.rows", [value], scale_shift=0)
        return self._rows[key]

    def integer(self, name: str) -> Integer:
        """The value as integers that a scale, an offset or a clip can still be attached to."""
        recipe = self.recipes[name]
        if isinstance(recipe, Integer) and not recipe.is_clipped:
            return recipe
        form = self.wide(name)
        return _plain_integer(self.realise(name, form), form)

    def rename(self, turn: dict[str, str]) -> None:
        """Give values, nodes and tensors other names, all at once."""
        emitter = self.emitter
        emitter.nodes = [
            replace(
                node,
                name=turn.get(node.name, node.name),
                inputs=tuple(turn.get(name, name) for name in node.inputs),
                outputs=tuple(turn.get(name, name) for name in node.outputs),
            )
            for node in emitter.nodes
        ]
        emitter.tensors = {turn.get(name, name): tensor for name, tensor in emitter.tensors.items()}
        self.indices = {name: turn.get(value, value) for name, value in self.indices.items()}
        self.output_names = {name: turn.get(value, value) for name, value in self.output_names.items()}
        self.records = {
            name: replace(record, name=turn.get(record.name, record.name)) for name, record in self.records.items()
        }

    def set_record(self, name: str, value: str, form: Form) -> None:
        """Note where a float value stands, for the report, where no form was asked for."""
        self.records.setdefault(name, Realised(value, form, name in self.images))


def _plain_integer(value: str, form: Form) -> Integer:
    return Integer(value, np.array([form.scale]), np.zeros(1), form.reach, form.bits)
