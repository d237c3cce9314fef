"""An E-step and an M-step never lower the evidence (Dempster, Laird and Rubin 1977, theorem 1).

log p(x; theta') - log p(x; theta) >= Q(theta', theta) - Q(theta, theta) >= 0
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from taut.core import RunError
from taut.inference.exact import Floor, RowBlocks, random_start, run_em
from taut.models import (
    ColumnForm,
    ColumnMixture,
    FactorAnalysis,
    GaussianMixture,
    LatentClass,
    ProbabilisticPCA,
)
from taut.models.exact import COVARIANCES, AbstractExactModel

# A sum of log-densities in float64, twice: see `taut.models.exact.gaussian_mixture.ROUNDING`.
ROUNDING = 2e-9


def rows_for(name: str) -> np.ndarray:
    generator = np.random.default_rng(11)
    x = generator.normal(size=(90, 3)) @ generator.normal(size=(3, 3))
    x = x + generator.integers(0, 2, (90, 1)) * np.array([2.0, -1.0, 0.0])
    if name == "mixed":
        counts = generator.negative_binomial(1.5, 1 / (1 + np.exp(x[:, :1])))
        return np.concatenate(
            [x, np.exp(x[:, :1]), counts, x[:, 1:2] > 0, np.rint(abs(x[:, 2:]))], 1
        )
    return (x > 0).astype(float) if name == "lca" else x


def model_for(name: str) -> AbstractExactModel:
    ones, loadings = jnp.ones(3), jnp.eye(3)[:, :1]
    if name == "lca":
        return LatentClass(jnp.zeros(2), jnp.log(jnp.full((2, 3, 2), 0.5)), (3,))
    if name == "mixed":
        kinds = [*["real"] * 3, "positive", "count", "binary", "count"]
        return ColumnMixture.uniform([ColumnForm(kind) for kind in kinds], 2)
    if name == "ppca":
        return ProbabilisticPCA(ones, loadings, jnp.zeros(()))
    if name == "fa":
        return FactorAnalysis(ones, loadings, jnp.zeros(3))
    scale = COVARIANCES[name].isotropic(ones, 2)
    return GaussianMixture(jnp.zeros(2), jnp.zeros((2, 3)), scale, name)


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("name", [*COVARIANCES, "lca", "mixed", "ppca", "fa"])
def test_in_any_of_forty_iterations(name, holes, float64):
    x, model = rows_for(name), model_for(name)
    if holes:
        x = np.where(np.random.default_rng(2).random(x.shape) < 0.3, np.nan, x)
    rows = RowBlocks(x, holes=holes)
    for seed in (0, 1):
        start = random_start(model, rows, rows.spread(), seed=seed)
        if isinstance(start, LatentClass):  # clusters of so few cells are the classes themselves
            theta = np.random.default_rng(seed).normal(size=start.log_theta.shape)
            start = LatentClass(start.logits, jax.nn.log_softmax(jnp.asarray(theta)), start.shape)
        floor = Floor(0.0).of(start, rows)
        # Not the driver's own check: the trajectory is looked at from outside.
        result = run_em(start, rows, floor, tolerance=0.0, max_iterations=40, monotone=False)
        assert np.diff(result.log_evidence).min() > -ROUNDING
        assert np.ptp(result.log_evidence) > 0.01


def test_with_steps_written_in_numpy(float64):
    """The same climb for a diagonal mixture, by a second implementation that shares no line."""
    x = rows_for("diag")
    rows, model = RowBlocks(x), model_for("diag")
    start = random_start(model, rows, rows.spread(), seed=3)
    assert isinstance(start, GaussianMixture)
    ours = run_em(start, rows, Floor(0.0).of(start, rows), tolerance=0.0, max_iterations=8)
    pi, mu = np.exp(np.asarray(start.log_pi)), np.asarray(start.means)
    sd, climb = np.asarray(start.scale), []
    for _ in range(9):
        log_joint = np.log(pi) + scipy.stats.norm.logpdf(x[:, None], mu, sd).sum(2)
        climb.append(scipy.special.logsumexp(log_joint, axis=1).mean())
        r = scipy.special.softmax(log_joint, axis=1)
        pi = r.mean(0)
        mu = r.T @ x / r.sum(0)[:, None]
        sd = np.sqrt(np.einsum("nk,nkd->kd", r, (x[:, None] - mu) ** 2) / r.sum(0)[:, None])
    np.testing.assert_allclose(ours.log_evidence, climb, rtol=1e-10)


class Hasty(AbstractExactModel):
    """A mixture whose M-step moves the means three times as far as it should."""

    inner: GaussianMixture
    statistics_depend_on_model = True

    num_parameters = width = 1

    def terms(self, datum, z):
        return self.inner.terms(datum, z)

    def log_evidence(self, datum):
        return self.inner.log_evidence(datum)

    def posterior(self, datum):
        return self.inner.posterior(datum)

    def given(self, datum):
        return self.inner.given(datum)

    def cumulative(self, datum, place):
        return self.inner.cumulative(datum, place)

    def completed(self, datum, key):
        return self.inner.completed(datum, key)

    def expectation(self):
        return self.inner.expectation()

    def rebased(self, statistics, model):
        return self.inner.rebased(statistics, model.inner)

    def log_evidence_of(self, statistics):
        return self.inner.log_evidence_of(statistics)

    def floor(self, strength: float, *, added: float, least: Any, sample: Any):
        return self.inner.floor(strength, added=added, least=least, sample=sample)

    def held_by_floor(self, floor):
        return self.inner.held_by_floor(floor)

    def maximized(self, statistics, floor):
        best = self.inner.maximized(statistics, floor)
        means = self.inner.means + 3 * (best.means - self.inner.means)
        return Hasty(eqx.tree_at(lambda m: m.means, best, means))

    def log_penalty(self, floor):
        return self.inner.log_penalty(floor)

    def singular(self, rounding):
        return self.inner.singular(rounding)


def test_a_wrong_m_step_is_caught(float64):
    rows, model = RowBlocks(rows_for("diag")), model_for("diag")
    start = random_start(model, rows, rows.spread(), seed=0)
    hasty = Hasty(start)
    with pytest.raises(RunError, match="an objective that rises, got a fall"):
        run_em(hasty, rows, Floor(0.0).of(hasty, rows), tolerance=0.0, max_iterations=40)
    assert jax.tree.leaves(hasty)[0].dtype == jnp.float64
