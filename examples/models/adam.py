"""Adam (Kingma and Ba, 2015) with a cosine rate, for the scripts that train with jax on one CPU thread."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

WARM_UP = 50


def minimise(
    loss: Callable[..., Any],
    initial: Mapping[str, NDArray[np.float32]],
    batches: Callable[[], tuple[Any, ...]],
    *,
    steps: int,
    rate: float,
) -> dict[str, NDArray[np.float32]]:
    """Minimise ``loss(weights, *batch)`` over ``steps`` batches; the last weights, as float32 arrays."""
    import jax
    import jax.numpy as jnp

    def step(weights: Any, first: Any, second: Any, number: Any, batch: Any) -> Any:  # noqa: ANN401 - trees of arrays
        value, slope = jax.value_and_grad(loss)(weights, *batch)
        first = jax.tree.map(lambda mean, new: 0.9 * mean + 0.1 * new, first, slope)
        second = jax.tree.map(lambda mean, new: 0.99 * mean + 0.01 * new * new, second, slope)
        now = rate * jnp.minimum(number / WARM_UP, 0.5 * (1 + jnp.cos(jnp.pi * number / steps)))

        def move(weight: Any, mean: Any, square: Any) -> Any:  # noqa: ANN401
            return weight - now * (mean / (1 - 0.9**number)) / (jnp.sqrt(square / (1 - 0.99**number)) + 1e-8)

        return jax.tree.map(move, weights, first, second), first, second, value

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    weights = {name: jnp.asarray(array) for name, array in initial.items()}
    first = jax.tree.map(jnp.zeros_like, weights)
    second = jax.tree.map(jnp.zeros_like, weights)
    for number in range(1, steps + 1):
        weights, first, second, value = compiled(weights, first, second, float(number), batches())
        if number % max(steps // 10, 1) == 0:
            print(f"  step {number} of {steps}: loss {float(value):.4f}", flush=True)
    return {name: np.asarray(array) for name, array in weights.items()}
