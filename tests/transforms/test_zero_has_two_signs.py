"""x = |z| at x = 0, where z = 0 and z = -0 are one number: both signs count, each by its own chance.

p(x) = p(z = x) + p(z = -x),        log p(0) = log 2 + log p(z = 0)        whatever the chances
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_expit
from scipy.stats import norm

from taut.core import Datum
from taut.evidence import Importance
from taut.guides import ChainPair
from taut.models import StandardNormal
from taut.transforms import Chain, GenerativeAbsoluteValue

X = jnp.array([[0.0, 0.0], [0.0, 1.5], [-0.0, 0.3], [-0.0, -0.0]])
LOGITS = [0.0, 3.0, -3.0]


@pytest.mark.parametrize("logit", LOGITS)
def test_the_density_is_exact_whatever_the_chances(logit):
    """Summed over signs; float32 rounds numbers of order one."""
    layer = GenerativeAbsoluteValue((2,), jnp.full(2, logit))
    pair = ChainPair(Chain([layer]), StandardNormal(2))
    found = Importance(3)(pair, Datum(X), key=jax.random.key(0)).log_evidence
    assert found.side == "exact"
    exact = np.sum(np.log(2) + norm.logpdf(np.asarray(X)), axis=1)
    np.testing.assert_allclose(np.asarray(found.values), exact, rtol=0, atol=2e-6)


@pytest.mark.parametrize("logit", LOGITS)
def test_a_drawn_sign_has_its_own_chance_and_gradient(logit):
    """Of a sign s in {-1, 1}: -log q = -log sigmoid(s l), with the slope -s sigmoid(-s l) in l."""

    def neg_log_q(logits, x, z):
        (found,) = GenerativeAbsoluteValue((2,), logits).inference_terms(x, z).values()
        return found

    signs = np.array([1.0, -1.0])
    for x in X:
        z = GenerativeAbsoluteValue((2,), jnp.array([40.0, -40.0])).encode(x, jax.random.key(0)).z
        value, slope = jax.value_and_grad(neg_log_q)(jnp.full(2, logit), x, z)
        np.testing.assert_allclose(value, -log_expit(signs * logit).sum(), rtol=1e-6)
        np.testing.assert_allclose(slope, -signs * np.exp(log_expit(-signs * logit)), rtol=1e-6)
