"""`taut explain` as a user drives it."""

import json

import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main

JUDGES = """
import jax.numpy as jnp
import numpy as np

def logits(x):
    return jnp.array([0.0, 2.0]) * (x[0] - x[1] / 9)

def standardised(x):
    return jnp.array([0.0, 2.0]) * (x[0] - x[1])

def value(x):
    return x[0] + x[1]

def black(x):
    return np.stack([np.zeros(len(x)), 2 * (x[:, 0] - x[:, 1])], axis=1)

def wide(x):
    return x @ jnp.ones(7)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A flow of a table with labels, and a file of classifiers."""
    folder = tmp_path_factory.mktemp("explain")
    x = np.random.default_rng(0).normal(size=(80, 2))
    kind = np.where(x[:, 0] > x[:, 1], "late", "early")
    table = {"width": x[:, 0], "height": 9 * x[:, 1], "rooms": np.arange(80) % 4, "kind": kind}
    pl.DataFrame(table).write_csv(folder / "rows.csv")
    (folder / "judges.py").write_text(JUDGES)
    model = taut.Flow(layers="affine-coupling:2", hidden=(4,))
    data = taut.load_data(str(folder / "rows.csv"), label="kind")
    taut.fit(data, model=model, epochs=1, evidence_particles=2, out=folder / "run")
    return folder / "run"


def test_the_json_the_tables_and_the_figures(run, tmp_path, capsys):
    words = ["--classifier", "logistic", "--target", "late", "--confidence", "0.8", "--rows", "3"]
    out = tmp_path / "why"
    assert main(["explain", str(run), *words, "--out", str(out), "--diagnose", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    kept = json.loads((out / "counterfactuals.json").read_text())
    assert kept == {name: value for name, value in printed.items() if name != "files"}
    assert printed["reasons"] == {"reached": 3}
    assert printed["notes"][0].startswith("logistic was trained on ")
    names = ["counterfactuals.json", "answers.csv", "diagnostics.json", "answers.png", "along.png"]
    assert printed["files"] == [str(out / name) for name in names]
    assert all((out / name).stat().st_size for name in names)

    table = pl.read_csv(out / "answers.csv")
    data = taut.load_data(str(run.parent / "rows.csv"), label="kind")
    known = dict(zip(data.test.index.tolist(), data.test.x, strict=True))
    for row, score in zip(table.iter_rows(named=True), printed["rows"], strict=True):
        assert row["row"] == score["row"]
        before = [row["width"], row["height"], row["rooms"]]
        np.testing.assert_allclose(before, known[row["row"]], rtol=1e-5)
        assert before[0] <= before[1] / 9  # no row that is late already
        assert score["scores"]["answer"][0] >= printed["level"]
        assert row["width (answer)"] - row["height (answer)"] / 9 > before[0] - before[1] / 9
        assert row["rooms (answer)"] in range(20)  # whole, as the rows are
        assert row["reason"] == "reached"
    ways = json.loads((out / "diagnostics.json").read_text())
    assert [way["row"] for way in ways] == [row["row"] for row in printed["rows"]]


@pytest.mark.parametrize(
    ("classifier", "target", "more"),
    [
        ("logits", "1", ()),
        ("value", "0.5..1", ()),
        ("value", "<-30", ()),
        ("black", "1", ("--black-box",)),
    ],
)
def test_a_classifier_of_a_file(run, capsys, classifier, target, more):
    judge = f"{run.parent / 'judges.py'}:{classifier}"
    words = ["--classifier", judge, "--target", target, "--rows", "2", *more]
    assert main(["explain", str(run), *words]) == 0
    page = capsys.readouterr().out
    assert "coverage" in page
    assert (run / "explain" / "answers.png").is_file()


@pytest.mark.parametrize(
    ("classifier", "target", "line"),
    [
        ("logistik", "late", "classifier: expected logistic, mlp or FILE.py:name, got 'logistik'."),
        ("logistic", "lat", "target: expected a class that the classifier knows, early, late, got"),
        ("logistic", "a..b", "target: expected LOW..HIGH or <NUMBER, got 'a..b'. Try 20..30."),
        ("FILE:wide", "1", "classifier: expected a classifier of one row of shape (3,), got "),
        ("FILE:black", "1", "classifier: expected a classifier"),
        ("FILE:standardised", "1", "and on 100% standardised. Try standardising in the classifier"),
        ("FILE:none", "1", "expected a function 'none', got "),
        ("FILE:logits", "late ", "target: expected the number of an output of the classifier"),
    ],
)
def test_one_line_for_what_cannot_be_explained(run, capsys, classifier, target, line):
    judge = classifier.replace("FILE", str(run.parent / "judges.py"))
    assert main(["explain", str(run), "--classifier", judge, "--target", target]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert line in err


def test_a_quantile_beyond_one_is_named(run, capsys):
    words = ["--classifier", "logistic", "--target", "late", "--plausible", "1.5"]
    assert main(["explain", str(run), *words]) == 2
    said = "plausible: expected a quantile from 0 to below 1, got 1.5. Try --plausible 0.05."
    assert said in capsys.readouterr().err


def test_what_is_no_answer_is_told_beside_it(run, tmp_path):
    """Rows of any width can be late, but for those whose columns all stay."""
    words = ["--classifier", "logistic", "--target", "late", "--rows", "3", "--out", str(tmp_path)]
    assert main(["explain", str(run), *words, "--immutable", "height,width,rooms"]) == 0
    table = pl.read_csv(tmp_path / "answers.csv")
    kept = json.loads((tmp_path / "counterfactuals.json").read_text())
    assert table["reason"].to_list() == [row["reasons"][0] for row in kept["rows"]]
    assert "reached" not in table["reason"].to_list()


def test_columns_that_stay_or_keep_to_a_range(run, tmp_path, capsys):
    words = ["--classifier", "logistic", "--target", "late", "--rows", "3", "--out", str(tmp_path)]
    kept = ["--immutable", "height", "--range", "width=:5", "--answers", "2"]
    kept += ["--causal", "width > rooms"]
    assert main(["explain", str(run), *words, *kept]) == 0
    assert "coverage" in capsys.readouterr().out
    table = pl.read_csv(tmp_path / "answers.csv")
    assert table.columns == [
        "row", "width", "width (answer 1)", "width (answer 2)", "height", "height (answer 1)",
        "height (answer 2)", "rooms", "rooms (answer 1)", "rooms (answer 2)", "reason (answer 1)",
        "reason (answer 2)",
    ]  # fmt: skip
    kept = json.loads((tmp_path / "counterfactuals.json").read_text())
    told = zip(table["reason (answer 1)"], table["reason (answer 2)"], strict=True)
    assert [*map(list, told)] == [row["reasons"] for row in kept["rows"]]
    for answer in ("answer 1", "answer 2"):
        np.testing.assert_allclose(table[f"height ({answer})"], table["height"], rtol=1e-5)
        assert table[f"width ({answer})"].max() <= 5
    assert (table["width (answer 1)"] != table["width (answer 2)"]).any()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--immutable", "hight"],
            "immutable: expected a column of the run, got 'hight'. Try 'height'.",
        ),
        (["--range", "width"], "range: expected COLUMN=LOW:HIGH, got 'width'. Try width=0:1."),
        (["--range", "width=5:1"], "expected a range whose lower end is below its upper end"),
        (["--immutable", "width", "--decrease-only", "width"], "expected one way for each column"),
        (
            ["--causal", "width>hight"],
            "causal: expected a column of the run, got 'hight'. Try 'height'",
        ),
        (["--causal", "width"], "expected two columns or more in a causal order, got 1"),
        (["--answers", "0"], "num-answers: expected at least 1, got 0"),
    ],
)
def test_one_line_for_constraints_that_cannot_be(run, capsys, words, line):
    assert main(["explain", str(run), "--classifier", "logistic", "--target", "late", *words]) == 2
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 1
    assert line in err


def test_answers_have_names_and_whole_numbers_as_the_source_has(tmp_path, capsys):
    colours = ["red", "blue", "green"]
    frame = pl.DataFrame({
        "pay": np.linspace(-2, 2, 60), "kids": np.arange(60) % 4,
        "colour": [colours[i % 3] for i in range(60)], "kind": ["early", "late"] * 30,
    })  # fmt: skip
    frame.write_csv(tmp_path / "rows.csv")
    data = taut.load_data(str(tmp_path / "rows.csv"), label="kind")
    model = taut.VAE(latent_dim=1, hidden=(4,))
    taut.fit(data, model=model, epochs=1, evidence_particles=2, out=tmp_path / "run")
    words = [
        "--classifier",
        "logistic",
        "--target",
        "late",
        "--rows",
        "2",
        "--most-unexplained",
        "99",
    ]
    assert main(["explain", str(tmp_path / "run"), *words]) == 0
    capsys.readouterr()
    table = pl.read_csv(tmp_path / "run" / "explain" / "answers.csv")
    assert set(table["colour"]) | set(table["colour (answer)"]) <= set(colours)
    assert table["kids (answer)"].dtype == table["kids"].dtype == pl.Int64
    kept = frame[table["row"].to_list()]
    assert kept["colour"].to_list() == table["colour"].to_list()
