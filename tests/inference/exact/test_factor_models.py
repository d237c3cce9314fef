"""Probabilistic PCA and factor analysis against SciPy, the closed form and scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.decomposition import FactorAnalysis as Reference

from taut.core import Datum, InputError, RunError, particles
from taut.guides import ExactPosterior
from taut.inference.exact import (
    Floor,
    RowBlocks,
    check_components,
    expectation_step,
    log_evidences,
    random_start,
    run_em,
)
from taut.models import FactorAnalysis, ProbabilisticPCA

pytestmark = pytest.mark.usefixtures("float64")


def ppca(size: int = 6, rank: int = 2) -> ProbabilisticPCA:
    loadings = jnp.asarray(np.random.default_rng(0).normal(size=(size, rank)))
    return ProbabilisticPCA(jnp.arange(float(size)), loadings, jnp.asarray(-0.5))


def factor_analysis(size: int = 6, rank: int = 2) -> FactorAnalysis:
    loadings = jnp.asarray(np.random.default_rng(1).normal(size=(size, rank)))
    noise = jnp.linspace(-1.0, 1.0, size)
    return FactorAnalysis(jnp.arange(float(size)), loadings, noise)


def everything(model, datum):
    """Posterior mean and covariance, log-evidence, and the log-weights of draws from the posterior."""
    guide, q = ExactPosterior(model), model.posterior(datum)
    minted = particles(model, guide, guide, datum, jax.random.key(0), 20)
    return q.mean, q.covariance_matrix, model.log_evidence(datum), minted.log_w


@pytest.mark.parametrize("model", [ppca(), factor_analysis()], ids=["ppca", "fa"])
def test_evidence_posterior_and_log_weights(factors, model):
    model = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), model)
    w, psi = np.asarray(model.loadings), np.asarray(model.noise)
    covariance = w @ w.T + np.diag(psi)
    truth = multivariate_normal.logpdf(factors, np.asarray(model.center), covariance)
    np.testing.assert_allclose(log_evidences(model, RowBlocks(factors)), truth, rtol=1e-11)
    statistics = expectation_step(model, RowBlocks(factors)).statistics
    assert float(model.log_evidence_of(statistics)) == pytest.approx(truth.sum(), rel=1e-11)

    # The posterior by conditioning the joint normal of (x, z).
    row = factors[0]
    gain = w.T @ np.linalg.inv(covariance)
    made = jax.jit(everything)
    mean, posterior_covariance, _, log_w = made(model, Datum(jnp.asarray(row)))
    np.testing.assert_allclose(mean, gain @ (row - np.asarray(model.center)), rtol=1e-9)
    np.testing.assert_allclose(posterior_covariance, np.eye(2) - gain @ w, atol=1e-9)
    np.testing.assert_allclose(log_w, truth[0], rtol=1e-10)

    mask = np.array([True, True, False, True, False, True])
    kept = np.flatnonzero(mask)
    marginal = multivariate_normal.logpdf(
        row[kept], np.asarray(model.center)[kept], covariance[np.ix_(kept, kept)]
    )
    datum = Datum(jnp.asarray(np.where(mask, row, 1e6)), mask=jnp.asarray(mask))
    _, _, log_evidence, log_w = made(model, datum)
    assert float(log_evidence) == pytest.approx(marginal, rel=1e-10)
    np.testing.assert_allclose(log_w, marginal, rtol=1e-9)


def test_ppca_reaches_the_closed_form(factors):
    """Tipping and Bishop's optimum from NumPy's eigenvalues, by EM and by `closed_form`."""
    rows = RowBlocks(factors)
    start = random_start(ppca(), rows, rows.spread(), seed=0)
    floor = Floor(0.0).of(start, rows)
    result = run_em(start, rows, floor, tolerance=1e-13, max_iterations=20_000)
    values, vectors = np.linalg.eigh(np.cov(factors.T, bias=True))
    noise = values[:4].mean()
    w = vectors[:, 4:] * np.sqrt(values[4:] - noise)
    covariance = w @ w.T + noise * np.eye(6)
    best = multivariate_normal.logpdf(factors, factors.mean(0), covariance).mean()
    assert result.log_evidence[-1] == pytest.approx(best, abs=1e-9)
    np.testing.assert_allclose(result.model.marginal_covariance, covariance, atol=1e-5)

    statistics = start.expected(jnp.asarray(factors), jnp.ones(len(factors)))
    closed = start.closed_form(statistics, floor)
    np.testing.assert_allclose(closed.marginal_covariance, covariance, rtol=1e-9)
    np.testing.assert_allclose(closed.center, factors.mean(0), rtol=1e-12)


def test_factor_analysis_reaches_scikit_learn(factors):
    rows = RowBlocks(factors)
    start = random_start(factor_analysis(), rows, rows.spread(), seed=0)
    floor = Floor(0.0).of(start, rows)
    result = run_em(start, rows, floor, tolerance=1e-13, max_iterations=20_000)
    reference = Reference(2, tol=1e-10, max_iter=100_000, svd_method="lapack").fit(factors)
    assert result.log_evidence[-1] == pytest.approx(reference.score(factors), rel=1e-6)
    assert result.log_evidence[-1] >= reference.score(factors) - 1e-9
    np.testing.assert_allclose(
        result.model.marginal_covariance, reference.get_covariance(), atol=1e-4
    )
    # At scikit-learn's default tolerance it has not got there.
    early = Reference(2, svd_method="lapack").fit(factors)
    assert abs(early.score(factors) / result.log_evidence[-1] - 1) > 1e-6


def test_noise_that_vanishes(factors):
    """A factor that is a column leaves that column no noise (Heywood): an error, or the floor."""
    z = factors[:, :1]
    x = np.concatenate([z, 2 * z, factors[:, 1:3]], axis=1)
    rows = RowBlocks(x)
    start = random_start(factor_analysis(4, 1), rows, rows.spread(), seed=0)
    with pytest.raises(RunError, match="variances above rounding, got a column without noise"):
        run_em(start, rows, Floor(0.0).of(start, rows), tolerance=0.0, max_iterations=200)
    floor = Floor(1e-4).of(start, rows)
    result = run_em(start, rows, floor, tolerance=1e-12)
    np.testing.assert_allclose(result.model.noise[0], 1e-4 * x[:, 0].var(), rtol=1e-9)


def test_numbers_of_factors_that_make_no_sense():
    with pytest.raises(InputError, match="fewer factors than the 6 columns, got 6"):
        check_components(6, 100, 6)
    with pytest.raises(InputError, match="at most 5 components, one a training row, got 6"):
        check_components(6, 5)
    with pytest.raises(InputError, match="at least one component, got 0"):
        check_components(0, 5)
    with pytest.raises(InputError, match="reg_covar: expected reg_covar for a Gaussian mixture"):
        Floor(0.0, 1e-6).of(ppca(2, 1), RowBlocks(np.arange(6.0).reshape(3, 2)))
