"""Moments of weighted draws, the defensive proposal, and the coverage of what comes out."""

from typing import Any

import numpy as np
from scipy.stats import multivariate_normal, multivariate_t

from taut.evidence import defensive_draws, square_tails, weighted_moments


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


def test_a_coordinate_that_moves_by_rounding_alone_does_not_move():
    """The first cell of a correlation's factor is one, its row a square root of one."""
    generator = np.random.default_rng(0)
    one = 1.0 + np.spacing(1.0) * generator.integers(-3, 4, 500)
    values = np.stack([one, generator.normal(size=500)], axis=1)
    w = generator.dirichlet(np.ones(500))
    for moments in (weighted_moments(values, w), weighted_moments(values, runs=10)):
        assert moments.sd[0] == moments.sd_error[0] == moments.mean_error[0] == 0.0
        assert moments.sd[1] > 0.9
    tails = square_tails(values, w)
    assert tails.share[0] == 0.0
    assert tails.share[1] > 0.0
    small = weighted_moments(1e8 + 1e-3 * values[:, 1:])
    np.testing.assert_allclose(small.sd, 1e-3 * weighted_moments(values[:, 1:]).sd, rtol=1e-3)
