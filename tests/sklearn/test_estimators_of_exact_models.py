"""What scikit-learn's checks do not look at: values, holes, names, messages, files, other containers."""

import copy
import pickle
import pickletools
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from unchecked import types_unchecked

import taut
from taut.sklearn import FactorModel, Mixture

GENERATOR = np.random.default_rng(0)
SIDE = np.repeat([0, 1], 60)
ROWS = GENERATOR.normal(size=(120, 2)) + 5 * SIDE[:, None]
FACTOR_ROWS = GENERATOR.normal(size=(120, 2)) @ [[1.0, 2, 0, 1, 1], [0, 1, 3, 1, 0]]
FACTOR_ROWS += GENERATOR.normal(size=(120, 5)) * [0.5, 1, 0.7, 0.6, 0.8]


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    return Mixture(2, n_init=1, tol=1e-13, random_state=0).fit(ROWS)


def test_a_mixture_is_the_one_that_scikit_learn_finds(mixture):
    theirs: Any = GaussianMixture(2, tol=1e-13, reg_covar=0, max_iter=1000, random_state=0).fit(
        ROWS
    )
    order, their_order = np.argsort(mixture.means_[:, 0]), np.argsort(theirs.means_[:, 0])
    for name in ("weights_", "means_", "covariances_"):
        ours = getattr(mixture, name)[order]
        np.testing.assert_allclose(ours, getattr(theirs, name)[their_order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mixture.score_samples(ROWS), theirs.score_samples(ROWS), rtol=1e-6)
    proba = mixture.predict_proba(ROWS)[:, order]
    np.testing.assert_allclose(proba, theirs.predict_proba(ROWS)[:, their_order], atol=1e-6)
    assert mixture.bic(ROWS) == pytest.approx(theirs.bic(ROWS), rel=1e-6)
    assert mixture.aic(ROWS) == pytest.approx(theirs.aic(ROWS), rel=1e-6)
    assert mixture.lower_bound_ == pytest.approx(mixture.score(ROWS), rel=1e-9)


@pytest.mark.parametrize("kind", ["tied", "diag", "spherical"])
def test_covariances_have_the_shapes_of_scikit_learn(kind):
    found = Mixture(1, covariance_type=kind, n_init=1, max_iter=3).fit(ROWS).covariances_
    theirs: Any = GaussianMixture(1, covariance_type=kind, reg_covar=0).fit(ROWS).covariances_
    np.testing.assert_allclose(found, theirs, rtol=1e-6)


def test_a_factor_model_is_at_least_as_likely_as_that_of_scikit_learn():
    ours = FactorModel(2, random_state=0).fit(FACTOR_ROWS)
    theirs = FactorAnalysis(2, tol=1e-4, max_iter=10_000, svd_method="lapack").fit(FACTOR_ROWS)
    density = multivariate_normal(ours.mean_, ours.get_covariance())
    np.testing.assert_allclose(ours.score_samples(FACTOR_ROWS), density.logpdf(FACTOR_ROWS))
    assert 0 <= ours.score(FACTOR_ROWS) - theirs.score(FACTOR_ROWS) < 1e-2
    back = ours.inverse_transform(ours.transform(FACTOR_ROWS))
    expected = ours.transform(FACTOR_ROWS) @ ours.components_ + ours.mean_
    np.testing.assert_allclose(back, expected, rtol=1e-9)


def test_rows_with_holes_have_the_density_of_what_is_there(mixture):
    rows = ROWS[:4].copy()
    rows[:, 1] = np.nan
    parts = [
        weight * np.exp(-0.5 * (rows[:, 0] - mean[0]) ** 2 / cov[0, 0]) / np.sqrt(2 * np.pi * cov[0, 0])
        for weight, mean, cov in zip(
            mixture.weights_, mixture.means_, mixture.covariances_, strict=True
        )
    ]  # fmt: skip
    np.testing.assert_allclose(mixture.score_samples(rows), np.log(sum(parts)), rtol=1e-9)


def test_constant_columns_are_kept_where_they_were():
    rows = np.insert(ROWS, 1, 7.0, axis=1)
    fitted = Mixture(1, n_init=1, max_iter=3).fit(rows)
    np.testing.assert_array_equal(fitted.means_[:, 1], 7.0)
    np.testing.assert_array_equal(fitted.covariances_[:, 1], 0.0)
    assert fitted.sample(3)[0].shape == (3, 3)


@pytest.mark.parametrize("model", ["fa", "ppca"])
def test_the_covariance_of_a_constant_column_is_that_of_its_draws(model):
    rows = np.column_stack([np.random.default_rng(0).normal(size=(60, 3)), np.full(60, 7.0)])
    found = FactorModel(1, model=model).fit(rows)
    np.testing.assert_array_equal(found.get_covariance()[-1], 0.0)
    np.testing.assert_array_equal(found.sample(20)[:, -1], 7.0)
    assert np.all(np.diag(found.get_covariance())[:-1] > 0.5)


def test_codes_are_latent_classes():
    answers = (GENERATOR.random((120, 4)) < np.where(SIDE, 0.9, 0.1)[:, None]).astype(int)
    fitted = Mixture(2, columns="codes", n_init=1, random_state=0).fit(answers)
    labels = fitted.predict(answers)
    assert max(np.mean(labels == SIDE), np.mean(labels != SIDE)) > 0.9
    assert np.all((fitted.means_ > 0) & (fitted.means_ < 1))
    with pytest.raises(ValueError, match="expected one of the values 0, 1"):
        fitted.predict(answers + 1)


def test_a_weight_of_two_scores_as_the_row_twice(mixture):
    weights = GENERATOR.integers(0, 3, len(ROWS))
    repeated = mixture.score(np.repeat(ROWS, weights, axis=0))
    assert mixture.score(ROWS, sample_weight=weights) == pytest.approx(repeated, rel=1e-12)


@pytest.mark.parametrize(
    "estimator",
    [
        Mixture(3, n_init=2, max_iter=20, random_state=0),
        Mixture(2, columns="codes", n_init=1, max_iter=20, random_state=0),
        FactorModel(2, max_iter=20, random_state=0),
    ],
)
def test_a_fit_to_weights_is_the_one_to_rows_repeated(estimator):
    """In another order, too, and with holes; weights need not be whole."""
    x = FACTOR_ROWS.copy()
    if isinstance(estimator, Mixture) and estimator.columns == "codes":
        x = (x > 0).astype(float)
    x[::7, 1] = np.nan
    weights = GENERATOR.integers(0, 4, len(x))
    order = GENERATOR.permutation(len(x))
    repeated = clone(estimator).fit(np.repeat(x, weights, axis=0))
    weighted = clone(estimator).fit(x[order], sample_weight=weights[order])
    np.testing.assert_allclose(
        weighted.score_samples(x), repeated.score_samples(x), rtol=1e-8, atol=1e-8
    )
    assert weighted.fit_.facts.em.bic == pytest.approx(repeated.fit_.facts.em.bic, rel=1e-9)
    other = clone(estimator).fit(x, sample_weight=np.where(weights == 1, 2.5, 1))
    assert abs(other.score(x) - weighted.score(x)) > 1e-4


def test_rows_of_weight_one_have_the_fit_of_rows_without_weights():
    rows = np.random.default_rng(2).normal(size=(2_500, 3)) @ np.diag([1.0, 3.0, 0.2])
    factors = FactorModel(1, max_iter=5, random_state=0)
    alone, weighted = (
        clone(factors).fit(rows),
        clone(factors).fit(rows, sample_weight=np.ones(2_500)),
    )
    np.testing.assert_array_equal(weighted.get_covariance(), alone.get_covariance())


def test_a_singular_row_is_named_by_its_place_among_all():
    rows = np.concatenate([ROWS, [[40.0, 40.0]] * 3])
    weights = np.arange(123) % 2.0
    fitted = Mixture(3, n_init=1, random_state=0).fit(rows, sample_weight=weights)
    facts: Any = fitted.fit_.facts
    (one,) = facts.em.held_apart
    assert one.row == 121
    assert one.rows == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["mixture", "factors"])
def test_draws_are_of_the_seed(name, mixture):
    if name == "mixture":
        made: Any = copy.copy(mixture)
    else:
        made = FactorModel(1, max_iter=1, random_state=0).fit(FACTOR_ROWS)
    first, again = made.sample(3)[0], made.sample(3)[0]
    np.testing.assert_array_equal(again, first)
    assert not np.array_equal(made.set_params(random_state=1).sample(3)[0], first)


def test_draws_follow_the_mixture(mixture):
    x, labels = mixture.sample(2000)
    assert np.bincount(labels) / 2000 == pytest.approx(mixture.weights_, abs=0.06)
    for k in range(2):
        assert x[labels == k].mean(axis=0) == pytest.approx(mixture.means_[k], abs=0.2)
    for count in (0, 1.5, "3", None):
        with (
            types_unchecked(),
            pytest.raises(ValueError, match="n_samples: expected a whole number of at least 1"),
        ):
            mixture.sample(count)


def test_a_warm_start_goes_on_from_what_is_there():
    first = Mixture(2, n_init=1, tol=1e-9, random_state=0, warm_start=True).fit(ROWS)
    assert first.fit(ROWS).n_iter_ <= 2
    with pytest.raises(ValueError, match="warm_start: expected a fitted model of the same form"):
        first.set_params(n_components=3).fit(ROWS)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 0}, "n_components: expected a whole number of at least 1, got 0"),
        ({"n_components": True}, "n_components: expected a whole number of at least 1, got True"),
        ({"covariance_type": "ful"}, r"covariance_type: expected one of full.* Try 'full'"),
        ({"n_components": 500}, "n_components: expected at most 120.*fewer `n_components`"),
        ({"tol": -1.0}, "tol: expected a number of at least 0 or None"),
        ({"floor": 0.1, "reg_covar": 0.1}, "reg_covar: expected a floor or a constant"),
        (
            {"columns": "codes"},
            r"row 0, column \d: expected codes, whole numbers.*Try columns=\"numb",
        ),
    ],
)
def test_messages_name_the_estimators_own_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        Mixture(**{"n_components": 2, **parameters}).fit(ROWS)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-np.arange(120.0), "sample_weight: expected weights of at least 0.*got -1 in row 1"),
        (np.zeros(120), "zero"),
        (np.full(120, np.nan), "NaN"),
        (np.where(SIDE, 1.0, 0.0) * (np.arange(120) < 62), "X: expected more training rows than"),
    ],
)
def test_weights_that_leave_nothing_to_fit_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        Mixture().fit(ROWS, sample_weight=weights)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.arange(120.0) - 1, "sample_weight: expected weights of at least 0.*got -1 in row 0"),
        (np.zeros(120), "zero"),
    ],
)
def test_a_score_refuses_the_weights_that_a_fit_refuses(mixture, weights, message):
    with pytest.raises(ValueError, match=message):
        mixture.score(ROWS, sample_weight=weights)


def test_a_failed_run_names_the_estimators_own_parameters():
    twice = np.concatenate([ROWS, ROWS[:, :1]], axis=1)
    with pytest.raises(taut.RunError, match="a larger `floor`"):
        Mixture(1, floor=0.0, n_init=1, max_iter=3).fit(twice)
    with pytest.raises(ValueError, match=r"Try taut\.sklearn\.FactorModel, model=\"fa\""):
        Mixture().fit(ROWS[:2])


def test_an_estimator_that_is_not_fitted_says_so(mixture):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        Mixture().sample()
    with pytest.raises(NotFittedError, match="not fitted yet"):
        Mixture().inverse_transform([[1.0, 0.0]])
    with pytest.raises(ValueError, match="takes the 2 that transform gives"):
        mixture.inverse_transform([[1.0]])


def test_a_pickle_holds_no_object_of_jax_or_of_a_model(mixture):
    content = pickle.dumps(mixture)
    words = [str(part) for _, part, _ in pickletools.genops(content) if isinstance(part, str)]
    assert not [w for w in words if w.startswith(("jax", "equinox", "taut.models", "taut.fitted"))]
    again = pickle.loads(content)
    np.testing.assert_array_equal(again.score_samples(ROWS), mixture.score_samples(ROWS))
    assert again.fit_.facts == mixture.fit_.facts


def test_the_fit_behind_an_estimator_is_a_run(mixture, tmp_path):
    read = taut.load(mixture.fit_.save(tmp_path / "run"))
    found = read.evidence(ROWS)
    assert found.value == pytest.approx(mixture.score(ROWS), rel=1e-9)
    assert found.side == "exact"


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_frames_come_out_as_they_were_asked_for(container):
    library = pytest.importorskip(container)
    frame = library.DataFrame({"a": ROWS[:, 0], "b": ROWS[:, 1]})
    fitted = Mixture(2, n_init=1, max_iter=3).set_output(transform=container).fit(frame)
    out = fitted.transform(frame)
    assert isinstance(out, library.DataFrame)
    assert list(out.columns) == list(fitted.get_feature_names_out()) == ["mixture0", "mixture1"]
    assert fitted.fit_.schema.columns == ("a", "b")


def test_estimators_go_into_pipelines_and_searches():
    columns = ColumnTransformer([("mixture", Mixture(n_init=1, max_iter=3), [0, 1])])
    pipeline = make_pipeline(columns, LogisticRegression())
    grid = {"columntransformer__mixture__n_components": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(ROWS, SIDE)
    assert search.best_params_ == {"columntransformer__mixture__n_components": 2}
    assert np.mean(search.predict(ROWS) == SIDE) > 0.9


def test_a_page_of_an_estimator_is_small(mixture):
    page = mixture._repr_html_()
    assert len(page.encode()) < 50_000
    assert "n_components" in page
