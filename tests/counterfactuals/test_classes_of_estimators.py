"""Classifiers of scikit-learn, whatever their classes are and however they decide."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from taut.core import InputError
from taut.counterfactuals import search
from taut.counterfactuals.estimators import classes_of, outputs_of_estimator, place_of

X = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
THIRD = np.digitize(X[:, 0], [-0.5, 0.5])
PLANE = (lambda x: x, lambda z: z)
ROWS = X[THIRD == 0][:3]


class OneOutput(ClassifierMixin, BaseEstimator):
    """The probability of the second class alone, as networks give it."""

    def predict_proba(self, x):
        return 1 / (1 + np.exp(-2 * x[:, :1]))


FITTED = {
    "by pairs": SVC(decision_function_shape="ovo"),
    "by pairs behind a scaler": make_pipeline(StandardScaler(), SVC(decision_function_shape="ovo")),
    "one against the rest": SVC(),
    "by votes": VotingClassifier(
        [("line", LogisticRegression()), ("margins", SGDClassifier(random_state=0))]
    ),
    "by probabilities": RandomForestClassifier(9, random_state=0),
}


@pytest.mark.parametrize("estimator", FITTED.values(), ids=FITTED)
@pytest.mark.parametrize("names", [["a", "b", "c"], [-1, 0, 1], [1, 2, 3]], ids=str)
def test_the_largest_output_is_the_class_that_the_estimator_says(estimator, names):
    names = np.array(names)
    estimator = estimator.fit(X, names[THIRD])
    outputs = outputs_of_estimator(estimator)(X)
    assert outputs.shape == (len(X), 3)
    assert np.mean(names[outputs.argmax(axis=1)] == estimator.predict(X)) > 0.98


def test_margins_of_pairs_are_those_of_scikit_learn():
    rest = SVC().fit(X, THIRD).decision_function(X)
    pairs = outputs_of_estimator(SVC(decision_function_shape="ovo").fit(X, THIRD))(X)
    np.testing.assert_allclose(pairs, rest, rtol=1e-12)


def test_an_answer_is_of_the_class_that_was_asked_for():
    estimator = SVC(decision_function_shape="ovo").fit(X, THIRD + 1)
    found = search(PLANE, ROWS, classifier=estimator, target=2, confidence=0.6)
    assert found.reached.all()
    assert (estimator.predict(found.answers[:, 0]) == 2).all()


def test_one_probability_is_that_of_the_second_class():
    p = OneOutput().predict_proba(X)
    np.testing.assert_allclose(outputs_of_estimator(OneOutput())(X), np.log(p / (1 - p)), rtol=1e-4)


def test_a_value_is_as_it_is():
    line = LinearRegression().fit(X, X[:, 0])
    np.testing.assert_array_equal(outputs_of_estimator(line)(X), line.predict(X))


@pytest.mark.parametrize(
    ("classes", "target", "place"),
    [
        (["a", "b"], "b", 1), (["a", "b"], np.str_("b"), 1), (["a", "b"], 1, 1),
        ([-1, 1], -1, 0), ([1, 2, 3], 1, 0), ([1, 2, 3], np.int64(3), 2), ([0.0, 1.0], 1, 1),
        ([False, True], True, 1), ([False, True], np.bool_(True), 1), ([False, True], 1, 1),
        (None, 2, 2), (None, np.int32(2), 2),
    ],
)  # fmt: skip
def test_a_class_is_named_as_the_estimator_names_it(classes, target, place):
    assert place_of(target, classes) == place


@pytest.mark.parametrize(
    ("classes", "target", "expected"),
    [
        ([1, 2, 3], 0, "one of the classes 1, 2, 3, got 0"),
        (["a", "b"], "c", "one of the classes 'a', 'b', got 'c'"),
        (["a", "b"], 0.5, "one of the classes"), (None, "a", "a number of a class"),
        (None, None, "a number of a class"),
    ],
)  # fmt: skip
def test_what_is_no_class_is_refused(classes, target, expected):
    with pytest.raises(InputError, match=expected):
        place_of(target, classes)


def test_a_classifier_of_one_class_is_refused():
    with pytest.raises(InputError, match="two classes or more, got one of 0 alone"):
        search(PLANE, ROWS, classifier=DummyClassifier().fit(X, 0 * THIRD), target=0)


def test_several_lists_of_classes_are_none():
    both = RandomForestClassifier(2, random_state=0).fit(X, np.stack([THIRD, THIRD], axis=1))
    assert classes_of(both) is None


def test_rows_with_masked_cells_are_refused():
    rows = np.ma.array(ROWS, mask=[[False, True], [False, False], [False, False]])
    with pytest.raises(InputError, match="without missing cells, got 1 row with some"):
        search(PLANE, rows, classifier=lambda x: x, target=1)
