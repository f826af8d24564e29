"""A small decoder-only transformer over characters, trained with jax on the licences that a Debian system carries.

Pre-norm, learned positions, tanh-free GELU (the erf form), 3 layers 48 wide with 3 heads. The weights are rounded to
float16 when they are stored; the float model is what those weights say.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SEED = 6
WIDTH, HEADS, LAYERS, CONTEXT = 48, 3, 3, 128
HIDDEN = 4 * WIDTH
EPSILON = 1e-5
ALPHABET = "\n" + "".join(map(chr, range(32, 127)))
BATCH, STEPS, RATE = 24, 2400, 3e-3
HELD_OUT = 10  # every tenth block of CONTEXT characters is not trained on
CALIBRATION_BLOCKS = 32
LICENCES = Path("/usr/share/common-licenses")
PROJECT = Path(__file__).resolve().parent.parent.parent

Weights = dict[str, NDArray[np.float32]]


def encode(text: str) -> NDArray[np.int32]:
    """Characters as positions in the alphabet; what is not in it becomes a space."""
    known = {character: position for position, character in enumerate(ALPHABET)}
    return np.asarray([known.get(character, known[" "]) for character in text], np.int32)


def decode(tokens: Sequence[int]) -> str:
    """Positions in the alphabet as text."""
    return "".join(ALPHABET[token] for token in tokens)


def licences() -> tuple[str, str]:
    """The texts of the licences, each once, and the SHA-256 of what was read."""
    paths = sorted({path.resolve() for path in LICENCES.iterdir() if path.is_file()})
    text = "\n".join(path.read_text("utf-8", "replace") for path in paths)
    return text, hashlib.sha256(text.encode()).hexdigest()


def blocks() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Blocks of CONTEXT + 1 characters to train on and blocks that are held out."""
    tokens = encode(licences()[0])
    whole = as_blocks(tokens)
    follows = np.append(whole[1:, :1], [[0]], axis=0)
    whole = np.append(whole, follows, axis=1)
    held = np.arange(len(whole)) % HELD_OUT == 0
    return whole[~held], whole[held]


def as_blocks(tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """Tokens cut into rows of CONTEXT; what is left over is dropped."""
    return tokens[: len(tokens) // CONTEXT * CONTEXT].reshape(-1, CONTEXT)


def calibration() -> NDArray[np.int32]:
    """Blocks of this project's own copy of the Apache licence: the same on every machine."""
    return as_blocks(encode((PROJECT / "LICENSE-APACHE").read_text()))[:CALIBRATION_BLOCKS]


def held_out() -> tuple[str, NDArray[np.int32]]:
    """Blocks of CONTEXT + 1 characters that were not trained on, and where they are from."""
    if LICENCES.is_dir():
        return "held-out blocks of the licences", blocks()[1]
    tokens = encode((PROJECT / "ARCHITECTURE.md").read_text())
    return "ARCHITECTURE.md", tokens[: len(tokens) // (CONTEXT + 1) * (CONTEXT + 1)].reshape(-1, CONTEXT + 1)


def layer_weights() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of all weights; a matrix is (inputs, outputs)."""
    yield "token", (len(ALPHABET), WIDTH)
    yield "position", (CONTEXT, WIDTH)
    for layer in range(LAYERS):
        for name, inputs, outputs in (
            ("query", WIDTH, WIDTH),
            ("key", WIDTH, WIDTH),
            ("value", WIDTH, WIDTH),
            ("attended", WIDTH, WIDTH),
            ("hidden", WIDTH, HIDDEN),
            ("out", HIDDEN, WIDTH),
        ):
            yield f"{layer}.{name}", (inputs, outputs)
            yield f"{layer}.{name}.bias", (outputs,)
        for name in ("norm_1", "norm_2"):
            yield f"{layer}.{name}", (WIDTH,)
            yield f"{layer}.{name}.bias", (WIDTH,)
    yield "norm", (WIDTH,)
    yield "norm.bias", (WIDTH,)
    yield "logits", (WIDTH, len(ALPHABET))
    yield "logits.bias", (len(ALPHABET),)


def train(path: Path) -> None:
    """Train and write the weights as float16 to an .npz file."""
    import jax
    import jax.numpy as jnp
    from adam import minimise

    trained_on, held_out = blocks()
    generator = np.random.default_rng(SEED)

    def norm(weights: dict[str, jax.Array], name: str, value: jax.Array) -> jax.Array:
        centred = value - value.mean(-1, keepdims=True)
        scaled = centred / jnp.sqrt((centred * centred).mean(-1, keepdims=True) + EPSILON)
        return scaled * weights[name] + weights[f"{name}.bias"]

    def linear(weights: dict[str, jax.Array], name: str, value: jax.Array) -> jax.Array:
        return value @ weights[name] + weights[f"{name}.bias"]

    mask = jnp.where(jnp.tril(jnp.ones((CONTEXT, CONTEXT))) > 0, 0.0, -1e9)

    def logits(weights: dict[str, jax.Array], tokens: jax.Array) -> jax.Array:
        value = weights["token"][tokens] + weights["position"]
        for layer in range(LAYERS):
            normed = norm(weights, f"{layer}.norm_1", value)
            query, key, rows = (
                linear(weights, f"{layer}.{name}", normed).reshape(*tokens.shape, HEADS, -1)
                for name in ("query", "key", "value")
            )
            scores = jnp.einsum("bihd,bjhd->bhij", query, key) / np.sqrt(WIDTH // HEADS) + mask
            attended = jnp.einsum("bhij,bjhd->bihd", jax.nn.softmax(scores), rows).reshape(value.shape)
            value = value + linear(weights, f"{layer}.attended", attended)
            hidden = jax.nn.gelu(
                linear(weights, f"{layer}.hidden", norm(weights, f"{layer}.norm_2", value)), approximate=False
            )
            value = value + linear(weights, f"{layer}.out", hidden)
        return linear(weights, "logits", norm(weights, "norm", value))

    def loss(weights: dict[str, jax.Array], rows: jax.Array) -> jax.Array:
        scores = jax.nn.log_softmax(logits(weights, rows[:, :-1]))
        return -jnp.take_along_axis(scores, rows[:, 1:, None], -1).mean()

    def batch() -> tuple[NDArray[np.int32]]:
        return (trained_on[generator.integers(0, len(trained_on), BATCH)],)

    weights = minimise(loss, _initial(generator), batch, steps=STEPS, rate=RATE)
    print(
        f"  held out: {float(loss(weights, held_out)) / np.log(2):.3f} bits a character over {held_out.shape[0]} blocks"
    )
    np.savez_compressed(path, **{name: array.astype(np.float16) for name, array in weights.items()})


def gelu(value: NDArray[np.floating]) -> NDArray[np.floating]:
    """GELU in its erf form."""
    from scipy.special import erf

    return value * 0.5 * (1 + erf(value / np.sqrt(2)))


def load(path: Path) -> Weights:
    """The stored weights as float32."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name].astype(np.float32) for name, _ in layer_weights()}


def forward(
    weights: Weights, tokens: NDArray[np.integer], largest: dict[str, float] | None = None
) -> NDArray[np.float64]:
    """Logits (n, length, alphabet) of tokens (n, length) in float64, plainly.

    ``largest`` is filled with the largest magnitude of each value that the integer graph gives a fixed scale.
    """
    length = tokens.shape[1]

    def norm(name: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
        centred = value - value.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + EPSILON)
        return scaled * weights[name] + weights[f"{name}.bias"]

    def linear(name: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
        result = value @ weights[name].astype(np.float64) + weights[f"{name}.bias"]
        if largest is not None:
            largest[name] = max(largest.get(name, 0.0), float(np.abs(result).max()))
        return result

    hidden_from = np.triu(np.ones((length, length), bool), 1)
    value = weights["token"].astype(np.float64)[tokens] + weights["position"][:length]
    for layer in range(LAYERS):
        normed = norm(f"{layer}.norm_1", value)
        query, key, rows = (
            linear(f"{layer}.{name}", normed).reshape(*tokens.shape, HEADS, -1) for name in ("query", "key", "value")
        )
        scores = np.einsum("bihd,bjhd->bhij", query, key) / np.sqrt(WIDTH // HEADS)
        scores[:, :, hidden_from] = -np.inf
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        value = value + linear(f"{layer}.attended", np.einsum("bhij,bjhd->bihd", shares, rows).reshape(value.shape))
        value = value + linear(f"{layer}.out", gelu(linear(f"{layer}.hidden", norm(f"{layer}.norm_2", value))))
    return linear("logits", norm("norm", value))


def bits(logits: NDArray[np.floating], wanted: NDArray[np.integer]) -> float:
    """Mean bits a character that the logits (n, length, alphabet) spend on what follows (n, length)."""
    shifted = logits - logits.max(-1, keepdims=True)
    chances = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return float(-np.take_along_axis(chances, wanted[..., None], -1).mean() / np.log(2))


def _initial(generator: np.random.Generator) -> Weights:
    weights: Weights = {}
    for name, shape in layer_weights():
        if name.endswith(".bias"):
            weights[name] = np.zeros(shape, np.float32)
        elif "norm" in name:
            weights[name] = np.ones(shape, np.float32)
        else:
            spread = 0.02 if name in ("token", "position") else shape[0] ** -0.5
            weights[name] = (generator.standard_normal(shape) * spread).astype(np.float32)
    return weights
