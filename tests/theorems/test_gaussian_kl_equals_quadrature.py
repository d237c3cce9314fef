"""KL(N(m, s^2) to N(0, 1)) = (m^2 + s^2 - 1 - log s^2) / 2, and its general form.

The integral of q (log q - log p) by adaptive quadrature, with densities from scipy, is the reference.
"""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.integrate
from scipy.stats import norm

from taut.distributions import closed_kl, kl_per_dimension

pytestmark = pytest.mark.usefixtures("float64")

Q = (np.array([0.0, 0.4, -1.5, 3.0]), np.array([1.0, 0.2, 2.5, 0.7]))
P = (np.array([0.0, 0.1, 1.0, -2.0]), np.array([1.0, 0.9, 0.8, 3.0]))


def by_quadrature(q: tuple[np.ndarray, ...], p: tuple[np.ndarray, ...]) -> tuple[np.ndarray, float]:
    values, errors = [], []
    for m, s, n, t in zip(*q, *p, strict=True):

        def integrand(x: float, m=m, s=s, n=n, t=t) -> float:
            return norm.pdf(x, m, s) * (norm.logpdf(x, m, s) - norm.logpdf(x, n, t))

        # Beyond forty standard deviations of q the integrand underflows.
        value, error = scipy.integrate.quad(
            integrand, m - 40 * s, m + 40 * s, points=[m], limit=200, epsabs=1e-12
        )
        values.append(value)
        errors.append(error)
    return np.array(values), max(errors) + 1e-14


def closed(q: tuple[np.ndarray, ...], p: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.asarray(
        closed_kl(dist.Normal(*map(jnp.asarray, q)), dist.Normal(*map(jnp.asarray, p)))
    )


def test_univariate_gaussians():
    expected, error = by_quadrature(Q, P)
    assert np.all(np.abs(closed(Q, P) - expected) <= error)
    # Planted: arguments swapped; a variance handed over as a standard deviation.
    assert np.any(np.abs(closed(P, Q) - expected) > 0.1)
    assert np.any(np.abs(closed((Q[0], Q[1] ** 2), P) - expected) > 0.1)


def test_standard_normal_prior_dimension_by_dimension():
    zeros, ones = np.zeros(4), np.ones(4)
    expected, error = by_quadrature(Q, (zeros, ones))
    q = dist.Normal(*map(jnp.asarray, Q)).to_event(1)
    p = dist.Normal(0.0, 1.0).expand((4,)).to_event(1)
    assert np.all(np.abs(np.asarray(kl_per_dimension(q, p)) - expected) <= error)
    textbook = (Q[0] ** 2 + Q[1] ** 2 - 1 - np.log(Q[1] ** 2)) / 2
    assert np.all(np.abs(textbook - expected) <= error)
