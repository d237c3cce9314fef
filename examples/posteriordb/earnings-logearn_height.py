"""Log earnings on height, by least squares with a flat prior (Gelman and Hill 2007, chapter 4).

    log earn_n ~ Normal(beta_1 + beta_2 height_n, sigma),     p(beta, sigma) = 1 on R^2 x (0, inf)

The prior has no mass of its own; the posterior is proper.
"""

import jax.numpy as jnp
import numpyro
from numpyro import distributions as dist
from numpyro.distributions import constraints


def model(earn, height, **unused):
    beta = numpyro.sample("beta", dist.ImproperUniform(constraints.real, (), (2,)))
    sigma = numpyro.sample("sigma", dist.ImproperUniform(constraints.positive, (), ()))
    with numpyro.plate("rows", len(earn)):
        mean = beta[0] + beta[1] * height
        numpyro.sample("log_earn", dist.Normal(mean, sigma), obs=jnp.log(earn))
