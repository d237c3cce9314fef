"""Bands of distribution functions: their simultaneous level, by simulation and by counting."""

import numpy as np
import pytest
from scipy.stats import binomtest

from taut.audit.uniformity import TIMES, band, uniform_p_value


def functions(numbers):
    """F at `TIMES`, of each row."""
    return np.stack([np.searchsorted(np.sort(u), TIMES, side="right") for u in numbers]) / len(
        numbers[0]
    )


@pytest.mark.parametrize("num", [20, 300])
@pytest.mark.parametrize("level", [0.05, 0.4])
def test_uniform_numbers_leave_the_band_as_often_as_it_says(num, level):
    """Counts are whole: the level is met from below, by little."""
    made = functions(np.random.default_rng(num).uniform(size=(4000, num)))
    limits = band(num, level)
    outside = int(((made < limits.low) | (made > limits.high)).any(axis=1).sum())
    assert binomtest(outside, 4000, level, alternative="greater").pvalue > 1e-6
    assert binomtest(outside, 4000, 0.75 * level, alternative="less").pvalue > 1e-6


def test_one_number_leaves_as_often_as_counting_says():
    """Of one number the counts are 0 or 1: it leaves where it is near an end."""
    assert uniform_p_value(np.array([0.5])) == 1.0
    # Within 1/64 of an end the first count is 1, or the last one 0: two places of 1/64 each.
    assert uniform_p_value(np.array([0.01])) == pytest.approx(2 / 64, abs=1e-12)
    assert uniform_p_value(np.array([0.99])) == pytest.approx(2 / 64, abs=1e-12)


def test_p_values_of_uniform_numbers_are_no_smaller_than_uniform():
    numbers = np.random.default_rng(1).uniform(size=(300, 100))
    found = np.array([uniform_p_value(u) for u in numbers])
    for level in (0.01, 0.1, 0.5):
        below = int((found <= level).sum())
        assert binomtest(below, 300, level, alternative="greater").pvalue > 1e-6


def test_the_verdict_is_that_of_the_band():
    """Numbers have a p-value of at most the level where they leave its band, and there alone."""
    numbers = np.random.default_rng(2).beta(1.15, 1.15, size=(200, 200))
    limits, made = band(200, 0.05), functions(numbers)
    leaves = ((made < limits.low) | (made > limits.high)).any(axis=1)
    np.testing.assert_array_equal([uniform_p_value(u) <= 0.05 for u in numbers], leaves)
    assert 0 < leaves.sum() < 200


def test_numbers_far_from_uniform_have_a_p_value_of_nothing():
    assert uniform_p_value(np.full(5000, 0.25)) < 1e-9
