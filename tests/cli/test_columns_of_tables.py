"""Columns that commands add to a table of rows leave the columns of the data as they are."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main
from taut.cli.save import free_names

RNG = np.random.default_rng(0)
DATA = ["row", "draw", "draw_", "row (answer)"]
ROWS = RNG.normal(size=(200, 1)) + RNG.normal(size=(200, 4)) / 2 + [10, 20, 30, 40]
TABLE = pl.DataFrame(ROWS, schema=DATA).with_columns(high=1000 + ROWS.sum(axis=1))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("named")
    TABLE.write_csv(folder / "t.csv")
    (folder / "judge.py").write_text("def value(x):\n    return x[0]\n")
    data = taut.load_data(str(folder / "t.csv"), target="high")
    taut.em(data, model=taut.FA(1), out=folder / "run")
    return folder / "run"


def test_a_name_is_kept_where_it_is_free():
    assert free_names(["low", "high"], ["a", "b"]) == ["low", "high"]
    assert free_names(["low", "high"], ["high", "high_"]) == ["low", "high__"]
    assert free_names(["low", "low_"], ["low"]) == ["low_", "low__"]


@pytest.mark.parametrize(
    ("command", "file", "header", "numbers", "data"),
    [
        (["predict"], "o.csv", ["row", "high", "deviation", "low", "high_"], "row", ["high"]),
        (["impute"], "o.csv", ["row_", *DATA], "row_", DATA),
        (["impute"], "o-sd.csv", ["row_", *DATA], "row_", []),
        (["impute", "--draws", "1"], "o-draws.csv", ["row_", "draw__", *DATA], "row_", DATA),
        (["reconstruct"], "o.csv", ["row_", *DATA], "row_", DATA),
        (["score"], "o-columns.csv", ["row_", *DATA], "row_", []),
        (["encode"], "o.csv", ["row", "label", "z0"], "row", []),
    ],
    ids=["predict", "impute", "deviations", "draws", "reconstruct", "score", "encode"],
)
def test_no_column_takes_the_place_of_another(run, tmp_path, command, file, header, numbers, data):
    name, *more = command
    assert main([name, str(run), *more, "--out", str(tmp_path / "o.csv")]) == 0
    found = pl.read_csv(tmp_path / file)
    assert found.columns == header
    own = TABLE[found[numbers].to_list()]
    for column in data:
        assert abs(found[column] - own[column]).max() < 5  # columns are 10 apart


def test_a_target_has_its_name_whatever_it_is(tmp_path):
    for target, names in {
        "row": ["row_", "row", "deviation", "low", "high"],
        "low": ["row", "low", "deviation", "low_", "high"],
        "deviation": ["row", "deviation", "deviation_", "low", "high"],
    }.items():
        source, out = tmp_path / f"{target}.csv", tmp_path / f"of_{target}"
        pl.DataFrame(ROWS, schema=["a", "b", "c", target]).write_csv(source)
        data = taut.load_data(str(source), target=target)
        taut.em(data, model=taut.PPCA(1), closed_form=True, out=out)
        assert main(["predict", str(out)]) == 0
        assert pl.read_csv(out / "predictions.csv").columns == names


def test_answers_stand_beside_the_column_that_has_their_name(run, tmp_path):
    judge = f"{run.parent / 'judge.py'}:value"
    words = ["--classifier", judge, "--target", "11..12", "--rows", "2", "--most-unexplained", "99"]
    assert main(["explain", str(run), *words, "--out", str(tmp_path)]) == 0
    found = pl.read_csv(tmp_path / "answers.csv")
    wanted = [title for name in DATA for title in (name, f"{name} (answer)")]
    wanted[1] += "_"
    assert found.columns == ["row_", *wanted, "reason"]
    np.testing.assert_allclose(
        found.select(DATA), TABLE[found["row_"].to_list()].select(DATA), rtol=1e-5
    )
