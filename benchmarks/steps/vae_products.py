"""The eleven matrix products of a step alone: forward, and backward for weights and inputs."""

from typing import Any

import jax
from serve import BATCH, HIDDEN, LATENT, serve, task


def main() -> None:
    x, order = task()
    cells = x.shape[1]
    sizes = [(cells, HIDDEN), (HIDDEN, 2 * LATENT), (LATENT, HIDDEN), (HIDDEN, cells)]
    keys = jax.random.split(jax.random.key(0), 2 * len(sizes))
    weights = [jax.random.normal(k, s) for k, s in zip(keys[:4], sizes, strict=True)]
    inputs = [jax.random.normal(k, (BATCH, s[0])) for k, s in zip(keys[4:], sizes, strict=True)]

    @jax.jit
    def steps(weights: Any, inputs: Any, count: Any) -> Any:
        def body(_: Any, carry: Any) -> Any:
            weights, inputs = carry
            new_weights, new_inputs = [], []
            for layer, (w, x) in enumerate(zip(weights, inputs, strict=True)):
                y = x @ w
                new_weights.append(w + 1e-6 * (x.T @ y))
                # The gradient with respect to the data is never needed.
                new_inputs.append(x + 1e-6 * (y @ w.T) if layer else x)
            return new_weights, new_inputs

        return jax.lax.fori_loop(0, count, body, (weights, inputs))

    serve(lambda: jax.block_until_ready(steps(weights, inputs, len(order))), "jax", "jaxlib")


if __name__ == "__main__":
    main()
