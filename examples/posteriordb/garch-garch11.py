"""GARCH(1, 1): the variance of a series follows its last square and its last variance (Bollerslev 1986).

    sigma_t^2 = alpha0 + alpha1 (y_{t-1} - mu)^2 + beta1 sigma_{t-1}^2,       y_t ~ Normal(mu, sigma_t)

with sigma_1 given. The prior is flat on R x (0, inf) x {alpha1, beta1 > 0, alpha1 + beta1 < 1}; the
factor 1 - alpha1 takes back the density 1 / (1 - alpha1) of beta1 given alpha1.
"""

import jax
import jax.numpy as jnp
import numpyro
from numpyro import distributions as dist
from numpyro.distributions import constraints


def model(y, sigma1, **unused):
    mu = numpyro.sample("mu", dist.ImproperUniform(constraints.real, (), ()))
    alpha0 = numpyro.sample("alpha0", dist.ImproperUniform(constraints.positive, (), ()))
    alpha1 = numpyro.sample("alpha1", dist.Uniform(0.0, 1.0))
    beta1 = numpyro.sample("beta1", dist.Uniform(0.0, 1.0 - alpha1))
    numpyro.factor("flat", jnp.log1p(-alpha1))

    def next_variance(variance, last):
        following = alpha0 + alpha1 * (last - mu) ** 2 + beta1 * variance
        return following, following

    first = jnp.asarray(sigma1**2, y.dtype)
    _, later = jax.lax.scan(next_variance, first, y[:-1])
    sigma = jnp.sqrt(jnp.concatenate([first[None], later]))
    numpyro.sample("y", dist.Normal(mu, sigma).to_event(1), obs=y)
