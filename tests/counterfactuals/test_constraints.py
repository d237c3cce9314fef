"""Answers keep to constraints: a box that the ascent knows, and no answer that rounding has flipped."""

import jax.numpy as jnp
import numpy as np
import pytest

from taut.core import InputError
from taut.counterfactuals import Constraints, search

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
    np.testing.assert_allclose(found.log_density[1][:, 0], density, rtol=1e-5)  # of the clipped row


def test_what_cannot_move_far_enough_keeps_to_the_box_and_has_a_reason():
    found = searched(immutable=[1, 2], ranges={0: (-9.0, 0.5)})
    assert set(found.reasons.ravel()) <= {"plateau", "reached"}
    assert not found.reached.all()
    assert (found.answers[:, 0, 0] <= 0.5).all()
    assert (found.answers[:, 0, 1:] == ROWS[:, 1:]).all()


def test_rounding_that_costs_the_target_is_no_answer():
    found = searched(whole=[0, 1, 2])
    assert (found.answers == np.rint(found.answers)).all()
    score = found.answers[:, 0] @ np.float32([1.0, -1.0, 0.5])
    flipped = score < found.level
    assert flipped.any()
    assert (found.reasons[flipped] == "lost by rounding").all()
    assert (found.reached[:, 0] == ~flipped).all()
    np.testing.assert_allclose(found.outputs[2][:, 0, 1], score, rtol=1e-5)


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
    ],
)
def test_constraints_that_contradict_themselves_or_a_row(given, line):
    with pytest.raises(InputError, match=line):
        searched(**given)
