"""With encoder and decoder fixed, a prior p' gains over p on the rows that were encoded

    ELBO(p') - ELBO(p) = KL(q_agg to p) - KL(q_agg to p') <= KL(q_agg to p),

with equality for p' = q_agg. On other rows q_agg may lose.

The ELBOs are taut's, over draws; the divergences are integrals over one latent with SciPy's densities.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.special
import scipy.stats

from taut.bounds import ELBO
from taut.core import Datum, Pair, paired_difference
from taut.evidence import expected_bound
from taut.fitted.aggregated_posterior import aggregated_posterior
from taut.models import FixedPrior, LatentVariableModel, StandardNormal, make_likelihood

pytestmark = pytest.mark.usefixtures("float64")

SLOPE, SCALE = 1.7, 0.3
ROWS = np.asarray([-1.4, -1.1, -0.9, 0.2, 0.9, 1.0])
GRID, SPACING = np.linspace(-25, 25, 50_001, retstep=True)


class Guide(eqx.Module):
    """q(z | x) = N(1.7 x, 0.3^2)."""

    slope: Any

    def __call__(self, datum: Datum) -> Any:
        return dist.Normal(self.slope * datum.x, SCALE).to_event(1)


def decoder(z: Any) -> Any:
    return jnp.sin(z)


def pair_with(prior: Any) -> Pair:
    model = LatentVariableModel(
        prior, decoder, make_likelihood("bernoulli", shape=(1,), levels=2), (1,)
    )
    return Pair(model, Guide(jnp.asarray(SLOPE)))


def rows_at(x: np.ndarray) -> Datum:
    return Datum(x[:, None])


def gain(prior: Any, x: np.ndarray) -> Any:
    """Over the standard normal prior, from the same draws."""
    rows, key = rows_at(x), jax.random.key(1)
    old, new = (
        expected_bound(pair_with(p), rows, ELBO(), key=key, num_repeats=4000)
        for p in (StandardNormal(1), prior)
    )
    return paired_difference(new, old)


def log_aggregated(z: np.ndarray, x: np.ndarray = ROWS) -> np.ndarray:
    each = scipy.stats.norm.logpdf(z[:, None], SLOPE * x, SCALE)
    return np.asarray(scipy.special.logsumexp(each, axis=1)) - np.log(len(x))


def marginal_kl(log_p: np.ndarray) -> float:
    log_q = log_aggregated(GRID)
    return float(SPACING * np.sum(np.exp(log_q) * (log_q - log_p)))


OTHER = dist.Normal(jnp.asarray([-0.2]), jnp.asarray([1.9])).to_event(1)
TO_NORMAL = marginal_kl(scipy.stats.norm.logpdf(GRID))
TO_OTHER = marginal_kl(scipy.stats.norm.logpdf(GRID, -0.2, 1.9))


def aggregated() -> Any:
    return aggregated_posterior(pair_with(StandardNormal(1)), rows_at(ROWS))


def test_a_prior_gains_the_difference_of_the_divergences():
    found = gain(FixedPrior(OTHER), ROWS)
    assert abs(found.value - (TO_NORMAL - TO_OTHER)) < 5 * found.mc_error
    assert abs(found.value - TO_NORMAL) > 5 * found.mc_error  # what the best one would gain


def test_the_aggregated_posterior_gains_the_whole_divergence_and_nothing_gains_more():
    found = gain(aggregated().as_prior(), ROWS)
    assert abs(found.value - TO_NORMAL) < 5 * found.mc_error
    less = gain(FixedPrior(OTHER), ROWS)
    assert less.value + 5 * less.mc_error < found.value


def test_on_other_rows_it_may_lose():
    found = gain(aggregated().as_prior(), np.asarray([-0.4, 0.5]))
    assert found.value + 5 * found.mc_error < 0


def test_its_density_and_draws_are_those_of_the_mean_of_posteriors():
    q = aggregated()
    assert q.num_rows == len(ROWS)
    z = np.linspace(-4, 4, 150)
    np.testing.assert_allclose(q.log_density(z[:, None]), log_aggregated(z), rtol=1e-12)
    draws = np.asarray(q.sample(20_000, key=3))[:, 0]
    level = 2 * scipy.stats.norm.sf(5)

    def cdf(at: Any, x: np.ndarray = ROWS) -> Any:
        return scipy.stats.norm.cdf(np.asarray(at)[:, None], SLOPE * x, SCALE).mean(axis=1)

    assert scipy.stats.kstest(draws, cdf).pvalue > level
    assert scipy.stats.kstest(draws, lambda at: cdf(at, ROWS[:-1])).pvalue < level
