"""Where cells are independent given z, a cell that is not observed drops out of the likelihood:

    log p(x_o, z) = log p(z) + sum over observed d of log p(x_d | z)

so that with x = W z + m + s e, and the posterior of z given the observed cells, every log-weight is

    log N(x_o; m_o, W_o W_o^T + s^2 I)

and of bits the sum of p(x) over all values of the missing ones is what is left.
"""

import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from taut.core import Datum, Pair, particles
from taut.data import Schema
from taut.fitted.resampling import resampled
from taut.models import LatentVariableModel, StandardNormal
from taut.models.likelihoods import Gaussian, make_likelihood
from taut.models.units import Units
from taut.networks import Linear


class PriorLike(eqx.Module):
    """A guide that looks at nothing."""

    q: dist.Distribution

    def __call__(self, datum):
        return self.q


RNG = np.random.default_rng(0)
WEIGHT, MEAN = RNG.normal(size=(4, 2)), RNG.normal(size=4)
SHIFT, SCALE = RNG.normal(size=4), np.array([0.5, 2.0, 1.0, 3.0])
PATTERNS = list(itertools.product([False, True], repeat=4))


def _linear() -> Any:
    decoder = Linear(2, 4, key=jax.random.key(0))
    decoder = eqx.tree_at(
        lambda d: (d.weight, d.bias), decoder, (jnp.asarray(WEIGHT.T), jnp.asarray(MEAN))
    )
    units = Units(jnp.asarray(SHIFT), jnp.asarray(SCALE))
    return LatentVariableModel(StandardNormal(2), decoder, Gaussian(shape=(4,)), (4,), units)


@pytest.mark.usefixtures("float64")
def test_log_weights_are_the_density_of_the_observed_cells():
    model = _linear()
    noise = float(model.likelihood.scale(jnp.zeros((0, 4))))
    weight, mean = SCALE[:, None] * WEIGHT, SHIFT + SCALE * MEAN
    x = RNG.normal(size=4)

    @jax.jit
    def log_weights(centre, precision, o):
        q = dist.MultivariateNormal(centre, precision_matrix=precision)
        datum = Datum(jnp.where(o, x, jnp.nan), o)
        return particles(model, lambda _: q, lambda _: q, datum, jax.random.key(1), 5).log_w

    for pattern in PATTERNS:
        o = np.array(pattern)
        precision = np.eye(2) + WEIGHT[o].T @ WEIGHT[o] / noise**2
        residual = ((x - mean) / SCALE)[o]
        centre = np.linalg.solve(precision, WEIGHT[o].T @ residual) / noise**2
        covariance: Any = weight @ weight.T + np.diag((noise * SCALE) ** 2)
        exact = 0.0
        if o.any():
            exact = multivariate_normal(mean[o], covariance[np.ix_(o, o)]).logpdf(x[o])
        found = log_weights(centre, precision, o)
        np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("float64")
def test_bits_sum_to_what_is_left():
    outputs = jnp.asarray(RNG.normal(size=(1, 4)))
    bits = np.array(PATTERNS, float)
    log_prob = jax.jit(make_likelihood("bernoulli", shape=(4,)).log_prob)
    whole = np.array([log_prob(b, outputs) for b in bits])
    x = np.array([1.0, 0.0, 0.0, 1.0])
    for pattern in PATTERNS:
        o = np.array(pattern)
        agree = (bits[:, o] == x[o]).all(axis=1)
        left = log_prob(np.where(o, x, np.nan), outputs, o)
        np.testing.assert_allclose(left, logsumexp(whole[agree]), atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_what_is_filled_in_has_the_conditional_mean_and_deviation():
    """With a guide that is wider than the posterior, so that the weights count."""
    model, o = _linear(), np.array([True, False, True, False])
    noise = float(model.likelihood.scale(jnp.zeros((0, 4))))
    weight, mean = SCALE[:, None] * WEIGHT, SHIFT + SCALE * MEAN
    covariance = weight @ weight.T + np.diag((noise * SCALE) ** 2)
    x = RNG.normal(size=4)
    gain = covariance[np.ix_(~o, o)] @ np.linalg.inv(covariance[np.ix_(o, o)])
    wanted = mean[~o] + gain @ (x - mean)[o]
    left = covariance[np.ix_(~o, ~o)] - gain @ covariance[np.ix_(o, ~o)]
    schema = Schema(name="rows", kind="table", shape=(4,), support="real")
    wide = dist.Normal(jnp.zeros(2), 2.0).to_event(1)
    pair = Pair(model, PriorLike(wide))
    rows = Datum(jnp.where(o, x, jnp.nan)[None], jnp.asarray(o)[None])
    found = resampled(
        pair, rows, schema, num_draws=10_000, num_particles=20_000, key=jax.random.key(2)
    )
    draws = found.draws[:, 0][:, ~o]
    # The weights are of an even density 2 wide: a tenth of the particles counts at least.
    error = np.sqrt(np.diag(left) / 2_000)
    assert (np.abs(found.mean[0, ~o] - wanted) < 5 * error).all()
    np.testing.assert_array_equal(found.mean[0, o], x[o])
    assert not found.deviation[0, o].any()
    np.testing.assert_allclose(found.deviation[0, ~o], np.sqrt(np.diag(left)), rtol=0.06)
    np.testing.assert_allclose(np.cov(draws.T), left, atol=0.06 * np.diag(left).max())
