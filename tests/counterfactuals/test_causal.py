"""Columns that follow a change upstream: closed form of a Gaussian, and answers of a fit."""

import numpy as np
import pytest

import taut
from taut.core import InputError
from taut.counterfactuals import Constraints, search
from taut.counterfactuals.causal import CausalOrder

RNG = np.random.default_rng(0)
SLOPE, NOISE = 0.8, 0.6
CAUSE = RNG.normal(size=16_384)
EFFECT = SLOPE * CAUSE + NOISE * RNG.normal(size=CAUSE.size)
ROWS = np.column_stack([EFFECT, CAUSE, RNG.normal(size=CAUSE.size)])
FREE = np.zeros(3)
# Middle ranks among 1024 neighbours, at both ends of a move: five standard errors of a median.
ERROR = 5 * np.sqrt(2) * NOISE * np.sqrt(np.pi / 2 / 1024)


def test_of_a_gaussian_an_effect_follows_by_the_slope_of_its_cause():
    order = CausalOrder.of((1, 0), ROWS, FREE, FREE)
    row = np.array([[0.3, 0.2, 1.0]])
    for move in (-1.2, 0.9):
        asked = row + np.array([[3.0, move, 0.5]])
        found = order.followed(asked, row)
        assert found[0, 0] == pytest.approx(0.3 + SLOPE * move, abs=ERROR)
        assert found[0, 1:].tolist() == asked[0, 1:].tolist()
        assert not order.violated(found, row).any()
        assert order.violated(asked, row).all()
    assert ERROR < 0.9 * SLOPE / 3  # what an effect that did not follow would be off


def test_a_change_downstream_moves_nothing_upstream():
    order = CausalOrder.of((1, 0), ROWS, FREE, FREE)
    row = np.array([[0.3, 0.2, 1.0]])
    alone = row + np.array([[2.0, 0.001, 0.0]])  # of its cause less than counts as a change
    found = order.followed(alone, row)
    np.testing.assert_array_equal(found, [[2.3, 0.2, 1.0]])
    assert not order.violated(found, row).any()


def test_an_effect_on_a_grid_keeps_its_rank_on_it():
    kept = np.column_stack([CAUSE > 0, (CAUSE > 0) * 2 + (np.arange(CAUSE.size) % 2)])
    order = CausalOrder.of((0, 1), kept, np.ones(2), np.zeros(2))
    found = order.followed(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 0.0], [0.0, 1.0]]))
    np.testing.assert_array_equal(found, [[1.0, 2.0], [1.0, 3.0]])


@pytest.mark.parametrize(("step", "origin"), [(0.5, 10.2), (2.0, -7.3)])
def test_an_effect_stays_on_a_grid_that_begins_elsewhere(step, origin):
    high = CAUSE > 0
    effect = origin + step * (high * 2 + np.arange(CAUSE.size) % 2)
    order = CausalOrder.of((0, 1), np.column_stack([high, effect]), np.array([1.0, step]),
                           np.array([0.0, origin]))  # fmt: skip
    row = np.array([[0.0, origin], [0.0, origin + step]])
    found = order.followed(row + np.array([[1.0, 0.0]]), row)
    np.testing.assert_allclose(found[:, 1], origin + step * np.array([2.0, 3.0]), rtol=1e-12)


@pytest.fixture(scope="module")
def fit():
    return taut.em(ROWS[:200, :2], model="ppca", components=1)


def first_or_second(x):
    import jax.numpy as jnp

    return jnp.stack([0 * x[0], 2 * (x[0] + x[1] - 1)])


def test_every_answer_of_a_fit_follows_or_says_that_it_does_not(fit):
    rows = np.float32([[-0.4, -0.5], [0.3, 0.1], [-1.0, -0.2]])
    given = {"classifier": first_or_second, "target": 1, "confidence": 0.8, "most_unexplained": 0.9}
    found = search(fit, rows, constraints=Constraints(causal=[(1, 0)]), **given)
    assert found.reached.all()
    moved = found.answers[:, 0] - rows
    np.testing.assert_allclose(moved[:, 0], SLOPE * moved[:, 1], atol=0.35)
    assert np.abs(moved[:, 1]).min() > 0.2
    free = search(fit, rows, **given)
    assert found.ascent.box.violated(free.answers[:, 0], rows).any()
    held = search(fit, rows, constraints=Constraints(causal=[(1, 0)], immutable=[0]), **given)
    assert set(held.reasons.ravel()) == {"breaks a constraint"}


@pytest.mark.parametrize(
    ("causal", "line"),
    [
        ([(0,)], "two columns or more in a causal order, got 1"),
        ([(0, 1), (1, 0)], "each column once in all causal orders"),
        ([(0, 7)], "a column of the rows, got 7"),
    ],
)
def test_orders_that_are_none(fit, causal, line):
    with pytest.raises(InputError, match=line):
        search(
            fit, ROWS[:2, :2], classifier=first_or_second, target=1, most_unexplained=0.9,
            constraints=Constraints(causal=causal),
        )  # fmt: skip


def test_functions_have_no_rows_that_tell_what_follows():
    with pytest.raises(InputError, match="a fit, whose rows tell what follows a change"):
        search(
            (lambda x: x, lambda z: z), ROWS[:2, :2], classifier=first_or_second, target=1,
            constraints=Constraints(causal=[(0, 1)]),
        )  # fmt: skip
