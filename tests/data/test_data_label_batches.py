"""Batches where few rows have a label: every one holds some, and weights make up for it."""

from fractions import Fraction

import numpy as np
import pytest

from taut.data import label_strata


def _label(num_rows: int, known: int) -> np.ndarray:
    label = np.full(num_rows, -1, np.int32)
    label[np.random.default_rng(0).permutation(num_rows)[:known]] = 1
    return label


def test_the_weighted_mean_of_batches_is_that_of_all_rows():
    """Over whole epochs of both kinds every row counts alike."""
    label, values = _label(60, 6), np.random.default_rng(1).normal(size=60)
    found = label_strata(label, 12)
    assert found is not None
    assert (found.labelled, found.batch_size - found.labelled) == (3, 9)
    order = found.indices(5, 0, 6)  # 3 x 6 = 3 x 6 rows with a label, 9 x 6 = 54 without
    assert (label[order] >= 0).sum(axis=1).tolist() == [3] * 6
    assert (found.weights[order] * values[order]).mean() == pytest.approx(values.mean(), rel=1e-12)
    own = Fraction(6, 60) / Fraction(3, 12)
    assert found.weights[label >= 0] == pytest.approx(float(own))


def test_any_cut_gives_the_same_batches():
    found = label_strata(_label(60, 6), 12)
    assert found is not None
    parts = [found.indices(5, first, 4) for first in (0, 4, 8)]
    np.testing.assert_array_equal(np.concatenate(parts), found.indices(5, 0, 12))


@pytest.mark.parametrize("known", [0, 15, 40, 60])
def test_where_batches_hold_enough_labels_they_are_left_alone(known):
    assert label_strata(_label(60, known), 12) is None
    assert label_strata(None, 12) is None


def test_fewer_labels_than_a_quarter_of_a_batch_are_all_in_each():
    label = _label(60, 2)
    found = label_strata(label, 30)
    assert found is not None
    for batch in found.indices(5, 0, 3):
        assert len(set(batch.tolist())) == 30
        assert (label[batch] >= 0).sum() == 2
