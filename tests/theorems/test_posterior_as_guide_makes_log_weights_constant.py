"""With q(z | x) = p(z | x) every log-weight is log p(x), whatever z is drawn.

The zero-variance point: all bounds coincide there, with any number of draws and any order.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from known_models import CategoricalGuide, ConjugateGaussian, TableModel, datum, log_sum
from scipy.stats import betabinom, nbinom, norm

from taut.bounds import ELBO, IWAE, Renyi
from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, AbstractModel, particles

NUM_PARTICLES = 20


class Conjugate(AbstractModel):
    """A prior, and a likelihood as a function of z."""

    prior_distribution: Any
    likelihood: Any

    def terms(self, datum, z):
        return {
            LOG_LIKELIHOOD: self.likelihood(z).log_prob(datum.x),
            LOG_PRIOR: self.prior_distribution.log_prob(z),
        }


def gaussian():
    model = ConjugateGaussian(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.3))
    mean, scale = model.posterior(0.8)
    evidence = norm.logpdf(0.8, -0.2, np.hypot(0.9, np.exp(-0.3)))
    return model, 0.8, evidence, dist.Normal(mean, scale), dist.Normal(mean, 1.05 * scale)


def beta_binomial():
    model = Conjugate(dist.Beta(2.0, 1.5), lambda z: dist.Binomial(7, probs=z))
    evidence = betabinom.logpmf(3, 7, 2.0, 1.5)
    return model, 3, evidence, dist.Beta(5.0, 5.5), dist.Beta(5.0, 5.0)


def gamma_poisson():
    model = Conjugate(dist.Gamma(2.0, 1.5), dist.Poisson)
    evidence = nbinom.logpmf(3, 2.0, 1.5 / 2.5)
    return model, 3, evidence, dist.Gamma(5.0, 2.5), dist.Gamma(5.0, 2.0)


def table():
    model = TableModel(jnp.array([0.2, -0.5, 0.4]), jnp.cos(jnp.arange(6.0).reshape(3, 2) ** 2))
    log_joint = model.log_joint_table()[:, 1]
    posterior = CategoricalGuide(jnp.asarray(log_joint))(None)
    near = CategoricalGuide(jnp.asarray(log_joint) + jnp.array([0.1, 0.0, 0.0]))(None)
    return model, 1, log_sum(log_joint), posterior, near


def minted(model, x, q):
    def guide(datum):
        return q

    draw = jax.jit(lambda key: particles(model, guide, guide, datum(x), key, NUM_PARTICLES))
    return draw(jax.random.key(0))


@pytest.mark.parametrize("case", [gaussian, beta_binomial, gamma_poisson, table])
def test_every_weight_is_the_evidence(case, float64):
    model, x, log_evidence, posterior, near = case()
    made = minted(model, x, posterior)
    assert np.unique(np.asarray(made.z)).size > 1
    np.testing.assert_allclose(made.log_w, log_evidence, rtol=1e-12)
    for bound in (ELBO(kl="sampled"), IWAE(), Renyi(alpha=-2.0), Renyi(alpha=3.0)):
        np.testing.assert_allclose(bound(made), log_evidence, rtol=1e-12)
    # Planted: a guide that is nearly the posterior, at the same draws.
    log_joint = made.log_w + made.log_q
    assert np.ptp(log_joint - near.log_prob(made.z)) > 1e-3
