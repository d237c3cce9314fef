"""Metrics of answers whose values are known, and baselines by brute force."""

import jax.numpy as jnp
import numpy as np
import pytest

from taut.core import InputError
from taut.counterfactuals import (
    Answers,
    Class,
    Constraints,
    Differentiable,
    growing_spheres,
    metrics,
    nearest_unlike,
)

RNG = np.random.default_rng(0)
TRAIN = RNG.normal(size=(200, 2)).astype(np.float32)
CLASSIFIER = Differentiable(lambda x: jnp.array([0.0, 1.0]) * 4 * x[0])
TARGET = Class(1, 0.9)
AT_LEVEL = np.log(9) / 4  # of the first cell
X = np.array([[-1.0, 0.0], [-0.5, 0.5], [-2.0, 1.0]], np.float32)
GIVEN = {
    "target": TARGET, "classifier": CLASSIFIER, "train": TRAIN, "of_target": TRAIN[:, 0] > 0,
}  # fmt: skip


def answers(moves, answered=(True, True, True)):
    return Answers(X + np.float32(moves), np.array(answered), np.full(3, 7))


def test_means_are_over_the_rows_that_all_methods_answered():
    near = answers([[2.0, 0.0], [1.5, 0.0], [9.0, 0.0]], (True, True, False))
    far = answers([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0]])
    found = metrics({"near": near, "far": far}, X, **GIVEN)
    assert (found.rows, found.compared) == (3, 2)
    assert found.of["near"]["coverage"].value == pytest.approx(2 / 3)
    assert found.of["far"]["coverage"].value == 1
    measured = {
        name: found.of["near"][name].value for name in ("l0", "l1", "l2", "linf", "queries")
    }
    assert measured == {"l0": 1, "l1": 1.75, "l2": 1.75, "linf": 1.75, "queries": 7}
    assert found.of["near"]["l1"].error == pytest.approx(0.25)
    assert found.of["far"]["l2"].value == pytest.approx(5)
    assert found.of["near"]["validity"].value == 1
    assert found.of["far"]["outlier factor"].value > 1.5 > found.of["near"]["outlier factor"].value


def test_shares_by_other_judges():
    moved = answers([[2.0, 0.0], [1.5, 0.0], [0.5, 0.0]])
    others = [Differentiable(lambda x, s=s: jnp.array([0.0, s]) * x[0]) for s in (1.0, -1.0)]
    box = Constraints(immutable=[1], ranges={0: (-2.0, 0.99)}).box(2, None, X)
    found = metrics(
        {"moved": moved}, X, others=others, box=box, log_density=lambda x: -(x**2).sum(1), **GIVEN
    ).of["moved"]  # fmt: skip
    assert found["validity"].value == pytest.approx(2 / 3)
    assert found["agreement"].value == pytest.approx(0.5)
    assert found["violations"].value == pytest.approx(2 / 3)
    median = np.median((TRAIN**2).sum(1))
    assert found["plausibility"].value == ((moved.x**2).sum(1) < median).mean()
    assert found["neighbours"].value > 0.6
    assert str(found["agreement"]) == "0.5 ± 0"


def test_autoencoders_of_classes_tell_whose_an_answer_is():
    """Projections onto lines: what is off a line is known, and so is its share."""
    moved = answers([[2.0, 0.0], [1.5, 0.5], [3.0, 0.0]])  # (1, 0), (1, 1), (1, 1)
    rebuilt = {
        1: lambda x: x * np.float32([1.0, 0.5]), 0: lambda x: x * np.float32([0.0, 1.0]),
        2: lambda x: x * np.float32([0.5, 1.0]), None: lambda x: x,
    }  # fmt: skip
    found = metrics(
        {"moved": moved, "stays": answers(0 * X)}, X, autoencoders=rebuilt,
        origin=np.array([0, 0, 2]), **GIVEN,
    )  # fmt: skip
    np.testing.assert_allclose(found.values["moved"]["im1"], [0, 0.25, 1.0], rtol=1e-6)
    np.testing.assert_allclose(found.values["moved"]["im2"], [0, 0.125, 0.125], rtol=1e-6)
    with pytest.raises(InputError, match=r"origin: expected classes .*, got 1\.7"):
        metrics({"moved": moved}, X, autoencoders=rebuilt, origin=np.array([0, 0, 1.7]), **GIVEN)
    further = found.difference("l1", "moved", "stays")
    assert further.value == pytest.approx((2 + 2 + 3) / 3)
    assert further.error == pytest.approx(np.std([2, 2, 3], ddof=1) / np.sqrt(3))


def test_a_difference_without_rows_has_no_value_and_one_without_a_name_is_refused():
    near = answers(0 * X, (True, False, False))
    far = answers(0 * X, (False, True, True))
    found = metrics({"near": near, "far": far}, X, **GIVEN)
    assert found.compared == 0
    assert np.isnan(found.difference("l1", "near", "far")).all()
    moved = metrics({"moved": answers(0 * X)}, X, **GIVEN)
    with pytest.raises(InputError, match=r"one of moved, got 'movd'\. Try 'moved'"):
        moved.difference("l1", "moved", "movd")
    with pytest.raises(InputError, match=r"one of validity, .*, got 'im1'"):
        moved.difference("im1", "moved", "moved")


def test_the_nearest_unlike_neighbour_is_found_by_brute_force():
    found = nearest_unlike(
        X, TRAIN, classifier=CLASSIFIER, target=TARGET, scale=np.array([1.0, 3.0])
    )
    good = TRAIN[TRAIN[:, 0] >= AT_LEVEL]
    for row, answer in zip(X, found.x, strict=True):
        distances = (((good - row) / [1.0, 3.0]) ** 2).sum(1)
        np.testing.assert_array_equal(answer, good[distances.argmin()])
    assert found.answered.all()


def test_growing_spheres_end_near_the_boundary():
    found = growing_spheres(X, classifier=CLASSIFIER, target=TARGET)
    assert found.answered.all()
    assert (found.x[:, 0] >= AT_LEVEL - 1e-6).all()
    least = AT_LEVEL - X[:, 0]
    distance = np.linalg.norm(found.x - X, axis=1)
    assert (distance >= least - 1e-5).all()
    assert (distance <= 1.3 * 1.3 * least).all()  # one layer too far at most


def test_one_line_for_what_cannot_be_measured():
    with pytest.raises(InputError, match="at least one method, got none"):
        metrics({}, X, **GIVEN)
    with pytest.raises(InputError, match="more than 5 training rows of the target class, got 0"):
        metrics({"a": answers(0 * X)}, X, **(GIVEN | {"of_target": np.zeros(200, bool)}))
    never = Class(1, 1 - 1e-9)
    with pytest.raises(InputError, match="a training row that reaches the target, got none"):
        nearest_unlike(X, TRAIN, classifier=CLASSIFIER, target=never)
