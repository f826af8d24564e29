"""Flame graphs for speedscope (https://www.speedscope.app): a file with one profile of gas and one of nanoseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from solder.errors import InputError
from solder.profile.signatures import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from solder.profile.bill import Bill

__all__ = ["speedscope", "stacks"]

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def speedscope(profiles: Iterable[Bill], names: dict[str, str] | None = None) -> dict[str, object]:
    """The file's content. A residual below zero has no width and is left out."""
    all_of = list(profiles)
    frames: dict[str, int] = {}
    samples: list[list[int]] = []
    gas: list[int] = []
    time: list[int] = []
    for stack, part_gas, nanoseconds in stacks(all_of, names):
        samples.append([frames.setdefault(name, len(frames)) for name in stack])
        gas.append(part_gas)
        time.append(max(nanoseconds, 0))
    title = ", ".join(profile.name for profile in all_of[:3]) + (", ..." if len(all_of) > 3 else "")  # noqa: PLR2004
    return {
        "$schema": SCHEMA,
        "name": title,
        "exporter": "solder",
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": name} for name in frames]},
        "profiles": [
            _sampled(f"{title}: gas", "none", samples, gas),
            _sampled(f"{title}: time", "nanoseconds", samples, time),
        ],
    }


def _sampled(name: str, unit: str, samples: list[list[int]], weights: list[int]) -> dict[str, Any]:
    kept = [(sample, weight) for sample, weight in zip(samples, weights, strict=True) if weight > 0]
    return {
        "type": "sampled",
        "name": name,
        "unit": unit,
        "startValue": 0,
        "endValue": sum(weight for _, weight in kept),
        "samples": [sample for sample, _ in kept],
        "weights": [weight for _, weight in kept],
    }


def stacks(profiles: Sequence[Bill], names: dict[str, str] | None = None) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """Every part of every node, below those that called it: names from the outermost inwards, gas, nanoseconds."""
    for profile in profiles:
        if profile.tree is None:
            raise InputError("the profile was made without its call trees", field="tree")
        for index, nodes in enumerate(profile.tree):
            paths: list[tuple[str, ...]] = []
            for place, node in enumerate(nodes):
                if place == 0:
                    path: tuple[str, ...] = (profile.name, f"transaction {index}")
                else:
                    path = (*paths[node["parent"]], name_of(node["address"], node["selector"], node["kind"], names))
                paths.append(path)
                for part, gas, nanoseconds in node["parts"]:
                    yield (*path, part), gas, nanoseconds
