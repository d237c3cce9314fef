"""Bayesian linear regression.

    y_n ~ Normal(x_n . beta, sigma),     beta_d ~ Normal(0, 10),     sigma ~ Normal(0, 10) on (0, inf)

Stan leaves the half-normal without its factor 2: a constant that no moment depends on.
"""

import numpyro
from numpyro import distributions as dist


def model(X, y, **unused):
    beta = numpyro.sample("beta", dist.Normal(0.0, 10.0).expand([X.shape[1]]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(10.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(X @ beta, sigma), obs=y)
