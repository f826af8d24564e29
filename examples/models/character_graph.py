"""The character transformer in integers: a graph for a whole text, and one for a step with a cache of keys and values.

Both graphs are the same nodes with the same tensors; they differ in where positions and keys come from. Every operator
but attention is one row's business, and attention sums over the same keys in both, so the bits are equal.

Scales: the residual stream is int32 in units of 2**-12; what enters a product is requantised per row; queries, keys and
values have one scale each, from the largest value on calibration text, rounded up to 6 binary digits so that the last
bits of a float never decide an artefact's hash.
"""

from dataclasses import dataclass, field
from math import ceil, exp, floor, frexp, ldexp

import characters
import numpy as np
from characters import CONTEXT, HEADS, LAYERS, WIDTH, Weights
from numpy.typing import NDArray

from solder.coprocessors.ai.artefact import write_artefact
from solder.coprocessors.ai.graph import BATCH, SEQUENCE, Attribute, Coding, Graph, Input, Node, Output

STREAM_BITS = 12  # fraction bits of the residual stream and of the logits
NORM_BITS = 10  # of what a layer norm gives
CONTEXT_BITS = 8  # of attended values, below the scale of the values
STREAM_MOST = 1 << 20
SCALE_SHIFT = 4
EXP_STEPS = 32  # table entries per unit of the exponent
EXP_ENTRIES = 320
GELU_ENTRIES = 4096
BATCH_LIMIT = 64
INT32 = (1 << 31) - 1


def rounded_up(value: float, digits: int = 6) -> float:
    """The least number of so many binary digits that is not below ``value``."""
    mantissa, exponent = frexp(value)
    return ldexp(ceil(mantissa * (1 << digits)), exponent - digits)


def rounded(values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Half up, as the format rounds."""
    return np.floor(values + 0.5).astype(np.int64)


@dataclass
class _Builder:
    weights: Weights
    largest: dict[str, float]
    step: bool
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, NDArray[np.integer]] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)

    def node(self, name: str, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """A node with one output, named like it."""
        self.nodes.append(Node(name, operator, inputs, (name,), attributes))
        return name

    def tensor(self, name: str, values: NDArray[np.integer], bits: int) -> str:
        """A constant; it must fit."""
        stored = values.astype(f"int{bits}")
        if not (stored == values).all():
            raise OverflowError(f"{name}: more than {bits} bits")
        self.tensors[name] = stored
        return name

    def weight(self, name: str) -> NDArray[np.float32]:
        """The float weight of a node: layers are numbers there, ``layer0`` here."""
        return self.weights[name.removeprefix("layer")]

    def norm(self, name: str, value: str) -> str:
        """Layer norm of the stream and its rows as int8; gives the rows' name, their scale is ``<rows>.scale``."""
        gain = rounded(self.weight(name) * (1 << 12))
        bias = rounded(self.weight(f"{name}.bias") * (1 << (12 + 14)))
        normed = self.node(
            name,
            "layer_norm",
            value,
            self.tensor(f"{name}.gain", gain, 16),
            self.tensor(f"{name}.offset", bias, 32),
            epsilon=floor(WIDTH**2 * characters.EPSILON * (1 << 2 * STREAM_BITS)),
            fraction_bits=14,
            bias_shift=0,
            shift=12 + 14 - NORM_BITS,
            minimum=-32767,
            maximum=32767,
            bits=16,
        )
        return self.rows(f"{name}.rows", normed)

    def rows(self, name: str, value: str) -> str:
        """Requantise int16 rows."""
        self.nodes.append(
            Node(name, "requantise_rows", (value,), (name, f"{name}.scale"), {"scale_shift": SCALE_SHIFT})
        )
        return name

    def dense(self, name: str, rows: str, unit: float, to: float, bits: int, most: int) -> str:
        """A product of requantised rows (of a value in units of ``unit``), its result in units of ``to``."""
        matrix, bias = self.weight(name).astype(np.float64), self.weight(f"{name}.bias").astype(np.float64)
        channel = np.maximum(np.abs(matrix).max(axis=0), 1e-6) / 127
        product = self.node(
            f"{name}.product",
            "linear",
            rows,
            self.tensor(f"{name}.weight", rounded(matrix / channel).T, 8),
        )
        factor = channel * unit * (1 << SCALE_SHIFT) / (127 * to)
        largest_scale = (32768 + (1 << SCALE_SHIFT) - 1) >> SCALE_SHIFT
        shift = min(floor(np.log2(INT32 // largest_scale / factor.max())), 62)
        wanted = bias / to * 2.0**shift
        bias_shift = max(ceil(np.log2(max(np.abs(wanted).max(), 1) / INT32)), 0)
        return self.node(
            name,
            "rescale_rows",
            product,
            f"{rows}.scale",
            self.tensor(f"{name}.multiplier", rounded(factor * 2.0**shift), 32),
            self.tensor(f"{name}.offset", rounded(wanted / (1 << bias_shift)), 32),
            shift=shift,
            bias_shift=bias_shift,
            minimum=-most,
            maximum=most,
            bits=bits,
        )

    def stream_add(self, name: str, left: str, right: str) -> str:
        """A sum on the residual stream."""
        return self.node(name, "add", left, right, minimum=-STREAM_MOST, maximum=STREAM_MOST, bits=32)

    def embed(self) -> str:
        """Tokens and positions as rows of the stream."""
        token = self.tensor("token.table", rounded(self.weights["token"] * (1 << STREAM_BITS)), 16)
        position = self.tensor("position.table", rounded(self.weights["position"] * (1 << STREAM_BITS)), 16)
        shape = (BATCH, 1 if self.step else SEQUENCE)
        self.inputs.append(Input("tokens", 8, shape, 0, len(characters.ALPHABET) - 1))
        tokens = self.node("token", "embedding", "tokens", token)
        if not self.step:
            self.node("position.index", "positions", "tokens", axis=1)
            return self.stream_add("stream", tokens, self.node("position", "embedding", "position.index", position))
        self.inputs.append(Input("position", 32, (BATCH,), 0, CONTEXT - 1))
        rows = self.node("position.rows", "embedding", "position", position)
        return self.stream_add("stream", tokens, self.node("position.wide", "reshape", rows, shape=(BATCH, 1, WIDTH)))

    def attention(self, layer: int, stream: str) -> str:
        """Attention and its sum into the stream."""
        rows = self.norm(f"layer{layer}.norm_1", stream)
        unit = {part: self.largest[f"{layer}.{part}"] / 127 for part in ("query", "key", "value")}
        flow = {
            part: self.dense(f"layer{layer}.{part}", rows, 2.0**-NORM_BITS, unit[part], 8, 127)
            for part in ("query", "key", "value")
        }
        if self.step:
            for part in ("key", "value"):
                flow[part] = self.cache(f"layer{layer}.{part}", flow[part])
        factor = unit["query"] * unit["key"] / (WIDTH // HEADS) ** 0.5 * EXP_STEPS
        shift = min(floor(np.log2(INT32 / factor)), 40)
        table = rounded(np.asarray([127 * exp(-entry / EXP_STEPS) for entry in range(EXP_ENTRIES)]))
        attended = self.node(
            f"layer{layer}.attention",
            "attention",
            flow["query"],
            flow["key"],
            flow["value"],
            self.tensor("exp.table", table, 8),
            heads=HEADS,
            multiplier=int(rounded(np.asarray(factor * 2.0**shift))),
            shift=shift,
            causal=1,
            fraction_bits=CONTEXT_BITS,
            bits=16,
        )
        rows = self.rows(f"layer{layer}.attention.rows", attended)
        result = self.dense(
            f"layer{layer}.attended", rows, unit["value"] / (1 << CONTEXT_BITS), 2.0**-STREAM_BITS, 32, STREAM_MOST
        )
        return self.stream_add(f"layer{layer}.stream", stream, result)

    def cache(self, name: str, row: str) -> str:
        """The keys or values so far, with this step's row in their last slot; given back for the next step."""
        self.inputs.append(Input(f"{name}.cache", 8, (BATCH, SEQUENCE, WIDTH), -127, 127))
        written = self.node(f"{name}.written", "cache_write", f"{name}.cache", row, "position")
        self.outputs.append(Output(written))
        return written

    def feed_forward(self, layer: int, stream: str) -> str:
        """The two dense layers with GELU by table, and their sum into the stream."""
        rows = self.norm(f"layer{layer}.norm_2", stream)
        unit = self.largest[f"{layer}.hidden"] / (GELU_ENTRIES // 2 - 1)
        hidden = self.dense(f"layer{layer}.hidden", rows, 2.0**-NORM_BITS, unit, 16, GELU_ENTRIES // 2 - 1)
        entries = np.arange(-GELU_ENTRIES // 2, GELU_ENTRIES // 2) * unit
        result_unit = self.largest[f"{layer}.hidden"] / 32767
        table = self.tensor(f"layer{layer}.gelu.table", rounded(characters.gelu(entries) / result_unit), 16)
        active = self.node(f"layer{layer}.gelu", "lookup", hidden, table, offset=-GELU_ENTRIES // 2)
        rows = self.rows(f"layer{layer}.gelu.rows", active)
        result = self.dense(f"layer{layer}.out", rows, result_unit, 2.0**-STREAM_BITS, 32, STREAM_MOST)
        return self.stream_add(f"layer{layer}.stream.out", f"layer{layer}.stream", result)

    def build(self) -> bytes:
        """The artefact."""
        stream = self.embed()
        for layer in range(LAYERS):
            stream = self.feed_forward(layer, self.attention(layer, stream))
        logits = self.dense("logits", self.norm("norm", stream), 2.0**-NORM_BITS, 2.0**-STREAM_BITS, 32, STREAM_MOST)
        self.outputs.insert(0, Output(logits, Coding("fixed", 1, STREAM_BITS)))
        self.outputs.insert(1, Output(self.node("next", "argmax", logits)))
        graph = Graph(
            inputs=tuple(self.inputs),
            nodes=tuple(self.nodes),
            outputs=tuple(self.outputs),
            title="characters, one step" if self.step else "characters",
            batch_limit=BATCH_LIMIT,
            sequence_limit=CONTEXT,
        )
        return write_artefact(graph, self.tensors)


def artefacts(weights: Weights, calibration: NDArray[np.int32]) -> tuple[bytes, bytes]:
    """The whole-text graph and the step graph, calibrated on blocks of tokens (n, CONTEXT)."""
    seen: dict[str, float] = {}
    characters.forward(weights, calibration, seen)
    largest = {name: rounded_up(value) for name, value in seen.items()}
    whole, step = (_Builder(weights, largest, step=step).build() for step in (False, True))
    return whole, step
