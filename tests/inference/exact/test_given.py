"""Missing cells given the observed ones: closed forms by another route, and draws with those moments."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from exact_fits import KINDS
from test_missing_cells import conditional, generic_mixture, with_holes

import taut
from taut.core import Datum, InputError
from taut.fitted.imputing import impute
from taut.models import FactorAnalysis, LatentClass

DRAWS = 4000


def imputed(model: Any, x: np.ndarray, draws: int = 0) -> Any:
    rows = Datum(jnp.asarray(x), jnp.asarray(~np.isnan(x)))
    return impute(model, rows, key=jax.random.key(1), num_draws=draws)


def check_draws(found: Any, mean: np.ndarray, covariance: np.ndarray) -> None:
    """Means and covariances of the draws of the first row, to five standard errors."""
    draws = found.draws[:, 0]
    deviations = np.sqrt(np.diag(covariance))
    error = 5 * deviations / np.sqrt(DRAWS)
    assert (np.abs(draws.mean(axis=0) - mean) <= error).all()
    centred = draws - mean
    products = centred[:, :, None] * centred[:, None, :]
    error = 5 * products.std(axis=0) / np.sqrt(DRAWS)
    assert (np.abs(products.mean(axis=0) - covariance) <= error + 1e-12).all()


@pytest.mark.parametrize("kind", KINDS)
def test_cells_of_a_mixture(clusters, kind, float64):
    x, model = with_holes(clusters[::9], 0.5), generic_mixture(kind)
    x[0] = [21.0, np.nan, np.nan]
    x[1] = np.nan
    found = imputed(model, x, DRAWS if kind in ("full", "diag") else 0)
    covariances, moments = np.asarray(model.covariances), []
    for row in x:
        parts = [
            conditional(np.asarray(m), c, row)
            for m, c in zip(model.means, covariances, strict=True)
        ]
        filled, spread, log_p = (np.asarray(part) for part in zip(*parts, strict=True))
        r = scipy.special.softmax(log_p + np.asarray(model.log_pi))
        mean = r @ filled
        apart = filled - mean
        moments.append(
            (mean, np.einsum("k,kij->ij", r, spread) + np.einsum("k,ki,kj->ij", r, apart, apart))
        )
    means, spreads = (np.asarray(part) for part in zip(*moments, strict=True))
    np.testing.assert_allclose(found.mean, means, rtol=1e-9)
    variances = np.einsum("nii->ni", spreads)
    np.testing.assert_allclose(found.deviation, np.sqrt(variances), rtol=1e-8, atol=1e-9)
    if len(found.draws):
        check_draws(found, means[0], spreads[0])
        seen = ~np.isnan(x)
        assert (found.draws[:, seen] == x[seen]).all()


def test_cells_of_factors(factors, float64):
    x = with_holes(factors[:10], 0.4)
    x[0, :4], x[0, 4:] = np.nan, 5.0
    w = jnp.asarray(np.random.default_rng(4).normal(size=(6, 2)))
    model = FactorAnalysis(
        center=jnp.arange(6.0), loadings=w, log_variances=jnp.linspace(-1.0, 1.0, 6)
    )
    found, covariance = imputed(model, x, DRAWS), np.asarray(model.marginal_covariance)
    parts = [conditional(np.arange(6.0), covariance, row)[:2] for row in x]
    means, spreads = (np.asarray(part) for part in zip(*parts, strict=True))
    np.testing.assert_allclose(found.mean, means, rtol=1e-9)
    np.testing.assert_allclose(
        found.deviation, np.sqrt(np.einsum("nii->ni", spreads)), rtol=1e-8, atol=1e-9
    )
    check_draws(found, means[0], spreads[0])


def test_answers_of_classes(float64):
    """Bayes' rule over the two classes; the mode is one of the values, the mean need not be."""
    theta = jnp.asarray([[[0.7, 0.2, 0.1], [0.5, 0.5, 0.0]], [[0.1, 0.3, 0.6], [0.1, 0.9, 0.0]]])
    model = LatentClass(jnp.zeros(2), jnp.log(theta), (2,), codes=((0, 3, 7), (0, 1)))
    found = imputed(model, np.array([[np.nan, 1.0], [7.0, np.nan]]), DRAWS)
    p = (0.5 * np.asarray(theta[0, 0]) + 0.9 * np.asarray(theta[1, 0])) / 1.4
    values = np.array([0.0, 3.0, 7.0])
    np.testing.assert_allclose(found.mean[0], [p @ values, 1.0])
    np.testing.assert_allclose(found.mode, [[7.0, 1.0], [7.0, 1.0]])
    np.testing.assert_allclose(found.deviation[0, 0], np.sqrt(p @ values**2 - (p @ values) ** 2))
    shares = (found.draws[:, 0, :1] == values).mean(axis=0)
    assert (np.abs(shares - p) < 5 * np.sqrt(p * (1 - p) / DRAWS)).all()


def test_a_fit_imputes_rows(clusters):
    x = with_holes(clusters)
    fit = taut.em((x, x, x), model=taut.GMM(2, covariance="tied"), restarts=1)
    found = fit.impute(x, draws=2)
    assert found.draws.shape == (2, *x.shape)
    assert np.isfinite(found.draws).all()
    missing = np.isnan(x)
    error = np.sqrt(np.mean((found.mean - clusters)[missing] ** 2))
    column_means = np.broadcast_to(np.nanmean(x, axis=0), x.shape)
    assert error < np.sqrt(np.mean((column_means - clusters)[missing] ** 2))
    assert (found.deviation[~missing] == 0).all()
    assert (found.deviation[missing] > 0).all()
    with pytest.raises(InputError, match="draws: expected a number of draws of at least 0"):
        fit.impute(x, draws=-1)


def test_rows_given_a_cell_have_its_conditional(clusters, float64):
    fitted = taut.em(clusters, model="gmm", components=2)
    drawn = np.asarray(fitted.sample(DRAWS, given={"x1": 1.0}))
    row = np.array([np.nan, 1.0, np.nan])
    parts = [
        conditional(np.asarray(m), np.asarray(c), row)
        for m, c in zip(fitted.model.means, fitted.model.covariances, strict=True)
    ]
    filled, _, log_p = (np.asarray(part) for part in zip(*parts, strict=True))
    mean = scipy.special.softmax(log_p + np.asarray(fitted.model.log_pi)) @ filled
    assert (drawn[:, 1] == 1.0).all()
    assert (
        np.abs(drawn.mean(axis=0) - mean) <= 5 * drawn.std(axis=0) / np.sqrt(DRAWS) + 1e-12
    ).all()
    np.testing.assert_array_equal(drawn[:3], fitted.sample(3, given={"x1": 1.0}))


@pytest.mark.parametrize("masked", [True, False])
def test_rows_without_holes_come_back(clusters, masked, float64):
    """And the draws of the others go by their numbers, whatever whole rows stand between them."""
    model, x = generic_mixture("full"), clusters[:6].copy()
    rows = Datum(jnp.asarray(x), jnp.ones(x.shape, bool) if masked else None)
    found = impute(model, rows, key=jax.random.key(1), num_draws=2)
    for got, wanted in zip(found, (x, x, 0 * x, np.stack([x, x])), strict=True):
        np.testing.assert_array_equal(got, wanted)
    some = x.copy()
    some[[1, 4], 2] = np.nan
    alone = impute(
        model,
        Datum(some[[4]], ~np.isnan(some[[4]]), None, np.array([4], np.int32)),
        key=jax.random.key(1),
        num_draws=2,
    )
    together = imputed(model, some, 2)
    np.testing.assert_array_equal(together.draws[:, [4]], alone.draws)
    np.testing.assert_array_equal(
        together.draws[:, [0, 2, 3, 5]], np.stack([x, x])[:, [0, 2, 3, 5]]
    )
