"""Fits on 1 and on 4 devices, which a CPU is cut into: started by `test_devices`, prints JSON."""

import json
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import optax
from numpyro import distributions as dist

import taut
from taut.api import amortized
from taut.bounds import ELBO
from taut.core import Datum
from taut.core.devices import share, sum_of_shares
from taut.fitted import Fit
from taut.gradients import Reparameterized
from taut.inference import Algorithm, compiled_steps
from taut.inference.amortized.joint import joint
from taut.inference.compiled_steps import steps

# 4 devices do not divide a batch of 30 rows, nor 280 rows a block of 64.
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(280, 6)) @ GENERATOR.normal(size=(6, 6))
COUNTS = (1, 4)
NETWORK = {"latent_dim": 2, "hidden": (8,), "evidence_particles": 20, "precision": "float64"}


def network(devices: int, **options: Any) -> Fit:
    given: dict[str, Any] = {"batch_size": 30, "patience": 0, **NETWORK, **options}
    return taut.fit(X, key=1, devices=devices, **given)


def parameters(fit: Fit) -> np.ndarray:
    leaves = [leaf for leaf in jax.tree.leaves(fit.pair) if isinstance(leaf, jax.Array)]
    return np.concatenate([np.asarray(leaf, float).ravel() for leaf in leaves])


def apart(fits: list[Fit]) -> float:
    """The largest difference of parameters, in their largest."""
    found = [parameters(fit) for fit in fits]
    return max(float(np.abs(f - found[0]).max() / np.abs(found[0]).max()) for f in found)


ROWS = Datum(X.astype(np.float32), index=np.arange(len(X), dtype=np.int32))


def ascent_of(fit: Fit) -> Algorithm:
    """An ascent of a network in float32."""
    return joint(
        jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), fit.pair), ELBO(),
        Reparameterized(), optax.sgd(0.1), example=Datum(ROWS.x[0]), key=jax.random.key(0),
    )  # fmt: skip


def exchanges(fit: Fit) -> list[list[str]]:
    """What the devices send each other in the program of a network's steps, and of a pass of EM."""
    algorithm, order = ascent_of(fit), np.arange(32, dtype=np.int32)[None]
    with taut.over_devices(4):
        program = jax.jit(steps(algorithm)).lower(algorithm.init(), ROWS, order, 1).compile()
        summed = jax.jit(lambda rows: sum_of_shares(lambda own: (own.sum(0), own.T @ own), rows))
        texts = [program.as_text(), summed.lower(share(X[:32])).compile().as_text()]
    return [re.findall(r"= (\S+) (all-\S+|reduce-scatter|collective-permute)\(", t) for t in texts]


def sums(fit: Fit, size: int) -> list[float]:
    """The mean bound that one step adds up over its batch, by number of devices."""
    algorithm, order = ascent_of(fit), np.arange(size, dtype=np.int32)[None]
    found = []
    for count in (1, 2, 3, 4):
        with taut.over_devices(count):
            _, log = compiled_steps(algorithm)(algorithm.init(), ROWS, order, 1)
            found.append(float(log["bound"][0]))
    return found


def line(x, y):
    slope = numpyro.sample("slope", dist.Normal(0.0, 2.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(slope * x, 1.0), obs=y)


def inferred(devices: int, size: int) -> list[str]:
    """The notes of a posterior by minibatches of so many rows."""
    found = taut.infer(
        line, data={"x": X[:40, 0], "y": X[:40, 1]}, subsample={"rows": size}, num_starts=1,
        num_draws=100, precision_nats=9.0, devices=devices,
    )  # fmt: skip
    return list(found.notes)


def main() -> None:
    amortized._WORTH_KNOWING = 0.0  # seconds: devices are compared at the end of every training
    networks = [network(n, epochs=29) for n in COUNTS]
    mixtures = [taut.em(X, components=2, restarts=1, max_iterations=9, devices=n) for n in COUNTS]
    evaluated = []
    for n in COUNTS:
        with taut.over_devices(n):
            evaluated.append(networks[0].evaluate(X[:30], num_particles=50, key=3).log_evidence)
    found = {
        "steps": networks[0].facts.steps,
        "devices": [fit.facts.device for fit in networks],
        "notes": [list(fit.facts.notes) for fit in networks],
        "networks apart": apart(networks),
        "mixtures apart": apart(mixtures),
        "mixtures": [m.estimates["log_evidence"].value for m in mixtures],
        "evaluated": [e.values.tolist() for e in evaluated],
        "sums": [sums(networks[0], size) for size in (30, 32)],
        "inferred": [inferred(n, size) for n, size in ((1, 6), (4, 6), (4, 8))],
        "exchanges": exchanges(networks[0]),
        "parameters": len(parameters(networks[0])),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
