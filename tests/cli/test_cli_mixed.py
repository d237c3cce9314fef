"""`taut em --model mixed` and the commands on its runs: text, counts, numbers and holes."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from undrawn_figures import without_figures

import taut
from taut.cli.main import main

RNG = np.random.default_rng(0)
N = 160
Z = RNG.normal(size=N)
TABLE = pl.DataFrame({
    "age": RNG.poisson(np.exp(3 + 0.3 * Z)),
    "sex": np.where(RNG.random(N) < 1 / (1 + np.exp(-2 * Z)), "F", "M"),
    "change": np.rint(20 * Z).astype(int),
    "income": np.exp(10 + Z + 0.3 * RNG.normal(size=N)),
    "empty": [None] * N,
    "member": np.random.default_rng(1).random(N) < 1 / (1 + np.exp(2 * Z)),
    "lucky": [7] * N,
}).with_columns(pl.col("empty").cast(pl.Float64))  # fmt: skip
HOLES = TABLE.with_columns(
    pl.when(pl.Series(RNG.random(N) > 0.1)).then(pl.col(name)).alias(name) for name in TABLE.columns
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    HOLES.write_csv(folder / "t.csv")
    few = ["--restarts", "1", "--max-iterations", "5", "--out", str(folder / "run")]
    asked = ["em", str(folder / "t.csv"), "--model", "mixed", "--components", "2"]
    with without_figures():
        assert main([*asked, "--kind", "income=positive", *few]) == 0
    return folder / "run"


def test_a_run_is_read_back(run, capsys):
    fitted: Any = taut.load(run)
    assert fitted.facts.measure.kinds == (
        "mass", "mass", "density", "density", "nothing", "mass", "nothing",
    )  # fmt: skip
    again = fitted.evaluate(HOLES).log_evidence
    assert again.side == "exact"
    assert np.isfinite(again.values).all()
    assert fitted.encode(HOLES).shape == (N, 2)
    components = pl.read_csv(run / "components.csv")
    assert {"mean_age", "mean_change", "mean_log_income", "p(sex=M)"} <= set(components.columns)
    assert main(["show", str(run)]) == 0
    assert "text with 2 different values" in capsys.readouterr().out


def test_the_kinds_of_a_table_are_written_to_be_edited(run, tmp_path, capsys):
    source, out = str(run.parent / "t.csv"), tmp_path / "columns.toml"
    assert main(["show", source, "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "text with 2 different values" in shown
    again = tmp_path / "of_run.toml"
    assert main(["show", str(run), "--out", str(again)]) == 0
    asked = '[income]  # asked for\nkind = "positive"\n'
    assert asked in again.read_text()
    assert out.read_text().split("[income]")[0] == again.read_text().split("[income]")[0]
    capsys.readouterr()
    assert main(["show", source, "--out", str(out)]) == 2
    assert "expected a new file .toml for the columns" in capsys.readouterr().err
    few = ["--components", "2", "--restarts", "1", "--max-iterations", "1", "--json"]
    place = tmp_path / "by_columns"
    line = ["em", source, "--model", "mixed", "--columns", str(again), *few, "--out", str(place)]
    assert main(line) == 0
    config = (place / "config.toml").read_text()
    assert 'columns = "auto"' in config
    assert '"income=positive"' in config


def test_holes_are_filled_in_as_the_table_has_them(run, tmp_path):
    out = tmp_path / "full.csv"
    source = tmp_path / "some.csv"
    HOLES[:16].write_csv(source)  # as many as the test rows: by the same program
    assert main(["impute", str(run), str(source), "--draws", "2", "--out", str(out)]) == 0
    given, full = pl.read_csv(source), pl.read_csv(out)
    draws = pl.read_csv(tmp_path / "full-draws.csv")
    for table in (full, draws):
        assert table["age"].dtype.is_integer()
        assert set(table["sex"]) == {"F", "M"}
        assert table["member"].dtype == pl.Boolean
        assert (table["income"] > 0).all()
    lines = [line.split(",") for line in out.read_text().splitlines()[1:]]
    came = [line.split(",") for line in source.read_text().splitlines()[1:]]
    for found, wanted in zip(lines, came, strict=True):
        for i in (0, 1, 2, 5, 6):
            assert found[i] == wanted[i] or not wanted[i]
    assert given["change"].null_count() > 0
    assert main(["impute", str(run), "--draws", "2", "--out", str(out)]) == 0
    full, draws = pl.read_csv(out), pl.read_csv(tmp_path / "full-draws.csv")
    assert full.columns == ["row", *given.columns]
    assert draws["row"].to_list() == 2 * full["row"].to_list()
    ages = HOLES["age"][full["row"].to_list()]
    assert all(a == b for a, b in zip(ages, full["age"], strict=True) if a is not None)


def test_draws_of_recorded_values_are_asked_for_with_draws(run, tmp_path, capsys):
    HOLES.head(9).write_csv(source := tmp_path / "some.csv")
    asked = ["impute", str(run), str(source), "--out", str(tmp_path / "x.csv"), "--recorded"]
    assert main([*asked, "--draws", "3"]) == 0
    drawn = pl.read_csv(tmp_path / "x-draws.csv")
    assert set(drawn["age"]) <= set(HOLES["age"])
    assert main(asked) == 2
    wanted = "recorded: expected draws, which recorded values are for, got none. Try --draws 5"
    assert wanted in capsys.readouterr().err


def test_rows_are_drawn_as_the_table_has_them(run, tmp_path):
    assert main(["sample", str(run), "-n", "9", "--out", str(tmp_path / "x.csv")]) == 0
    drawn = pl.read_csv(tmp_path / "x.csv")
    assert drawn.columns == TABLE.columns
    assert set(drawn["sex"]) <= {"F", "M"}
    assert drawn["age"].dtype.is_integer()


def test_truths_and_constants_are_drawn_and_given_as_the_table_has_them(run, tmp_path, capsys):
    asked = ["sample", str(run), "-n", "3", "--out", str(tmp_path / "x.csv"), "--given"]
    for word, value in (("true", True), ("FALSE", False), ("1", True)):
        assert main([*asked, f"member={word}"]) == 0
        drawn = pl.read_csv(tmp_path / "x.csv")
        assert drawn["member"].to_list() == [value] * 3
        assert drawn["lucky"].dtype.is_integer()
    assert main([*asked, "member=maybe"]) == 2
    assert "column 'member': expected false or true, got 'maybe'" in capsys.readouterr().err


def test_how_columns_were_read_is_said():
    """Counts are no density, and columns that could each be their own are named as read alike."""
    few: dict[str, Any] = {"components": 1, "restarts": 1, "max_iterations": 1}
    counts: Any = taut.em(RNG.poisson(3.0, size=(40, 2)), model="mixed", **few)
    assert counts.facts.measure.kinds == ("mass", "mass")
    assert not any("density" in note for note in counts.facts.notes)
    alike = taut.em(TABLE.select("age", "income"), model="mixed", **few)
    assert any("with columns auto each is read by its own kind" in n for n in alike.facts.notes)
