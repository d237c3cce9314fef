"""-log p(x | mu, sigma) = |x - mu|^2 / (2 sigma^2) + D log sigma + (D / 2) log(2 pi).

For a fixed sigma the best mu is that of least squares. The constant counts as soon as sigma is learned:
with it, the best sigma^2 is the mean squared error; without it, an infinite one.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from taut.models.likelihoods import Gaussian

pytestmark = pytest.mark.usefixtures("float64")

FLOOR = 1e-3
RTOL = 1e3 * np.finfo(np.float64).eps
rng = np.random.default_rng(0)
X, MU = rng.normal(size=(2, 5, 4))


def nll(mu: jax.Array, sigma: jax.Array) -> jax.Array:
    raw = jnp.log(jnp.expm1(sigma - FLOOR))
    likelihood = eqx.tree_at(lambda g: g.scale.raw, Gaussian(shape=X.shape, floor=FLOOR), raw)
    return -likelihood.log_prob(jnp.asarray(X), mu[None])


def test_is_scaled_squared_error_plus_constant():
    for sigma in (0.1, 1.0, 7.0):
        constant = X.size * np.log(sigma) + X.size / 2 * np.log(2 * np.pi)
        for mu in (MU, 0.5 * MU, X):
            squared_error = np.sum((X - mu) ** 2)
            value = nll(jnp.asarray(mu), jnp.asarray(sigma))
            np.testing.assert_allclose(value, squared_error / (2 * sigma**2) + constant, rtol=RTOL)


def test_best_scale_is_the_root_mean_squared_error():
    best = jnp.sqrt(jnp.mean((X - MU) ** 2))
    slope = jax.grad(nll, argnums=1)(jnp.asarray(MU), best)
    assert abs(slope) <= RTOL * X.size
    without_constant = jax.grad(lambda s: jnp.sum((X - MU) ** 2) / (2 * s**2))(best)
    assert without_constant < -1.0
