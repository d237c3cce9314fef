"""Rows with missing cells: expected statistics, evidence and maxima are those of the observed cells.

The expected statistics are compared with conditional Gaussians written out in NumPy, row by row; maxima
with closed forms and with EM that never saw the missing cells' columns.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from exact_fits import KINDS, mixture

import taut
from taut.core import Datum, InputError
from taut.guides import ExactPair
from taut.inference.exact import (
    Floor,
    RowBlocks,
    expectation_step,
    log_evidences,
    online_em,
    random_start,
    row_blocks,
    run_em,
    run_online_em,
)
from taut.models import FactorAnalysis, GaussianMixture, LatentClass, ProbabilisticPCA
from taut.models.exact import holes_of


def with_holes(x: np.ndarray, share: float = 0.3, seed: int = 1) -> np.ndarray:
    """The rows with cells missing completely at random."""
    return np.where(np.random.default_rng(seed).random(x.shape) < share, np.nan, x)


def generic_mixture(kind: str, *, far: bool = False) -> GaussianMixture:
    """Two correlated components of three columns; far apart, products of features lose their digits."""
    generator = np.random.default_rng(2)
    factor = np.tril(generator.normal(size=(2, 3, 3))) + 2 * np.eye(3)
    scale = {
        "full": factor,
        "tied": factor[0],
        "diag": factor[:, 0] + 3,
        "spherical": np.array([1.5, 2.0]),
    }
    means = np.array([[20.0, -5.0, 3.0], [22.0, -4.0, 1.0]]) + far * np.array([[1e6], [0.0]])
    return GaussianMixture(
        jnp.asarray([0.3, -0.2]), jnp.asarray(means), jnp.asarray(scale[kind]), kind
    )


def conditional(
    mean: np.ndarray, covariance: np.ndarray, row: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """E[x | x_o], Cov(x | x_o) and log p(x_o) of a Gaussian."""
    o, m = np.flatnonzero(~np.isnan(row)), np.flatnonzero(np.isnan(row))
    slopes = covariance[np.ix_(m, o)] @ np.linalg.inv(covariance[np.ix_(o, o)])
    filled, spread = row.copy(), np.zeros_like(covariance)
    filled[m] = mean[m] + slopes @ (row[o] - mean[o])
    spread[np.ix_(m, m)] = covariance[np.ix_(m, m)] - slopes @ covariance[np.ix_(o, m)]
    log_p, normal = 0.0, scipy.stats.multivariate_normal
    if len(o):
        known: Any = covariance[np.ix_(o, o)]
        log_p = normal.logpdf(row[o], mean[o], known)
    return filled, spread, float(log_p)


def log_sum(log_joint: np.ndarray) -> np.ndarray:
    """log p(x_n), (N,)."""
    return np.logaddexp.reduce(log_joint, axis=1)


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_expected_moments_of_a_mixture(clusters, kind, far, float64):
    x = with_holes(clusters[::5])
    x[0] = np.nan  # a row that tells nothing
    model, size = generic_mixture(kind, far=far), x.shape[1]
    rows = RowBlocks(x, holes=True)
    got = expectation_step(model, rows).statistics
    covariances, reference = np.asarray(model.covariances), np.asarray(model._reference())
    reference = np.broadcast_to(reference, model.means.shape)
    log_joint, parts = np.zeros((len(x), 2)), {}
    for n, row in enumerate(x):
        for k in range(2):
            *parts[n, k], log_p = conditional(np.asarray(model.means[k]), covariances[k], row)
            log_joint[n, k] = log_p + float(model.log_pi[k])
    r = scipy.special.softmax(log_joint, axis=1)
    first, second = np.zeros((2, size)), np.zeros((2, size, size))
    for (n, k), (filled, spread) in parts.items():
        d = filled - reference[k]
        first[k] += r[n, k] * d
        second[k] += r[n, k] * (np.outer(d, d) + spread)
    wanted = {
        "full": second, "tied": second.sum(0), "diag": np.einsum("kii->ki", second),
        "spherical": np.einsum("kii->k", second),
    }[kind]  # fmt: skip
    evidence = log_sum(log_joint)
    assert bool(model._cancels()) is far
    np.testing.assert_allclose(got.total, r.sum(0), rtol=1e-9)
    np.testing.assert_allclose(got.first, first, rtol=1e-9, atol=1e-9 * np.abs(first).max())
    np.testing.assert_allclose(got.second, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())
    np.testing.assert_allclose(got.log_evidence, evidence.sum(), rtol=1e-9)
    np.testing.assert_allclose(log_evidences(model, rows), evidence, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cls", [ProbabilisticPCA, FactorAnalysis])
def test_expected_moments_of_factors(factors, cls: Any, float64):
    x = with_holes(factors[:12])
    x[3] = np.nan
    loadings = jnp.asarray(np.random.default_rng(4).normal(size=(6, 2)))
    noise: dict[str, Any] = {"log_variance": jnp.asarray(0.2)}
    if cls is FactorAnalysis:
        noise = {"log_variances": jnp.linspace(-1.0, 1.0, 6)}
    model = cls(center=jnp.arange(6.0), loadings=loadings, **noise)
    got = expectation_step(model, RowBlocks(x, holes=True)).statistics
    mean, covariance = np.arange(6.0), np.asarray(model.marginal_covariance)
    first, second, evidence = np.zeros(6), np.zeros((6, 6)), 0.0
    for row in x:
        filled, spread, log_p = conditional(mean, covariance, row)
        first += filled - mean
        second += np.outer(filled - mean, filled - mean) + spread
        evidence += log_p
    np.testing.assert_allclose(got.first, first, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(got.second, second, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(model.log_evidence_of(got), evidence, rtol=1e-10)


def test_classes_of_answers_that_are_missing(answers, float64):
    x = with_holes(answers[:20])
    theta = jax.nn.log_softmax(jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 2))))
    model = LatentClass(jnp.asarray([0.5, 0.0]), theta, (4,))
    got = expectation_step(model, RowBlocks(x, holes=True)).statistics
    seen = ~np.isnan(x)
    picked = np.take_along_axis(
        np.asarray(theta)[None], np.where(seen, x, 0).astype(int)[:, None, :, None], axis=3
    )[..., 0]
    log_joint = np.where(seen[:, None], picked, 0.0).sum(2) + np.asarray(model.log_pi)
    r = scipy.special.softmax(log_joint, axis=1)
    ones = r.T @ np.where(seen, x, 0.0)
    np.testing.assert_allclose(got.cells[..., 1], ones, rtol=1e-12)
    np.testing.assert_allclose(got.cells[..., 0], r.T @ seen - ones, rtol=1e-12)
    np.testing.assert_allclose(got.log_evidence, log_sum(log_joint).sum())
    moved = model.maximized(got, jnp.asarray(1.0))
    np.testing.assert_allclose(
        np.exp(moved.log_theta[..., 1]), (ones + 1) / (r.T @ seen + 2), rtol=1e-12
    )


def test_two_columns_of_which_one_has_holes_in_closed_form(float64):
    """Anderson (1957): regression on the rows that are whole, moments of the first column on all."""
    generator = np.random.default_rng(8)
    u = 3 + generator.normal(size=90)
    v = 1 - 0.8 * u + 0.5 * generator.normal(size=90)
    whole = u < 3.2  # missing at random, given the other column
    x = np.column_stack([u, np.where(whole, v, np.nan)])
    a, b = u[whole], v[whole]
    slope = np.cov(a, b, bias=True)[0, 1] / a.var()
    left = np.mean((b - b.mean() - slope * (a - a.mean())) ** 2)
    means = [u.mean(), b.mean() + slope * (u.mean() - a.mean())]
    covariance = [[u.var(), slope * u.var()], [slope * u.var(), left + slope**2 * u.var()]]
    start = GaussianMixture(jnp.zeros(1), jnp.zeros((1, 2)), jnp.eye(2)[None], "full")
    rows = RowBlocks(x, holes=True)
    floor = Floor(0.0).of(start, rows)
    model: Any = run_em(start, rows, floor, tolerance=1e-15, max_iterations=2000).model
    np.testing.assert_allclose(model.means[0], means, rtol=1e-6)
    np.testing.assert_allclose(model.covariances[0], covariance, rtol=1e-6)


def test_groups_of_rows_add_up_to_all_rows(clusters, monkeypatch, float64):
    x = with_holes(clusters)
    model, together = generic_mixture("full"), RowBlocks(x, holes=True)
    monkeypatch.setattr(row_blocks, "_WORTH_A_PROGRAM", 1)
    apart = RowBlocks(x, holes=True)
    blocks = list(apart.blocks(model))
    assert len(blocks) > 2
    assert blocks[0].mask is None  # rows without a hole go the way of data without holes
    weights = sum(float(jnp.sum(block.weight)) for block in blocks)
    assert weights == len(x)
    got, wanted = (expectation_step(model, rows).statistics for rows in (apart, together))
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)


def test_rows_without_holes_go_the_same_way(clusters, float64):
    model = generic_mixture("full")
    got, wanted = (
        expectation_step(model, RowBlocks(clusters, holes=holes)).statistics
        for holes in (True, False)
    )
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_mask_of_none_is_the_evidence_of_whole_rows(clusters, float64):
    """The same sums by the way of rows with holes, with no hole in them."""
    model, x = generic_mixture("full"), jnp.asarray(clusters)
    weight = jnp.ones(len(x))
    expected = eqx.filter_jit(lambda x, holes=None: model.expected(x, weight, holes))
    holes = holes_of(jnp.ones(x.shape, bool), 2)
    for got, wanted in zip(expected(x, holes), expected(x), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("name", ["full", "fa", "lca"])
def test_a_column_without_a_value_changes_nothing(clusters, name, float64):
    x = with_holes(clusters, 0.2)
    x = np.where(np.isnan(x), np.nan, x > x[0]) if name == "lca" else x
    more = np.column_stack([x, np.full(len(x), np.nan)])
    found = []
    for columns in (x, more):
        size, rows = columns.shape[1], RowBlocks(columns, holes=True)
        model: Any = {
            "full": lambda d: mixture(np.zeros((2, d)), "full"),
            "fa": lambda d: FactorAnalysis(
                center=jnp.zeros(d), loadings=jnp.eye(d)[:, :1], log_variances=jnp.zeros(d)
            ),
            "lca": lambda d: LatentClass(jnp.zeros(2), jnp.zeros((2, d, 2)), (d,)),
        }[name](size)
        start = random_start(model, rows, rows.spread(), seed=3)
        if name == "fa":  # whose random loadings are drawn for all columns at once
            w = jnp.zeros((size, 1)).at[:3, 0].set(jnp.asarray([1.0, -0.5, 0.3]))
            start = eqx.tree_at(lambda m: m.loadings, start, w)
        floor = Floor(1.0 if name == "lca" else 1e-6).of(start, rows)
        result = run_em(start, rows, floor, tolerance=0.0, max_iterations=20)
        found.append(log_evidences(result.model, rows))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-7)


def test_starts_find_clusters_through_holes(float64):
    generator = np.random.default_rng(0)
    centers = np.array([[0.0, 0.0, 0.0], [8.0, 8.0, 8.0]])
    owner = np.repeat([0, 1], 45)
    rows = RowBlocks(with_holes(centers[owner] + generator.normal(size=(90, 3))), holes=True)
    start = random_start(mixture(np.zeros((2, 3)), "diag"), rows, rows.spread(), seed=0)
    assert isinstance(start, GaussianMixture)
    np.testing.assert_allclose(np.sort(start.means, axis=0), centers, atol=1.0)
    assert np.asarray(start.scale).min() > 0.5  # no column is filled with one value


def test_online_em_takes_holes(clusters, float64):
    x = with_holes(np.tile(clusters, (4, 1)), 0.15)
    rows, start = RowBlocks(x, holes=True), generic_mixture("full")
    floor = Floor(1e-3).of(start, rows)
    best = run_em(start, rows, floor, tolerance=1e-7).log_evidence
    model, _ = run_online_em(
        start, rows, floor, sample=RowBlocks(x[:90], holes=True), batch_size=60, passes=12
    )
    assert np.mean(log_evidences(model, rows)) > best[-1] - 0.1 * (best[-1] - best[0])


def test_online_em_of_a_batch_is_the_expected_statistics(clusters, float64):
    x = with_holes(clusters)
    start = generic_mixture("full")
    state = expectation_step(start, RowBlocks(x, holes=True))
    algorithm = online_em(
        state, start.floor(0.0, added=0.0, least=jnp.zeros(3), sample=x), num_rows_in_all=90
    )
    mask = ~np.isnan(x)
    batch = Datum(jnp.asarray(np.where(mask, x, 0.0)), jnp.asarray(mask))
    _, metrics = eqx.filter_jit(algorithm.step)(algorithm.init(), batch)
    wanted = np.mean(log_evidences(start, RowBlocks(x, holes=True)))
    np.testing.assert_allclose(metrics["bound"], wanted, rtol=1e-12)


def test_infinite_cells_are_no_holes(clusters):
    x = with_holes(clusters)
    x[4, 1] = np.inf
    with pytest.raises(InputError, match="inf in row 4"):
        RowBlocks(x, holes=True).spread()


def test_spread_is_that_of_the_observed_cells(clusters):
    x = with_holes(clusters)
    x[:, 2] = np.nan
    spread = RowBlocks(x, holes=True).spread()
    np.testing.assert_allclose(spread.mean[:2], np.nanmean(x[:, :2], axis=0))
    np.testing.assert_allclose(spread.variance[:2], np.nanvar(x[:, :2], axis=0))
    assert (spread.mean[2], spread.variance[2]) == (0.0, 1.0)


def test_a_fit_to_rows_with_holes(clusters):
    x = with_holes(clusters)
    fit = taut.em((x, x, x), model=taut.GMM(2, covariance="tied"), restarts=1)
    found, pair = fit.estimates["log_evidence"], fit.pair
    assert isinstance(pair, ExactPair)
    with jax.enable_x64(True):
        model: Any = pair.model
        means, covariances = np.asarray(model.means), np.asarray(model.covariances)
        log_pi = np.asarray(model.log_pi)
    log_p = [
        [conditional(m, c, row)[2] for m, c in zip(means, covariances, strict=True)] for row in x
    ]
    wanted = log_sum(np.asarray(log_p) + log_pi)
    assert found.side == "exact"
    np.testing.assert_allclose(found.value, wanted.mean(), rtol=1e-10)
    np.testing.assert_allclose(fit.history[-1]["bound"], wanted.mean(), rtol=1e-6)
    assert found.value > fit.estimates["independent_columns"].value


def test_a_closed_form_takes_no_holes(clusters):
    x = with_holes(clusters)
    with pytest.raises(InputError, match="closed_form: expected rows without missing cells"):
        taut.em((x, x, x), model=taut.PPCA(1), closed_form=True)
