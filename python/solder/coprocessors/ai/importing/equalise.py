"""Equalises the channels between two products, in float and without changing the model, before anything is quantised.

A value that is made by a product and read by one other product can be divided by a factor for each channel, if the
second product's weights are multiplied by it (a relu and pooling between them commute with positive factors). With
``factor = sqrt(range of the channel / largest weight that reads it)`` neither a wide channel nor a large weight takes
the 8 bits of all others. The idea is cross-layer equalisation (Nagel et al., "Data-Free Quantization", 2019), with
measured ranges.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.importing.calibrate import Ranges, round_up

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from solder.coprocessors.ai.importing.layers import Layer, Layers

__all__ = ["Chain", "equalise", "find_chains"]

PRODUCERS = {"linear", "convolution", "affine"}
BETWEEN = {"clip", "max_pool", "average_pool", "reshape"}
IMAGE_RANK, FLAT_RANK = 4, 2


@dataclass(frozen=True, slots=True)
class Chain:
    """A producer, what is between, and the consumer; ``repeat``: how many columns of the consumer read one channel."""

    producer: Layer
    between: tuple[Layer, ...]
    consumer: Layer
    repeat: int

    @property
    def values(self) -> tuple[str, ...]:
        """The values with channels, from the producer's output on."""
        kept = [layer for layer in self.between if layer.kind != "reshape"]
        return (self.producer.output, *(layer.output for layer in kept))

    @property
    def last(self) -> str:
        """The value whose channels are measured: the last one that still has channels."""
        return self.values[-1]


def find_chains(layers: Layers, outputs: tuple[str, ...]) -> list[Chain]:
    """The chains of ``layers``; no value of one is read by anybody else."""
    readers: dict[str, list[Layer]] = {}
    for layer in layers.layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer)
    chains = []
    for producer in layers.layers:
        if producer.kind not in PRODUCERS or not _by_channel(producer, layers):
            continue
        name, between, repeat = producer.output, [], 1
        while len(readers.get(name, [])) == 1 and name not in outputs:
            reader = readers[name][0]
            if reader.kind in BETWEEN and _commutes(reader, layers):
                if reader.kind == "reshape":
                    repeat = _columns(reader, layers)
                between.append(reader)
                name = reader.output
                continue
            if reader.kind == "linear" or (reader.kind == "convolution" and reader.settings["groups"] == 1):
                chains.append(Chain(producer, tuple(between), reader, repeat))
            break
    return chains


def _by_channel(producer: Layer, layers: Layers) -> bool:
    """Whether a factor can be applied to the output's channels: axis 1 of an image, the last axis of the rest."""
    rank = len(layers.shapes[producer.output])
    if producer.kind == "affine":
        axis = producer.settings["axis"] % rank
        scalar = producer.settings["scale"].size == 1
        return bool(scalar or axis == (1 if rank == IMAGE_RANK else rank - 1))
    return True


def _commutes(layer: Layer, layers: Layers) -> bool:
    if layer.kind == "clip":
        return bool(layer.settings["low"] == 0 and layer.settings["high"] == np.inf)
    if layer.kind == "reshape":
        return _columns(layer, layers) > 0
    return True


def _columns(layer: Layer, layers: Layers) -> int:
    """Of flattening an image, how many columns come of one channel; 0 for any other reshape."""
    before, after = layers.shapes[layer.inputs[0]], layers.shapes[layer.output]
    if len(before) != IMAGE_RANK or len(after) != FLAT_RANK or not isinstance(after[1], int):
        return 0
    channels = before[1]
    return after[1] // channels if isinstance(channels, int) and after[1] % channels == 0 else 0


@dataclass(slots=True)
class _Scaled:
    layers: dict[str, Layer]
    bounds: dict[str, tuple[float, float]]
    factors: dict[str, NDArray[np.float64]] = field(default_factory=dict)


def equalise(
    layers: Layers, ranges: Ranges, chains: list[Chain]
) -> tuple[Layers, Ranges, dict[str, NDArray[np.float64]]]:
    """Layers and ranges after equalisation, and by value the factor that its channels were divided by."""
    state = _Scaled({layer.output: layer for layer in layers.layers}, dict(ranges.bounds))
    for chain in chains:
        _apply(state, ranges, chain)
    kept = tuple(state.layers[layer.output] for layer in layers.layers)
    return replace(layers, layers=kept), replace(ranges, bounds=state.bounds), state.factors


def _apply(state: _Scaled, ranges: Ranges, chain: Chain) -> None:
    low, high = ranges.channels[chain.last]
    reach = np.maximum(np.abs(low), np.abs(high))
    consumer = state.layers[chain.consumer.output]
    weight = np.asarray(consumer.settings["weight"], np.float64)
    axis = 0 if consumer.kind == "linear" else 1
    others = tuple(place for place in range(weight.ndim) if place != axis)
    largest = np.abs(weight).max(axis=others).reshape(-1, chain.repeat).max(axis=1)
    used = (reach > 0) & (largest > 0)
    factor = np.array(
        [round_up(float(np.sqrt(r / w))) if fit else 1.0 for r, w, fit in zip(reach, largest, used, strict=True)]
    )
    shape = [1] * weight.ndim
    shape[axis] = -1
    wide = weight * np.repeat(factor, chain.repeat).reshape(shape)
    state.layers[consumer.output] = replace(consumer, settings={**consumer.settings, "weight": wide})
    producer = state.layers[chain.producer.output]
    state.layers[producer.output] = replace(producer, settings=_divided(producer, factor))
    for name in (producer.output, *(layer.output for layer in chain.between)):
        repeated = np.repeat(factor, chain.repeat) if name == chain.consumer.inputs[0] and chain.repeat > 1 else factor
        state.factors[name] = repeated
        measured = ranges.channels.get(name)
        if measured is None:  # a flattened image: the same numbers as before
            measured = ranges.channels[chain.last]
        state.bounds[name] = (float((measured[0] / factor).min()), float((measured[1] / factor).max()))


def _divided(producer: Layer, factor: NDArray[np.float64]) -> dict[str, Any]:
    settings = producer.settings
    if producer.kind == "affine":
        return {**settings, "scale": settings["scale"] / factor, "offset": settings["offset"] / factor}
    weight = np.asarray(settings["weight"], np.float64)
    weight = weight / factor if producer.kind == "linear" else weight / factor[:, None, None, None]
    bias = None if settings["bias"] is None else settings["bias"] / factor
    return {**settings, "weight": weight, "bias": bias}
