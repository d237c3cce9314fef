"""Fits of a flow in taut; see `flow_fit.py`."""

import equinox as eqx
import jax
import numpy as np
import optax
from flow_fit import work
from flow_sizes import LEARNING_RATE
from flow_taut import flow

import taut
from taut.core import Datum
from taut.evidence import expected_bound
from taut.gradients import Reparameterized
from taut.inference.amortized import joint
from taut.inference.compiled_steps import compiled_steps


class Fit:
    """Joint ascent of the bound, which is the log-density itself."""

    def __init__(self, kind: str, train: np.ndarray, number: int):
        flow_key, key = jax.random.split(jax.random.key(number))
        self.rows = jax.device_put(Datum(train))
        self.algorithm = joint(
            flow(kind, train.shape[1], flow_key),
            taut.ELBO(),
            Reparameterized(),
            optax.adam(LEARNING_RATE),
            example=Datum(train[0]),
            key=key,
        )
        self.steps, self.state = compiled_steps(self.algorithm), self.algorithm.init()

    def advance(self, order: np.ndarray) -> None:
        self.state, _ = self.steps(self.state, self.rows, order, len(order))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        pair, key = self.algorithm.pair(self.state), jax.random.key(0)
        values = expected_bound(pair, Datum(x), taut.ELBO(), key=key, num_repeats=1).values
        assert values is not None
        return values

    @property
    def num_parameters(self) -> int:
        arrays = eqx.filter(self.algorithm.pair(self.state), eqx.is_inexact_array)
        return sum(a.size for a in jax.tree.leaves(arrays))


if __name__ == "__main__":
    work(Fit, "taut", "jax", "jaxlib", "equinox", "optax")
