"""log p(x) = ELBO + KL(q(z | x) to p(z | x)), for any guide, exactly."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from known_models import EnumeratedGuide, FedGuide, TableModel, datum, gauss_hermite, grid, log_sum
from scipy.special import softmax
from scipy.stats import entropy, multivariate_normal

from taut.bounds import ELBO
from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, AbstractModel, particles

EXACT = 1e-13


def elbo(model, guide, x) -> float:
    """The ELBO over draws that are the whole support, or Gauss-Hermite nodes with their masses."""
    return float(_elbo(model, guide, jnp.asarray(x)))


@eqx.filter_jit
def _elbo(model, guide, x):
    made = particles(model, guide, guide, datum(x), jax.random.key(0), 1)
    return ELBO(kl="sampled")(made)


@pytest.mark.parametrize("x", [0, 1, 2])
def test_for_a_latent_that_can_be_enumerated(x, float64):
    """The posterior by Bayes' rule; the divergence by `scipy.stats.entropy`."""
    model = TableModel(
        jnp.array([0.2, -0.5, 0.4, 1.0]), jnp.sin(jnp.arange(12.0).reshape(4, 3) ** 2)
    )
    joint = np.exp(model.log_joint_table())
    evidence = joint[:, x].sum()
    for logits in (np.array([0.1, 0.3, -0.2, 0.0]), np.array([4.0, -3.0, 0.5, 1.0])):
        divergence = entropy(softmax(logits), joint[:, x] / evidence)
        value = elbo(model, EnumeratedGuide(jnp.asarray(logits)), x)
        np.testing.assert_allclose(value + divergence, np.log(evidence), atol=EXACT)
        assert divergence > 0.01


class LinearGaussian(AbstractModel):
    """z ~ N(0, I_2), x | z ~ N(weight z + shift, noise^2 I_3): the linear VAE, probabilistic PCA."""

    weight: Any
    shift: Any
    noise: Any

    def terms(self, datum, z):
        x = self.weight @ z + self.shift
        return {
            LOG_LIKELIHOOD: dist.Normal(x, self.noise).log_prob(datum.x).sum(),
            LOG_PRIOR: dist.Normal(0.0, 1.0).log_prob(z).sum(),
        }


class LinearEncoder(eqx.Module):
    """q(z | x) = N(weight x, scale_tril scale_tril^T)."""

    weight: Any
    scale_tril: Any

    def __call__(self, datum):
        return dist.MultivariateNormal(self.weight @ datum.x, scale_tril=self.scale_tril)


def test_for_a_linear_gaussian_autoencoder(float64):
    """Evidence, posterior and divergence in closed form; log w is quadratic, so two nodes are exact."""
    weight = np.array([[1.0, 0.3], [-0.5, 0.8], [0.2, -1.1]])
    mean, noise, x = np.array([0.1, -0.2, 0.4]), 0.6, np.array([0.7, -1.0, 1.3])
    model = LinearGaussian(jnp.asarray(weight), jnp.asarray(mean), noise)
    encoder = LinearEncoder(
        jnp.array([[0.4, -0.1, 0.2], [0.0, 0.5, -0.3]]), jnp.array([[0.7, 0.0], [-0.2, 0.5]])
    )

    covariance: Any = weight @ weight.T + noise**2 * np.eye(3)
    log_evidence = multivariate_normal(mean, covariance).logpdf(x)
    precision = np.eye(2) + weight.T @ weight / noise**2
    posterior_mean = np.linalg.solve(precision, weight.T @ (x - mean) / noise**2)

    tril = np.asarray(encoder.scale_tril)
    away = np.asarray(encoder.weight) @ x - posterior_mean
    divergence = 0.5 * (
        np.trace(precision @ tril @ tril.T)
        + away @ precision @ away
        - 2
        - np.linalg.slogdet(precision @ tril @ tril.T)[1]
    )

    nodes, masses = grid(*gauss_hermite(2), 2)
    guide = FedGuide(encoder, jnp.asarray(nodes), affine, jnp.asarray(masses))
    np.testing.assert_allclose(elbo(model, guide, x) + divergence, log_evidence, atol=EXACT)
    assert divergence > 0.5
    # Planted: the divergence the other way round, from the posterior to the guide.
    posterior, inverse = np.linalg.inv(precision), np.linalg.inv(tril @ tril.T)
    reverse = 0.5 * (
        np.trace(inverse @ posterior)
        + away @ inverse @ away
        - 2
        - np.linalg.slogdet(inverse @ posterior)[1]
    )
    assert abs(elbo(model, guide, x) + reverse - log_evidence) > 0.1


def affine(q, noise):
    """z = mean + L eps, the path of a Gaussian with any covariance."""
    return q.loc + q.scale_tril @ noise


def test_the_gap_closes_only_at_the_posterior(float64):
    model = TableModel(jnp.array([0.3, -0.8]), jnp.array([[0.2, 1.0], [-0.4, 0.5]]))
    log_joint = model.log_joint_table()[:, 1]
    log_posterior = log_joint - log_sum(log_joint)
    gaps = [
        log_sum(log_joint) - elbo(model, EnumeratedGuide(jnp.asarray(log_posterior) + shift), 1)
        for shift in (jnp.zeros(2), jnp.array([0.0, 0.1]), jnp.array([0.1, 0.0]))
    ]
    assert abs(gaps[0]) < EXACT
    assert min(gaps[1:]) > 1e-4
