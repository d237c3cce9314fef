"""Columns of Booleans, in frames and in Parquet files, come back as Booleans."""

import json
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

import taut
from taut.cli.main import main
from taut.data import Schema, as_written, cell_words, label_names, load_data
from taut.fitted.prediction import ClassPrediction
from taut.report.em_tables import write_tables

RNG = np.random.default_rng(0)
SIDE = (RNG.random(60) < 0.5).tolist()
MIXED = pl.DataFrame(
    {"x": RNG.normal(size=60) + 6 * np.array(SIDE), "member": SIDE, "n": ["u", "v"] * 30}
)
ALIKE = pl.DataFrame({"member": SIDE, "not": [not s for s in SIDE], "bit": [0, 1] * 30})
HOLED = MIXED.with_columns(member=pl.Series([None, *SIDE[1:]]))


def of_parquet(frame, folder):
    frame.write_parquet(folder / "t.parquet")
    return str(folder / "t.parquet")


@pytest.mark.parametrize(
    "source", [
        lambda frame, folder: frame,
        lambda frame, folder: pd.DataFrame(frame.to_dict(as_series=False)).convert_dtypes(),
        of_parquet,
    ], ids=["polars", "pandas", "parquet"],
)  # fmt: skip
@pytest.mark.parametrize(("frame", "column"), [(MIXED, 1), (HOLED, 1), (ALIKE, 0), (ALIKE, 1)])
def test_a_column_is_written_as_booleans(source, frame, column, tmp_path):
    schema = load_data(source(frame, tmp_path)).schema
    schema = Schema.from_dict(json.loads(json.dumps(schema.to_dict())))
    rows = np.zeros((3, 3))
    rows[:, column] = [0, 0.8, np.nan]
    assert schema.written is not None
    assert as_written(rows, schema.written)[column] == [False, True, None]
    assert schema.categories[column] == ("false", "true")
    assert cell_words(schema, column, 1.0) == "'true'"


def test_a_column_beside_it_stays_a_number():
    schema = load_data(ALIKE).schema
    assert as_written(np.ones((1, 3)), schema.written or ())[2] == [1]
    assert schema == load_data(ALIKE.cast(pl.Int64)).schema
    assert "words" not in load_data(ALIKE.cast(pl.Int64)).schema.to_dict()


def test_rows_on_disk_come_back_alike(tmp_path):
    schema = load_data(of_parquet(ALIKE, tmp_path), stream="yes").schema
    assert schema.words == (("false", "true"), ("false", "true"), ())


@pytest.mark.parametrize("role", ["label", "column"])
def test_classes_of_a_target_are_booleans(role):
    schema = load_data(MIXED, target="member", target_as=role).schema
    assert (schema.classes, schema.class_names) == (("0", "1"), ("false", "true"))
    rows = load_data(MIXED, target="member").test
    assert label_names(rows) == [str(SIDE[i]).lower() for i in rows.index]


@pytest.mark.parametrize("boolean", [False, True])
def test_predictions_are_booleans_where_the_target_is(boolean):
    found = ClassPrediction("y", ("false", "true"), np.eye(2), boolean=boolean).labels
    assert found.tolist() == ([False, True] if boolean else ["false", "true"])


@pytest.mark.parametrize("frame", [HOLED, ALIKE], ids=["mixed", "alike"])
def test_every_table_of_a_run_holds_booleans(frame, tmp_path):
    source, run = of_parquet(frame, tmp_path), tmp_path / "run"
    model = taut.Mixed(2) if frame is HOLED else taut.LCA(2)
    data = load_data(source)
    fit = taut.em(data, model=model, max_iterations=2, restarts=1, out=run)
    (parts,) = (p for p in write_tables(fit, data, tmp_path) if p.stem == "components")
    header = pl.read_csv(parts).columns
    assert "p(member=true)" in header
    assert "p(member=1)" not in header
    for command, ending, more in (
        ("sample", "csv", ["-n", "5"]),
        ("sample", "parquet", ["-n", "5"]),
        ("reconstruct", "parquet", []),
        ("impute", "parquet", ["--draws", "1"]),
    ):
        out = tmp_path / f"{command}.{ending}"
        assert main([command, str(run), *more, "--out", str(out)]) == 0
        read = pl.read_parquet if ending == "parquet" else pl.read_csv
        tables = [out, *tmp_path.glob(f"{command}-draws.*")]
        assert {read(table)["member"].dtype for table in tables} == {pl.Boolean}


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        ([True, None, False, True], "boolean"),
        ([True, np.nan, False, True], "boolean"),
        ([3, None, 5, 7], "Int64"),
        ([3, 0.5, None, 7.5], "float64"),
        ([Decimal("0.5"), None, Decimal(2), Decimal(3)], "float64"),
        ([Decimal("0.5"), pd.NA, Decimal(2), Decimal(3)], "float64"),
        ([date(2020, 1, 2), None, date(2020, 1, 5), date(2020, 1, 9)], "datetime64[us]"),
        ([datetime(2020, 1, 2, 3), None, datetime(2020, 1, 5), datetime(2021, 1, 9)],
         "datetime64[us]"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["b", 7])
def test_objects_of_pandas_are_read_as_what_all_of_them_are(cells, dtype, name):
    """As a frame has them that was made of rows of a database, with None where a cell is missing."""
    plain = pd.Series(
        [None if c is np.nan or c is pd.NA else c for c in cells] * 15, dtype=object
    ).astype(dtype)
    objects = pd.Series(cells * 15, dtype=object)
    known, found = (
        load_data(pd.DataFrame({"a": np.arange(60) % 7, name: column}))
        for column in (plain, objects)
    )
    assert found.schema == known.schema
    np.testing.assert_array_equal(found.train[:].x, known.train[:].x)
    assert found.train[:].mask is not None
