"""The rules of the specification by hand: rounding, limits of proofs, cost, identity, rows apart from each other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from solder.coprocessors.ai.artefact import Artefact, quote, read_artefact, write_artefact
from solder.coprocessors.ai.graph import BATCH, Graph, Input, Node, Output
from solder.coprocessors.ai.reference import run
from solder.coprocessors.ai.reference.arithmetic import round_shift
from solder.errors import InputError

from .generator import random_case
from .small_models import CONTEXT, VOCABULARY, WIDTH, decoder, dense

INT32 = (1 << 31) - 1


def one_node(operator: str, operands: dict[str, Any], **attributes: Any) -> Artefact:
    """A graph of one node: an Input's operands are values, arrays are tensors."""
    values = tuple(item for item in operands.values() if isinstance(item, Input))
    tensors = {name: item for name, item in operands.items() if not isinstance(item, Input)}
    node = Node("node", operator, tuple(operands), ("out",), attributes)
    return read_artefact(write_artefact(Graph(values, (node,), (Output("out"),)), tensors))


def x(bits: int, *shape: int | str, low: int | None = None, high: int | None = None) -> Input:
    return Input(
        "x",
        bits,
        (BATCH, *shape),
        -(1 << (bits - 1)) if low is None else low,
        (1 << (bits - 1)) - 1 if high is None else high,
    )


def test_rules_rounding_is_half_up() -> None:
    assert [round_shift(value, 1) for value in (-3, -2, -1, 0, 1, 2, 3)] == [-1, -1, 0, 0, 1, 1, 2]
    assert [round_shift(value, 2) for value in (-6, -5, 5, 6)] == [-1, -1, 1, 2]
    assert round_shift(np.array([-(1 << 62)]), 62).tolist() == [-1]


def test_rules_requantised_rows_reach_127_and_come_back() -> None:
    artefact = one_node_pair()
    rows = np.array([[1000, -1000, 500, 0], [0, 0, 0, 0], [1, -1, 1, 1], [-32_768, 32_767, 3, 130]], dtype=np.int16)
    out = run(artefact, {"x": rows})
    assert out["rows"].tolist() == [[127, -127, 63, 0], [0, 0, 0, 0], [127, -127, 127, 127], [-127, 127, 0, 1]]
    assert out["scale"].tolist() == [[1000], [0], [1], [32_768]]


def one_node_pair() -> Artefact:
    node = Node("node", "requantise_rows", ("x",), ("rows", "scale"), {"scale_shift": 0})
    return read_artefact(write_artefact(Graph((x(16, 4),), (node,), (Output("rows"), Output("scale"))), {}))


def test_rules_softmax_of_equals_is_equal_and_of_nothing_is_nothing() -> None:
    table = np.array([32_767, 12_054, 4434, 0], dtype=np.int16)
    mask = Input("mask", 8, (BATCH, 4), 0, 1)
    artefact = one_node(
        "softmax", {"x": x(8, 4), "table": table, "mask": mask}, multiplier=1 << 20, shift=20, one=127, bits=8
    )
    rows = np.array([[5, 5, 5, 5], [5, 5, 5, 5], [0, -1, 100, 0], [1, 2, 3, 4]], dtype=np.int8)
    seen = np.array([[1, 1, 1, 1], [1, 0, 0, 1], [1, 1, 0, 1], [0, 0, 0, 0]], dtype=np.int8)
    out = run(artefact, {"x": rows, "mask": seen})["out"]
    assert out.tolist() == [[32, 32, 32, 32], [63, 0, 0, 63], [54, 20, 0, 54], [0, 0, 0, 0]]


def test_rules_layer_norm_is_near_the_real_one() -> None:
    gain, bias = np.full(64, 1 << 14, dtype=np.int16), np.zeros(64, dtype=np.int32)
    limits = {"bits": 16, "minimum": -32_768, "maximum": 32_767}
    artefact = one_node(
        "layer_norm",
        {"x": x(16, 64), "gain": gain, "bias": bias},
        **{"epsilon": 1, "fraction_bits": 14, "bias_shift": 0, "shift": 16, **limits},
    )
    rows = np.random.default_rng(3).integers(-3000, 9000, (5, 64)).astype(np.int16)
    out = run(artefact, {"x": rows})["out"] / (1 << 12)
    real = (rows - rows.mean(axis=1, keepdims=True)) / rows.std(axis=1, keepdims=True)
    assert np.abs(out - real).max() < 1 / (1 << 11)


def test_rules_ties_go_to_the_lowest_index() -> None:
    rows = np.array([[3, 9, 9, 1], [7, 7, 7, 7]], dtype=np.int8)
    assert run(one_node("argmax", {"x": x(8, 4)}), {"x": rows})["out"].tolist() == [1, 0]
    node = Node("node", "top_k", ("x",), ("values", "indices"), {"k": 3})
    artefact = read_artefact(write_artefact(Graph((x(8, 4),), (node,), (Output("values"), Output("indices"))), {}))
    out = run(artefact, {"x": rows})
    assert out["indices"].tolist() == [[1, 2, 0], [0, 1, 2]]
    assert out["values"].tolist() == [[9, 9, 3], [7, 7, 7]]


def test_rules_an_accumulator_may_reach_the_end_of_int32_and_not_one_more() -> None:
    weight = np.full((2, 100), -128, dtype=np.int8)
    room = INT32 - 100 * 128 * 128
    for extra, admitted in ((0, True), (1, False)):
        bias = np.array([0, -(room + extra)], dtype=np.int32)
        operands = {"x": x(8, 100), "weight": weight, "bias": bias}
        if admitted:
            artefact = one_node("linear", operands)
            assert (artefact.values["out"].low, artefact.values["out"].high) == (-INT32, INT32)
            found = run(artefact, {"x": np.full((1, 100), 127, dtype=np.int8)})["out"]
            assert found.tolist() == [[-100 * 128 * 127, -100 * 128 * 127 - room]]
        else:
            with pytest.raises(InputError, match=r"node.*weight.*beyond int32"):
                one_node("linear", operands)


def test_rules_a_product_of_values_is_bound_by_the_longest_sequence() -> None:
    def graph(limit: int) -> bytes:
        nodes = (Node("product", "matrix_product", ("x", "x"), ("out",), {"transposed": 0}),)
        return write_artefact(Graph((x(8, 1, 1),), nodes, (Output("out"),), sequence_limit=limit), {})

    with pytest.raises(InputError, match="sequence_limit"):
        graph(2)
    inputs = (Input("x", 8, (BATCH, 3, "sequence"), -128, 127),)
    node = Node("product", "matrix_product", ("x", "x"), ("out",), {"transposed": 1})
    longest = INT32 // (128 * 128)
    fits = Graph(inputs, (node,), (Output("out"),), batch_limit=1, sequence_limit=65_536)
    assert longest >= fits.sequence_limit
    assert read_artefact(write_artefact(fits, {})).values["out"].high == 65_536 * 128 * 128


def test_rules_cost_by_hand() -> None:
    artefact = read_artefact(write_artefact(*dense()))
    cost = quote(artefact, 5)
    linear, rescale = cost.nodes
    assert (linear.multiply_accumulates, rescale.multiply_accumulates) == (5 * 3 * 4, 5 * 3)
    assert linear.bytes == 5 * 4 + 3 * 4 + 3 * 4 + 5 * 3 * 4
    assert rescale.bytes == 5 * 3 * 4 + 4 + 5 * 3
    assert (cost.multiply_accumulates, cost.bytes) == (75, linear.bytes + rescale.bytes)
    for wrong in (0, 65):
        with pytest.raises(InputError, match="batch"):
            quote(artefact, wrong)


def test_rules_identity_is_pinned() -> None:
    raw = write_artefact(*dense())
    artefact = read_artefact(raw)
    assert artefact.identity == "80b819c3cde40f163e36f915a85abe624e5a86f88b2979d7ba753d46d0e1c07f"
    assert artefact.parameters == 16
    assert write_artefact(artefact.graph, artefact.tensors) == raw


def test_rules_safetensors_reads_the_same_tensors() -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    graph, tensors = dense()
    found = safetensors.load(write_artefact(graph, tensors))
    assert {name: array.tolist() for name, array in found.items()} == {n: t.tolist() for n, t in tensors.items()}


def test_rules_a_row_does_not_see_the_others() -> None:
    """Any split of a batch gives the same bits."""
    for seed in range(60):
        case = random_case(seed)
        artefact = read_artefact(write_artefact(case.graph, case.tensors))
        whole = run(artefact, case.inputs)
        batch = next(iter(case.inputs.values())).shape[0]
        cut = 1 + seed % batch if batch > 1 else 1
        pieces = [slice(0, cut), slice(cut, batch)] if cut < batch else [slice(0, batch)]
        parts = [run(artefact, {name: array[piece] for name, array in case.inputs.items()}) for piece in pieces]
        for name, array in whole.items():
            assert np.array_equal(array, np.concatenate([part[name] for part in parts])), (seed, name)


def test_rules_generation_with_a_cache_equals_the_whole_sequence() -> None:
    whole, step = (read_artefact(write_artefact(*decoder(cached=cached))) for cached in (False, True))
    tokens = np.random.default_rng(5).integers(0, VOCABULARY, (3, CONTEXT)).astype(np.int32)
    wanted = run(whole, {"token": tokens})["logits"]
    keys = values = np.zeros((3, 0, WIDTH), dtype=np.int8)
    for position in range(CONTEXT):
        free = np.zeros((3, 1, WIDTH), dtype=np.int8)
        out = run(
            step,
            {
                "token": tokens[:, position : position + 1],
                "position": np.full(3, position, dtype=np.int32),
                "keys": np.concatenate([keys, free], axis=1),
                "values": np.concatenate([values, free], axis=1),
            },
        )
        keys, values = out["keys.new"], out["values.new"]
        assert np.array_equal(out["logits"][:, 0], wanted[:, position]), position
    assert len(np.unique(wanted)) > 100


def test_rules_cosine_is_near_the_real_one() -> None:
    rows = np.random.default_rng(1).integers(-128, 128, (4, 2, 50)).astype(np.int8)
    node = (
        Node("left", "slice", ("x",), ("left",), {"axis": 1, "start": 0, "length": 1}),
        Node("right", "slice", ("x",), ("right",), {"axis": 1, "start": 1, "length": 1}),
        Node("likeness", "cosine", ("left", "right"), ("out",), {"fraction_bits": 20}),
    )
    artefact = read_artefact(write_artefact(Graph((x(8, 2, 50),), node, (Output("out"),)), {}))
    out = run(artefact, {"x": rows})["out"][:, 0]
    for index, (a, b) in enumerate(rows.astype(float)):
        assert math.isclose(out[index] / (1 << 20), a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs_tol=1e-6)
