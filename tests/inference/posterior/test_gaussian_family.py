"""Gaussian guides fitted to Gaussian targets, whose optimum and gap are known."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from targets import correlated

from taut.core import AbstractModel, Datum, RunError, as_proposal
from taut.guides import LowRankGaussian
from taut.inference.posterior import (
    Gaussian,
    GaussianFamily,
    LogDensity,
    laplace,
    multi_start,
    sample_average_approximation,
)
from taut.inference.posterior.sample_average import _replicates
from taut.inference.posterior.spherical_radial import spherical_radial

DIM = 6


class Quadratic(AbstractModel):
    """log p(x, z) = -(z - x)^T P (z - x) / 2."""

    precision: np.ndarray

    def terms(self, datum, z):
        return {"log_likelihood": -0.5 * (z - datum.x) @ self.precision @ (z - datum.x)}


class Formula(AbstractModel):
    """log p(x, z) given by a function of z."""

    function: Callable

    def terms(self, datum, z):
        return {"log_likelihood": self.function(z) + 0.0 * datum.x}


CENTRE = np.arange(DIM) * 1.0
PRECISION = correlated(DIM, 0.99)
START = Gaussian(np.full(DIM, -1.0), 0.1 * np.eye(DIM))


@pytest.fixture
def target(float64):
    return LogDensity(Quadratic(PRECISION), Datum(CENTRE))


def test_draws_are_standard_normal_and_their_second_moment_is_isotropic():
    generator = np.random.default_rng(0)
    sets = [spherical_radial(generator, 4, 3) for _ in range(2000)]
    gram = np.mean([e.T @ e / len(e) for e in sets[:20]], axis=0)
    assert all(np.abs(e.sum(axis=0)).max() < 1e-12 for e in sets[:20])
    np.testing.assert_allclose(gram, gram[0, 0] * np.eye(3), atol=1e-12)
    fourth = np.array([np.mean(e[:, 0] ** 4) for e in sets])
    error = fourth.std(ddof=1) / np.sqrt(len(fourth))
    assert abs(fourth.mean() - 3) < 5 * error
    assert abs(fourth.mean() - 3 * 3 / 5) > 5 * error  # on a sphere of radius sqrt(d)


def test_curvature_is_in_units_of_the_guide(target):
    family, guide = (
        GaussianFamily(target, DIM),
        Gaussian(CENTRE + 1.0, np.diag(np.arange(1.0, 7.0))),
    )
    draws = family.draws(np.random.default_rng(1), 1)
    expected = np.linalg.eigvalsh(guide.tril.T @ PRECISION @ guide.tril)
    assert abs(np.mean(draws**2) - 1) > 0.01
    found = family.curvature(guide, draws)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9 * expected.max())


@pytest.mark.parametrize("diagonal", [False, True])
def test_the_optimum_on_a_gaussian_is_known(target, diagonal):
    """Full-rank: the posterior. Mean-field: its mean, and the inverse diagonal of its precision."""
    family = GaussianFamily(target, DIM, diagonal=diagonal)
    draws = family.draws(np.random.default_rng(0), 2)
    found = family.maximise(START, draws, tolerance=1e-12)  # |eigenvalue - 1| < 2e-6
    assert found.converged
    # The balanced draws have second moment c I instead of I, which scales the optimum by 1 / c.
    c = np.mean(draws[:, 0] ** 2)
    inverse = np.diag(1 / np.diagonal(PRECISION)) if diagonal else np.linalg.inv(PRECISION)
    scale = np.sqrt(np.diagonal(inverse))
    covariance = c * found.point.tril @ found.point.tril.T
    np.testing.assert_allclose(covariance / scale / scale[:, None], inverse / scale / scale[:, None],
                               atol=1e-5)  # fmt: skip
    np.testing.assert_allclose((found.point.mean - CENTRE) / scale, 0, atol=1e-5)


def test_the_gap_bounds_what_is_left_and_a_gap_without_maximising_does_not(target):
    """Left from a shifted guide: KL = |shift|^2 / 2 in the posterior's own units."""
    exact = np.linalg.cholesky(np.linalg.inv(PRECISION))
    shifted = Gaussian(CENTRE + exact @ np.full(DIM, 0.3), exact)
    left = 0.5 * DIM * 0.3**2
    family, generator = GaussianFamily(target, DIM), np.random.default_rng(1)
    inner = family.maximise(START, family.draws(generator, 2), tolerance=1e-9)
    inner = inner._replace(point=shifted)
    gains = np.concatenate(
        [_replicates(family, inner, generator, 2, tolerance=1e-9)[1] for _ in range(20)]
    )
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    assert gains.min() >= 0
    assert gains.mean() > left - 5 * error
    planted = gains.mean() - left
    assert planted < left / 2, "the bound says something: it is not far above what is left"


def test_the_stopping_rule_is_honoured(target):
    family = GaussianFamily(target, DIM)
    found = sample_average_approximation(
        family, START, np.random.default_rng(2), precision_nats=0.01
    )
    assert found.converged
    _, log_det = np.linalg.slogdet(PRECISION)
    best = 0.5 * DIM * np.log(2 * np.pi) - 0.5 * log_det
    inner = PRECISION @ found.guide.tril @ found.guide.tril.T
    shift = found.guide.mean - CENTRE
    kl = 0.5 * (np.trace(inner) - DIM - np.linalg.slogdet(inner)[1] + shift @ PRECISION @ shift)
    assert 0 <= kl < 0.01
    assert abs(found.elbo.value - (best - kl)) < 5 * found.elbo.mc_error + 1e-9
    assert found.remaining.side == "upper"


def test_laplace_is_exact_on_a_gaussian(target):
    found = laplace(target, np.zeros(DIM), tolerance=1e-14)
    scale = np.sqrt(np.diagonal(np.linalg.inv(PRECISION)))
    assert found.converged
    assert found.num_negative == 0
    np.testing.assert_allclose(found.guide.mean / scale, CENTRE / scale, atol=1e-6)
    covariance = found.guide.tril @ found.guide.tril.T
    np.testing.assert_allclose(
        covariance / scale / scale[:, None],
        np.linalg.inv(PRECISION) / scale / scale[:, None],
        atol=1e-5,
    )


def test_laplace_says_where_there_is_no_mode(float64):
    saddle = LogDensity(Formula(lambda z: 0.5 * z[0] ** 2 - 0.5 * z[1] ** 2), Datum(0.0))
    found = laplace(saddle, np.zeros(2), max_steps=5)
    assert found.num_negative == 1


@pytest.mark.parametrize(
    "function",
    [
        lambda z: -0.5 * z[0] ** 2,
        lambda z: -0.5 * z[0] ** 2 + z[1] ** 2,
        lambda z: -0.5 * z[0] ** 2 + 0.0 * jnp.exp(z[1]),
    ],
    ids=["flat", "rising", "flat as far as numbers reach"],
)
def test_an_improper_posterior_is_said_to_be_one(function, float64):
    family = GaussianFamily(LogDensity(Formula(function), Datum(0.0)), 2)

    def start(attempt):
        return Gaussian(np.ones(2), 0.1 * np.eye(2))

    message = (
        r"^improper posterior: expected a proper posterior.* coordinate 1 of z .* from 3 starts\. "
        r"Try a proper prior"
    )
    with pytest.raises(RunError, match=message):
        multi_start(family, start, np.random.default_rng(0), num_starts=1, precision_nats=0.1)


@pytest.mark.parametrize(("height", "above"), [(-40.0, False), (40.0, True)])
def test_a_start_that_widens_without_end_is_dropped_and_counted(height, above, float64):
    """The first start stands on a plain without end, the others on the bump in its middle."""

    def density(z):
        return jnp.where(jnp.abs(z[0]) < 8.0, -0.5 * z[0] ** 2, height - 32.0) - 0.5 * z[1] ** 2

    family = GaussianFamily(LogDensity(Formula(density), Datum(0.0)), 2)

    def start(attempt):
        return Gaussian(np.array([0.5 if attempt else -1e6, 0.0]), 0.1 * np.eye(2))

    found = multi_start(family, start, np.random.default_rng(0), num_starts=3, precision_nats=0.1)
    assert len(found.starts) == 3
    assert len(found.endless) == 1
    assert (found.endless[0] > 0) == above
    np.testing.assert_allclose(found.guide.mean, 0, atol=0.1)


def test_failed_starts_are_drawn_again_and_none_at_all_is_an_error(float64):
    model = Formula(lambda z: jnp.where(z[0] > 0, -0.5 * jnp.sum(z**2), jnp.nan))
    density = LogDensity(Formula(lambda z: -0.5 * jnp.sum(z**2)), Datum(0.0))
    broken = LogDensity(model, Datum(0.0))
    generator = np.random.default_rng(0)

    def start(attempt):
        return Gaussian(np.full(2, -3.0), 0.1 * np.eye(2))

    found = multi_start(
        GaussianFamily(density, 2), start, generator, num_starts=2, precision_nats=0.1
    )
    assert len(found.starts) == 2
    assert found.starts[found.winner].behind.value == 0
    with pytest.raises(
        RunError, match=r"^starts: expected a starting point with a finite ELBO, got none"
    ):
        multi_start(GaussianFamily(broken, 2), start, generator, num_starts=2, precision_nats=0.1)


def test_the_guide_has_the_density_of_its_gaussian(target):
    family = GaussianFamily(target, DIM)
    tril = np.linalg.cholesky(np.linalg.inv(PRECISION))
    guide = Gaussian(CENTRE, tril)
    z = family.sample(guide, np.random.default_rng(0), 3)
    q = as_proposal(family.guide(guide)(Datum(CENTRE)))
    for one, expected in zip(z, family.log_q(guide, z), strict=True):
        np.testing.assert_allclose(-q.terms(one)["-log_q"], expected, rtol=1e-8)


def test_low_rank_covariance(float64):
    family = LowRankGaussian(3, 2)
    features = np.random.default_rng(0).normal(size=family.num_features)
    scale, factor = np.exp(features[3:6]), features[6:].reshape(3, 2)
    expected = scale[:, None] * (np.eye(3) + factor @ factor.T) * scale
    member: Any = family(jnp.asarray(features))
    np.testing.assert_allclose(member.covariance_matrix, expected)
