"""Small float models as ONNX bytes for the import tests: built by hand, random weights by seed, no training."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


@dataclass
class FloatModel:
    """Collects nodes and tensors; ``bytes()`` is the file."""

    seed: int = 6
    opset: int = 17
    nodes: list[Any] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def input(self, name: str, shape: list[Any], kind: int = FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, kind: int = FLOAT) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, kind, None))

    def constant(self, name: str, array: Any) -> str:
        if all(tensor.name != name for tensor in self.tensors):
            self.tensors.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, name: str, *shape: int, size: float = 1.0) -> str:
        return self.constant(name, (self.random.standard_normal(shape) * size).astype(np.float32))

    def number(self, value: float) -> str:
        return self.constant(f"number.{value}", np.array(value, np.float32))

    def whole(self, *values: int) -> str:
        return self.constant(f"whole.{'_'.join(map(str, values))}", np.array(values, np.int64))

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"node.{output}", **attributes))
        return output

    def linear(self, value: str, name: str, size_in: int, size_out: int) -> str:
        weight = self.weight(f"{name}.weight", size_in, size_out, size=size_in**-0.5)
        product = self.node("MatMul", [value, weight], f"{name}.product")
        return self.node("Add", [self.weight(f"{name}.bias", size_out, size=0.2), product], name)

    def bytes(self) -> bytes:
        graph = helper.make_graph(self.nodes, "test", self.inputs, self.outputs, self.tensors)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("ai.onnx.ml", 1)]
        return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def norm_in_parts(model: FloatModel, value: str, name: str, width: int) -> str:
    """A layer norm as older exporters write it."""
    mean = model.node("ReduceMean", [value], f"{name}.mean", axes=[-1])
    centred = model.node("Sub", [value, mean], f"{name}.centred")
    square = model.node("Pow", [centred, model.number(2.0)], f"{name}.square")
    variance = model.node("ReduceMean", [square], f"{name}.variance", axes=[-1])
    safe = model.node("Add", [variance, model.number(1e-5)], f"{name}.safe")
    scaled = model.node("Div", [centred, model.node("Sqrt", [safe], f"{name}.root")], f"{name}.scaled")
    gained = model.node("Mul", [scaled, model.weight(f"{name}.gain", width)], f"{name}.gained")
    return model.node("Add", [gained, model.weight(f"{name}.shift", width)], name)


def gelu_in_parts(model: FloatModel, value: str, name: str) -> str:
    """gelu by erf."""
    half = model.node("Div", [value, model.number(1.4142135)], f"{name}.scaled")
    error = model.node("Erf", [half], f"{name}.erf")
    one = model.node("Add", [error, model.number(1.0)], f"{name}.one")
    double = model.node("Mul", [value, one], f"{name}.double")
    return model.node("Mul", [double, model.number(0.5)], name)


def heads(model: FloatModel, value: str, name: str, count: int, order: list[int]) -> str:
    """[batch, sequence, width] split into heads, its shape computed from the input's as exporters do."""
    shape = model.node("Shape", [value], f"{name}.shape")
    sizes = model.node("Gather", [shape, model.whole(0, 1)], f"{name}.sizes")
    target = model.node("Concat", [sizes, model.whole(count, -1)], f"{name}.target", axis=0)
    split = model.node("Reshape", [value, target], f"{name}.split")
    return model.node("Transpose", [split], name, perm=order)


def small_transformer(*, masked: str, causal: bool = False, layers: int = 1, seed: int = 6) -> FloatModel:  # noqa: PLR0915
    """Ids (and a mask) to one vector for each row. ``masked``: "add", "where" or "" (no mask)."""
    width, count = 16, 2
    model = FloatModel(seed)
    ids = model.input("ids", ["n", "length"], INT64)
    value = model.node("Gather", [model.weight("words", 50, width), ids], "embedded")
    wide = ""
    if masked:
        model.input("mask", ["n", "length"], INT64)
        wide = model.node(
            "Unsqueeze", [model.node("Cast", ["mask"], "mask.float", to=1), model.whole(1, 2)], "mask.wide"
        )
    for layer in range(layers):
        at = f"layer{layer}"
        query = heads(model, model.linear(value, f"{at}.q", width, width), f"{at}.q.heads", count, [0, 2, 1, 3])
        key = heads(model, model.linear(value, f"{at}.k", width, width), f"{at}.k.heads", count, [0, 2, 1, 3])
        values = heads(model, model.linear(value, f"{at}.v", width, width), f"{at}.v.heads", count, [0, 2, 1, 3])
        turned = model.node("Transpose", [key], f"{at}.k.turned", perm=[0, 1, 3, 2])
        scores = model.node("MatMul", [query, turned], f"{at}.raw")
        scores = model.node("Mul", [scores, model.number(8**-0.5)], f"{at}.scores")
        if masked == "add":
            absent = model.node("Sub", [model.number(1.0), wide], f"{at}.absent")
            lowest = model.node("Mul", [absent, model.number(-1e9)], f"{at}.lowest")
            scores = model.node("Add", [scores, lowest], f"{at}.masked")
        elif masked == "where":
            seen = model.node("Cast", [wide], f"{at}.seen", to=TensorProto.BOOL)
            scores = model.node("Where", [seen, scores, model.number(-1e30)], f"{at}.masked")
        if causal:
            shape = model.node("Shape", ["ids"], f"{at}.length.shape")
            length = model.node("Slice", [shape, model.whole(1), model.whole(2)], f"{at}.length")
            square = model.node("Concat", [length, length], f"{at}.square", axis=0)
            ones = model.node("ConstantOfShape", [square], f"{at}.ones", value=_one())
            below = model.node("Trilu", [ones], f"{at}.below", upper=0)
            later = model.node("Sub", [ones, below], f"{at}.later")
            cut = model.node("Mul", [later, model.number(-1e9)], f"{at}.cut")
            scores = model.node("Add", [scores, cut], f"{at}.past")
        shares = model.node("Softmax", [scores], f"{at}.shares", axis=-1)
        mixed = model.node("MatMul", [shares, values], f"{at}.mixed")
        back = model.node("Transpose", [mixed], f"{at}.back", perm=[0, 2, 1, 3])
        joined = model.node("Reshape", [back, model.whole(0, 0, width)], f"{at}.joined")
        out = model.linear(joined, f"{at}.out", width, width)
        middle = norm_in_parts(model, model.node("Add", [out, value], f"{at}.sum"), f"{at}.norm", width)
        inner = gelu_in_parts(model, model.linear(middle, f"{at}.up", width, 32), f"{at}.gelu")
        down = model.linear(inner, f"{at}.down", 32, width)
        value = norm_in_parts(model, model.node("Add", [down, middle], f"{at}.sum2"), f"{at}.norm2", width)
    if masked:
        shown = model.node("Unsqueeze", ["mask.float", model.whole(-1)], "pool.mask")
        total = model.node(
            "ReduceSum", [model.node("Mul", [value, shown], "pool.kept"), model.whole(1)], "pool.sum", keepdims=0
        )
        counted = model.node("ReduceSum", [shown, model.whole(1)], "pool.count", keepdims=0)
        least = model.node("Clip", [counted, model.number(1e-9)], "pool.safe")
        pooled = model.node("Div", [total, least], "pool.mean")
        length = model.node("ReduceL2", [pooled], "unit.length", axes=[-1])
        model.node("Div", [pooled, length], "vector")
    else:
        model.node("Identity", [value], "vector")
    model.output("vector")
    return model


def small_vision_transformer(seed: int = 6) -> FloatModel:
    """Patches by a convolution, positions of a fixed length, one layer, the mean of all positions, two scores."""
    width = 16
    model = FloatModel(seed)
    model.input("image", ["n", 1, 8, 8])
    patches = model.node("Conv", ["image", model.weight("p", width, 1, 2, 2)], "patches", strides=[2, 2])
    flat = model.node("Reshape", [patches, model.whole(0, width, 16)], "flat")
    tokens = model.node("Transpose", [flat], "tokens", perm=[0, 2, 1])
    value = model.node("Add", [tokens, model.weight("where", 1, 16, width)], "placed")
    parts = [model.linear(value, part, width, width) for part in "qkv"]
    orders = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    turned = [heads(model, part, f"{part}.heads", 4, order) for part, order in zip(parts, orders, strict=True)]
    scores = model.node("Div", [model.node("MatMul", turned[:2], "raw"), model.number(2.0)], "scores")
    mixed = model.node("MatMul", [model.node("Softmax", [scores], "shares", axis=-1), turned[2]], "mixed")
    back = model.node("Transpose", [mixed], "back", perm=[0, 2, 1, 3])
    joined = model.node("Reshape", [back, model.whole(0, 0, width)], "joined")
    total = model.node("Add", [model.linear(joined, "out", width, width), value], "total")
    pooled = model.node("ReduceMean", [norm_in_parts(model, total, "norm", width)], "pooled", axes=[1], keepdims=0)
    model.linear(pooled, "scored", width, 2)
    model.output("scored")
    return model


def _one() -> Any:
    return numpy_helper.from_array(np.ones(1, np.float32))


def token_data(rows: int = 24, length: int = 12, seed: int = 7) -> dict[str, NDArray[np.int64]]:
    """Random ids with padding at the end of rows."""
    random = np.random.default_rng(seed)
    ids = random.integers(0, 50, (rows, length))
    mask = (np.arange(length) < random.integers(2, length + 1, (rows, 1))).astype(np.int64)
    return {"ids": ids, "mask": mask}


def small_network(seed: int = 6) -> FloatModel:
    """A convolutional net with batch norm, a residual sum, groups, both pools and a softmax."""
    model = FloatModel(seed)
    model.input("image", ["n", 3, 12, 12])
    value = model.node("Conv", ["image", model.weight("c0", 8, 3, 3, 3, size=0.3)], "conv0", pads=[1, 1, 1, 1])
    parts = [
        model.constant(f"bn.{part}", np.abs(model.random.standard_normal(8)).astype(np.float32) + 0.5)
        for part in "abcd"
    ]
    value = model.node("BatchNormalization", [value, *parts], "normed")
    first = model.node("Relu", [value], "relu0")
    inner = model.node(
        "Conv",
        [first, model.weight("c1", 8, 4, 3, 3, size=0.2), model.weight("b1", 8)],
        "conv1",
        pads=[1, 1, 1, 1],
        group=2,
    )
    summed = model.node("Add", [model.node("Relu", [inner], "relu1"), first], "residual")
    pooled = model.node("MaxPool", [summed], "pooled", kernel_shape=[2, 2], strides=[2, 2])
    value = model.node(
        "Conv", [pooled, model.weight("c2", 16, 8, 3, 3, size=0.15)], "conv2", auto_pad="SAME_UPPER", strides=[2, 2]
    )
    value = model.node("HardSwish", [value], "swish") if model.opset >= 14 else value
    averaged = model.node("AveragePool", [value], "averaged", kernel_shape=[3, 3])
    flat = model.node("Flatten", [averaged], "flat", axis=1)
    logits = model.node("Gemm", [flat, model.weight("g", 10, 16, size=0.5), model.weight("gb", 10)], "logits", transB=1)
    model.node("Softmax", [logits], "probabilities", axis=-1)
    model.output("probabilities")
    return model
