"""Handwritten digits (the 1,797 images of 8 x 8 that scikit-learn ships) as a perceptron and as a convolutional net.

The perceptron is scikit-learn's; the convolutional net is trained with jax on the CPU. Both are written as ONNX.
Inputs are pixels divided by 16, so in [0, 1]; outputs are ten logits.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx_graph import OnnxGraph

SEED = 6
TEST_SHARE = 1 / 3
CALIBRATION_IMAGES = 256
HIDDEN = (128, 64)
CHANNELS = (16, 32)
DENSE = 64
STEPS = 1500
BATCH = 64


@dataclass(frozen=True, slots=True)
class Digits:
    """Images float32 (n, 64) in [0, 1] and classes int64 (n,), split once by ``SEED``."""

    train: NDArray[np.float32]
    train_class: NDArray[np.int64]
    test: NDArray[np.float32]
    test_class: NDArray[np.int64]


def load() -> Digits:
    """scikit-learn's set, two thirds to train on and one third to test on, each class in proportion."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, classes = load_digits(return_X_y=True)
    images = (pixels / 16).astype(np.float32)
    parts = train_test_split(
        images, classes.astype(np.int64), test_size=TEST_SHARE, random_state=SEED, stratify=classes
    )
    return Digits(train=parts[0], test=parts[1], train_class=parts[2], test_class=parts[3])


def as_images(flat: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 64) as (n, 1, 8, 8), the convolution's layout."""
    return flat.reshape(-1, 1, 8, 8)


def train_perceptron(path: Path) -> None:
    """Train scikit-learn's perceptron and write it as Gemm and Relu."""
    from sklearn.neural_network import MLPClassifier

    digits = load()
    classifier = MLPClassifier(HIDDEN, random_state=SEED, max_iter=300, alpha=1e-3)
    classifier.fit(digits.train, digits.train_class)
    graph = OnnxGraph("digits_mlp")
    value = graph.input("pixels", ("batch", 64))
    layers = list(zip(classifier.coefs_, classifier.intercepts_, strict=True))
    for index, (matrix, bias) in enumerate(layers):
        value = graph.node(
            "Gemm",
            value,
            graph.weight(f"weight_{index}", matrix.astype(np.float32)),
            graph.weight(f"bias_{index}", bias.astype(np.float32)),
            name="logits" if index == len(layers) - 1 else f"dense_{index}",
        )
        if index < len(layers) - 1:
            value = graph.node("Relu", value, name=f"relu_{index}")
    graph.output(value, ("batch", 10))
    graph.save(path)


def train_convolutional(path: Path) -> None:
    """Train two convolutions and two dense layers with Adam in jax and write them as ONNX."""
    weights = _train_convolutional(load())
    graph = OnnxGraph("digits_cnn")
    names = {name: graph.weight(name, array) for name, array in weights.items()}
    value = graph.input("pixels", ("batch", 1, 8, 8))
    for index in range(2):
        value = graph.node(
            "Conv", value, names[f"kernel_{index}"], names[f"kernel_bias_{index}"], name=f"conv_{index}", pads=[1] * 4
        )
        value = graph.node("Relu", value, name=f"conv_relu_{index}")
    value = graph.node("MaxPool", value, name="pool", kernel_shape=[2, 2], strides=[2, 2])
    value = graph.node("Flatten", value, name="flat")
    value = graph.node("Gemm", value, names["dense_0"], names["dense_bias_0"], name="dense")
    value = graph.node("Relu", value, name="dense_relu")
    value = graph.node("Gemm", value, names["dense_1"], names["dense_bias_1"], name="logits")
    graph.output(value, ("batch", 10))
    graph.save(path)


def _initial(generator: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    first, second = CHANNELS
    shapes = {
        "kernel_0": (first, 1, 3, 3),
        "kernel_1": (second, first, 3, 3),
        "dense_0": (second * 16, DENSE),
        "dense_1": (DENSE, 10),
    }
    weights = {}
    for name, shape in shapes.items():
        inputs = int(np.prod(shape[1:])) if name.startswith("kernel") else shape[0]
        outputs = shape[0] if name.startswith("kernel") else shape[1]
        weights[name] = (generator.standard_normal(shape) * np.sqrt(2 / inputs)).astype(np.float32)
        weights[name.replace("_", "_bias_")] = np.zeros(outputs, np.float32)
    return weights


def _train_convolutional(digits: Digits) -> dict[str, NDArray[np.float32]]:
    import jax
    import jax.numpy as jnp
    from adam import minimise

    def logits(weights: dict[str, jax.Array], images: jax.Array) -> jax.Array:
        value = images
        for index in range(2):
            bias = weights[f"kernel_bias_{index}"][:, None, None]
            value = jax.nn.relu(jax.lax.conv(value, weights[f"kernel_{index}"], (1, 1), "SAME") + bias)
        value = jax.lax.reduce_window(value, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        value = jax.nn.relu(value.reshape(len(value), -1) @ weights["dense_0"] + weights["dense_bias_0"])
        return value @ weights["dense_1"] + weights["dense_bias_1"]

    def loss(weights: dict[str, jax.Array], images: jax.Array, classes: jax.Array) -> jax.Array:
        scores = jax.nn.log_softmax(logits(weights, images))
        return -jnp.take_along_axis(scores, classes[:, None], 1).mean()

    generator = np.random.default_rng(SEED)
    images = as_images(digits.train)

    def batches() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        chosen = generator.integers(0, len(images), BATCH)
        return images[chosen], digits.train_class[chosen]

    return minimise(loss, _initial(generator), batches, steps=STEPS, rate=2e-3)
