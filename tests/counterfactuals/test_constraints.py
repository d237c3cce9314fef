"""Answers keep to constraints: a box that the ascent knows, and no answer that rounding has flipped."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

import taut
from taut.core import InputError
from taut.counterfactuals import Between, Constraints, diagnose, search
from taut.counterfactuals.constraints import Grids

WEIGHTS = np.asarray([1.0, -1.0, 0.5], np.float32)
ROWS = np.array([[0.2, 1.0, 3.0], [-0.4, 2.0, 1.0], [0.1, 0.0, 2.0]], np.float32)
SAME = (lambda x: x, lambda z: z, lambda z: -0.5 * jnp.sum(z**2))


def classifier(x):
    return jnp.array([0.0, 1.0]) * (x @ jnp.array([1.0, -1.0, 0.5]))


def searched(**constraints):
    return search(
        SAME, ROWS, classifier=classifier, target=1, confidence=0.95,
        constraints=Constraints(**constraints),
    )  # fmt: skip


def test_answers_lie_in_the_box_and_reach_the_target():
    found = searched(immutable=[2], falling=[1], ranges={0: (-1.0, 2.5)})
    moved = found.answers[:, 0] - ROWS
    assert found.reached.all()
    assert (moved[:, 2] == 0).all()
    assert (moved[:, 1] <= 0).all()
    assert (moved[:, 1] < 0).any()  # what is not held does move
    assert (found.answers[:, 0, 0] <= 2.5).all()
    density = -0.5 * (found.answers[:, 0] ** 2).sum(axis=1)
    assert found.log_density is not None
    np.testing.assert_allclose(found.log_density[1][:, 0], density, rtol=1e-5)  # of the clipped row


# The row is at 1; by way, the ends of what it may reach within -2 and 4, and within 2 and 4.
REACHED = {
    "free": ((-2.0, 4.0), (2.0, 4.0)),
    "rising": ((1.0, 4.0), (2.0, 4.0)),
    "falling": ((-2.0, 1.0), None),
    "immutable": ((1.0, 1.0), None),
}


@pytest.mark.parametrize("way", REACHED)
@pytest.mark.parametrize("which", [0, 1])
def test_the_ends_of_a_row_are_the_narrowest_of_all_constraints(way, which):
    low, high = ((-2.0, 4.0), (2.0, 4.0))[which]
    row = np.array([[1.0, 0.0]], np.float32)
    given: dict[str, Any] = {} if way == "free" else {way: [0]}
    constraints = Constraints(ranges={0: (low, high)}, **given)
    if (ends := REACHED[way][which]) is None:
        with pytest.raises(InputError, match="that its rows can reach"):
            constraints.box(2, None, row)
        return
    box = constraints.box(2, None, row)
    tried = np.array([[value, 0.0] for value in np.arange(-4.0, 7.0)], np.float32)
    broken = box.violated(tried, np.repeat(row, len(tried), axis=0))
    allowed = tried[~np.asarray(broken), 0]
    assert (allowed.min(), allowed.max()) == ends
    clipped = np.asarray(jax.vmap(lambda x: box.clip(x, jnp.asarray(row[0])))(tried))[:, 0]
    np.testing.assert_array_equal(clipped, np.clip(tried[:, 0], *ends))


def test_what_cannot_move_far_enough_keeps_to_the_box_and_has_a_reason():
    found = searched(immutable=[1, 2], ranges={0: (-9.0, 0.5)})
    assert set(found.reasons.ravel()) <= {"plateau", "reached"}
    assert not found.reached.all()
    assert (found.answers[:, 0, 0] <= 0.5).all()
    assert (found.answers[:, 0, 1:] == ROWS[:, 1:]).all()


def test_answers_of_whole_numbers_are_asked_for_more_until_they_keep_the_target():
    found = searched(whole=[0, 1, 2])
    assert (found.answers == np.rint(found.answers)).all()
    score = found.answers[:, 0] @ WEIGHTS
    free = searched().answers[:, 0]
    assert (np.rint(free) @ WEIGHTS < found.level).any()  # which it cost some
    assert (score >= found.level).all()
    assert found.reached.all()
    np.testing.assert_allclose(found.outputs[2][:, 0, 1], score, rtol=1e-5)
    # Each search to a higher level begins anew, at the row's code, and is walked again as it was.
    further = np.rint(found.margin / found.ascent.target.tolerance)
    searches = 1 + np.searchsorted([10, 30, 100, 300], further, side="right")
    assert set(searches.ravel().tolist()) == {1, 2}
    np.testing.assert_array_equal(found.queries, found.tries + searches)
    for path, level in zip(diagnose(found), found.level + found.margin[:, 0], strict=True):
        assert path.scores[-2] == pytest.approx(level, abs=0.05)


def test_rounding_that_costs_the_target_is_no_answer():
    """Of whole numbers these halves are never between."""
    found = search(
        SAME, ROWS, classifier=lambda x: classifier(x)[1], target=Between(0.2, 0.3),
        constraints=Constraints(whole=[0, 1, 2]),
    )  # fmt: skip
    assert (found.answers == np.rint(found.answers)).all()
    assert set(found.reasons.ravel()) == {"lost by rounding"}
    assert not found.reached.any()
    # One search, and four to levels that are further away, each of which begins at the row's code.
    np.testing.assert_array_equal(found.queries, found.tries + 5)


def test_values_of_grids_are_the_nearest_within_the_range():
    box = Constraints(whole=[0], ranges={0: (0.3, 2.6)}, rising=[1]).box(
        2, None, ROWS[:, :2], Grids.none(2)._replace(step=np.array([0.0, 0.5]))
    )
    found = box.repaired(np.asarray([[0.2, 1.3], [2.6, 2.1], [1.4, 9.0]], np.float32), ROWS[:, :2])
    np.testing.assert_array_equal(found, [[1.0, 1.5], [2.0, 2.0], [1.0, 9.0]])
    assert not box.violated(found, ROWS[:, :2]).any()
    assert box.violated(found + np.asarray([0, 0.1], np.float32), ROWS[:, :2]).all()


def test_the_columns_of_a_fit_have_their_grids_after_it_was_saved():
    table: dict[str, Any] = {
        "age": np.arange(20, 60), "kids": np.arange(40) % 3, "pay": np.linspace(-3, 4, 40),
        "debt": np.arange(40) - 7, "kind": ["a", "b", "c", "a"] * 10,
    }  # fmt: skip
    mixed = taut.load_data(pl.DataFrame(table)).schema
    real = taut.load_data(pl.DataFrame(table).drop("kind")).schema
    for schema in (mixed, real):
        saved = type(schema).from_dict(json.loads(json.dumps(schema.to_dict())))
        grids = Grids.of(saved)
        assert grids.step[:4].tolist() == [1, 1, 0, 1]
        assert grids.low[1] == 0
        assert np.isneginf(grids.low[3])
    assert [grids[-1] for grids in Grids.of(mixed)] == [0, 2, 1, 0]
    old = real.to_dict()
    assert Grids.of(type(real).from_dict({k: old[k] for k in old if k != "whole"})).step[1] == 1


def test_rows_without_an_answer_go_back_from_known_rows():
    """Ascent ends on the hill before the one that is high enough."""

    def hills(x):
        return jnp.array([0.0, 1.0]) * (jnp.exp(-(x[0] ** 2)) + 4 * jnp.exp(-((x[0] - 5) ** 2)))

    known = np.array([[5, 0, 0], [4.8, 1, 1], [9, 0, 0], [0, 0, 0]], np.float32)
    given = {
        "classifier": hills, "target": 1, "confidence": 0.9,
        "constraints": Constraints(immutable=[2], ranges={1: (0.0, 2.0)}),
    }  # fmt: skip
    alone = search(SAME, ROWS, **given)
    found = search(SAME, ROWS, plausible=known, quantile=0.1, **given)
    assert set(alone.reasons.ravel()) == {"plateau"}
    assert set(found.reasons.ravel()) == {"reached"}
    assert "ascent found none of 3 of the answers" in found.notes[0]
    answers = found.answers[:, 0]
    assert (found.scores[2] >= found.level).all()
    assert found.log_density is not None
    assert (found.log_density[1] >= found.floor).all()
    assert (answers[:, 2] == ROWS[:, 2]).all()
    assert (answers[:, 0] < 4.7).all()  # on this side of what is known
    np.testing.assert_allclose(found.z[:, 0], answers, atol=1e-6)
    np.testing.assert_array_equal(alone.queries, alone.tries + 1)
    # Two known rows reach the level, and sixteen points lie on each of the ways back from them.
    as_found = search(SAME, ROWS, plausible=known, quantile=0.1, nearest=False, **given)
    np.testing.assert_array_equal(as_found.queries, as_found.tries + 1 + 2 + 2 * 16)
    assert (found.queries > as_found.queries).all()


def test_one_hot_groups_are_one_hot():
    found = searched(one_hot=[[0, 1]])
    assert (np.sort(found.answers[:, 0, :2], axis=1) == [0, 1]).all()


def test_a_repair_that_breaks_a_bound_is_named():
    found = searched(immutable=[0], whole=[0])
    assert set(found.reasons.ravel()) == {"breaks a constraint"}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"immutable": [3]}, r"a column of the rows, got 3\. Try a number from 0 to 2"),
        ({"immutable": ["age"]}, r"a column of the rows, got 'age'"),
        (
            {"rising": [0], "falling": [0]},
            r"one way for each column, got '0' as rising and falling",
        ),
        ({"ranges": {0: (2.0, 1.0)}}, r"lower end is below its upper end, got 2.0 to 1.0"),
        (
            {"immutable": [1], "ranges": {1: (0.5, 3.0)}},
            r"column that is immutable, got 0 in row 2",
        ),
        ({"rising": [1], "ranges": {1: (0.0, 1.5)}}, r"column that is rising, got 2 in row 1"),
        (
            {"whole": [0], "ranges": {0: (0.2, 0.8)}},
            r"'0': expected a range with a value of the column, 0 and steps of 1 .* got 0.2 to 0.8",
        ),
    ],
)
def test_constraints_that_contradict_themselves_or_a_row(given, line):
    with pytest.raises(InputError, match=line):
        searched(**given)
