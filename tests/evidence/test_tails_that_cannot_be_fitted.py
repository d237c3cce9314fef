"""What is said of weights without a tail, and of those whose tail cannot be fitted."""

import math

import numpy as np
import pytest

from taut.evidence import khat_threshold
from taut.evidence.weights import summarize

K = 1000
DRAWS = np.random.default_rng(0)
NONE = -math.inf
# Weights -> their k-hat where it is known to be -inf, or NaN.
TAILS = {
    "equal": (np.ones(K), NONE),
    "equal up to rounding": (np.exp(1e-6 * DRAWS.standard_normal(K)), NONE),
    "one in ten thrice the others": (np.where(np.arange(K) % 10, 1.0, 3.0), NONE),
    "half of them nothing": (np.where(np.arange(K) % 2, 0.0, 1.0), NONE),
    "ten thrice the others": (np.where(np.arange(K) % 100, 1.0, 3.0), math.nan),
    "twenty thrice the others": (np.where(np.arange(K) % 50, 1.0, 3.0), NONE),
    "twenty thrice, and one more": (
        np.append(np.where(np.arange(K) % 50, 1.0, 3.0), 9.0),
        math.nan,
    ),
    "too few": (DRAWS.exponential(size=24), math.nan),
    "few, equal": (np.ones(5), NONE),
    "nothing": (np.zeros(K), math.nan),
    "one not a number": (np.where(np.arange(K), 1.0, math.nan), math.nan),
    "one without end": (np.where(np.arange(K), 1.0, math.inf), math.nan),
}


@pytest.mark.parametrize("name", TAILS)
def test_equal_weights_have_no_tail_and_an_unknown_one_is_not_reliable(name):
    weights, khat = TAILS[name]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = summarize(np.log(weights)[None])
    np.testing.assert_equal(found.khat[0], khat)
    assert (found.khat[0] <= khat_threshold(len(weights))) == (khat == NONE)
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
