"""A distribution function is 0 below the support and 1 above it."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from taut.distributions import ContinuousBernoulli
from taut.distributions.positive_normal import PositiveNormal

PLACES = jnp.array([-3.0, 0.0, 2.0])
# The distributions, and the ends of their support.
OWN = [
    pytest.param(ContinuousBernoulli(PLACES), 0.0, 1.0, id="continuous Bernoulli"),
    pytest.param(PositiveNormal(PLACES, 0.7), 0.0, np.inf, id="positive normal"),
]


@pytest.mark.parametrize(("distribution", "low", "high"), OWN)
def test_all_mass_is_between_the_ends(distribution: Any, low: float, high: float):
    below = np.array([low - 1e-3, low - 0.5, low - 20.0, -np.inf])[:, None]
    np.testing.assert_array_equal(distribution.cdf(jnp.asarray(below)), np.zeros((4, 3)))
    above = np.array([high + 1e-3, high + 0.5, high + 20.0, np.inf])[:, None]
    np.testing.assert_array_equal(distribution.cdf(jnp.asarray(above)), np.ones((4, 3)))
