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


@pytest.mark.parametrize("given", [("--refits", "3"), ("--seconds", "9")], ids=lambda g: g[0])
def test_a_fit_is_calibrated_without_refits(folder, capsys, given):
    line = complaint(capsys, "calibrate", folder / "run", *given)
    name = given[0].removeprefix("--")
    assert line == (
        f"taut: {name}: expected a run that {given[0]} is for, got a fit of rows. "
        f"Try leaving out {given[0]}.\n"
    )


def test_a_posterior_simulates_data_sets_and_no_rows(monkeypatch, capsys):
    monkeypatch.setattr("taut.cli.calibrate.is_posterior", lambda run: True)
    line = complaint(capsys, "calibrate", "run", "p.py", "--rows", "70")
    assert "rows: expected a run that --rows is for, got a run of `taut infer`" in line


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
