"""A Gaussian process with a squared-exponential kernel, its function integrated out.

    y ~ Normal(0, K),     K_ij = alpha^2 exp(-(x_i - x_j)^2 / (2 rho^2)) + sigma [i = j]
    rho ~ Gamma(25, rate 4),   alpha ~ Normal(0, 2) on (0, inf),   sigma ~ Normal(0, 1) on (0, inf)

sigma is a variance, as in the Stan program, which leaves the two half-normals without their factor 2.
"""

import jax.numpy as jnp
import numpyro
from numpyro import distributions as dist


def model(x, y, **unused):
    rho = numpyro.sample("rho", dist.Gamma(25.0, 4.0))
    alpha = numpyro.sample("alpha", dist.HalfNormal(2.0))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    distance = (x[:, None] - x) / rho
    covariance = alpha**2 * jnp.exp(-0.5 * distance**2) + sigma * jnp.eye(len(x))
    numpyro.sample("y", dist.MultivariateNormal(jnp.zeros(len(x)), covariance), obs=y)
