"""Intervals of +- 1.96 errors hold the evidence where few draws show little of the variance of weights.

Log-normal weights of mean 1, whose variance exp(s^2) - 1 is known: of a hundred draws the largest are
often missing, and then mean and empirical variance are small together.
"""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from taut.evidence import quasi_monte_carlo
from taut.evidence.annealed import annealed_columns
from taut.evidence.draws import RowDraws
from taut.evidence.weights import log_normal_error, summarize

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
