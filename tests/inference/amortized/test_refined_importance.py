"""Importance sampling from a Gaussian fitted to each row, on models whose evidence is known."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats

import taut
from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, AbstractModel, Datum, InputError, Pair
from taut.evidence import importance_sampling
from taut.guides import ExponentialGuide
from taut.inference import Refined, RefinedAnnealed, RefinedQuadrature
from taut.inference.amortized.row_gaussians import row_gaussians

LOADING = np.array([[1.0, 0.3], [-0.5, 0.8], [0.2, -1.1]])


class Linear(AbstractModel):
    """z ~ N(0, I), x | z ~ N(A z, 0.7^2)."""

    def terms(self, datum, z):
        likelihood = dist.Normal(jnp.asarray(LOADING) @ z, 0.7).to_event(1)
        return {LOG_LIKELIHOOD: likelihood.log_prob(datum.x), LOG_PRIOR: self.prior().log_prob(z)}

    def prior(self):
        return dist.Normal(jnp.zeros(2), jnp.ones(2)).to_event(1)


class Bits(Linear):
    """z ~ N(0, I), x_j | z ~ Bernoulli(sigmoid(2 (A z)_j)): a posterior that is no Gaussian."""

    def terms(self, datum, z):
        likelihood = dist.Bernoulli(logits=2 * jnp.asarray(LOADING) @ z).to_event(1)
        return {LOG_LIKELIHOOD: likelihood.log_prob(datum.x), LOG_PRIOR: self.prior().log_prob(z)}


class Funnel(Linear):
    """v ~ N(0, 3^2), z | v ~ N(0, e^v), and data that say nothing."""

    def terms(self, datum, z):
        prior = dist.Normal(0, 3).log_prob(z[0]) + dist.Normal(0, jnp.exp(z[0] / 2)).log_prob(z[1])
        return {LOG_LIKELIHOOD: 0.0 * jnp.sum(datum.x), LOG_PRIOR: prior}


class Far(eqx.Module):
    """A guide that knows neither scales nor correlations, and is beside the posterior."""

    def __call__(self, datum):
        return dist.Normal(0.5 * datum.x[:2], jnp.full(2, 0.2)).to_event(1)


def refined(model, rows, key=0, **options) -> Any:
    """Refined importance sampling from the far guide."""
    return Refined(**options)(Pair(model, Far()), rows, key=jax.random.key(key))


def rows_of(x, first=100):
    return Datum(np.asarray(x, float), index=np.arange(first, first + len(x), dtype=np.int32))


def some(num):
    return rows_of(np.random.default_rng(3).normal(size=(num, 3)))


# Every row of bits, twice: fits go in blocks of sixteen, and one program serves all numbers of rows.
BITS = rows_of([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)] * 2)


def by_quadrature():
    """log p(x) of the rows of bits, on a grid."""
    z = np.linspace(-9, 9, 601)
    grid = np.stack(np.meshgrid(z, z, indexing="ij"), axis=-1).reshape(-1, 2)
    logits = 2 * grid @ LOADING.T
    weight = scipy.stats.norm.pdf(grid).prod(axis=1) * (z[1] - z[0]) ** 2
    p = 1 / (1 + np.exp(-logits))
    return np.log([weight @ np.where(x > 0, p, 1 - p).prod(axis=1) for x in BITS.x])


@pytest.fixture(scope="module")
def known():
    found = by_quadrature()
    np.testing.assert_allclose(np.exp(found[:8]).sum(), 1, rtol=1e-9)
    return found


def test_where_the_posterior_is_a_gaussian_the_weights_are_constant(float64):
    rows = some(19)
    covariance = LOADING @ LOADING.T + 0.49 * np.eye(3)
    found = refined(Linear(), rows, num_particles=50)
    normal: Any = scipy.stats.multivariate_normal
    exact = normal(np.zeros(3), covariance).logpdf(rows.x)
    np.testing.assert_allclose(found.log_evidence.values, exact, atol=1e-6)
    np.testing.assert_allclose(found.elbo.values, exact, atol=1e-6)
    assert found.converged.all()
    assert found.share_unreliable == 0
    assert np.isneginf(found.khat).all()
    np.testing.assert_array_equal(found.log_evidence.index, rows.index)


def by_nodes(model, rows, **options) -> Any:
    return RefinedQuadrature(**options)(Pair(model, Far()), rows, key=jax.random.key(0))


def test_nodes_around_a_gaussian_posterior_are_exact_and_their_error_is_none(float64):
    rows = some(19)
    found, other = (
        by_nodes(Linear(), rows, num_particles=9),
        refined(Linear(), rows, num_particles=50),
    )
    np.testing.assert_allclose(found.log_evidence.values, other.log_evidence.values, atol=1e-6)
    np.testing.assert_allclose(found.errors, 0, atol=1e-6)
    assert (found.log_evidence.side, found.num_particles) == ("none", 9)


def test_more_nodes_are_nearer_and_the_error_covers_what_is_left(known, float64):
    off = []
    for nodes in (5, 9, 40):
        found = by_nodes(Bits(), BITS, num_particles=nodes**2)
        off.append(np.abs(found.log_evidence.values - known))
        assert (off[-1] < found.errors + 1e-9).all()
    assert off[0].max() > 5 * off[1].max() > 25 * off[2].max()


def test_rows_alike_are_known_no_better_together_by_nodes(known, float64):
    """What a rule misses of one row it misses of each: no mean over rows makes it less."""
    found = by_nodes(Bits(), rows_of(np.repeat(BITS.x[5:6], 50, axis=0)), num_particles=25)
    off = abs(found.log_evidence.value - known[5])
    assert found.errors.mean() / 7 < off < found.log_evidence.mc_error + 1e-9
    assert found.log_evidence.mc_error == pytest.approx(found.errors.mean())
    assert found.log_evidence.data_error == pytest.approx(0, abs=1e-6)
    apart = by_nodes(Bits(), BITS, num_particles=25).log_evidence
    assert apart.data_error == pytest.approx(apart.values.std(ddof=1) / 4)


def test_a_grid_of_too_many_dimensions_or_too_few_points_is_refused():
    with pytest.raises(InputError, match=r"at least 3 nodes for each of 2 latents, got 8 points"):
        by_nodes(Linear(), BITS, num_particles=8)
    with pytest.raises(InputError, match=r"at most 8 latents, whose grid .*, got 9\. Try refined"):
        RefinedQuadrature()._nodes(9)


def test_the_estimate_is_within_its_error_of_the_quadrature(known, float64):
    found = refined(Bits(), BITS, num_particles=4000)
    error, spread = found.log_evidence.values - known, np.sqrt(1 / found.ess - 1 / 4000)
    assert (np.abs(error) < 5 * spread).all()
    assert spread.max() < 0.02
    assert abs(error.mean()) < 5 * np.sqrt(np.mean(spread**2) / 16)
    assert found.converged.all()
    # The guide that it starts from is of no use for as many draws.
    start: Any = importance_sampling(
        Pair(Bits(), Far()), BITS, key=jax.random.key(0), num_particles=4000
    )
    assert start.share_unreliable > 0.5 > found.share_unreliable
    assert start.log_evidence.value < known.mean() - 0.1


def test_the_weights_are_unbiased_for_the_evidence(known, float64):
    rows = rows_of(np.repeat(BITS.x, 30, axis=0))
    found = refined(Bits(), rows, key=1, num_particles=8)
    ratios = np.exp(found.log_evidence.values - np.repeat(known, 30))
    error = ratios.std(ddof=1) / math.sqrt(len(ratios))
    assert abs(ratios.mean() - 1) < 5 * error
    assert abs(1.05 * ratios.mean() - 1) > 5 * error  # a density that is off by 5 %
    assert found.log_evidence.side == "lower"


def test_a_funnel_is_flagged(float64):
    rows = some(4)
    found = refined(Funnel(), rows, num_particles=500)
    assert (found.unreliable | ~found.converged).all()
    assert "unreliable" in found.log_evidence.flags
    assert math.isnan(found.log_evidence.mc_error)


def test_an_ascent_that_ran_out_of_steps_says_so_and_stays_a_bound(known, float64, monkeypatch):
    class Stopped(Bits):  # of its own, so that no program that takes all steps serves it
        pass

    monkeypatch.setattr("taut.inference.amortized.row_gaussians._MOST_STEPS", 1)
    found = refined(Stopped(), BITS, num_particles=500)
    assert not found.converged.any()
    assert found.log_evidence.value < known.mean() + 0.01


def test_blocks_change_no_row(float64, monkeypatch):
    rows = some(19)
    whole = row_gaussians(Bits(), Far(), rows, key=jax.random.key(0))
    monkeypatch.setattr("taut.inference.amortized.row_gaussians._BLOCK_ROWS", 3)
    parts = row_gaussians(Bits(), Far(), rows, key=jax.random.key(0))
    np.testing.assert_allclose(whole.guide.table, parts.guide.table, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(whole.converged, parts.converged)


@pytest.mark.parametrize("method", [Refined, RefinedAnnealed, RefinedQuadrature])
@pytest.mark.parametrize(
    ("model", "guide", "words"),
    [
        (Linear(), ExponentialGuide.at(1.0), "without a bound"),
        (Linear(), lambda d: dist.Bernoulli(jnp.full(2, 0.5)).to_event(1), "discrete"),
        (Linear(), lambda d: dist.Normal(jnp.zeros(999), 1.0).to_event(1), "at most 256 latents"),
    ],
)
def test_what_no_gaussian_fits_is_refused_by_the_name_of_the_method(model, guide, words, method):
    with pytest.raises(InputError, match=f"^{method.name}: expected") as raised:
        method()(Pair(model, guide), some(2), key=jax.random.key(0))
    assert words in str(raised.value)
    assert "Try importance" in str(raised.value)


def test_a_chain_of_layers_is_refused():
    x = np.random.default_rng(0).normal(size=(30, 2))
    fit = taut.fit(x, model="flow", layers="affine-coupling:1", hidden=(3,), epochs=1)
    with pytest.raises(InputError, match="chain of layers"):
        fit.evaluate(x, method="refined")


def pairs_of_bits():
    x = (np.random.default_rng(0).random((400, 12)) < 0.3).astype(np.float32)
    x[:, 6:] = x[:, :6]
    return x


def fitted(epochs) -> Any:
    return taut.fit(
        pairs_of_bits(), model="vae", latent_dim=6, hidden=(16,), epochs=epochs,
        evidence_particles=100, key=3,
    )  # fmt: skip


@pytest.fixture(scope="module")
def barely():
    """A fit of two epochs."""
    return fitted(2)


def test_a_fit_ends_with_the_cheapest_number_that_is_not_flagged(barely):
    long = fitted(150)
    found = long.estimates["log_evidence"]
    assert long.facts.evidence_method == "refined"
    # What training took allows it, and the encoder alone is flagged.
    assert "unreliable" not in found.flags
    assert found.mc_error < 0.05
    test = taut.load_data(pairs_of_bits()).test
    assert long.evaluate(test, num_particles=100).share_unreliable > 0.05
    assert barely.facts.evidence_method == "importance"


@pytest.mark.parametrize(("draws", "tried"), [(24, False), (25, True)])
def test_draws_too_few_for_a_khat_are_not_refined_in_vain(draws, tried, monkeypatch):
    asked = []
    refine = Refined.__call__
    monkeypatch.setattr(
        Refined,
        "__call__",
        lambda self, *of, **named: asked.append(1) or refine(self, *of, **named),
    )
    taut.fit(
        pairs_of_bits(), model="vae", latent_dim=6, hidden=(16,), epochs=150,
        evidence_particles=draws, key=1,
    )  # fmt: skip
    assert bool(asked) is tried


def test_rows_without_numbers_are_served(barely):
    found = barely.evaluate(pairs_of_bits()[:5], method="refined", num_particles=100)
    assert np.isfinite(found.log_evidence.values).all()
    assert found.log_evidence.count == 5
