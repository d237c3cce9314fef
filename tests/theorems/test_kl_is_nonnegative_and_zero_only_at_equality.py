"""Gibbs' inequality: KL(q to p) >= 0, with equality only at q = p.

Pinsker's inequality makes "only" a number: KL(q to p) >= (sum |q - p|)^2 / 2 in nats, so that a small
divergence forces the distributions together.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from taut.distributions import closed_kl

pytestmark = pytest.mark.usefixtures("float64")

EPS = np.finfo(np.float64).eps


def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Pairs of mass functions, from far apart to nearly equal, corners of the simplex included."""
    rng = np.random.default_rng(0)
    q = rng.dirichlet(np.full(4, 0.3), size=2000)
    far = rng.dirichlet(np.full(4, 0.3), size=2000)
    closeness = 10.0 ** -rng.uniform(0, 6, size=(2000, 1))
    p = (1 - closeness) * q + closeness * far
    q[:50] = np.eye(4)[rng.integers(4, size=50)]
    return q, p / p.sum(axis=1, keepdims=True)


def divergence(q: np.ndarray, p: np.ndarray) -> np.ndarray:
    rule = jax.jit(lambda q, p: closed_kl(dist.Categorical(probs=q), dist.Categorical(probs=p)))
    return np.asarray(rule(jnp.asarray(q), jnp.asarray(p)))


def test_divergence_is_at_least_pinskers_bound():
    q, p = pairs()
    bound = np.abs(q - p).sum(axis=1) ** 2 / 2
    # The sum of four terms of size q |log q - log p| rounds by a few units of the largest.
    assert np.all(divergence(q, p) >= bound - 16 * EPS)
    # Some pairs touch the bound closely, so that half of the divergence would break it.
    assert np.any(divergence(q, p) / 2 < bound - 16 * EPS)


def test_divergence_is_zero_at_equality():
    q, _ = pairs()
    np.testing.assert_array_equal(divergence(q, q), 0.0)


def test_divergence_is_no_distance():
    q, p = pairs()
    assert np.any(np.abs(divergence(q, p) - divergence(p, q)) > 0.1)
