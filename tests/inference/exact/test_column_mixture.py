"""The mixture of columns of different kinds by SciPy, Bayes' rule, and the models that it contains."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats

import taut
from taut.core import Datum, InputError
from taut.distributions.count_densities import log_negative_binomial
from taut.fitted.imputing import impute
from taut.inference.exact import Floor, RowBlocks, expectation_step, log_evidences, run_em
from taut.models import ColumnForm, ColumnMixture, GaussianMixture, LatentClass
from taut.models.exact.columns.negative_binomial import digammas, log_masses

KINDS = ("count", "real", "categorical", "constant", "positive", "binary")
FORMS = tuple(
    ColumnForm(kind, levels=3 if kind == "categorical" else 0, shift=5.0 if kind == "constant" else 0.5)
    for kind in KINDS
)  # fmt: skip


def generic(counts: str = "negative-binomial", number: int = 2) -> Any:
    """Components that differ in every column."""
    generator = np.random.default_rng(0)
    model = ColumnMixture.uniform(FORMS, number, counts=counts)
    # By NumPy: JAX would compile each operation by itself.
    moved = jax.tree.map(
        lambda a: jnp.asarray(np.asarray(a) * np.exp(generator.normal(size=a.shape))), model
    )
    tables = np.asarray(moved.parts[2].log_theta).reshape(number, 5)
    theta = [scipy.special.log_softmax(t, axis=1) for t in (tables[:, 2:], tables[:, :2])]
    theta = jnp.asarray(np.concatenate(theta, axis=1))
    moved = eqx.tree_at(lambda m: m.parts[2].log_theta, moved, theta)
    return eqx.tree_at(lambda m: m.logits, moved, jnp.asarray(np.arange(number) / 2))


def rows(number: int = 60, share: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(1)
    group = generator.random(number) < 0.4
    x = np.stack([
        generator.negative_binomial(2, np.where(group, 0.5, 0.1)), generator.normal(3 * group),
        generator.integers(0, 3, number), np.full(number, 5.0),
        np.exp(generator.normal(2 * group)), generator.random(number) < np.where(group, 0.2, 0.7),
    ], axis=1).astype(float)  # fmt: skip
    x[0, 0] = 0
    return np.where(generator.random(x.shape) < share, np.nan, x)


def scipy_cells(model: Any, x: np.ndarray) -> np.ndarray:
    """log p_k(x_nd), (N, K, D), by SciPy."""
    numbers, counts, tables = (jax.tree.map(np.asarray, part) for part in model.parts)
    mean, r = counts.means[:, 0], counts.inverse_dispersion
    cells = np.zeros((len(x), model.num_components, x.shape[1]))
    for k in range(model.num_components):
        if r is None:
            cells[:, k, 0] = scipy.stats.poisson.logpmf(x[:, 0], mean[k])
        else:
            p = r[k, 0] / (r[k, 0] + mean[k])
            cells[:, k, 0] = scipy.stats.nbinom.logpmf(x[:, 0], r[k, 0], p)
        (m_0, m_1), (s_0, s_1) = numbers.means[k], numbers.deviations[k]
        cells[:, k, 1] = scipy.stats.norm.logpdf(x[:, 1], m_0, s_0)
        cells[:, k, 4] = scipy.stats.lognorm.logpdf(x[:, 4], s_1, scale=np.exp(m_1))
        for d, first in ((2, 0), (5, 3)):
            known = ~np.isnan(x[:, d])
            cells[known, k, d] = tables.log_theta[k, first + x[known, d].astype(int)]
    return np.where(np.isnan(x)[:, None], 0.0, cells)


@pytest.mark.parametrize("counts", ["negative-binomial", "poisson"])
def test_the_density_is_scipys_cell_by_cell(counts, float64):
    model, x = generic(counts), rows(20, 0.3)
    log_joint = scipy_cells(model, x).sum(axis=2) + np.asarray(model.log_pi)
    wanted: Any = scipy.special.logsumexp(log_joint, axis=1)
    blocks = RowBlocks(x, holes=True)
    np.testing.assert_allclose(log_evidences(model, blocks), wanted, rtol=1e-12, atol=1e-12)
    found = expectation_step(model, blocks).statistics
    np.testing.assert_allclose(found.log_evidence, wanted.sum(), rtol=1e-12)
    np.testing.assert_allclose(found.total, scipy.special.softmax(log_joint, axis=1).sum(axis=0))


@jax.jit
def masses_of_counts(counts, means, inverse):
    """Ours, those of the distribution, the digamma functions, and ours at a mean of zero."""
    return (
        log_masses(counts, means, inverse), log_negative_binomial(counts, means, inverse),
        digammas(counts, inverse), log_masses(counts, jnp.zeros(1), inverse[:1])[:, 0],
    )  # fmt: skip


@pytest.mark.parametrize("r", [1e-3, 0.3, 20.0, 1e3, 1e6])
def test_masses_of_counts_in_few_operations(r, float64):
    """As accurate as what they are made of, and the digamma functions beside them."""
    means, inverse = np.array([1e-4, 0.5, 30.0, 2e3]), np.full(4, r)
    x = np.array([0.0, 1.0, 2.0, 7.0, 40.0, 1e3, 3e5])[:, None]
    found, wanted, slopes, nothing = map(np.asarray, masses_of_counts(x, means, inverse))
    rounding = 8 * np.finfo(float).eps * (10 + r + x * np.log(x + 2) + x * np.abs(np.log(means)))
    assert (np.abs(found - wanted) <= rounding).all()
    np.testing.assert_allclose(slopes, scipy.special.digamma(x + inverse), rtol=1e-13)
    np.testing.assert_allclose(nothing, [0.0, *[-np.inf] * 6], atol=rounding[0, 0])


def test_values_that_no_column_has_are_impossible(float64):
    model = generic()
    for column, value in ((4, -1.0), (2, 3.0), (5, 0.5)):
        row = rows(1)[0]
        row[column] = value
        assert log_evidences(model, RowBlocks(row[None])) == -np.inf


def climbed(model: Any, x: np.ndarray, iterations: int = 6) -> Any:
    blocks = RowBlocks(x, holes=bool(np.isnan(x).any()))
    floor = Floor(0.0).of(model, blocks)
    return run_em(model, blocks, floor, tolerance=0.0, max_iterations=iterations)


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_real_columns_are_a_diagonal_gaussian_mixture(clusters, share, float64):
    """Step by step; with holes at the end, for what one of them leaves out the other one expects."""
    x = np.where(np.random.default_rng(0).random(clusters.shape) < share, np.nan, clusters)
    means, deviations = jnp.asarray(clusters[[0, -1]]), jnp.full((2, 3), 1.5)
    gaussian = GaussianMixture(jnp.zeros(2), means, deviations, "diag")
    mixed: Any = ColumnMixture.uniform([ColumnForm("real")] * 3, 2)
    mixed = eqx.tree_at(lambda m: m.parts[0].means, mixed, means)
    mixed = eqx.tree_at(lambda m: m.parts[0].deviations, mixed, deviations)
    steps = 300 if share else 6
    ours, theirs = climbed(mixed, x, steps), climbed(gaussian, x, steps)
    compared = slice(-1, None) if share else slice(None)
    np.testing.assert_allclose(
        ours.log_evidence[compared], theirs.log_evidence[compared], rtol=1e-10
    )
    numbers = ours.model.parts[0]
    np.testing.assert_allclose(numbers.means, theirs.model.means, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(numbers.deviations, theirs.model.scale, rtol=1e-8)


def test_categories_are_latent_classes(answers, float64):
    x = np.where(np.random.default_rng(0).random(answers.shape) < 0.2, np.nan, answers)
    theta = jax.nn.log_softmax(jnp.asarray(np.random.default_rng(1).normal(size=(2, 4, 2))))
    classes = LatentClass(jnp.zeros(2), theta, (4,))
    mixed: Any = ColumnMixture.uniform([ColumnForm("binary")] * 4, 2)
    mixed = eqx.tree_at(lambda m: m.parts[0].log_theta, mixed, theta.reshape(2, 8))
    ours, theirs = climbed(mixed, x), climbed(classes, x)
    np.testing.assert_allclose(ours.log_evidence, theirs.log_evidence, rtol=1e-10)
    tables = ours.model.parts[0].log_theta.reshape(2, 4, 2)
    np.testing.assert_allclose(tables, theirs.model.log_theta, rtol=1e-8)


def test_a_column_without_values_changes_nothing(float64):
    x = rows(40, 0.1)
    x[:, 4] = np.nan
    narrow: Any = ColumnMixture.uniform([*FORMS[:4], FORMS[5]], 2)
    start = generic()
    numbers = jax.tree.map(lambda a: a[:, :1], start.parts[0])
    first = eqx.tree_at(
        lambda n: (n.means, n.deviations), narrow.parts[0], (numbers.means, numbers.deviations)
    )
    parts = (first, *start.parts[1:])
    narrow = eqx.tree_at(lambda m: (m.logits, m.parts), narrow, (start.logits, parts))
    with_it, without = climbed(start, x, 4), climbed(narrow, np.delete(x, 4, axis=1), 4)
    np.testing.assert_allclose(with_it.log_evidence, without.log_evidence, rtol=1e-12)


@pytest.mark.parametrize(("inverse", "mean"), [(0.1, 50.0), (1.3, 25.0), (30.0, 20.0)])
def test_dispersions_climb_to_the_maximum(inverse, mean, float64):
    """One component, where the maximum is that of SciPy's mass function itself; never downwards."""
    generator = np.random.default_rng(3)
    x = generator.negative_binomial(inverse, inverse / (inverse + mean), (400, 1)).astype(float)
    model = ColumnMixture.uniform([ColumnForm("count", shift=3.0)], 1)
    result = climbed(model, x, 60)
    found: Any = result.model.parts[0]
    assert np.diff(result.log_evidence).min() > -1e-12
    mean = x.mean()
    np.testing.assert_allclose(found.means, mean)

    def nll(log_r):
        r = np.exp(log_r)
        return -scipy.stats.nbinom.logpmf(x, r, r / (r + mean)).sum()

    best = scipy.optimize.minimize_scalar(nll, bounds=(-4, 5), options={"xatol": 1e-9})
    np.testing.assert_allclose(found.inverse_dispersion, np.exp(best.x), rtol=1e-3)


def test_the_floor_is_a_row_spread_as_the_columns_are(float64):
    """A component without rows becomes the columns alone; the penalty is their mean log-density."""
    x = rows(64)  # as many as stand for a column of counts
    blocks, model = RowBlocks(x), generic()
    floor = Floor(2.0, pseudo_rows=True).of(model, blocks)
    nothing = jax.tree.map(jnp.zeros_like, expectation_step(model, blocks).statistics)
    numbers, counts, tables = eqx.filter_jit(lambda: model.maximized(nothing, floor))().parts
    # Laplace's rule
    shares = [(np.sum(x[:, d] == v) + 1) / (64 + n) for d, n in ((2, 3), (5, 2)) for v in range(n)]
    for k in range(2):
        np.testing.assert_allclose(numbers.means[k], [x[:, 1].mean(), np.log(x[:, 4]).mean()])
        np.testing.assert_allclose(numbers.deviations[k], [x[:, 1].std(), np.log(x[:, 4]).std()])
        np.testing.assert_allclose(counts.means[k], x[:, 0].mean())
        np.testing.assert_allclose(np.exp(tables.log_theta[k]), shares)
    log_p = scipy_cells(model, x)[:, :, [0, 1, 4]].mean(axis=0).sum()
    wanted = 2 * (log_p + (np.asarray(model.parts[2].log_theta) @ shares).sum())
    np.testing.assert_allclose(model.log_penalty(floor), wanted)
    result = run_em(model, blocks, floor, tolerance=0.0, max_iterations=15, monotone=False)
    assert np.diff(result.objective).min() > -1e-9


def test_missing_cells_given_the_others(float64):
    """By Bayes' rule over the components; draws with those shares."""
    model, draws = generic(), 3000
    x = rows(3)
    x[0, [0, 2, 4]], x[1, [1, 5]], x[2] = np.nan, np.nan, np.nan
    found = impute(
        model,
        Datum(jnp.asarray(x), jnp.asarray(~np.isnan(x))),
        key=jax.random.key(0),
        num_draws=draws,
    )
    r = scipy.special.softmax(scipy_cells(model, x).sum(2) + np.asarray(model.log_pi), axis=1)
    numbers, counts, tables = (jax.tree.map(np.asarray, part) for part in model.parts)
    mean, inverse = counts.means[:, 0], counts.inverse_dispersion[:, 0]
    moments: dict[int, Any] = {
        0: (mean, mean + mean**2 / inverse),
        1: (numbers.means[:, 0], numbers.deviations[:, 0] ** 2),
    }
    m, s = numbers.means[:, 1], numbers.deviations[:, 1]
    means, variances = scipy.stats.lognorm.stats(s, scale=np.exp(m))
    moments[4] = (means, variances)
    for d, (means, variances) in moments.items():
        for n in np.flatnonzero(np.isnan(x[:, d])):
            wanted = r[n] @ means
            spread = np.sqrt(r[n] @ (variances + (means - wanted) ** 2))
            np.testing.assert_allclose(found.mean[n, d], wanted)
            np.testing.assert_allclose(found.deviation[n, d], spread)
            if d != 4:  # whose fourth moment is large
                assert abs(found.draws[:, n, d].mean() - wanted) < 5 * spread / np.sqrt(draws)
    p = r[0] @ np.exp(tables.log_theta[:, :3])
    assert found.mode[0, 2] == np.argmax(p)
    np.testing.assert_allclose(found.deviation[0, 2], 1 - p.max())
    shares = (found.draws[:, 0, 2, None] == np.arange(3)).mean(axis=0)
    assert (np.abs(shares - p) < 5 * np.sqrt(p * (1 - p) / draws)).all()
    assert (found.mode[:, 0] % 1 == 0).all()
    assert (found.draws[:, :, 0] % 1 == 0).all()
    assert (found.mode[:, 3] == 5).all()
    assert (found.draws[:, :, 3] == 5).all()
    # The two cells of a row are drawn together: their covariance is that of the components.
    z = r[0] @ mean, r[0] @ numbers.means[:, 1]
    together = np.cov(found.draws[:, 0, 0], np.log(found.draws[:, 0, 4]))
    wanted = r[0] @ ((mean - z[0]) * (numbers.means[:, 1] - z[1]))
    error = 5 * np.sqrt(together[0, 0] * together[1, 1] / draws)
    assert abs(together[0, 1] - wanted) < error


def test_no_constant_on_a_diagonal(float64):
    with pytest.raises(
        InputError, match="reg_covar for a Gaussian mixture, got a mixture of columns"
    ):
        Floor(0.0, 1e-6).of(generic(), RowBlocks(rows()))


def test_a_column_without_a_value_is_no_reason_to_fail():
    """Where columns are read alike nothing but its cells says that it is empty."""
    x = np.random.default_rng(0).normal(size=(60, 2))
    with_empty = np.column_stack([x, np.full(60, np.nan)])
    found, known = (taut.em(rows, model="mixed", components=1) for rows in (with_empty, x))
    for name in ("log_evidence", "independent_columns"):
        assert found.estimates[name].value == pytest.approx(known.estimates[name].value, abs=1e-6)
