"""A mean beyond all numbers rules every count out: -inf, which adds nothing, and no NaN."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.distributions import Poisson, ZeroInflatedPoisson

from taut.distributions import accurate
from taut.distributions.count_densities import log_poisson
from taut.models import make_likelihood

COUNTS = np.array([0.0, 1.0, 120.0], np.float32)


def test_no_count_has_an_infinite_mean():
    assert np.isneginf(log_poisson(COUNTS, jnp.inf)).all()
    assert np.isneginf(accurate(Poisson(jnp.inf)).log_prob(COUNTS)).all()


def test_an_extra_zero_does_not_need_one():
    found = accurate(ZeroInflatedPoisson(0.5, jnp.inf)).log_prob(COUNTS)
    np.testing.assert_allclose(found, [np.log(0.5), -np.inf, -np.inf], rtol=1e-6)


@pytest.mark.parametrize("family", ["poisson", "zero-inflated-poisson"])
def test_an_output_beyond_the_largest_exponent_gives_no_nan(family):
    likelihood = make_likelihood(family, shape=(3,))
    outputs = jnp.full((likelihood.num_outputs, 3), 200.0, jnp.float32)
    assert np.isneginf(likelihood.log_prob(jnp.asarray(COUNTS), outputs))
