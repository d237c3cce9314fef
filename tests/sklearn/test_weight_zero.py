"""A row of weight 0 is as good as not there, whatever its cells are."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from taut.sklearn import FactorModel, Mixture

GENERATOR = np.random.default_rng(3)
NUMBERS = np.column_stack([GENERATOR.normal(size=(40, 3)), np.full(40, 7.0)])
CODES = np.column_stack([GENERATOR.integers(0, 2, (40, 3)), np.ones(40)]).astype(float)
TABLE = pd.DataFrame({
    "size": np.exp(2 * NUMBERS[:, 0]),
    "color": np.where(CODES[:, 1] > 0, "red", "blue"),
})  # fmt: skip
TEACHERS = [
    (0, Mixture(2, n_init=1), NUMBERS, [1e6, np.nan, 0.5, 3.0]),
    (17, Mixture(1, covariance_type="diag", n_init=1, floor=1e-3), NUMBERS, [1e6, 2, 0.5, np.nan]),
    (0, Mixture(2, columns="codes", n_init=1), CODES, [9, -1, 0.5, 4]),
    (17, Mixture(2, columns="mixed", n_init=1), TABLE, [-4.0, "green"]),
    (17, FactorModel(1, model="fa"), NUMBERS, [1e6, 3, np.nan, 5.0]),
    (0, FactorModel(model="ppca"), NUMBERS, [1e6, 3, np.nan, 5.0]),
]


def with_row(rows: Any, place: int, row: list[Any]) -> Any:
    if isinstance(rows, pd.DataFrame):
        more = pd.DataFrame([row], columns=rows.columns)
        return pd.concat([rows[:place], more, rows[place:]], ignore_index=True)
    return np.insert(rows, place, row, axis=0)


@pytest.mark.parametrize(("place", "estimator", "rows", "row"), TEACHERS)
def test_it_teaches_nothing(place: int, estimator: Any, rows: Any, row: list[Any]):
    weight = GENERATOR.integers(1, 3, len(rows)).astype(float)
    quick: Any = clone(estimator)
    quick.set_params(max_iter=3, random_state=0)
    first: Any = clone(quick)
    wanted = first.fit(rows, sample_weight=weight)
    found = quick.fit(with_row(rows, place, row), sample_weight=np.insert(weight, place, 0))
    own: Any = found.fit_
    assert own.schema == wanted.fit_.schema
    for one, other in zip(
        jax.tree.leaves(own.pair), jax.tree.leaves(wanted.fit_.pair), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    spent = {"training_seconds": 0.0, "evaluation_seconds": 0.0}
    assert replace(own.facts, **spent) == replace(wanted.fit_.facts, **spent)
    assert own.history == wanted.fit_.history


def test_it_scores_nothing_where_it_is_impossible():
    fitted = Mixture(1, covariance_type="diag", n_init=1, max_iter=2).fit(NUMBERS)
    impossible = with_row(NUMBERS, 5, [1e200, 0.0, 0.0, 7.0])
    assert fitted.score(impossible) == -np.inf
    weight = np.insert(np.ones(len(NUMBERS)), 5, 0.0)
    assert fitted.score(impossible, sample_weight=weight) == pytest.approx(fitted.score(NUMBERS))


def test_codes_of_rows_that_count_are_named_by_their_place_among_all():
    rows = with_row(with_row(CODES, 3, [-1, 0, 0, 0]), 9, [0, 0.5, 0, 0])
    weight = np.ones(len(rows))
    weight[3] = 0
    with pytest.raises(ValueError, match=r"X, row 9, column 1: .*got 0\.5"):
        Mixture(2, columns="codes").fit(rows, sample_weight=weight)
