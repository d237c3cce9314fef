"""Leaf weight of mesquite bushes on the logs of volume, area, shape and height, and on the group.

    log weight_n ~ Normal(beta_1 + beta_2 log(d1 d2 h)_n + beta_3 log(d1 d2)_n + beta_4 log(d1 / d2)_n
                          + beta_5 log(total height)_n + beta_6 group_n, sigma)

with h the height of the canopy and a flat prior on R^6 x (0, inf) (Gelman and Hill 2007, chapter 4).
"""

import jax.numpy as jnp
import numpyro
from numpyro import distributions as dist
from numpyro.distributions import constraints


def model(weight, diam1, diam2, canopy_height, total_height, group, **unused):
    beta = numpyro.sample("beta", dist.ImproperUniform(constraints.real, (), (6,)))
    sigma = numpyro.sample("sigma", dist.ImproperUniform(constraints.positive, (), ()))
    area = diam1 * diam2
    logs = [jnp.log(column) for column in (area * canopy_height, area, diam1 / diam2, total_height)]
    columns = jnp.stack([jnp.ones_like(logs[0]), *logs, group], axis=1)
    with numpyro.plate("bushes", len(weight)):
        numpyro.sample("log_weight", dist.Normal(columns @ beta, sigma), obs=jnp.log(weight))
