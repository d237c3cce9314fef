"""How a run ended, told by its validations, and the rows that must not tell it."""

import math

import numpy as np
import pytest

from taut.core import Estimate
from taut.training.ending import ending, judges

RNG = np.random.default_rng(2)


def _history(values, every=10, error=0.01):
    """A record a step, with a validation every ten."""
    found = []
    for i, value in enumerate(values):
        found += [{"step": i * every + j, "bound": 0.0} for j in range(every)]
        estimate = Estimate(value, "lower", mc_error=error, data_error=0.5, count=40)
        found[-1]["validation"] = estimate.to_dict()
    return found


def _ending(values, *, planned=None, start=-100.0, **options):
    finite = np.where(np.isfinite(values), values, -np.inf)
    best = (int(np.argmax(finite)) + 1) * 10 if np.isfinite(values).any() else len(values) * 10
    return ending(
        _history(values, **options), start=start, num_steps=10 * len(values),
        planned=planned or 10 * len(values), best_step=best, epochs=5,
    )  # fmt: skip


def test_a_curve_that_climbs_to_its_end_was_still_rising():
    found = _ending([-90.0, -80.0, -70.0, -60.0, -50.0])
    assert found.how == "rising"
    (note,) = found.notes
    assert "by 10 nats" in note
    assert "since step 40 of 50" in note
    assert "15 for 5" in note


def test_one_validation_is_compared_with_the_start():
    assert _ending([-50.0], start=-100.0).how == "rising"
    assert _ending([-50.0], start=-50.01).how == "level"


@pytest.mark.parametrize("slope", [0.0, 1e-3, 0.04])
def test_a_curve_that_only_rustles_is_level(slope):
    """The last validation may well be the best of them: by a tenth of the error over rows at most."""
    values = -50.0 + slope * np.arange(5)
    found = _ending(list(values))
    assert found.how == "level"
    assert not found.notes


def test_a_rise_within_the_error_of_its_draws_is_none():
    assert _ending([-52.0, -51.0, -50.0], error=1.0).how == "level"
    assert _ending([-52.0, -51.0, -50.0], error=0.1).how == "rising"


def test_a_curve_whose_best_value_lies_before_its_end_is_level():
    assert _ending([-90.0, -50.0, -60.0, -55.0]).how == "level"


def test_fewer_steps_than_planned_are_an_early_stop():
    found = _ending([-90.0, -50.0, -60.0], planned=60)
    assert found.how == "early"
    (note,) = found.notes
    assert "30 of 60 steps" in note
    assert "step 20" in note


def test_validation_that_never_is_finite_is_said():
    found = _ending([math.nan, -math.inf])
    assert found.how == "not finite"
    assert "last step" in found.notes[0]


def test_without_validation_nothing_is_known():
    found = ending([], start=0.0, num_steps=5, planned=5, best_step=5, epochs=1)
    assert found.how == "unknown"
    assert not found.notes


@pytest.mark.parametrize("value", [-1e12, math.nan, -math.inf, 1e9])
def test_a_row_that_outweighs_all_others_does_not_judge(value):
    values = RNG.normal(-12.0, 1.0, size=50)
    values[7] = value
    found = judges(Estimate.from_rows(values, side="lower", index=np.arange(50) + 400))
    assert found.positions.tolist() == [i for i in range(50) if i != 7]
    assert found.start == pytest.approx(values[found.positions].mean())
    assert "49 of its 50 rows" in found.notes[0]
    assert "row 407" in found.notes[0]


@pytest.mark.parametrize("value", [-20.0, -40.0])
def test_a_row_that_is_only_unlikely_does(value):
    """It moves the mean by more than its error, and others can still outvote it."""
    values = RNG.normal(-12.0, 1.0, size=50)
    values[7] = value
    found = judges(Estimate.from_rows(values, side="lower"))
    assert found.positions.size == 50
    assert not found.notes
    assert found.start == values.mean()


def test_where_no_row_is_finite_all_judge():
    found = judges(Estimate.from_rows([math.nan] * 3, side="lower"))
    assert found.positions.size == 3
    assert not found.notes
