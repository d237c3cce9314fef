"""A flow's step in taut's own loop: the chain as a model of data, vmapped over single rows.

Arguments: rows, steps, kind of layer (see `flow_sizes.py`).
"""

import sys

import jax
import numpy as np
import optax
from flow_sizes import BINS, BOX, HIDDEN, KINDS, LEARNING_RATE
from serve import serve, task

import taut
from taut.core import Datum
from taut.gradients import Reparameterized
from taut.guides import ChainPair
from taut.inference.amortized import joint
from taut.inference.compiled_steps import compiled_steps
from taut.models import StandardNormal
from taut.transforms import Chain, make_layers


def flow(kind: str, dim: int, key: jax.Array) -> ChainPair:
    layers = make_layers(KINDS[kind][0], dim, key=key, hidden=HIDDEN, bins=BINS, box=BOX)
    return ChainPair(Chain(layers), StandardNormal(dim))


class Training:
    """A fit that goes on where the last call left it."""

    def __init__(self, kind: str, x: np.ndarray, order: np.ndarray):
        self.rows, self.order = jax.device_put(Datum(x)), order
        algorithm = joint(
            flow(kind, x.shape[1], jax.random.key(0)),
            taut.ELBO(),
            Reparameterized(),
            optax.adam(LEARNING_RATE),
            example=Datum(x[0]),
            key=jax.random.key(1),
        )
        self.steps, self.state = compiled_steps(algorithm), algorithm.init()

    def __call__(self) -> None:
        count = len(self.order)
        self.state, log = self.steps(self.state, self.rows, self.order, count)
        jax.block_until_ready((self.state, log))


if __name__ == "__main__":
    serve(Training(sys.argv[3], *task()), "taut", "jax", "jaxlib", "equinox", "optax")
