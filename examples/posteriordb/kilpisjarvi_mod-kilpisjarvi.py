"""Summer temperatures at Kilpisjärvi on the year, whose priors are part of the data.

    y_n ~ Normal(alpha + beta x_n, sigma)
    alpha ~ Normal(pmualpha, psalpha),   beta ~ Normal(pmubeta, psbeta),   p(sigma) = 1 on (0, inf)

The years are not centred: alpha and beta are correlated by all but one part in a thousand.
"""

import numpyro
from numpyro import distributions as dist
from numpyro.distributions import constraints


def model(x, y, pmualpha, psalpha, pmubeta, psbeta, **unused):
    alpha = numpyro.sample("alpha", dist.Normal(pmualpha, psalpha))
    beta = numpyro.sample("beta", dist.Normal(pmubeta, psbeta))
    sigma = numpyro.sample("sigma", dist.ImproperUniform(constraints.positive, (), ()))
    with numpyro.plate("years", len(y)):
        numpyro.sample("y", dist.Normal(alpha + beta * x, sigma), obs=y)
