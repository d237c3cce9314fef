"""A fit with a target predicts it: by Python and by the command line, saved, resumed, and refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

import taut
from taut.cli.main import main
from taut.core import InputError
from taut.data import load_data, load_rows
from taut.fitted.predicting import prediction_scores, with_predictor
from taut.fitted.prediction import ClassPrediction
from taut.fitted.refused_targets import refuse_target
from taut.recipe import Recipe

RNG = np.random.default_rng(0)
N = 240
A, B = RNG.normal(size=(2, N))
HIGH = A + RNG.normal(size=N) / 2 > 0
FRAME = pl.DataFrame(
    {
        "a": A,
        "b": B,
        "sex": RNG.choice(["m", "f"], N),
        "income": ["" if i % 3 == 0 else "high" if high else "low" for i, high in enumerate(HIGH)],
    }
)
TINY: dict[str, Any] = {"latent_dim": 2, "hidden": (8,), "epochs": 2, "evidence_particles": 2}


@pytest.fixture(scope="module", params=["label", "column"])
def run(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("target")
    FRAME.write_csv(folder / "t.csv")
    source, out = str(folder / "t.csv"), folder / "run"
    taut.fit(source, target="income", target_as=request.param, **TINY, out=out)
    return out


def test_a_run_predicts_as_its_fit_did_in_python_and_on_the_command_line(run, capsys):
    fitted: Any = taut.load(run)
    frame = FRAME.drop("income")
    found = fitted.predict(frame)
    assert found.classes == ("high", "low")
    assert set(found.labels) <= {"high", "low"}
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-9)
    frame.write_csv(run.parent / "more.csv")
    assert main(["predict", str(run), str(run.parent / "more.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"] == {}
    table = pl.read_csv(run / "predictions.csv")
    assert table["income"].to_list() == found.labels.tolist()
    np.testing.assert_allclose(table["p(income=low)"], found.probabilities[:, 1], rtol=1e-5)


def test_the_test_rows_are_scored_again_to_the_same_numbers(run, capsys):
    """Also where all rows of the run's own file are predicted, of which they are some."""
    fitted: Any = taut.load(run)
    for source in ([], [str(run.parent / "t.csv")]):
        assert main(["predict", str(run), *source, "--json"]) == 0
        scores = json.loads(capsys.readouterr().out)["scores"]
        for name in ("accuracy", "target_nll", "ece"):
            assert scores[name]["value"] == pytest.approx(fitted.estimates[name].value, rel=1e-6)
    assert main(["predict", str(run)]) == 0
    assert "calibration error" in capsys.readouterr().out
    assert any("rows with a value of the target 'income'" in note for note in fitted.facts.notes)


@pytest.mark.parametrize("source", [[], ["t.csv"]])
def test_scores_are_those_of_the_very_predictions_that_are_written(run, source, capsys):
    fitted: Any = taut.load(run)
    few = [] if fitted.schema.place_of_target is None else ["--num-particles", "3"]
    files = [str(run.parent / name) for name in source]
    assert main(["predict", str(run), *files, *few, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    table = pl.read_csv(run / "predictions.csv")
    known = [i for i in fitted.recipe.data.load().test[:].index if i % 3]
    table = table[[table["row"].to_list().index(i) for i in known]]
    own = FRAME["income"].to_numpy()[known]
    shown = np.where(own == "low", table["p(income=low)"], table["p(income=high)"])
    assert scores["target_nll"]["value"] == pytest.approx(-np.log(shown).mean(), rel=1e-5)
    assert scores["accuracy"]["value"] == np.mean(table["income"].to_numpy() == own)


def test_the_target_of_the_rows_themselves_is_not_looked_at(run):
    fitted: Any = taut.load(run)
    turned = FRAME.with_columns(income=pl.Series(["low"] * N))
    np.testing.assert_array_equal(
        fitted.predict(turned).probabilities, fitted.predict(FRAME).probabilities
    )


def test_a_class_that_the_fit_has_not_seen_is_not_looked_at_or_no_target(run, capsys):
    """In Python a target is nothing to a prediction; the command compares it, and can be told not to."""
    fitted: Any = taut.load(run)
    known, told = FRAME[:20], FRAME["income"][:20].to_list()
    odd = known.with_columns(income=pl.Series(["middling", "", *told[2:]]))
    found, wanted = fitted.predict(odd), fitted.predict(known).probabilities
    np.testing.assert_array_equal(found.probabilities, wanted)
    assert found.unseen == 0
    odd.write_csv(run.parent / "new.csv")
    command = ["predict", str(run), str(run.parent / "new.csv"), "--json"]
    assert main(command) == 2
    assert "got 'middling'" in capsys.readouterr().err
    assert main([*command, "--unseen", "missing"]) == 0
    said = json.loads(capsys.readouterr().out)
    known_rows = sum(name != "" for name in told[2:])
    assert (said["unseen"], said["scores"]["accuracy"]["count"]) == (1, known_rows)


def test_an_empty_column_is_normal_and_a_missing_one_is_named(run, capsys):
    fitted: Any = taut.load(run)
    empty = fitted.predict(FRAME.with_columns(b=None))
    assert np.isfinite(empty.probabilities).all()
    with pytest.raises(InputError, match="no column 'b'"):
        fitted.predict(FRAME.drop("b"))
    extra = fitted.predict(FRAME.with_columns(more=pl.lit(1)))
    np.testing.assert_array_equal(extra.probabilities, fitted.predict(FRAME).probabilities)
    odd = run.parent / "odd.csv"
    FRAME.with_columns(sex=pl.Series(["x", *FRAME["sex"][1:]])).write_csv(odd)
    assert main(["predict", str(run), str(odd)]) == 2
    assert "one of the 2 values that the fit has seen, got 'x'" in capsys.readouterr().err
    assert main(["predict", str(run), str(odd), "--unseen", "missing"]) == 0
    assert "1 cell of categories that the fit has not seen" in capsys.readouterr().out


def test_draws_and_unseen_categories_are_chosen_where_there_are_some(run):
    fitted: Any = taut.load(run)
    frame = FRAME.drop("income")[:4]
    if fitted.schema.place_of_target is None:
        with pytest.raises(
            InputError, match=r"which `num_particles` is for, got one that is predicted"
        ):
            fitted.predict(frame, num_particles=20)
    else:
        assert len(fitted.predict(frame, num_particles=20).labels) == 4
    with pytest.raises(InputError, match="unseen: expected a data frame, which `unseen` is for"):
        fitted.predict(load_rows(frame, fitted.schema), unseen="missing")


@pytest.mark.usefixtures("undrawn")
def test_a_resumed_run_has_the_same_predictor(run, tmp_path):
    import shutil

    stopped = tmp_path / "run"
    shutil.copytree(run, stopped)
    for name in ("summary.json", "predictor.safetensors"):
        (stopped / name).unlink()
    assert main(["resume", str(stopped), "--json"]) == 0
    before, after = (p / "predictor.safetensors" for p in (run, stopped))
    assert before.read_bytes() == after.read_bytes()


def test_held_out_labels_set_the_temperature(run):
    fitted: Any = taut.load(run)
    data = fitted.recipe.data.load()
    held, place = data.validation, fitted.schema.place_of_target
    if place is None:
        turned = replace(held, label=held.label[::-1])
    else:
        x = np.array(held.x)
        x[:, place] = x[::-1, place]
        turned = replace(held, cells=x, mask=~np.isnan(x))
    of_turned: Any = with_predictor(fitted, replace(data, validation=turned)).predictor
    again: Any = with_predictor(fitted, data).predictor
    assert float(again.temperature) == float(fitted.predictor.temperature)
    assert float(of_turned.temperature) != float(fitted.predictor.temperature)


def test_a_gaussian_predicts_by_its_regression(float64):
    """Of one Gaussian: E[y | x] = m_y + S_yx S_xx^-1 (x - m_x), with the deviation that remains."""
    x = RNG.multivariate_normal([1, 2, 3], [[1, 0.5, 0.6], [0.5, 2, 0.1], [0.6, 0.1, 1]], size=300)
    frame = pl.DataFrame(x, schema=["a", "y", "b"])
    data = load_data(frame, target="y", target_as="column", dtype=np.float64)
    fitted: Any = taut.em(data, model="gmm", components=1)
    found = fitted.predict(data.test)
    mean, cov = np.asarray(fitted.model.means)[0], np.asarray(fitted.model.covariances)[0]
    slope = np.linalg.solve(cov[np.ix_([0, 2], [0, 2])], cov[[0, 2], 1])
    wanted = mean[1] + (data.test.x[:, [0, 2]] - mean[[0, 2]]) @ slope
    left = np.sqrt(cov[1, 1] - cov[1, [0, 2]] @ slope)
    np.testing.assert_allclose(found.mean, wanted, rtol=1e-9)
    np.testing.assert_allclose(found.deviation, left, rtol=1e-9)
    for end, p in ((found.low, 0.05), (found.high, 0.95)):
        np.testing.assert_allclose(end, norm.ppf(p, wanted, left), rtol=1e-9)
    np.testing.assert_array_equal(fitted.predict(data.test, key=1).low, found.low)
    nll = -norm.logpdf(data.test.x[:, 1], wanted, left).mean()
    assert fitted.estimates["target_nll"].value == pytest.approx(nll, rel=1e-9)
    assert fitted.estimates["target_nll"].side == "exact"


def test_the_ends_of_an_interval_of_counts_are_counts():
    """Quantiles as `cell_quantiles` has them, values that were drawn: nothing is between two counts."""
    visits = RNG.poisson(np.exp(1 + A / 2)).astype(float)
    frame = pl.DataFrame({"a": A, "b": B, "sex": FRAME["sex"], "visits": visits})
    data = load_data(frame, target="visits", target_as="column", kind=("visits=count",))
    found: Any = taut.fit(data, model="vae", **TINY).predict(data.train)
    for end in (found.low, found.high):
        np.testing.assert_array_equal(end, np.rint(end))
    assert (found.low < found.high).any()


def test_numbers_beside_the_columns_are_regressed_on_the_latent_features(float64):
    x = RNG.normal(size=(400, 2))
    y = 5 + 2 * x[:, 0] + 0.1 * RNG.normal(size=400)
    y[::4] = np.nan
    data = load_data((x, y), target="y", dtype=np.float64)
    fitted: Any = taut.em(data, model="fa", components=1)
    predicted: Any = fitted.predict(data.test)
    scores = prediction_scores(fitted, data.test, predicted)
    assert scores["rmse"].unit == "y"
    assert 0 <= scores["coverage"].value <= 1
    rest, label = predicted.select(np.arange(4, 40)), data.test.label[4:]
    left = np.sqrt(np.nanmean((predicted.mean[4:] - label) ** 2))
    scores = prediction_scores(fitted, data.test[4:], rest)
    assert scores["rmse"].value == pytest.approx(left, rel=1e-12)
    assert scores["rmse"].count == np.sum(~np.isnan(label))
    found: Any = fitted.predict(x[:3])
    np.testing.assert_allclose(found.high - found.mean, found.deviation * norm.ppf(0.95))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "income", "model": "flow", "target_as": "column"}, 'got model="flow"'),
        ({"target": "rare"}, "two or more different values among the training rows"),
    ],
)
def test_what_cannot_be_learned_is_refused_before_anything_is_fitted(options, words):
    train = load_data(FRAME.drop("income", "sex")).train[:].index
    rare = pl.Series([1 if i in train else 2 for i in range(N)])
    frame = FRAME.drop("sex").with_columns(rare=rare, income=pl.Series([1.5, 2.5, 3.5] * 80))
    with pytest.raises(InputError, match=words):
        taut.fit(frame, epochs=1, **options)


@pytest.mark.parametrize("name", ["poisson", "zero-inflated-negative-binomial"])
def test_a_count_of_a_row_whose_total_is_given_is_no_target(name):
    counts = RNG.poisson([3.0, 5.0, 8.0], (60, 3))
    frame = pl.DataFrame(dict(zip("aby", counts.T, strict=True)))
    data = load_data(frame, target="y", target_as="column", columns="alike")
    given = taut.VAE(latent_dim=1, likelihood=name, likelihood_options={"library": True})
    with pytest.raises(InputError, match="a target that is no part of its row's total"):
        taut.fit(data, model=given, epochs=1)
    refuse_target(replace(given, likelihood_options={}), data, Recipe())


def test_a_fit_without_a_target_predicts_nothing():
    fitted: Any = taut.em(FRAME.select("a", "b"), model="gmm", components=1)
    with pytest.raises(InputError, match="a fit with a target, got one without"):
        fitted.predict(FRAME)
    assert load_rows(FRAME, fitted.schema).label is None


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        (("0", "7", "-12"), [0, 7, -12]),
        (("007", "7"), ["007", "7"]),
        (("0", "-0"), ["0", "-0"]),
        (("+1", "1"), ["+1", "1"]),
        (("1", "1.5"), ["1", "1.5"]),
        (("--1", "1"), ["--1", "1"]),
        (("\N{ARABIC-INDIC DIGIT TWO}", "2"), ["\N{ARABIC-INDIC DIGIT TWO}", "2"]),
        (("no", "yes"), ["no", "yes"]),
    ],
)
def test_labels_are_whole_numbers_where_these_spell_all_classes(classes, labels):
    found = ClassPrediction("y", classes, np.eye(len(classes))).labels
    assert found.tolist() == labels


def test_predicted_dates_are_written_as_the_source_has_them(tmp_path, capsys):
    days = pl.Series([f"{1 + i % 28:02d}.0{1 + i % 9}.2021" for i in range(N)])
    frame = pl.DataFrame({"a": A, "sex": FRAME["sex"], "day": days})
    frame.write_csv(tmp_path / "t.csv")
    data = load_data(str(tmp_path / "t.csv"), target="day", target_as="column")
    fitted: Any = taut.em(
        data, model="mixed", components=1, restarts=1, max_iterations=3, out=tmp_path / "run"
    )
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "t.csv")]) == 0
    said = capsys.readouterr()
    assert "note: deviations of dates are in days: 'day'" in said.err
    assert "days" in said.out
    assert fitted.estimates["rmse"].unit == "days"
    (tmp_path / "holes.csv").write_text("a,sex,day\n,f,\n")
    assert main(["impute", str(tmp_path / "run"), str(tmp_path / "holes.csv")]) == 0
    assert "note: deviations of dates are in days: 'day'" in capsys.readouterr().err
    found, table = fitted.predict(frame), pl.read_csv(tmp_path / "run" / "predictions.csv")
    assert table.columns == ["row", "day", "deviation", "low", "high"]
    first = days.str.to_date("%d.%m.%Y").min()
    for name, values in (("day", found.mean), ("low", found.low), ("high", found.high)):
        written = table[name].str.to_date("%d.%m.%Y")
        away = (written - first).dt.total_days().to_numpy()
        np.testing.assert_array_equal(away, np.rint(values))
    np.testing.assert_allclose(table["deviation"], found.deviation, rtol=1e-6)
