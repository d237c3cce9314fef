"""Stride-1 convolutions inside a compiled loop: GFLOP/s of the gradients in input and weight.

    written        `taut.networks.cpu_convolution` and `taut.core.compiling`, what a CPU runs
    defaults       the same without options of the compiler
    XLA            the same convolution with XLA's derivatives, with these options
    XLA, defaults  without
    peak           one large matrix product

Batches of 128 images, float32. Runs are alternated; medians over rounds.

    python benchmarks/convolutions.py [--rounds 5]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from record import save_result

from taut.core.compiling import steady_options
from taut.networks.convolution import convolve
from taut.networks.cpu_convolution import convolve_on_cpu

BATCH = 128
SHAPES = ((28, 28, 32), (14, 14, 32), (7, 7, 64))
WAYS = {
    "written": (convolve_on_cpu, steady_options()),
    "defaults": (convolve_on_cpu, None),
    "XLA": (convolve, steady_options()),
    "XLA, defaults": (convolve, None),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    speeds: dict[str, list[float]] = {}
    runs = {"peak": products(1024)}
    for shape in SHAPES:
        for name, way in WAYS.items():
            runs[f"{name} {'x'.join(map(str, shape))}"] = gradients(*way, shape)
    for run, _ in runs.values():
        run(1)
    for _ in range(options.rounds):
        for name, (run, flop) in runs.items():
            count = 1
            while True:  # at least a fifth of a second
                start = time.perf_counter()
                run(count)
                seconds = time.perf_counter() - start
                if seconds > 0.2:
                    break
                count *= 2
            speeds.setdefault(name, []).append(count * flop / seconds / 1e9)
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    for name, value in medians.items():
        print(f"{name:24s} {value:7.1f} GFLOP/s")
    print(save_result("convolutions", {"rounds": options.rounds, "gflop_per_second": medians}))


def gradients(
    way: Callable, options: dict[str, Any] | None, shape: tuple[int, int, int]
) -> tuple[Callable[[int], Any], float]:
    """Forward and both gradients, so many times, and the FLOP of once."""
    height, width, channels = shape
    x = jax.random.normal(jax.random.key(0), (BATCH, *shape))
    weight = jax.random.normal(jax.random.key(1), (3, 3, channels, channels)) / (3 * channels)

    def loss(x: Any, weight: Any) -> Any:
        return jnp.sum(jnp.tanh(jax.vmap(way, (0, None))(x, weight)))

    @partial(jax.jit, compiler_options=options)
    def steps(x: Any, weight: Any, count: Any) -> Any:
        def body(_: Any, carry: Any) -> Any:
            x, weight = carry
            dx, dw = jax.grad(loss, argnums=(0, 1))(x, weight)
            return x + 1e-6 * dx, weight + 1e-6 * dw

        return jax.lax.fori_loop(0, count, body, (x, weight))

    flop = 3 * 2 * 9 * BATCH * height * width * channels**2
    return lambda count: jax.block_until_ready(steps(x, weight, count)), flop


def products(size: int) -> tuple[Callable[[int], Any], float]:
    """A square matrix product, so many times, and the FLOP of once."""
    a = jax.random.normal(jax.random.key(0), (size, size)) / size

    @jax.jit
    def steps(a: Any, count: Any) -> Any:
        return jax.lax.fori_loop(0, count, lambda _, b: a @ b, a)

    return lambda count: jax.block_until_ready(steps(a, count)), 2 * size**3


if __name__ == "__main__":
    main()
