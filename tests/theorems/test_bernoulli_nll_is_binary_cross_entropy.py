"""-log p(x | l) under a Bernoulli is the binary cross-entropy of x against sigmoid(l), in nats.

On binary x only: over grey x the same formula is no density, for its integral over [0, 1] is not one.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
from scipy.special import expit
from sklearn.metrics import log_loss

from taut.models.likelihoods import Bernoulli, ContinuousBernoulli

pytestmark = pytest.mark.usefixtures("float64")


def test_equals_the_log_loss_of_a_classifier():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3.0, size=(1, 28, 28))
    x = rng.integers(2, size=(28, 28)).astype(float)
    probs = expit(logits).reshape(-1)
    cross_entropy = log_loss(x.reshape(-1), probs, normalize=False)
    nll = -float(jax.jit(Bernoulli().log_prob)(jnp.asarray(x), jnp.asarray(logits)))
    np.testing.assert_allclose(nll, cross_entropy, rtol=1e3 * np.finfo(float).eps)
    # Planted: the mean over pixels instead of the sum; the other sign of the logit.
    assert abs(nll - log_loss(x.reshape(-1), probs)) > 100
    assert abs(nll - log_loss(x.reshape(-1), 1 - probs, normalize=False)) > 100


@pytest.mark.parametrize("logit", [-2.0, 0.0, 1.0])
def test_is_no_density_over_grey_values(logit: float):
    def mass(likelihood: Bernoulli | ContinuousBernoulli) -> float:
        @jax.jit
        def density(x: jax.Array) -> jax.Array:
            return jnp.exp(likelihood.log_prob(x, jnp.full((1,), logit)))

        return scipy.integrate.quad(lambda x: float(density(jnp.asarray(x))), 0, 1)[0]

    assert mass(Bernoulli()) < 0.8
    np.testing.assert_allclose(mass(ContinuousBernoulli()), 1.0, rtol=1e-12)
