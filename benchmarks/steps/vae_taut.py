"""The library's own step in the library's own loop; vmapped over single rows."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from serve import HIDDEN, LATENT, serve, task

import taut
from taut.core import Datum
from taut.core.compiling import steady_options
from taut.data import Schema
from taut.gradients import Reparameterized
from taut.inference.amortized import joint
from taut.inference.compiled_steps import compiled_steps, steps


class Training:
    """A fit that goes on where the last call left it.

    Arguments:
        architecture: what is fitted.
        x: rows, (N, *shape).
        order: which rows each step sees.
    """

    def __init__(self, architecture: Any, x: np.ndarray, order: np.ndarray):
        kind = "image" if x.ndim > 2 else "table"
        schema = Schema(name="rows", kind=kind, shape=x.shape[1:], support="binary")
        self.rows, self.order = jax.device_put(Datum(x)), order
        algorithm = joint(
            architecture.init(schema, jax.random.key(0)),
            taut.ELBO(),
            Reparameterized(),
            optax.adam(1e-3),
            example=Datum(x[0]),
            key=jax.random.key(1),
        )
        self.algorithm, self.steps = algorithm, compiled_steps(algorithm)
        self.state = algorithm.init()

    def __call__(self) -> None:
        count = len(self.order)
        self.state, log = self.steps(self.state, self.rows, self.order, count)
        jax.block_until_ready((self.state, log))

    def program(self) -> str:
        """The compiled program as text."""
        same = jax.jit(steps(self.algorithm), compiler_options=steady_options())
        count = jnp.int32(len(self.order))
        return same.lower(self.state, self.rows, self.order, count).compile().as_text()


def training() -> Training:
    architecture = taut.VAE(
        latent_dim=LATENT, hidden=(HIDDEN,), activation="relu", likelihood="bernoulli"
    )
    return Training(architecture, *task())


if __name__ == "__main__":
    serve(training(), "taut", "jax", "jaxlib", "equinox", "optax")
