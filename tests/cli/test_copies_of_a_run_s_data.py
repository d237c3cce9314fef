"""A copy of the data of a run is known as such, whatever the copy lacks: no training row is held out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main
from taut.cli.rows import all_rows, parts_of_own, rows_of
from taut.core import InputError

RNG = np.random.default_rng(3)
N = 120
X = RNG.normal(size=(N, 3)).round(4)
Y = np.where(X[:, 0] + RNG.normal(size=N) > 0, "high", "low")
TABLE = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": Y})
GREY = RNG.integers(0, 256, (N, 3, 3)).astype(np.uint8)
ALONE: dict[str, Any] = {"model": taut.PPCA(1), "closed_form": True}
COPIES = ("without.csv", "other_y.csv", "turned.csv")


@pytest.fixture
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    TABLE.write_csv("t.csv")
    TABLE.drop("y").write_csv("without.csv")
    TABLE.with_columns(y=pl.col("y").reverse()).write_csv("other_y.csv")
    TABLE.select("y", "c", "b", "a").write_csv("turned.csv")


def _em(source, out=None, **options):
    return taut.em(taut.load_data(source, dtype="float64", **options), **ALONE, out=out)


def _check_known(fitted, copy, data):
    """The copy stands for the test rows of the data, and each of its rows is known by its part."""
    found = rows_of(fitted, data=copy, split=None)
    place = fitted.schema.place_of_target
    cells = [i for i in range(data.schema.shape[0]) if i != place]
    np.testing.assert_array_equal(found.index, data.test.index)
    np.testing.assert_array_equal(found.x[:, cells], data.test.x[:, cells])
    part = parts_of_own(fitted, copy, all_rows(fitted, copy))
    assert part is not None
    assert set(np.flatnonzero(np.array(part) == "train")) == set(
        data.train.numbers(np.arange(len(data.train))).tolist()
    )


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize("role", ["label", "column"])
def test_copies_without_the_target_or_with_another_are_known(role):
    options = ALONE if role == "label" else {"model": "mixed", "components": 1}
    data = taut.load_data("t.csv", target="y", target_as=role, seed=2, dtype="float64")
    fitted = taut.em(data, **options)
    for copy in COPIES:
        _check_known(fitted, copy, data)
    Path("t.csv").rename("moved.csv")
    for copy in COPIES:
        _check_known(fitted, copy, data)
    TABLE.with_columns(a=pl.col("a") + 1).write_csv("others.csv")
    assert len(rows_of(fitted, data="others.csv", split=None)) == N
    assert parts_of_own(fitted, "others.csv", all_rows(fitted, "others.csv")) is None


@pytest.mark.usefixtures("_folder")
def test_a_copy_that_is_split_otherwise_is_refused_where_the_data_are_gone():
    fitted = _em("t.csv", target="y", missing="drop-rows")
    holes = pl.Series([None if i % 5 == 0 else 1.0 for i in range(N)])
    TABLE.with_columns(z=holes).write_csv("wider.csv")
    assert len(rows_of(fitted, data="wider.csv", split=None)) == fitted.facts.rows.test
    Path("t.csv").rename("moved.csv")
    with pytest.raises(InputError, match=r"^t\.csv"):
        rows_of(fitted, data="wider.csv", split=None)


@pytest.mark.usefixtures("_folder")
def test_copies_are_known_where_rows_without_a_target_that_is_a_column_were_left_out():
    some = pl.Series([i % 7 > 0 for i in range(N)])
    holed = TABLE.with_columns(y=pl.when(some).then("y"))
    holed.write_csv("t.csv")
    holed.write_csv("copy.csv")
    TABLE.with_columns(y=pl.when(some.reverse()).then("y")).write_csv("other_holes.csv")
    data = taut.load_data("t.csv", target="y", target_as="column", missing="drop-rows", seed=2)
    fitted = taut.em(data, model="mixed", components=1, max_iterations=2)
    for copy in ("copy.csv", "without.csv", "other_holes.csv", "other_y.csv"):
        _check_known(fitted, copy, data)
        part = parts_of_own(fitted, copy, all_rows(fitted, copy))
        assert part is not None
        assert [name is None for name in part] == (~some).to_list()
    for others, left in ((holed, int(some.sum())), (holed.drop("y"), N)):
        others.with_columns(a=pl.col("a") + 1).write_csv("others.csv")
        assert len(rows_of(fitted, data="others.csv", split=None)) == left
        assert parts_of_own(fitted, "others.csv", all_rows(fitted, "others.csv")) is None
    Path("t.csv").rename("moved.csv")
    _check_known(fitted, "copy.csv", data)
    with pytest.raises(InputError, match="rows without the target, where the run left out rows"):
        rows_of(fitted, data="without.csv", split=None)
    TABLE.drop("y").head(30).write_csv("few.csv")
    assert len(rows_of(fitted, data="few.csv", split=None)) == 30


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize("how", ["static", "dynamic"])
def test_copies_of_binarized_rows_are_known(how):
    np.save("grey.npy", GREY)
    np.save("copy.npy", GREY)
    data = taut.load_data("grey.npy", binarize=how, seed=5)
    fitted: Any = taut.fit(data, latent_dim=1, hidden=(4,), epochs=1, evidence_particles=2)
    _check_known(fitted, "copy.npy", data)
    np.save("others.npy", 255 - GREY)
    assert len(rows_of(fitted, data="others.npy", split=None)) == N


@pytest.mark.usefixtures("_folder")
def test_copies_of_streamed_rows_are_known():
    np.save("rows.npy", X)
    np.save("copy.npy", X)
    data = taut.load_data("rows.npy", stream="yes", dtype="float64", seed=5)
    fitted = taut.em(data, components=1, online=True, batch_size=20)
    _check_known(fitted, "copy.npy", data)
    np.save("others.npy", X + 1)
    assert len(rows_of(fitted, data="others.npy", split=None)) == N


@pytest.mark.usefixtures("_folder")
def test_fits_with_a_target_and_without_are_compared_by_their_columns():
    with_target = _em("t.csv", target="y", out="run")
    for alone in (
        _em("t.csv", drop="y"),
        _em("without.csv"),
    ):
        for run in (with_target, "run"):
            found = taut.compare(run, alone)
            assert set(found) == {"log_evidence", "independent_columns"}
            for difference in found.values():
                np.testing.assert_allclose(np.asarray(difference.values), 0, atol=1e-9)
    other_target = _em("other_y.csv", target="y")
    with pytest.raises(InputError, match=r"two runs on the same data, got .*, target 'y' and"):
        taut.compare(with_target, other_target)
    TABLE.with_columns(a=pl.col("a") + 1).drop("y").write_csv("others.csv")
    with pytest.raises(InputError, match="expected two runs on the same data"):
        taut.compare(with_target, _em("others.csv"))


@pytest.mark.usefixtures("_folder")
def test_predictions_of_the_run_s_own_file_are_scored_on_its_test_rows(capsys):
    fitted = _em("t.csv", target="y", out="run")
    Path("copy.csv").write_bytes(Path("t.csv").read_bytes())
    assert main(["predict", "run", "--json"]) == 0
    own = json.loads(capsys.readouterr().out)["scores"]
    for data in ("t.csv", "copy.csv"):
        assert main(["predict", "run", data, "--json"]) == 0
        told = capsys.readouterr()
        found = json.loads(told.out)
        assert found["scores"].keys() == own.keys()
        for name, score in found["scores"].items():
            assert score["count"] == own[name]["count"] == fitted.facts.rows.test
            assert score["value"] == pytest.approx(own[name]["value"], rel=1e-6)
        assert (found["rows"], found["training_rows"]) == (N, fitted.facts.rows.train)
        assert (
            f"{data} holds the rows that the run was fitted to: scores are those of its" in told.err
        )
        assert len(pl.read_csv("run/predictions.csv")) == N
    TABLE.head(30).write_csv("some.csv")
    assert main(["predict", "run", "some.csv", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["scores"]["accuracy"]["count"] == 30
    assert told.err == ""
