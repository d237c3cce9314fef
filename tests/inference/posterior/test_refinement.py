"""Where a guide does not suffice draws are moved to the posterior, and the verdict is about them."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from jax.scipy.stats.norm import logpdf as normal_log_prob

import taut
from taut.core import InputError, as_key
from taut.core.compiling import quick_jit
from taut.evidence import SquareTails, hmc, weighted_moments
from taut.inference.posterior import (
    Gaussian,
    PosteriorOptions,
    fit_posterior,
    refinement,
    tempered_chains,
)
from taut.inference.posterior.overdispersed import Overdispersed
from taut.inference.posterior.tempered_draws import RUNS, TemperedDraws
from taut.inference.posterior.tempered_verdict import judge_tempered
from taut.inference.posterior.verdict import BELIEVE, DOUBT
from taut.models.program import LogJoint

CORRELATION, MEAN, SD = 0.99, np.array([1.0, -2.0]), np.array([0.5, 3.0])
COVARIANCE = np.outer(SD, SD) * np.array([[1, CORRELATION], [CORRELATION, 1]])
SUPPORT = {"z": ("real", 2)}
EVIDENCE = 1.25  # log p(x)
QUICK = {"guide": "mean-field", "num_starts": 1, "num_draws": 2000}


def correlated(z, mean, precision, constant):
    return constant - 0.5 * (z - mean) @ precision @ (z - mean)


DATA = {
    "mean": MEAN,
    "precision": np.linalg.inv(COVARIANCE),
    "constant": EVIDENCE - 0.5 * math.log((2 * math.pi) ** 2 * np.linalg.det(COVARIANCE)),
}


@pytest.fixture(scope="module")
def refined():
    return taut.infer(correlated, data=DATA, support=SUPPORT, **QUICK)


@pytest.fixture(scope="module")
def unrefined():
    return taut.infer(correlated, data=DATA, support=SUPPORT, refine="none", **QUICK)


def test_a_guide_that_does_not_suffice_is_refined(refined, unrefined):
    assert unrefined.verdict.verdict == DOUBT
    assert unrefined.refined is None
    assert refined.verdict.verdict == BELIEVE, refined.verdict
    evidence, moments = refined.estimates["log_evidence"], refined.resampled
    assert abs(evidence.value - EVIDENCE) < 5 * evidence.mc_error < 0.5
    assert evidence.side == "lower"
    np.testing.assert_array_less(np.abs(moments.mean - MEAN), 5 * moments.mean_error)
    np.testing.assert_array_less(np.abs(moments.sd - SD), 5 * moments.sd_error)
    assert np.all(moments.mean_error < 0.1 * SD)


def test_what_is_said_of_the_guide_itself_stays(refined, unrefined):
    own = refined.num_guide
    assert own == unrefined.num_guide
    np.testing.assert_array_equal(refined.z[:own], unrefined.z[:own])
    assert refined.estimates["elbo"].value == unrefined.estimates["elbo"].value
    assert not refined.weights[:own].any()
    assert refined.weights.sum() == pytest.approx(1)
    assert refined.facts.num_draws == len(refined.weights) - own


def test_the_evidence_is_of_the_fit_s_own_draws_unless_others_are_asked_for(refined, unrefined):
    for posterior in (refined, unrefined):
        assert posterior.evidence() == posterior.estimates["log_evidence"]
    alone = refined.evidence(num_particles=300, key=1).value
    assert alone == unrefined.evidence(num_particles=300, key=1).value
    usual = unrefined.evidence(num_particles=10_000, key=1).value
    assert unrefined.evidence(key=1).value == usual


def test_refined_draws_are_saved_and_loaded(refined, tmp_path):
    loaded = taut.load(refined.save(tmp_path / "run"), like=correlated, data=DATA, support=SUPPORT)
    assert loaded.refined == refined.refined
    assert str(loaded.verdict) == str(refined.verdict)
    for which in ("raw", "resampled"):
        own, its = getattr(loaded, which), getattr(refined, which)
        for name in own._fields:
            np.testing.assert_allclose(getattr(own, name), getattr(its, name), 1e-9, err_msg=name)
    assert loaded.facts.num_draws == refined.facts.num_draws
    np.testing.assert_array_equal(loaded.draws(50)["z"], refined.draws(50)["z"])


def test_a_funnel_is_believed_within_its_errors_or_doubted():
    # The neck, where chains hardly get, has a part of the mass; v itself is Normal(0, 3).
    def funnel(v, x):
        return normal_log_prob(v, 0.0, 3.0) + jnp.sum(normal_log_prob(x, 0.0, jnp.exp(v / 2)))

    found = taut.infer(
        funnel, data={}, support={"v": "real", "x": ("real", 3)}, num_starts=1, num_draws=1000
    )
    moments = found.resampled
    right = abs(moments.mean[0]) < 0.3 and abs(moments.sd[0] / 3 - 1) < 0.15
    assert found.refined is not None
    assert found.verdict.verdict == DOUBT or right


def modes(z, share, place, scale):
    """Modes of sd 0.5 at -4 and of sd 1 at 4, and all of it moved: one compiled program."""
    y = (z - place) / scale
    near, far = normal_log_prob(y, -4.0, 0.5), normal_log_prob(y, 4.0, 1.0)
    return jnp.logaddexp(jnp.log(1 - share) + near, jnp.log(share) + far) - jnp.log(scale)


@pytest.mark.parametrize("num_starts", [1, 4])
def test_two_modes_have_their_masses_whichever_the_guide_is_at(num_starts):
    found = taut.infer(
        modes, data={"share": 0.75, "place": 0.0, "scale": 1.0}, support={"z": "real"},
        num_starts=num_starts, num_draws=6000,
    )  # fmt: skip
    assert found.verdict.verdict == BELIEVE, found.verdict
    (mean,), (error,) = found.resampled.mean, found.resampled.mean_error
    assert abs(mean - 2.0) < 5 * error < 1.0
    evidence = found.estimates["log_evidence"]
    assert abs(evidence.value) < 5 * evidence.mc_error < 0.5


def test_a_mode_far_away_is_found_by_wide_draws_or_nothing_is_believed():
    found = taut.infer(
        modes, data={"share": 0.5, "place": 6.0, "scale": 2.5}, support={"z": "real"},
        num_starts=1, num_draws=6000,
    )  # fmt: skip
    right = abs(found.resampled.mean[0] - 6.0) < 0.1 * 10.0
    assert found.refined is not None
    assert right or found.verdict.verdict == DOUBT


def test_little_mass_far_away_is_found_for_what_it_does_to_the_spread():
    """2 % of the mass ten sds away: an sd of 1.72 in place of 1."""

    def little(z):
        masses = jnp.log(jnp.array([0.98, 0.02]))
        return jax.nn.logsumexp(masses + normal_log_prob(z[0], jnp.array([-5.0, 5.0]))) + (
            normal_log_prob(z[1])
        )

    program, datum = LogJoint.of(little, {"z": ("real", 2)})
    options = PosteriorOptions(num_starts=1, refine="none", num_draws=10_000)
    found = fit_posterior(program, datum, options, key=as_key(0))
    assert found.resampled.sd[0] < 1.1  # the guide is at the larger mode
    for seed in range(40):
        missed = refinement.overlooked(found.candidate, found.draws, np.random.default_rng(seed))
        assert missed.mass < 0.1
        assert missed.spread > 0.15, seed


def test_a_mode_that_the_draws_of_the_guide_miss_by_chance_is_found():
    """5 % of the mass seven sds away, where a few of 10 000 draws are on average and sometimes none."""

    def narrow(z):
        masses = jnp.log(jnp.array([0.95, 0.05]))
        return jax.nn.logsumexp(
            masses + normal_log_prob(z, jnp.array([0.0, 7.0]), jnp.array([1.0, 0.3]))
        )

    program, datum = LogJoint.of(narrow, {"z": "real"})
    options = PosteriorOptions(num_starts=1, refine="none", num_draws=10_000)
    found = fit_posterior(program, datum, options, key=as_key(0))
    near = found.draws.z[:, 0] < 5.5
    assert np.sum(~near) < 10
    unlucky = found.draws._replace(z=found.draws.z[near], weights=found.draws.weights[near])
    generator = np.random.default_rng(1)
    noise = generator.normal(size=4000)
    exact = np.concatenate([noise[:3800], 7.0 + 0.3 * noise[3800:]])

    def missed(seed, chains=None):
        generator = np.random.default_rng(seed)
        return refinement.overlooked(found.candidate, unlucky, generator, chains=chains)

    for seed in range(10):
        assert 0.02 < missed(seed).mass < 0.1, seed
        assert missed(seed, ended(exact[:3800])).noticed, seed
        assert not missed(seed, ended(exact)).noticed, seed


def test_chains_in_the_mode_that_a_guide_misses_miss_nothing():
    """Half of the mass fifteen sds away, which the guide's own evidence does not count."""
    data = {"share": 0.5, "place": 0.0, "scale": 1 / 1.5}
    program, datum = LogJoint.of(modes, {"z": "real"}, data)
    options = PosteriorOptions(num_starts=1, refine="none", num_draws=4000)
    found = fit_posterior(program, datum, options, key=as_key(0))
    noise = np.random.default_rng(2).normal(size=4000)
    exact = np.concatenate([-4 + 0.5 * noise[:2000], 4 + noise[2000:]]) / 1.5
    assert found.draws.log_evidence.value < -0.3
    for seed in range(5):
        generator = np.random.default_rng(seed)
        missed = refinement.overlooked(found.candidate, found.draws, generator, chains=ended(exact))
        assert not missed.noticed, seed


def ended(z):
    weights = np.full(len(z), 1 / len(z))
    return TemperedDraws(z[:, None], weights, np.zeros(16), 1.0, 0.7, 0.0, 0.1, 1.0, np.zeros(2), 9)


def test_chains_that_miss_what_wide_draws_find_are_doubted(monkeypatch):
    monkeypatch.setattr(refinement, "overlooked", lambda *_, **__: refinement.Overlooked(0.0, 0.2))
    monkeypatch.setattr(refinement, "_ROUNDS", (1,))
    data = {**DATA, "precision": np.eye(2), "constant": -math.log(2 * math.pi)}
    found = taut.infer(
        correlated, data=data, support=SUPPORT, num_starts=1, num_draws=1000, refine="smc"
    )
    assert found.verdict.verdict == DOUBT
    assert "no chain ends" in str(found.verdict)


def test_smc_that_is_asked_for_refines_a_guide_that_suffices():
    data = {**DATA, "precision": np.eye(2), "constant": -math.log(2 * math.pi)}
    kinds = [
        taut.infer(
            correlated, data=data, support=SUPPORT, num_starts=1, num_draws=1000, refine=refine
        )
        for refine in ("smc", "auto", "none")
    ]
    assert [kind.refined is None for kind in kinds] == [False, True, True]
    assert {kind.verdict.verdict for kind in kinds} == {BELIEVE}
    for kind in kinds:  # the guide's own draws have no weight beside those that were moved
        assert kind.ess <= kind.facts.num_draws == np.count_nonzero(kind.weights)
    evidence = kinds[0].estimates["log_evidence"]
    assert abs(evidence.value) < 5 * evidence.mc_error
    np.testing.assert_array_equal(kinds[1].weights, kinds[2].weights)


def test_what_costs_too_much_is_left_out_unless_it_is_asked_for(monkeypatch, unrefined):
    monkeypatch.setattr(refinement, "_WORK", 1e3)
    found = taut.infer(correlated, data=DATA, support=SUPPORT, **QUICK)
    assert found.refined is None
    assert found.verdict == unrefined.verdict
    assert "refine 'smc'" in found.notes[-1]
    asked = taut.infer(correlated, data=DATA, support=SUPPORT, refine="smc", **QUICK)
    assert asked.refined is not None


def test_minibatches_cannot_be_refined():
    with pytest.raises(InputError, match='expected all rows at once with refine="smc"'):
        taut.infer(correlated, data=DATA, support=SUPPORT, refine="smc", subsample={"rows": 5})


def test_the_start_is_a_density_and_its_draws_have_it():
    start = Overdispersed.around(
        Gaussian(np.array([1.0]), np.array([[0.5]])),
        (Gaussian(np.array([-6.0]), np.array([[2.0]])),),
    )
    grid = np.linspace(-4000, 4000, 400_001)
    with jax.enable_x64(True):
        density = np.exp(np.asarray(jax.jit(jax.vmap(start.log_prob))(grid[:, None])))
    width = grid[1] - grid[0]
    assert density.sum() * width == pytest.approx(1, abs=1e-5)
    draws = start.sample(np.random.default_rng(0), 20_000)[:, 0]
    for place in (-10.0, -6.0, -1.0, 1.0, 3.0):
        share = density[grid < place].sum() * width
        error = math.sqrt(share * (1 - share) / len(draws))
        assert abs((draws < place).mean() - share) < 5 * error


def test_errors_of_dependent_draws_are_those_of_their_runs():
    # Runs of a value that is repeated know as much as the value alone, and are few.
    values = np.random.default_rng(0).normal(size=(40, 2))
    repeated = weighted_moments(np.repeat(values, 25, axis=0), np.full(1000, 1e-3), runs=40)
    alone = weighted_moments(values)
    few = scipy.stats.t(39).ppf(0.975) / scipy.stats.norm.ppf(0.975)
    scale = few * math.sqrt(40 / 39)
    np.testing.assert_allclose(repeated.mean_error, scale * alone.mean_error)
    np.testing.assert_allclose(repeated.sd_error, scale * alone.sd_error)
    median = weighted_moments(np.sort(values[:, :1], axis=0), runs=40, probabilities=(0.5,))
    ranked = np.sort(values[:, 0])
    e = few * 0.5 * math.sqrt(1 / 39)  # of half of the runs below
    wanted = np.diff(np.interp([0.5 - e, 0.5 + e], (np.arange(40) + 0.5) / 40, ranked)) / 2
    np.testing.assert_allclose(median.quantile_errors[0], wanted)


def drawn(**parts):
    usual = {
        "z": np.zeros((9984, 1)), "weights": np.full(9984, 1 / 9984), "log_evidence": np.zeros(RUNS),
        "ancestors": 0.3, "acceptance": 0.9, "stuck": 0.0, "khat": 0.2, "largest": 20.0,
        "drift": np.zeros(2), "temperatures": 5,
    }  # fmt: skip
    return TemperedDraws(**{**usual, **parts})


@pytest.mark.parametrize(
    ("parts", "measured", "word"),
    [
        ({}, {}, "16 runs of tempered SMC agree"),
        ({}, {"evidence_error": 0.11}, "leave an error of 0.11 nats"),
        ({}, {"evidence_error": math.nan}, "leave an error of nan nats"),
        ({}, {"ess": 899.0}, "899 effective draws, fewer than 900"),
        ({}, {"sd_error": 0.051}, "an sd is known to 5 %"),
        (
            {},
            {"khat": 0.51, "share": 0.02},
            "the sd of tau hangs on its largest draws: k-hat of the squares 0.51",
        ),
        ({}, {"khat": 0.51, "share": 0.019}, "16 runs of tempered SMC agree"),
        ({"drift": np.array([0.0, -4.0])}, {}, "a mean by 4.0 standard errors"),
        ({"drift": np.array([0.0, -2.0])}, {}, "16 runs of tempered SMC agree"),
        ({"stuck": 0.011}, {}, "1.1 % of the chains hardly move"),
        ({"khat": 0.71}, {}, "k-hat 0.71, above 0.70"),
        ({"khat": 0.71, "largest": 9.0}, {}, "16 runs of tempered SMC agree"),
        ({"ancestors": 0.019}, {}, "one run comes from 1.9 % of its start"),
    ],
)
def test_each_measure_of_the_runs_can_doubt_them(parts, measured, word):
    usual: dict[str, Any] = {"evidence_error": 0.05, "ess": 5000.0, "sd_error": 0.02} | measured
    squares = SquareTails(*(np.full(1, usual.pop(name, 0.03)) for name in ("khat", "share")))
    one, sd_error = np.ones(1), np.array([usual.pop("sd_error")])
    nothing = np.zeros((1, 3))
    moments = weighted_moments(np.zeros((2, 1)))._replace(
        sd=one, sd_error=sd_error, quantiles=nothing, quantile_errors=nothing
    )
    found = judge_tempered(
        drawn(**parts), moments=moments, threshold=0.7, remedy="x",
        squares=squares, names=("tau",), **usual,
    )  # fmt: skip
    assert word in str(found)
    assert (found.verdict == BELIEVE) == ("agree" in word)
    assert ("Try num_draws=39936, or x." in str(found)) == (found.verdict == DOUBT)


def test_transitions_without_the_metropolis_correction_are_caught(monkeypatch):
    monkeypatch.setattr(refinement, "_ROUNDS", (1,))

    # Leapfrog steps of s widen a Gaussian by 1 / sqrt(1 - s^2 / 4), and none is too long to be accepted.
    def misses() -> float:
        found = taut.infer(correlated, data=DATA, support=SUPPORT, **QUICK)
        moments = found.resampled
        return float(np.max(np.abs(moments.sd - SD) / moments.sd_error))

    assert misses() < 5

    def always(log_ratio, key):
        del key
        return jnp.isfinite(log_ratio), jnp.ones_like(log_ratio)

    monkeypatch.setattr(hmc, "metropolis", always)
    # A program of its own, beside that of the transitions that are right.
    again = quick_jit(tempered_chains._moved.__wrapped__, static=1)
    monkeypatch.setattr(tempered_chains, "_moved", again)
    assert misses() > 5


def test_an_sd_of_heavy_tails_hangs_on_its_largest_draws():
    """Student's t of 2.5 degrees has a variance, and squares that have none, which few draws hide."""

    def heavy(df):
        numpyro.sample("t", dist.StudentT(df, 0.0, 1e6))

    found = taut.infer(heavy, data={"df": 2.5}, key=0, num_draws=2000)
    assert found.verdict.verdict == DOUBT
    assert "the sd of t hangs on its largest draws" in str(found.verdict)
    # Weights of a guide may be even where the squares are not: the mean alone is known.
    alone = taut.infer(heavy, data={"df": 3.0}, key=3, refine="none")
    assert alone.khat <= alone.khat_threshold or alone.ess > 9000
    assert alone.verdict.verdict == DOUBT
    assert "the sd of t hangs on its largest draws" in str(alone.verdict)


def test_a_correlation_of_two_columns_is_believed():
    """Its factor holds a one, a zero and two cells that move together."""

    def program(y):
        tril = numpyro.sample("tril", dist.LKJCholesky(2, 1.0))
        numpyro.sample("y", dist.MultivariateNormal(jnp.zeros(2), scale_tril=tril), obs=y)

    y = np.random.default_rng(6).multivariate_normal(np.zeros(2), [[1.0, 0.7], [0.7, 1.0]], 15)
    found = taut.infer(program, data={"y": y}, num_starts=1, num_draws=2000, refine="smc")
    assert found.verdict.verdict == "believe", found.verdict
    r = np.linspace(-0.999, 0.999, 4001)
    squares = np.sum(y**2) - 2 * r * np.sum(y[:, 0] * y[:, 1])
    p = np.exp(-7.5 * np.log1p(-(r**2)) - 0.5 * squares / (1 - r**2) + 20)
    mean = p @ r / p.sum()
    place = found.coordinates.index("tril[1,0]")
    assert abs(found.resampled.mean[place] - mean) < 0.1 * found.resampled.sd[place]
