"""Mixtures of tables whose columns differ in kind: densities by hand, weights, containers, messages."""

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import logsumexp
from scipy.stats import nbinom, norm
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import taut
from taut.sklearn import AnomalyDetector, Imputer, Mixture, SemiSupervisedClassifier

GENERATOR = np.random.default_rng(0)
SIDE = np.repeat([0, 1], 60)
HOLES = GENERATOR.random((3, 120)) < 0.1
COLUMNS: dict[str, Any] = {
    "age": np.where(HOLES[0], np.nan, GENERATOR.normal(30 + 20 * SIDE, 4)),
    "visits": GENERATOR.poisson(300 + 90 * SIDE),
    "color": np.where(GENERATOR.random(120) < 0.1 + 0.8 * SIDE, "red", "blue").astype(object),
    "member": GENERATOR.random(120) < 0.2 + 0.6 * SIDE,
}
COLUMNS["color"][HOLES[1]] = None
FRAME = pd.DataFrame(COLUMNS)
MIXED = Mixture(2, columns="mixed", n_init=1, max_iter=20, random_state=0)


@pytest.fixture(scope="module")
def mixed() -> Mixture:
    return clone(MIXED).fit(FRAME)


def test_the_density_is_the_product_of_the_families_of_the_columns(mixed):
    own, found = mixed.profiles_, np.log(mixed.weights_) + np.zeros((120, 2))
    age = norm(own["mean_age"], own["deviation_age"]).logpdf(FRAME[["age"]])
    mean = own["mean_visits"]
    share = mean / own["deviation_visits"] ** 2
    visits = nbinom(mean * share / (1 - share), share).logpmf(FRAME[["visits"]])
    red = (FRAME["color"] == "red").to_numpy()[:, None]
    color = np.log(np.where(red, own["p(color=red)"], own["p(color=blue)"]))
    member = FRAME[["member"]].to_numpy()
    found += np.nan_to_num(age) + visits + np.where(HOLES[1][:, None], 0.0, color)
    found += np.log(np.where(member, own["p(member=true)"], 1 - own["p(member=true)"]))
    np.testing.assert_allclose(mixed.score_samples(FRAME), logsumexp(found, axis=1), rtol=1e-6)
    expected = np.exp(found - logsumexp(found, axis=1, keepdims=True))
    np.testing.assert_allclose(mixed.predict_proba(FRAME), expected, atol=1e-6)
    right = np.mean(mixed.predict(FRAME) == SIDE)
    assert max(right, 1 - right) > 0.95


def test_it_is_the_model_of_the_command_line(mixed, tmp_path):
    read = taut.load(mixed.fit_.save(tmp_path / "run"))
    assert read.architecture == taut.Mixed(components=2)
    assert read.schema == mixed.fit_.schema
    data = taut.load_data((FRAME, FRAME[:1], FRAME[:1]), dtype=np.float64)
    for a, b in zip(read.schema.kinds or (), data.schema.kinds or (), strict=True):
        assert (a.kind, a.names, a.atoms) == (b.kind, b.names, b.atoms)
        assert (a.shift, a.scale) == pytest.approx((b.shift, b.scale), rel=1e-12)


@pytest.mark.parametrize("library", [pd, pl])
def test_tables_come_out_as_they_went_in(mixed, library):
    frame = FRAME if library is pd else pl.DataFrame(COLUMNS)
    model: Any = mixed if library is pd else clone(MIXED).fit(frame)
    drawn, labels = model.sample(300)
    centres = model.inverse_transform(np.eye(2))
    assert type(drawn) is type(centres) is type(frame)
    assert list(drawn.dtypes) == list(frame.dtypes)
    assert list(drawn.columns) == list(centres.columns) == list(FRAME.columns)
    assert sorted(centres["color"]) == ["blue", "red"]
    assert sorted(centres["member"]) == [False, True]
    for k in range(2):
        mask = labels == k
        assert np.mean(np.asarray(drawn["age"])[mask]) == pytest.approx(
            model.profiles_["mean_age"][k], abs=2.0
        )
    assert np.isfinite(model.score(drawn))
    again = pickle.loads(pickle.dumps(model))
    assert type(again.sample(2)[0]) is type(frame)
    np.testing.assert_array_equal(again.score_samples(frame), model.score_samples(frame))
    out = model.set_output(transform=library.__name__).transform(frame)
    assert type(out) is type(frame)
    assert list(out.columns) == ["mixture0", "mixture1"]


def test_a_fit_to_weights_is_the_one_to_rows_repeated():
    """A category that only rows of weight 0 have was never there."""
    weights = GENERATOR.integers(0, 3, 120)
    frame = FRAME[["color"]].fillna("blue")
    frame["gain"] = np.where(GENERATOR.random(120) < 0.5, 0.0, np.exp(GENERATOR.normal(size=120)))
    frame.loc[int(np.flatnonzero(weights == 0)[0]), "color"] = "green"
    order = GENERATOR.permutation(120)
    repeated = clone(MIXED).fit(frame.iloc[np.repeat(np.arange(120), weights)])
    weighted = clone(MIXED).fit(frame.iloc[order], sample_weight=weights[order])
    rows = frame[weights > 0]
    np.testing.assert_allclose(
        weighted.score_samples(rows), repeated.score_samples(rows), rtol=1e-7, atol=1e-7
    )
    kinds: Any = weighted.fit_.schema.kinds
    assert kinds[-1].atoms == (0.0,)
    with pytest.raises(ValueError, match=r"column 'color': expected one of the 2 values.*'green'"):
        weighted.predict(frame)


def test_it_goes_into_pipelines_and_searches_of_frames():
    pipeline = make_pipeline(FunctionTransformer(lambda X: X[["member", "color"]]), clone(MIXED))
    search = GridSearchCV(pipeline, {"mixture__n_components": [1, 2]}, cv=2, refit=False)
    search.fit(FRAME.sample(frac=1, random_state=0))
    assert search.best_params_ == {"mixture__n_components": 2}


def test_arrays_may_hold_text_and_kinds_may_be_said():
    rows = FRAME[["member", "color"]].to_numpy(object)
    model = clone(MIXED).set_params(kind={"x0": "categorical"}, max_iter=3).fit(rows)
    assert [c.kind for c in model.fit_.schema.kinds or ()] == ["categorical", "categorical"]
    drawn, _ = model.sample(3)
    assert drawn.dtype == object
    assert set(drawn[:, 1]) <= {"blue", "red"}
    with pytest.warns(UserWarning, match="X has feature names"):
        assert model.score(FRAME[["member", "color"]]) == pytest.approx(model.score(rows))


@pytest.mark.parametrize(
    ("table", "parameters", "message"),
    [
        (
            FRAME.assign(name=[f"row {i}" for i in range(120)]),
            {},
            r"column 'name': expected numbers, or.*Try `X\.drop` of the column",
        ),
        (FRAME, {"kind": {"weight": "count"}}, "expected a column of the data, got 'weight'"),
        (FRAME[["age"]], {"kind": {"age": "binary"}}, "values of kind binary"),
        (pl.DataFrame(COLUMNS).lazy(), {}, "X: expected a data frame in memory, got a LazyFrame"),
        (FRAME[:1], {}, "at least 2 rows, got n_samples=1"),
        (np.array([[1, {}], [2, {}]], object), {}, "row 0, column 1: expected numbers or text"),
        (np.ones((3, 1)), {"columns": "numbers", "kind": {}}, r"Try columns=\"mixed\""),
    ],
)
def test_messages_say_what_to_do(table, parameters, message):
    with pytest.raises(ValueError, match=message):
        Mixture(**{"columns": "mixed", **parameters}).fit(table)


@pytest.mark.parametrize("table", [FRAME, FRAME.to_numpy(object)], ids=["frame", "array"])
def test_odd_rows_of_a_table_are_found_by_what_its_mixture_says(mixed, table):
    detector = AnomalyDetector(MIXED, contamination=0.1).fit(table)
    own = mixed.score_samples(FRAME)
    np.testing.assert_allclose(detector.score_samples(table), own, rtol=1e-9)
    found = detector.predict(table)
    np.testing.assert_array_equal(found == -1, own < np.percentile(own, 10))
    again: Any = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(again.predict(table[:20]), found[:20])
    few = table[["age", "visits"]] if table is FRAME else table[:, :2]
    with pytest.raises(ValueError, match="feature"):
        detector.predict(few)


@pytest.mark.parametrize(("form", "drawn"), [("pandas", False), ("polars", True), ("array", False)])
def test_holes_of_a_table_are_filled_as_its_mixture_says(mixed, form, drawn, monkeypatch):
    monkeypatch.setattr(Mixture, "fit", lambda self, X, y=None: mixed)
    table: Any = {
        "pandas": FRAME[::-1], "polars": pl.DataFrame(COLUMNS)[::-1],
        "array": FRAME[::-1].to_numpy(object),
    }[form]  # fmt: skip
    imputer = Imputer(MIXED, sample_posterior=drawn, random_state=0).fit(table)
    filled: Any = imputer.transform(table)
    assert type(filled) is type(table)
    if form != "array":
        assert list(filled.dtypes) == list(table.dtypes)
        filled = filled.to_numpy()
    own, holes = FRAME[::-1].to_numpy(object), FRAME[::-1].isna().to_numpy()
    assert not pd.isna(filled).any()
    np.testing.assert_array_equal(filled[~holes], own[~holes])
    filled, holed = filled[holes.any(axis=1)], holes[holes.any(axis=1)]
    found = mixed.fit_.impute(FRAME[::-1][holes.any(axis=1)], draws=int(drawn), key=0)
    expected = found.draws[0] if drawn else found.mean
    np.testing.assert_allclose(filled[holed[:, 0], 0].astype(float), expected[holed[:, 0], 0])
    names = np.array(["blue", "red"])[expected[holed[:, 2], 2].astype(int)]
    assert filled[holed[:, 2], 2].tolist() == names.tolist()


def test_few_labels_name_the_components_of_a_table(mixed, monkeypatch):
    monkeypatch.setattr(Mixture, "fit", lambda self, X, y=None: mixed)
    few = np.where(np.arange(120) % 6 == 0, SIDE, -1)
    model = SemiSupervisedClassifier(MIXED, validation_fraction=0).fit(FRAME, few)
    assert model.score(FRAME, SIDE) > 0.95
    with pytest.raises(ValueError, match=r"expected a VAE of taut\.sklearn where the method is m2"):
        SemiSupervisedClassifier(MIXED, method="m2").fit(FRAME, few)


@pytest.mark.parametrize("library", ["polars", "pandas"])
def test_samples_have_the_time_zone_of_the_rows(library):
    hours = [datetime(2021, 1, 1, tzinfo=UTC) + timedelta(hours=7 * i) for i in range(60)]
    frame: Any = pl.DataFrame({"when": hours, "a": np.arange(60.0) % 7})
    frame = frame.with_columns(pl.col("when").dt.convert_time_zone("Europe/Berlin"))
    if library == "pandas":
        frame = pd.DataFrame({
            "when": pd.DatetimeIndex(hours).tz_convert("Europe/Berlin"), "a": frame["a"].to_numpy()
        })  # fmt: skip
    model: Any = Mixture(1, columns="mixed", n_init=1, max_iter=2, random_state=0).fit(frame)
    drawn = model.sample(5)[0]
    assert list(drawn.dtypes) == list(frame.dtypes)
    days = (drawn["when"].dt.hour() if library == "polars" else drawn["when"].dt.hour).to_list()
    assert len(days) == 5
