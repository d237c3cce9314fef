"""Imputation and anomaly detection by a fitted model, against closed forms of a Gaussian."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from taut.fitted.class_head import class_head
from taut.sklearn import VAE, AnomalyDetector, Imputer, Mixture, SemiSupervisedClassifier
from taut.sklearn.with_target import CHOICES

GENERATOR = np.random.default_rng(0)
COVARIANCE = np.array([[1.0, 0.8], [0.8, 1.0]])
ROWS = GENERATOR.multivariate_normal([1.0, -1.0], COVARIANCE, 200)
HOLED = np.where(np.arange(400).reshape(200, 2) % 9 == 1, np.nan, ROWS)


@pytest.fixture(scope="module")
def imputer() -> Imputer:
    return Imputer(random_state=0).fit(HOLED)


def test_more_classes_than_digits_keep_their_order():
    y = np.arange(240) % 12
    x = 6.0 * np.eye(12)[y] + np.random.default_rng(1).normal(size=(240, 12))
    vae = VAE(4, hidden=(16,), max_epochs=60, batch_size=32, learning_rate=0.02)
    found = SemiSupervisedClassifier(vae, method="m2", random_state=0).fit(x, y)
    assert found.classes_.tolist() == list(range(12))
    assert np.mean(found.predict_proba(x).argmax(axis=1) == y) > 0.6  # by chance 1 in 12
    assert np.mean(found.predict(x) == y) > 0.6


def test_a_missing_cell_is_the_regression_on_the_others(imputer):
    model = imputer.estimator_
    (mean,), (cov,) = model.means_, model.covariances_
    filled, missing = imputer.transform(HOLED), np.isnan(HOLED[:, 1])
    expected = mean[1] + cov[1, 0] / cov[0, 0] * (HOLED[missing, 0] - mean[0])
    np.testing.assert_allclose(filled[missing, 1], expected, rtol=1e-9)
    seen = ~np.isnan(HOLED)
    np.testing.assert_array_equal(filled[seen], HOLED[seen])
    assert imputer.get_feature_names_out().tolist() == ["x0", "x1"]


def test_draws_spread_about_the_regression_as_the_model_has_it(imputer):
    (cov,) = imputer.estimator_.covariances_
    drawn = Imputer(sample_posterior=True, random_state=0).fit(HOLED)
    missing = np.isnan(HOLED[:, 1])
    apart = (drawn.transform(HOLED) - imputer.transform(HOLED))[missing, 1]
    left = cov[1, 1] - cov[1, 0] ** 2 / cov[0, 0]
    assert np.mean(apart**2) == pytest.approx(left, abs=5 * left * np.sqrt(2 / missing.sum()))


def test_draws_are_of_the_seed(imputer):
    made = copy.copy(imputer).set_params(sample_posterior=True)
    first, again = made.transform(HOLED), made.transform(HOLED)
    np.testing.assert_array_equal(again, first)
    assert not np.array_equal(made.set_params(random_state=1).transform(HOLED), first)


@pytest.mark.parametrize("drawn", [False, True])
def test_categories_that_are_numbers_are_filled_with_these(drawn):
    side = np.arange(120) % 2
    x = np.column_stack([10.0 * side + GENERATOR.normal(size=120), np.where(side, 30.0, 10.0)])
    holed = x.copy()
    holed[0, 0] = holed[1, 1] = np.nan
    mixture = Mixture(2, columns="mixed", kind={"x1": "categorical"}, random_state=0)
    filled = Imputer(mixture, sample_posterior=drawn, random_state=0).fit(x).transform(holed)
    np.testing.assert_array_equal(filled[2:], x[2:])
    assert abs(filled[0, 0] - x[0, 0]) < 5
    assert filled[0, 1] == x[0, 1]
    assert filled[1].tolist() == x[1].tolist()


def test_rows_that_are_far_from_the_others_are_outliers():
    rows = np.concatenate([ROWS, [[9.0, 9.0], [-9.0, 9.0]]])
    detector = AnomalyDetector(contamination=0.01).fit(rows)
    found = detector.predict(rows)
    assert found.tolist()[-2:] == [-1, -1]
    assert np.mean(found == -1) <= 0.02
    centred = ROWS - detector.estimator_.means_[0]
    precision = np.linalg.inv(detector.estimator_.covariances_[0])
    distance = np.einsum("ni,ij,nj->n", centred, precision, centred)
    found = detector.score_samples(ROWS)
    np.testing.assert_allclose(found - found[0], -0.5 * (distance - distance[0]), atol=1e-9)


def test_estimators_upon_models_go_into_pipelines_and_pickles(imputer):
    steps = make_pipeline(Imputer(Mixture(n_init=1, max_iter=3)), PCA(1)).fit(HOLED)
    assert np.isfinite(steps.transform(HOLED)).all()
    again = pickle.loads(pickle.dumps(imputer))
    np.testing.assert_array_equal(again.transform(HOLED), imputer.transform(HOLED))


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match="Imputer, estimator: expected an estimator of"):
        Imputer(PCA()).fit(ROWS)
    with pytest.raises(ValueError, match="contamination: expected a number above 0 and"):
        AnomalyDetector(contamination=0.7).fit(ROWS)


GROUP = np.arange(200) % 2
SPLIT = ROWS + np.array([6.0, -6.0]) * GROUP[:, None]
FEW = np.where(np.arange(200) % 20 < 2, GROUP, -1)


@pytest.mark.parametrize(
    ("known", "names"),
    [
        (FEW, [0, 1]),
        (np.where(FEW < 0, np.nan, FEW), [0, 1]),
        (np.where(FEW < 0, -1, np.array(["ox", "ass"], object)[GROUP]), ["ass", "ox"]),
        (np.where(FEW < 0, None, np.array(["ox", "ass"], object)[GROUP]), ["ass", "ox"]),
    ],
)
def test_few_labels_name_the_components_of_all_rows(known, names):
    holed = np.where(np.isnan(HOLED), np.nan, SPLIT)
    found = SemiSupervisedClassifier(Mixture(2, n_init=1), random_state=0).fit(holed, known)
    assert found.classes_.tolist() == names
    truth = GROUP if names == [0, 1] else np.array(["ox", "ass"])[GROUP]
    assert found.score(holed, truth) > 0.97
    np.testing.assert_allclose(found.predict_proba(holed).sum(axis=1), 1)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict_proba(holed), found.predict_proba(holed))


def test_rows_that_choose_the_head_are_not_fitted(monkeypatch):
    seen = []

    def head(z, every, held, num_classes):
        seen.append((z[every >= 0], held[0]))
        return class_head(z, every, held, num_classes)

    monkeypatch.setattr("taut.sklearn.semi_supervised.class_head", head)
    rows = np.random.default_rng(0).normal(size=(60, 2)) + 3.0 * (np.arange(60) % 2)[:, None]
    SemiSupervisedClassifier(Mixture(2, n_init=1), validation_fraction=0.25, random_state=0).fit(
        rows, np.arange(60) % 2
    )
    ((fitted, held),) = seen
    assert len(held) == 14
    assert len(fitted) == 46
    assert not {row.tobytes() for row in fitted} & {row.tobytes() for row in held}


@pytest.mark.parametrize("method", ["m2", "masked"])  # m1+m2: tests/fitted/test_stacked.py
def test_rows_and_classes_are_learned_together(method):
    vae = VAE(1, hidden=(4,), max_epochs=60, batch_size=32, learning_rate=0.02)
    found = SemiSupervisedClassifier(vae, method=method, random_state=0).fit(SPLIT, FEW)
    assert found.score(SPLIT, GROUP) > 0.9
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict_proba(SPLIT), found.predict_proba(SPLIT))


def test_a_method_that_learns_together_takes_networks_alone():
    assert VAE()._recipe(ROWS, **CHOICES["m1+m2"]).training.head == "mixture-vae"
    with pytest.raises(ValueError, match=r"expected a VAE of taut\.sklearn where the method is m2"):
        SemiSupervisedClassifier(Mixture(2), method="m2").fit(ROWS, FEW)
    with pytest.raises(ValueError, match=r"method: expected one of m1, m2, .*Try 'm1\+m2'"):
        SemiSupervisedClassifier(method="m1+m3").fit(ROWS, FEW)


def test_labels_of_one_class_and_shares_of_all_are_refused():
    with pytest.raises(ValueError, match="labels of two or more classes, got one class in 10 rows"):
        SemiSupervisedClassifier().fit(ROWS, np.where(np.arange(200) < 10, 3, -1))
    with pytest.raises(ValueError, match="got no label in any row"):
        SemiSupervisedClassifier().fit(ROWS, np.full(200, -1))
    with pytest.raises(ValueError, match="a share below 1, got 1"):
        SemiSupervisedClassifier(validation_fraction=1).fit(ROWS, FEW)


CHECKS = (
    "check_classifiers_one_label", "check_classifiers_regression_target", "check_requires_y_none",
    "check_estimators_unfitted", "check_supervised_y_no_nan", "check_classifier_data_not_an_array",
)  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
def test_what_scikit_learn_asks_of_labels_holds(check):
    """All of its checks are run by `benchmarks/scikit_checks.py`."""
    kind = type("LabelSpreading", (SemiSupervisedClassifier,), {})  # by name it knows what -1 is
    getattr(estimator_checks, check)("LabelSpreading", kind(Mixture(2, n_init=1, max_iter=5)))
