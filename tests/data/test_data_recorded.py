"""Columns whose values are likely to come up again, and the nearest of them."""

import numpy as np
import pytest

from taut.data import nearest_of, recorded_values

RNG = np.random.default_rng(0)
N = 2_000


def few(number: int) -> np.ndarray:
    return RNG.choice([1.0, 2.0, 5.0, 5.5], number)


def ages(number: int) -> np.ndarray:
    return RNG.integers(18, 90, number).astype(float)


def gains(number: int) -> np.ndarray:
    return np.where(RNG.random(number) < 0.98, 0.0, RNG.exponential(5.0, number))


def spiked(number: int) -> np.ndarray:
    return np.where(RNG.random(number) < 0.5, 0.0, RNG.exponential(5.0, number))


def smooth(number: int) -> np.ndarray:
    return RNG.normal(size=number)


@pytest.mark.parametrize("drawn", [few, ages, gains, spiked, smooth])
def test_values_are_recorded_where_other_rows_have_them(drawn):
    column, others = drawn(N), drawn(20_000)
    new = np.mean(~np.isin(others, column))
    assert abs(new - 0.05) > 0.01  # five standard errors of it away from where it is decided
    found = recorded_values(np.where(RNG.random(N) < 0.1, np.nan, column))
    assert len(found) == 0 if new > 0.05 else set(found) <= set(column)
    assert (len(found) > 0) == (new < 0.05)
    assert (np.diff(found) > 0).all()


def test_a_column_of_which_nothing_is_known_has_no_values():
    assert len(recorded_values(np.full(5, np.nan))) == 0


def test_the_nearest_is_found_by_comparing_all():
    values, cells = np.sort(RNG.normal(size=7)), RNG.normal(scale=2.0, size=(30, 4))
    wanted = values[np.abs(cells[..., None] - values).argmin(axis=-1)]
    np.testing.assert_array_equal(nearest_of(values, cells), wanted)
    np.testing.assert_array_equal(nearest_of(values[:1], cells), np.full((30, 4), values[0]))
    assert nearest_of(np.array([0.0, 1.0]), np.array([0.5])).tolist() == [0.0]
