"""Moments of weighted draws, the defensive proposal, and the coverage of what comes out."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.stats import binom, gamma, multivariate_normal, multivariate_t
from targets import RATE_RATE, RATE_SHAPE, gamma_poisson

from taut.evidence import defensive_draws, smoothed_weights, weighted_moments
from taut.inference import Gaussian, GaussianAscent, LogDensity
from taut.models.program import LogJoint


def test_weights_stand_for_repeated_draws():
    values = np.array([[1.0], [2.0], [4.0]])
    weighted = weighted_moments(values, np.array([0.5, 0.25, 0.25]))
    repeated = weighted_moments(np.array([[1.0], [1.0], [2.0], [4.0]]))
    np.testing.assert_allclose(weighted.mean, repeated.mean)
    np.testing.assert_allclose(weighted.sd, repeated.sd)


def test_errors_of_weighted_moments_are_those_of_other_draws():
    """p = N(0, 1) from q = N(0, 1.5^2); the spread over replications is what the errors claim."""
    generator, claimed, found = np.random.default_rng(0), [], []
    for _ in range(400):
        z = 1.5 * generator.standard_normal((500, 1))
        log_w = -0.5 * z[:, 0] ** 2 * (1 - 1 / 1.5**2)
        weights = np.exp(log_w) / np.exp(log_w).sum()
        m = weighted_moments(z, weights, probabilities=(0.1,))
        found.append([m.mean[0], m.sd[0], m.quantiles[0, 0]])
        claimed.append([m.mean_error[0], m.sd_error[0], m.quantile_errors[0, 0]])
    spread, error = np.std(found, axis=0, ddof=1), np.mean(claimed, axis=0)
    # A standard deviation over 400 replications has a relative error of 1 / sqrt(800).
    assert np.all(np.abs(spread / error - 1) < 5 / np.sqrt(800) + 0.02)
    unweighted = 1.5 / np.sqrt(500)
    assert abs(spread[0] / unweighted - 1) > 5 / np.sqrt(800), "ignoring the weights is caught"


def test_the_defensive_density_is_the_mixture():
    generator = np.random.default_rng(0)
    mean = np.array([1.0, -2.0])
    cov: Any = np.array([[2.0, 0.6], [0.6, 0.5]])
    tril, q = np.linalg.cholesky(cov), multivariate_normal(mean, cov)
    drawn = defensive_draws(
        lambda n: q.rvs(n, random_state=generator),
        q.logpdf, mean, tril, count=50, generator=generator,
    )  # fmt: skip
    assert drawn.num_guide == 40
    mixture = 0.8 * q.pdf(drawn.z) + 0.2 * multivariate_t(mean, cov, df=5).pdf(drawn.z)
    np.testing.assert_allclose(drawn.log_r, np.log(mixture), rtol=1e-9)


def test_intervals_of_the_resampled_draws_cover_at_their_rate(float64):
    """Data from the prior: the 90 % interval holds the parameter in 90 % of the replications."""
    generator = np.random.default_rng(3)
    rates = gamma(RATE_SHAPE, scale=1 / RATE_RATE).rvs(300, random_state=generator)
    data = generator.poisson(rates[:, None], size=(300, 3)).clip(max=18) * 1.0
    model, datum = LogJoint.of(gamma_poisson, {"rate": "positive"}, {"y": jnp.asarray(data[0])})
    density, start = LogDensity(model, datum), Gaussian(np.zeros(1), 0.5 * np.eye(1))
    inside = narrow = 0
    for rate, y in zip(rates, data, strict=True):
        here = density.of(datum.__class__(x={"y": y}))
        ascent = GaussianAscent(here, 1)
        fit = ascent.maximise(start, ascent.draws(generator, 8), tolerance=0.01).guide
        drawn = defensive_draws(
            lambda n, a=ascent, g=fit: a.sample(g, generator, n),
            lambda z, a=ascent, g=fit: a.log_q(g, z),
            fit.mean, fit.tril, count=1000, generator=generator,
        )  # fmt: skip
        weights = smoothed_weights((here(drawn.z)[0] - drawn.log_r)[None])[0]
        low, middle, high = weighted_moments(np.exp(drawn.z), weights).quantiles[0]
        inside += low < rate < high
        narrow += middle + 0.7 * (low - middle) < rate < middle + 0.7 * (high - middle)
    assert 1e-4 < binom.cdf(inside, 300, 0.9) < 1 - 1e-4
    assert binom.cdf(narrow, 300, 0.9) < 1e-4, "intervals that are too narrow are caught"
