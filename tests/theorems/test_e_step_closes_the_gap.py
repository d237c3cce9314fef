"""The E-step closes the gap: at q = p(z | x; theta) the ELBO is log p(x; theta). An M-step opens it:

log p(x; theta') - ELBO(q, theta') = KL(q to p(z | x; theta')),    q = p(z | x; theta)
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import entropy, multivariate_normal

from taut.bounds import ELBO, IWAE
from taut.core import Datum, particles
from taut.guides import ExactPosterior
from taut.inference.exact import Floor, RowBlocks, random_start, run_em
from taut.models import FactorAnalysis, GaussianMixture
from taut.models.exact import COVARIANCES


@pytest.fixture
def x() -> np.ndarray:
    generator = np.random.default_rng(4)
    return generator.normal(size=(90, 3)) + 2 * generator.integers(0, 2, (90, 1))


def bound_of_rows(bound, model, guide, x) -> np.ndarray:
    """The bound of every row, (N,)."""

    def one(row, key):
        return bound(particles(model, guide, guide, Datum(row), key, bound.minted))

    keys = jax.random.split(jax.random.key(0), len(x))
    return np.asarray(jax.jit(jax.vmap(one))(jnp.asarray(x), keys))


def log_joint(model: GaussianMixture, x: np.ndarray) -> np.ndarray:
    """log pi_k + log N, (N, K), by SciPy."""
    columns = [
        multivariate_normal.logpdf(x, np.asarray(m), np.asarray(c))
        for m, c in zip(model.means, model.covariances, strict=True)
    ]
    return log_softmax(np.asarray(model.logits)) + np.stack(columns, axis=1)


def test_for_a_mixture(x, float64):
    scale = COVARIANCES["full"].isotropic(jnp.ones(3), 2)
    model, rows = GaussianMixture(jnp.zeros(2), jnp.zeros((2, 3)), scale), RowBlocks(x)
    old = random_start(model, rows, rows.spread(), seed=0)
    floor = Floor(0.0).of(old, rows)
    new = run_em(old, rows, floor, tolerance=0.0, max_iterations=1).model
    assert isinstance(old, GaussianMixture)
    assert isinstance(new, GaussianMixture)

    closed = bound_of_rows(ELBO(), old, ExactPosterior(old), x)
    np.testing.assert_allclose(closed, logsumexp(log_joint(old, x), axis=1), rtol=1e-10)

    opened = bound_of_rows(ELBO(), new, ExactPosterior(old), x)
    gap = entropy(softmax(log_joint(old, x), axis=1), softmax(log_joint(new, x), axis=1), axis=1)
    evidence = logsumexp(log_joint(new, x), axis=1)
    np.testing.assert_allclose(evidence - opened, gap, atol=1e-10)
    assert gap.max() > 1e-3
    # The M-step raised the bound at the old posterior, and so the evidence by at least as much.
    assert opened.mean() > closed.mean()
    assert evidence.mean() - closed.mean() >= opened.mean() - closed.mean()


def test_for_factors_every_draw_weighs_the_same(x, float64):
    rows = RowBlocks(x)
    model = FactorAnalysis(jnp.zeros(3), jnp.ones((3, 1)), jnp.zeros(3))
    start = random_start(model, rows, rows.spread(), seed=0)
    fitted = run_em(start, rows, Floor(1e-3).of(start, rows), max_iterations=3).model
    w = np.asarray(fitted.loadings)
    covariance = w @ w.T + np.diag(np.asarray(fitted.noise))
    truth = multivariate_normal.logpdf(x, np.asarray(fitted.center), covariance)
    for bound in (ELBO(), ELBO(num_draws=7), IWAE(num_particles=3)):
        np.testing.assert_allclose(
            bound_of_rows(bound, fitted, ExactPosterior(fitted), x), truth, rtol=1e-9
        )
    stale = bound_of_rows(ELBO(num_draws=200), fitted, ExactPosterior(start), x)
    assert stale.mean() < truth.mean() - 0.01
