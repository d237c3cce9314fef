"""An option that a run has no use for is refused, a name of data is read, and a reader may go away."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from undrawn_figures import without_figures

from taut.cli.main import COMMANDS, main

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with an exact run, a stopped one, and files of data."""
    folder = tmp_path_factory.mktemp("wishes")
    x = RNG.normal(size=(60, 3))
    np.save(folder / "rows.npy", x)
    np.savez(folder / "two.npz", x=x, y=x[:, 0])
    pl.DataFrame({"a": x[:, 0], "b": RNG.choice(["u", "v"], 60)}).write_csv(folder / "t.csv")
    (folder / "file").touch()
    (folder / "judge.py").write_text("def value(x):\n    return x[0]\n")
    words = ["em", str(folder / "rows.npy"), "--model", "ppca", "--components", "1", "--json"]
    with without_figures():
        assert main([*words, "--out", str(folder / "run")]) == 0
    return folder


def complaint(capsys, *words: object) -> str:
    capsys.readouterr()
    assert main(list(map(str, words))) == 2
    return capsys.readouterr().err


EXPLAIN = "explain RUN --classifier judge.py:value --target"
ESTIMATED = "a log-evidence that is estimated", "that of the model ppca, which is exact"
DRAWN = "a model whose latents are drawn"


@pytest.mark.parametrize(
    ("words", "option", "expected", "got"),
    [
        ("calibrate RUN --refits 3", "refits", "a run of `taut infer`, ", "a fit of rows"),
        ("calibrate RUN --seconds 9", "seconds", "a run of `taut infer`, ", "a fit of rows"),
        ("evaluate RUN --num-particles 9", "num-particles", *ESTIMATED),
        ("evaluate RUN --num-particles 9 --method importance", "num-particles", *ESTIMATED),
        ("sample RUN --num-particles 9", "num-particles", "cells that are --given", "none"),
        ("sample RUN --num-particles 9 --given x0=1", "num-particles", DRAWN, "an exact one"),
        ("impute RUN --num-particles 9", "num-particles", DRAWN,
         "the model ppca, which is exact"),
        ("predict RUN --unseen missing", "unseen", "DATA", "the run's own data, "),
        ("fit rows.npy --force", "force", "--out, the run to replace", "none"),
        ("em rows.npy --force", "force", "--out, the run to replace", "none"),
        ("infer judge.py:value --force", "force", "--out, the run to replace", "none"),
        ("refit-prior RUN --prior vamp:3 --force", "force", "--out, the run to replace", "none"),
        (f"{EXPLAIN} 1..2 --confidence 0.8", "confidence", "a class as the target", "'1..2'"),
        (f"{EXPLAIN} <2 --confidence 0.8", "confidence", "a class as the target", "'<2'"),
    ],
)  # fmt: skip
def test_an_option_that_would_do_nothing_is_refused(
    folder, capsys, monkeypatch, words, option, expected, got
):
    monkeypatch.chdir(folder)
    line = complaint(capsys, *words.replace("RUN", "run").split())
    assert line.startswith(f"taut: {option}: expected {expected}")
    assert f", which --{option} is for, got {got}" in line
    assert line.endswith(f". Try leaving out --{option}.\n")
    assert line.count("\n") == 1
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("evaluate RUN --precision-nats 0", "precision-nats: expected a number of nats above 0"),
        ("interpolate RUN 0 1 --num-steps 1", "num-steps: expected at least two steps, got 1"),
        ("gradients RUN --estimators ,", "got ','. Try leaving out --estimators."),
        (
            f"{EXPLAIN} 1..2 --most-unexplained nan",
            "most-unexplained: expected a share of at least 0",
        ),
        (
            f"{EXPLAIN} 1..2 --most-unexplained -1",
            "most-unexplained: expected a share of at least 0",
        ),
        (f"{EXPLAIN} 1..2 --geometry foo", "got 'foo'. Try one of them."),
    ],
)
def test_an_option_that_cannot_be_is_named_as_it_was_typed(
    folder, capsys, monkeypatch, words, said
):
    monkeypatch.chdir(folder)
    assert said in complaint(capsys, *words.replace("RUN", "run").split())


def test_a_posterior_simulates_data_sets_and_no_rows(monkeypatch, capsys):
    monkeypatch.setattr("taut.cli.calibrate.is_posterior", lambda run: True)
    line = complaint(capsys, "calibrate", "run", "p.py", "--rows", "70")
    assert "rows: expected a fit of rows, which --rows is for, got a run of `taut infer`" in line


def test_one_way_of_em_is_chosen(folder, capsys):
    words = ["em", folder / "rows.npy", "--inference", "em", "--online", "--out", folder / "new"]
    assert "online: expected --online, or another --inference, got both" in complaint(
        capsys, *words
    )
    assert not (folder / "new").exists()


def test_draws_are_chosen_of_evidence_that_is_estimated(folder, capsys):
    line = complaint(capsys, "resume", folder / "run", "--evidence-particles", "9")
    assert "got one by EM, whose log-evidence is exact. Try leaving out" in line


def test_a_folder_that_is_a_file_is_refused_before_the_search(folder, capsys, monkeypatch):
    monkeypatch.setattr("taut.counterfactuals.search", None)
    judge = f"{folder / 'judge.py'}:value"
    words = ["explain", folder / "run", "--classifier", judge, "--target", "1..2"]
    line = complaint(capsys, *words, "--out", folder / "file")
    assert line.startswith(f"taut: out: expected a folder, got {folder / 'file'}, a file.")
    line = complaint(capsys, *words, "--out", folder / "file" / "in" / "it")
    assert line.startswith(f"taut: out: expected a folder, got {folder / 'file'}, a file.")


def test_a_path_that_is_taken_is_no_want_of_room(monkeypatch, capsys, tmp_path):
    def taken(*_):
        raise FileExistsError(errno.EEXIST, "File exists", str(tmp_path))

    monkeypatch.setattr("taut.cli.main._parse_and_run", taken)
    line = complaint(capsys, "list")
    assert (
        line == f"taut: {tmp_path}: expected a path that can be used, got File exists. "
        "Try another path.\n"
    )


@pytest.mark.parametrize("name", ["two.npz:x", "nothing.csv", "t.csv"])
def test_show_reads_whatever_names_data(folder, capsys, name):
    code = main(["show", str(folder / name)])
    shown = capsys.readouterr()
    assert "expected a run folder" not in shown.err
    if name == "t.csv":
        assert code == 0
        assert "text with 2 different values" in shown.out
    else:
        assert code == 2
        assert ("named columns" if name == "two.npz:x" else "nothing.csv") in shown.err


def test_show_reads_numbers_that_a_fit_would_need_float64_for(tmp_path, capsys):
    large = [f"{16777217 + 2 * (i % 9)},{'uv'[i % 2]}" for i in range(40)]
    (tmp_path / "large.csv").write_text("\n".join(["n,u", *large]) + "\n")
    assert main(["show", str(tmp_path / "large.csv")]) == 0
    assert "count: whole numbers from" in capsys.readouterr().out
    line = complaint(capsys, "fit", tmp_path / "large.csv", "--out", tmp_path / "run")
    assert line.endswith(
        "got 16777217 (39 more such cells). Try --precision float64, or --drop n.\n"
    )


def test_show_says_where_the_kinds_of_columns_are_asked_for(folder, capsys):
    line = complaint(capsys, "show", folder / "run", "--out", folder / "new.toml")
    assert line.rstrip().endswith("Try a fit with --columns auto, or the file of its data.")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_lists_no_option_that_empties_another(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main([command, "--help"]) == 0
    assert "--empty-" not in capsys.readouterr().out


@pytest.mark.parametrize("words", [("--json",), ()], ids=["json", "text"])
def test_a_reader_that_goes_away_is_no_complaint(tmp_path, words):
    read, write = os.pipe()
    os.close(read)
    asked = [sys.executable, "-m", "taut", "list", str(tmp_path), *words]
    with os.fdopen(write, "w") as nobody:
        found = subprocess.run(asked, stdout=nobody, stderr=subprocess.PIPE, text=True, check=False)
    assert found.stderr == ""
    assert found.returncode == 1
