"""One part of `benchmarks/gpu.py`, which prints what it found as one line of JSON.

Steps are timed warm: a first run compiles, and the figure is the median of those after it.

    python benchmarks/gpu_parts.py device|mlp|conv|flow|em|evidence|record [--small]
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from binary_mnist import binary_rows

import taut
from taut.core import Datum
from taut.data import Schema
from taut.evidence import importance_sampling
from taut.gradients import Reparameterized
from taut.inference.amortized import joint
from taut.inference.compiled_steps import compiled_steps

ROUNDS = 5


def device(small: bool) -> dict[str, Any]:
    """What JAX computes on."""
    found = jax.devices()
    return {"platform": found[0].platform, "kind": found[0].device_kind, "count": len(found)}


def mlp(small: bool) -> dict[str, Any]:
    """784-400-20, as of `benchmarks/throughput.py`."""
    hidden = 8 if small else 400
    model = taut.VAE(latent_dim=20, hidden=(hidden,), activation="relu", likelihood="bernoulli")
    return _throughput(model, *_images(small), "binary", small)


def conv(small: bool) -> dict[str, Any]:
    """Residual convolutions with channels 32 and 64."""
    model = taut.VAE(
        latent_dim=16, network="residual-conv", hidden=(2, 2) if small else (32, 64),
        activation="gelu", likelihood="bernoulli",
    )  # fmt: skip
    x, source = _images(small)
    return _throughput(model, x.reshape(-1, 28, 28), source, "binary", small)


def flow(small: bool) -> dict[str, Any]:
    """Coupling layers on correlated rows."""
    columns = 4 if small else 64
    generator = np.random.default_rng(0)
    x = generator.normal(size=(8192, columns)) @ generator.normal(size=(columns, columns))
    model = taut.Flow(
        layers="affine-coupling:2" if small else "affine-coupling:8",
        hidden=(8,) if small else (128, 128),
    )
    return _throughput(model, x.astype(np.float32), "Gaussian", "real", small)


def em(small: bool) -> dict[str, Any]:
    """Iterations of EM from one start, float64."""
    rows, number = (2_000, 3) if small else (100_000, 20)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(rows, 20)) + 3 * generator.integers(0, number, (rows, 1))

    def fitted(iterations: int) -> taut.Fit:
        return taut.em(
            x,
            components=number,
            restarts=1,
            max_iterations=iterations,
            tolerance=0.0,
            progress=False,
        )

    began = time.perf_counter()
    fitted(2)  # compiles
    first = time.perf_counter() - began
    short, long = fitted(2), fitted(22)
    taken = long.facts.training_seconds - short.facts.training_seconds
    return {
        "rows": rows, "columns": 20, "components": number,
        "milliseconds_per_iteration": 1e3 * taken / (long.facts.steps - short.facts.steps),
        "iterations": long.facts.steps, "first_seconds": first,
        "log_evidence": long.estimates["log_evidence"].value, "device": long.facts.device,
    }  # fmt: skip


def evidence(small: bool) -> dict[str, Any]:
    """Draws a second of importance sampling from an encoder that was not fitted."""
    x, source = _images(small)
    count, draws = (64, 100) if small else (10_000, 5_000)
    schema = Schema(name="rows", kind="table", shape=x.shape[1:], support="binary")
    model = taut.VAE(latent_dim=20, hidden=(8 if small else 400,), activation="relu")
    pair = model.init(schema, jax.random.key(0))

    def measured(number: int) -> float:
        rows = Datum(x[:number], index=np.arange(number))
        began = time.perf_counter()
        importance_sampling(pair, rows, key=jax.random.key(1), num_particles=draws)
        return time.perf_counter() - began

    first, count = measured(min(count, len(x))), min(count, len(x))
    taken = measured(count)
    return {
        "rows": count, "draws": draws, "source": source, "first_seconds": first,
        "seconds": taken, "draws_per_second": count * draws / taken,
    }  # fmt: skip


def record(small: bool) -> dict[str, Any]:
    """The one-layer model of the IWAE paper, as of `static_mnist.py --record`."""
    from static_mnist import MODEL, PUBLISHED, RECORD, recorded, split

    if small:
        x, _ = _images(small)
        parts = tuple(part.reshape(-1, 28, 28) for part in np.split(x[:300].astype(np.uint8), 3))
        found = recorded(parts, 0, 2, model={**MODEL, "hidden": (8, 8)}, particles=50)
    elif "TAUT_DATA" not in os.environ:
        return {"error": "no data: TAUT_DATA names no folder with binarized_mnist"}
    else:
        found = recorded(split(), 0, RECORD["epochs"])
    return {"published_test_nll": PUBLISHED["elbo"], "choices": RECORD, **found}


def _images(small: bool) -> tuple[np.ndarray, str]:
    """Rows of 784 cells, 0 or 1, and what they are."""
    return binary_rows("train", 512 if small else 16_384)


def _throughput(
    architecture: Any, x: np.ndarray, source: str, support: Any, small: bool
) -> dict[str, Any]:
    """Milliseconds a step and rows a second by batch, the rows on the device."""
    schema = Schema(
        name="rows", kind="image" if x.ndim > 2 else "table", shape=x.shape[1:], support=support
    )
    rows, found = jax.device_put(Datum(x)), {}
    for batch in (8, 64) if small else (128, 8192):
        algorithm = joint(
            architecture.init(schema, jax.random.key(0)), taut.ELBO(), Reparameterized(),
            optax.adam(1e-3), example=Datum(x[0]), key=jax.random.key(1),
        )  # fmt: skip
        count = 2 if small else 2_000 if batch == 128 else 100
        order = np.random.default_rng(0).integers(0, len(x), (count, batch)).astype(np.int32)
        steps, state = compiled_steps(algorithm), algorithm.init()

        def run(steps: Any = steps, order: np.ndarray = order) -> None:
            nonlocal state
            state, log = steps(state, rows, order, len(order))
            jax.block_until_ready((state, log))

        first, taken = _timed(run)
        found[f"batch {batch}"] = {
            "milliseconds_per_step": 1e3 * taken / count,
            "rows_per_second": batch * count / taken,
            "first_seconds": first,
        }
    return {"rows": source, **found}


def _timed(run: Callable[[], None]) -> tuple[float, float]:
    """Seconds of the first run and the median of the others."""
    seconds = []
    for _ in range(1 + ROUNDS):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return seconds[0], statistics.median(seconds[1:])


PARTS = {part.__name__: part for part in (device, mlp, conv, flow, em, evidence, record)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    print(json.dumps(PARTS[options.part](options.small)))


if __name__ == "__main__":
    main()
