"""Artefacts a little wrong: reference and executor must take or refuse each mutant of a file alike."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.artefact import container
from solder.coprocessors.ai.graph import BATCH, SEQUENCE
from solder.coprocessors.ai.graph_canonical import canonical_text
from solder.coprocessors.ai.reference.table import OPERATORS

if TYPE_CHECKING:
    import random

    from .generator import Case

EXTREMES = (
    *(
        -1,
        0,
        1,
        2,
        3,
        7,
        8,
        9,
        16,
        30,
        31,
        32,
        33,
        61,
        62,
        63,
        64,
        65,
        127,
        128,
        -128,
        -129,
        255,
        256,
        1023,
        1024,
        1025,
    ),
    *(32_767, 32_768, -32_768, 65_535, 65_536, 65_537, 1 << 20, 1 << 24, (1 << 24) + 1),
    *((1 << 31) - 1, 1 << 31, -(1 << 31), -(1 << 31) - 1, 1 << 60, (1 << 60) + 1, (1 << 63) - 1, -(1 << 63)),
)


def mutant(case: Case, dice: random.Random) -> bytes:
    """A file with one to three things changed, in the graph, in the tensors or in the bytes."""
    document: Any = copy.deepcopy(case.graph.as_json())
    tensors: dict[str, Any] = dict(case.tensors)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        if tensors and dice.random() < 0.3:
            _change_tensor(tensors, dice)
        elif dice.random() < 0.85:
            _change_graph(document, dice)
        else:
            _change_anything(document, dice)
            break
    raw = container(canonical_text(document), tensors)
    return _change_bytes(raw, dice) if dice.random() < 0.15 else raw


def _change_tensor(tensors: dict[str, Any], dice: random.Random) -> None:
    name = dice.choice(sorted(tensors))
    tensor = tensors[name]
    info = np.iinfo(tensor.dtype)
    kind = dice.randrange(5)
    if kind == 0:
        tensors[name] = np.full_like(tensor, dice.choice((info.min, info.max, 0, 1, -1)))
    elif kind == 1:
        tensors[name] = tensor.copy()
        value = dice.choice((info.min, info.max, dice.randint(info.min, info.max)))
        tensors[name].flat[dice.randrange(tensor.size)] = value
    elif kind == 2:
        tensors[name] = tensor.astype(dice.choice((np.int8, np.int16, np.int32)))
    elif kind == 3:
        tensors[name] = tensor[: dice.randint(1, len(tensor))]
    else:
        tensors[name] = tensor.reshape(dice.choice(((-1,), (1, *tensor.shape), tensor.shape[::-1]))[:6])


def _change_graph(document: Any, dice: random.Random) -> None:
    place = dice.choice(document["nodes"] or document["inputs"])
    kind = dice.randrange(7)
    if "operator" not in place or kind == 0:
        place = dice.choice(document["inputs"])
        field = dice.choice(("bits", "minimum", "maximum", "shape"))
        if field == "shape":
            place["shape"] = _change_list(place["shape"], dice)
        else:
            place[field] = dice.choice((8, 16, 32, place[field] + 1, place[field] - 1, dice.choice(EXTREMES)))
    elif kind == 1:
        document[dice.choice(("batch_limit", "sequence_limit"))] = dice.choice((1, 2, 64, *EXTREMES))
    elif kind == 2:
        names = [name for node in document["nodes"] for name in (*node["inputs"], *node["outputs"])]
        place["inputs"] = [dice.choice(names) if dice.random() < 0.5 else name for name in place["inputs"]]
    elif kind == 3:
        place["operator"] = dice.choice(sorted(OPERATORS))
    elif kind == 4:
        place["inputs"] = place["inputs"][:-1] or ["x"]
    elif place["attributes"]:
        name = dice.choice(sorted(place["attributes"]))
        value = place["attributes"][name]
        if isinstance(value, list):
            place["attributes"][name] = _change_list(value, dice)
        else:
            place["attributes"][name] = dice.choice((value + 1, value - 1, -value, dice.choice(EXTREMES)))


def _change_list(items: list[Any], dice: random.Random) -> list[Any]:
    items = list(items)
    kind = dice.randrange(5)
    if kind == 0:
        return items[:-1]
    if kind == 1:
        return [*items, dice.choice((1, 2, BATCH, SEQUENCE))]
    if kind == 2:
        dice.shuffle(items)
    elif items:
        items[dice.randrange(len(items))] = dice.choice((BATCH, SEQUENCE, 1, 2, 4, *EXTREMES))
    return items


def _change_anything(document: Any, dice: random.Random) -> None:
    """A key or an item anywhere in the document: gone, twice, or of another kind."""
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = dice.choice(keys)
        inner = place[key]
        if not isinstance(inner, dict | list) or dice.random() < 0.3:
            break
        place = inner
    kind = dice.randrange(4)
    if kind == 0:
        del place[key]
    elif kind == 1 and isinstance(place, list):
        place.insert(key, copy.deepcopy(inner))
    elif kind == 2 and isinstance(place, dict):
        place[f"{key}2"] = copy.deepcopy(inner)
    else:
        place[key] = dice.choice((0, -1, 1 << 62, "", "x", "é", "a" * 129, "a" * 257, [], {}, [[1]], {"kind": "index"}))


def _change_bytes(raw: bytes, dice: random.Random) -> bytes:
    changed = bytearray(raw)
    kind = dice.randrange(4)
    at = dice.randrange(len(changed))
    if kind == 0:
        changed[at] ^= 1 << dice.randrange(8)
    elif kind == 1:
        del changed[at : at + dice.randint(1, 9)]
    elif kind == 2:
        changed[at:at] = bytes(dice.choice((0, 32, 44, 57, 93)) for _ in range(dice.randint(1, 9)))
    else:
        changed[dice.randrange(8)] = dice.choice((0, 1, 7, 8, 255))
    return bytes(changed)
