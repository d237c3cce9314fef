"""The Gaussian mixture against SciPy, NumPy's longdouble, and scikit-learn's EM."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from exact_fits import KINDS, fitted, mixture, scipy_log_components, scipy_log_evidence
from sklearn.mixture import GaussianMixture as Reference

from taut.core import Datum, particles
from taut.guides import ExactPosterior
from taut.inference.exact import Floor, RowBlocks, expectation_step, log_evidences, run_em
from taut.models import GaussianMixture
from taut.models.exact import CovarianceFloor

pytestmark = pytest.mark.usefixtures("float64")


m_step = jax.jit(lambda model, statistics, floor: model.maximized(statistics, floor))


def responsibilities(model: GaussianMixture, x: np.ndarray) -> np.ndarray:
    """Bayes' rule over SciPy's densities, (N, K)."""
    log_joint = np.asarray(model.log_pi) + scipy_log_components(model, x)
    return scipy.special.softmax(log_joint, axis=1)


@pytest.mark.parametrize("kind", KINDS)
def test_evidence_posterior_and_log_weights(clusters, kind):
    model = fitted(clusters, kind).model
    assert isinstance(model, GaussianMixture)
    truth = scipy_log_evidence(model, clusters)
    np.testing.assert_allclose(log_evidences(model, RowBlocks(clusters)), truth, rtol=1e-12)

    def one(row):
        minted = particles(
            model, ExactPosterior(model), ExactPosterior(model), Datum(row), jax.random.key(0), 1
        )
        return minted.log_w, model.posterior(Datum(row)).mean()

    log_w, r = jax.jit(jax.vmap(one))(clusters)
    np.testing.assert_allclose(log_w, np.stack([truth, truth], 1), rtol=1e-11)
    log_pi = scipy.special.log_softmax(np.asarray(model.logits))
    expected = scipy.special.softmax(log_pi + scipy_log_components(model, clusters), axis=1)
    np.testing.assert_allclose(r, expected, atol=1e-12)


def test_evidence_of_observed_cells_is_the_marginal(clusters):
    model = fitted(clusters, "full").model
    assert isinstance(model, GaussianMixture)
    mask = np.array([True, False, True])
    kept = np.flatnonzero(mask)
    values = [
        scipy.stats.multivariate_normal.logpdf(
            clusters[0, kept], np.asarray(m)[kept], np.asarray(c)[np.ix_(kept, kept)]
        )
        for m, c in zip(model.means, model.covariances, strict=True)
    ]
    truth = scipy.special.logsumexp(np.asarray(model.log_pi) + values)
    # What an unobserved cell holds must not matter.
    row = np.where(mask, clusters[0], 1e6)
    value = model.log_evidence(Datum(jnp.asarray(row), mask=jnp.asarray(mask)))
    assert float(value) == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_trajectory_is_that_of_scikit_learn(clusters, kind):
    start, reg_covar, iterations = mixture(clusters, kind), 1e-3, 12
    rows = RowBlocks(clusters)
    floor = Floor(0.0, reg_covar).of(start, rows)
    ours = run_em(
        start, rows, floor, tolerance=0.0, max_iterations=iterations, monotone=False
    ).log_evidence

    def reference(reg_covar: float) -> np.ndarray:
        shapes = {"full": (2, 3, 3), "tied": (3, 3), "diag": (2, 3), "spherical": (2,)}
        precision = np.eye(3) / 1.5**2 if kind in ("full", "tied") else 1 / 1.5**2
        model = Reference(
            2,
            covariance_type=kind,
            reg_covar=reg_covar,
            weights_init=np.full(2, 0.5),
            means_init=clusters[[0, -1]],
            precisions_init=np.broadcast_to(precision, shapes[kind]).copy(),
            max_iter=1,
            tol=0.0,
            warm_start=True,
        )
        values = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that one iteration does not converge
            for _ in range(iterations):
                model.fit(clusters)
                values.append(model.score(clusters))
        return np.asarray(values)

    np.testing.assert_allclose(ours[1:], reference(reg_covar), rtol=1e-8)
    # The comparison tells a floor from twice that floor.
    assert np.abs(ours[1:] / reference(2 * reg_covar) - 1).max() > 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_the_m_step_is_the_weighted_mean_and_covariance(clusters, kind):
    model = fitted(clusters, kind).model
    assert isinstance(model, GaussianMixture)
    product = expectation_step(model, RowBlocks(clusters)).statistics
    r = responsibilities(model, clusters)
    means = r.T @ clusters / r.sum(0)[:, None]
    moved = m_step(model, product, Floor(0.0).of(model, RowBlocks(clusters)))
    np.testing.assert_allclose(moved.means, means, rtol=1e-12)
    differences = clusters[:, None] - means
    scatter = np.einsum("nk,nki,nkj->kij", r, differences, differences)
    count = r.sum(0)
    truth = {
        "full": scatter / count[:, None, None],
        "tied": np.broadcast_to(scatter.sum(0) / len(clusters), (2, 3, 3)),
        "diag": np.stack([np.diag(np.diag(s / n)) for s, n in zip(scatter, count, strict=True)]),
        "spherical": np.stack(
            [np.eye(3) * np.trace(s) / n / 3 for s, n in zip(scatter, count, strict=True)]
        ),
    }[kind]
    np.testing.assert_allclose(moved.covariances, truth, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tight_cluster_among_wide_ones_keeps_its_digits(kind):
    # Deviations of 1e-6 at distances of 1e3: the product route would lose every digit.
    generator = np.random.default_rng(2)
    tight = 1e-6 * generator.normal(size=(45, 3)) + 1e3
    wide = 1e3 * generator.normal(size=(45, 3)) - 1e3
    x = np.concatenate([tight, wide])
    scale = {
        "full": jnp.stack([1e-6 * jnp.eye(3), 1e3 * jnp.eye(3)]),
        "tied": 1e-6 * jnp.eye(3),
        "diag": jnp.stack([jnp.full(3, 1e-6), jnp.full(3, 1e3)]),
        "spherical": jnp.array([1e-6, 1e3]),
    }[kind]
    means = jnp.asarray(np.stack([np.full(3, 1e3), np.full(3, -1e3)]))
    model = GaussianMixture(jnp.zeros(2), means, scale, kind)
    wide_deviation = 1e-6 if kind == "tied" else 1e3
    exact = x.astype(np.longdouble)
    log_joint = np.stack(
        [
            -0.5 * (((exact - np.longdouble(m)) / np.longdouble(s)) ** 2).sum(1)
            - 3 * np.log(np.longdouble(s))
            - 1.5 * np.log(2 * np.longdouble(np.pi))
            - np.log(np.longdouble(2))
            for m, s in ((1e3, 1e-6), (-1e3, wide_deviation))
        ],
        axis=1,
    )
    top = log_joint.max(1, keepdims=True)
    truth = (top[:, 0] + np.log(np.exp(log_joint - top).sum(1))).sum()
    got = expectation_step(model, RowBlocks(x)).statistics
    # 1e3 / 1e-6 = 1e9 units in the last place of x are lost to its own rounding: nothing here rounds x.
    assert float(got.log_evidence) == pytest.approx(float(truth), rel=1e-9)
    moved = m_step(model, got, Floor(0.0).of(model, RowBlocks(x)))
    if kind in ("full", "diag"):
        deviations = np.sqrt(np.asarray(moved.covariance.variances(moved.scale, moved.means))[0])
        np.testing.assert_allclose(deviations, tight.std(0), rtol=1e-6)


def test_mean_sample_and_soft_outcomes(clusters):
    model = fitted(clusters, "full").model
    assert isinstance(model, GaussianMixture)
    z = jnp.array([0.25, 0.75])
    np.testing.assert_allclose(model.mean(z), z @ model.means)
    draws = jax.jit(jax.vmap(lambda key: model.sample(jnp.array([0.0, 1.0]), key)))(
        jax.random.split(jax.random.key(1), 4000)
    )
    error = np.sqrt(np.diag(np.asarray(model.covariances[1])) / 4000)
    assert (np.abs(np.asarray(draws).mean(0) - np.asarray(model.means[1])) < 5 * error).all()
    prior = model.prior()
    z = prior.draw(jax.random.key(2), 4000).z
    weight = np.exp(np.asarray(model.log_pi))
    error = np.sqrt(weight * (1 - weight) / 4000)
    assert (np.abs(np.asarray(z).mean(0) - weight) < 5 * error).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_floored_m_step_is_the_best_above_the_floor(clusters, kind):
    """An expected log-joint written with SciPy's density is lower at every allowed point nearby."""
    model, rows = mixture(clusters, kind), RowBlocks(clusters)
    least = np.array([2.0, 0.1, 30.0])  # below the rows' own variance in some directions alone
    floor = CovarianceFloor(jnp.asarray(least), jnp.zeros(()))
    r = responsibilities(model, clusters)
    moved = m_step(model, expectation_step(model, rows).statistics, floor)

    def objective(covariances: np.ndarray) -> float:
        log_p = [
            scipy.stats.multivariate_normal.logpdf(clusters, np.asarray(m), c)
            for m, c in zip(moved.means, covariances, strict=True)
        ]
        return float((r * np.stack(log_p, axis=1)).sum())

    own = np.asarray(moved.covariances)
    least = np.full(3, least.mean()) if kind == "spherical" else least
    above = own - np.diag(least)
    assert np.linalg.eigvalsh(above).min() > -1e-8
    assert np.asarray(moved.held_by_floor(floor)).any()
    values, vectors = np.linalg.eigh(above)
    roots = vectors * np.sqrt(np.maximum(values, 0))[:, None]
    generator = np.random.default_rng(0)
    for _ in range(20):
        # Sigma = F + B B^T reaches every covariance above the floor.
        step = generator.normal(size=(1 if kind == "tied" else 2, 3, 3))
        near = (roots + 1e-2 * step) @ np.swapaxes(roots + 1e-2 * step, 1, 2)
        if kind in ("diag", "spherical"):
            near = near * np.eye(3)
        if kind == "spherical":
            near = np.eye(3) * np.trace(near, axis1=1, axis2=2)[:, None, None] / 3
        assert objective(np.diag(least) + near) < objective(own) + 1e-9
    unfloored = m_step(model, expectation_step(model, rows).statistics, Floor(0.0).of(model, rows))
    assert objective(np.asarray(unfloored.covariances)) > objective(own)
