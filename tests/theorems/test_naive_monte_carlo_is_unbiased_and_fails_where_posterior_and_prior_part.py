"""Averaging the likelihood over draws from the prior estimates p(x) without bias, log p(x) from below.

    p(x) = E_prior[p(x | z)],        E log (1/K) sum_k p(x | z_k) <= log p(x)

With one draw the shortfall is KL(prior to posterior); with K draws it is large as long as K is below
exp(KL(posterior to prior)) (Chatterjee and Diaconis 2018, theorem 1.1). With z ~ N(0, 1) and
x | z ~ N(z, r^2) both divergences grow with the square of x.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import (
    CategoricalGuide,
    ConjugateGaussian,
    EnumeratedGuide,
    FedGuide,
    TableModel,
    datum,
    given,
    location_scale,
    log_sum,
    normal_rule,
    tuples,
)
from scipy.special import softmax
from scipy.stats import norm

from taut.bounds import ELBO, IWAE
from taut.core import particles
from taut.guides import PriorGuide

NOISE = 0.25
OBSERVATIONS = np.array([0.0, 2.0, 3.0, 4.0])


def conjugate() -> ConjugateGaussian:
    return ConjugateGaussian(jnp.array(1.0), jnp.array(0.0), jnp.log(NOISE))


def test_the_log_weight_of_a_prior_draw_is_its_log_likelihood(float64):
    model = conjugate()
    guide = PriorGuide(model)
    made = jax.jit(lambda: particles(model, guide, guide, datum(1.3), jax.random.key(0), 5))()
    np.testing.assert_allclose(made.log_w, norm.logpdf(1.3, made.z, NOISE), rtol=1e-12)


def test_it_is_unbiased_by_enumeration(float64):
    """For p(x) over all triples of prior draws; for log p(x) it is too low."""
    model = TableModel(jnp.array([0.2, -0.5, 0.4]), jnp.cos(jnp.arange(6.0).reshape(3, 2) ** 2))
    guide = CategoricalGuide(model.prior_logits)
    draws, probabilities = tuples(softmax(np.asarray(model.prior_logits)), 3)

    @jax.jit
    @jax.vmap
    def log_estimate(z):
        fed = FedGuide(guide, z, given)
        return IWAE()(particles(model, fed, fed, datum(0), jax.random.key(0), 3))

    logs = np.asarray(log_estimate(jnp.asarray(draws)))
    log_evidence = log_sum(model.log_joint_table()[:, 0])
    np.testing.assert_allclose(probabilities @ np.exp(logs), np.exp(log_evidence), rtol=1e-13)
    assert probabilities @ logs < log_evidence - 0.01
    # Over the enumerated prior it is the evidence itself.
    every = EnumeratedGuide(model.prior_logits)
    made = particles(model, every, every, datum(0), jax.random.key(0), 1)
    np.testing.assert_allclose(IWAE()(made), log_evidence, rtol=1e-13)


@pytest.mark.parametrize("x", OBSERVATIONS)
def test_it_is_unbiased_by_quadrature(x, float64):
    """And with one draw the log falls short by KL(prior to posterior)."""
    of_average, average_of_log = by_quadrature(x)
    log_evidence = norm.logpdf(x, 0.0, np.hypot(1.0, NOISE))
    np.testing.assert_allclose(of_average, log_evidence, rtol=1e-12)
    mean, scale = conjugate().posterior(x)
    prior_to_posterior = np.log(scale) + (1.0 + mean**2) / (2 * scale**2) - 0.5
    shortfall = log_evidence - float(average_of_log)
    np.testing.assert_allclose(shortfall, prior_to_posterior, rtol=1e-12)


@jax.jit
def by_quadrature(x):
    """Over draws of the prior, the log of the likelihood's mean, and the mean of its log."""
    model = conjugate()
    nodes, weights = map(jnp.asarray, normal_rule(0.05, 12.0))
    fed = FedGuide(PriorGuide(model), nodes, location_scale, weights)
    made = particles(model, fed, fed, datum(x), jax.random.key(0), 1)
    return IWAE()(made), ELBO(kl="sampled")(made)


def posterior_to_prior(x) -> float:
    """KL(p(z | x) to p(z)) in nats."""
    mean, scale = conjugate().posterior(x)
    return -np.log(scale) + (scale**2 + mean**2) / 2 - 0.5


NUM_PARTICLES, NUM_REPLICATES = 100, 8000


def test_the_error_of_its_log_grows_with_the_divergence(float64):
    """At 100 draws, for observations that move the posterior away from the prior."""
    model = conjugate()
    guide = PriorGuide(model)

    @jax.jit
    def log_estimates(x, keys):
        def one(key):
            return IWAE()(particles(model, guide, guide, datum(x), key, NUM_PARTICLES))

        return jax.vmap(one)(keys)

    divergences, means, errors, far = [], [], [], []
    for i, x in enumerate(OBSERVATIONS):
        keys = jax.random.split(jax.random.key(i), NUM_REPLICATES)
        shortfalls = norm.logpdf(x, 0.0, np.hypot(1.0, NOISE)) - np.asarray(log_estimates(x, keys))
        divergences.append(posterior_to_prior(x))
        far.append(np.mean(shortfalls > 1.0))
        means.append(shortfalls.mean())
        errors.append(shortfalls.std(ddof=1) / np.sqrt(NUM_REPLICATES))
    assert np.all(np.diff(divergences) > 0)
    # Each observation costs more than the one before, and every one costs something.
    assert np.all(np.diff(means) > 5 * np.hypot(errors[1:], errors[:-1]))
    assert means[0] > 5 * errors[0]
    # Most estimates miss p(x) by a factor of e where exp(divergence) is above the number of draws.
    np.testing.assert_array_equal(np.array(far) > 0.5, np.exp(divergences) > NUM_PARTICLES)
