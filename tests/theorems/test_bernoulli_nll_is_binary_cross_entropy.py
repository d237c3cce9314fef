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


@pytest.mark.parametrize("masked", [False, True])
def test_the_value_beside_a_gradient_is_the_value_alone(masked: bool):
    """They are computed by different programs, the first of two terms."""
    rng = np.random.default_rng(1)
    logits = jnp.asarray(rng.normal(scale=3.0, size=(1, 28, 28)))
    x = jnp.asarray(rng.integers(2, size=(28, 28)).astype(float))
    mask = jnp.asarray(rng.random((28, 28)) < 0.7) if masked else None
    observed = jnp.ones((28, 28)) if mask is None else mask
    if masked:
        x = jnp.where(mask, x, jnp.nan)

    def of(x: jax.Array, logits: jax.Array) -> jax.Array:
        return Bernoulli().log_prob(x, logits, mask)

    value, (by_x, by_logits) = jax.jit(jax.value_and_grad(of, argnums=(0, 1)))(x, logits)
    np.testing.assert_allclose(value, of(x, logits), rtol=1e-13)
    slope = jnp.where(observed, jnp.nan_to_num(x) - jax.nn.sigmoid(logits), 0.0)
    np.testing.assert_allclose(by_logits, slope, atol=1e-14)
    np.testing.assert_allclose(by_x, jnp.where(observed, logits[0], 0.0), rtol=1e-14)


@pytest.mark.parametrize("logit", [-2.0, 0.0, 1.0])
def test_is_no_density_over_grey_values(logit: float):
    def mass(likelihood: Bernoulli | ContinuousBernoulli) -> float:
        @jax.jit
        def density(x: jax.Array) -> jax.Array:
            return jnp.exp(likelihood.log_prob(x, jnp.full((1,), logit)))

        return scipy.integrate.quad(lambda x: float(density(jnp.asarray(x))), 0, 1)[0]

    assert mass(Bernoulli()) < 0.8
    np.testing.assert_allclose(mass(ContinuousBernoulli()), 1.0, rtol=1e-12)
