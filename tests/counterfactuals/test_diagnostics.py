"""Diagnostics of maps whose singular values, densities and ways are known; and classifiers as layers."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

import taut
from taut.core import InputError
from taut.counterfactuals import Constraints, diagnose, diagnostics, search
from taut.counterfactuals.ascent import Ascent
from taut.counterfactuals.classifier import Differentiable
from taut.counterfactuals.generator import Functions
from taut.counterfactuals.geometry import Plain
from taut.counterfactuals.sklearn_classifier import as_layers, trained
from taut.counterfactuals.targets import Class

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(3, 3)).astype(np.float32)
VALUES = np.array([2.0, 0.5, 0.01])
U = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
MATRIX = (U * VALUES).astype(np.float32)


def classifier(x):
    return jnp.array([0.0, 1.0]) * (x @ jnp.array([1.0, -2.0, 0.5]))


def gaussian(z):
    return -0.5 * jnp.sum(z**2)


@pytest.fixture(scope="module")
def found():
    back = np.linalg.inv(MATRIX.astype(np.float64)).astype(np.float32)
    pair = (lambda x: jnp.asarray(back) @ x, lambda z: jnp.asarray(MATRIX) @ z, gaussian)
    return search(pair, ROWS, classifier=classifier, target=1, confidence=0.99)


def test_a_linear_map_is_seen_as_it_is(found):
    reference = RNG.permutation(np.linspace(-9000, 0, 1000))  # around all of the densities
    for path in diagnose(found, reference=reference):
        np.testing.assert_allclose(path.singular_values, VALUES, rtol=1e-4)
        assert path.effective_dimension == pytest.approx(
            (VALUES**2).sum() ** 2 / (VALUES**4).sum(), rel=1e-4
        )
        way = path.x[-1] - path.x[0]
        tangent = U[:, :2] @ U[:, :2].T @ way  # the third direction is normal
        assert path.path_tangent == pytest.approx(np.linalg.norm(tangent), rel=1e-3)
        assert path.path_normal == pytest.approx(np.linalg.norm(way - tangent), rel=1e-2, abs=1e-5)
        assert path.path_normal < 1e-2 * path.path_tangent
        assert len(path.tangent) == len(path.normal) == len(path.x) - 1
        assert path.round_trip < 1e-3
        assert path.residual_slope == np.inf
        share = (path.log_density + 9000) / 9000
        assert (share > 0).all()
        assert (share < 1).all()
        np.testing.assert_allclose(path.quantiles, share, atol=2e-3)


def test_coverage_is_of_rows_however_many_answers_each_has(found):
    reasons = [["reached", "plateau"], ["plateau", "plateau"], ["budget", "reached already"]]
    twice = replace(found, reasons=np.array(reasons))
    told = twice.to_dict()
    assert told["coverage"] == pytest.approx(2 / 3)
    assert told["reasons"] == {"plateau": 3, "reached": 1, "budget": 1, "reached already": 1}
    assert [row["reasons"] for row in told["rows"]] == reasons
    assert "6 answers to 3 rows" in repr(twice)


def test_what_the_encoder_loses_is_in_the_scale_of_the_search(found):
    lost, scale = np.array([3.0, -1.0, 0.5]), np.array([2.0, 0.5, 4.0])
    scaled = eqx.tree_at(lambda a: a.scale, found.ascent, jnp.asarray(scale))
    back = replace(found, ascent=scaled, reconstruction=found.x + lost)
    for path in diagnose(back, rows=2):
        assert path.round_trip == pytest.approx(np.linalg.norm(lost / scale), rel=1e-5)


def test_a_way_ends_at_the_answer(found):
    for path in diagnose(found, rows=2):
        np.testing.assert_allclose(path.x[-1], found.answers[path.row, 0], atol=1e-5)
        np.testing.assert_allclose(path.x[0], found.reconstruction[path.row], atol=1e-5)
        assert path.quantiles is None
        assert path.to_dict()["row"] == path.row


def test_a_way_ends_at_the_answer_that_was_rounded():
    """Beyond the last point of the ascent lies the one on the grid."""
    same = (lambda x: x, lambda z: z, gaussian)
    found = search(
        same, ROWS, classifier=classifier, target=1, constraints=Constraints(whole=[0, 1, 2])
    )
    assert found.reached.all()
    for path in diagnose(found):
        np.testing.assert_array_equal(path.x[-1], found.answers[path.row, 0])
        assert path.scores[-1] == found.scores[2][path.row, 0]
        assert path.scores[-2] >= found.level + found.margin[path.row, 0]
        assert len(path.tangent) == len(path.normal) == len(path.x) - 1


def test_a_row_that_has_reached_the_target_has_a_way_of_one_point():
    same = (lambda x: x, lambda z: z, gaussian)
    rows = np.array([[9.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], np.float32)
    found = search(same, rows, classifier=classifier, target=1)
    assert found.reasons.ravel().tolist() == ["reached already", "reached"]
    still, moved = diagnose(found)
    np.testing.assert_array_equal(still.x, rows[:1])
    assert len(still.tangent) == len(still.normal) == 0
    assert still.path_tangent == still.path_normal == 0
    assert len(still.scores) == 1
    assert len(moved.tangent) == len(moved.x) - 1 > 0


def test_a_curved_map_has_a_residual_of_second_order():
    pair = (lambda x: x, lambda z: z + 0.3 * jnp.sin(z) * z[::-1])
    curved = search(pair, ROWS, classifier=classifier, target=1, most_unexplained=9.0)
    for path in diagnose(curved):
        assert path.residual_slope == pytest.approx(2.0, abs=0.1)


def test_the_largest_singular_values_need_no_jacobian(float64):
    matrix = RNG.normal(size=(300, 300)) * 0.5 ** np.arange(300)
    generator = Functions(lambda x: x, lambda z: jnp.asarray(matrix) @ z, (300,))
    ascent = Ascent(generator, Differentiable(classifier), Class(1), Plain())
    u, s = diagnostics._frame(ascent, jnp.zeros(300), jnp.zeros(300))
    known = np.linalg.svd(matrix)
    np.testing.assert_allclose(s[:12], known[1][:12], rtol=1e-8)
    np.testing.assert_allclose(np.abs(np.sum(u[:, :4] * known[0][:, :4], axis=0)), 1, rtol=1e-8)


def test_layers_have_the_logits_of_the_estimator(float64):
    x = RNG.normal(size=(60, 4)) * [1, 10, 0.1, 1]
    mean, scale = x.mean(0), x.std(0)
    u = (x - mean) / scale
    for classes in (2, 3):
        label = np.digitize(u[:, 0] + 0.1 * u[:, 1], np.linspace(-0.5, 0.5, classes - 1))
        for estimator in (LogisticRegression(), MLPClassifier((5,), tol=1.0)):
            estimator.fit(u, label)
            layers = as_layers(mean, scale, estimator)
            log_odds = jax.nn.log_softmax(jax.vmap(layers)(jnp.asarray(x)))
            np.testing.assert_allclose(log_odds, estimator.predict_log_proba(u), atol=1e-9)


def test_a_trained_classifier_knows_its_classes_and_its_accuracy():
    data = taut.load_data("digits")
    made = trained("logistic", data.train, held_out=data.test)
    assert made.classes == tuple(range(10))
    predicted = np.argmax(jax.vmap(made.classifier.outputs)(data.test.x), axis=1)
    assert made.accuracy == pytest.approx(float(np.mean(predicted == data.test.label)), abs=0.01)
    assert made.accuracy > 0.9


@pytest.mark.parametrize(
    ("kind", "source", "line"),
    [
        ("logistics", "digits", "one of logistic, mlp, got 'logistics'. Try 'logistic'"),
        ("mlp", RNG.normal(size=(30, 2)), "labels of two or more classes.*got none"),
    ],
)
def test_one_line_for_what_cannot_be_trained_on(kind, source, line):
    with pytest.raises(InputError, match=line):
        trained(kind, taut.load_data(source).train)
