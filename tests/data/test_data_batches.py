"""Batches: each epoch a permutation, each step a pure function of its number."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taut.data import batch_indices, epoch_order, steps_per_epoch

SIZES = st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), epoch=st.integers(0, 2**40), sizes=SIZES)
def test_an_epoch_visits_each_row_at_most_once(seed, epoch, sizes):
    num_rows, batch_size = sizes
    steps = steps_per_epoch(num_rows, batch_size)
    rows = batch_indices(seed, epoch * steps, steps, num_rows, batch_size)
    assert rows.shape == (num_rows // batch_size, batch_size)
    assert rows.dtype == np.int32
    assert len(set(rows.ravel().tolist())) == rows.size
    assert set(rows.ravel().tolist()) <= set(range(num_rows))
    assert sorted(epoch_order(seed, epoch, num_rows).tolist()) == list(range(num_rows))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 100),
    sizes=SIZES,
    first=st.integers(0, 100),
    chunks=st.lists(st.integers(0, 12), min_size=1, max_size=8),
)
def test_any_cut_of_a_range_of_steps_gives_the_same_rows(seed, sizes, first, chunks):
    num_rows, batch_size = sizes
    whole = batch_indices(seed, first, sum(chunks), num_rows, batch_size)
    starts = first + np.cumsum([0, *chunks[:-1]])
    pieces = [
        batch_indices(seed, int(start), count, num_rows, batch_size)
        for start, count in zip(starts, chunks, strict=True)
    ]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_orders_are_uniform_over_epochs():
    # Each row stands first with probability 1/6 in each of 6000 epochs: five standard errors.
    epochs, num_rows = 6000, 6
    orders = np.array([epoch_order(3, e, num_rows) for e in range(epochs)])
    share = 1 / num_rows
    error = np.sqrt(share * (1 - share) / epochs)
    for place in range(num_rows):
        counts = np.bincount(orders[:, place], minlength=num_rows) / epochs
        assert np.abs(counts - share).max() < 5 * error
    # Neighbouring epochs are unrelated: the first rows of two agree as often as chance has it.
    agree = (orders[1:, 0] == orders[:-1, 0]).mean()
    assert abs(agree - share) < 5 * error


def test_rows_that_sit_an_epoch_out_change():
    out = [set(range(10)) - set(batch_indices(0, 3 * e, 3, 10, 3).ravel()) for e in range(60)]
    assert all(len(rows) == 1 for rows in out)
    assert set.union(*out) == set(range(10))


def test_the_order_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(0, 0, 5)[0] = 1


@pytest.mark.parametrize("batch_size", [0, 11])
def test_batch_that_does_not_fit(refusal, batch_size):
    assert refusal(batch_indices, 0, 0, 1, 10, batch_size) == (
        "batch_size: expected a batch of 1 to 10 rows, as many as there are, "
        f"got {batch_size}. Try batch_size=10 or less."
    )


def test_step_below_zero(refusal):
    assert refusal(batch_indices, 0, -1, 2, 10, 2) == (
        "first_step: expected steps counted from 0, got 2 steps from step -1. Try first_step=0."
    )
