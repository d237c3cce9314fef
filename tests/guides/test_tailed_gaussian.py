"""Gaussians with and without tails, against SciPy's densities."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from taut.core import NEG_LOG_Q
from taut.guides import TailedGaussian

LOC, TRIL = np.array([0.3, -1.0, 2.0]), np.array([[0.5, 0, 0], [0.2, 1.5, 0], [-0.4, 0.3, 0.1]])


def member(tailed):
    family = TailedGaussian(3)
    features = family.features(jnp.asarray(LOC), jnp.asarray(TRIL), jnp.asarray(tailed))
    assert features.shape == (family.num_features,)
    return family(features)


def known(tailed):
    stats: Any = scipy.stats
    shape = TRIL @ TRIL.T
    return (
        stats.multivariate_t(LOC, shape, df=10) if tailed else stats.multivariate_normal(LOC, shape)
    )


@pytest.mark.parametrize("tailed", [False, True])
def test_the_density_is_scipys_at_any_z_and_at_its_own_draws(tailed, float64):
    q = member(tailed)
    drawn: Any = q.draw(jax.random.key(0), 50)
    z = np.concatenate([np.asarray(drawn.z), 100 * np.ones((1, 3))])
    found = -np.asarray(jax.jit(jax.vmap(q.terms))(jnp.asarray(z))[NEG_LOG_Q])
    np.testing.assert_allclose(found, known(tailed).logpdf(z), rtol=1e-9)
    np.testing.assert_allclose(-drawn.terms[NEG_LOG_Q], found[:-1], rtol=1e-9)


@pytest.mark.parametrize("tailed", [False, True])
def test_draws_follow_the_density(tailed, float64):
    z = np.asarray(member(tailed).draw(jax.random.key(1), 4000).z)
    e = np.linalg.solve(TRIL, (z - LOC).T)
    # |e|^2 / d is F(d, nu) of a t, chi-squared / d of a Gaussian.
    radius = scipy.stats.f(3, 10) if tailed else scipy.stats.chi2(3, scale=1 / 3)
    other = scipy.stats.chi2(3, scale=1 / 3) if tailed else scipy.stats.f(3, 10)
    distance = (e**2).mean(axis=0)
    assert scipy.stats.kstest(distance, radius.cdf).pvalue > 1e-4
    assert scipy.stats.kstest(distance, other.cdf).pvalue < 1e-4
