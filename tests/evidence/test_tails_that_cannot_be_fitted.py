"""What is said of weights without a tail, and of those whose tail cannot be fitted."""

import math

import numpy as np
import pytest

from taut.evidence import khat_threshold
from taut.evidence.weights import summarize

K = 1000
DRAWS = np.random.default_rng(0)
NONE = -math.inf
KEPT = 0.5  # no k-hat is above it
# Weights -> their k-hat where it is known to be -inf, or cannot be known.
TAILS = {
    "equal": (np.ones(K), NONE),
    "equal up to rounding": (np.exp(1e-6 * DRAWS.standard_normal(K)), NONE),
    "one in ten thrice the others": (np.where(np.arange(K) % 10, 1.0, 3.0), NONE),
    "half of them nothing": (np.where(np.arange(K) % 2, 0.0, 1.0), NONE),
    "ten thrice the others": (np.where(np.arange(K) % 100, 1.0, 3.0), KEPT),
    "three six times the others": (np.where(np.arange(K) % 400, 1.0, 6.0), math.nan),
    "three twice the others": (np.where(np.arange(K) % 400, 1.0, 2.0), NONE),
    "ten a thousand times the others": (np.where(np.arange(K) % 100, 1.0, 1000.0), math.inf),
    "one a thousand times the others": (np.append(np.ones(K), 1000.0), math.inf),
    "twenty thrice the others": (np.where(np.arange(K) % 50, 1.0, 3.0), KEPT),
    "twenty thrice, and one more": (np.append(np.where(np.arange(K) % 50, 1.0, 3.0), 9.0), KEPT),
    "twenty thrice, and one that carries all": (
        np.append(np.where(np.arange(K) % 50, 1.0, 3.0), 900.0),
        math.inf,
    ),
    "too few": (DRAWS.exponential(size=24), math.nan),
    "few, equal": (np.ones(5), NONE),
    "nothing": (np.zeros(K), math.nan),
    "one not a number": (np.where(np.arange(K), 1.0, math.nan), math.nan),
    "one without end": (np.where(np.arange(K), 1.0, math.inf), math.nan),
}


@pytest.mark.parametrize("name", TAILS)
def test_weights_that_tie_have_no_heavy_tail_and_an_unknown_one_is_not_reliable(name):
    weights, khat = TAILS[name]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = summarize(np.log(weights)[None])
    if khat == KEPT:
        assert found.khat[0] <= KEPT
    else:
        np.testing.assert_equal(found.khat[0], khat)
    assert (found.khat[0] <= khat_threshold(len(weights))) == (khat in (NONE, KEPT))
    if name.startswith(("equal", "few")):
        assert found.ess[0] == pytest.approx(len(weights))
        assert found.log_evidence[0] == pytest.approx(0, abs=1e-6)
        assert found.halves[0] < 1e-6


def test_halves_differ_by_as_much_as_other_draws_would():
    """Exponential weights: the log of a mean of 500 has variance 1 / 500, a difference twice that."""
    log_w = np.log(np.random.default_rng(1).exponential(size=(4000, K)))
    halves = summarize(log_w).halves
    expected = math.sqrt(2 / 500)
    assert abs(np.sqrt(np.mean(halves**2)) / expected - 1) < 5 / math.sqrt(2 * 4000)
    with pytest.raises(AssertionError):
        assert abs(np.sqrt(np.mean(halves**2)) / math.sqrt(2 / K) - 1) < 5 / math.sqrt(2 * 4000)


def lomax(shape, size):
    """Draws of a Pareto tail from 0, whose mean is 1 / (1 - shape)."""
    return np.expm1(-shape * np.log(np.random.default_rng(2).uniform(size=size))) / shape


def test_a_heavy_tail_of_weights_that_hardly_vary_does_not_matter_and_is_part_of_the_error():
    """w = 1 + s t, t of shape 0.75: E[w] = 1 + s / 0.25. The error of draws alone is that of a variance
    that there is not."""
    excess, threshold = lomax(0.75, (1000, K)), khat_threshold(K)
    heavy = summarize(np.log(excess)).khat > threshold
    little, much = (summarize(np.log1p(s * excess)) for s in (1e-3, 1.0))
    excused = heavy & (little.khat <= threshold)
    assert excused.sum() > heavy.sum() / 3 > 100
    off = np.abs(little.log_evidence - np.log1p(1e-3 / 0.25))[excused]
    assert off.max() < 0.01
    assert np.mean(off <= 1.96 * little.error[excused]) > 0.95
    # Of the same shape where it matters none is excused.
    np.testing.assert_array_equal(much.khat > threshold, heavy)


def test_a_tail_without_a_mean_matters_however_small_it_is():
    found = summarize(np.log1p(1e-4 * lomax(1.6, (200, K))))
    assert np.mean(found.khat > khat_threshold(K)) > 0.95
