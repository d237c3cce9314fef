"""Classes spread along neighbours: against a dense solution, and where they are the better head."""

import numpy as np
import pytest
from sklearn.datasets import make_moons

from taut.fitted import propagation
from taut.fitted.class_head import class_head, spread_labels
from taut.fitted.heads import LogisticHead, log_softmax
from taut.fitted.predictor import load_predictor, save_predictor
from taut.fitted.propagation import PropagatedHead, Propagation

RNG = np.random.default_rng(0)


def _similar(z):
    """W of the module, dense."""
    distance = np.linalg.norm(z[:, None] - z[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    near = np.argsort(distance, axis=1)[:, :5]
    radius = np.sort(distance, axis=1)[:, 4]
    w = np.zeros_like(distance)
    for i, j in ((i, j) for i, row in enumerate(near) for j in row):
        w[i, j] = w[j, i] = np.exp(-(distance[i, j] ** 2) / (radius[i] * radius[j]))
    return w


def _dense(z, codes, num_classes):
    """The equations of the module, with an inverse."""
    w = _similar(z)
    root = np.diag(w.sum(axis=1) ** -0.5)
    y = np.eye(num_classes)[codes] * (codes >= 0)[:, None]
    g = root @ np.linalg.inv(np.eye(len(z)) - 0.99 * root @ w @ root) @ y
    q = np.bincount(codes[codes >= 0], minlength=num_classes) + 0.5
    q /= q.sum()
    p = q * g / np.maximum(g.sum(axis=0), 1e-300)
    return 0.999 * p / p.sum(axis=1, keepdims=True) + 0.001 * q


def test_classes_are_those_of_the_dense_equations():
    z, codes = RNG.normal(size=(30, 2)), np.full(30, -1)
    codes[:6] = [0, 1, 0, 2, 0, 1]
    head = Propagation(z, codes, 4).heads()[0].head  # no row has the last class
    np.testing.assert_allclose(head.classes, _dense(z, codes, 4), rtol=1e-4)
    # At a row's own place it has nearly all the weight where others are far.
    apart = head._replace(points=z * 1e3, radius=head.radius)
    np.testing.assert_allclose(np.exp(apart.logits(z * 1e3)), head.classes, rtol=1e-5)
    assert head.logits(z[:0]).shape == (0, 4)


def _settled(z, codes, num_classes):
    """Rows take the class that leads and walk ten steps, until all stay; no bound of shares."""
    w, known = _similar(z), codes >= 0
    walk = w / w.sum(axis=1, keepdims=True)
    blurred, before = _dense(z, codes, num_classes), None
    while before is None or (blurred.argmax(axis=1) != before).any():
        before = blurred.argmax(axis=1)
        blurred = np.eye(num_classes)[before]
        for _ in range(10):
            blurred[known] = np.eye(num_classes)[codes[known]]
            blurred = walk @ blurred
    share = (np.bincount(codes[known], minlength=num_classes) + 0.5) / (
        known.sum() + num_classes / 2
    )
    return 0.999 * blurred + 0.001 * share


def test_classes_settle_as_by_the_dense_walk():
    z, _, known = _moons(noise=0.25)
    head = Propagation(z, known, 2).heads()[1].head
    assert 0.9 < 2 * (head.classes.argmax(axis=1) == 0).mean() < 1.1  # no share has to be held
    np.testing.assert_allclose(head.classes, _settled(z, known, 2), atol=1e-5)


def test_settled_classes_are_chosen_where_they_tell_the_labels_better():
    """Groups that touch, three labels each: what spreads has its borders by the labels."""
    rng = np.random.default_rng(0)
    centers, truth = 2 * rng.normal(size=(8, 4)), np.arange(4000) % 8
    z = centers[truth] + rng.normal(size=(4000, 4))
    known, held = np.where(np.arange(4000) < 24, truth, -1), np.arange(24, 64)
    spread, settled = (each.head for each in Propagation(z, known, 8).heads())
    wrong = [(head.classes.argmax(axis=1) != truth).mean() for head in (spread, settled)]
    assert wrong[1] < wrong[0] - 0.01
    chosen = class_head(z, known, (z[held], truth[held]), 8, name="propagation")
    np.testing.assert_array_equal(chosen.classes, settled.classes)


def test_no_class_dies_out_or_takes_over_where_labels_say_otherwise(monkeypatch):
    """One cloud, in which nothing holds a border: left alone, one class remains."""
    z = np.random.default_rng(0).normal(size=(2000, 8))
    known, outwards = np.full(2000, -1), np.argsort(np.linalg.norm(z, axis=1))
    known[outwards[:60:10]], known[outwards[1000:1600:100]] = 1, 0  # six of each

    def leads():
        classes = Propagation(z, known, 2).heads()[1].head.classes
        return np.bincount(classes.argmax(axis=1), minlength=2) / 2000

    assert leads().min() >= 0.45
    monkeypatch.setattr(propagation, "_LEAST", 0.0)
    monkeypatch.setattr(propagation, "_AT_MOST", np.inf)
    assert leads().min() < 0.01


def test_a_label_that_is_left_out_says_nothing_of_its_row():
    z, codes = RNG.normal(size=(30, 2)), np.full(30, -1)
    codes[:9] = [0, 1, 0, 2, 0, 1, 0, 0, 1]
    _, logits, own = Propagation(z, codes, 4).heads()[0]
    np.testing.assert_array_equal(own, [0, 1, 0, 0, 1, 0, 0, 1])  # not the only row of its class
    parts = ([0, 1, 7], [2, 5], [4, 8], [6])
    places = [0, 1, 2, 4, 5, 6, 7, 8]
    for part in parts:
        hidden = codes.copy()
        hidden[part] = -1
        wanted = _dense(z, hidden, 4)[part]
        np.testing.assert_allclose(
            np.exp(logits[[places.index(i) for i in part]]), wanted, rtol=1e-4
        )


def test_confidence_is_that_of_the_classes_it_finds():
    """Ten groups, eight labels each and two held out, which alone say little of a temperature.

    A twentieth is more than keys of the labels move it; by the held-out labels alone it is more.
    """
    generator = np.random.default_rng(3)
    centers, truth = 2.2 * generator.normal(size=(10, 5)), np.arange(4000) % 10
    z = centers[truth] + generator.normal(size=(4000, 5))
    known, held, new = np.full(2000, -1), np.arange(80, 100), np.arange(2000, 4000)
    known[:80] = truth[:80]
    head = class_head(z[:2000], known, (z[held], truth[held]), 10, name="propagation")
    p = np.exp(log_softmax(head.logits(z[new]) / float(head.temperature)))
    right = (p.argmax(axis=1) == truth[new]).mean()
    assert p.max(axis=1).mean() == pytest.approx(right, abs=0.05)


def _moons(noise: float = 0.08) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, classes, and what is known of them: six of each."""
    z, truth = make_moons(600, noise=noise, random_state=0)
    known = np.full(600, -1)
    for code in (0, 1):
        known[np.flatnonzero(truth == code)[:6]] = code
    return z, truth, known


def test_few_labels_find_the_shape_of_their_classes(tmp_path):
    z, truth, known = _moons()
    held = np.arange(500, 540)
    head = class_head(z, known, (z[held], truth[held]), 2)
    assert isinstance(head, PropagatedHead)
    other, wanted = make_moons(300, noise=0.08, random_state=1)
    assert (head.logits(other).argmax(axis=1) == wanted).mean() > 0.98
    line = class_head(z, known, (z[held], truth[held]), 2, name="logistic")
    assert isinstance(line, LogisticHead)
    assert (line.logits(other).argmax(axis=1) == wanted).mean() < 0.93
    save_predictor(tmp_path, head)
    again = load_predictor(tmp_path)
    assert isinstance(again, PropagatedHead)
    np.testing.assert_array_equal(again.logits(other), head.logits(other))


@pytest.mark.parametrize("labelled", [60, 400])
def test_regression_stays_where_neighbours_tell_less(labelled):
    """A line through much noise: of few labels held-out ones say so, of many it is not asked."""
    z = RNG.normal(size=(600, 8))
    truth = (z[:, 0] + 0.3 * RNG.normal(size=600) > 0).astype(int)
    known = np.where(np.arange(600) < labelled, truth, -1)
    held = np.arange(500, 560)
    assert isinstance(class_head(z, known, (z[held], truth[held]), 2), LogisticHead)
    assert isinstance(class_head(z, known, (z[:0], truth[:0]), 2), LogisticHead)


def test_rows_that_are_alike_and_groups_without_a_label_have_probabilities():
    z = np.concatenate([np.zeros((40, 2)), np.ones((40, 2)), RNG.normal(size=(40, 2)) + 50])
    codes = np.full(120, -1)
    codes[[0, 40]] = [0, 1]
    for head, *_ in Propagation(z, codes, 2).heads():
        found = head.logits(np.array([[0.0, 0.0], [1.0, 1.0], [50.0, 50.0], [7.0, 9.0]]))
        assert np.isfinite(found).all()
        assert found[2] == pytest.approx(np.log(0.5))  # as frequent as the labels are


def test_spread_labels_are_those_of_neighbours_for_all_rows():
    z, truth, known = _moons(noise=0.2)
    held = np.arange(500, 540)
    told = spread_labels(z, known, (z[held], truth[held]), 2)
    assert told.dtype == known.dtype
    np.testing.assert_array_equal(told[known >= 0], known[known >= 0])
    logits = class_head(z, known, (z[held], truth[held]), 2, name="propagation").logits(z)
    np.testing.assert_array_equal(told[known < 0], logits.argmax(axis=1)[known < 0])
    assert (told == truth).mean() > 0.8


def test_labels_stay_as_they_are_where_neighbours_are_not_the_better_head():
    z = RNG.normal(size=(600, 8))
    truth = (z[:, 0] + 0.3 * RNG.normal(size=600) > 0).astype(int)
    held = np.arange(500, 560)
    judged = z[held], truth[held]
    few = np.where(np.arange(600) < 60, truth, -1)
    np.testing.assert_array_equal(spread_labels(z, few, judged, 2), few)
    many = np.where(np.arange(600) < 400, truth, -1)
    np.testing.assert_array_equal(spread_labels(z, many, judged, 2), many)
    alike = np.where(np.arange(600) < 60, 1, -1)
    np.testing.assert_array_equal(spread_labels(z, alike, judged, 2), alike)
