"""KL(prod_d q_d to prod_d p_d) = sum_d KL(q_d to p_d).

For a q that does not factorize, the sum over its marginals falls short of the divergence by the total
correlation of q; for a Gaussian that is -log|R| / 2, with R its correlation matrix.
"""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from taut.distributions import closed_kl, kl_per_dimension

pytestmark = pytest.mark.usefixtures("float64")

RTOL = 100 * np.finfo(np.float64).eps


def test_over_the_product_space_of_two_categories():
    rng = np.random.default_rng(0)
    q, p = rng.dirichlet(np.ones(3), size=(2, 2))
    joint_q, joint_p = (np.outer(d[0], d[1]).reshape(-1) for d in (q, p))
    by_enumeration = np.sum(joint_q * (np.log(joint_q) - np.log(joint_p)))
    factorized = [dist.Categorical(probs=jnp.asarray(d)).to_event(1) for d in (q, p)]
    parts = kl_per_dimension(*factorized)
    assert parts.shape == (2,)
    np.testing.assert_allclose(parts.sum(), by_enumeration, rtol=RTOL)
    np.testing.assert_allclose(closed_kl(*factorized), by_enumeration, rtol=RTOL)
    # The parts are the factors', each alone.
    np.testing.assert_allclose(parts, (q * np.log(q / p)).sum(axis=1), rtol=RTOL)


def test_a_correlated_q_has_its_total_correlation_on_top():
    scale, correlation = np.array([0.5, 2.0]), 0.8
    r = np.array([[1.0, correlation], [correlation, 1.0]])
    covariance = scale[:, None] * r * scale
    loc = jnp.array([1.0, -1.0])
    p = dist.Normal(jnp.zeros(2), 1.0).to_event(1)
    joint = closed_kl(dist.MultivariateNormal(loc, jnp.asarray(covariance)), p)
    marginals = closed_kl(dist.Normal(loc, jnp.asarray(scale)).to_event(1), p)
    total_correlation = -0.5 * np.log(np.linalg.det(r))
    np.testing.assert_allclose(joint - marginals, total_correlation, rtol=RTOL)
    assert total_correlation > 0.5
