"""Columns that follow from one another, against relations that are known."""

import numpy as np
import pytest

from taut.data import dependent_columns

A, B, C, D = np.random.default_rng(0).normal(size=(4, 100))
DUMMIES = np.eye(3)[np.arange(100) % 3].T


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ((A, B, C, D), ()),
        ((A, B, A + B, C), (0, 1, 2)),
        ((1e6 * A, C, A + 5, D), (0, 2)),
        ((A, *DUMMIES), (1, 2, 3)),
        ((A, C, np.round(A + C, 3), D), (0, 1, 2)),
        ((A, A + 0.1 * B, C), ()),  # an R^2 of 0.99
        ((np.full(100, 0.1), A, A, B), (1, 2)),
        ((A, 1e8 + A, B), (0, 1)),
    ],
)
def test_those_of_a_relation_and_no_other(columns, found):
    assert dependent_columns(np.stack(columns, axis=1)) == found


def test_too_few_rows_tell_nothing():
    assert dependent_columns(np.random.default_rng(0).normal(size=(10, 9))) == ()
