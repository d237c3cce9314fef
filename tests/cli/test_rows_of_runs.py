"""Commands know the rows that a run was fitted to, with a target and where some were dropped."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main
from taut.cli.rows import open_run, rows_of

RNG = np.random.default_rng(0)
N = 200
X = RNG.normal(size=(N, 3)).round(6)
FRAME = pl.DataFrame(X, schema=["a", "b", "c"])
SOME = pl.Series(np.arange(N) % 7 > 0)
TARGETS = {
    "classes": pl.when(SOME).then(
        pl.when(pl.col("a") > 0).then(pl.lit("up")).otherwise(pl.lit("down"))
    ),
    "numbers": pl.when(SOME).then(pl.col("a") + pl.col("b")),
}


def fitted(folder: Path, frame: pl.DataFrame, **options: Any) -> Path:
    """A run on `t.csv` in a folder, with `copy.csv` beside it."""
    for name in ("t.csv", "copy.csv"):
        frame.write_csv(folder / name)
    data = taut.load_data(str(folder / "t.csv"), **options)
    model = "mixed" if data.schema.kinds else "ppca"
    taut.em(data, model=model, components=1, max_iterations=2, out=folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return fitted(tmp_path_factory.mktemp("plain"), FRAME)


def scored(run: Path, source: Path) -> pl.DataFrame:
    """What `taut score` writes of every row of a file."""
    out = run.parent / "scores.csv"
    assert main(["score", str(run), str(source), "--out", str(out)]) == 0
    return pl.read_csv(out)


def parts(run: Path) -> dict[int, str]:
    """The part of each row, by the data themselves."""
    data = open_run(run).recipe.data.load()
    own = {"train": data.train, "validation": data.validation, "test": data.test}
    return {int(i): name for name, rows in own.items() for i in rows.numbers(np.arange(len(rows)))}


@pytest.mark.parametrize("target_as", ["label", "column"])
@pytest.mark.parametrize("kind", TARGETS)
def test_a_copy_is_known_with_its_target(kind, target_as, tmp_path, capsys):
    frame = FRAME.with_columns(y=TARGETS[kind])
    run = fitted(tmp_path, frame, target="y", target_as=target_as)
    own = rows_of(open_run(run), data=None, split=None)
    capsys.readouterr()
    found = rows_of(open_run(run), data=str(tmp_path / "copy.csv"), split=None)
    np.testing.assert_array_equal(found.index, own.index)
    assert "its test rows are taken" in capsys.readouterr().err
    table = scored(run, tmp_path / "copy.csv")
    assert dict(zip(table["row"], table["part"], strict=True)) == parts(run)
    frame.with_columns(a=-FRAME["a"]).write_csv(tmp_path / "others.csv")
    assert len(rows_of(open_run(run), data=str(tmp_path / "others.csv"), split=None)) == N


@pytest.mark.parametrize("file", ["t.csv", "copy.csv"])
@pytest.mark.parametrize("code", [None, -999.0])
def test_a_row_that_was_dropped_is_in_no_part(code, file, tmp_path, capsys):
    holes = FRAME.with_columns(b=pl.when(SOME).then(pl.col("b")).otherwise(code))
    codes = () if code is None else (code,)
    run = fitted(tmp_path, holes, missing="drop-rows", missing_codes=codes)
    capsys.readouterr()
    table = scored(run, tmp_path / file)
    wanted = parts(run)
    assert table["row"].to_list() == list(range(N))
    assert table["part"].to_list() == [wanted.get(i) for i in range(N)]
    assert table["part"].null_count() == (~SOME).sum()
    count = list(wanted.values()).count("train")
    assert f"{count} of these {N} rows are training rows" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["t.csv", "copy.csv"])
@pytest.mark.parametrize(
    "command",
    [
        ["encode", "RUN", "FILE", "--out", "OUT"],
        ["reconstruct", "RUN", "--data", "FILE", "--out", "OUT"],
        ["evaluate", "RUN", "--data", "FILE"],
    ],
    ids=lambda words: words[0],
)
def test_a_command_on_the_file_of_the_run_says_which_of_its_rows_are_taken(
    run, command, file, tmp_path, capsys
):
    names = {"RUN": run, "FILE": run.parent / file, "OUT": tmp_path / "o.csv"}
    assert main([str(names.get(word, word)) for word in command]) == 0
    assert f"note: {names['FILE']} holds the rows that the run" in capsys.readouterr().err
    if "--data" not in command:
        test = [i for i, part in parts(run).items() if part == "test"]
        assert sorted(pl.read_csv(tmp_path / "o.csv")["row"]) == sorted(test)


def test_a_part_that_is_asked_for_needs_no_note(run, tmp_path, capsys):
    words = ["encode", str(run), str(run.parent / "t.csv"), "--split", "train"]
    assert main([*words, "--out", str(tmp_path / "o.csv")]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("more", [[], ["--data", "t.csv"], ["--data", "copy.csv"]], ids=str)
def test_a_row_has_its_number_in_the_file_whatever_the_file_is_called(
    run, more, monkeypatch, capsys
):
    monkeypatch.chdir(run.parent)
    known = parts(run)
    for part in ("train", "validation", "test"):
        first, second = [i for i, name in known.items() if name == part][:2]
        words = ["interpolate", "run", str(first), str(second), "--out", "o.npy"]
        assert main([*words, *more]) == 0
        assert capsys.readouterr().err == ""
        ends = open_run(run).reconstruct(X[[first, second]])
        np.testing.assert_allclose(np.load("o.npy")[[0, -1]], ends, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "command",
    [
        ["score"],
        ["impute"],
        ["encode"],
        ["fidelity", "--synthetic"],
        ["interpolate", "0", "1", "--data"],
    ],
    ids=lambda words: words[0],
)
def test_other_rows_are_offered_no_option_of_a_fit(run, command, tmp_path, capsys):
    FRAME.with_columns(b=pl.lit("inf")).write_csv(tmp_path / "s.csv")
    name, *more = command
    assert main([name, str(run), *more, str(tmp_path / "s.csv")]) == 2
    refused = capsys.readouterr().err
    assert len(refused.splitlines()) == 1
    assert "Try a copy of the data without that" in refused
    assert "--missing" not in refused
