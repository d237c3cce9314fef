"""A drawn sign leaves a gap, KL(q(s | x) to p(s | x)); summed over, no gap is left, whatever q.

    sum_s q(s) log w(s) = log p(x) - KL(q to p(s | x)),        log sum_s q(s) w(s) = log p(x)

x = |z| under a normal z that is not symmetric.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from known_models import datum
from scipy.special import expit, rel_entr
from scipy.stats import foldnorm, norm

from taut.bounds import ELBO, IWAE
from taut.core import particles
from taut.guides import ChainPair
from taut.models import AbstractPrior
from taut.transforms import Chain, GenerativeAbsoluteValue

MEAN = 0.7
EXACT = 1e-13


class Shifted(AbstractPrior):
    """N(0.7, 1)."""

    name = "shifted"

    def __call__(self):
        return dist.Normal(jnp.array([MEAN]), 1.0).to_event(1)


@jax.jit
def minted(logit, x):
    chain = Chain([GenerativeAbsoluteValue((1,), jnp.array([logit]))])
    model, guide = ChainPair(chain, Shifted()).bind()
    return particles(model, guide, guide, datum([x]), jax.random.key(0), 1)


@pytest.mark.parametrize("logit", [0.0, 3.5, -1.0])
def test_the_gap_is_a_kl_and_the_sum_has_none(logit, float64):
    x = 1.3
    made = minted(logit, x)
    log_evidence = foldnorm.logpdf(x, MEAN)
    np.testing.assert_allclose(IWAE()(made), log_evidence, rtol=0, atol=EXACT)

    posterior = norm.pdf([x, -x], MEAN)
    posterior = posterior / posterior.sum()
    gap = rel_entr([expit(logit), expit(-logit)], posterior).sum()
    np.testing.assert_allclose(ELBO(kl="sampled")(made), log_evidence - gap, rtol=0, atol=EXACT)
    assert gap > 0.01


def test_the_gradient_of_the_sum_by_the_odds_is_zero(float64):
    """Exact for every q, so that nothing is left for q to learn."""
    slope = jax.jit(jax.grad(lambda logit: IWAE()(minted(logit, 1.3))))(0.5)
    assert abs(slope) < EXACT
    assert abs(jax.jit(jax.grad(lambda logit: ELBO(kl="sampled")(minted(logit, 1.3))))(0.5)) > 0.01


def test_too_many_signs_leave_a_bound_that_averages_to_the_density(float64):
    """Eleven cells: 2048 signs are drawn, not summed. Each cell's factor is known."""
    x = np.linspace(0.2, 1.6, 11)
    layer = GenerativeAbsoluteValue((11,), jnp.full(11, 1.0))

    class Shifted11(AbstractPrior):
        name = "shifted"

        def __call__(self):
            return dist.Normal(jnp.full(11, MEAN), 1.0).to_event(1)

    model, guide = ChainPair(Chain([layer]), Shifted11()).bind()
    made = jax.jit(lambda: particles(model, guide, guide, datum(x), jax.random.key(1), 4000))()
    assert not made.exhaustive
    assert made.num_particles == 4000
    log_evidence = foldnorm.logpdf(x, MEAN).sum()
    w = np.exp(np.asarray(made.log_w) - log_evidence)
    assert abs(w.mean() - 1) < 5 * w.std() / np.sqrt(w.size)
    assert np.mean(made.log_w) < log_evidence - 0.1
    # Without log q the average is off by far more than its error.
    bare = np.exp(np.asarray(made.terms["log_prior"]) - log_evidence)
    assert abs(bare.mean() - 1) > 5 * bare.std() / np.sqrt(w.size)
