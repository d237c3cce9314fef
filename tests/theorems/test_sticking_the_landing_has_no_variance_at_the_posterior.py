"""At the posterior the path derivative of the ELBO is zero draw by draw, not only in the mean.

With q(z | x) = p(z | x), log w = log p(x) for every z: d log w / dz = 0, and nothing else reaches the
guide's parameters. The reparameterized gradient keeps the score -grad log q(z), whose mean is zero and
whose variance is the Fisher information: for N(m, s^2) it is 1/s^2 in m and 2 in log s.
"""

import jax
import jax.numpy as jnp
import numpy as np
from known_models import ConjugateGaussian, NormalGuide, datum

from taut.bounds import ELBO
from taut.gradients import Reparameterized, StickingTheLanding

X = 0.8
MODEL = (0.9, -0.2, -0.3)  # loading, shift, log noise
DRAWS = 20_000


def guide_gradients(estimator, off=0.0) -> np.ndarray:
    """The gradients in m and log s of many single draws, at the posterior and `off` its mean."""
    model = ConjugateGaussian(*map(jnp.asarray, MODEL))
    mean, scale = model.posterior(X)
    at = NormalGuide(jnp.zeros(()), jnp.asarray(mean + off), jnp.log(scale))

    def one(key):
        def surrogate(guide):
            return estimator(ELBO(kl="sampled"), model, guide, datum(X), key).surrogate

        gradient = jax.grad(surrogate)(at)
        return jnp.stack([gradient.intercept, gradient.log_scale])

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), DRAWS)))


def test_every_draw_gives_zero(float64):
    assert np.max(np.abs(guide_gradients(StickingTheLanding()))) < 1e-13


def test_the_score_has_the_variance_of_the_fisher_information(float64):
    """Five standard errors: sqrt((kurtosis - 1) / n) of the variance, with kurtosis 3 and 15."""
    variance = np.var(guide_gradients(Reparameterized()), axis=0)
    _, scale = ConjugateGaussian(*MODEL).posterior(X)
    within = 5 * np.sqrt(np.array([2.0, 14.0]) / DRAWS)
    np.testing.assert_array_less(np.abs(variance / [1 / scale**2, 2.0] - 1), within)


def test_away_from_the_posterior_it_varies(float64):
    """At a mean that is off by d, d log w / dz = -d / s^2 for every z = m + s eps."""
    off = 0.3
    _, scale = ConjugateGaussian(*MODEL).posterior(X)
    in_mean, in_log_scale = guide_gradients(StickingTheLanding(), off=off).T
    np.testing.assert_allclose(in_mean, -off / scale**2, rtol=1e-10)
    within = 5 * np.sqrt(2.0 / DRAWS)
    assert abs(np.var(in_log_scale) / (off / scale) ** 2 - 1) < within
