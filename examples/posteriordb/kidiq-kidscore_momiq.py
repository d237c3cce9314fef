"""Test scores of children on their mothers' IQ (Gelman and Hill 2007, chapter 3).

    kid_score_n ~ Normal(beta_1 + beta_2 iq_n, sigma)
    p(beta) = 1 on R^2,     sigma ~ Cauchy(0, 2.5) on (0, inf)

Stan leaves the half-Cauchy without its factor 2: a constant that no moment depends on.
"""

import numpyro
from numpyro import distributions as dist
from numpyro.distributions import constraints


def model(kid_score, mom_iq, **unused):
    beta = numpyro.sample("beta", dist.ImproperUniform(constraints.real, (), (2,)))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
    with numpyro.plate("rows", len(kid_score)):
        mean = beta[0] + beta[1] * mom_iq
        numpyro.sample("kid_score", dist.Normal(mean, sigma), obs=kid_score)
