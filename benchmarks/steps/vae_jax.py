"""The same model and optimizer written by hand on whole batches, in a compiled loop."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from serve import HIDDEN, LATENT, serve, task


def main() -> None:
    x, order = task()
    cells = x.shape[1]
    sizes = [(cells, HIDDEN), (HIDDEN, 2 * LATENT), (LATENT, HIDDEN), (HIDDEN, cells)]
    keys = jax.random.split(jax.random.key(0), len(sizes))
    start = [
        (jax.nn.initializers.glorot_uniform()(k, s), jnp.zeros(s[1]))
        for k, s in zip(keys, sizes, strict=True)
    ]
    optimizer = optax.adam(1e-3)

    def nelbo(p: Any, x: Any, key: Any) -> Any:
        (w1, b1), (w2, b2), (w3, b3), (w4, b4) = p
        loc, log_scale = jnp.split(jax.nn.relu(x @ w1 + b1) @ w2 + b2, 2, axis=1)
        scale = jnp.exp(log_scale)
        z = loc + scale * jax.random.normal(key, loc.shape)
        logits = jax.nn.relu(z @ w3 + b3) @ w4 + b4
        log_likelihood = jnp.sum(x * logits - jax.nn.softplus(logits), axis=1)
        kl = 0.5 * jnp.sum(scale**2 + loc**2 - 1 - 2 * log_scale, axis=1)
        return -jnp.mean(log_likelihood - kl)

    @jax.jit
    def steps(p: Any, state: Any, rows: Any, order: Any, count: Any) -> Any:
        def body(i: Any, carry: Any) -> Any:
            p, state, log = carry
            key = jax.random.fold_in(jax.random.key(1), i)
            value, gradient = jax.value_and_grad(nelbo)(p, rows[order[i]], key)
            updates, state = optimizer.update(gradient, state)
            return optax.apply_updates(p, updates), state, log.at[i].set(value)

        return jax.lax.fori_loop(0, count, body, (p, state, jnp.zeros(order.shape[0])))

    rows, held = jnp.asarray(x), (start, optimizer.init(start))

    def run() -> None:
        nonlocal held
        *moved, _ = jax.block_until_ready(steps(*held, rows, order, len(order)))
        held = tuple(moved)

    serve(run, "jax", "jaxlib", "optax")


if __name__ == "__main__":
    main()
