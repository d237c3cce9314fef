"""For a fixed model, ELBO(q) + KL(q to p(z | x)) is a constant: the q with the highest ELBO is the one
closest to the posterior in KL(q to p), inside any family of guides. It is not the closest in KL(p to q).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from known_models import EnumeratedGuide, TableModel, datum
from scipy.special import log_softmax
from scipy.stats import entropy

from taut.bounds import ELBO
from taut.core import Datum, particles
from taut.guides import MeanFieldGaussian
from taut.models import ExponentialNormal, ProbabilisticPCA


def test_over_a_family_of_two_parameters_by_enumeration(float64):
    """q(z) proportional to exp(a z + b z^2), which does not hold the posterior of four outcomes."""
    model = TableModel(
        jnp.array([0.2, -0.5, 0.4, 1.0]), jnp.sin(jnp.arange(12.0).reshape(4, 3) ** 2)
    )
    posterior = np.exp(log_softmax(model.log_joint_table()[:, 1]))
    z = jnp.arange(4.0)

    def member(parameters):
        return parameters[0] * z + parameters[1] * z**2

    @jax.jit
    def nelbo(parameters):
        guide = EnumeratedGuide(member(parameters))
        return -ELBO(kl="sampled")(particles(model, guide, guide, datum(1), jax.random.key(0), 1))

    def divergence(parameters):
        q = np.exp(log_softmax(np.asarray(member(parameters))))
        return entropy(q, posterior)

    def reverse(parameters):
        q = np.exp(log_softmax(np.asarray(member(parameters))))
        return entropy(posterior, q)

    found = scipy.optimize.minimize(nelbo, np.zeros(2), jac=jax.grad(nelbo), tol=1e-12)
    closest = scipy.optimize.minimize(divergence, np.zeros(2), tol=1e-12)
    np.testing.assert_allclose(found.x, closest.x, atol=1e-4)
    assert closest.fun > 1e-3  # the family does not hold the posterior
    constants = [float(-nelbo(p)) + divergence(p) for p in (np.zeros(2), found.x, np.ones(2))]
    np.testing.assert_allclose(constants, constants[0], rtol=1e-12)
    # Planted: the divergence the other way round has its minimum elsewhere.
    other = scipy.optimize.minimize(reverse, np.zeros(2), tol=1e-12)
    assert np.abs(other.x - found.x).max() > 0.01


def test_independent_latents_get_the_conditional_variances(float64):
    """Among independent Gaussians, KL(q to p) is lowest at the posterior's mean and at one over the
    diagonal of its precision; KL(p to q) would ask for the marginal variances."""
    weight = np.array([[1.0, 0.8], [0.5, -0.2], [0.9, 1.1]])
    model = ProbabilisticPCA(
        center=jnp.zeros(3), loadings=jnp.asarray(weight), log_variance=2 * jnp.log(0.6)
    )
    row = Datum(jnp.array([0.4, -1.0, 0.9]))
    family = MeanFieldGaussian(2)

    nelbo = jax.jit(lambda features: -model.elbo(row, family(features)))
    found = scipy.optimize.minimize(nelbo, np.zeros(4), jac=jax.jit(jax.grad(nelbo)), tol=1e-12)

    precision = np.eye(2) + weight.T @ weight / 0.36
    covariance = np.linalg.inv(precision)
    mean = covariance @ weight.T @ np.asarray(row.x) / 0.36
    np.testing.assert_allclose(found.x[:2], mean, atol=1e-6)
    variances = np.exp(2 * found.x[2:])
    np.testing.assert_allclose(variances, 1 / np.diag(precision), rtol=1e-6)
    assert (variances < 0.5 * np.diag(covariance)).all()


@pytest.mark.parametrize("x", [-1.0, 0.6])
def test_where_the_posterior_is_out_of_reach_the_gap_is_what_is_left(x, float64):
    """The best exponential rate is the minimum of KL to the truncated normal, which stays positive."""
    model = ExponentialNormal.at(1.3)
    best = float(model.best_phi(datum(x)))

    def divergence(log_phi):
        """By the trapezoid rule in y, z = exp(y), from the densities alone."""
        y = np.arange(-40.0, 6.0, 0.01)
        z = np.exp(y)
        log_q = log_phi - np.exp(log_phi) * z
        log_p = np.asarray(posterior.log_prob(z))
        return np.sum(np.exp(log_q + y) * (log_q - log_p)) * 0.01

    posterior = model.posterior(datum(x))
    closest = scipy.optimize.minimize_scalar(divergence, bracket=(-1.0, 1.0), tol=1e-10)
    assert np.exp(closest.x) == pytest.approx(best, rel=1e-6)
    assert closest.fun == pytest.approx(float(model.gap(datum(x), best)), abs=1e-9)
    assert closest.fun > 1e-3
