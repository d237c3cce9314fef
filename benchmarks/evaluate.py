"""Speed of importance-sampled evidence on MNIST, as a share of the peak of matrix products.

    share = FLOP of the decoder and the encoder / seconds / FLOP per second of a large product

Two architectures: 784-400-20 with ReLU, and 784-200-200-50 with tanh (Burda, Grosse and Salakhutdinov
2016). FLOP are twice the multiplications and additions of the networks' matrix products: the decoder's
for every particle of every row, the encoder's once a row; activations, likelihood, draws, k-hats are not
counted. Rows are measured in parts, each between two products on the same threads, in float32; the share
is the median over parts of that against the mean of its two products, all timed once. Beside it stands
the share, over all parts, of the fastest product of the run. Compilation is left out. Speed does not
depend on the parameters, which are not fitted.

    python benchmarks/evaluate.py [--rows 10000] [--particles 5000] [--threads 2] [--seconds 170]
"""

import argparse
import statistics
import time
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from alternate import use_threads
from binary_mnist import binary_rows
from record import save_result

import taut
from taut.core import Datum
from taut.data import Schema
from taut.evidence import importance_sampling

AIM = 0.6
PART = 64  # rows, whole blocks of those that are evaluated at once
SIDE = 3072  # of the matrices whose product gives the peak
ARCHITECTURES = {
    "784-400-20, relu": {"hidden": (400,), "latent_dim": 20, "activation": "relu"},
    "784-200-200-50, tanh": {"hidden": (200, 200), "latent_dim": 50, "activation": "tanh"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--particles", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--seconds", type=float, default=170.0, help="for each architecture; rows stop there"
    )
    options = parser.parse_args()
    use_threads(options.threads)
    x, source = binary_rows("test", options.rows)
    results = {
        name: measured(choices, x, options.particles, options.seconds)
        for name, choices in ARCHITECTURES.items()
    }
    for name, result in results.items():
        print(
            f"{name}: {result['rows']} rows in {sum(result['seconds']):.1f} s, "
            f"{result['share_of_peak']:.3f} of products of "
            f"{statistics.median(result['peak_gflops']):.0f} GFLOP/s (aim {AIM}), "
            f"{result['share_of_fastest']:.3f} of the fastest"
        )
    print(
        save_result(
            "evaluate",
            {
                "particles": options.particles,
                "threads": options.threads,
                "rows": source,
                "architectures": results,
            },
        )
    )


def measured(
    choices: dict[str, Any], x: np.ndarray, particles: int, seconds: float
) -> dict[str, Any]:
    """Times, peaks and their median ratio over parts of the rows."""
    cells = x.shape[1]
    schema = Schema(name="mnist", kind="table", shape=(cells,), support="binary")
    pair = taut.VAE(likelihood="bernoulli", **choices).init(schema, jax.random.key(0))

    def evaluate(rows: np.ndarray) -> float:
        start = time.perf_counter()
        importance_sampling(pair, Datum(rows), key=jax.random.key(1), num_particles=particles)
        return time.perf_counter() - start

    hidden, latent = choices["hidden"], choices["latent_dim"]
    decoder, encoder = (
        products((latent, *hidden[::-1], cells)),
        products((cells, *hidden, 2 * latent)),
    )
    per_row = 2 * (decoder * particles + encoder)

    evaluate(x[:PART])
    peak()
    times: list[float] = []
    peaks: list[float] = [peak()]
    shares: list[float] = []
    done = 0
    while done < len(x) and sum(times) < seconds:
        rows = x[done : done + PART]
        times.append(evaluate(rows))
        peaks.append(peak())
        around = (peaks[-2] + peaks[-1]) / 2
        shares.append(per_row * len(rows) / times[-1] / 1e9 / around)
        done += len(rows)
    return {
        "rows": done,
        "flop_per_row": per_row,
        "seconds": times,
        "peak_gflops": peaks,
        "share_of_peak": statistics.median(shares),
        "share_of_fastest": per_row * done / sum(times) / 1e9 / max(peaks),
    }


def products(widths: tuple[int, ...]) -> int:
    """Multiplications and additions, in pairs, of one row through a multilayer perceptron."""
    return sum(a * b for a, b in pairwise(widths))


@jax.jit
def product(matrix: jax.Array) -> jax.Array:
    return matrix @ matrix


def peak() -> float:
    """GFLOP/s of a large float32 matrix product through JAX."""
    matrix = jnp.ones((SIDE, SIDE)).block_until_ready()
    start = time.perf_counter()
    product(matrix).block_until_ready()
    return 2 * SIDE**3 / (time.perf_counter() - start) / 1e9


if __name__ == "__main__":
    main()
