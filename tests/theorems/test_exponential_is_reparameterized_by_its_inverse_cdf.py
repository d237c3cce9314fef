"""z = -log(1 - u) / rate with u ~ Uniform(0, 1) is exponential, and carries the gradient in the rate.

    d/d rate E[f(z)] = E_u[f'(z) dz/d rate],        dz/d rate = -z / rate

E[z^n] = n! / rate^n, so that the derivatives of all moments are known.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from known_models import normal_rule
from scipy.stats import expon, kstest, norm

from taut.core import as_proposal
from taut.distributions import InverseCDF

RATE = 1.7


def uniform_rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of an average over u, crowded towards both ends: u = Phi(t)."""
    t, weights = normal_rule(0.05, 8.0)
    return norm.cdf(t), weights


def exponential(rate) -> InverseCDF:
    return InverseCDF(dist.Exponential(rate))


def test_the_draws_are_exponential(float64):
    """The quantiles by SciPy; the draws by Kolmogorov and Smirnov, and not those of another rate."""
    u = np.linspace(0.01, 0.99, 21)
    np.testing.assert_allclose(exponential(RATE).icdf(u), expon.ppf(u, scale=1 / RATE), rtol=1e-13)
    proposal = as_proposal(exponential(RATE))
    assert proposal.reparameterized
    z = proposal.draw(jax.random.key(0), 4000).z
    # Five standard errors in probability: 6e-7.
    assert kstest(np.asarray(z), expon(scale=1 / RATE).cdf).pvalue > 6e-7
    assert kstest(np.asarray(z), expon(scale=1.2 / RATE).cdf).pvalue < 6e-7


def test_the_path_is_the_implicit_one(float64):
    """dz/d rate = -z / rate, at the draws that the library takes."""

    def draw(rate):
        return exponential(rate).sample(jax.random.key(1), (50,))

    z, slope = jax.jvp(draw, (RATE,), (1.0,))
    np.testing.assert_allclose(slope, -z / RATE, rtol=1e-13)


@pytest.mark.parametrize("power", [1, 2, 3, 4])
def test_the_gradients_of_moments_are_exact(power, float64):
    u, weights = map(jnp.asarray, uniform_rule())

    def moment(rate, path):
        return weights @ path(exponential(rate).icdf(u)) ** power

    value, gradient = jax.value_and_grad(moment)(RATE, lambda z: z)
    np.testing.assert_allclose(value, math.factorial(power) / RATE**power, rtol=1e-9)
    expected = -power * math.factorial(power) / RATE ** (power + 1)
    np.testing.assert_allclose(gradient, expected, rtol=1e-9)
    # Planted: draws that stay where they are.
    assert jax.grad(moment)(RATE, jax.lax.stop_gradient) == 0


def test_the_gradient_of_a_divergence_is_exact(float64):
    """E_q[log q(z) - log p(z)] of two exponentials: log(a / b) + b / a - 1, with slope 1/a - b / a^2."""
    u, weights = map(jnp.asarray, uniform_rule())
    other = 0.6

    def divergence(rate):
        q = exponential(rate)
        z = q.icdf(u)
        return weights @ (q.log_prob(z) - dist.Exponential(other).log_prob(z))

    value, gradient = jax.value_and_grad(divergence)(RATE)
    np.testing.assert_allclose(value, np.log(RATE / other) + other / RATE - 1, rtol=1e-9)
    np.testing.assert_allclose(gradient, 1 / RATE - other / RATE**2, rtol=1e-9)
