"""`search` on maps and classifiers whose answers are known in closed form, and its refusals."""

import importlib

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from unchecked import types_unchecked

import taut
from taut.core import InputError
from taut.counterfactuals import (
    GEOMETRIES,
    Below,
    Between,
    Class,
    Margin,
    diagnose,
    search,
)
from taut.counterfactuals.classifier import as_classifier

MATRIX = np.array([[1.0, 0.3], [0.0, 0.5], [0.2, 0.1]], np.float32)
BACK = np.linalg.pinv(MATRIX).astype(np.float32)
WEIGHTS = np.array([1.5, -0.5, 0.8], np.float32)
ROWS = (MATRIX @ np.random.default_rng(0).normal(size=(2, 9)).astype(np.float32)).T


def encode(x):
    return jnp.asarray(BACK) @ x


def decode(z):
    return jnp.asarray(MATRIX) @ z


def log_density(z):
    return -0.5 * jnp.sum(z**2)


def linear(x):
    return jnp.array([0.0, 1.0]) * (jnp.asarray(WEIGHTS) @ x)


def bounded(x):
    """Never more than 0.6 sure of class 1."""
    return jnp.array([0.0, 0.4]) * jnp.tanh(jnp.asarray(WEIGHTS) @ x)


PLANE = (encode, decode)
DENSE = (encode, decode, log_density)


def test_a_linear_problem_is_answered_in_closed_form():
    """Plain ascent goes straight along J^T w, to where the log-odds are those of the confidence."""
    found = search(PLANE, ROWS, classifier=linear, target=1, confidence=0.9)
    level = np.log(9)
    slope = MATRIX.T @ WEIGHTS
    lacking = np.maximum(level - ROWS @ WEIGHTS, 0)
    z = ROWS @ BACK.T + lacking[:, None] * slope / (slope @ slope)
    np.testing.assert_allclose(found.z[:, 0], z, atol=0.02)
    assert set(found.reasons.ravel()) <= {"reached", "reached already"}
    over = found.scores[2][:, 0] - level
    assert (over >= 0).all()
    assert (over[lacking > 0] <= 0.011).all()
    assert (found.drift < 1e-6).all()
    assert (found.reasons[:, 0] == "reached already").tolist() == (lacking == 0).tolist()
    np.testing.assert_array_equal(found.queries, found.tries + 1)


@pytest.mark.parametrize("black_box", [False, True])
def test_a_start_beyond_the_level_is_brought_back_where_the_row_does_not_reach_it(black_box):
    """Of a row that reaches it, starts that do so stay where they are."""
    given = {"classifier": linear, "target": 1, "confidence": 0.7, "spread": 3.0}
    if black_box:
        given["classifier"] = lambda x: np.stack([np.zeros(len(x)), x @ WEIGHTS], axis=1)
    found = search(PLANE, ROWS, num_answers=6, black_box=black_box, **given)
    own = found.scores[1] >= found.level
    assert own.any()
    assert not own.all()
    already = found.reasons == "reached already"
    assert already[:, 0].tolist() == own.tolist()
    assert already[own].mean() > 0.5
    assert not already[~own].any()
    over = found.scores[2] - found.level
    assert (found.reasons[~own] == "reached").all()
    assert (over[~own] >= 0).all()
    assert (over[~own] <= 0.011).all()
    assert over[own & already.any(axis=1)].max() > 1
    assert (found.tries > 0).tolist() == (~already).tolist()
    alone = search(PLANE, ROWS, num_answers=1, black_box=black_box, **given)
    np.testing.assert_allclose(alone.answers[:, 0], found.answers[:, 0], atol=1e-4)


def test_every_geometry_answers_and_says_what_it_is():
    for name, geometry in GEOMETRIES.items():
        found = search(PLANE, ROWS, classifier=linear, target=1, geometry=name)
        assert found.reached.all(), name
        assert found.notes == ((geometry.note,) if geometry.note else ()), name
        inside = np.abs(found.answers[:, 0] - found.answers[:, 0] @ (MATRIX @ BACK).T).max()
        assert (inside < 1e-4) == (name != "x-space"), name
        moved = found.tries[:, 0] > 2
        straight = name not in ("adam", "pull-back")  # the gradient is constant
        assert (found.drift[moved] < 1e-5).all() == straight, name


def test_reasons_name_what_was_in_the_way():
    found = search(PLANE, ROWS, classifier=bounded, target=1)
    assert set(found.reasons.ravel()) == {"plateau"}
    assert (found.scores[2] > 0.3).all()  # the best attempt
    found = search(PLANE, ROWS[:3] - 9 * MATRIX[:, 0], classifier=linear, target=1, most_tries=3)
    assert set(found.reasons.ravel()) == {"budget"}
    far = search(DENSE, ROWS, classifier=lambda x: linear(x) / 20, target=1, plausible=ROWS)
    free = search(DENSE, ROWS, classifier=lambda x: linear(x) / 20, target=1)
    assert "less probable than each of the rows" in free.notes[0]
    assert not any("less probable" in note for note in far.notes)
    assert set(far.reasons.ravel()) == {"left the manifold"}
    assert not far.answered.any()
    broken = search(PLANE, ROWS, classifier=lambda x: linear(x) + jnp.log(x[:1] - 99), target=1)
    assert set(broken.reasons.ravel()) == {"not finite"}


def test_answers_are_as_probable_as_they_must_be():
    """The ridge of a Gaussian beyond a line: its nearest point to the mean is known."""
    start = ROWS[:1] * 0 + np.array([[3.0, 0.0]], np.float32) @ MATRIX.T
    floor_rows = np.array([[1.2, 0.0], [0.0, 1.2]], np.float32) @ MATRIX.T
    found = search(
        DENSE, np.repeat(start, 2, axis=0) * np.array([[1], [0.9]], np.float32),
        classifier=lambda x: jnp.array([0.0, 1.0]) * (x[1] * 4 + 1.2), target=1, plausible=floor_rows,
    )  # fmt: skip
    assert found.reached.all()
    assert found.floor == pytest.approx(-0.72, abs=1e-4)
    assert (found.log_density[1] >= found.floor).all()
    assert (found.log_density[0] < found.floor).all()


def along_first(x):
    """Log-odds of class 1 that rise with the first latent."""
    return jnp.array([0.0, 2.0]) * (jnp.asarray(BACK)[0] @ x)


def test_the_way_keeps_to_the_floor_where_it_can():
    """Straight ahead lies outside of a circle, along which the answer is reached too."""
    start = np.array([[0.0, 1.1]], np.float32) @ MATRIX.T
    rim = np.array([[1.2, 0.0], [0.0, 1.2]], np.float32) @ MATRIX.T
    given = {"classifier": along_first, "target": 1, "confidence": 0.9}
    found = search(DENSE, start, plausible=rim, **given)
    free = search(DENSE, start, **given)
    assert found.reached.all()
    assert not found.notes
    (way,), (straight,) = diagnose(found), diagnose(free)
    assert way.log_density.min() >= found.floor
    assert straight.log_density[-1] < found.floor


def test_the_way_leads_over_rows_below_the_floor_where_there_is_no_other():
    def two_hills(z):
        return jnp.logaddexp(-2 * jnp.sum((z - 2) ** 2), -2 * jnp.sum((z + 2) ** 2))

    hills = np.array([[2.0, 2.0], [-2.0, -2.0]], np.float32)
    near = hills + np.float32(0.3)
    found = search(
        (encode, decode, two_hills), hills[1:] @ MATRIX.T, classifier=along_first, target=1,
        plausible=near @ MATRIX.T, quantile=0.0,
    )  # fmt: skip
    assert found.reached.all()
    assert found.log_density[1].min() >= found.floor
    assert "to 1 of the answers the way leads over rows" in found.notes[0]


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (Margin(0, 2.0), lambda y: -y >= 2.0),
        (Between(0.4, 0.6), lambda y: (y >= 0.4) & (y <= 0.6)),
        (Below(-1.0), lambda y: y <= -1.0),
    ],
)
def test_other_targets(target, wanted):
    value = isinstance(target, Between | Below)
    classifier = (lambda x: linear(x)[1]) if value else linear
    found = search(PLANE, ROWS, classifier=classifier, target=target)
    assert found.reached.all()
    assert wanted(found.answers[:, 0] @ WEIGHTS).all()
    assert not wanted(ROWS @ WEIGHTS).all()


def test_a_black_box_goes_where_its_gradient_goes():
    """Of a linear score the estimate over all dimensions is exact."""
    asked = []

    def predict(x):
        asked.append(len(x))
        return np.stack([np.zeros(len(x)), x @ WEIGHTS], axis=1)

    known = search(PLANE, ROWS, classifier=linear, target=1)
    found = search(PLANE, ROWS, classifier=predict, target=1, black_box=True)
    np.testing.assert_allclose(found.z, known.z, atol=0.02)
    np.testing.assert_array_equal(found.queries, 5 * (found.tries + 1))
    assert sum(asked) >= found.queries.sum()


def test_an_estimator_of_scikit_learn_is_one():
    estimator = LogisticRegression(C=100.0).fit(ROWS, (ROWS @ WEIGHTS > 0).astype(int))
    found = search(PLANE, ROWS, classifier=estimator, target=1, confidence=0.8)
    assert found.reached.all()
    assert (estimator.predict_proba(found.answers[:, 0])[:, 1] >= 0.8 - 1e-5).all()


def test_a_forest_is_asked_about_a_place_wide_enough_to_see_its_steps():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2)).astype(np.float32) @ MATRIX.T
    forest = RandomForestClassifier(20, random_state=0).fit(x, (x[:, 0] > 0).astype(int))
    assert as_classifier(forest, (3,)).smoothing > as_classifier(linear_model(x), (3,)).smoothing
    below = x[x[:, 0] < -0.3][:8]
    found = search(PLANE, below, classifier=forest, target=1, confidence=0.8)
    assert found.reached.mean() > 0.8  # far from a step nothing is seen, and the reason says so
    said = forest.predict_proba(found.answers[:, 0])[:, 1]
    assert (said[found.reached[:, 0]] >= 0.8 - 1e-5).all()


def linear_model(x):
    return LogisticRegression().fit(x, (x @ WEIGHTS > 0).astype(int))


def test_no_result_depends_on_the_blocks(monkeypatch):
    """Rows take places that others have left, and the last go on in a narrower block."""
    far = ROWS - np.arange(9)[:, None].astype(np.float32) * MATRIX[:, 0]
    given = {"classifier": linear, "target": 1, "num_answers": 3, "key": 5}
    alone = search(PLANE, far, **given)
    for width in (2, 8):
        module = importlib.import_module("taut.counterfactuals.search")
        monkeypatch.setattr(module, "_WIDTH", width)
        found = search(PLANE, far, **given)
        np.testing.assert_allclose(found.answers, alone.answers, atol=1e-4)
        np.testing.assert_array_equal(found.reasons, alone.reasons)
    assert np.ptp(alone.answers, axis=1).max() > 0.1  # several starts, several answers


def test_every_number_asked_for_arrives(monkeypatch):
    class Called(Exception):
        pass

    def ended(ascent, *_, **__):
        raise Called(ascent)

    module = importlib.import_module("taut.counterfactuals.search")
    monkeypatch.setattr(module, "all_ended", ended)
    asked = {"proximity": 0.25, "sparsity": 0.5, "most_tries": 7}
    with pytest.raises(Called) as raised:
        search(
            DENSE, ROWS, classifier=linear, target=Margin(1, 2.0), geometry="adam",
            plausible=ROWS, quantile=0.5, **asked,
        )  # fmt: skip
    ascent = raised.value.args[0]
    assert {name: getattr(ascent, name) for name in asked} == asked
    assert ascent.geometry == GEOMETRIES["adam"]()
    assert ascent.target == Margin(1, 2.0)
    densities = [float(log_density(encode(row))) for row in ROWS]
    assert float(ascent.floor) == pytest.approx(np.median(densities), rel=1e-5)


def test_penalties_keep_answers_near():
    free = search(PLANE, ROWS, classifier=linear, target=1, confidence=0.99)
    near = search(PLANE, ROWS, classifier=linear, target=1, confidence=0.99, proximity=0.05)
    distance = [np.linalg.norm(f.answers[:, 0] - ROWS, axis=1) for f in (free, near)]
    assert (distance[1] <= distance[0] + 1e-2).all()
    assert (distance[1] < distance[0] - 1e-3).any()


@pytest.fixture(scope="module")
def fits():
    rows = np.random.default_rng(1).normal(size=(60, 2)).astype(np.float32) @ np.float32(
        [[1.0, 0.4], [0.0, 20.0]]
    )
    quick = {"epochs": 1, "evidence_particles": 2}
    flow = taut.fit(rows, model=taut.Flow(layers="affine-coupling:2", hidden=(4,)), **quick)
    return rows, {
        "flow": flow,
        "ppca": taut.em(rows, model="ppca", components=1),
        "gmm": taut.em(rows, model="gmm", components=2),
        "vae": taut.fit(rows, model=taut.VAE(latent_dim=2, hidden=(4,)), **quick),
    }


def test_a_flow_has_its_own_log_density(fits):
    rows, known = fits
    fit = known["flow"]
    found = search(
        fit, rows, classifier=lambda x: jnp.array([0.0, 1.0]) * (x[0] - 0.5), target=1,
        confidence=0.6,
    )  # fmt: skip
    assert found.reached.all()
    np.testing.assert_allclose(found.reconstruction, rows, atol=1e-3)
    for rows_of, density in zip(
        (rows, found.answers[:, 0]), (found.log_density[0], found.log_density[1][:, 0]), strict=True
    ):
        np.testing.assert_allclose(fit.evidence(rows_of).values, density, atol=1e-3)


def test_the_density_of_a_code_is_the_priors(fits):
    rows, known = fits
    with types_unchecked():
        found = search(
            known["vae"], rows, classifier=lambda x: jnp.array([0.0, 1.0]) * x[0], target=1,
            confidence=0.51, most_unexplained=1e9,
        )  # fmt: skip
    assert found.density_of == "code"
    z = found.z[:, 0]
    np.testing.assert_allclose(
        found.log_density[1][:, 0], -0.5 * (z**2).sum(1) - np.log(2 * np.pi), atol=1e-4
    )


def test_answers_of_a_linear_factor_model_lie_in_its_plane(fits):
    rows, known = fits
    found = search(
        known["ppca"], rows, classifier=lambda x: jnp.array([0.0, 1.0]) * x[1] / 20, target=1,
        confidence=0.6,
    )  # fmt: skip
    assert found.reached.all()
    centred = found.answers[:, 0] - found.answers[:, 0].mean(0)
    values = np.linalg.svd(centred, compute_uv=False)
    assert values[1] < 1e-4 * values[0]


@pytest.mark.parametrize("index", [1.7, "1", True])
def test_a_class_is_a_whole_number(index):
    with types_unchecked(), pytest.raises(InputError, match="expected a class from 0 to 1, got"):
        Class(index).check(2)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"target": 2}, r"target: expected a class from 0 to 1, got 2"),
        ({"target": 1.7}, r"target: expected a number of a class, .*, got 1\.7"),
        ({"confidence": 1.0}, r"expected a confidence between 0 and 1.*got 1\.0"),
        (
            {"target": Between(0.0, 1.0), "confidence": 0.8},
            "expected a class that is named, which `conf",
        ),
        ({"most_unexplained": float("nan")}, "most_unexplained: expected a share of at least 0"),
        ({"geometry": "plane"}, r"geometry: expected one of plain, .*got 'plane'. Try 'plain'"),
        (
            {"geometry": "pull-back", "generator": (lambda x: x, lambda z: z)},
            "3 latents for 3 cells",
        ),
        ({"classifier": lambda x: x @ np.ones(4)}, r"classifier of one row of shape \(3,\), got"),
        ({"classifier": lambda x: np.asarray(x) * 2.0}, r"JAX operations.*Try a black box"),
        ({"classifier": lambda x: jnp.outer(x, x)}, r"one output for each class.*shape \(3, 3\)"),
        ({"classifier": lambda x: (x, x)}, r"one array of outputs of one row, got 2 of them"),
        ({"classifier": 3}, r"classifier: expected a classifier: a function of a row.*got int"),
        ({"target": Between(0.0, 1.0)}, r"classifier with one output.*got 2 outputs"),
        ({"confidence": 1e-9}, r"target: expected a target that some row has not reached"),
        ({"plausible": ROWS}, r"plausible: expected a generator with a log-density"),
        ({"num_answers": 0}, r"num_answers: expected at least 1, got 0"),
        ({"quantile": 1.0}, r"quantile: expected a quantile from 0 to below 1, got 1"),
        ({"rows": ROWS[:0]}, r"rows: expected at least one row"),
        ({"rows": ROWS * np.nan}, r"rows: expected finite numbers"),
        ({"generator": 3}, r"generator: expected a fit, or functions"),
        ({"generator": (encode, lambda z: z)}, r"expected rows of shape \(3,\).*got shape \(2,\)"),
        ({"generator": (lambda x: x[None], decode)}, r"encode: expected codes that are vectors"),
        ({"generator": (lambda x: 0 * x[:2], decode)}, r"reconstructions that miss at most 50%"),
    ],
)
def test_one_line_for_what_cannot_be_searched(given, line):
    given = {"generator": PLANE, "rows": ROWS, "classifier": linear, "target": 1} | given
    generator, rows = given.pop("generator"), given.pop("rows")
    with types_unchecked(), pytest.raises(InputError, match=line):
        search(generator, rows, **given)


def test_reconstructions_are_judged_by_all_rows():
    """The rows that the generator has come first, as in a sorted file; the others are off its plane."""
    off = np.linalg.svd(MATRIX)[0][:, 2]
    rows = np.concatenate([np.tile(ROWS, (15, 1)), 10 * np.tile(off, (135, 1))]).astype(np.float32)
    with pytest.raises(InputError, match="reconstructions that miss at most 50%"):
        search(PLANE, rows, classifier=linear, target=1)


def test_targets_that_contradict_themselves_are_refused():
    with pytest.raises(InputError, match=r"lower end is below its upper end, got 2\.0 to 1\.0"):
        Between(2.0, 1.0)


def test_estimators_of_other_rows_and_discrete_latents_are_named(fits):
    rows, known = fits
    estimator = LogisticRegression().fit(np.ones((4, 5)) * np.arange(4)[:, None], [0, 0, 1, 1])
    with pytest.raises(
        InputError, match="expected a classifier of rows with 2 cells, got one of 5"
    ):
        search(known["flow"], rows, classifier=estimator, target=1)
    with pytest.raises(
        InputError, match="real numbers, to move along, got gmm, which has discrete"
    ):
        search(known["gmm"], rows, classifier=linear, target=1)
