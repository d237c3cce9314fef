"""Laws over `taut.evidence.EVIDENCE`, on a linear-Gaussian model whose evidence SciPy knows."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats
from blackjax.diagnostics import psis_weights

from taut.core import (
    LOG_LIKELIHOOD,
    LOG_PRIOR,
    AbstractModel,
    Datum,
    Enumerated,
    InputError,
    Pair,
)
from taut.evidence import (
    EVIDENCE,
    SMC,
    importance_sampling,
    khat_threshold,
    mean_and_error,
    posterior_draws,
    smoothed_weights,
    summarize,
)
from taut.evidence.pareto_tail import pareto_shape

LOADING = np.array([[1.0, 0.3], [-0.5, 0.8], [0.2, -1.1]])
NOISE = 0.7


class LinearGaussian(AbstractModel):
    """z ~ N(0, I), x | z ~ N(A z, noise^2 I)."""

    def terms(self, datum, z):
        mean = jnp.asarray(LOADING) @ z
        return {
            LOG_LIKELIHOOD: dist.Normal(mean, NOISE).to_event(1).log_prob(datum.x),
            LOG_PRIOR: self.prior().log_prob(z),
        }

    def prior(self):
        return dist.Normal(jnp.zeros(2), jnp.ones(2)).to_event(1)

    def sample(self, z, key):
        return jnp.asarray(LOADING) @ z + NOISE * jax.random.normal(key, (3,))


class LinearGuide(eqx.Module):
    """The exact posterior, widened by a factor and moved by a shift."""

    widen: float = eqx.field(static=True, default=1.0)
    shift: float = eqx.field(static=True, default=0.0)

    def __call__(self, datum):
        precision = np.eye(2) + LOADING.T @ LOADING / NOISE**2
        covariance = np.linalg.inv(precision)
        mean = jnp.asarray(covariance @ LOADING.T / NOISE**2) @ datum.x + self.shift
        tril = self.widen * np.linalg.cholesky(covariance)
        return dist.MultivariateNormal(mean, scale_tril=jnp.asarray(tril))


@pytest.fixture
def rows(float64):
    x = np.random.default_rng(3).multivariate_normal(np.zeros(3), _covariance(), size=70)
    return Datum(x, index=np.arange(100, 170, dtype=np.int32))


def _covariance():
    return LOADING @ LOADING.T + NOISE**2 * np.eye(3)


def _known(rows):
    return scipy.stats.multivariate_normal(np.zeros(3), _covariance()).logpdf(rows.x)


TEMPERED = {"num_particles": 250, "temperatures": 5}
THOROUGH = {
    "importance": {"num_particles": 5_000},
    "annealed": TEMPERED,
    "smc": TEMPERED,
    "bridge": TEMPERED,
    "bidirectional": {**TEMPERED, "num_simulated": 10},
}
SHORT = {
    "annealed": {"temperatures": 2},
    "smc": {"temperatures": 2},
    "bidirectional": {"temperatures": 2, "num_simulated": 10},
    "quasi-monte-carlo": {"randomisations": 2},
}
LOWER = [name for name, method in EVIDENCE.items() if method.claims.side == "lower"]


@pytest.fixture
def quick_pilot(monkeypatch):
    """Whatever the pilot finds, the estimates are right: a short one."""
    monkeypatch.setattr("taut.evidence.tempering._PILOT_GRID", 8)
    monkeypatch.setattr("taut.evidence.tempering._PILOT_CHAINS", 8)


@pytest.mark.parametrize("method", EVIDENCE)
def test_recovers_the_known_evidence_within_its_error(method, rows, quick_pilot):
    pair = Pair(LinearGaussian(), LinearGuide(widen=1.3))
    options = {"num_particles": 20_000, **THOROUGH.get(method, {})}
    found = EVIDENCE[method](**options)(pair, rows, key=jax.random.key(0))
    error = found.log_evidence.values - _known(rows)
    assert abs(error.mean()) < 5 * found.log_evidence.mc_error
    assert found.log_evidence.side == EVIDENCE[method].claims.side
    assert found.log_evidence.index[0] == 100
    # A planted mistake of two per cent of the weights is more than the error allows.
    assert abs(error.mean() + math.log(1.02)) > 5 * found.log_evidence.mc_error


@pytest.mark.parametrize("method", LOWER)
def test_the_logarithm_is_low_with_few_particles(method, rows, quick_pilot):
    """In 40 runs, as 40 copies of the rows, each copy with draws of its own."""
    pair = Pair(LinearGaussian(), LinearGuide(widen=1.5, shift=0.5))
    copies = Datum(np.tile(rows.x, (40, 1)), index=np.arange(40 * 70, dtype=np.int32))
    chosen = EVIDENCE[method](num_particles=2, **SHORT.get(method, {}))
    found = chosen(pair, copies, key=jax.random.key(0)).log_evidence.values
    short = (found - _known(copies)).reshape(40, 70).mean(axis=1)
    assert short.mean() < -5 * short.std(ddof=1) / math.sqrt(40)


def test_the_draws_of_a_cloud_are_the_posteriors(rows):
    """By their mean and variance in units of the exact ones; the start is wider by a factor of 1.3."""
    pair = Pair(LinearGaussian(), LinearGuide(widen=1.3))
    z, log_w = posterior_draws(pair, rows, SMC(**TEMPERED), key=jax.random.key(0))
    weights = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    covariance = np.linalg.inv(np.eye(2) + LOADING.T @ LOADING / NOISE**2)
    means = rows.x @ (LOADING / NOISE**2) @ covariance
    units = (z - means[:, None]) / np.sqrt(np.diag(covariance))
    for power, expected in ((1, 0.0), (2, 1.0)):
        off = np.einsum("rk,rkd->rd", weights, units**power).mean(axis=1) - expected
        error = off.std(ddof=1) / math.sqrt(len(off))
        assert abs(off.mean()) < 5 * error
        assert error < 0.02  # the start's variance is off by 0.69


def test_the_exact_posterior_has_constant_weights(rows):
    pair = Pair(LinearGaussian(), LinearGuide())
    found = importance_sampling(pair, rows, key=jax.random.key(1), num_particles=50)
    np.testing.assert_allclose(found.log_evidence.values, _known(rows), atol=1e-9)
    np.testing.assert_allclose(found.elbo.values, _known(rows), atol=1e-9)
    np.testing.assert_allclose(found.ess, 50, rtol=1e-9)
    assert found.log_evidence.mc_error < 1e-9
    assert not found.log_evidence.flags
    assert found.share_unreliable == 0


def test_chunks_change_nothing_but_the_draws(rows, monkeypatch):
    pair = Pair(LinearGaussian(), LinearGuide(widen=1.2))
    whole = importance_sampling(pair, rows, key=jax.random.key(0), num_particles=1000)
    monkeypatch.setattr("taut.evidence.draws._CHUNK_DRAWS", 16 * 7)
    parts = importance_sampling(pair, rows, key=jax.random.key(0), num_particles=1000)
    assert parts.log_evidence.count == whole.log_evidence.count == 70
    gap = parts.log_evidence.value - whole.log_evidence.value
    assert abs(gap) < 5 * math.hypot(parts.log_evidence.mc_error, whole.log_evidence.mc_error)


def test_a_guide_far_too_narrow_is_flagged(rows):
    pair = Pair(LinearGaussian(), LinearGuide(widen=0.4))
    found = importance_sampling(pair, rows, key=jax.random.key(0), num_particles=1000)
    assert "unreliable" in found.log_evidence.flags
    assert found.share_unreliable > 0.5
    row, khat = found.worst_rows(1)[0]
    assert khat == found.khat.max()
    assert row in rows.index


class TwoBoxes(AbstractModel):
    """z in {0, 1} with prior (0.3, 0.7), x | z ~ N(2 z, 1)."""

    def terms(self, datum, z):
        log_prior = jnp.log(jnp.where(z == 1, 0.7, 0.3))
        return {
            LOG_LIKELIHOOD: dist.Normal(2.0 * z, 1.0).log_prob(datum.x),
            LOG_PRIOR: log_prior,
        }


class BothBoxes(eqx.Module):
    def __call__(self, datum):
        return Enumerated(jnp.array([0, 1]), jnp.log(jnp.array([0.8, 0.2])))


def test_enumeration_is_exact(float64):
    x = np.array([-1.0, 0.5, 3.0])
    found = importance_sampling(
        Pair(TwoBoxes(), BothBoxes()), Datum(x), key=jax.random.key(0), num_particles=10
    )
    joint = np.stack(
        [np.log([0.3, 0.7][z]) + scipy.stats.norm.logpdf(x, 2 * z) for z in (0, 1)], axis=1
    )
    np.testing.assert_allclose(found.log_evidence.values, np.logaddexp(*joint.T), rtol=1e-12)
    assert (found.num_particles, found.ess) == (None, None)
    elbo = joint @ [0.8, 0.2] - (0.8 * np.log(0.8) + 0.2 * np.log(0.2))
    np.testing.assert_allclose(found.elbo.values, elbo, rtol=1e-12)
    assert found.log_evidence.side == "exact"
    assert found.log_evidence.mc_error == 0


class HalfProgram(TwoBoxes):
    @property
    def subsampled(self):
        return True


def test_subsampled_weights_and_single_particles_are_refused(rows):
    with pytest.raises(InputError, match=r"of a minibatch.*Try the ELBO"):
        importance_sampling(
            Pair(HalfProgram(), BothBoxes()),
            Datum(np.zeros(2)),
            key=jax.random.key(0),
            num_particles=10,
        )
    with pytest.raises(InputError, match=r"num_particles: expected at least two particles.*got 1"):
        importance_sampling(
            Pair(LinearGaussian(), LinearGuide()), rows, key=jax.random.key(0), num_particles=1
        )


@pytest.mark.parametrize("count", [25, 224, 226, 1000, 5000])
def test_the_tail_is_that_of_another_library(count, float64):
    """Heavy tails and light ones, which are left as they are; one draw in a hundred explains nothing."""
    random = np.random.default_rng(count)
    log_w = np.linspace(0.1, 5, 20)[:, None] * random.normal(size=(20, count))
    log_w[:, ::100] = -np.inf
    log_ratios = log_w - log_w.max(axis=1, keepdims=True)
    weigh = jax.jit(jax.vmap(psis_weights))  # which rounds in another way than step by step
    smoothed, khat = weigh(np.maximum(log_ratios, -1e30))
    np.testing.assert_allclose(pareto_shape(log_ratios), khat, rtol=1e-9)
    np.testing.assert_allclose(smoothed_weights(log_w), np.exp(smoothed), rtol=1e-8)
    assert count < 1000 or np.any(khat < 1 / 3)


def test_khat_tells_light_tails_from_heavy_ones(float64):
    """Weights u^-k have a Pareto tail of shape k; at K = 5000 the fit's deviation is about 0.1."""
    uniform = np.random.default_rng(0).random((100, 5000))
    light, heavy = (summarize(-shape * np.log(uniform)).khat for shape in (0.3, 1.2))
    assert np.mean(light > khat_threshold(5000)) < 0.05
    assert np.mean(heavy > khat_threshold(5000)) > 0.95
    shifted = summarize(-1.2 * np.log(uniform) - 500.0).khat
    np.testing.assert_allclose(shifted, heavy, rtol=1e-9)


def test_one_draw_that_outweighs_all_others_is_the_heaviest_tail():
    """Weights that underflow beside the largest leave nothing to fit, which is no sign of health."""
    log_w = np.random.default_rng(0).normal(size=(3, 100)) * 5000.0
    found = summarize(log_w)
    np.testing.assert_allclose(found.ess, 1.0)
    assert np.all(found.khat == np.inf)


def test_weights_that_differ_by_rounding_have_no_tail():
    rounding = 1e-9 * np.random.default_rng(0).normal(size=(50, 100))
    assert np.all(summarize(-4.6 + rounding).khat == -np.inf)


def test_delta_error_covers_at_its_nominal_rate():
    scale = 0.5
    log_w = np.random.default_rng(1).normal(-(scale**2) / 2, scale, (1000, 2000))  # E[w] = 1
    summary = summarize(log_w)
    spread = math.sqrt(0.95 * 0.05 / 1000)
    for factor, right in ((1.0, True), (0.5, False)):
        covered = np.abs(summary.log_evidence) < factor * 1.959964 * summary.error
        assert bool(abs(covered.mean() - 0.95) < 5 * spread) == right


def test_zero_mass_counts_zero_also_against_minus_infinity():
    mean, error = mean_and_error(np.array([[1.0, -np.inf]]), log_mass=np.array([[0.0, -np.inf]]))
    assert mean[0] == 1.0
    assert error[0] == 0.0


def test_threshold_follows_the_number_of_draws():
    assert khat_threshold(100) == pytest.approx(0.5)
    assert khat_threshold(5000) == 0.7
    assert khat_threshold(5) == 0.0
