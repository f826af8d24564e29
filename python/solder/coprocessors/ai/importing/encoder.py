"""The front end for BERT-like encoders: a folder with ``model.safetensors`` and ``config.json`` becomes an ONNX graph.

The layout of folder and names is that of Hugging Face's ``BertModel`` and of sentence-transformers (``modules.json``,
``1_Pooling/config.json``). The graph is float; ``import_model`` turns it into integers like any other ONNX file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.importing.needs import needed
from solder.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["EncoderConfig", "encoder_model"]

MAX_CONFIG_BYTES = 1 << 20
MAX_WEIGHT_BYTES = 1 << 30
OPSET = 20
PREFIXES = ("", "bert.", "model.", "0.auto_model.")


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The numbers of ``config.json`` that shape the graph; ``pooling`` is "mean", "cls" or "" (none)."""

    layers: int
    hidden: int
    heads: int
    intermediate: int
    positions: int
    epsilon: float
    activation: str
    pooling: str
    normalise: bool


def encoder_model(folder: Path) -> Any:  # noqa: ANN401
    """The float graph of the encoder in ``folder``, an ``onnx.ModelProto``.

    Inputs int64 [batch, sequence]: ``input_ids``, ``attention_mask`` (1 where a token is), ``token_type_ids``.
    Outputs float32: ``last_hidden_state`` [batch, sequence, hidden], or with pooling ``sentence_embedding``
    [batch, hidden].

    Raises:
        InputError: a file is absent, too large or no encoder of this kind; a tensor is absent or of another shape.

    """
    config = _read_config(folder)
    weights = _read_weights(folder / "model.safetensors")
    return _Builder(str(folder / "model.safetensors"), config, weights).model()


def _read_json(path: Path) -> Any:  # noqa: ANN401
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise InputError(f"more than {MAX_CONFIG_BYTES:,} bytes", str(path))
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"no JSON: {error}", str(path)) from None


def _read_config(folder: Path) -> EncoderConfig:
    path = folder / "config.json"
    raw = _read_json(path)
    if not isinstance(raw, dict):
        raise InputError("no JSON object", str(path))

    def number(key: str, most: int) -> int:
        value = raw.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise InputError(f"{value!r} is no whole number in 1..{most:,}", str(path), key)
        return value

    def choice(key: str, allowed: tuple[str, ...]) -> str:
        value = raw.get(key, allowed[0])
        if value not in allowed:
            raise InputError(f"{value!r} is not supported ({', '.join(allowed)})", str(path), key)
        return str(value)

    choice("model_type", ("bert",))
    choice("position_embedding_type", ("absolute",))
    epsilon = raw.get("layer_norm_eps", 1e-12)
    if not isinstance(epsilon, float) or not 0 <= epsilon < 1:
        raise InputError(f"{epsilon!r} is not in 0..1", str(path), "layer_norm_eps")
    hidden, heads = number("hidden_size", 8192), number("num_attention_heads", 256)
    if hidden % heads:
        raise InputError(f"{heads} heads do not divide {hidden}", str(path), "num_attention_heads")
    pooling, normalise = _pooling(folder)
    return EncoderConfig(
        layers=number("num_hidden_layers", 128),
        hidden=hidden,
        heads=heads,
        intermediate=number("intermediate_size", 1 << 16),
        positions=number("max_position_embeddings", 1 << 16),
        epsilon=epsilon,
        activation=choice("hidden_act", ("gelu", "relu", "gelu_new")),
        pooling=pooling,
        normalise=normalise,
    )


def _pooling(folder: Path) -> tuple[str, bool]:
    """What sentence-transformers' ``modules.json`` puts after the encoder; nothing where the file is absent."""
    path = folder / "modules.json"
    if not path.exists():
        return "", False
    modules = _read_json(path)
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise InputError("no list of objects", str(path))
    kinds = [str(module.get("type", "")).rsplit(".", 1)[-1] for module in modules]
    if kinds not in (["Transformer"], ["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise InputError(f"modules {kinds} are not supported", str(path))
    if len(kinds) == 1:
        return "", False
    where = folder / "1_Pooling" / "config.json"
    pooling = _read_json(where)
    if not isinstance(pooling, dict):
        raise InputError("no JSON object", str(where))
    modes = sorted(key for key, value in pooling.items() if key.startswith("pooling_mode_") and value is True)
    names = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    if len(modes) != 1 or modes[0] not in names:
        raise InputError(f"pooling by {modes} is not supported", str(where))
    return names[modes[0]], "Normalize" in kinds


def _read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    if path.stat().st_size > MAX_WEIGHT_BYTES:
        raise InputError(f"more than {MAX_WEIGHT_BYTES:,} bytes", str(path))
    safetensors = needed("safetensors")
    found: dict[str, NDArray[np.float32]] = {}
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118
                if file.get_slice(name).get_dtype() not in {"F32", "F16", "F64"}:
                    continue  # position ids; a weight of another type is missed by name below
                array = file.get_tensor(name).astype(np.float32)
                if not np.isfinite(array).all():
                    raise InputError("NaN or infinite", str(path), f"tensor {name!r}")
                found[name] = array
    except safetensors.SafetensorError as error:
        raise InputError(f"truncated, or no safetensors file ({error})", str(path)) from None
    return found


@dataclass(slots=True)
class _Builder:
    path: str
    config: EncoderConfig
    weights: dict[str, NDArray[np.float32]]
    nodes: list[Any] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)
    prefix: str = ""

    def model(self) -> Any:  # noqa: ANN401
        from onnx import TensorProto, helper

        first = "embeddings.word_embeddings.weight"
        prefixes = [prefix for prefix in PREFIXES if prefix + first in self.weights]
        if not prefixes:
            raise InputError("no such tensor: no BERT-like encoder", self.path, f"tensor {first!r}")
        self.prefix = prefixes[0]
        hidden = self._embeddings()
        for layer in range(self.config.layers):
            hidden = self._layer(layer, hidden)
        outputs: list[tuple[str, list[str | int | None]]] = [
            ("last_hidden_state", ["batch", "sequence", self.config.hidden])
        ]
        self._node("Identity", [hidden], "last_hidden_state")
        if self.config.pooling:
            self._pool()
            outputs = [("sentence_embedding", ["batch", self.config.hidden])]
        names = ("input_ids", "attention_mask", "token_type_ids")
        graph = helper.make_graph(
            self.nodes,
            "encoder",
            [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in names],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
            self.tensors,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:  # noqa: ANN401
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def _tensor(self, name: str, array: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.tensors.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def _weight(self, name: str, shape: tuple[int | None, ...], *, turn: bool = False) -> str:
        where = f"tensor {self.prefix + name!r}"
        array = self.weights.get(self.prefix + name)
        if array is None:
            raise InputError("absent", self.path, where)
        if len(array.shape) != len(shape) or any(w not in (None, s) for s, w in zip(array.shape, shape, strict=True)):
            raise InputError(f"shape {list(array.shape)} where config.json says {list(shape)}", self.path, where)
        return self._tensor(name, array.T if turn else array)

    def _linear(self, value: str, name: str, size_in: int, size_out: int, output: str) -> str:
        weight = self._weight(f"{name}.weight", (size_out, size_in), turn=True)
        product = self._node("MatMul", [value, weight], f"{output}.product")
        return self._node("Add", [product, self._weight(f"{name}.bias", (size_out,))], output)

    def _norm(self, value: str, name: str, output: str) -> str:
        hidden = self.config.hidden
        inputs = [value, self._weight(f"{name}.weight", (hidden,)), self._weight(f"{name}.bias", (hidden,))]
        return self._node("LayerNormalization", inputs, output, axis=-1, epsilon=self.config.epsilon)

    def _embeddings(self) -> str:
        config, words = self.config, "embeddings.word_embeddings.weight"
        word = self._node("Gather", [self._weight(words, (None, config.hidden)), "input_ids"], "embeddings.words")
        kinds = self._weight("embeddings.token_type_embeddings.weight", (None, config.hidden))
        kind = self._node("Gather", [kinds, "token_type_ids"], "embeddings.kinds")
        table = self._weight("embeddings.position_embeddings.weight", (config.positions, config.hidden))
        # The first rows of the position table, as many as the sequence is long.
        size = self._node("Shape", ["input_ids"], "embeddings.shape")
        zero, one = self._tensor("constant.zero", np.array([0])), self._tensor("constant.one", np.array([1]))
        two = self._tensor("constant.two", np.array([2]))
        length = self._node("Slice", [size, one, two], "embeddings.length")
        position = self._node("Slice", [table, zero, length, zero], "embeddings.positions")
        total = self._node("Add", [self._node("Add", [word, kind], "embeddings.sum"), position], "embeddings.total")
        # Additive mask: 0 where a token is, very negative elsewhere, [batch, 1, 1, sequence].
        mask = self._node("Cast", ["attention_mask"], "mask.float", to=1)
        axes = self._tensor("mask.axes", np.array([1, 2]))
        wide = self._node("Unsqueeze", [mask, axes], "mask.wide")
        turned = self._node("Sub", [self._tensor("mask.one", np.array(1.0, np.float32)), wide], "mask.absent")
        lowest = self._tensor("mask.lowest", np.array(-10000.0, np.float32))
        self._node("Mul", [turned, lowest], "mask.additive")
        self._tensor("heads.shape", np.array([0, 0, config.heads, config.hidden // config.heads]))
        self._tensor("joined.shape", np.array([0, 0, config.hidden]))
        self._tensor("scores.divisor", np.array(np.sqrt(config.hidden / config.heads), np.float32))
        return self._norm(total, "embeddings.LayerNorm", "embeddings.norm")

    def _layer(self, layer: int, value: str) -> str:
        config, name, out = self.config, f"encoder.layer.{layer}", f"layer{layer}"
        heads = {}
        for part, order in (("query", (0, 2, 1, 3)), ("key", (0, 2, 3, 1)), ("value", (0, 2, 1, 3))):
            flat = self._linear(
                value, f"{name}.attention.self.{part}", config.hidden, config.hidden, f"{out}.attention.{part}"
            )
            split = self._node("Reshape", [flat, "heads.shape"], f"{flat}.split")
            heads[part] = self._node("Transpose", [split], f"{flat}.heads", perm=order)
        at = f"{out}.attention"
        raw = self._node("MatMul", [heads["query"], heads["key"]], f"{at}.scores.product")
        scaled = self._node("Div", [raw, "scores.divisor"], f"{at}.scores")
        masked = self._node("Add", [scaled, "mask.additive"], f"{at}.masked")
        shares = self._node("Softmax", [masked], f"{at}.probabilities", axis=-1)
        mixed = self._node("MatMul", [shares, heads["value"]], f"{at}.context.heads")
        turned = self._node("Transpose", [mixed], f"{at}.context.turned", perm=(0, 2, 1, 3))
        joined = self._node("Reshape", [turned, "joined.shape"], f"{at}.context")
        dense = self._linear(joined, f"{name}.attention.output.dense", config.hidden, config.hidden, f"{at}.output")
        total = self._node("Add", [dense, value], f"{at}.sum")
        middle = self._norm(total, f"{name}.attention.output.LayerNorm", f"{at}.norm")
        wide = self._linear(
            middle, f"{name}.intermediate.dense", config.hidden, config.intermediate, f"{out}.intermediate"
        )
        if config.activation == "relu":
            active = self._node("Relu", [wide], f"{out}.activation")
        else:
            form = "tanh" if config.activation == "gelu_new" else "none"
            active = self._node("Gelu", [wide], f"{out}.activation", approximate=form)
        dense = self._linear(active, f"{name}.output.dense", config.intermediate, config.hidden, f"{out}.output")
        total = self._node("Add", [dense, middle], f"{out}.sum")
        return self._norm(total, f"{name}.output.LayerNorm", f"{out}.norm")

    def _pool(self) -> None:
        axis = self._tensor("pool.axis", np.array([1]))
        if self.config.pooling == "cls":
            first = self._tensor("pool.first", np.array(0))
            pooled = self._node("Gather", ["last_hidden_state", first], "pool.mean", axis=1)
        else:
            last = self._tensor("pool.last", np.array([-1]))
            wide = self._node("Unsqueeze", ["mask.float", last], "pool.mask")
            present = self._node("Mul", ["last_hidden_state", wide], "pool.present")
            total = self._node("ReduceSum", [present, axis], "pool.sum", keepdims=0)
            count = self._node("ReduceSum", [wide, axis], "pool.count", keepdims=0)
            least = self._tensor("pool.least", np.array(1e-9, np.float32))
            pooled = self._node("Div", [total, self._node("Max", [count, least], "pool.safe")], "pool.mean")
        if self.config.normalise:
            self._node("LpNormalization", [pooled], "sentence_embedding", axis=-1, p=2)
        else:
            self._node("Identity", [pooled], "sentence_embedding")
