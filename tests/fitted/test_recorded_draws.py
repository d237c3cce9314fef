"""Draws of recorded values are those of the mixture whose draws are rounded to them."""

import numpy as np
import pytest
from scipy.stats import norm

import taut
from taut.core import InputError

RNG = np.random.default_rng(5)
LEVELS = np.array([0.0, 1.0, 4.0])
RATING = LEVELS[RNG.integers(0, 3, 600)]
ROWS = np.column_stack([RATING, RATING + RNG.normal(scale=0.8, size=600)])
DATA = taut.load_data(ROWS, dtype=np.float64)
DRAWS = 20_000


@pytest.fixture(scope="module")
def fit() -> taut.Fit:
    return taut.em(DATA, components=1, restarts=1)


def test_a_level_has_the_mass_of_what_is_nearest_to_it(fit):
    hidden = np.array([[np.nan, 2.2]])
    found = fit.impute(hidden, draws=DRAWS)
    drawn = found.recorded(DATA.train).draws[:, 0, 0]
    edges = np.array([-np.inf, 0.5, 2.5, np.inf])
    mass = np.diff(norm.cdf(edges, found.mean[0, 0], found.deviation[0, 0]))
    error = np.sqrt(mass * (1 - mass) / DRAWS)
    shares = np.array([(drawn == level).mean() for level in LEVELS])
    assert (np.abs(shares - mass) < 5 * error).all()
    assert shares.sum() == 1
    planted = np.diff(norm.cdf(edges, found.mean[0, 0], 1.1 * found.deviation[0, 0]))
    assert (np.abs(shares - planted) > 5 * error).any()


def test_other_columns_observed_cells_and_moments_stay(fit):
    holes = np.array([[np.nan, 1.0], [2.7, np.nan], [np.nan, np.nan]])
    found = fit.impute(holes, draws=5)
    moved = found.recorded(DATA.train)
    assert (moved.draws[:, 1, 0] == 2.7).all()  # no level, and not asked for
    np.testing.assert_array_equal(moved.draws[..., 1], found.draws[..., 1])
    assert np.isin(moved.draws[:, [0, 2], 0], LEVELS).all()
    for name in ("mean", "mode", "deviation"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(found, name))
    again = found.recorded(DATA.train.x)
    np.testing.assert_array_equal(again.draws, moved.draws)


def test_missing_cells_have_no_value(fit):
    seen = RNG.random(600) < 0.5
    few = taut.load_data(
        np.where(seen[:, None], ROWS, np.nan)[seen | (np.arange(600) < 20)], dtype=np.float64
    )
    drawn = fit.impute(np.array([[np.nan, 1.0]]), draws=50).recorded(few.train).draws
    assert np.isin(drawn[:, 0, 0], LEVELS).all()


def test_rows_of_another_form_are_refused(fit):
    found = fit.impute(np.array([[np.nan, 1.0]]), draws=1)
    with pytest.raises(
        InputError, match=r"recorded: expected rows of the shape \(2,\), of a table"
    ):
        found.recorded(np.zeros((4, 3)))
