"""Intervals of +- 1.96 errors hold the evidence where few draws show little of the variance of weights.

Log-normal weights of mean 1, whose variance exp(s^2) - 1 is known: of a hundred draws the largest are
often missing, and then mean and empirical variance are small together. Of few runs the spread is known
badly, and intervals are Student's.
"""

import math

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from taut.evidence import evidence_of_runs, quasi_monte_carlo, weighted_moments
from taut.evidence.annealed import annealed_columns
from taut.evidence.draws import RowDraws
from taut.evidence.weights import log_normal_error, summarize
from taut.inference.posterior import refinement
from taut.inference.posterior.tempered_draws import RUNS, TemperedDraws
from taut.models.program import LogJoint, NamedValues

SETS = 2000
CHANCE = 5 * math.sqrt(0.95 * 0.05 / SETS)
CASES = [(100, 0.5), (100, 2.0), (100, 3.0), (200, 2.0), (1000, 3.0)]


def log_normal(count, variance):
    noise = np.random.default_rng(count).standard_normal((SETS, count))
    return math.sqrt(variance) * noise - variance / 2


def share_held(log_evidence, error):
    return np.mean(np.abs(log_evidence) <= 1.96 * error)


@pytest.mark.parametrize(("count", "variance"), CASES)
def test_chains_whose_weights_are_log_normal(count, variance):
    log_w = log_normal(count, variance)
    found = annealed_columns(RowDraws(log_w, log_w, None, np.zeros(len(log_w))), jnp.ones(SETS))
    error = found["log_evidence_error"]
    assert share_held(found["log_evidence"], error) > 0.95 - CHANCE
    # In the middle of the sets the error is the known one, no larger than it need be.
    known = math.sqrt(math.expm1(variance) / count)
    assert np.median(error) == pytest.approx(known, rel=0.12)
    # With the variance of the draws alone they do not hold it, where it is large.
    alone = summarize(log_w)
    assert (share_held(alone.log_evidence, alone.error) < 0.95 - CHANCE) == (variance > 1)


def test_draws_that_explain_nothing_say_nothing_of_the_others():
    log_w = log_normal(100, 0.5)[:4]
    log_w[:, ::2] = -math.inf
    np.testing.assert_array_equal(log_normal_error(log_w), 0.0)


def test_no_error_is_above_that_of_one_draw_that_carries_all():
    log_w = 1e4 * log_normal(100, 1.0)[:4]
    np.testing.assert_allclose(log_normal_error(log_w), 1.0)


@pytest.mark.parametrize("randomisations", [4, 16])
def test_few_randomisations(randomisations):
    """Of which each has a mean of many points, normal and with a small spread."""
    means = 0.05 * np.random.default_rng(1).standard_normal((SETS, randomisations))
    log_w = np.log1p(means)[:, :, None].repeat(2, axis=2).reshape(SETS, -1)
    found = quasi_monte_carlo._columns(
        RowDraws(log_w, log_w, None, np.zeros(len(log_w))), (randomisations, 2)
    )
    held = share_held(found["log_evidence"], found["log_evidence_error"])
    assert abs(held - 0.95) < CHANCE
    assert share_held(found["log_evidence"], summarize(np.log1p(means)).error) < held - 0.015


MANY = 40_000
NEARLY = 5 * math.sqrt(
    0.95 * 0.05 / MANY
)  # Student's t of 16 runs and the normal differ by four times it


@pytest.mark.parametrize("runs", [4, RUNS])
def test_the_evidence_of_few_runs(runs):
    log_evidence = np.log1p(0.01 * np.random.default_rng(2).standard_normal((MANY, runs)))
    found = evidence_of_runs(log_evidence)
    assert abs(share_held(found.log_evidence, found.error) - 0.95) < NEARLY
    assert share_held(found.log_evidence, summarize(log_evidence).error) < 0.95 - 3 * NEARLY


@pytest.mark.parametrize("runs", [4, RUNS])
def test_the_moments_of_few_runs(runs):
    """Of draws whose runs differ, the same in each, as chains that hardly move leave them."""
    means = np.random.default_rng(3).standard_normal((runs, MANY)).repeat(2, axis=0)
    found = weighted_moments(means, runs=runs, probabilities=())
    assert abs(share_held(found.mean, found.mean_error) - 0.95) < NEARLY


def test_the_evidence_of_tempered_runs():
    """Its interval is that of a t-test of the runs' estimates."""
    program, datum = LogJoint.of(lambda z: -0.5 * z**2, {"z": "real"}, {})
    z = 0.01 * np.random.default_rng(4).standard_normal(RUNS)
    shares = (1 + z) / np.sum(1 + z)
    drawn = TemperedDraws(
        np.ones((RUNS, 1)), shares, np.log1p(z), 1.0, 0.9, 0.0, 0.1, 1.0, np.zeros(2), 5
    )
    values = NamedValues.of(program, datum)
    found = refinement._judged(drawn, values, 1000, "")[0].log_evidence
    low, high = scipy.stats.ttest_1samp(1 + z, 0.0).confidence_interval(0.95)
    assert found.value == pytest.approx(math.log1p(z.mean()))
    reach = 0.5 * (high - low) / (1 + z.mean())
    assert reach > 2.1 * z.std(ddof=1) / math.sqrt(RUNS)
    assert 1.959964 * found.mc_error == pytest.approx(reach, rel=1e-6)
