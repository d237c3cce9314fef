"""Milliseconds a training step of the 784-400-20 Bernoulli VAE at batch 128, float32.

    taut        vmapped over single rows, through the library's own compiled loop
    plain JAX   the same model written by hand on whole batches, in the same kind of loop
    products    the matrix products of one step alone

Runs are alternated; the figure to quote is the median over rounds of the ratio within a round.

    python benchmarks/throughput.py [--rounds 9] [--steps 300]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from record import save_result

import taut
from taut.core import Datum
from taut.data import Schema
from taut.gradients import Reparameterized
from taut.inference import joint
from taut.training.loop import compiled_steps

ROWS, CELLS, HIDDEN, LATENT, BATCH = 10_000, 784, 400, 20, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()

    generator = np.random.default_rng(0)
    x = (generator.random((ROWS, CELLS)) < 0.3).astype(np.float32)
    order = generator.integers(0, ROWS, (options.steps, BATCH)).astype(np.int32)
    runs = {
        "taut": taut_steps(x, order),
        "plain JAX": plain_steps(x, order),
        "products": product_steps(options.steps),
    }
    for run in runs.values():
        run()  # compile
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) / options.steps * 1e3)

    ratio = statistics.median(t / p for t, p in zip(times["taut"], times["plain JAX"], strict=True))
    share = statistics.median(p / t for t, p in zip(times["taut"], times["products"], strict=True))
    for name, values in times.items():
        print(f"{name:10s} {statistics.median(values):6.3f} ms a step (least {min(values):.3f})")
    print(f"taut / plain JAX, median of ratios: {ratio:.3f}")
    print(f"matrix products alone / taut: {share:.3f}")
    path = save_result(
        "throughput",
        {
            "rounds": options.rounds,
            "steps": options.steps,
            "milliseconds_per_step": times,
            "taut_over_plain_jax": ratio,
            "products_over_taut": share,
        },
    )
    print(path)


def taut_steps(x: np.ndarray, order: np.ndarray) -> Callable[[], Any]:
    """The library's own step in the library's own loop."""
    schema = Schema(name="noise", kind="table", shape=(CELLS,), support="binary")
    architecture = taut.VAE(
        latent_dim=LATENT, hidden=(HIDDEN,), activation="relu", likelihood="bernoulli"
    )
    rows = Datum(jnp.asarray(x))
    algorithm = joint(
        architecture.init(schema, jax.random.key(0)),
        taut.ELBO(),
        Reparameterized(),
        optax.adam(1e-3),
        example=Datum(rows.x[0]),
        key=jax.random.key(1),
    )
    run, state = compiled_steps(algorithm), algorithm.init()
    return lambda: jax.block_until_ready(run(state, rows, order, len(order)))


def plain_steps(x: np.ndarray, order: np.ndarray) -> Callable[[], Any]:
    """The same model and optimizer, written on whole batches."""
    sizes = [(CELLS, HIDDEN), (HIDDEN, 2 * LATENT), (LATENT, HIDDEN), (HIDDEN, CELLS)]
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
    def run(p: Any, state: Any, rows: Any, order: Any, count: Any) -> Any:
        def body(i: Any, carry: Any) -> Any:
            p, state, log = carry
            key = jax.random.fold_in(jax.random.key(1), i)
            value, gradient = jax.value_and_grad(nelbo)(p, rows[order[i]], key)
            updates, state = optimizer.update(gradient, state)
            return optax.apply_updates(p, updates), state, log.at[i].set(value)

        return jax.lax.fori_loop(0, count, body, (p, state, jnp.zeros(order.shape[0])))

    rows, state = jnp.asarray(x), optimizer.init(start)
    return lambda: jax.block_until_ready(run(start, state, rows, order, len(order)))


def product_steps(count: int) -> Callable[[], Any]:
    """The eleven matrix products of a step: forward, and backward for weights and inputs."""
    widths = [(CELLS, HIDDEN), (HIDDEN, 2 * LATENT), (LATENT, HIDDEN), (HIDDEN, CELLS)]
    keys = jax.random.split(jax.random.key(0), 2 * len(widths))
    weights = [jax.random.normal(k, s) for k, s in zip(keys[:4], widths, strict=True)]
    inputs = [jax.random.normal(k, (BATCH, s[0])) for k, s in zip(keys[4:], widths, strict=True)]

    @jax.jit
    def run(weights: Any, inputs: Any, count: Any) -> Any:
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

    return lambda: jax.block_until_ready(run(weights, inputs, count))


if __name__ == "__main__":
    main()
