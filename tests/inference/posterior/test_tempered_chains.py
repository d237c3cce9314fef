"""Chains of one program: where they have not moved, their weights are those of the density."""

import jax.numpy as jnp
import numpy as np
from targets import normal_log_prob

from taut.inference.posterior.log_density import LogDensity
from taut.inference.posterior.overdispersed import Overdispersed
from taut.inference.posterior.tempered_chains import TemperedChains


def half_known(z, arrays):
    """A normal density whose gradient is not a number below zero, and which has an edge at 4."""
    del arrays
    slope = jnp.where(z[0] > 0, jnp.sqrt(z[0]), 0.0)  # NaN of the branch that is not taken
    return jnp.where(z[0] < 4, normal_log_prob(z[0], 0.0, 1.0) + slope - slope, -jnp.inf)


class HalfKnown(LogDensity):
    """That one, in place of a model's."""

    def __init__(self):
        self.most = 128

    def program(self, d):
        assert d == 1
        return half_known, ()


def test_the_weight_of_a_chain_asks_for_no_gradient():
    one = np.ones((1, 1, 1))
    start = Overdispersed(np.zeros(1), np.zeros((1, 1)), one, one)
    chains = TemperedChains(HalfKnown(), start)
    z = np.array([[-2.0], [-0.5], [0.5], [2.0], [5.0]])
    right = np.where(z[:, 0] < 4, -0.5 * z[:, 0] ** 2 - 0.5 * np.log(2 * np.pi), -np.inf)
    found = chains.at(z)
    np.testing.assert_allclose(found.log_p, right, rtol=1e-5)
