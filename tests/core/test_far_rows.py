"""Rows that alone move a mean: found, named by their numbers, and taken out of the mean beside it."""

import math

import numpy as np
import pytest

from taut.core import Estimate, far_rows, far_rows_of, paired_difference
from taut.core.far_positions import far_positions

RNG = np.random.default_rng(5)
USUAL = -12.0 + RNG.normal(size=400)


def _with(values, **cells):
    found = np.array(values, float)
    for name, value in cells.items():
        found[int(name[1:])] = value
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.normal(size=n),
        lambda rng, n: -rng.chisquare(2, size=n) / 2,
        lambda rng, n: -rng.chisquare(20, size=n) / 2,
        lambda rng, n: np.log(rng.choice([0.1, 0.9], p=[0.1, 0.9], size=n)),
    ],
)
@pytest.mark.parametrize("count", [3, 20, 180, 5000])
def test_usual_rows_are_not_far(seed, draw, count):
    assert far_positions(draw(np.random.default_rng(seed), count)).size == 0


@pytest.mark.parametrize("direction", [-1, 1])
@pytest.mark.parametrize("number", [1, 2, 17, 39])
def test_far_rows_do_not_hide_each_other(number, direction):
    """All at one place, the hardest: each is inside the spread that the others make."""
    values = USUAL.copy()
    values[:number] += direction * 1000.0
    assert sorted(far_positions(values)) == list(range(number))


def test_what_a_tenth_of_the_rows_do_is_how_the_data_are():
    values = USUAL.copy()
    values[:41] -= 1000.0
    assert far_positions(values).size == 0


@pytest.mark.parametrize("errors", [1.0, 20.0])
def test_far_is_what_moves_the_mean_by_more_than_its_error(errors):
    """The definition, row by row, on either side of the threshold."""
    others = USUAL[1:]
    threshold = errors * others.std() * math.sqrt(USUAL.size)
    for times, is_far in ((0.99, False), (1.01, True)):
        values = _with(USUAL, r0=others.mean() - times * threshold)
        assert far_positions(values, errors=errors).tolist() == ([0] if is_far else [])
        if errors == 1.0:
            moved = abs(values.mean() - others.mean())
            assert (moved > others.std() / math.sqrt(USUAL.size)) == is_far


def test_equal_values_with_rounding_are_not_far():
    assert far_positions(_with(np.full(100, -54.3), r7=-54.3 * (1 + 1e-6))).size == 0


def test_rows_are_named_by_their_numbers_and_the_others_have_their_own_mean():
    values = _with(USUAL, r3=-1349.2, r10=math.nan)
    estimate = Estimate.from_rows(
        values, side="lower", mc_errors=0.1, index=np.arange(400) + 4000, flags=["subsampled"]
    )
    assert estimate.flags == {"subsampled", "not finite"}
    far = far_rows(estimate)
    assert far is not None
    assert far.others is not None
    assert far.rows == (4010, 4003)
    np.testing.assert_array_equal(far.values, [math.nan, -1349.2])
    kept = np.delete(USUAL, [3, 10])
    wanted = Estimate.from_rows(kept, side="lower")
    assert far.others.value == wanted.value
    assert far.others.data_error == wanted.data_error
    assert far.others.side == "lower"
    assert far.others.flags == {"subsampled"}
    assert 0.1 / math.sqrt(398) <= far.others.mc_error < 0.101 / math.sqrt(398)
    assert 4003 not in np.asarray(far.others.index)
    assert far.others.count == 398
    plain = far.to_dict()
    assert plain["values"] == ["nan", -1349.2]
    assert plain["rows"] == [4010, 4003]


def test_the_number_itself_says_that_few_rows_move_it():
    far = Estimate.from_rows(_with(USUAL, r3=-1349.2), side="exact")
    assert far.flags == {"moved by few rows"}
    assert str(far).endswith("exact, moved by few rows")
    assert not Estimate.from_rows(USUAL, side="exact").flags
    assert set(far_rows_of({"a": far, "b": Estimate.from_rows(USUAL, side="exact")})) == {"a"}


def test_a_difference_has_the_flags_of_its_own_rows():
    """A row that is as far in both fits moves the difference not at all."""
    first = Estimate.from_rows(_with(USUAL, r3=-1349.2), side="exact")
    second = Estimate.from_rows(_with(USUAL - 1, r3=-1349.9), side="exact")
    assert not paired_difference(first, second).flags
    broken = Estimate.from_rows(_with(USUAL, r3=-math.inf), side="exact")
    assert paired_difference(broken, second).flags == {"not finite"}
    assert paired_difference(first, Estimate.from_rows(USUAL, side="exact")).flags == {
        "moved by few rows"
    }


def test_no_row_is_finite_and_no_row_is_kept():
    nothing = far_rows(Estimate.from_rows([math.nan, -math.inf], side="exact"))
    assert nothing is not None
    assert nothing.others is None
    assert nothing.rows == (0, 1)
    assert nothing.to_dict()["others"] is None
    assert far_rows(Estimate(-1e9, "exact", count=100)) is None
