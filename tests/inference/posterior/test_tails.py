"""Posteriors under censored and truncated data that lie far out, against quadrature."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.integrate
import scipy.stats
from numpyro import sample

import taut
from taut.core import InputError

Y = np.array([0.1, -0.3, 0.2, 0.4, -0.1])


def right_censored(y: Any, limit: Any) -> None:
    m = sample("m", dist.Normal(0, 10))
    sample("y", dist.Normal(m, 1), obs=y)
    sample("late", dist.RightCensoredDistribution(dist.Normal(m, 1), True), obs=limit)


def in_a_plate(y: Any, limit: Any) -> None:
    m = sample("m", dist.Normal(0, 10))
    x, censored = jnp.append(y, limit), jnp.arange(6) == 5
    with numpyro.plate("rows", 6):
        sample("x", dist.RightCensoredDistribution(dist.Normal(m, 1), censored), obs=x)


def truncated(y: Any, limit: Any) -> None:
    m = sample("m", dist.Normal(0, 10))
    with numpyro.plate("rows", 5):
        sample("x", dist.TruncatedNormal(m, 1, low=limit), obs=limit + jnp.abs(y))


def _log_censored(m: float, limit: float) -> float:
    return scipy.stats.norm.logpdf(Y, m).sum() + scipy.stats.norm.logsf(limit, m)


def _log_truncated(m: float, limit: float) -> float:
    x = limit + np.abs(Y)
    return (scipy.stats.norm.logpdf(x, m) - scipy.stats.norm.logsf(limit, m)).sum()


@pytest.mark.parametrize(
    ("program", "log_likelihood"),
    [(right_censored, _log_censored), (in_a_plate, _log_censored), (truncated, _log_truncated)],
)
def test_a_limit_far_out_pulls_as_it_should(program: Callable, log_likelihood: Callable):
    limit = 12.0

    def joint(m: float) -> float:
        return np.exp(log_likelihood(m, limit) + scipy.stats.norm.logpdf(m, 0, 10) + 40)

    points = {"points": [0.0, 2.0, 5.0, 12.0], "epsabs": 0.0, "limit": 200}
    mass = scipy.integrate.quad(joint, -60, 60, **points)[0]
    mean = scipy.integrate.quad(lambda m: m * joint(m), -60, 60, **points)[0] / mass
    found = taut.infer(program, data={"y": Y, "limit": limit})
    evidence = found.estimates["log_evidence"]
    assert abs(evidence.value - (np.log(mass) - 40)) < 5 * evidence.mc_error + 1e-3
    m = found.draws(4000)["m"]
    # A fifth of the posterior's deviation would be 12 standard errors of this many draws.
    assert abs(np.mean(m) - mean) < 0.2 * np.std(m)


def test_a_censored_distribution_whose_tails_are_unknown_is_refused():
    def program(y: Any) -> None:
        a = sample("a", dist.LogNormal(0, 1))
        sample("y", dist.RightCensoredDistribution(dist.Kumaraswamy(a, 2.0), True), obs=y)

    with pytest.raises(InputError, match=(
        r"RightCensoredDistribution: expected a distribution whose tail probabilities hold far out, "
        r"such as Normal, StudentT, Gamma or Weibull, got Kumaraswamy. Try "
        r"numpyro.factor with the log of its tail probability."
    )):  # fmt: skip
        taut.infer(program, data={"y": np.array([0.2, 0.3])})
