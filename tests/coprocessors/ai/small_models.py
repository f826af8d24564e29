"""Small graphs that tests name: a dense layer, and a decoder with and without its cache on the same tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.graph import BATCH, SEQUENCE, Graph, Input, Node, Output

if TYPE_CHECKING:
    import numpy.typing as npt

VOCABULARY, WIDTH, CONTEXT = 11, 8, 12


def dense() -> tuple[Graph, dict[str, npt.NDArray[Any]]]:
    """x int8 [batch, 4] -> linear -> rescale -> z int8 [batch, 3]."""
    nodes = (
        Node("fc", "linear", ("x", "weight", "bias"), ("sum",)),
        Node(
            "fit",
            "rescale",
            ("sum", "multiplier"),
            ("z",),
            {"shift": 8, "zero_point": 0, "minimum": -127, "maximum": 127, "bits": 8},
        ),
    )
    tensors: dict[str, npt.NDArray[Any]] = {
        "weight": np.arange(-6, 6, dtype=np.int8).reshape(3, 4),
        "bias": np.array([5, -5, 100], dtype=np.int32),
        "multiplier": np.array([7], dtype=np.int32),
    }
    return Graph((Input("x", 8, (BATCH, 4), -128, 127),), nodes, (Output("z"),), title="dense"), tensors


def decoder(*, cached: bool) -> tuple[Graph, dict[str, npt.NDArray[Any]]]:
    """One causal layer over token ids: all tokens at once, or one token with keys and values of those before."""
    numbers = np.random.default_rng(7)
    tensors: dict[str, npt.NDArray[Any]] = {
        "words": numbers.integers(-100, 100, (VOCABULARY, WIDTH)).astype(np.int16),
        "places": numbers.integers(-100, 100, (CONTEXT, WIDTH)).astype(np.int16),
        "exp": np.floor(127 * np.exp(-np.arange(256) / 40) + 0.5).astype(np.int8),
        "gain": numbers.integers(2000, 4000, WIDTH).astype(np.int16),
        "offset": numbers.integers(-50, 50, WIDTH).astype(np.int32),
        "out.weight": numbers.integers(-127, 128, (VOCABULARY, WIDTH)).astype(np.int8),
    }
    for part in ("query", "key", "value"):
        tensors[f"{part}.weight"] = numbers.integers(-127, 128, (WIDTH, WIDTH)).astype(np.int8)
        tensors[f"{part}.multiplier"] = numbers.integers(2000, 4000, WIDTH).astype(np.int32)
    length = 1 if cached else SEQUENCE
    nodes = [
        Node("word", "embedding", ("token", "words"), ("word",)),
        Node("place", "embedding", ("position" if cached else "place.id", "places"), ("place.1",)),
        *([] if cached else [Node("id", "positions", ("token",), ("place.id",), {"axis": 1})]),
        *([Node("row", "reshape", ("place.1",), ("place.row",), {"shape": (BATCH, 1, WIDTH)})] if cached else []),
        Node(
            "stream",
            "add",
            ("word", "place.row" if cached else "place.1"),
            ("stream",),
            {"bits": 16, "minimum": -32_768, "maximum": 32_767},
        ),
        Node("rows", "requantise_rows", ("stream",), ("rows", "scale"), {"scale_shift": 0}),
    ]
    if not cached:
        nodes[1], nodes[2] = nodes[2], nodes[1]
    clamp = {"bits": 8, "minimum": -127, "maximum": 127}
    for part in ("query", "key", "value"):
        nodes += [
            Node(f"{part}.sum", "linear", ("rows", f"{part}.weight"), (f"{part}.sum",)),
            Node(
                f"{part}.fit",
                "rescale_rows",
                (f"{part}.sum", "scale", f"{part}.multiplier"),
                (part,),
                {"shift": 27, "bias_shift": 0, **clamp},
            ),
        ]
    seen = {"key": "key", "value": "value"}
    if cached:
        for part in seen:
            nodes.append(Node(f"{part}.keep", "cache_write", (f"{part}s", part, "position"), (f"{part}s.new",)))
        seen = {"key": "keys.new", "value": "values.new"}
    nodes += [
        Node(
            "attention",
            "attention",
            ("query", seen["key"], seen["value"], "exp"),
            ("mixed",),
            {"heads": 2, "multiplier": 1 << 20, "shift": 25, "causal": 1, "fraction_bits": 8, "bits": 16},
        ),
        Node("sum", "add", ("stream", "mixed"), ("summed",), {"bits": 32, "minimum": -70_000, "maximum": 70_000}),
        Node(
            "norm",
            "layer_norm",
            ("summed", "gain", "offset"),
            ("normal",),
            {
                "epsilon": 64,
                "fraction_bits": 10,
                "bias_shift": 8,
                "shift": 12,
                **clamp,
                "bits": 16,
                "minimum": -9000,
                "maximum": 9000,
            },
        ),
        Node("normal.rows", "requantise_rows", ("normal",), ("out.rows", "out.scale"), {"scale_shift": 0}),
        Node("logits", "linear", ("out.rows", "out.weight"), ("logits",)),
        Node("choice", "argmax", ("logits",), ("next",)),
    ]
    inputs = [Input("token", 32, (BATCH, length), 0, VOCABULARY - 1)]
    outputs = [Output("next"), Output("logits")]
    if cached:
        inputs.append(Input("position", 32, (BATCH,), 0, CONTEXT - 1))
        inputs += [Input(name, 8, (BATCH, SEQUENCE, WIDTH), -127, 127) for name in ("keys", "values")]
        outputs += [Output("keys.new"), Output("values.new")]
    return Graph(tuple(inputs), tuple(nodes), tuple(outputs), sequence_limit=CONTEXT, title="decoder"), tensors
