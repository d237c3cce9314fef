"""Columns that need no reading are the rows that a data frame of the same cells is."""

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

from taut.data import Data, Dataset, load_data, load_rows
from taut.data.one_row import row_of
from taut.data.sources import NamedColumns
from taut.data.sources.words import emptied, without_codes

RNG = np.random.default_rng(0)
AGE = np.where(RNG.random(60) < 0.1, np.nan, RNG.normal(40, 9, 60).round(1))
CODE = np.where(np.arange(60) % 7 == 0, -999.0, RNG.poisson(3.0, 60))
KIND = np.array([("", "b 7", "x 1", "?", "none of these")[i % 5] for i in range(60)])
CELLS = {"age": AGE, "code": CODE, "kind": KIND}
ASKED = [
    {"label": "kind", "missing": "drop-rows"},
    {"target": "kind", "drop": ("age",)},
    {"target": "kind", "target_as": "column"},
    {"kind": {"code": {"missing": [-999]}, "kind": {"kind": "categorical", "missing": ["x 1"]}}},
    {"drop": ("kind",), "missing_codes": -999},
]


def _parts(data: Data) -> tuple[Dataset, ...]:
    return data.train[:], data.validation, data.test


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_a_table_is_the_frame_of_its_cells(asked):
    found = load_data(NamedColumns(CELLS), **asked)
    wanted = load_data(pl.DataFrame(CELLS), **asked)
    assert found.schema == wanted.schema
    for one, other in zip(_parts(found), _parts(wanted), strict=True):
        np.testing.assert_array_equal(one.x, other.x)
        np.testing.assert_array_equal(one.label, other.label)


def test_some_of_its_rows():
    rows = np.array([5, 1, 8])
    some = NamedColumns(CELLS).select(rows)
    assert len(some) == 3
    assert some.columns == ["age", "code", "kind"]
    np.testing.assert_array_equal(some.cells["age"], AGE[rows])


def test_an_array_has_names_or_numbers_for_names():
    assert NamedColumns.of(np.zeros((2, 3))).columns == ["x0", "x1", "x2"]
    assert NamedColumns.of(np.zeros((2, 2)), ["a", "b"]).columns == ["a", "b"]


@pytest.mark.parametrize("codes", [(), ("x 1",), ("7",), ("-1", "7", "-1.0")], ids=str)
def test_texts_that_are_codes_are_empty(codes):
    texts = np.array(["x 1", " x 1 ", "007", "7.0", "-1", "-1.00", "", "seven", "1_0"])
    wanted = texts.tolist()
    if codes:
        cells = emptied(pl.Series(wanted).str.strip_chars(), codes)
        wanted = ["" if cell == "" else text for cell, text in zip(cells, wanted, strict=True)]
    assert without_codes(texts, codes).tolist() == wanted


class TestWithoutPolars:
    @pytest.fixture(autouse=True)
    def without_polars(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "polars", None)

    def test_frames_of_numbers_dates_and_truths_are_read(self):
        frame = pd.DataFrame(
            {"age": AGE, "day": pd.date_range("2020", periods=60), "old": AGE > 40}
        )
        data = load_data(frame, columns="auto")
        assert [column.kind for column in data.schema.kinds or ()] == ["real", "real", "binary"]
        assert load_rows(frame[:7], data.schema).x.shape == (7, 3)

    def test_a_column_of_text_names_the_extra(self, refusal):
        assert refusal(load_data, pd.DataFrame(CELLS), label="age") == (
            "data frame, column 'kind' of text: expected Polars, which reads and writes tables, got "
            "none installed. Try `pip install 'taut[tables]'`."
        )

    def test_one_row_in_words(self, refusal):
        schema = load_data(
            NamedColumns(CELLS | {"kind": KIND}), columns="auto", kind={"kind": "categorical"}
        ).schema
        row = row_of({"age": "40.5", "kind": "x 1"}, schema, where="given")
        names = (schema.kinds or ())[2].names
        np.testing.assert_array_equal(row, [40.5, np.nan, names.index("x 1")])
        frame = pd.DataFrame({"age": AGE, "day": pd.date_range("2020", periods=60)})
        dated = load_data(frame, columns="auto").schema
        assert refusal(row_of, {"day": "2020-01-05"}, dated, where="given") == (
            "given, column 'day': expected Polars, which reads and writes tables, got none installed. "
            "Try `pip install 'taut[tables]'`."
        )
