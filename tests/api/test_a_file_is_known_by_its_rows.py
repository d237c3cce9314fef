"""A run knows its data again by their rows, whatever path leads to them, and sees them change."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main
from taut.cli.rows import rows_of
from taut.core import InputError
from taut.data import checksum_of, load_rows, same_source

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 3)).round(6)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run in a folder of its own, fitted to `rows.csv` there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    pl.DataFrame(X, schema=["a", "b", "c"]).write_csv("rows.csv")
    taut.em("rows.csv", model=taut.PPCA(1), out="run", closed_form=True)
    return taut.load("run")


def test_every_spelling_and_every_copy_of_the_file_means_its_test_rows(run, tmp_path, capsys):
    Path("link.csv").symlink_to("rows.csv")
    Path("copy.csv").write_bytes(Path("rows.csv").read_bytes())
    np.save("same.npy", X)
    own = rows_of(run, data=None, split=None)
    assert len(own) == 40
    spelled = [
        "rows.csv",
        "./rows.csv",
        str(tmp_path / "rows.csv"),
        "~/rows.csv",
        "run/../rows.csv",
    ]
    for name in [*spelled, "link.csv", "copy.csv", "same.npy"]:
        again = rows_of(run, data=name, split=None)
        np.testing.assert_array_equal(again.index, own.index)
        np.testing.assert_array_equal(again.x, own.x)
        told = capsys.readouterr().err
        assert f"{name} holds the rows that the run was fitted to: its test rows" in told
    assert len(rows_of(run, data="./rows.csv", split="train")) == 320


def test_rows_that_are_others_are_taken_all(run):
    np.save("others.npy", X[:50] + 1)
    assert len(rows_of(run, data="others.npy", split=None)) == 50
    with pytest.raises(InputError, match="--split with the run's own data"):
        rows_of(run, data="others.npy", split="test")


@pytest.mark.parametrize(
    "changed",
    [X[RNG.permutation(400)], np.concatenate([X, X[:20] + 0.5]), np.where(X[7, 1] == X, 9.0, X)],
    ids=["another order", "more rows", "one cell"],
)
def test_a_file_that_changed_is_refused_by_every_spelling(run, changed, tmp_path, capsys):
    pl.DataFrame(changed, schema=["a", "b", "c"]).write_csv("rows.csv")
    for name in (None, "./rows.csv", str(tmp_path / "rows.csv")):
        with pytest.raises(InputError, match=r"rows\.csv as it was when the run was fitted"):
            rows_of(run, data=name, split=None)
    assert main(["evaluate", "run"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    Path("new.csv").write_bytes(Path("rows.csv").read_bytes())
    assert len(rows_of(run, data="new.csv", split=None)) == len(changed)


def test_the_checksum_is_that_of_the_rows_alone(tmp_path):
    """Split, precision and format do not enter; values and their order do."""
    np.save(tmp_path / "a.npy", X)
    data = taut.load_data(tmp_path / "a.npy")
    for options in ({"seed": 5}, {"split": (0.5, 0.25, 0.25)}, {"dtype": "float64"}):
        assert taut.load_data(X, **options).checksum == data.checksum
    assert checksum_of([load_rows(X, data.schema)]) == data.checksum
    assert taut.load_data(X[::-1]).checksum != data.checksum
    assert taut.load_data(X[:, ::-1].copy()).checksum != data.checksum
    assert taut.load_data(X.reshape(400, 3, 1)).checksum != data.checksum


def test_compare_knows_the_data_by_their_rows(run):
    Path("copy.csv").write_bytes(Path("rows.csv").read_bytes())
    again = taut.em("copy.csv", model=taut.PPCA(1), closed_form=True)
    in_memory = taut.em(X, model=taut.PPCA(1), closed_form=True)
    for other in (again, in_memory):
        assert taut.compare(run, other)["log_evidence"].value == pytest.approx(0, abs=1e-9)
    pl.DataFrame(X + 1e-3, schema=["a", "b", "c"]).write_csv("rows.csv")
    since = taut.em("rows.csv", model=taut.PPCA(1), closed_form=True)
    with pytest.raises(InputError, match="expected two runs on the same data"):
        taut.compare(run, since)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("a.npz:x", "./a.npz:x", True),
        ("a.npz:x", "a.npz:y", False),
        ("a.mat:x", "b/../a.mat:x", True),
        ("a.csv,b.csv,c.csv", "./a.csv, ./b.csv,c.csv", True),
        ("mnist:folder", "mnist:./folder/", True),
        ("digits", "./digits", False),
    ],
)
def test_spellings_of_sources(first, second, same):
    assert same_source(first, second) is same
