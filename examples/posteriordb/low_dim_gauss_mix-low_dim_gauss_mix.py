"""A mixture of two Gaussians with ordered means, its labels summed out.

    y_n ~ theta Normal(mu_1, sigma_1) + (1 - theta) Normal(mu_2, sigma_2)
    mu_k ~ Normal(0, 2) on mu_1 < mu_2,   sigma_k ~ Normal(0, 2) on (0, inf),   theta ~ Beta(5, 5)

Stan leaves the ordered and the half-normals without their factors 2.
"""

import jax.numpy as jnp
import numpyro
from numpyro import distributions as dist
from numpyro.distributions import constraints


def model(y, **unused):
    mu = numpyro.sample("mu", dist.ImproperUniform(constraints.ordered_vector, (), (2,)))
    numpyro.factor("mu_prior", dist.Normal(0.0, 2.0).log_prob(mu).sum())
    sigma = numpyro.sample("sigma", dist.HalfNormal(2.0).expand([2]).to_event(1))
    theta = numpyro.sample("theta", dist.Beta(5.0, 5.0))
    share = dist.Categorical(probs=jnp.stack([theta, 1.0 - theta]))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.MixtureSameFamily(share, dist.Normal(mu, sigma)), obs=y)
