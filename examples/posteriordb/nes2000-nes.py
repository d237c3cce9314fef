"""Party identification in the US election study of 2000 (Gelman and Hill 2007, chapter 4).

    partyid7_n ~ Normal(x_n . beta, sigma),     p(beta, sigma) = 1 on R^9 x (0, inf)

where x holds 1, ideology, race, three indicators of age groups 2 to 4, education, gender and income.
"""

import jax.numpy as jnp
import numpyro
from numpyro import distributions as dist
from numpyro.distributions import constraints


def model(partyid7, real_ideo, race_adj, age_discrete, educ1, gender, income, **unused):
    beta = numpyro.sample("beta", dist.ImproperUniform(constraints.real, (), (9,)))
    sigma = numpyro.sample("sigma", dist.ImproperUniform(constraints.positive, (), ()))
    ages = [jnp.where(age_discrete == group, 1.0, 0.0) for group in (2, 3, 4)]
    own = [jnp.ones(len(partyid7)), real_ideo, race_adj, *ages, educ1, gender, income]
    with numpyro.plate("people", len(partyid7)):
        mean = jnp.stack(own, axis=1) @ beta
        numpyro.sample("partyid7", dist.Normal(mean, sigma), obs=partyid7)
