"""Effects of coaching in eight schools, non-centred (Gelman et al. 2013, section 5.5).

    theta_trans_j ~ Normal(0, 1),   theta_j = mu + tau theta_trans_j,   y_j ~ Normal(theta_j, sigma_j)
    mu ~ Normal(0, 5),              tau ~ Cauchy(0, 5) on (0, inf)

Stan leaves the half-Cauchy without its factor 2: a constant that no moment depends on.
"""

import numpyro
from numpyro import distributions as dist


def model(y, sigma, **unused):
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    with numpyro.plate("schools", len(y)):
        theta_trans = numpyro.sample("theta_trans", dist.Normal(0.0, 1.0))
        theta = numpyro.deterministic("theta", mu + tau * theta_trans)
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)
